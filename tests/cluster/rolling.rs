//! Every process replaced, one after the other, in the middle of a broadcast.

use serde_json::json;

use crate::fleet::{Fleet, counter, finished, register, send, until};

const DEVICES: u64 = 6_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_loses_and_repeats_nothing() {
    let fleet = Fleet::bare().await;
    let (mut apis, mut workers) = (fleet.nodes("api", 2), fleet.nodes("worker", 2));
    apis[0].admin.put("/v1/hubs/demo", &fleet.hub(&fleet.key)).await.expect(201);
    register(&apis[0].admin, 0..DEVICES).await;
    let path = send(&apis[0].admin, &json!({"rate_per_second": 400})).await;
    until(&apis[1].admin, &path, |broadcast| counter(broadcast, "delivered") > 0).await;
    for place in 0..2 {
        // The next one is there before the last one goes.
        let next = fleet.node("worker");
        std::mem::replace(&mut workers[place], next).stop();
        let next = fleet.node("api");
        std::mem::replace(&mut apis[place], next).stop();
        let shown = apis[place].admin.get(&path).await.expect(200).json();
        assert!(shown["finished_at"].is_null(), "it is still under way: {shown}");
    }
    let over = finished(&apis[0].admin, &path).await;
    assert_eq!(over["state"], "completed", "{over}");
    assert_eq!((counter(&over, "targeted"), counter(&over, "delivered")), (DEVICES, DEVICES), "{over}");
    fleet.each_received(0..DEVICES, 1);
    workers.into_iter().chain(apis).for_each(crate::node::Listening::stop);
}
