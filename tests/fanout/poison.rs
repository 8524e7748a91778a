//! A target that kills the process that sends to it.

use std::sync::Arc;
use std::time::Duration;

use fanfare::fanout::Settings;
use fanfare::model::outcome::Outcome;
use fanfare::store::Change;
use tokio::sync::Notify;

use crate::gate::Gate;
use crate::gateway::{Act, Service};
use crate::world::{World, installation, request};

/// Sends to `devices` of which one kills whatever process hands it to the service.
fn live(devices: u64, killer: u64) {
    let killed = Arc::new(Notify::new());
    let kill = killed.clone();
    let script = move |device, _| {
        if device == killer {
            kill.notify_one();
        }
        Act::Accept
    };
    let settings = Settings { checkpoint_every: 64, reconcile_every: Duration::from_secs(1), ..Settings::default() };
    let world = World::new(Service::new(Duration::from_millis(40), Arc::new(script)), settings);
    let innocent = 9_999;
    let (id, beside) = world.live(Gate::open(), async |process| {
        process.register(0, devices).await;
        let alone = Change::Put(Box::new(installation(innocent, &["alone"])));
        process.store.apply(process.hub, vec![alone]).await.unwrap();
        (process.send(request("all")).await, process.send(request("alone")).await)
    });
    let mut deaths = 0;
    while !world.live(Gate::open(), async |process| {
        tokio::select! {
            () = killed.notified() => false,
            _ = process.finished(id) => true,
        }
    }) {
        deaths += 1;
        assert!(deaths < 100, "it must come to an end");
    }
    world.live(Gate::open(), async |process| {
        assert_eq!(process.finished(beside).await.counters().delivered, 1, "who was beside it is not taken for it");
        let outcomes = process.outcomes(id).await;
        assert_eq!(outcomes.len() as u64, devices);
        for item in outcomes {
            let name = item.installation().unwrap();
            let wanted = match name.as_str() == format!("dev-{killer}") {
                true => (Some(Outcome::Rejected), Some("poison")),
                false => (Some(Outcome::Delivered), None),
            };
            assert_eq!((item.outcome, item.reason.as_deref()), wanted, "{name}");
        }
        assert!(process.store.conservation().await.unwrap().values().all(|difference| *difference == 0));
    });
    assert_eq!(world.service.reached(), devices + 1);
}

#[test]
fn in_a_shard_it_alone_is_rejected() {
    live(2_300, 1_234);
}

#[test]
fn in_a_small_broadcast_it_alone_is_rejected() {
    live(90, 37);
    live(1, 0);
}
