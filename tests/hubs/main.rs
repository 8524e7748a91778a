//! The Notification Hubs face from outside: a whole service, spoken to as the field's client libraries do, with simulated
//! push services behind it. Tests that stand for a point of the conformance checklist (`notification-hubs.md` section 10)
//! bear its number:
//!
//! | points | here |
//! |---|---|
//! | 1 | [`tls`], [`javascript`] |
//! | 2, 3, 6, 16 | [`checklist`] |
//! | 4, 5 | [`operations`] |
//! | 7–11, 15 | the tests `hubs_registrations` |
//! | 12, 13 | [`sends`] |
//! | 14 | [`telemetry`], [`schedule`] |
//! | 17 | [`examples`] |
//! | 18 | [`javascript`], [`dotnet`], [`java`] |
#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot go on should say why and stop"
)]

mod atom;
mod captured;
mod certificate;
mod checklist;
#[expect(dead_code, reason = "the tests of the native API need more of it")]
#[path = "../native/client.rs"]
mod client;
mod direct;
mod dotnet;
mod examples;
mod feedback;
mod java;
mod javascript;
mod namespace;
mod operations;
mod passed;
mod program;
mod reading;
mod schedule;
mod sends;
mod telemetry;
mod tls;
mod world;
