//! The Baidu gateway against the simulated service, which checks every signature.

use std::time::Duration;

use fanfare::gateway::baidu::{BaiduGateway, BaiduSettings};
use fanfare::gateway::{Gateway, Probe, Unsent};
use fanfare::model::broadcast::{Content, Payloads};
use fanfare::model::verdict::{Reason, ThrottleScope, Verdict};
use loadtest::gateways::script::Act;
use loadtest::gateways::{Answer as Scripted, BaiduConfig, BaiduSim, Script, Simulated};
use serde_json::Value;

use crate::bench::{Bench, Ground, prefix, token};

async fn scripted(script: Script) -> Bench<BaiduSim, BaiduGateway> {
    let (ground, config) = (Ground::new(), BaiduConfig { script, keep_requests: true, ..BaiduConfig::default() });
    let sim = BaiduSim::start_under(config.clone(), &ground.authority).await.unwrap();
    let settings = BaiduSettings::new(&config.api_key, &config.secret_key, &sim.endpoint()).unwrap();
    let gateway = open(&ground, settings);
    Bench { ground, sim, gateway, channel: |seq| format!("1042-{}", token(seq)) }
}

fn open(ground: &Ground, settings: BaiduSettings) -> BaiduGateway {
    ground.open(|place, meter| BaiduGateway::open(&settings, place, meter))
}

/// What a device got: its form.
fn form(bench: &Bench<BaiduSim, BaiduGateway>, order: u64) -> std::collections::BTreeMap<String, String> {
    let request = bench.sim.receipts().full(order).unwrap();
    form_urlencoded::parse(&request.body).into_owned().collect()
}

#[tokio::test]
async fn each_device_gets_the_verdict_of_its_own_answer() {
    let all = Verdict::FixRequest { for_all: true };
    let one = Verdict::FixRequest { for_all: false };
    let drop = Verdict::DropToken { since: None };
    let retry = Verdict::Retry { after: None };
    let rows = [
        (500, "30600", retry.clone()),
        (405, "30601", all.clone()),
        (400, "30602", all),
        (400, "30607", drop.clone()),
        (400, "30608", drop),
        (400, "30699", one.clone()),
        (200, "30699", one),
        (503, "30699", retry),
    ];
    let script = rows
        .iter()
        .zip(1..)
        .fold(Script::new(), |script, ((status, code, _), seq)| script.token(&prefix(seq), Act::refuse(*status, code)));
    let bench = scripted(script).await;
    let told = bench.send(0..20).await;
    for ((status, code, verdict), seq) in rows.iter().zip(1..) {
        assert_eq!(told.verdict(seq), (verdict.clone(), &*format!("error_code {code}")), "{status} {code}");
    }
    assert_eq!((told.count(&Verdict::Delivered), bench.sim.receipts().accepted()), (12, 12));
    let form = form(&bench, 0);
    assert_eq!((form["msg_type"].as_str(), form["msg"].as_str()), ("1", r#"{"description":"Hello"}"#));
}

#[tokio::test]
async fn a_message_says_for_which_kind_of_phone_it_is() {
    let bench = scripted(Script::new()).await;
    for (order, text, (device, status)) in
        [(0, r#"{"description":"Hello"}"#, ("3", None)), (1, r#"{"aps":{"alert":"Hello"}}"#, ("4", Some("2")))]
    {
        let payloads = Payloads::from([("baidu".to_owned(), text.to_owned())]);
        bench.send_what(Content::Payloads(payloads), 0..1).await.unwrap().assert_all(&Verdict::Delivered);
        let form = form(&bench, order);
        assert_eq!((form["device_type"].as_str(), form.get("deploy_status").map(String::as_str)), (device, status));
    }
}

#[tokio::test]
async fn whatever_stands_in_a_message_is_signed_as_the_service_reads_it() {
    let bench = scripted(Script::new()).await;
    let text = r#"{"description":"a b*~-_.(é)!'&=%+\"","k":"\u0000\n/"}"#;
    let payloads = Payloads::from([("baidu".to_owned(), text.to_owned())]);
    bench.send_what(Content::Payloads(payloads), 0..3).await.unwrap().assert_all(&Verdict::Delivered);
    let sent: Value = serde_json::from_str(&form(&bench, 0)["msg"]).unwrap();
    assert_eq!(sent, serde_json::from_str::<Value>(text).unwrap());
}

#[tokio::test]
async fn what_concerns_the_app_brings_the_rest_back() {
    let slow = Act::Answer(Scripted::refused(403, "30604").with_retry_after("30"));
    let project = Verdict::Throttle { scope: ThrottleScope::Project, after: Some(Duration::from_secs(30)) };
    for (act, verdict) in [
        (slow, project),
        (Act::refuse(400, "30603"), Verdict::Credentials),
        (Act::refuse(400, "30612"), Verdict::Credentials),
    ] {
        let bench = scripted(Script::new().always(act)).await;
        let told = bench.send(0..300).await;
        let refused = told.count(&verdict);
        assert!(refused > 0 && refused < 100, "{refused}");
        assert_eq!(told.unsent(Unsent::Closed), 300 - refused);
    }
}

#[tokio::test]
async fn a_wrong_key_and_a_dead_endpoint_are_told_apart() {
    let mut bench = scripted(Script::new()).await;
    assert_eq!(bench.gateway.probe().await, Probe::Works);
    assert!(bench.sim.receipts().accepted() == 0, "a probe reaches nobody");
    let BaiduConfig { api_key, secret_key, .. } = BaiduConfig::default();
    let there = bench.sim.endpoint();
    for (key, secret) in [("other", &*secret_key), (&*api_key, "wrong")] {
        bench.gateway = open(&bench.ground, BaiduSettings::new(key, secret, &there).unwrap());
        assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::foreign("error_code 30603")));
        assert!(bench.send(0..3).await.count(&Verdict::Credentials) > 0);
    }
    bench.gateway = open(&bench.ground, BaiduSettings::new(&api_key, &secret_key, "https://localhost:1").unwrap());
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
    bench.send(0..3).await.assert_all(&Verdict::ConnSafe);
}
