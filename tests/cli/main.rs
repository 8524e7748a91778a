//! The command line as a process: what it prints, how it exits, what it leaves behind.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on should say why and stop")]

mod configuration;
mod doctor;
mod hub;
mod installations;
mod send;
mod tls;
mod world;
