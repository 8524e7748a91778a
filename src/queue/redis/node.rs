//! This process among those that share the queue: its name, what it was handed, and its steps at each place.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_redis::redis::{Cmd, FromRedisValue, RedisResult, Value, cmd, from_redis_value};
use parking_lot::Mutex;

use super::super::{Delivery, Receipt, Result};
use super::Tuning;
use super::entry;
use super::link::{LIMIT, Link};
use super::scripts::Scripts;
use super::wire::{Call, Wire};
use crate::clock::SharedClock;
use crate::store::ReadyWork;

/// The consumer group; the scripts have its name too.
const GROUP: &str = "w";

/// Entries in one call of a script: a few milliseconds of Redis' time.
const IN_ONE_CALL: usize = 250;

/// One process.
pub(super) struct Node {
    pub wire: Arc<Wire>,
    pub scripts: Scripts,
    /// Never used by another process, nor by this one after a restart.
    pub name: String,
    pub clock: SharedClock,
    pub tuning: Tuning,
    /// Processes that receive, as last known.
    pub workers: AtomicUsize,
    /// By place: the numbers of what was handed to this process and not acknowledged.
    held: Mutex<Vec<BTreeSet<(u64, u64)>>>,
    /// Acknowledgements that Redis was away for.
    owed: Mutex<Vec<Receipt>>,
}

/// An entry as a stream has it: its id, and its fields with their names.
type Fields = (String, Vec<Vec<u8>>);

/// What a script that takes entries says of each: id, work, info.
type Taken = Vec<(String, Vec<u8>, String)>;

impl Node {
    pub(super) fn new(wire: Arc<Wire>, clock: SharedClock, tuning: Tuning) -> Self {
        let held = Mutex::new(vec![BTreeSet::new(); wire.places.count()]);
        let name = format!("{:x}-{:016x}", std::process::id(), fastrand::u64(..));
        let (scripts, workers) = (Scripts::new(), AtomicUsize::new(1));
        Self { wire, scripts, name, clock, tuning, workers, held, owed: Mutex::default() }
    }

    /// Queues entries at their places.
    pub(super) async fn publish(&self, entries: Vec<ReadyWork>) -> Result<()> {
        let now = self.clock.now();
        for (place, entries) in self.by_place(entries, |entry| self.wire.places.of(entry.lane, entry.hub)) {
            for some in entries.chunks(IN_ONE_CALL) {
                let mut call = self.scripts.publish.key(self.wire.places.stream(place));
                for entry in some {
                    call.arg(entry::key(&entry.work)).arg(entry::info(entry)).arg(millis(entry.due.since(now)));
                }
                self.wire.run::<()>(place, &call).await?;
            }
        }
        Ok(())
    }

    /// Takes up to `count` entries of a place, in turn. `reclaim`: those of dead consumers first. `recover`: what was
    /// handed to this process and never arrived before all others. Also answers when the next entry is due.
    pub(super) async fn take(
        &self,
        place: usize,
        count: usize,
        reclaim: bool,
        recover: bool,
    ) -> Result<(Vec<Delivery>, Option<Duration>)> {
        let idle = if reclaim { millis(self.tuning.reclaim_after) } else { 0 };
        let mut call = self.scripts.take.key(self.wire.places.stream(place));
        call.arg(&self.name).arg(count).arg(idle).arg(u8::from(recover));
        let (next, taken): (i64, Taken) = self.wire.run(place, &call).await?;
        let next = u64::try_from(next).ok().map(Duration::from_millis);
        Ok((self.hold(place, taken), next))
    }

    /// Waits on a connection of its own until something of a place can be taken, or `patience` has passed.
    pub(super) async fn wait(
        &self,
        place: usize,
        count: usize,
        patience: Duration,
        link: &mut Link,
    ) -> RedisResult<Vec<Delivery>> {
        let mut read = cmd("XREADGROUP");
        read.arg("GROUP").arg(GROUP).arg(&self.name).arg("COUNT").arg(count);
        read.arg("BLOCK").arg(millis(patience).max(1));
        read.arg("STREAMS").arg(self.wire.places.stream(place)).arg(">");
        let late = || std::io::Error::new(std::io::ErrorKind::TimedOut, "a wait for entries was not answered");
        let answer = tokio::time::timeout(patience + LIMIT, read.query_async::<Value>(link)).await;
        let streams: Option<Vec<(String, Vec<Fields>)>> = from_redis_value(answer.map_err(|_| late())??)?;
        let entries = streams.into_iter().flatten().flat_map(|(_, entries)| entries);
        let taken = entries.filter_map(|(id, fields)| {
            let [_, work, _, info] = <[Vec<u8>; 4]>::try_from(fields).ok()?;
            Some((id, work, String::from_utf8(info).ok()?))
        });
        Ok(self.hold(place, taken.collect()))
    }

    /// Notes what was handed to this process. What it holds already is not handed out again.
    fn hold(&self, place: usize, taken: Taken) -> Vec<Delivery> {
        let Some(lane) = self.wire.places.lane(place) else { return Vec::new() };
        let owed: Vec<_> = self.owed.lock().iter().filter(|of| of.place == place).map(|of| of.number).collect();
        let mut held = self.held.lock();
        let deliveries = taken.into_iter().filter_map(|(id, key, info)| {
            let Some((number, work)) = number_of(&id).zip(entry::read(lane, &key, &info)) else {
                tracing::error!(%id, %info, "an entry of the queue cannot be read");
                return None;
            };
            let receipt = Receipt { work: work.work, place, number };
            (!owed.contains(&number) && held[place].insert(number)).then_some(Delivery { work, receipt })
        });
        deliveries.collect()
    }

    /// Forgets entries. What Redis cannot be told now it is told later.
    pub(super) async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<()> {
        let mut failed = Ok(());
        for (place, receipts) in self.by_place(receipts, |receipt| receipt.place) {
            for some in receipts.chunks(IN_ONE_CALL) {
                let mut call = self.scripts.acknowledge.key(self.wire.places.stream(place));
                for receipt in some {
                    call.arg(id(receipt)).arg(entry::key(&receipt.work));
                }
                if let Err(error) = self.wire.run::<()>(place, &call).await {
                    self.owed.lock().extend_from_slice(some);
                    failed = Err(error);
                }
                self.let_go(some.iter());
            }
        }
        failed
    }

    /// Tells Redis what it could not be told before.
    pub(super) async fn settle_debts(&self) {
        let owed = std::mem::take(&mut *self.owed.lock());
        if !owed.is_empty() {
            // What fails is owed again.
            let _ = self.acknowledge(owed).await;
        }
    }

    /// Puts entries back, each first in its broadcast when at once.
    pub(super) async fn give_back(&self, deliveries: Vec<Delivery>, after: Duration) -> Result<()> {
        let mut receipts: Vec<_> = deliveries.into_iter().map(|delivery| delivery.receipt).collect();
        // The first goes back last, so that it is the first again.
        receipts.reverse();
        for (place, receipts) in self.by_place(receipts, |receipt| receipt.place) {
            let mut call = self.scripts.give_back.key(self.wire.places.stream(place));
            call.arg(millis(after));
            for receipt in &receipts {
                call.arg(id(receipt)).arg(entry::key(&receipt.work));
            }
            // Held no more, whatever comes of it: then it grows old, and is taken over.
            self.let_go(receipts.iter());
            self.wire.run::<()>(place, &call).await?;
        }
        Ok(())
    }

    fn let_go<'a>(&self, receipts: impl Iterator<Item = &'a Receipt>) {
        let mut held = self.held.lock();
        for receipt in receipts {
            held[receipt.place].remove(&receipt.number);
        }
    }

    /// Says that this process lives and holds what it holds, and counts those that do.
    pub(super) async fn beat(&self) -> Result<()> {
        let dead = self.tuning.reclaim_after;
        for place in self.wire.places.entries() {
            let mut call = self.scripts.beat.key(self.wire.places.stream(place));
            call.arg(&self.name).arg(millis(dead * 6));
            for (major, minor) in &self.held.lock()[place] {
                call.arg(format!("{major}-{minor}"));
            }
            // Another place may take it though this one is away.
            let _ = self.wire.run::<()>(place, &call).await;
        }
        let fleet = self.wire.places.fleet();
        let mut call = self.scripts.workers.key(self.wire.places.key(fleet, "workers"));
        call.arg(&self.name).arg(millis(dead));
        let workers: usize = self.wire.run(fleet, &call).await?;
        self.workers.store(workers.max(1), Ordering::Relaxed);
        Ok(())
    }

    /// Hands over what this process holds, and is no worker any more.
    pub(super) async fn leave(&self) {
        for place in self.wire.places.entries() {
            let mut call = self.scripts.leave.key(self.wire.places.stream(place));
            call.arg(&self.name);
            self.held.lock()[place].clear();
            if self.wire.run::<()>(place, &call).await.is_err() {
                tracing::debug!("cannot hand entries over; they are taken over when they are old");
            }
        }
        let fleet = self.wire.places.fleet();
        let mut gone = cmd("ZREM");
        gone.arg(self.wire.places.key(fleet, "workers")).arg(&self.name);
        // Else the others notice within a few beats.
        let _ = self.command::<()>(fleet, &gone).await;
    }

    /// One command at a place.
    pub(super) async fn command<T: FromRedisValue>(&self, place: usize, command: &Cmd) -> Result<T> {
        self.wire.call(place, LIMIT, Call::Command(command)).await
    }

    fn by_place<T>(&self, all: Vec<T>, place: impl Fn(&T) -> usize) -> Vec<(usize, Vec<T>)> {
        let mut places: Vec<Vec<T>> = (0..self.wire.places.count()).map(|_| Vec::new()).collect();
        for one in all {
            let at = place(&one);
            places[at].push(one);
        }
        places.into_iter().enumerate().filter(|(_, some)| !some.is_empty()).collect()
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros().div_ceil(1_000)).unwrap_or(u64::MAX)
}

fn id(receipt: &Receipt) -> String {
    format!("{}-{}", receipt.number.0, receipt.number.1)
}

fn number_of(id: &str) -> Option<(u64, u64)> {
    let (major, minor) = id.split_once('-')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
