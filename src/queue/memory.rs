//! The in-process queue: two lanes, due times, and turns over hubs and broadcasts.
//!
//! It lives and dies with the process, which is no loss: at the next start the reconciler issues what is unfinished.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};

use super::{Delivery, Poke, Queue, Receipt, Result};
use crate::clock::SharedClock;
use crate::model::broadcast::Lane;
use crate::model::id::{BroadcastId, HubId};
use crate::model::time::Timestamp;
use crate::store::{ReadyWork, Work};

/// How many pokes a slow listener may miss before it is told so; it reads all standings then.
const POKES_KEPT: usize = 1_024;

/// The in-process engine of [`Queue`].
#[derive(Debug)]
pub struct MemoryQueue {
    clock: SharedClock,
    lanes: [Mutex<LaneState>; 2],
    arrived: [Notify; 2],
    pokes: broadcast::Sender<Poke>,
}

#[derive(Debug, Default)]
struct LaneState {
    /// Everything queued or handed out and not acknowledged, so that nothing is queued twice.
    known: HashMap<Work, Standing>,
    /// Not yet due, by due time and arrival.
    delayed: BTreeMap<(Timestamp, u64), ReadyWork>,
    /// Due, in turn over hubs.
    due: Turns<HubId, Turns<BroadcastId, VecDeque<ReadyWork>>>,
    /// What was handed out under which number, so that only the latest handing out can be acknowledged.
    handed: HashMap<u64, Work>,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
enum Standing {
    Delayed(Timestamp, u64),
    Due,
    Handed,
}

/// Takes turns by weight: each key pays 1/weight of a turn, the one that has paid least goes next. A key that comes
/// back after a pause joins at the present, so that it cannot claim the turns it was not there for.
#[derive(Debug)]
struct Turns<K, V> {
    keys: BTreeMap<K, Turn<V>>,
    present: u64,
}

#[derive(Debug)]
struct Turn<V> {
    paid: u64,
    weight: u32,
    entries: V,
}

/// What one turn of weight 1 costs: a multiple of many small weights, so that shares come out exact.
const TURN: u64 = 5_040;

impl<K, V> Default for Turns<K, V> {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), present: 0 }
    }
}

impl<K: Ord + Copy, V: Default> Turns<K, V> {
    fn entry(&mut self, key: K, weight: u32) -> &mut V {
        let present = self.present;
        let turn = self.keys.entry(key).or_insert_with(|| Turn { paid: present, weight, entries: V::default() });
        turn.weight = weight.max(1);
        &mut turn.entries
    }

    /// Takes one from the key whose turn it is; `take` answers whether that key has nothing left.
    fn take<T>(&mut self, take: impl FnOnce(&mut V) -> (Option<T>, bool)) -> Option<T> {
        let key = *self.keys.iter().min_by_key(|(_, turn)| turn.paid)?.0;
        let turn = self.keys.get_mut(&key)?;
        self.present = turn.paid;
        turn.paid += TURN / u64::from(turn.weight);
        let (taken, empty) = take(&mut turn.entries);
        if empty {
            self.keys.remove(&key);
        }
        taken
    }
}

impl LaneState {
    fn publish(&mut self, work: ReadyWork, now: Timestamp) {
        match self.known.get(&work.work) {
            Some(Standing::Delayed(due, number)) if work.due < *due => {
                self.delayed.remove(&(*due, *number));
            }
            Some(_) => return,
            None => {}
        }
        if work.due <= now {
            self.known.insert(work.work, Standing::Due);
            self.make_due(work);
        } else {
            let number = self.number();
            self.known.insert(work.work, Standing::Delayed(work.due, number));
            self.delayed.insert((work.due, number), work);
        }
    }

    fn make_due(&mut self, work: ReadyWork) {
        self.due.entry(work.hub, 1).entry(work.work.broadcast(), work.weight).push_back(work);
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Moves what has become due.
    fn mature(&mut self, now: Timestamp) {
        while let Some(first) = self.delayed.first_entry() {
            if first.key().0 > now {
                break;
            }
            let work = first.remove();
            self.known.insert(work.work, Standing::Due);
            self.make_due(work);
        }
    }

    fn take(&mut self) -> Option<Delivery> {
        let work = self.due.take(|broadcasts| {
            let taken = broadcasts.take(|entries| (entries.pop_front(), entries.is_empty()));
            (taken, broadcasts.keys.is_empty())
        })?;
        let receipt = self.number();
        self.known.insert(work.work, Standing::Handed);
        self.handed.insert(receipt, work.work);
        let place = work.lane as usize;
        let receipt = Receipt { work: work.work, place, number: (receipt, 0) };
        Some(Delivery { work, receipt })
    }

    /// Forgets an entry that was handed out; answers whether it was.
    fn settle(&mut self, receipt: &Receipt) -> bool {
        let work = self.handed.remove(&receipt.number.0);
        work.is_some_and(|work| self.known.remove(&work).is_some())
    }

    fn oldest(&self) -> Option<Timestamp> {
        let queued = self.due.keys.values().flat_map(|hub| hub.entries.keys.values());
        queued.filter_map(|broadcast| broadcast.entries.front()).map(|work| work.due).min()
    }
}

impl MemoryQueue {
    /// An empty queue that tells due times by `clock`.
    pub fn new(clock: SharedClock) -> Self {
        Self { clock, lanes: Default::default(), arrived: Default::default(), pokes: broadcast::channel(POKES_KEPT).0 }
    }
}

/// Handed-out entries go back when the receiver's future is dropped before it answered; there is no await between
/// taking and answering, so nothing can be lost here.
#[async_trait]
impl Queue for MemoryQueue {
    async fn publish(&self, entries: Vec<ReadyWork>) -> Result<()> {
        let now = self.clock.now();
        for work in entries {
            let lane = work.lane as usize;
            self.lanes[lane].lock().publish(work, now);
            self.arrived[lane].notify_one();
        }
        Ok(())
    }

    async fn receive(&self, lane: Lane, max: usize) -> Result<Vec<Delivery>> {
        let lane = lane as usize;
        loop {
            // Subscribed before looking, so that an entry that comes in between wakes us.
            let arrived = self.arrived[lane].notified();
            let next_due = {
                let mut state = self.lanes[lane].lock();
                state.mature(self.clock.now());
                let taken: Vec<_> = std::iter::from_fn(|| state.take()).take(max).collect();
                if !taken.is_empty() {
                    if !state.due.keys.is_empty() {
                        self.arrived[lane].notify_one();
                    }
                    return Ok(taken);
                }
                state.delayed.first_key_value().map(|((due, _), _)| *due)
            };
            match next_due {
                None => arrived.await,
                Some(due) => {
                    // Looked at again at least each second, because the wall clock may be set.
                    let wait = due.since(self.clock.now()).clamp(Duration::from_millis(1), Duration::from_secs(1));
                    drop(tokio::time::timeout(wait, arrived).await);
                }
            }
        }
    }

    async fn acknowledge(&self, receipts: Vec<Receipt>) -> Result<()> {
        for receipt in receipts {
            if let Some(lane) = self.lanes.get(receipt.place) {
                lane.lock().settle(&receipt);
            }
        }
        Ok(())
    }

    async fn give_back(&self, deliveries: Vec<Delivery>, after: Duration) -> Result<()> {
        let now = self.clock.now();
        for Delivery { mut work, receipt } in deliveries {
            let lane = receipt.place;
            let mut state = self.lanes[lane].lock();
            if state.settle(&receipt) {
                work.due = if after.is_zero() { work.due } else { now.plus(after) };
                state.publish(work, now);
                self.arrived[lane].notify_one();
            }
        }
        Ok(())
    }

    async fn poke(&self, poke: Poke) -> Result<()> {
        // Nobody listening is no failure: standings are read each second anyway.
        drop(self.pokes.send(poke));
        Ok(())
    }

    fn pokes(&self) -> broadcast::Receiver<Poke> {
        self.pokes.subscribe()
    }

    async fn oldest(&self, lane: Lane) -> Result<Option<Timestamp>> {
        Ok(self.lanes[lane as usize].lock().oldest())
    }

    async fn ping(&self) -> Result<()> {
        Ok(())
    }
}
