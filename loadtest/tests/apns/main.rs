//! The simulated APNs, driven by an HTTP/2 client of another hand (crate `h2`) over TLS.
mod certificates;
mod client;
mod connections;
mod faults;
mod provider_tokens;
mod receipts;
mod verification;
