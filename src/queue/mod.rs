//! The messenger: tells workers what may be worth taking, and when.
//!
//! It carries pointers only, a few dozen bytes each, and may lose all of them at any moment: the store is the truth and
//! the reconciler issues again what is unfinished (design.md 3.2). It may also deliver twice: taking the work is a
//! compare-and-set of the shard's epoch in the store, so a second delivery finds it taken.

use async_trait::async_trait;

use crate::model::broadcast::Lane;
use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;
use crate::store::ReadyWork;

pub mod memory;

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

/// What an acknowledgement names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Receipt(pub u64);

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
    /// weight. Dropping the future takes nothing.
    async fn receive(&self, lane: Lane, max: usize) -> Result<Vec<Delivery>>;

    /// The work is taken or not worth taking: forget the entries.
    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<()>;

    /// Tells every node, this one too.
    async fn poke(&self, poke: Poke) -> Result<()>;

    /// The pokes from now on. Missed ones cost delay only: standings are read each second anyway.
    fn pokes(&self) -> tokio::sync::broadcast::Receiver<Poke>;

    /// When the oldest entry of a lane that is due became so.
    async fn oldest(&self, lane: Lane) -> Result<Option<Timestamp>>;

    /// Whether entries can be queued and delivered now.
    async fn ping(&self) -> Result<()>;
}
