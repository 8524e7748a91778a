//! The line of batches in front of a gateway: two lanes, bounded, from which one task starts as many requests as may be
//! open. Transactional goes first. Stop flags and deadlines are looked at before each start and at every tick.

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::ticket::{Job, Ticket};
use super::tuning::Tuning;
use crate::clock::SharedClock;
use crate::gateway::client_runtime::ClientRuntime;
use crate::gateway::transport::GatewayMeter;
use crate::gateway::{Batch, Unsent};
use crate::model::broadcast::Lane;

/// Batches that wait in each lane; more make their worker wait.
const LANE_BATCHES: usize = 4;

/// What a gateway does with one target, or with as many as one request may name.
pub(in crate::gateway) trait Deliver: Send + Sync + 'static {
    /// The most targets of one ticket.
    const AT_ONCE: usize = 1;

    /// Sends to them and answers for them.
    fn deliver(self: Arc<Self>, ticket: Ticket) -> impl Future<Output = ()> + Send;
}

/// Where batches go in.
#[derive(Debug)]
pub(in crate::gateway) struct Line {
    lanes: [mpsc::Sender<Batch>; 2],
    tasks: TaskTracker,
    /// Nothing more is started.
    closing: CancellationToken,
    /// What is under way ends.
    ending: CancellationToken,
}

impl Line {
    pub(in crate::gateway) fn open<W: Deliver>(
        way: Arc<W>,
        runtime: Arc<ClientRuntime>,
        meter: Arc<GatewayMeter>,
        clock: SharedClock,
        tuning: &Tuning,
    ) -> Self {
        let (urgent, urgent_in) = mpsc::channel(1);
        let (bulk, bulk_in) = mpsc::channel(1);
        let (tasks, closing, ending) = (TaskTracker::new(), CancellationToken::new(), CancellationToken::new());
        let starter = Starter {
            way,
            runtime: Arc::clone(&runtime),
            meter,
            clock,
            tasks: tasks.clone(),
            arriving: [urgent_in, bulk_in],
            waiting: Default::default(),
            slots: Arc::new(Semaphore::new(tuning.in_flight.max(1))),
            tick: tuning.tick,
            closing: closing.clone(),
            ending: ending.clone(),
        };
        runtime.spawn(&tasks, starter.run());
        Self { lanes: [urgent, bulk], tasks, closing, ending }
    }

    pub(in crate::gateway) async fn submit(&self, batch: Batch) {
        let lane = usize::from(batch.request.lane == Lane::Bulk);
        if let Err(mpsc::error::SendError(batch)) = self.lanes[lane].send(batch).await {
            Job::new(batch).hand_back(Unsent::Closed);
        }
    }

    pub(in crate::gateway) fn tasks(&self) -> &TaskTracker {
        &self.tasks
    }

    pub(in crate::gateway) async fn close(&self, within: Duration) {
        self.closing.cancel();
        self.tasks.close();
        if tokio::time::timeout(within, self.tasks.wait()).await.is_err() {
            self.ending.cancel();
            self.tasks.wait().await;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.closing.cancel();
    }
}

struct Starter<W> {
    way: Arc<W>,
    runtime: Arc<ClientRuntime>,
    meter: Arc<GatewayMeter>,
    clock: SharedClock,
    tasks: TaskTracker,
    arriving: [mpsc::Receiver<Batch>; 2],
    /// The first of a lane may be partly started.
    waiting: [VecDeque<Job>; 2],
    slots: Arc<Semaphore>,
    tick: Duration,
    closing: CancellationToken,
    ending: CancellationToken,
}

enum Next {
    Closing,
    Arrived(Batch),
    Slot(OwnedSemaphorePermit),
    Tick,
}

impl<W: Deliver> Starter<W> {
    async fn run(mut self) {
        loop {
            self.sweep();
            match self.next().await {
                Next::Closing => break,
                Next::Arrived(batch) => {
                    let job = Job::new(batch);
                    self.waiting[usize::from(job.lane() == Lane::Bulk)].push_back(job);
                }
                Next::Slot(slot) => self.start(slot),
                Next::Tick => {}
            }
        }
        self.arriving.iter_mut().for_each(mpsc::Receiver::close);
        for lane in 0..2 {
            // Until the last batch of whoever is sending right now.
            while let Some(batch) = self.arriving[lane].recv().await {
                Job::new(batch).hand_back(Unsent::Closed);
            }
            self.waiting[lane].drain(..).for_each(|job| job.hand_back(Unsent::Closed));
        }
    }

    async fn next(&mut self) -> Next {
        let has_work = self.waiting.iter().any(|lane| !lane.is_empty());
        let [urgent_room, bulk_room] = [0, 1].map(|lane: usize| self.waiting[lane].len() < LANE_BATCHES);
        let [urgent, bulk] = &mut self.arriving;
        tokio::select! {
            biased;
            () = self.closing.cancelled() => Next::Closing,
            Some(batch) = urgent.recv(), if urgent_room => Next::Arrived(batch),
            Some(batch) = bulk.recv(), if bulk_room => Next::Arrived(batch),
            Ok(slot) = Arc::clone(&self.slots).acquire_owned(), if has_work => Next::Slot(slot),
            () = tokio::time::sleep(self.tick), if has_work => Next::Tick,
        }
    }

    /// Hands back what may not be started any more.
    fn sweep(&mut self) {
        let now = self.clock.boot();
        for lane in &mut self.waiting {
            for at in (0..lane.len()).rev() {
                let why = if lane[at].is_started() { Some(None) } else { lane[at].refusal(now).map(Some) };
                if let Some(why) = why
                    && let Some(job) = lane.remove(at)
                    && let Some(why) = why
                {
                    job.hand_back(why);
                }
            }
        }
    }

    fn start(&mut self, slot: OwnedSemaphorePermit) {
        let Some(ticket) = self.waiting.iter_mut().flatten().find_map(|job| job.start(W::AT_ONCE)) else { return };
        let (way, meter, ending) = (Arc::clone(&self.way), Arc::clone(&self.meter), self.ending.clone());
        self.runtime.spawn(&self.tasks, async move {
            meter.add_streams(1);
            tokio::select! {
                () = ending.cancelled() => {}
                () = way.deliver(ticket) => {}
            }
            meter.add_streams(-1);
            drop(slot);
        });
    }
}
