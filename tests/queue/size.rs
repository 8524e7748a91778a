//! What the queue costs Redis: little for each entry, nothing for what is done.

use std::time::Duration;

use fanfare::model::broadcast::Lane;
use fanfare::store::ReadyWork;

use crate::bench::{Bench as _, OnRedis, entries, now, publish, take};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_queued_pointer_takes_less_than_100_bytes_and_a_finished_one_none() {
    let mut bench = OnRedis::single().await;
    let queue = bench.process();
    // Scripts, groups and consumers are there before anything is counted.
    publish(&queue, entries(1, 0..10, 1, 1)).await;
    for _ in 0..10 {
        take(&queue, Lane::Bulk).await;
    }
    let before = bench.server().used_memory().unwrap();
    let keys = bench.server().ask(&["DBSIZE"]).unwrap();
    let count = 5_000;
    for broadcast in 0..50 {
        publish(&queue, entries(broadcast, 0..count / 50, u32::from(broadcast) % 3, 1)).await;
    }
    let waiting = bench.server().used_memory().unwrap() - before;
    let each = waiting / u64::from(count);
    eprintln!("{each} bytes for each waiting pointer");
    assert!(each < 100, "{each} bytes for each waiting pointer");
    for _ in 0..count {
        take(&queue, Lane::Bulk).await;
    }
    let after = bench.server().used_memory().unwrap();
    assert_eq!(bench.server().ask(&["DBSIZE"]).unwrap(), keys);
    // Tables of the server and buffers of connections stay as large as they became.
    assert!(after < before + 64 * 1_024, "{before} bytes before, {after} after");
    let due = now().plus(Duration::from_secs(600));
    let later = entries(1, 0..100, 1, 1).into_iter().map(|entry| ReadyWork { due, ..entry });
    publish(&queue, later.collect()).await;
    let delayed = (bench.server().used_memory().unwrap() - after) / 100;
    eprintln!("{delayed} bytes for each delayed pointer");
    // Few at any time: those that are due within the reconciler's horizon.
    assert!(delayed < 200, "{delayed} bytes for each delayed pointer");
}
