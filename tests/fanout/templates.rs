//! Broadcasts to the installations' own templates.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfare::fanout::Settings;
use fanfare::model::broadcast::{BroadcastRequest, Content};
use fanfare::model::installation::{Installation, InstallationLimits};
use fanfare::model::outcome::Outcome;
use fanfare::model::verdict::Verdict;
use fanfare::store::Change;
use serde_json::{Value, json};

use crate::gate::Gate;
use crate::gateway::{Act, Service};
use crate::world::{Process, World, request, token};

fn world(service: Arc<Service>) -> World {
    World::new(service, Settings { checkpoint_every: 256, ..Settings::default() })
}

fn quick() -> Arc<Service> {
    Service::accepting(Duration::from_millis(20))
}

fn device(device: u64, more: &Value) -> Change {
    let mut document = json!({"installationId": format!("dev-{device}"), "platform": "apns",
        "pushChannel": token(device), "tags": ["all"]});
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    let document = document.to_string();
    Change::Put(Box::new(Installation::parse(document.as_bytes(), None, &InstallationLimits::default()).unwrap()))
}

async fn register(process: &Process, devices: u64, document: impl Fn(u64) -> Value) {
    let all: Vec<u64> = (0..devices).collect();
    for some in all.chunks(500) {
        let changes = some.iter().map(|n| device(*n, &document(*n))).collect();
        process.store.apply(process.hub, changes).await.unwrap();
    }
}

fn template(audience: &str, properties: &[(&str, &str)]) -> BroadcastRequest {
    let properties = properties.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    BroadcastRequest { content: Content::Template(properties.collect()), ..request(audience) }
}

#[test]
fn many_devices_share_few_templates_and_each_gets_its_own() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        let body = |n: u64| json!({"t": n % 20, "msg": "$(msg)"}).to_string();
        register(process, 6_000, |n| json!({"templates": {"t": {"body": body(n)}}})).await;
        let id = process.send(template("all", &[("MSG", "Hello \"you\"")])).await;
        let over = process.finished(id).await;
        assert_eq!((over.counters().targeted, over.counters().delivered), (6_000, 6_000), "{over:?}");
        let seconds = over.times.finished.unwrap().since(over.times.started.unwrap()).as_secs() + 2;
        let prepared = world.service.prepared.load(Ordering::Relaxed);
        assert!(prepared <= 20 * seconds, "{prepared} times in {seconds} s: once for each template and second at most");
    });
    for (device, got) in world.service.by_device() {
        let expected = json!({"msg": "Hello \"you\"", "t": device % 20}).to_string();
        assert_eq!((got.accepted, &*got.body), (1, expected.as_bytes()));
    }
}

#[test]
fn only_template_targets_are_meant_and_tags_choose_among_them() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        register(process, 30, |n| match n % 3 {
            0 => json!({}),
            1 => json!({"templates": {"a": {"body": "{\"a\":\"$(x)\"}"}}}),
            _ => json!({"templates": {"a": {"body": "{\"a\":\"$(x)\"}"}, "b": {"body": "{\"b\":1}", "tags": ["vip"]}}}),
        })
        .await;
        let delivered = async |audience: &str| {
            let id = process.send(template(audience, &[("x", "1")])).await;
            process.finished(id).await.counters().delivered
        };
        assert_eq!(delivered("").await, 30, "two templates of one device get a message each");
        assert_eq!(delivered("b").await, 10);
        assert_eq!(delivered("a && !vip").await, 20);
        let id = process.send(request("all")).await;
        assert_eq!(process.finished(id).await.counters().delivered, 30, "a native send reaches no template");
    });
}

#[test]
fn push_variables_make_a_difference_only_where_they_are_read() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        let name = |n: u64| ["Anna", "Ben", "Cleo"][usize::try_from(n % 3).unwrap()];
        register(process, 900, |n| {
            let body =
                if n < 600 { "{\"a\":\"{$(greeting) + ' ' + $(name:{you})}\"}" } else { "{\"a\":\"$(greeting)\"}" };
            match n {
                0..300 | 600.. => json!({"templates": {"t": {"body": body}}, "pushVariables": {"Name": name(n)}}),
                _ => json!({"templates": {"t": {"body": body}}}),
            }
        })
        .await;
        let id = process.send(template("all", &[("greeting", "Hi")])).await;
        assert_eq!(process.finished(id).await.counters().delivered, 900);
        for (device, got) in world.service.by_device() {
            let expected = match device {
                0..300 => format!("{{\"a\":\"Hi {}\"}}", name(device)),
                300..600 => "{\"a\":\"Hi you\"}".to_owned(),
                _ => "{\"a\":\"Hi\"}".to_owned(),
            };
            assert_eq!((got.accepted, &*got.body), (1, expected.as_bytes()));
        }
        // What the message gives goes before it, and then all are alike.
        let prepared = world.service.prepared.swap(0, Ordering::Relaxed);
        assert!(prepared < 60, "{prepared}");
        let id = process.send(template("all", &[("greeting", "Hi"), ("NAME", "all")])).await;
        assert_eq!(process.finished(id).await.counters().delivered, 900);
        assert_eq!(&*world.service.by_device()[&0].body, b"{\"a\":\"Hi all\"}");
    });
}

#[test]
fn five_equal_answers_condemn_a_template_and_not_its_neighbours() {
    let script = |device: u64, _| match device % 2 {
        0 => Act::Answer(Verdict::FixRequest { for_all: true }, "PayloadEmpty"),
        _ => Act::Accept,
    };
    let world = world(Service::new(Duration::from_millis(20), Arc::new(script)));
    world.live(Gate::open(), async |process| {
        register(process, 4_000, |n| json!({"templates": {"t": {"body": json!({"n": n % 2}).to_string()}}})).await;
        let id = process.send(template("all", &[])).await;
        let over = process.finished(id).await;
        assert_eq!((over.counters().delivered, over.counters().rejected), (2_000, 2_000), "{over:?}");
        let rejected = process.outcomes(id).await.into_iter().filter(|item| item.outcome == Some(Outcome::Rejected));
        assert!(rejected.into_iter().all(|item| item.reason.as_deref() == Some("PayloadEmpty")));
    });
    let asked = world.service.by_device().into_iter().filter(|(device, _)| device % 2 == 0).count();
    assert!(asked < 600, "{asked} were sent before the rest was rejected without");
}

#[test]
fn what_renders_to_nothing_that_can_be_sent_is_rejected_and_says_why() {
    let world = world(quick());
    world.live(Gate::open(), async |process| {
        register(process, 20, |n| match n % 2 {
            0 => json!({"templates": {"t": {"body": "{\"a\":\"$(long)\"}"}}}),
            _ => json!({"templates": {"t": {"body": "{\"a\":\"$(long, 5)\"}"}}}),
        })
        .await;
        let id = process.send(template("all", &[("long", &"x".repeat(5_000))])).await;
        let over = process.finished(id).await;
        assert_eq!((over.counters().delivered, over.counters().rejected), (10, 10), "{over:?}");
        let outcomes = process.outcomes(id).await;
        let why = outcomes.iter().find(|item| item.outcome == Some(Outcome::Rejected)).unwrap().reason.clone();
        assert_eq!(why.as_deref(), Some("template must have at most 4096 bytes"));
        assert_eq!(outcomes[0].target.to_string(), "template:t");
    });
}

#[test]
fn a_changed_template_is_what_is_sent_next() {
    let world = world(quick());
    let got = |world: &World| -> BTreeMap<u64, Vec<u8>> {
        world.service.by_device().into_iter().map(|(device, got)| (device, got.body.to_vec())).collect()
    };
    world.live(Gate::open(), async |process| {
        register(process, 5, |_| json!({"templates": {"t": {"body": "{\"v\":1}"}}})).await;
        let id = process.send(template("t", &[])).await;
        process.finished(id).await;
        assert!(got(&world).values().all(|body| body == b"{\"v\":1}"));
        process
            .store
            .apply(process.hub, vec![device(3, &json!({"templates": {"t": {"body": "{\"v\":2}"}}}))])
            .await
            .unwrap();
        let id = process.send(template("t", &[])).await;
        process.finished(id).await;
    });
    assert_eq!(got(&world)[&3], b"{\"v\":2}");
    assert_eq!(got(&world)[&4], b"{\"v\":1}");
}
