//! FCM against the simulated service, over real TLS and HTTP/2: the gateway by itself, and a whole service with it.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail as the test does")]

mod answers;
mod bench;
mod broadcasts;
mod connections;
mod credentials;
mod messages;
#[path = "../seam/prepared.rs"]
mod prepared;
#[path = "../seam/mod.rs"]
mod seam;
mod world;
