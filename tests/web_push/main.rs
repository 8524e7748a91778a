//! The Web Push gateway against simulated services, over real TLS, HTTP/2 and HTTP/1.1: alone, and in a whole service.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of a test fail as the test does"
)]

mod addresses;
mod answers;
mod bench;
#[expect(dead_code, reason = "the tests of the API need more of it")]
#[path = "../native/client.rs"]
mod client;
mod encryption;
mod flow;
#[expect(dead_code, reason = "a browser reads payloads of its own app alone")]
#[path = "../seam/prepared.rs"]
mod prepared;
#[path = "../seam/mod.rs"]
mod seam;
mod service;
mod world;
