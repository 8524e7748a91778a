//! The ADM gateway against the simulated service.

use std::time::Duration;

use fanfare::gateway::adm::{AdmGateway, AdmSettings};
use fanfare::gateway::{Gateway, Probe, Unsent};
use fanfare::model::verdict::{Reason, ThrottleScope, Verdict};
use loadtest::gateways::script::Act;
use loadtest::gateways::{AdmConfig, AdmSim, Answer as Scripted, Script, Simulated};
use serde_json::Value;

use crate::bench::{Bench, Ground, prefix, token};

type Adm = Bench<AdmSim, AdmGateway>;

async fn scripted(script: Script) -> Adm {
    let (ground, config) = (Ground::new(), AdmConfig { script, keep_requests: true, ..AdmConfig::default() });
    let sim = AdmSim::start_under(config.clone(), &ground.authority).await.unwrap();
    let settings =
        AdmSettings::new(&config.client_id, &config.client_secret, &sim.endpoint(), &sim.token_endpoint()).unwrap();
    let gateway = open(&ground, settings);
    Bench { ground, sim, gateway, channel: |seq| token(seq).to_string() }
}

fn open(ground: &Ground, settings: AdmSettings) -> AdmGateway {
    ground.open(|place, meter| AdmGateway::open(&settings, place, meter))
}

#[tokio::test]
async fn each_target_gets_the_verdict_of_its_own_answer() {
    let all = Verdict::FixRequest { for_all: true };
    let drop = Verdict::DropToken { since: None };
    let retry = Verdict::Retry { after: None };
    let rows = [
        (400, "InvalidRegistrationId", drop.clone()),
        (400, "Unregistered", drop),
        (400, "InvalidData", all.clone()),
        (400, "InvalidConsolidationKey", all.clone()),
        (400, "InvalidExpiration", all.clone()),
        (400, "InvalidChecksum", all.clone()),
        (400, "InvalidType", all.clone()),
        (400, "SomethingNew", Verdict::FixRequest { for_all: false }),
        (413, "MessageTooLarge", all),
        (500, "InternalServerError", retry.clone()),
        (503, "ServiceUnavailable", retry),
    ];
    let script = rows.iter().zip(1..).fold(Script::new(), |script, ((status, reason, _), seq)| {
        script.token(&prefix(seq), Act::refuse(*status, reason))
    });
    let bench = scripted(script).await;
    let told = bench.send(0..20).await;
    for ((status, reason, verdict), seq) in rows.iter().zip(1..) {
        assert_eq!(told.verdict(seq), (verdict.clone(), *reason), "{status} {reason}");
    }
    assert_eq!(told.count(&Verdict::Delivered), 9);
    assert_eq!((bench.sim.receipts().accepted(), bench.sim.tokens_given()), (9, 1));
    let message: Value = serde_json::from_slice(&bench.sim.receipts().full(0).unwrap().body).unwrap();
    assert_eq!(message["data"]["title"], "Hello");
}

#[tokio::test]
async fn too_many_requests_throttle_the_project_and_bring_the_rest_back() {
    let slow = Act::Answer(Scripted::refused(429, "MaxRateExceeded").with_retry_after("30"));
    let bench = scripted(Script::new().always(slow)).await;
    let told = bench.send(0..300).await;
    let project = Verdict::Throttle { scope: ThrottleScope::Project, after: Some(Duration::from_secs(30)) };
    let refused = told.count(&project);
    assert!(refused > 0 && refused < 100, "{refused}");
    assert_eq!(told.unsent(Unsent::Closed), 300 - refused);
}

#[tokio::test]
async fn a_refused_token_is_renewed_once_and_one_refused_twice_is_the_hubs_trouble() {
    let bench = scripted(Script::new()).await;
    bench.send(0..20).await.assert_all(&Verdict::Delivered);
    bench.sim.forget_tokens();
    bench.send(20..120).await.assert_all(&Verdict::Delivered);
    assert_eq!((bench.sim.tokens_given(), bench.sim.receipts().repeated()), (2, vec![]));
    bench.sim.set_script(Script::new().always(Act::refuse(401, "AccessTokenExpired")));
    let told = bench.send(200..500).await;
    let refused = told.count(&Verdict::Credentials);
    assert!(refused > 0);
    assert_eq!(told.unsent(Unsent::Closed), 300 - refused);
}

#[tokio::test]
async fn a_wrong_secret_and_a_dead_endpoint_are_told_apart() {
    let mut bench = scripted(Script::new()).await;
    assert_eq!(bench.gateway.probe().await, Probe::Works);
    let account = |secret: &str, endpoint: &str, tokens: &str| {
        AdmSettings::new("amzn1.application-oa2-client.1", secret, endpoint, tokens).unwrap()
    };
    let (there, tokens) = (bench.sim.endpoint(), bench.sim.token_endpoint());
    let wrong = account("wrong", &there, &tokens);
    let no_tokens = account("a secret & more", &there, "https://localhost:1/t");
    let nobody = account("a secret & more", "https://localhost:1", &tokens);
    bench.gateway = open(&bench.ground, wrong);
    assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::foreign("invalid_client")));
    let told = bench.send(0..100).await;
    let refused = told.count(&Verdict::Credentials);
    assert!(refused > 0);
    assert_eq!(told.unsent(Unsent::Closed), 100 - refused);
    bench.gateway = open(&bench.ground, no_tokens);
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
    assert_eq!(bench.send(0..3).await.unsent(Unsent::Unreachable), 3);
    bench.gateway = open(&bench.ground, nobody);
    bench.send(0..3).await.assert_all(&Verdict::ConnSafe);
    assert!(bench.sim.receipts().is_empty());
}
