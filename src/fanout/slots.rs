//! Slots: how many shards may send at once, per hub, platform and lane in each process.
//!
//! No gateway waits for another, and bulk never makes transactional wait: each (hub, platform, lane) has slots of its
//! own. Who gets a free one goes in turn over broadcasts by weight, so that a broadcast of ten million puts nobody
//! behind it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::model::broadcast::Lane;
use crate::model::id::{BroadcastId, HubId};
use crate::model::platform::Platform;

/// Whose slots.
pub(super) type SlotKey = (HubId, Platform, Lane);

/// All slots of this process.
#[derive(Clone, Debug)]
pub(super) struct Slots {
    each: usize,
    pools: Arc<Mutex<HashMap<SlotKey, Pool>>>,
}

#[derive(Debug, Default)]
struct Pool {
    taken: usize,
    waiting: BTreeMap<BroadcastId, Waiting>,
    /// What the last one served had paid: newcomers join here.
    present: u64,
}

#[derive(Debug)]
struct Waiting {
    paid: u64,
    weight: u32,
    tickets: VecDeque<oneshot::Sender<Slot>>,
}

/// What one turn of weight 1 costs.
const TURN: u64 = 5_040;

/// The right to send; given up when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    key: SlotKey,
    /// Its broadcast's, for the next turn.
    pub weight: u32,
    /// `None` once it was given back.
    slots: Option<Slots>,
}

impl Slots {
    /// `each` slots for every hub, platform and lane.
    pub(super) fn new(each: usize) -> Self {
        Self { each: each.max(1), pools: Arc::default() }
    }

    /// Waits for a slot. Dropping the future gives up the place in the line.
    pub(super) async fn take(&self, key: SlotKey, broadcast: BroadcastId, weight: u32) -> Slot {
        loop {
            let ticket = {
                let mut pools = self.pools.lock();
                let pool = pools.entry(key).or_default();
                if pool.taken < self.each && pool.waiting.is_empty() {
                    pool.taken += 1;
                    return Slot { key, weight, slots: Some(self.clone()) };
                }
                let present = pool.present;
                let waiting = pool.waiting.entry(broadcast).or_insert_with(|| Waiting {
                    paid: present,
                    weight: 1,
                    tickets: VecDeque::new(),
                });
                waiting.weight = weight.max(1);
                let (ticket, turn) = oneshot::channel();
                waiting.tickets.push_back(ticket);
                turn
            };
            if let Ok(slot) = ticket.await {
                return slot;
            }
        }
    }

    /// Hands a slot that became free to whose turn it is.
    fn release(&self, key: SlotKey) {
        let mut pools = self.pools.lock();
        let Some(pool) = pools.get_mut(&key) else { return };
        while let Some(turn) = pool.waiting.iter().min_by_key(|(_, waiting)| waiting.paid).map(|(id, _)| *id) {
            let Some(waiting) = pool.waiting.get_mut(&turn) else { break };
            pool.present = waiting.paid;
            let (ticket, weight) = (waiting.tickets.pop_front(), waiting.weight);
            waiting.paid += TURN / u64::from(waiting.weight);
            if waiting.tickets.is_empty() {
                pool.waiting.remove(&turn);
            }
            let Some(ticket) = ticket else { continue };
            match ticket.send(Slot { key, weight, slots: Some(self.clone()) }) {
                Ok(()) => return,
                // Its future was dropped: the next one. This slot must not release itself while we hold the lock.
                Err(mut unwanted) => unwanted.slots = None,
            }
        }
        pool.taken -= 1;
        if pool.taken == 0 {
            pools.remove(&key);
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.release(self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::broadcast::Lane;
    use futures_util::FutureExt;

    const KEY: SlotKey = (HubId(1), Platform::Apns, Lane::Bulk);

    #[tokio::test]
    async fn lanes_and_platforms_do_not_wait_for_each_other() {
        let slots = Slots::new(1);
        let id = BroadcastId::new(1);
        let _held = slots.take(KEY, id, 1).await;
        assert!(slots.take(KEY, id, 1).now_or_never().is_none());
        assert!(slots.take((HubId(1), Platform::Apns, Lane::Transactional), id, 1).now_or_never().is_some());
        assert!(slots.take((HubId(1), Platform::Fcm, Lane::Bulk), id, 1).now_or_never().is_some());
        assert!(slots.take((HubId(2), Platform::Apns, Lane::Bulk), id, 1).now_or_never().is_some());
    }

    #[tokio::test]
    async fn a_newcomer_is_next_but_one_whatever_the_line_before_it() {
        let slots = Slots::new(1);
        let (big, small) = (BroadcastId::new(1), BroadcastId::new(2));
        let held = slots.take(KEY, big, 1).await;
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for (name, id) in [("big", big), ("big", big), ("big", big), ("small", small)] {
            let (slots, order) = (slots.clone(), order.clone());
            tasks.push(tokio::spawn(async move {
                let slot = slots.take(KEY, id, 1).await;
                order.lock().push(name);
                drop(slot);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        assert!(order.lock()[..2].contains(&"small"), "{:?}", order.lock());
    }

    #[tokio::test]
    async fn a_place_given_up_is_no_slot_lost() {
        let slots = Slots::new(1);
        let id = BroadcastId::new(1);
        let held = slots.take(KEY, id, 1).await;
        assert!(slots.take(KEY, id, 1).now_or_never().is_none());
        drop(held);
        assert!(slots.take(KEY, id, 1).now_or_never().is_some());
    }
}
