//! The Mobile Apps face from outside: a whole service, spoken to as the field's client libraries do. Tests that stand for
//! a line of the acceptance list (`mobile-apps.md` section 12) bear its number.
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say why and stop"
)]

#[expect(dead_code, reason = "the tests of the native API need more of it")]
#[path = "../native/client.rs"]
mod client;
mod custom;
mod face;
mod pages;
#[path = "../hubs/program.rs"]
mod program;
mod push;
mod signin;
mod site;
mod tables;
mod upstream;
mod world;
