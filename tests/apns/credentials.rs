//! Provider tokens and what the service says of them.

use std::sync::Arc;
use std::time::Duration;

use fanfare::gateway::apns::{ApnsAuth, ApnsGateway};
use fanfare::gateway::{Gateway, Probe, Unsent};
use fanfare::model::broadcast::Lane;
use fanfare::model::verdict::{Reason, Verdict};
use loadtest::gateways::script::{Act, Refusal, When};
use loadtest::gateways::{ApnsConfig, Script, Simulated};

use crate::bench::{Bench, quick, settings};

const HOUR: Duration = Duration::from_hours(1);

fn tokens_seen(bench: &Bench) -> Vec<String> {
    let receipts = bench.sim.receipts();
    let mut seen: Vec<_> = (0..receipts.len())
        .map(|order| receipts.full(order).unwrap().header("authorization").unwrap_or_default().to_owned())
        .collect();
    seen.dedup();
    seen
}

#[tokio::test]
async fn one_token_serves_all_connections_of_all_hubs_with_its_key() {
    let bench = Bench::new(ApnsConfig { keep_requests: true, ..ApnsConfig::default() }, 4).await;
    bench.send(Lane::Bulk, 0..2_000).await.told().await.assert_all(&Verdict::Delivered);
    let auth = ApnsAuth::token(&bench.key.team_id, &bench.key.key_id, bench.key.p8()).unwrap();
    let other = ApnsGateway::open(&settings(&bench.sim, auth), &bench.shared, Arc::default()).unwrap();
    let bench = Bench { gateway: Arc::new(other), ..bench };
    bench.send(Lane::Bulk, 2_000..2_010).await.told().await.assert_all(&Verdict::Delivered);
    assert_eq!(tokens_seen(&bench).len(), 1);
}

/// T9, an old token.
#[tokio::test]
async fn an_expired_token_that_is_old_is_renewed_and_everyone_is_served() {
    let bench = Bench::new(ApnsConfig { keep_requests: true, ..ApnsConfig::default() }, 2).await;
    bench.send(Lane::Bulk, 0..100).await.told().await.assert_all(&Verdict::Delivered);
    // The service's clock runs ahead of ours, so that it calls a token of 30 minutes expired.
    bench.sim.clock().advance(HOUR + Duration::from_mins(1));
    bench.clock.turn(Duration::from_mins(30));
    bench.send(Lane::Bulk, 100..1_000).await.told().await.assert_all(&Verdict::Delivered);
    assert!(bench.sim.receipts().count_reason("ExpiredProviderToken") > 0);
    assert_eq!(bench.sim.receipts().repeated(), vec![]);
}

/// T9, a young token: a clock is wrong.
#[tokio::test]
async fn an_expired_token_that_is_young_is_the_hubs_trouble_and_burns_no_batch() {
    let bench = Bench::new(ApnsConfig::default(), 1).await;
    bench.sim.clock().advance(HOUR + Duration::from_mins(1));
    let told = bench.send(Lane::Bulk, 0..1_000).await.told().await;
    let refused = told.count(&Verdict::Credentials);
    assert!(refused > 0 && refused < 10, "{refused}");
    assert_eq!(told.unsent(Unsent::Closed), 1_000 - refused);
    assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::known("ExpiredProviderToken")));
}

/// T10.
#[tokio::test]
async fn too_many_token_updates_rest_the_connection_and_sends_go_on() {
    let script = Script::new().rule_times(2, When::default(), Act::refuse(429, "TooManyProviderTokenUpdates"));
    let config = ApnsConfig { script, keep_requests: true, ..ApnsConfig::default() };
    let bench = Bench::new(config, 2).await;
    bench.send(Lane::Bulk, 0..200).await.told().await.assert_all(&Verdict::Delivered);
    bench.assert_each_got_one(0..200);
    assert_eq!(tokens_seen(&bench).len(), 1, "no new token was made");
}

/// T11.
#[tokio::test]
async fn a_key_of_the_other_environment_is_refused_in_either_spelling() {
    for reason in ["BadEnvironmentKeyIdInToken", "BadEnvironmentKeyInToken"] {
        let script = Script::new().always(Act::refuse(403, reason));
        let bench = Bench::new(ApnsConfig { script, ..ApnsConfig::default() }, 1).await;
        let told = bench.send(Lane::Bulk, 0..1_000).await.told().await;
        let refused = told.count(&Verdict::Credentials);
        assert!(refused > 0, "{told:?}");
        assert_eq!(told.unsent(Unsent::Closed), 1_000 - refused);
        assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::known(reason)));
    }
}

#[tokio::test]
async fn a_probe_notifies_nobody_and_tells_good_from_bad() {
    let bad_token = Act::refuse(400, "BadDeviceToken");
    let bench = Bench::new(ApnsConfig { script: Script::new().always(bad_token), ..ApnsConfig::default() }, 1).await;
    assert_eq!(bench.gateway.probe().await, Probe::Works);
    assert_eq!(bench.sim.receipts().accepted(), 0);

    bench.sim.revoke(&bench.key.key_id);
    assert_eq!(bench.gateway.probe().await, Probe::Refused(Reason::known("InvalidProviderToken")));

    bench.sim.set_script(Script { refuse_connections: Some(Refusal::Reset), ..Script::new() });
    assert!(matches!(bench.gateway.probe().await, Probe::Unreachable(_)));
}

#[tokio::test]
async fn a_certificate_of_an_unknown_root_is_not_trusted() {
    let bench = Bench::new(ApnsConfig::default(), 1).await;
    let auth = ApnsAuth::token(&bench.key.team_id, &bench.key.key_id, bench.key.p8()).unwrap();
    let distrusting = settings(&bench.sim, auth).with_ca(None).with_tuning(quick());
    let gateway = ApnsGateway::open(&distrusting, &bench.shared, Arc::default()).unwrap();
    let Probe::Unreachable(why) = gateway.probe().await else { panic!("it has no business to trust") };
    assert!(why.starts_with("TLS failed"), "{why}");
    assert!(bench.sim.receipts().is_empty());
}
