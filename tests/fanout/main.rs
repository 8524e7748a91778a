//! The life of a broadcast, with a fake gateway, turned time and the real embedded store.
//!
//! `lives` are random lives with crashes between any two steps; `directed` are the rules one by one.

mod directed;
mod gate;
mod gateway;
mod lives;
mod world;
