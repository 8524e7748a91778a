//! The simulated APNs, driven by an HTTP/2 client of another hand (crate `h2`) over TLS.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test fail as the test does")]

mod certificates;
mod client;
mod connections;
mod control;
mod faults;
mod provider_tokens;
mod receipts;
mod verification;
