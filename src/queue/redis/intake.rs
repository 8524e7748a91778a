//! Receiving: tasks that take entries while somebody waits for them, and a shelf between.
//!
//! A call that was sent to Redis cannot be taken back: its answer may hand us an entry. So the calls belong to tasks,
//! one for each place, and a dropped receiver leaves nothing behind but an entry on the shelf, for the next receiver or,
//! when there is none for a moment, for another process.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use deadpool_redis::redis::{RedisError, RedisResult};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use super::super::Delivery;
use super::link::{LIMIT, Link};
use super::node::Node;
use crate::clock::BootInstant;
use crate::model::broadcast::Lane;

/// How long one wait for entries lasts: what becomes due meanwhile is late by no more.
const PATIENCE: Duration = Duration::from_millis(200);

/// How long an entry stays on the shelf though nobody waits.
const SHELF_LIFE: Duration = Duration::from_millis(200);

/// Entries taken at once at most.
const AT_ONCE: usize = 64;

/// How long to rest after a failure that is no outage: something is wrong there, and asking again at once is no help.
const REST: Duration = Duration::from_secs(1);

/// One lane of this process.
#[derive(Debug, Default)]
pub(super) struct Intake {
    shelf: Mutex<VecDeque<Delivery>>,
    arrived: Notify,
    /// How many entries receivers wait for.
    wanted: watch::Sender<usize>,
}

/// Somebody waits for so many; not any more when dropped.
struct Wanting<'a>(&'a Intake, usize);

impl Drop for Wanting<'_> {
    fn drop(&mut self) {
        self.0.wanted.send_modify(|wanted| *wanted -= self.1);
    }
}

impl Intake {
    /// Starts the tasks of a lane; `closed` ends them.
    pub(super) fn start(self: &Arc<Self>, node: &Arc<Node>, lane: Lane, closed: &CancellationToken) {
        for place in node.wire.places.of_lane(lane) {
            let (intake, node) = (self.clone(), node.clone());
            let puller = Puller { intake, node, place, link: None, recover: true, reclaimed: None };
            tokio::spawn(closed.clone().run_until_cancelled_owned(puller.run()));
        }
    }

    /// Waits for entries.
    pub(super) async fn receive(&self, max: usize) -> Vec<Delivery> {
        let max = max.max(1);
        self.wanted.send_modify(|wanted| *wanted += max);
        let _wanting = Wanting(self, max);
        loop {
            // Subscribed before looking, so that an entry that comes in between wakes us.
            let arrived = self.arrived.notified();
            {
                let mut shelf = self.shelf.lock();
                if !shelf.is_empty() {
                    let some = max.min(shelf.len());
                    let taken = shelf.drain(..some).collect();
                    if !shelf.is_empty() {
                        self.arrived.notify_one();
                    }
                    return taken;
                }
            }
            arrived.await;
        }
    }

    fn put(&self, deliveries: Vec<Delivery>) {
        if !deliveries.is_empty() {
            self.shelf.lock().extend(deliveries);
            self.arrived.notify_one();
        }
    }

    /// What lies on the shelf of a place.
    fn clear(&self, place: usize) -> Vec<Delivery> {
        let mut shelf = self.shelf.lock();
        let (out, kept) = shelf.drain(..).partition(|delivery| delivery.receipt.place == place);
        *shelf = kept;
        Vec::from(out)
    }

    fn has(&self, place: usize) -> bool {
        self.shelf.lock().iter().any(|delivery| delivery.receipt.place == place)
    }
}

/// Takes entries of one place.
struct Puller {
    intake: Arc<Intake>,
    node: Arc<Node>,
    place: usize,
    /// The connection that waits.
    link: Option<Link>,
    /// An answer may have been lost: what it handed us is to be fetched.
    recover: bool,
    /// When dead consumers were last looked for.
    reclaimed: Option<BootInstant>,
}

impl Puller {
    async fn run(mut self) {
        let mut wanted = self.intake.wanted.subscribe();
        loop {
            tokio::select! {
                // The other end is in `intake`, so this never fails.
                () = async { drop(wanted.wait_for(|wanted| *wanted > 0).await) } => {}
                () = tokio::time::sleep(SHELF_LIFE), if self.intake.has(self.place) => {
                    // What cannot be given back now grows old, and is taken over.
                    let _ = self.node.give_back(self.intake.clear(self.place), Duration::ZERO).await;
                    continue;
                }
            }
            let missing = wanted.borrow().saturating_sub(self.intake.shelf.lock().len()).min(AT_ONCE);
            if missing == 0 {
                // Those who wait were woken and come for it.
                tokio::time::sleep(Duration::from_millis(1)).await;
                continue;
            }
            if !self.turn(missing).await {
                (self.link, self.recover) = (None, true);
                if !self.node.wire.is_away(self.place) {
                    tokio::time::sleep(REST).await;
                }
                self.node.wire.back(self.place).await;
            }
        }
    }

    /// Takes what is due, or waits for it. `false` when that failed.
    async fn turn(&mut self, count: usize) -> bool {
        let now = self.node.clock.boot();
        let every = self.node.tuning.reclaim_after / 5;
        let reclaim = self.reclaimed.is_none_or(|last| now >= last.plus(every));
        let next = match self.node.take(self.place, count, reclaim, self.recover).await {
            Ok((taken, next)) => {
                self.recover = false;
                if reclaim {
                    self.reclaimed = Some(now);
                }
                if !taken.is_empty() {
                    self.intake.put(taken);
                    return true;
                }
                next
            }
            Err(error) => {
                tracing::debug!(%error, "cannot take entries");
                return false;
            }
        };
        match self.wait(count, next.unwrap_or(PATIENCE).min(PATIENCE)).await {
            Ok(taken) => {
                self.intake.put(taken);
                true
            }
            // The stream went while we waited for it: the next call makes it again.
            Err(error) if matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) => true,
            Err(error) => {
                self.node.wire.failed(self.place, &error);
                false
            }
        }
    }

    async fn wait(&mut self, count: usize, patience: Duration) -> RedisResult<Vec<Delivery>> {
        let link = match &mut self.link {
            Some(link) => link,
            none => {
                let late = |_| std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection in time");
                let fresh = tokio::time::timeout(LIMIT, self.node.wire.links.fresh()).await;
                none.insert(fresh.map_err(late).map_err(RedisError::from)??)
            }
        };
        self.node.wait(self.place, count, patience, link).await
    }
}
