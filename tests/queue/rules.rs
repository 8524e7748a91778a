//! The rules, one by one.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use fanfare::model::broadcast::Lane;
use fanfare::model::id::HubId;
use fanfare::queue::Poke;
use fanfare::store::{ReadyWork, Work};
use futures_util::FutureExt as _;

use crate::bench::{Bench, SOON, broadcast, entries, entry, nothing, now, one, publish, take};

pub async fn what_is_published_is_received_until_it_is_acknowledged(bench: &impl Bench) {
    let queue = bench.process();
    let plan = ReadyWork { work: Work::Plan(broadcast(9)), hub: HubId(7), weight: 3, ..entry(9, 0) };
    publish(&queue, vec![plan.clone(), entry(1, 5)]).await;
    let mut received = BTreeMap::new();
    for _ in 0..2 {
        let delivery = one(&queue, Lane::Bulk).await;
        received.insert(delivery.work.work, delivery);
    }
    assert_eq!(received[&plan.work].work, plan, "an entry comes as it was");
    nothing(&queue, Lane::Bulk).await;
    let receipts = received.into_values().map(|delivery| delivery.receipt).collect();
    queue.acknowledge(receipts).await.unwrap();
    nothing(&queue, Lane::Bulk).await;
    // What was acknowledged may be queued again.
    publish(&queue, vec![plan.clone()]).await;
    assert_eq!(take(&queue, Lane::Bulk).await.work, plan.work);
}

pub async fn nothing_is_queued_twice(bench: &impl Bench) {
    let queue = bench.process();
    let other = bench.process();
    publish(&queue, vec![entry(1, 1), entry(1, 1)]).await;
    publish(&other, vec![entry(1, 1), entry(1, 2)]).await;
    let first = one(&queue, Lane::Bulk).await;
    // It is handed out, and still queued.
    publish(&other, vec![entry(1, 1)]).await;
    let second = one(&queue, Lane::Bulk).await;
    assert_ne!(first.work.work, second.work.work);
    nothing(&queue, Lane::Bulk).await;
    queue.acknowledge(vec![first.receipt, second.receipt]).await.unwrap();
}

pub async fn an_earlier_due_time_wins(bench: &impl Bench) {
    let queue = bench.process();
    let later = |seconds: u64| ReadyWork { due: now().plus(Duration::from_secs(seconds)), ..entry(1, 1) };
    publish(&queue, vec![later(3_600)]).await;
    publish(&queue, vec![later(7_200)]).await;
    nothing(&queue, Lane::Bulk).await;
    publish(&queue, vec![later(1)]).await;
    publish(&queue, vec![later(60)]).await;
    let taken = take(&queue, Lane::Bulk).await;
    assert!(taken.due <= now(), "the earlier due time came with it");
    nothing(&queue, Lane::Bulk).await;
    publish(&queue, vec![later(3_600)]).await;
    publish(&queue, vec![entry(1, 1)]).await;
    take(&queue, Lane::Bulk).await;
    nothing(&queue, Lane::Bulk).await;
}

pub async fn lanes_do_not_mix(bench: &impl Bench) {
    let queue = bench.process();
    publish(&queue, vec![entry(1, 1)]).await;
    nothing(&queue, Lane::Transactional).await;
    let urgent = ReadyWork { lane: Lane::Transactional, ..entry(2, 1) };
    publish(&queue, vec![urgent.clone()]).await;
    assert_eq!(take(&queue, Lane::Transactional).await.work, urgent.work);
    assert_eq!(take(&queue, Lane::Bulk).await.work, entry(1, 1).work);
}

pub async fn nothing_comes_before_it_is_due(bench: &impl Bench) {
    let queue = bench.process();
    let start = now();
    let due = |millis: u64| start.plus(Duration::from_millis(millis));
    let at = |shard, millis| ReadyWork { due: due(millis), ..entry(1, shard) };
    publish(&queue, vec![at(3, 1_500), at(1, 400), at(2, 900)]).await;
    for (shard, millis) in [(1, 400), (2, 900), (3, 1_500)] {
        let work = take(&queue, Lane::Bulk).await;
        assert_eq!(work.work, entry(1, shard).work);
        // Redis' time and ours are one here; a millisecond is for rounding.
        let late = now().millis() - due(millis).millis();
        assert!((-1..1_000).contains(&late), "{shard}: {late} ms late");
    }
}

/// How often each broadcast is among the next `count`.
async fn shares(
    bench: &impl Bench,
    queue: &std::sync::Arc<dyn fanfare::queue::Queue>,
    count: usize,
) -> BTreeMap<u8, usize> {
    for _ in 0..bench.settled() {
        take(queue, Lane::Bulk).await;
    }
    let mut shares = BTreeMap::new();
    for _ in 0..count {
        let id = take(queue, Lane::Bulk).await.work.broadcast();
        *shares.entry(id.as_bytes()[15]).or_default() += 1;
    }
    shares
}

pub async fn broadcasts_share_by_weight(bench: &impl Bench) {
    let queue = bench.process();
    publish(&queue, entries(1, 0..100, 1, 1)).await;
    publish(&queue, entries(2, 0..100, 1, 3)).await;
    let shares = shares(bench, &queue, 80).await;
    assert!((18..=22).contains(&shares[&1]) && (58..=62).contains(&shares[&2]), "{shares:?}");
}

pub async fn hubs_share_evenly(bench: &impl Bench) {
    let queue = bench.process();
    // The same partition, where there are several: 1, 5 and 9 are alike in four.
    publish(&queue, entries(1, 0..60, 1, 1)).await;
    publish(&queue, entries(2, 0..60, 1, 1)).await;
    publish(&queue, entries(3, 0..60, 5, 1)).await;
    let shares = shares(bench, &queue, 80).await;
    assert!((39..=41).contains(&shares[&3]), "a hub with one broadcast has as much as one with two: {shares:?}");
    assert!(shares[&1].abs_diff(shares[&2]) <= 2, "{shares:?}");
}

pub async fn a_newcomer_is_not_behind_a_long_line(bench: &impl Bench) {
    let queue = bench.process();
    publish(&queue, entries(1, 0..2_000, 1, 1)).await;
    for _ in 0..20 {
        take(&queue, Lane::Bulk).await;
    }
    publish(&queue, entries(2, 0..1, 2, 1)).await;
    for at in 0.. {
        if take(&queue, Lane::Bulk).await.work.broadcast() == broadcast(2) {
            break;
        }
        assert!(at <= bench.settled() + 2, "behind {at} others");
    }
}

pub async fn a_dropped_receiver_takes_nothing(bench: &impl Bench) {
    let (queue, other) = (bench.process(), bench.process());
    // Dropped before, while and after an entry comes.
    let mut all = BTreeSet::new();
    for round in 0..20 {
        let receive = queue.receive(Lane::Bulk, 1);
        let dropped = tokio::time::timeout(Duration::from_millis(round * 5), receive);
        all.insert(entry(1, u32::try_from(round).unwrap()).work);
        let published = publish(&other, vec![entry(1, u32::try_from(round).unwrap())]);
        let (dropped, ()) = tokio::join!(dropped, published);
        if let Ok(received) = dropped {
            for delivery in received.unwrap() {
                assert!(all.remove(&delivery.work.work));
                queue.acknowledge(vec![delivery.receipt]).await.unwrap();
            }
        }
        // Polled once and dropped.
        if let Some(received) = queue.receive(Lane::Bulk, 1).now_or_never() {
            for delivery in received.unwrap() {
                assert!(all.remove(&delivery.work.work));
                queue.acknowledge(vec![delivery.receipt]).await.unwrap();
            }
        }
    }
    // The rest comes, to whoever asks.
    while !all.is_empty() {
        let work = take(&other, Lane::Bulk).await;
        assert!(all.remove(&work.work), "twice: {work:?}");
    }
    nothing(&queue, Lane::Bulk).await;
}

pub async fn what_is_given_back_comes_again(bench: &impl Bench) {
    let (queue, other) = (bench.process(), bench.process());
    publish(&queue, entries(1, 0..2, 1, 1)).await;
    let deliveries = vec![one(&queue, Lane::Bulk).await, one(&queue, Lane::Bulk).await];
    nothing(&other, Lane::Bulk).await;
    let works: BTreeSet<_> = deliveries.iter().map(|delivery| delivery.work.work).collect();
    queue.give_back(deliveries.clone(), Duration::ZERO).await.unwrap();
    let again = vec![one(&other, Lane::Bulk).await, one(&other, Lane::Bulk).await];
    assert_eq!(again.iter().map(|delivery| delivery.work.work).collect::<BTreeSet<_>>(), works);
    // The earlier receipts are of no use any more.
    queue.acknowledge(deliveries.into_iter().map(|delivery| delivery.receipt).collect()).await.unwrap();
    nothing(&queue, Lane::Bulk).await;
    let start = now();
    other.give_back(again, Duration::from_millis(600)).await.unwrap();
    take(&queue, Lane::Bulk).await;
    assert!(now().since(start) >= Duration::from_millis(595));
    take(&queue, Lane::Bulk).await;
    nothing(&queue, Lane::Bulk).await;
}

pub async fn receivers_share_and_none_gets_what_another_has(bench: &impl Bench) {
    let mut tasks = tokio::task::JoinSet::new();
    for receiver in 0..3 {
        let queue = bench.process();
        tasks.spawn(async move {
            let mut received = Vec::new();
            while let Ok(deliveries) = tokio::time::timeout(Duration::from_secs(2), queue.receive(Lane::Bulk, 2)).await
            {
                for delivery in deliveries.unwrap() {
                    received.push(delivery.work.work);
                    queue.acknowledge(vec![delivery.receipt]).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            }
            (receiver, received)
        });
    }
    let queue = bench.process();
    for at in 0..10 {
        publish(&queue, entries(1, at * 60..(at + 1) * 60, at, 1)).await;
    }
    let mut all = BTreeSet::new();
    while let Some(Ok((receiver, received))) = tasks.join_next().await {
        assert!(received.len() > 60, "receiver {receiver} had {} of 600", received.len());
        for work in received {
            assert!(all.insert(work), "twice: {work:?}");
        }
    }
    assert_eq!(all.len(), 600);
}

pub async fn pokes_reach_everybody(bench: &impl Bench) {
    let (queue, other) = (bench.process(), bench.process());
    let (mut own, mut others) = (queue.pokes(), other.pokes());
    // A subscription takes a moment; pokes before it are missed, which costs delay only.
    let heard = async {
        loop {
            queue.poke(Poke(broadcast(4))).await.unwrap();
            if let Ok(poke) = tokio::time::timeout(Duration::from_millis(100), others.recv()).await {
                break poke.unwrap();
            }
        }
    };
    assert_eq!(tokio::time::timeout(SOON, heard).await.unwrap(), Poke(broadcast(4)));
    assert_eq!(own.recv().await.unwrap(), Poke(broadcast(4)));
}

pub async fn the_oldest_due_entry_is_known(bench: &impl Bench) {
    let queue = bench.process();
    assert_eq!(queue.oldest(Lane::Bulk).await.unwrap(), None);
    let start = now();
    let due = |ago: u64| fanfare::model::time::Timestamp::from_millis(start.millis() - i64::try_from(ago).unwrap());
    let later = ReadyWork { due: start.plus(Duration::from_secs(60)), ..entry(3, 0) };
    let aged = |number, hub, ago| ReadyWork { due: due(ago), hub: HubId(hub), ..entry(number, 0) };
    publish(&queue, vec![later, aged(1, 1, 5_000), aged(2, 2, 9_000)]).await;
    assert_eq!(queue.oldest(Lane::Bulk).await.unwrap(), Some(due(9_000)));
    assert_eq!(queue.oldest(Lane::Transactional).await.unwrap(), None);
    for _ in 0..2 {
        take(&queue, Lane::Bulk).await;
    }
    assert_eq!(queue.oldest(Lane::Bulk).await.unwrap(), None);
}
