//! Registrations and jobs of the Notification Hubs face from outside: a whole service on a free port.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test that cannot go on should say why and stop, and a measurement prints"
)]

#[path = "../hubs/atom.rs"]
mod atom;
#[expect(dead_code, reason = "the tests of the native API need more of it")]
#[path = "../native/client.rs"]
mod client;
mod containers;
mod exporting;
mod jobs;
mod lists;
mod outcomes;
mod registrations;
mod shape;
mod world;
