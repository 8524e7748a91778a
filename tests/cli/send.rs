//! `fanfare send` and `fanfare watch`.

use loadtest::gateways::Simulated;

use crate::world::{ADMIN, World, proxy};

#[tokio::test]
async fn a_broadcast_is_sent_and_followed_to_its_end() {
    let world = World::start().await;
    world.register(25).await;
    let arguments = ["send", "--hub", "demo", "--audience", "all", "--title", "Hello", "--data", "k=v"];
    let dry = world.run(&[&arguments[..], &["--dry-run"]].concat()).await.expect(0);
    assert_eq!(dry.json()["count"], 25);
    let sent = world.run(&[&arguments[..], &["--watch"]].concat()).await.expect(0);
    let (id, summary) = sent.out.split_once('\n').unwrap();
    assert_eq!(summary, "completed: targeted 25, delivered 25\n");
    assert_eq!(world.sim.receipts().accepted(), 25);
    assert!(sent.err.lines().last().unwrap().starts_with("completed: targeted 25"), "plain lines: {sent:?}");
    let watched = world.run(&["watch", id, "--hub", "demo"]).await.expect(0);
    assert_eq!(watched.out, summary);
}

#[tokio::test]
async fn payloads_and_requests_come_from_files() {
    let world = World::start().await;
    world.register(3).await;
    world.write("apns.json", r#"{"aps": {"alert": "raw"}}"#);
    let raw = ["send", "--hub", "demo", "--payload", "apns=apns.json", "--idempotency-key", "one", "--watch"];
    let first = world.run(&raw).await.expect(0);
    let second = world.run(&raw).await.expect(0);
    assert_eq!(first.out.lines().next(), second.out.lines().next(), "one broadcast");
    let request = r#"{"audience": "nobody", "notification": {"body": "Hi"}}"#;
    let json = ["send", "--hub", "demo", "--json", "-", "--audience", "all", "--watch"];
    let ran = world.run_with_stdin(&json, request).await.expect(0);
    assert!(ran.out.ends_with("completed: targeted 3, delivered 3\n"), "options stand over the file: {ran:?}");
    let empty = world.run(&["send", "--hub", "demo"]).await.expect(1);
    assert!(empty.err.starts_with("fanfare: nothing to say"), "{empty:?}");
    world.write("broken.json", "{");
    let broken = world.run(&["send", "--hub", "demo", "--payload", "apns=broken.json"]).await.expect(1);
    assert!(broken.err.starts_with("fanfare: broken.json must hold JSON for apns"), "{broken:?}");
}

#[tokio::test]
async fn a_refusal_names_code_and_field() {
    let world = World::start().await;
    let refused = world.run(&["send", "--hub", "demo", "--audience", "a &&", "--title", "x"]).await.expect(1);
    assert!(refused.err.contains("(invalid, field audience, status 400)"), "{refused:?}");
    assert_eq!(refused.err.lines().count(), 1);
    let refused = world.run(&["watch", "0190b2f0-0000-7000-8000-000000000000", "--hub", "demo"]).await.expect(1);
    assert!(refused.err.contains("(no_broadcast, status 404)"), "{refused:?}");
}

#[tokio::test]
async fn a_broadcast_that_does_not_complete_is_status_1() {
    let world = World::start().await;
    world.register(2).await;
    let later = ["send", "--hub", "demo", "--title", "x", "--at", "2999-01-01T00:00:00Z"];
    let id = world.run(&later).await.expect(0).out.trim().to_owned();
    cancel(&world, &id).await;
    let watched = world.run(&["watch", &id, "--hub", "demo"]).await.expect(1);
    assert!(watched.out.starts_with("cancelled: targeted 0"), "{watched:?}");
    assert_eq!(watched.err.lines().last(), Some(format!("fanfare: broadcast {id} ended cancelled").as_str()));
}

/// What the command line has no word for.
async fn cancel(world: &World, id: &str) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut stream = tokio::net::TcpStream::connect(world.running.address()).await.unwrap();
    let path = format!("/v1/hubs/demo/broadcasts/{id}:cancel");
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\nauthorization: Bearer {ADMIN}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 202"), "{answer}");
}

#[tokio::test]
async fn watching_goes_on_after_a_break() {
    let world = World::start().await;
    world.register(40).await;
    let paced = ["send", "--hub", "demo", "--audience", "all", "--title", "x", "--rate", "20"];
    let id = world.run(&paced).await.expect(0).out.trim().to_owned();
    // Long enough for one event, too short for the next.
    let url = proxy(world.running.address(), |connection| (connection == 0).then_some(900)).await;
    let watched = world.run_at(&url, &["watch", &id, "--hub", "demo"]).await.expect(0);
    assert_eq!(watched.out, "completed: targeted 40, delivered 40\n");
    assert!(watched.err.contains("connecting again"), "{watched:?}");
}
