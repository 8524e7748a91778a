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
    /// Who waits, and who waited a moment ago: one whose last ticket was served comes back to what it owes, and to what
    /// it missed meanwhile, up to a turn of weight 1.
    known: BTreeMap<BroadcastId, Account>,
    /// What the last one served had paid: newcomers join here.
    present: u64,
}

#[derive(Debug)]
struct Account {
    paid: u64,
    weight: u32,
    tickets: VecDeque<oneshot::Sender<Slot>>,
}

impl Pool {
    /// Whose turn it is, if anybody waits.
    fn next(&self) -> Option<BroadcastId> {
        let waiting = self.known.iter().filter(|(_, account)| !account.tickets.is_empty());
        waiting.min_by_key(|(_, account)| account.paid).map(|(id, _)| *id)
    }
}

/// What one turn of weight 1 costs.
const TURN: u64 = 5_040;

/// The right to send; given up when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    key: SlotKey,
    broadcast: BroadcastId,
    /// Its broadcast's, for the next turn.
    pub weight: u32,
    /// What the turn cost, until it is used: a shard may be another's already, because entries can come twice. They come
    /// oftener to who has more of them, who would lose turns that it is owed if those were paid for.
    paid: u64,
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
                if pool.taken < self.each && pool.next().is_none() {
                    pool.taken += 1;
                    return Slot { key, broadcast, weight, paid: 0, slots: Some(self.clone()) };
                }
                let present = pool.present;
                let new = || Account { paid: present, weight: 1, tickets: VecDeque::new() };
                let account = pool.known.entry(broadcast).or_insert_with(new);
                if account.tickets.is_empty() {
                    account.paid = account.paid.max(present.saturating_sub(TURN));
                }
                account.weight = weight.max(1);
                let (ticket, turn) = oneshot::channel();
                account.tickets.push_back(ticket);
                turn
            };
            if let Ok(slot) = ticket.await {
                return slot;
            }
        }
    }

    /// Hands a slot that became free to whose turn it is; whoever did not use it gets back what it paid.
    fn release(&self, key: SlotKey, broadcast: BroadcastId, unused: u64) {
        let mut pools = self.pools.lock();
        let Some(pool) = pools.get_mut(&key) else { return };
        if let Some(account) = pool.known.get_mut(&broadcast) {
            account.paid = account.paid.saturating_sub(unused);
        }
        while let Some(turn) = pool.next() {
            let Some(account) = pool.known.get_mut(&turn) else { break };
            let (ticket, weight) = (account.tickets.pop_front(), account.weight);
            let Some(ticket) = ticket else { continue };
            let paid = TURN / u64::from(weight);
            match ticket.send(Slot { key, broadcast: turn, weight, paid, slots: Some(self.clone()) }) {
                Ok(()) => {
                    let present = account.paid;
                    account.paid += paid;
                    pool.present = present;
                    pool.known.retain(|_, account| !account.tickets.is_empty() || account.paid + TURN > present);
                    return;
                }
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

impl Slot {
    /// Something is being sent: from here on the turn is paid for.
    pub(super) fn used(&mut self) {
        self.paid = 0;
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if let Some(slots) = self.slots.take() {
            slots.release(self.key, self.broadcast, self.paid);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::fanout::active::Actives;
    use crate::fanout::pace::Fleet;
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
                let mut slot = slots.take(KEY, id, 1).await;
                slot.used();
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

    /// The heavier one has all of its shards but one at work, so that nothing of it waits at times.
    #[test]
    fn turns_go_by_weight_also_to_one_that_has_nothing_waiting_at_times() {
        let slots = Slots::new(4);
        let mut held = VecDeque::new();
        let mut waiting: Vec<(u32, futures_util::future::BoxFuture<'_, Slot>)> = Vec::new();
        let mut served = BTreeMap::from([(1, 0u32), (3, 0)]);
        let ids = BTreeMap::from([(1, BroadcastId::new(1)), (3, BroadcastId::new(1))]);
        let mut late = None;
        for _ in 0..4 {
            held.push_back(slots.take(KEY, BroadcastId::new(9), 1).now_or_never().unwrap());
        }
        for weight in [1, 1, 1, 3] {
            waiting.push((weight, Box::pin(slots.take(KEY, ids[&weight], weight))));
        }
        for number in 0..400 {
            for (_, turn) in &mut waiting {
                assert!(turn.now_or_never().is_none());
            }
            held.pop_front();
            let turns = waiting.iter_mut().enumerate();
            let mut got = turns.filter_map(|(n, (_, turn))| turn.now_or_never().map(|slot| (n, slot)));
            let (n, mut slot) = got.next().unwrap();
            drop(got);
            slot.used();
            held.push_back(slot);
            let (weight, _) = waiting.remove(n);
            *served.get_mut(&weight).unwrap() += 1;
            // What follows comes a turn late at times.
            let next = late.take().into_iter().chain((number % 7 > 0).then_some(weight));
            waiting.extend(next.map(|weight| -> (u32, futures_util::future::BoxFuture<'_, Slot>) {
                (weight, Box::pin(slots.take(KEY, ids[&weight], weight)))
            }));
            late = (number % 7 == 0).then_some(weight);
        }
        assert!(served[&3].abs_diff(300) <= 3, "{served:?}");
    }

    /// Shards of one size that began together end together, and what a shard held is free only after its slot.
    #[test]
    fn turns_go_by_weight_also_when_all_slots_come_free_at_once() {
        const EACH: usize = 4;
        let slots = Slots::new(EACH);
        let actives = Actives::new(SystemClock::shared(), Fleet::default());
        let broadcasts = [1, 3].map(|weight| {
            let active = actives.enter(BroadcastId::new(u64::from(weight)));
            (weight, active.id, active.places(Platform::Apns, EACH))
        });
        let mut served = BTreeMap::new();
        let (mut running, mut waiting, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..100 {
            for (weight, id, places) in &broadcasts {
                while let Ok(held) = places.try_acquire() {
                    waiting.push((*weight, Box::pin(slots.take(KEY, *id, *weight)), held));
                }
            }
            // The first look puts them into the line, the second one finds who was served.
            let mut ended = std::mem::take(&mut running);
            for _ in 0..2 {
                for (weight, mut turn, held) in std::mem::take(&mut waiting) {
                    match (&mut turn).now_or_never() {
                        Some(mut slot) => {
                            slot.used();
                            *served.entry(weight).or_insert(0u32) += 1;
                            running.push((slot, held));
                        }
                        None => waiting.push((weight, turn, held)),
                    }
                }
                kept.extend(ended.drain(..).map(|(_slot, held)| held));
            }
            kept.clear();
        }
        assert!(served[&3].abs_diff(3 * served[&1]) <= 12, "{served:?}");
    }

    /// Entries that came twice: their shards are found taken.
    #[test]
    fn turns_go_by_weight_also_when_some_of_them_come_to_nothing() {
        let slots = Slots::new(4);
        let mut held: VecDeque<Slot> = VecDeque::new();
        let mut waiting: Vec<(u32, futures_util::future::BoxFuture<'_, Slot>)> = Vec::new();
        let mut served = BTreeMap::from([(1, 0u32), (3, 0)]);
        let id = |weight: u32| BroadcastId::new(u64::from(weight));
        let ids = BTreeMap::from([(1, id(1)), (3, id(3))]);
        for _ in 0..4 {
            held.push_back(slots.take(KEY, id(9), 1).now_or_never().unwrap());
        }
        for weight in [1, 1, 1, 3, 3, 3] {
            waiting.push((weight, Box::pin(slots.take(KEY, ids[&weight], weight))));
        }
        let mut of_heavy = 0;
        while served.values().sum::<u32>() < 400 {
            for (_, turn) in &mut waiting {
                assert!(turn.now_or_never().is_none());
            }
            held.pop_front();
            loop {
                let turns = waiting.iter_mut().enumerate();
                let mut got = turns.filter_map(|(n, (_, turn))| turn.now_or_never().map(|slot| (n, slot)));
                let (n, mut slot) = got.next().unwrap();
                drop(got);
                let (weight, _) = waiting.remove(n);
                let mut again: futures_util::future::BoxFuture<'_, Slot> =
                    Box::pin(slots.take(KEY, ids[&weight], weight));
                assert!((&mut again).now_or_never().is_none());
                waiting.push((weight, again));
                of_heavy += u32::from(weight == 3);
                if weight == 3 && of_heavy % 3 == 0 {
                    drop(slot);
                    continue;
                }
                slot.used();
                held.push_back(slot);
                *served.get_mut(&weight).unwrap() += 1;
                break;
            }
        }
        assert!(served[&3].abs_diff(300) <= 3, "{served:?}");
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
