//! The life of a broadcast in the embedded store: accept, plan, lease, checkpoint, outcomes.
//!
//! The rules are [`life`](crate::store::life)'s; here are the statements, and what is particular to one process:
//!
//! - `rows`, `sets`: the tables. A broadcast's row, its shards, and one row for each set of a chunk.
//! - `accept`, `plan`: an audience written down.
//! - `inline`, `spill`: small plans at work in memory, and their way into ordinary rows.
//! - `lease`, `checkpoint`: what a worker does.
//! - `retention`, `bound`: the end of what is kept.
//! - `control`, `view`, `ready`, `outcomes`, `conservation`: what others ask.
//!
//! Tasks of the writer and readers hold the registry's shared part and the clock, never `Parts`: one that held the engine
//! could be the last to let go of it, and would then wait for its own thread.

mod accept;
mod bound;
mod checkpoint;
mod conservation;
mod control;
mod inline;
mod lease;
mod outcomes;
mod plan;
mod ready;
mod retention;
mod rows;
mod sets;
mod spill;
#[cfg(test)]
mod tests;
mod view;

pub(super) use accept::accept;
pub(super) use bound::Bound;
pub(super) use checkpoint::checkpoint;
pub(super) use conservation::conservation;
pub(super) use control::{set_rate, standings, wish};
pub(super) use inline::Shared;
pub(super) use lease::lease;
pub(super) use outcomes::{outcomes, tally};
pub(super) use plan::{lease_plan, plan_step};
pub(super) use ready::ready;
pub(super) use retention::sweep;
pub(super) use spill::recover;
pub(super) use view::{broadcast, broadcasts};
