//! The life of a broadcast on PostgreSQL. The rules are [`life`](crate::store::life)'s; here are the statements, and how
//! the rules are kept when several nodes come at once:
//!
//! - A shard's row is locked by whoever leases it or records under a lease; epoch and time are looked at behind the
//!   lock. The broadcast's row is locked after it, and only when it changes.
//! - A small broadcast lives in its row alone ([`inline`]).
//! - The time is asked behind the locks, so that waiting for one never makes a lease look younger.
//!
//! `rows`, `leases`, `sets`, `reasons`: the tables. `partitions`: where their rows lie. `accept`, `plan`: an audience
//! written down. `lease`, `checkpoint`, `inline`: what a worker does. `control`, `view`, `ready`, `outcomes`,
//! `conservation`: what others ask. `retention`, `bound`: the end.

mod accept;
mod bound;
mod checkpoint;
mod conservation;
mod control;
mod inline;
mod lease;
mod leases;
mod outcomes;
mod partitions;
mod plan;
mod ready;
mod reasons;
mod retention;
mod rows;
mod sets;
#[cfg(test)]
mod tests;
mod view;

pub(super) use accept::accept;
pub(super) use checkpoint::checkpoint;
pub(super) use conservation::conservation;
pub(super) use control::{set_rate, standings, wish};
pub(super) use lease::lease;
pub(super) use outcomes::{outcomes, tally};
pub(super) use plan::{lease_plan, plan_step};
pub(super) use ready::ready;
pub(super) use retention::sweep;
pub(super) use view::{broadcast, broadcasts};

/// What the operations share in this process.
#[derive(Debug, Default)]
pub(super) struct Shared {
    partitions: partitions::Partitions,
    bound: bound::Bound,
}
