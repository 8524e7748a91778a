//! The Xiaomi gateway against the simulated service: many devices a request, and a word for each.

use std::time::Duration;

use fanfare::gateway::xiaomi::{XiaomiGateway, XiaomiSettings};
use fanfare::gateway::{Gateway, Probe, Unsent};
use fanfare::model::broadcast::{Content, Payloads};
use fanfare::model::verdict::{Reason, ThrottleScope, Verdict};
use loadtest::gateways::script::Act;
use loadtest::gateways::{Answer as Scripted, Script, Simulated, XiaomiConfig, XiaomiSim};

use crate::bench::{Bench, Ground, prefix, token};

type Xiaomi = Bench<XiaomiSim, XiaomiGateway>;

const DEAD: Verdict = Verdict::DropToken { since: None };
const ONE: Verdict = Verdict::FixRequest { for_all: false };

async fn scripted(script: Script) -> Xiaomi {
    let (ground, config) = (Ground::new(), XiaomiConfig { script, keep_requests: true, ..XiaomiConfig::default() });
    let sim = XiaomiSim::start_under(config.clone(), &ground.authority).await.unwrap();
    let gateway = open(&ground, &config.app_secret, &sim.endpoint());
    Bench { ground, sim, gateway, channel: |seq| token(seq).to_string() }
}

fn open(ground: &Ground, secret: &str, endpoint: &str) -> XiaomiGateway {
    let settings = XiaomiSettings::new(secret, endpoint)
        .and_then(|settings| settings.with_package_name(Some("com.example.app")))
        .unwrap();
    ground.open(|place, meter| XiaomiGateway::open(&settings, place, meter))
}

#[tokio::test]
async fn a_thousand_devices_are_one_request_whose_answer_names_the_dead() {
    let bad = |script: Script, seq: u64| script.token(&prefix(seq), Act::refuse(200, "bad_regids"));
    let bench = scripted([7, 500, 999].into_iter().fold(Script::new(), bad)).await;
    let told = bench.send(0..1_000).await;
    assert_eq!(told.with(&DEAD), [7, 500, 999]);
    assert_eq!(told.verdict(7), (DEAD, "bad_regids"));
    assert_eq!((told.count(&Verdict::Delivered), bench.sim.receipts().accepted()), (997, 997));
    assert_eq!((bench.sim.counts().requests, bench.sim.receipts().repeated()), (1, vec![]));
    let form = bench.sim.receipts().full(0).unwrap().body;
    let form: std::collections::BTreeMap<String, String> = form_urlencoded::parse(&form).into_owned().collect();
    assert_eq!((form["title"].as_str(), form["pass_through"].as_str()), ("Hello", "0"));
    assert_eq!(form["restricted_package_name"], "com.example.app");
}

#[tokio::test]
async fn who_is_refused_together_is_asked_for_apart() {
    for status in [200, 400] {
        let script = Script::new().token(&prefix(300), Act::refuse(status, "99999"));
        let bench = scripted(script).await;
        let told = bench.send(0..1_000).await;
        assert_eq!(told.with(&ONE), [300], "one is to blame");
        assert_eq!(told.verdict(300), (ONE, "code 99999"));
        assert_eq!((told.count(&Verdict::Delivered), bench.sim.receipts().accepted()), (999, 999));
        assert_eq!(bench.sim.receipts().repeated(), vec![]);
        // By halves: ten steps down to the one, and on each step the other half.
        assert!(bench.sim.counts().requests <= 21, "{}", bench.sim.counts().requests);
    }
}

#[tokio::test]
async fn an_id_that_would_be_two_is_not_sent() {
    let mut bench = scripted(Script::new()).await;
    bench.channel = |seq| if seq == 3 { format!("{0},{0}", token(90)) } else { token(seq).to_string() };
    let told = bench.send(0..10).await;
    assert_eq!(told.verdict(3), (ONE, "request has a field that cannot be sent"));
    assert_eq!((told.count(&Verdict::Delivered), bench.sim.receipts().accepted()), (9, 9));
}

#[tokio::test]
async fn what_concerns_all_is_said_of_all() {
    let slow = Act::Answer(Scripted::refused(429, "99999").with_retry_after("30"));
    let project = Verdict::Throttle { scope: ThrottleScope::Project, after: Some(Duration::from_secs(30)) };
    for (act, verdict) in [
        (slow, project),
        (Act::refuse(401, "99999"), Verdict::Credentials),
        (Act::refuse(200, "65015"), Verdict::FixRequest { for_all: true }),
        (Act::refuse(413, "99999"), Verdict::FixRequest { for_all: true }),
        (Act::refuse(500, "99999"), Verdict::Retry { after: None }),
    ] {
        let bench = scripted(Script::new().always(act)).await;
        bench.send(0..1_000).await.assert_all(&verdict);
        assert_eq!((bench.sim.counts().requests, bench.sim.receipts().accepted()), (1, 0), "{verdict:?}");
    }
}

#[tokio::test]
async fn a_payloads_fields_reach_the_service() {
    let bench = scripted(Script::new()).await;
    let text =
        r#"{"title":"T &","description":"é=","payload":"a+b","notify_type":-1,"extra":{"k":"v","channel_id":"c"}}"#;
    let payloads = Payloads::from([("xiaomi".to_owned(), text.to_owned())]);
    bench.send_what(Content::Payloads(payloads), 0..2).await.unwrap().assert_all(&Verdict::Delivered);
    let form = bench.sim.receipts().full(0).unwrap().body;
    let form: std::collections::BTreeMap<String, String> = form_urlencoded::parse(&form).into_owned().collect();
    for (name, value) in [
        ("title", "T &"),
        ("description", "é="),
        ("payload", "a+b"),
        ("notify_type", "-1"),
        ("extra.k", "v"),
        ("extra.channel_id", "c"),
    ] {
        assert_eq!(form[name], value, "{name}");
    }
    assert_eq!(form["registration_id"], format!("{},{}", token(0), token(1)));
}

#[tokio::test]
async fn a_wrong_key_and_a_dead_endpoint_are_told_apart() {
    let mut bench = scripted(Script::new()).await;
    assert_eq!(bench.gateway.probe().await, Probe::Works);
    assert!(bench.sim.receipts().accepted() == 0, "a probe reaches nobody");
    let there = bench.sim.endpoint();
    bench.gateway = open(&bench.ground, "wrong", &there);
    assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::foreign("code 1")));
    assert_eq!(bench.send(0..100).await.count(&Verdict::Credentials), 100);
    bench.gateway = open(&bench.ground, "secret", "https://localhost:1");
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
    bench.send(0..3).await.assert_all(&Verdict::ConnSafe);
}

#[tokio::test]
async fn a_closed_gateway_says_so_of_every_device() {
    let bench = scripted(Script::new().always(Act::Stall { accepted: true })).await;
    let (told, ()) = tokio::join!(bench.send(0..1_000), async {
        while bench.sim.receipts().is_empty() {
            tokio::task::yield_now().await;
        }
        bench.gateway.close(Duration::ZERO).await;
    });
    assert_eq!(told.count(&Verdict::ConnAmbiguous) + told.unsent(Unsent::Closed), 1_000);
    assert_eq!(told.count(&Verdict::ConnAmbiguous), 1_000);
}
