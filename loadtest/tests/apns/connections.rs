//! Stream limits, windows, latency.
use std::time::Duration;

use loadtest::gateways::{
    ApnsConfig, Script, Simulated,
    answer::Answer,
    script::{Act, ConnectionAct, Refusal},
};

use crate::client::{self, Client, answered, soon, token};

#[tokio::test]
async fn one_stream_until_the_first_answer_then_all() {
    let kit = client::kit(ApnsConfig { streams: 100, ..client::config() }).await;
    let client = kit.connect().await;
    let pushes = (0..300).map(|number| client.push(kit.request(&token(number))));
    for result in soon(futures_util::future::join_all(pushes)).await {
        assert_eq!(result.unwrap().status, 200);
    }
    let counts = kit.sim.counts();
    assert!(!counts.violations.any(), "{counts:?}");
    assert!((2..=100).contains(&counts.max_open_streams), "{counts:?}");
    assert_eq!((kit.sim.receipts().accepted(), kit.sim.receipts().repeated().len()), (300, 0));
}

#[tokio::test]
async fn bad_credentials_do_not_unlock() {
    let kit = client::kit(client::config()).await;
    let client = kit.connect().await;
    soon(client.push(client::request(&token(1)))).await.unwrap();
    assert_eq!(client.send.current_max_send_streams(), 1);
    // A good token with a bad request does.
    soon(client.push(kit.request("00"))).await.unwrap();
    soon(client.push(kit.request(&token(1)))).await.unwrap();
    assert_eq!(client.send.current_max_send_streams(), 1000);
}

#[tokio::test]
async fn the_limit_falls_after_an_error_and_rises_again() {
    let kit = client::kit(client::config()).await;
    let mut script = Script::new().token("0000000b", Act::refuse(400, "BadDeviceToken"));
    script.cut_streams_on_error = true;
    kit.sim.set_script(script);
    let client = kit.connect().await;
    let limit_after = async |number| {
        soon(client.push(kit.request(&token(number)))).await.unwrap();
        // The limit travels behind the answer; the next answer cannot overtake it.
        client.send.current_max_send_streams()
    };
    limit_after(1).await;
    limit_after(0xb).await;
    limit_after(0xb).await;
    assert_eq!(client.send.current_max_send_streams(), 1);
    limit_after(1).await;
    assert_eq!(limit_after(1).await, 1000);
    assert!(!kit.sim.counts().violations.any());
}

#[tokio::test]
async fn a_script_moves_the_limit_in_mid_connection() {
    let kit = client::kit(client::config()).await;
    kit.sim.set_script(Script::new().event(2, ConnectionAct::LimitStreams(5)).event(4, ConnectionAct::LimitStreams(9)));
    let client = kit.connect().await;
    let mut limits = Vec::new();
    for number in 0..5 {
        soon(client.push(kit.request(&token(number)))).await.unwrap();
        limits.push(client.send.current_max_send_streams());
    }
    assert_eq!(*limits.last().unwrap(), 9, "{limits:?}");
    assert!(limits.contains(&5), "{limits:?}");
}

#[tokio::test]
async fn latency_delays_answers_but_not_receipts() {
    let kit = client::kit(client::config()).await;
    let client = kit.warm().await;
    kit.sim.set_script(Script::new().latency(500).nth(2, Act::Answer(Answer::accepted().after_millis(0))));
    let before = tokio::time::Instant::now();
    let slow = client.start(kit.request(&token(1)), b"{}").await.unwrap();
    let slow = tokio::spawn(answered(slow));
    soon(kit.sim.receipts().wait_for(2)).await;
    assert_eq!(soon(client.push(kit.request(&token(2)))).await.unwrap().status, 200);
    assert!(!slow.is_finished(), "the second overtakes the first");
    soon(slow).await.unwrap().unwrap();
    assert!(before.elapsed() >= Duration::from_millis(500));
}

#[tokio::test]
async fn windows_stay_shut_until_they_are_opened() {
    let kit = client::kit(client::config()).await;
    let client = kit.warm().await;
    kit.sim.set_script(Script::new().event(0, ConnectionAct::HoldWindows { for_ms: None }));
    // 65,535 bytes less the 25 of the first body: 16 bodies of 4,000 fit, the 17th does not.
    let body = format!(r#"{{"aps":"{}"}}"#, "x".repeat(4000 - 10)).into_bytes();
    let mut answers = Vec::new();
    for number in 0..20 {
        answers.push(client.start(kit.request(&token(number)), &body).await.unwrap());
    }
    soon(kit.sim.receipts().wait_for(1 + 16)).await;
    for answer in answers.drain(..16) {
        soon(answered(answer)).await.unwrap();
    }
    assert_eq!(kit.sim.receipts().len(), 1 + 16);
    // A script without the hold opens them.
    kit.sim.set_script(Script::new());
    for answer in answers {
        assert_eq!(soon(answered(answer)).await.unwrap().status, 200);
    }
    assert!(!kit.sim.counts().violations.any());
}

#[tokio::test]
async fn connections_can_be_refused_until_the_script_changes() {
    let refusing = |refusal| {
        let mut script = Script::new();
        script.refuse_connections = Some(refusal);
        script
    };
    let kit = client::kit(ApnsConfig { script: refusing(Refusal::Reset), ..client::config() }).await;
    assert!(soon(Client::connect(&kit.sim, None)).await.is_err());
    kit.sim.set_script(refusing(Refusal::Close));
    assert!(soon(Client::connect(&kit.sim, None)).await.is_err());
    kit.sim.set_script(refusing(Refusal::Silence));
    let silent = tokio::time::timeout(Duration::from_millis(100), Client::connect(&kit.sim, None)).await;
    assert!(silent.is_err(), "no answer at all");
    kit.sim.set_script(Script::new());
    let client = kit.connect().await;
    assert_eq!(soon(client.push(kit.request(&token(1)))).await.unwrap().status, 200);
    assert_eq!(kit.sim.counts().connections_ever, 4);
}

#[tokio::test]
async fn only_loopback_is_listened_on() {
    let config = ApnsConfig { listen: Some("0.0.0.0:0".parse().unwrap()), ..client::config() };
    let error = loadtest::gateways::ApnsSim::start(config).await.unwrap_err();
    assert!(error.to_string().contains("loopback"), "{error}");
}
