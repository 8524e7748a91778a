//! Several processes as one service: API and worker nodes, the built binary each, on one PostgreSQL and one Redis.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say why and stop"
)]
#![expect(clippy::disallowed_methods, reason = "processes are waited for by the machine's own clock")]

#[path = "../native/client.rs"]
#[expect(dead_code, reason = "other tests use the rest of it")]
mod client;
mod fleet;
mod hubs;
mod node;
mod outages;
mod roles;
mod rolling;
mod senders;
mod sending;
