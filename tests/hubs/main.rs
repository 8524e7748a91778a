//! The Notification Hubs face from outside: a whole service, spoken to as the field's client libraries do, with simulated
//! push services behind it. Tests that stand for a line of the conformance checklist (`notification-hubs.md` section 10)
//! bear its number.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say why and stop"
)]

mod captured;
mod checklist;
#[expect(dead_code, reason = "the tests of the native API need more of it")]
#[path = "../native/client.rs"]
mod client;
mod direct;
mod feedback;
mod namespace;
mod node;
mod passed;
mod schedule;
mod world;
