//! The messenger: tells workers what may be worth taking, and when.
//!
//! It carries pointers only, a few dozen bytes each, and may lose all of them at any moment: the store is the truth and
//! the reconciler issues again what is unfinished (design.md 3.2). It may also deliver twice: taking the work is a
//! compare-and-set of the shard's epoch in the store, so a second delivery finds it taken.
//!
//! Two engines: [`memory`] within one process, [`redis`] for a fleet. What a fleet shares besides entries goes through
//! it too: how many workers there are, whose turn it is to reconcile, and the tokens of fleet-wide rates ([`rate`]).

use std::time::Duration;

use async_trait::async_trait;

use crate::model::broadcast::Lane;
use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;
use crate::store::{ReadyWork, Work};

pub mod memory;
pub mod rate;
pub mod redis;

pub use rate::{Paced, Slice};

/// A failure of the queue itself.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the queue is unavailable: {0}")]
pub struct QueueError(pub String);

/// What an operation of the queue answers.
pub type Result<T> = std::result::Result<T, QueueError>;

/// An entry handed to this process. It comes again, to anybody, unless it is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    pub work: ReadyWork,
    pub receipt: Receipt,
}

/// What an acknowledgement names. Only the engine that gave it can read it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt {
    work: Work,
    /// Where in the queue: the engine's own number of a lane or partition.
    place: usize,
    /// Which handing out of it.
    number: (u64, u64),
}

/// A word to every node: look at this broadcast again now (its wish or pace changed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Poke(pub BroadcastId);

/// The messenger.
#[async_trait]
pub trait Queue: Send + Sync + 'static {
    /// Queues entries, each to be delivered from its due time on, in its lane. An entry that is queued already is not
    /// queued again; an earlier due time wins.
    async fn publish(&self, entries: Vec<ReadyWork>) -> Result<()>;

    /// Waits until something of `lane` is due and hands out up to `max` entries, in turn over hubs and broadcasts by
    /// weight. Dropping the future takes nothing. An engine that is out of reach makes it wait, not fail.
    async fn receive(&self, lane: Lane, max: usize) -> Result<Vec<Delivery>>;

    /// The work is taken or not worth taking: forget the entries.
    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<()>;

    /// Not for this process after all: anybody may have the entries once `after` has passed.
    async fn give_back(&self, deliveries: Vec<Delivery>, after: Duration) -> Result<()>;

    /// Tells every node, this one too.
    async fn poke(&self, poke: Poke) -> Result<()>;

    /// The pokes from now on. Missed ones cost delay only: standings are read each second anyway.
    fn pokes(&self) -> tokio::sync::broadcast::Receiver<Poke>;

    /// When the oldest entry of a lane that is due became so.
    async fn oldest(&self, lane: Lane) -> Result<Option<Timestamp>>;

    /// Whether entries can be queued and delivered now; the error says in words what is missing.
    async fn ping(&self) -> Result<()>;

    /// Whether other processes take entries from it too.
    fn is_shared(&self) -> bool {
        false
    }

    /// How many processes receive from it, as last known; at least 1.
    fn workers(&self) -> usize {
        1
    }

    /// Whether it is this process' turn to issue again what is unfinished: one in a fleet each `every`.
    async fn reconcile_turn(&self, _every: Duration) -> Result<bool> {
        Ok(true)
    }

    /// Waits until the engine has lost what it held, so that everything is to be issued again at once. One process in a
    /// fleet learns it.
    async fn lost(&self) {
        std::future::pending().await
    }

    /// Takes a slice of a rate that all processes share. An engine within one process has nothing to share and grants
    /// all of it.
    async fn lease_tokens(&self, _of: Paced, _per_second: f64, wanted: u32) -> Result<Slice> {
        Ok(Slice { tokens: wanted, after: Duration::ZERO })
    }

    /// This process receives no more: what it holds is for the others, at once.
    async fn leave(&self) {}
}
