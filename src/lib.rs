//! Fanfare: a self-hosted push notification broadcast service.
//!
//! The rooms, from the ground up (arrows go down only):
//!
//! - [`model`]: what the service is about. Pure, no I/O: installations, tags, audiences, chunk sets, broadcasts,
//!   shards, verdicts, outcomes.
//! - [`identity`]: who is calling and what they may do; keys and credentials at rest. Knows no HTTP.
//! - [`config`]: defaults → file → environment, as one checked value.
//! - [`cli`]: the command line, one file per subcommand.
pub mod cli;
pub mod config;
pub mod identity;
pub mod model;
