//! The fan-out: from an accepted broadcast to a final word for every target.
//!
//! ```text
//!  accept ──▶ store ──▶ queue ──▶ dispatch ──▶ plan ──▶ queue ──▶ dispatch ──▶ run ──▶ gateway
//!                         ▲                                                     │
//!                         └───────────── reconcile ◀── store ◀── checkpoints ◀──┘
//! ```
//!
//! One [`Service`] per process. `dispatch` takes entries from the queue and holds them to their slots, `plan` writes
//! plans down step by step, [`run`] sends one shard, `control` carries wishes to the holders, `reconcile` issues again
//! what is unfinished, `housekeeping` folds and sweeps. All of them can be stopped at any point: the store knows how
//! far everything came.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::SharedClock;
use crate::gateway::Gateway;
use crate::model::audience::Audience;
use crate::model::broadcast::{Broadcast, BroadcastRequest, Wish};
use crate::model::id::{BroadcastId, HubId};
use crate::model::platform::Platform;
use crate::queue::{Poke, Queue};
use crate::store::{AcceptError, Accepted, ControlError, Hold, NewBroadcast, ReadyWork, Store, StoreError};
use crate::trouble::Trouble;

mod active;
mod begun;
mod breaker;
mod control;
mod dispatch;
mod holds;
mod housekeeping;
mod measure;
mod meter;
mod pace;
mod plan;
mod ramp;
mod reconcile;
mod retry;
pub mod run;
mod sender;
mod slots;
mod templates;

pub use meter::{Meter, NoMeter};

/// The reconciler tries again each second.
const CANNOT_QUEUE: &str = "cannot queue work";

/// How long the queue may take to let this process go.
const LEAVING: Duration = Duration::from_secs(2);

/// Where a worker gets its gateways from.
#[async_trait]
pub trait Gateways: Send + Sync + 'static {
    /// The hub's gateway of that platform, when it has credentials for it.
    fn gateway(&self, hub: HubId, platform: Platform) -> Option<Arc<dyn Gateway>>;

    /// Takes in what other processes changed of hubs until now: asked before a hub is believed to have no gateway.
    async fn learn(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// The pace of that gateway over all its broadcasts; 0 is unpaced.
    fn rate_per_second(&self, hub: HubId, platform: Platform) -> u32;
}

/// `[worker]` of the configuration, as far as the fan-out is concerned.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Shards that send at once, per hub, gateway and lane.
    pub shards_in_flight: usize,
    /// The credit: per shard, the most targets handed over and not recorded.
    pub checkpoint_every: u64,
    pub lease: Duration,
    /// Answers that cost an attempt, before a target is given up.
    pub max_attempts: u8,
    /// How often unfinished work is looked for.
    pub reconcile_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            shards_in_flight: 4,
            checkpoint_every: 2_048,
            lease: Duration::from_secs(30),
            max_attempts: 8,
            reconcile_every: Duration::from_secs(1),
        }
    }
}

/// What every part of the fan-out has at hand.
pub(crate) struct Worker {
    pub store: Arc<dyn Store>,
    pub queue: Arc<dyn Queue>,
    pub gateways: Arc<dyn Gateways>,
    pub meter: Arc<dyn Meter>,
    pub clock: SharedClock,
    pub settings: Settings,
    senders: sender::Senders,
    actives: active::Actives,
    begun: begun::Begun,
    slots: slots::Slots,
    templates: templates::Templates,
    /// What fails again and again.
    trouble: Trouble,
    /// For shards that are suspected of killing their workers: one at a time, so that an innocent one is not struck
    /// together with a guilty one, and taken for it.
    suspects: Arc<Semaphore>,
    /// No new work; what runs is finished or handed back.
    shutdown: CancellationToken,
    tasks: TaskTracker,
}

impl Worker {
    /// How many shards of a broadcast are queued at once: twice the fleet's slots, so that a free slot never waits.
    fn window(&self) -> usize {
        self.settings.shards_in_flight * 2 * self.queue.workers()
    }

    /// Queues what a broadcast has ready. A failure costs delay only: the reconciler does the same.
    async fn refill(&self, id: BroadcastId) {
        match self.store.ready(Some(id), reconcile::HORIZON, self.window()).await {
            Ok(work) => self.publish(work).await,
            Err(error) => self.trouble.say("cannot look for ready work", &error),
        }
    }

    async fn publish(&self, work: Vec<ReadyWork>) {
        if work.is_empty() {
            return;
        }
        // Each engine says once when it goes away; this says that it lasts.
        match self.queue.publish(work).await {
            Ok(()) => self.trouble.over(CANNOT_QUEUE),
            Err(error) => self.trouble.say(CANNOT_QUEUE, &error),
        }
    }
}

/// The fan-out of one process. A cheap handle.
#[derive(Clone)]
pub struct Service {
    worker: Arc<Worker>,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").field("settings", &self.worker.settings).finish_non_exhaustive()
    }
}

/// Which parts a process runs (`serve --role`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Accepts and sends.
    All,
    /// Accepts only.
    Api,
    /// Sends only.
    Worker,
}

impl Role {
    /// The word of the command line.
    pub const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

impl Service {
    /// Starts the parts of `role` on the current runtime.
    pub fn start(
        store: Arc<dyn Store>,
        queue: Arc<dyn Queue>,
        gateways: Arc<dyn Gateways>,
        meter: Arc<dyn Meter>,
        clock: SharedClock,
        settings: Settings,
        role: Role,
    ) -> Self {
        let (fleet, trouble) = (pace::Fleet::of(&queue), Trouble::default());
        let worker = Arc::new(Worker {
            senders: sender::Senders::new(clock.clone(), fleet.clone()),
            actives: active::Actives::new(clock.clone(), fleet),
            begun: begun::Begun::new(clock.now()),
            slots: slots::Slots::new(settings.shards_in_flight),
            templates: templates::Templates::default(),
            suspects: Arc::new(Semaphore::new(1)),
            trouble,
            shutdown: CancellationToken::new(),
            tasks: TaskTracker::new(),
            store,
            queue,
            gateways,
            meter,
            clock,
            settings,
        });
        if role != Role::Api {
            dispatch::start(&worker);
            control::start(&worker);
            reconcile::start(&worker);
            housekeeping::start(&worker);
            holds::start(&worker);
        }
        Self { worker }
    }

    /// Accepts a broadcast: durable when this returns.
    pub async fn accept(&self, new: NewBroadcast) -> Result<Accepted, AcceptError> {
        let accepted = self.worker.store.accept(new).await?;
        self.worker.publish(accepted.work.clone()).await;
        Ok(accepted)
    }

    /// How long the messages would be that templates make of these properties: by platform, the longest of what the
    /// audience's first targets would get. Platforms without a gateway, and those whose templates make nothing that can be
    /// sent, are left out. Changes nothing.
    pub async fn measure(
        &self,
        hub: HubId,
        request: &BroadcastRequest,
        audience: &Audience,
    ) -> Result<BTreeMap<Platform, usize>, StoreError> {
        measure::measure(&self.worker, hub, request, audience).await
    }

    /// Writes a wish down and tells every node.
    pub async fn wish(&self, hub: HubId, id: BroadcastId, wish: Wish) -> Result<Broadcast, ControlError> {
        let broadcast = self.worker.store.wish(hub, id, wish).await?;
        self.poke(id).await;
        Ok(broadcast)
    }

    /// Changes a broadcast's pace and tells every node.
    pub async fn set_rate(&self, hub: HubId, id: BroadcastId, per_second: u32) -> Result<Broadcast, ControlError> {
        let broadcast = self.worker.store.set_rate(hub, id, per_second).await?;
        self.poke(id).await;
        Ok(broadcast)
    }

    async fn poke(&self, id: BroadcastId) {
        if let Err(error) = self.worker.queue.poke(Poke(id)).await {
            self.worker.trouble.say("cannot poke the other nodes, which look each second", &error);
        }
    }

    /// What fails again and again, for other parts of the same process.
    pub fn trouble(&self) -> &Trouble {
        &self.worker.trouble
    }

    /// Senders of a hub that cannot send now, here or in another process, and why.
    pub fn blocked_senders(&self, hub: HubId) -> BTreeMap<Platform, Hold> {
        self.worker.senders.blocked(hub)
    }

    /// Lets a paused sender go on in every process: by hand, or because its settings changed. Answers whether it was
    /// paused.
    pub async fn resume_sender(&self, hub: HubId, platform: Platform) -> Result<bool, StoreError> {
        let was = holds::release(&self.worker, hub, platform, None).await?;
        reconcile::once(&self.worker).await;
        Ok(was)
    }

    /// A sender got a new account, here or in another process: what kept the old one is over. (Its record ended with the
    /// change.)
    pub async fn renew_sender(&self, hub: HubId, platform: Platform) {
        self.worker.senders.renew(hub, platform);
        reconcile::once(&self.worker).await;
    }

    /// Takes in what all processes have noted of senders, up to the store's revision `read_at` at least; those of other
    /// hubs than `is_there` says are forgotten.
    pub async fn learn_senders(&self, read_at: u64, is_there: impl Fn(HubId) -> bool) -> Result<(), StoreError> {
        let records = self.worker.store.senders().await?;
        self.worker.senders.learn(records, read_at);
        self.worker.senders.retain(is_there);
        Ok(())
    }

    /// Takes no new work, lets what runs finish or hand back, and answers whether all did within that time.
    pub async fn stop(&self, within: Duration) -> bool {
        self.worker.shutdown.cancel();
        self.worker.tasks.close();
        let all = tokio::time::timeout(within, self.worker.tasks.wait()).await.is_ok();
        // What was taken from the queue and not begun is for others, at once. If that fails they wait a little.
        let _ = tokio::time::timeout(LEAVING, self.worker.queue.leave()).await;
        all
    }
}
