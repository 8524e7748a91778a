//! The native API from outside: a whole service on a free port, spoken to over HTTP.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say why and stop"
)]

mod broadcasts;
mod broken;
mod client;
mod described;
mod description;
mod hubs;
mod import;
mod installations;
mod lifecycle;
mod limits;
mod process;
mod push;
mod real;
mod rights;
mod secrets;
mod senders;
mod templates;
mod tls;
mod world;
