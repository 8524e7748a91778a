//! The queue of a fleet: Redis streams with consumer groups, on one server, behind Sentinels or in a Cluster.
//!
//! ```text
//!             publish                 in turn                  take / wait             acknowledge
//!  entries ────────────▶ waiting ─────────────▶ stream (few) ─────────────▶ handed out ────────────▶ gone
//!              │            ▲                                                  │   ▲
//!              └▶ not due ──┘ mature                         give back ────────┘   └ reclaim: its holder died
//! ```
//!
//! **Where entries are.** One stream for each lane and partition ([`place`]). A stream alone is first in, first out, and
//! would let a broadcast of ten million shards stand before everybody. So entries that are due wait outside of it, by
//! hub and broadcast, and only a handful that nobody has taken yet lie in the stream; each step at a place fills it up
//! again in turn over hubs and, within a hub, over broadcasts by weight. That is exactly the order of the in-process
//! engine, but for that handful. Every step is one script, so nothing is half done, and what is known of each entry is
//! held against where it should be, so that nothing left behind keeps work from being queued.
//!
//! **Who has them.** Every process is a consumer of its own name. It keeps what it holds young by a beat; what grows old
//! was lost with its holder, or on the way to it, and is taken over. An acknowledged entry is deleted: nothing is ever
//! trimmed, and the memory is that of what is queued.
//!
//! **What may happen to Redis.** It may be emptied, fail over, restart or be away. Streams and groups are made again by
//! the step that misses them. Each place has an epoch key, and when one is gone so is all the rest of it: the reconciler
//! is told ([`Queue::lost`]). Calls to what is away fail at once ([`wire`]); receivers wait and go on by themselves.
//!
//! **What else it carries**: pokes ([`pokes`]), how many workers there are, whose turn it is to reconcile, and
//! fleet-wide rates: tokens are granted in the order of asking, for later when they are not due yet, so that the sum
//! over all processes keeps the rate and none is starved.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use deadpool_redis::redis::cmd;
use tokio::sync::broadcast;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{Delivery, Paced, Poke, Queue, QueueError, Receipt, Result, Slice};
use crate::clock::SharedClock;
use crate::config::ServiceUrl;
use crate::model::broadcast::Lane;
use crate::model::time::Timestamp;
use crate::store::ReadyWork;

mod address;
mod entry;
mod inspect;
mod intake;
mod link;
mod node;
mod place;
mod pokes;
mod scripts;
mod wire;

pub use inspect::{Inspection, Server, inspect};

use address::Address;
use intake::Intake;
use link::Links;
use node::Node;
use place::Places;
use pokes::Pokes;
use wire::{Call, Wire};

/// How often is looked whether Redis was emptied.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// How long a slice of a rate may take to come: sending waits for it, and goes on with its last known share.
const SLICE_LIMIT: Duration = Duration::from_millis(250);

/// Tokens that are saved up while nobody asks, as the time in which they come.
const SAVED: Duration = Duration::from_millis(50);

/// Times that tests shorten.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// A process that gave no sign of life for so long is dead, and what it held goes to others.
    pub reclaim_after: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self { reclaim_after: Duration::from_secs(10) }
    }
}

/// The engine of [`Queue`] that a fleet shares.
pub struct RedisQueue {
    node: Arc<Node>,
    lanes: [Arc<Intake>; 2],
    pokes: Arc<Pokes>,
    /// Which tasks run: each lane's, the beat, the listener to pokes. They start when first needed.
    receiving: [AtomicBool; 2],
    beating: AtomicBool,
    listening: AtomicBool,
    closed: CancellationToken,
    _close: DropGuard,
}

impl std::fmt::Debug for RedisQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RedisQueue").field("name", &self.node.name).finish_non_exhaustive()
    }
}

impl RedisQueue {
    /// The queue at that address. Nothing is connected before it is needed: a Redis that is away now is no failure.
    pub fn open(url: &ServiceUrl, clock: SharedClock, tuning: Tuning) -> Result<Self> {
        let address = Address::parse(url)?;
        let partitions = if matches!(address, Address::Cluster(_)) { place::IN_CLUSTER } else { 1 };
        let closed = CancellationToken::new();
        let wire = Wire::new(Links::new(address)?, Places::new(partitions), clock.clone(), closed.clone());
        Ok(Self {
            node: Arc::new(Node::new(wire, clock, tuning)),
            lanes: Default::default(),
            pokes: Arc::new(Pokes::new()),
            receiving: Default::default(),
            beating: AtomicBool::new(false),
            listening: AtomicBool::new(false),
            _close: closed.clone().drop_guard(),
            closed,
        })
    }

    fn start_receiving(&self, lane: Lane) {
        if !self.receiving[lane as usize].swap(true, Ordering::Relaxed) {
            self.lanes[lane as usize].start(&self.node, lane, &self.closed);
        }
        if !self.beating.swap(true, Ordering::Relaxed) {
            tokio::spawn(self.closed.clone().run_until_cancelled_owned(beat(self.node.clone())));
        }
    }
}

/// Says again and again that this process lives.
async fn beat(node: Arc<Node>) {
    loop {
        node.settle_debts().await;
        if let Err(error) = node.beat().await {
            tracing::debug!(%error, "no beat");
        }
        tokio::time::sleep(node.tuning.reclaim_after / 5).await;
    }
}

#[async_trait]
impl Queue for RedisQueue {
    async fn publish(&self, entries: Vec<ReadyWork>) -> Result<()> {
        self.node.publish(entries).await
    }

    async fn receive(&self, lane: Lane, max: usize) -> Result<Vec<Delivery>> {
        self.start_receiving(lane);
        Ok(self.lanes[lane as usize].receive(max).await)
    }

    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<()> {
        self.node.acknowledge(receipts).await
    }

    async fn give_back(&self, deliveries: Vec<Delivery>, after: Duration) -> Result<()> {
        self.node.give_back(deliveries, after).await
    }

    async fn poke(&self, poke: Poke) -> Result<()> {
        self.pokes.send(&self.node, poke).await
    }

    fn pokes(&self) -> broadcast::Receiver<Poke> {
        let pokes = self.pokes.subscribe();
        if !self.listening.swap(true, Ordering::Relaxed) {
            let listen = self.pokes.clone().listen(self.node.clone());
            tokio::spawn(self.closed.clone().run_until_cancelled_owned(listen));
        }
        pokes
    }

    async fn oldest(&self, lane: Lane) -> Result<Option<Timestamp>> {
        let mut oldest: Option<i64> = None;
        for place in self.node.wire.places.of_lane(lane) {
            let call = self.node.scripts.oldest.key(self.node.wire.places.stream(place));
            let found: Option<i64> = self.node.wire.run(place, &call).await?;
            oldest = oldest.into_iter().chain(found).min();
        }
        Ok(oldest.map(Timestamp::from_millis))
    }

    async fn ping(&self) -> Result<()> {
        self.node.wire.ping().await
    }

    fn is_shared(&self) -> bool {
        true
    }

    fn workers(&self) -> usize {
        self.node.workers.load(Ordering::Relaxed)
    }

    async fn reconcile_turn(&self, every: Duration) -> Result<bool> {
        let places = self.node.wire.places;
        // Somewhat less, so that a node that looks each `every` finds it free again.
        let held = u64::try_from(every.mul_f64(0.9).as_millis()).unwrap_or(u64::MAX).max(1);
        let mut turn = cmd("SET");
        turn.arg(places.key(places.fleet(), "turn")).arg(&self.node.name).arg("NX").arg("PX").arg(held);
        match self.node.command::<Option<String>>(places.fleet(), &turn).await {
            Ok(taken) => Ok(taken.is_some()),
            // Where others can be written to, their work must not wait for this one: everybody reconciles.
            Err(error) if places.entries().all(|place| self.node.wire.is_away(place)) => Err(error),
            Err(_) => Ok(true),
        }
    }

    async fn lost(&self) {
        let places = self.node.wire.places;
        loop {
            let mut lost = false;
            for place in places.entries() {
                let mut epoch = cmd("SET");
                epoch.arg(places.key(place, "e")).arg(&self.node.name).arg("NX");
                let made = self.node.command::<Option<String>>(place, &epoch).await;
                lost |= made.is_ok_and(|made| made.is_some());
            }
            if lost {
                tracing::info!("the queue holds nothing; all unfinished work is issued again");
                return;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn lease_tokens(&self, of: Paced, per_second: f64, wanted: u32) -> Result<Slice> {
        if per_second <= 0.0 {
            return Err(QueueError("a rate must be more than nothing".to_owned()));
        }
        let places = self.node.wire.places;
        let mut call = self.node.scripts.tokens.key(places.key(places.fleet(), &format!("rate.{of}")));
        call.arg(1e6 / per_second).arg(u64::try_from(SAVED.as_micros()).unwrap_or(u64::MAX)).arg(wanted);
        let after = self.node.wire.call(places.fleet(), SLICE_LIMIT, Call::Script(&call)).await?;
        Ok(Slice { tokens: wanted, after: Duration::from_micros(after) })
    }

    async fn leave(&self) {
        self.closed.cancel();
        self.node.leave().await;
    }
}
