//! The life of a broadcast, with a fake gateway, turned time and the real embedded store.
//!
//! `lives` are random lives with crashes between any two steps; `directed` are the rules one by one; `fleet` is several
//! nodes on a real Redis, in real time.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test that cannot go on should say why and stop")]

mod directed;
mod fleet;
mod gate;
mod gateway;
mod lives;
mod poison;
mod templates;
mod world;
