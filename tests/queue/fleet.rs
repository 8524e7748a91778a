//! What processes share besides entries: how many they are, whose turn it is, and rates.

use std::time::Duration;

use fanfare::clock::{Clock as _, SystemClock};
use fanfare::model::broadcast::Lane;
use fanfare::model::id::HubId;
use fanfare::model::platform::Platform;
use fanfare::queue::Paced;

use crate::bench::{Bench as _, DEAD, OnRedis, SOON, nothing};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_are_those_that_receive_and_live() {
    let bench = OnRedis::single().await;
    let (one, two, api) = (bench.process(), bench.process(), bench.process());
    api.ping().await.unwrap();
    nothing(&one, Lane::Bulk).await;
    nothing(&two, Lane::Bulk).await;
    let counts = |wanted: usize| {
        let one = one.clone();
        async move {
            while one.workers() != wanted {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    };
    tokio::time::timeout(SOON, counts(2)).await.unwrap();
    drop(two);
    tokio::time::timeout(DEAD * 4, counts(1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_process_has_the_turn_to_reconcile() {
    let bench = OnRedis::single().await;
    let queues = [bench.process(), bench.process(), bench.process()];
    let every = Duration::from_millis(500);
    for _ in 0..3 {
        let mut turns = 0;
        for queue in &queues {
            turns += usize::from(queue.reconcile_turn(every).await.unwrap());
        }
        assert_eq!(turns, 1);
        tokio::time::sleep(every).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_holds_for_all_processes_together() {
    let bench = OnRedis::single().await;
    let of = Paced::Sender(HubId(1), Platform::Apns);
    let (rate, slice) = (5_000.0, 250);
    let mut tasks = tokio::task::JoinSet::new();
    let start = SystemClock.boot();
    for _ in 0..3 {
        let queue = bench.process();
        tasks.spawn(async move {
            let mut granted = 0;
            loop {
                let slice = queue.lease_tokens(of, rate, slice).await.unwrap();
                tokio::time::sleep(slice.after).await;
                if SystemClock.boot().after(start) > Duration::from_secs(2) {
                    return granted;
                }
                granted += slice.tokens;
            }
        });
    }
    let shares = tasks.join_all().await;
    let sum: u32 = shares.iter().sum();
    assert!((9_500..=10_500).contains(&sum), "{sum} in two seconds: {shares:?}");
    assert!(shares.iter().all(|share| (3_000..=3_700).contains(share)), "{shares:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_rate_does_not_hold_up_a_fast_one() {
    let bench = OnRedis::single().await;
    let queue = bench.process();
    let of = Paced::Sender(HubId(1), Platform::Fcm);
    for _ in 0..10 {
        queue.lease_tokens(of, 0.1, 1).await.unwrap();
    }
    let slice = queue.lease_tokens(of, 1_000.0, 50).await.unwrap();
    assert!(slice.after <= Duration::from_secs(4), "{slice:?}");
}
