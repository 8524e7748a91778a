//! What may happen to Redis, and that nothing but time is lost by it.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{Clock as _, SystemClock};
use fanfare::model::broadcast::Lane;
use fanfare::queue::{Poke, Queue};
use fanfare::store::{ReadyWork, Work};
use loadtest::servers::redis::Redis;

use crate::bench::{
    Bench as _, DEAD, OnRedis, SOON, Servers, broadcast, entries, entry, nothing, one, open, publish, take,
};

/// Takes until all of them have come; each may come twice, as the store makes duplicates harmless.
async fn drain(queue: &Arc<dyn Queue>, of: Vec<ReadyWork>) {
    let mut missing: BTreeSet<Work> = of.iter().map(|entry| entry.work).collect();
    while !missing.is_empty() {
        let delivery = one(queue, Lane::Bulk).await;
        // What Redis cannot be told now it is told later.
        let _ = queue.acknowledge(vec![delivery.receipt]).await;
        missing.remove(&delivery.work.work);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_comes_again_when_its_holder_dies() {
    let bench = OnRedis::single().await;
    let (queue, other) = (bench.process(), bench.process());
    publish(&queue, entries(1, 0..2, 1, 1)).await;
    let (lost, held) = (one(&queue, Lane::Bulk).await, one(&other, Lane::Bulk).await);
    drop(queue);
    let again = one(&other, Lane::Bulk).await;
    assert_eq!(again.work, lost.work);
    // What a living process holds stays with it, however long.
    let third = bench.process();
    assert!(tokio::time::timeout(DEAD * 3, third.receive(Lane::Bulk, 1)).await.is_err());
    other.acknowledge(vec![again.receipt, held.receipt]).await.unwrap();
    nothing(&third, Lane::Bulk).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dead_consumers_are_removed() {
    let mut bench = OnRedis::single().await;
    let queue = bench.process();
    for shard in 0..3 {
        let short = bench.process();
        publish(&queue, vec![entry(1, shard)]).await;
        take(&short, Lane::Bulk).await;
    }
    let server = bench.server();
    let consumers = || {
        let answer = server.ask(&["XINFO", "GROUPS", "fanfare:{bulk.0}:s"]).unwrap();
        format!("{answer:?}")
            .split("Text(\"consumers\"), Number(")
            .nth(1)
            .unwrap()
            .split(')')
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(consumers(), "3");
    let gone = async {
        while consumers() != "1" {
            // Receiving is what makes this process a consumer.
            let _ = tokio::time::timeout(Duration::from_millis(100), queue.receive(Lane::Bulk, 1)).await;
        }
    };
    tokio::time::timeout(SOON, gone).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leaving_hands_everything_over_at_once() {
    let bench = OnRedis::single().await;
    let (queue, other) = (bench.process(), bench.process());
    publish(&queue, entries(1, 0..10, 1, 1)).await;
    for _ in 0..5 {
        one(&queue, Lane::Bulk).await;
    }
    queue.leave().await;
    let start = SystemClock.boot();
    drain(&other, entries(1, 0..10, 1, 1)).await;
    assert!(SystemClock.boot().after(start) < DEAD, "nobody waited for the dead");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_behind_does_not_keep_work_from_being_queued() {
    let mut bench = OnRedis::single().await;
    let queue = bench.process();
    publish(&queue, entries(1, 0..20, 1, 1)).await;
    let later = ReadyWork { due: crate::bench::now().plus(Duration::from_secs(60)), ..entry(2, 1) };
    publish(&queue, vec![later]).await;
    // What is known stays, and what it is about goes: the stream, the waiting, the delayed.
    let server = bench.server();
    let answer = server.ask(&["KEYS", "fanfare:{bulk.0}:[sdbh]*"]).unwrap();
    assert!(format!("{answer:?}").len() > 100, "{answer:?}");
    // Keys hold bytes that are no text, so they are deleted where they are.
    let delete = "for _, k in ipairs(redis.call('KEYS', 'fanfare:{bulk.0}:[sdbh]*')) do redis.call('DEL', k) end";
    server.ask(&["EVAL", delete, "0"]).unwrap();
    nothing(&queue, Lane::Bulk).await;
    publish(&queue, entries(1, 0..20, 1, 1)).await;
    publish(&queue, vec![entry(2, 1)]).await;
    drain(&queue, [entries(1, 0..20, 1, 1), vec![entry(2, 1)]].concat()).await;
}

/// Something happens to Redis while entries are taken; what is issued again comes.
async fn goes_on_after(bench: &mut OnRedis, fault: impl AsyncFnOnce(&mut OnRedis)) {
    let queue = bench.process();
    let all = [entries(1, 0..40, 1, 1), entries(2, 0..40, 2, 1), entries(3, 0..40, 3, 1)].concat();
    publish(&queue, all.clone()).await;
    // One that dies with what it holds.
    let doomed = bench.process();
    for _ in 0..5 {
        one(&doomed, Lane::Bulk).await;
    }
    // Somebody waits all the time.
    let waiting = tokio::spawn({
        let (queue, all) = (queue.clone(), all.clone());
        async move { drain(&queue, all).await }
    });
    fault(bench).await;
    drop(doomed);
    // As the reconciler: again and again what is not done.
    let reissued = tokio::spawn({
        let publisher = bench.process();
        async move {
            loop {
                let _ = publisher.publish(all.clone()).await;
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    });
    tokio::time::timeout(SOON * 2, waiting).await.expect("all of it comes").unwrap();
    reissued.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_after_a_flush() {
    let mut bench = OnRedis::single().await;
    goes_on_after(&mut bench, async |bench| bench.flush()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_after_a_kill_and_an_empty_restart() {
    let mut bench = OnRedis::single().await;
    goes_on_after(&mut bench, async |bench| {
        bench.server().kill();
        tokio::time::sleep(Duration::from_millis(300)).await;
        bench.server().restart().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_that_keeps_everything_loses_nothing() {
    let mut bench = OnRedis { servers: Servers::Single(Redis::start_durable().await.unwrap()) };
    let queue = bench.process();
    let all = entries(1, 0..40, 1, 1);
    publish(&queue, all.clone()).await;
    bench.server().kill();
    bench.server().restart().await.unwrap();
    // Nobody issues anything again.
    drain(&queue, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_after_a_failover() {
    let mut bench = OnRedis::sentinels().await;
    goes_on_after(&mut bench, async |bench| {
        let Servers::Sentinels(servers) = &mut bench.servers else { unreachable!() };
        servers.fail_over().await.unwrap();
    })
    .await;
    goes_on_after(&mut bench, async |bench| {
        let Servers::Sentinels(servers) = &mut bench.servers else { unreachable!() };
        servers.kill_master().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn goes_on_after_a_cluster_lost_a_node_and_got_it_back_empty() {
    let mut bench = OnRedis::cluster().await;
    goes_on_after(&mut bench, async |bench| {
        let Servers::Cluster(servers) = &mut bench.servers else { unreachable!() };
        servers.masters[1].kill();
        tokio::time::sleep(Duration::from_secs(3)).await;
        servers.masters[1].restart().await.unwrap();
        servers.whole().await.unwrap();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn follows_a_slot_that_moves() {
    let bench = OnRedis::cluster().await;
    let queue = bench.process();
    let Servers::Cluster(servers) = &bench.servers else { unreachable!() };
    let stream = "fanfare:{bulk.1}:s";
    let slot = servers.masters[0].ask(&["CLUSTER", "KEYSLOT", stream]).unwrap().number().unwrap();
    let slot = u16::try_from(slot).unwrap();
    let from = usize::from(slot > 5_460) + usize::from(slot > 10_922);
    // Known to the client before it moves.
    publish(&queue, vec![entry(1, 1)]).await;
    take(&queue, Lane::Bulk).await;
    servers.flush().unwrap();
    // What the beat makes again is gone in time: nothing receives any more.
    queue.leave().await;
    servers.flush().unwrap();
    servers.move_slot(slot, from, (from + 1) % 3).unwrap();
    publish(&queue, vec![entry(1, 2)]).await;
    let other = bench.process();
    assert_eq!(take(&other, Lane::Bulk).await.work, entry(1, 2).work);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn away_fails_fast_says_so_and_receivers_go_on_by_themselves() {
    let mut bench = OnRedis::single().await;
    let queue = bench.process();
    publish(&queue, vec![entry(1, 1)]).await;
    let held = one(&queue, Lane::Bulk).await;
    let waiting = tokio::spawn({
        let queue = queue.clone();
        async move { take(&queue, Lane::Bulk).await }
    });
    let mut pokes = queue.pokes();
    bench.server().stop();
    let start = SystemClock.boot();
    for _ in 0..50 {
        assert!(queue.publish(vec![entry(1, 2)]).await.is_err());
    }
    assert!(SystemClock.boot().after(start) < Duration::from_secs(2), "only the first call may take its time");
    let missing = queue.ping().await.unwrap_err().to_string();
    assert!(missing.contains("Redis"), "{missing}");
    assert!(queue.acknowledge(vec![held.receipt]).await.is_err());
    assert!(queue.poke(Poke(broadcast(1))).await.is_err());
    assert_eq!(pokes.recv().await.unwrap(), Poke(broadcast(1)), "this process is poked all the same");
    bench.server().restart().await.unwrap();
    publish(&queue, vec![entry(1, 3)]).await;
    assert_eq!(tokio::time::timeout(SOON, waiting).await.unwrap().unwrap().work, entry(1, 3).work);
    queue.ping().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_does_not_answer_costs_a_second() {
    let mut bench = OnRedis::single().await;
    let queue = bench.process();
    publish(&queue, vec![entry(1, 1)]).await;
    bench.server().freeze();
    let start = SystemClock.boot();
    for _ in 0..20 {
        assert!(queue.publish(vec![entry(1, 2)]).await.is_err());
    }
    assert!(SystemClock.boot().after(start) < Duration::from_millis(2_500));
    bench.server().thaw();
    drain(&queue, vec![entry(1, 1)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_learns_that_everything_is_gone() {
    let bench = OnRedis::single().await;
    let queues = [bench.process(), bench.process()];
    queues[0].lost().await;
    let soon = Duration::from_secs(1);
    assert!(tokio::time::timeout(soon, queues[0].lost()).await.is_err(), "it holds what it held");
    bench.flush();
    let learns = async {
        tokio::select! { () = queues[0].lost() => 0, () = queues[1].lost() => 1 }
    };
    let first = tokio::time::timeout(soon, learns).await.unwrap();
    assert!(tokio::time::timeout(soon, queues[1 - first].lost()).await.is_err(), "one is enough");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_used_and_a_wrong_one_is_named_not_shown() {
    let server = Redis::start_with(&["--requirepass", "open-sesame"]).await.unwrap();
    let url = |password: &str| format!("redis://:{password}@127.0.0.1:{}/2", server.port());
    let queue = open(&url("open-sesame"));
    publish(&queue, vec![entry(1, 1)]).await;
    take(&queue, Lane::Bulk).await;
    let missing = open(&url("abracadabra")).ping().await.unwrap_err().to_string();
    assert!(!missing.contains("abracadabra"), "{missing}");
    assert!(missing.contains("AUTH") || missing.contains("uthenticat") || missing.contains("WRONGPASS"), "{missing}");
}
