//! How often, and how slowly.

use std::time::Duration;

use fanfare::service::{Options, Running};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::client::Client;
use crate::push::{Factory, Push};
use crate::world::{ADMIN, World, broadcast, config, document, hub};

const DEVICE: &str = "/v1/hubs/demo/installations/dev-1";
const BROADCASTS: &str = "/v1/hubs/demo/broadcasts";

#[tokio::test]
async fn a_key_over_its_rate_is_told_when_to_come_back() {
    let settings = [
        ("LIMITS__REGISTRATIONS_PER_SECOND", "1"),
        ("LIMITS__REGISTRATIONS_BURST", "2"),
        ("LIMITS__BROADCASTS_PER_SECOND", "1"),
        ("LIMITS__BROADCASTS_BURST", "1"),
    ];
    let world = World::with(&settings).await;
    let (listen, full) = (world.with_rule("listen").await, world.with_rule("full").await);
    // More than the burst, whatever time passes between them.
    let mut refused = None;
    for _ in 0..1_000 {
        let answer = listen.put(DEVICE, &document(1)).await;
        if answer.status == 429 {
            refused = Some(answer);
            break;
        }
        assert!(matches!(answer.status, 200 | 201));
    }
    let refused = refused.expect("a rate of one a second is met");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.text().contains("limits.registrations_per_second"), "{}", refused.text());
    assert_eq!(refused.refusal(), (429, "too_many_requests".into(), String::new()));
    // Other actions, and other keys, are counted apart.
    listen.get(DEVICE).await.expect(200);
    full.put(DEVICE, &document(1)).await.expect(200);
    full.post(BROADCASTS, &broadcast("all")).await.expect(202);
    world.admin.post(BROADCASTS, &broadcast("all")).await.expect(202);
}

/// A service that waits for nobody long.
async fn hasty(folder: &tempfile::TempDir) -> (Running, Client) {
    let options = Options {
        listener: Some(TcpListener::bind("127.0.0.1:0").await.unwrap()),
        gateways: Some(Box::new(Factory(Push::new()))),
        patience: Some(Duration::from_millis(300)),
        ..Options::default()
    };
    let running = Running::start(&config(folder.path(), &[]), options).await.unwrap();
    let admin = Client::bearer(running.address(), ADMIN);
    admin.put("/v1/hubs/demo", &hub()).await.expect(201);
    (running, admin)
}

#[tokio::test]
async fn callers_that_say_nothing_are_hung_up_on() {
    let folder = tempfile::tempdir().unwrap();
    let (running, _) = hasty(&folder).await;
    // Nothing, half of a request line, half of HTTP/2's preface, and half of a head after a whole request.
    for begun in
        ["", "GET /v1/hu", "PRI * HTTP/2", "GET /healthz HTTP/1.1\r\nhost: a\r\n\r\nGET /readyz HTTP/1.1\r\nho"]
    {
        let mut stream = TcpStream::connect(running.address()).await.unwrap();
        stream.write_all(begun.as_bytes()).await.unwrap();
        let mut said = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut said)).await;
        ended.unwrap_or_else(|_| panic!("it is not held for ever: {begun}")).ok();
        assert_eq!(said.starts_with(b"HTTP/1.1 200"), begun.contains("healthz"), "{begun}");
    }
    assert!(running.stop().await);
}

#[tokio::test]
async fn a_body_must_come_in_time_and_a_stream_must_not_stall() {
    let folder = tempfile::tempdir().unwrap();
    let (running, admin) = hasty(&folder).await;
    let mut slow = admin.begin("PUT", DEVICE, &[("content-length", "1000")]).await;
    slow.write(b"{").await;
    assert_eq!(slow.answer().await.refusal(), (408, "slow_body".into(), "body".into()));
    let path = "/v1/hubs/demo/installations:import";
    let mut stalled = admin.begin("POST", path, &[("transfer-encoding", "chunked")]).await;
    stalled.chunk(format!("{}\n{{\"half", document(1)).as_bytes()).await;
    let answer = stalled.answer().await.expect(200);
    assert_eq!(answer.lines(), [json!({"imported": 1, "failed": 0})]);
    assert!(running.stop().await);
}
