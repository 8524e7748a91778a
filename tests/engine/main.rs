//! The engine (`gateway::http2`) through the seam of a gateway, against servers nobody here wrote.
//!
//! - [`bench`]: a service without opinions, a transport to it, and a worker's side of the seam.
//! - [`interop`]: nginx, Node, hyper, the `h2` crate.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail as the test does")]

mod bench;
mod interop;
