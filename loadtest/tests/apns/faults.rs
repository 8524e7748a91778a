//! GOAWAY, RST_STREAM, resets, stalls.
use h2::Reason;
use loadtest::{
    gateways::{
        Script, Simulated,
        receipts::Fate,
        script::{Act, Afterwards, ConnectionAct, GoAway},
    },
    http2::ErrorCode,
};

use crate::client::{self, Answered, Client, Kit, answered, soon, token};

/// Opens `count` streams at once and waits for what becomes of each.
async fn burst(kit: &Kit, client: &Client, count: u32) -> Vec<Result<Answered, h2::Error>> {
    let mut answers = Vec::new();
    for number in 1..=count {
        match client.start(kit.request(&token(number)), b"{}").await {
            Ok(answer) => answers.push(answer),
            Err(_) => break,
        }
    }
    soon(futures_util::future::join_all(answers.into_iter().map(answered))).await
}

fn reason(lag: u64) -> GoAway {
    GoAway { lag, reason: Some("Shutdown".to_owned()), ..GoAway::default() }
}

/// Whether the client may send it again without doubt (push-services.md 0.5).
fn surely_unprocessed(error: &h2::Error) -> bool {
    (error.is_go_away() && error.is_remote()) || error.reason() == Some(Reason::REFUSED_STREAM)
}

#[tokio::test]
async fn go_away_answers_what_it_promised_and_leaves_the_rest() {
    let kit = client::kit(client::config()).await;
    let client = kit.warm().await;
    kit.sim.set_script(Script::new().latency(30).event(10, ConnectionAct::GoAway(reason(4))));
    let results = burst(&kit, &client, 10).await;
    assert_eq!(results.len(), 10);
    for (at, result) in results.iter().enumerate() {
        match result {
            Ok(answered) => assert!(at < 6 && answered.status == 200, "{at}"),
            Err(error) => {
                assert!(at >= 6 && surely_unprocessed(error), "{at}: {error}");
                assert!(error.to_string().contains("Shutdown"), "the debug data: {error}");
            }
        }
    }
    assert_eq!(kit.sim.receipts().accepted(), 1 + 6);
    // It drains and closes; whoever comes again is served.
    soon(kit.sim.wait_until(|counts| counts.connections_open == 0)).await;
    assert_eq!(soon(kit.connect().await.push(kit.request(&token(7)))).await.unwrap().status, 200);
    assert_eq!(kit.sim.counts().go_aways, 1);
}

#[tokio::test]
async fn go_away_in_two_steps() {
    let kit = client::kit(client::config()).await;
    let client = kit.warm().await;
    let go_away = GoAway { notice_ms: Some(40), ..reason(3) };
    kit.sim.set_script(Script::new().latency(60).event_times(1, 8, ConnectionAct::GoAway(go_away)));
    let results = burst(&kit, &client, 8).await;
    let (answered, unprocessed): (Vec<_>, Vec<_>) = results.iter().partition(|result| result.is_ok());
    assert_eq!((answered.len(), unprocessed.len()), (5, 3));
    assert!(unprocessed.iter().all(|result| surely_unprocessed(result.as_ref().unwrap_err())));
    soon(kit.sim.wait_until(|counts| counts.connections_open == 0 && counts.go_aways == 2)).await;
    assert_eq!(kit.sim.receipts().accepted(), 1 + 5);
}

#[tokio::test]
async fn go_away_that_breaks_its_promise() {
    let kit = client::kit(client::config()).await;
    let client = kit.warm().await;
    let go_away = GoAway { then: Afterwards::Close, ..reason(2) };
    kit.sim.set_script(Script::new().latency(10_000).event(6, ConnectionAct::GoAway(go_away)));
    let results = burst(&kit, &client, 6).await;
    let safe = results.iter().filter(|result| surely_unprocessed(result.as_ref().unwrap_err())).count();
    assert_eq!((results.len(), safe), (6, 2), "{results:?}");
    assert_eq!(kit.sim.receipts().accepted(), 1 + 4, "the device got what the client does not know of");
}

#[tokio::test]
async fn a_session_that_stays_open_after_go_away() {
    let kit = client::kit(client::config()).await;
    let client = kit.warm().await;
    let go_away = GoAway { then: Afterwards::Stay, ..GoAway::default() };
    kit.sim.set_script(Script::new().event(2, ConnectionAct::GoAway(go_away)));
    assert!(burst(&kit, &client, 2).await.iter().all(Result::is_ok));
    assert_eq!(kit.sim.counts().connections_open, 1);
}

#[tokio::test]
async fn streams_are_reset_with_the_code_of_the_script() {
    let kit = client::kit(client::config()).await;
    let reset = |code, accepted| Act::Reset { code, accepted };
    kit.sim.set_script(
        Script::new()
            .token("00000001", reset(ErrorCode::REFUSED_STREAM, false))
            .token("00000002", reset(ErrorCode::CANCEL, true))
            .token("00000003", reset(ErrorCode::INTERNAL_ERROR, false)),
    );
    let client = kit.connect().await;
    for (number, code) in [(1, Reason::REFUSED_STREAM), (2, Reason::CANCEL), (3, Reason::INTERNAL_ERROR)] {
        let error = soon(client.push(kit.request(&token(number)))).await.unwrap_err();
        assert_eq!(error.reason(), Some(code));
    }
    let receipts = kit.sim.receipts().all();
    assert!(receipts.iter().all(|receipt| receipt.fate == Fate::Reset));
    assert_eq!(receipts.iter().map(|receipt| receipt.status).collect::<Vec<_>>(), [0, 200, 0]);
    assert_eq!(kit.sim.receipts().accepted(), 1);
}

#[tokio::test]
async fn connections_break_with_requests_in_flight() {
    for act in [ConnectionAct::Abort, ConnectionAct::Close] {
        let kit = client::kit(client::config()).await;
        let client = kit.warm().await;
        kit.sim.set_script(Script::new().latency(10_000).event(50, act.clone()));
        let results = burst(&kit, &client, 50).await;
        assert!(results.iter().all(|result| !surely_unprocessed(result.as_ref().unwrap_err())), "{act:?}");
        assert_eq!(kit.sim.receipts().accepted(), 1 + 50);
        soon(kit.sim.wait_until(|counts| counts.connections_open == 0)).await;
    }
}

#[tokio::test]
async fn a_stalled_request_stays_open_beside_others() {
    let kit = client::kit(client::config()).await;
    let client = kit.warm().await;
    kit.sim.set_script(Script::new().token("00000001", Act::Stall { accepted: true }));
    let stalled = client.start(kit.request(&token(1)), b"{}").await.unwrap();
    assert_eq!(soon(client.push(kit.request(&token(2)))).await.unwrap().status, 200);
    assert_eq!(kit.sim.receipts().of(&token(1).parse().unwrap())[0].fate, Fate::Stalled);
    // The client gives up; the service notices.
    drop(stalled);
    soon(kit.sim.wait_until(|counts| counts.cancelled == 1)).await;
}

#[tokio::test]
async fn a_muted_connection_answers_ping_and_nothing_else() {
    let kit = client::kit(client::config()).await;
    let mut client = kit.warm().await;
    kit.sim.set_script(Script::new().event(1, ConnectionAct::Mute));
    assert_eq!(soon(client.push(kit.request(&token(1)))).await.unwrap().status, 200);
    let unanswered = client.start(kit.request(&token(2)), b"{}").await.unwrap();
    soon(kit.sim.receipts().wait_for(3)).await;
    soon(client.ping.ping(h2::Ping::opaque())).await.unwrap();
    drop(unanswered);
    assert_eq!((kit.sim.receipts().all()[2].fate, kit.sim.counts().pings), (Fate::Stalled, 1));
}

#[tokio::test]
async fn a_frozen_connection_goes_on_where_it_stopped() {
    let kit = client::kit(client::config()).await;
    let client = kit.warm().await;
    kit.sim.set_script(Script::new().event(1, ConnectionAct::Freeze { for_ms: Some(80) }));
    let before = tokio::time::Instant::now();
    let results = burst(&kit, &client, 3).await;
    assert!(results.iter().all(Result::is_ok));
    assert!(before.elapsed().as_millis() >= 80);
}
