//! Fanfare: a self-hosted push notification broadcast service.
//!
//! The rooms, from the ground up (arrows go down only):
//!
//! - [`model`]: what the service is about. Pure, no I/O: installations, tags, audiences, chunk sets, broadcasts,
//!   shards, verdicts, outcomes.
//! - [`tables`]: the apps' own tables, as far as they are rules: queries, stamps, conflicts.
//! - [`clock`]: where the time comes from.
//! - [`trouble`]: failures that come again and again, said seldom.
//! - [`store`]: the truth. One trait, engines behind it.
//! - [`queue`]: the messenger. One trait, engines behind it.
//! - [`gateway`]: push services as we speak to them: batch in, batch out; in [`gateway::http2`] the delivery engine.
//! - [`fanout`]: accept, plan, run, retry, pace, control, reconcile.
//! - [`identity`]: who is calling and what they may do; keys and credentials at rest; users, their sessions, and the
//!   providers that know them.
//! - [`config`]: defaults → file → environment, as one checked value.
//! - [`telemetry`]: metrics and log lines.
//! - [`directory`]: the hubs that this process knows, with their gateways.
//! - [`api`]: the HTTP faces.
//! - [`service`]: all of it wired into one process.
//! - [`cli`]: the command line, one file per subcommand.
pub mod api;
pub mod cli;
pub mod clock;
pub mod config;
pub mod directory;
pub mod fanout;
pub mod gateway;
pub mod identity;
pub mod model;
pub mod queue;
pub mod service;
pub mod store;
pub mod tables;
pub mod telemetry;
pub mod trouble;
