//! What waits for a connection. All connections of a gateway, whatever thread they live on, take from here as they have
//! room: no connection has a queue of its own, so none holds back what another could send.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::job::{Item, Job, Outbox};
use crate::clock::BootInstant;
use crate::gateway::Unsent;
use crate::model::broadcast::Lane;
use crate::model::verdict::{Reason, Verdict};

/// Targets that may wait in a lane, per connection: enough that a connection never runs dry while a worker reads rows.
const ROOM_PER_CONNECTION: usize = 2_000;

#[derive(Debug)]
pub(in crate::gateway) struct Intake {
    lanes: Mutex<Lanes>,
    room: [Arc<Semaphore>; 2],
    /// The most permits that one batch may take: a lane's whole room.
    widest: u32,
    bells: Mutex<Vec<Arc<AtomicWaker>>>,
}

#[derive(Debug, Default)]
struct Lanes {
    lanes: [LaneQueue; 2],
    closed: bool,
}

#[derive(Debug, Default)]
struct LaneQueue {
    /// Targets that came back from a connection; they go first.
    again: VecDeque<Item>,
    fresh: VecDeque<Fresh>,
}

/// A batch, from its first target that was not taken.
#[derive(Debug)]
struct Fresh {
    job: Arc<Job>,
    next: usize,
    _room: Option<OwnedSemaphorePermit>,
}

impl Fresh {
    fn hand_back(mut self, why: Unsent) {
        let from = std::mem::replace(&mut self.next, usize::MAX);
        self.job.hand_back(from, why);
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        self.job.hand_back(self.next, Unsent::Closed);
    }
}

/// How many targets a connection can take.
#[derive(Clone, Copy, Debug)]
pub(in crate::gateway) struct Room {
    pub(in crate::gateway) any: usize,
    /// Of these, how many may be bulk.
    pub(in crate::gateway) bulk: usize,
}

/// Streams that bulk leaves free: 5 %, at least one, none while only one is open.
pub(in crate::gateway) fn reserved(limit: usize) -> usize {
    if limit < 2 { 0 } else { (limit / 20).max(1) }
}

impl Intake {
    pub(in crate::gateway) fn new(connections: usize) -> Self {
        let targets = connections.max(1).saturating_mul(ROOM_PER_CONNECTION).min(Semaphore::MAX_PERMITS);
        let widest = u32::try_from(targets).unwrap_or(u32::MAX);
        Self {
            lanes: Mutex::default(),
            room: std::array::from_fn(|_| Arc::new(Semaphore::new(targets))),
            widest,
            bells: Mutex::default(),
        }
    }

    /// Waits for room for that many targets; `None`: the gateway closes.
    pub(in crate::gateway) async fn room(&self, lane: Lane, targets: usize) -> Option<OwnedSemaphorePermit> {
        let wanted = u32::try_from(targets).unwrap_or(u32::MAX).min(self.widest);
        Arc::clone(&self.room[lane as usize]).acquire_many_owned(wanted).await.ok()
    }

    /// Takes batches of one lane in, for which there is this room.
    pub(in crate::gateway) fn push(&self, jobs: Vec<Job>, mut room: OwnedSemaphorePermit) {
        let mut lanes = self.lanes.lock();
        for job in jobs {
            // More than there is room for at all waited for all of it.
            let own = room.split(job.batch.targets.len().min(room.num_permits()));
            let lane = job.lane() as usize;
            let fresh = Fresh { job: Arc::new(job), next: 0, _room: own };
            if lanes.closed {
                fresh.hand_back(Unsent::Closed);
            } else {
                lanes.lanes[lane].fresh.push_back(fresh);
            }
        }
        drop(lanes);
        self.ring();
    }

    /// Puts targets back that a connection did not send, or that are surely safe to send again.
    pub(in crate::gateway) fn give_back(&self, items: impl IntoIterator<Item = Item>, outbox: &mut Outbox) {
        let mut lanes = self.lanes.lock();
        for item in items {
            if lanes.closed {
                item.unsent(Unsent::Closed, outbox);
            } else {
                let lane = item.job().lane() as usize;
                lanes.lanes[lane].again.push_back(item);
            }
        }
        drop(lanes);
        self.ring();
    }

    /// Takes what there is room for, transactional first. Looks at stop flag and deadline of each batch it takes from
    /// and hands back what may not be written.
    pub(in crate::gateway) fn take(&self, room: Room, now: BootInstant, into: &mut Vec<Item>, outbox: &mut Outbox) {
        let mut taken = 0;
        let mut lanes = self.lanes.lock();
        for lane in Lane::ALL {
            let limit = if lane == Lane::Bulk { room.any.min(taken + room.bulk) } else { room.any };
            taken += lanes.lanes[lane as usize].take(limit.saturating_sub(taken), now, into, outbox);
        }
    }

    /// Whether anything waits.
    pub(in crate::gateway) fn has_work(&self) -> bool {
        self.lanes.lock().lanes.iter().any(|lane| !lane.again.is_empty() || !lane.fresh.is_empty())
    }

    /// Hands back what may no longer be written, and what is given up because it cannot be.
    pub(in crate::gateway) fn sweep(&self, now: BootInstant, given_up: impl Fn(&Job) -> bool, outbox: &mut Outbox) {
        let mut lanes = self.lanes.lock();
        for lane in &mut lanes.lanes {
            for item in std::mem::take(&mut lane.again) {
                match item.job().refusal(now) {
                    Some(why) => item.unsent(why, outbox),
                    None if given_up(item.job()) => {
                        item.verdict(Verdict::ConnSafe, Some(Reason::known("no connection")), outbox);
                    }
                    None => lane.again.push_back(item),
                }
            }
            for fresh in std::mem::take(&mut lane.fresh) {
                match fresh.job.refusal(now) {
                    Some(why) => fresh.hand_back(why),
                    None if given_up(&fresh.job) => fresh.hand_back(Unsent::Unreachable),
                    None => lane.fresh.push_back(fresh),
                }
            }
        }
    }

    /// Takes nothing any more and hands back what waits.
    pub(in crate::gateway) fn close(&self) {
        for room in &self.room {
            room.close();
        }
        let mut outbox = Outbox::default();
        let mut lanes = self.lanes.lock();
        lanes.closed = true;
        for lane in &mut lanes.lanes {
            lane.again.drain(..).for_each(|item| item.unsent(Unsent::Closed, &mut outbox));
            lane.fresh.drain(..).for_each(|fresh| fresh.hand_back(Unsent::Closed));
        }
        drop(lanes);
        self.ring();
    }

    /// A bell that rings whenever something arrives.
    pub(in crate::gateway) fn bell(self: &Arc<Self>) -> Bell {
        let waker = Arc::new(AtomicWaker::new());
        self.bells.lock().push(Arc::clone(&waker));
        Bell { intake: Arc::clone(self), waker }
    }

    fn ring(&self) {
        for bell in self.bells.lock().iter() {
            bell.wake();
        }
    }
}

impl LaneQueue {
    fn take(&mut self, limit: usize, now: BootInstant, into: &mut Vec<Item>, outbox: &mut Outbox) -> usize {
        let mut taken = 0;
        while taken < limit {
            let Some(item) = self.again.pop_front() else { break };
            match item.job().refusal(now) {
                Some(why) => item.unsent(why, outbox),
                None => {
                    into.push(item);
                    taken += 1;
                }
            }
        }
        while taken < limit {
            let Some(fresh) = self.fresh.front_mut() else { break };
            let refusal = fresh.job.refusal(now);
            let until = fresh.job.batch.targets.len().min(fresh.next + (limit - taken));
            if refusal.is_none() {
                taken += until - fresh.next;
                into.extend((fresh.next..until).map(|at| Item::new(Arc::clone(&fresh.job), at)));
                fresh.next = until;
            }
            if (refusal.is_some() || until == fresh.job.batch.targets.len())
                && let Some(fresh) = self.fresh.pop_front()
            {
                fresh.hand_back(refusal.unwrap_or(Unsent::Closed));
            }
        }
        taken
    }
}

/// One listener for arrivals.
#[derive(Debug)]
pub(in crate::gateway) struct Bell {
    intake: Arc<Intake>,
    waker: Arc<AtomicWaker>,
}

impl Bell {
    /// Wakes `waker` at the next arrival. Register first, look second.
    pub(in crate::gateway) fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    /// Waits until something is there to be taken.
    pub(in crate::gateway) async fn work(&self) {
        std::future::poll_fn(|cx| {
            self.register(cx.waker());
            if self.intake.has_work() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
    }
}

impl Drop for Bell {
    fn drop(&mut self) {
        self.intake.bells.lock().retain(|bell| !Arc::ptr_eq(bell, &self.waker));
    }
}

#[cfg(test)]
mod tests;
