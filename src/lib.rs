//! Fanfare: a self-hosted push notification broadcast service.
//!
//! The rooms, from the ground up (arrows go down only):
//!
//! - [`model`]: what the service is about. Pure, no I/O: installations, tags, audiences, chunk sets, broadcasts,
//!   shards, verdicts, outcomes.
pub mod clock;
pub mod gateway;
pub mod model;
pub mod queue;
pub mod store;
pub mod fanout;
