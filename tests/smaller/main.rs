//! The gateways of the smaller services, each against its simulation over real TLS and HTTP/1.1: alone, and in a whole
//! service.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "the helpers of a test fail as the test does"
)]

mod adm;
mod baidu;
mod bench;
#[expect(dead_code, reason = "the tests of the API need more of it")]
#[path = "../native/client.rs"]
mod client;
mod hubs_face;
#[path = "../seam/prepared.rs"]
mod prepared;
#[path = "../seam/mod.rs"]
mod seam;
mod service;
mod world;
mod xiaomi;
