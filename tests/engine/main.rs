//! The engine (`gateway::http2`) through the seam of a gateway, against servers nobody here wrote, against one that does
//! its worst, and with loss at every boundary.
//!
//! - [`bench`]: a service without opinions, a transport to it, and a worker's side of the seam.
//! - [`interop`]: nginx, Node, hyper, the `h2` crate.
//! - [`peer`]: a server's side of a connection, frame by frame, that checks what the engine writes.
//! - [`ledger`]: what a server of ours did with each request, held against the word that the worker got.
//! - [`greedy`]: a peer that never reads.
//! - [`hostile`]: a peer that behaves by chance from a seed. - [`loss`]: one that fails at a chosen boundary.
#![expect(clippy::unwrap_used, clippy::panic, reason = "the helpers of a test fail as the test does")]

mod bench;
mod greedy;
mod hostile;
mod interop;
mod ledger;
mod loss;
mod peer;
