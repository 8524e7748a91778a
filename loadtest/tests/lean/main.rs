//! The lean sink: an HTTP/2 client of another hand (crate `h2`) and Fanfare's own engine send to it, and its counts are
//! right.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "the helpers of a test fail as the test does")]

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use fanfare::gateway::connect::Client;
use h2::client::{ResponseFuture, SendRequest};
use http::Request;
use loadtest::{
    compare::{BODY, DELIVERED, Task, senders::send_through_gateway},
    devices::Devices,
    gateways::{
        LeanConfig, LeanSink,
        lean::{Counts, Paths},
    },
};
use rustls::{ClientConfig, pki_types::ServerName};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::Instant,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

const SEED: u64 = 3;

fn config() -> LeanConfig {
    LeanConfig { seed: SEED, devices: 1_000, ..LeanConfig::default() }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it did not come")
}

async fn dial(sink: &LeanSink) -> TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut tls = tls.with_root_certificates(sink.authority().roots()).with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(sink.address()).await.unwrap();
    TlsConnector::from(Arc::new(tls)).connect(ServerName::try_from("localhost").unwrap(), tcp).await.unwrap()
}

async fn connect(sink: &LeanSink) -> (SendRequest<Bytes>, tokio::task::JoinHandle<Result<(), h2::Error>>) {
    let (send, connection) = h2::client::handshake(dial(sink).await).await.unwrap();
    (send, tokio::spawn(connection))
}

/// The whole request, in one frame or with a body.
async fn push(send: &SendRequest<Bytes>, path: &str, body: &'static str) -> ResponseFuture {
    let request = Request::post(format!("https://localhost{path}")).body(()).unwrap();
    let mut send = send.clone().ready().await.unwrap();
    let (response, mut stream) = send.send_request(request, body.is_empty()).unwrap();
    if !body.is_empty() {
        stream.send_data(Bytes::from_static(body.as_bytes()), true).unwrap();
    }
    response
}

fn path(seed: u64, number: u64) -> String {
    format!("/3/device/{}", hex::encode(Devices::new(seed).token(number)))
}

#[tokio::test]
async fn every_request_is_answered_and_counted_by_its_token() {
    let sink = LeanSink::start(config()).await.unwrap();
    let (send, _connection) = connect(&sink).await;
    // Twice to device 7; a device beyond those known; another seed's; no token.
    let paths = [path(SEED, 7), path(SEED, 999), path(SEED, 7), path(SEED, 1_000), path(4, 7), "/3/device/xyz".into()];
    for (path, body) in paths.iter().zip([BODY, "", BODY, BODY, "", BODY]) {
        let response = soon(push(&send, path, body).await).await.unwrap();
        assert_eq!(response.status(), 200);
    }
    let expected = Counts { connections: 1, requests: 6, devices: 2, repeated: 1, unknown: 3, ..Counts::default() };
    assert_eq!(sink.counts(), expected);
    sink.reset();
    assert_eq!(sink.counts(), Counts::default());
    soon(push(&send, &paths[0], BODY).await).await.unwrap();
    assert_eq!(sink.counts(), Counts { requests: 1, devices: 1, ..Counts::default() });
}

/// Streams end in another order than they began, and one is given up.
#[tokio::test]
async fn bodies_may_come_late_and_a_reset_request_is_none() {
    let sink = LeanSink::start(config()).await.unwrap();
    let (send, _connection) = connect(&sink).await;
    let mut open = Vec::new();
    for number in 0..3 {
        let request = Request::post(format!("https://localhost{}", path(SEED, number))).body(()).unwrap();
        open.push(send.clone().ready().await.unwrap().send_request(request, false).unwrap());
    }
    let (_, mut given_up) = open.remove(1);
    given_up.send_reset(h2::Reason::CANCEL);
    for (response, mut stream) in open.into_iter().rev() {
        stream.send_data(Bytes::from_static(b"{}"), true).unwrap();
        assert_eq!(soon(response).await.unwrap().status(), 200);
    }
    assert_eq!(sink.counts(), Counts { connections: 1, requests: 2, devices: 2, ..Counts::default() });
}

#[tokio::test]
async fn delayed_answers_hold_their_streams_and_pings_pass_them() {
    let delay = Duration::from_millis(300);
    let sink = LeanSink::start(LeanConfig { delay, streams: 2, ..config() }).await.unwrap();
    let (send, mut connection) = h2::client::handshake(dial(&sink).await).await.unwrap();
    let mut ping = connection.ping_pong().unwrap();
    let _connection = tokio::spawn(connection);
    // Its answer comes after the sink's settings, so the limit is known.
    soon(ping.ping(h2::Ping::opaque())).await.unwrap();
    let started = Instant::now();
    let (first, second) = (push(&send, &path(SEED, 1), BODY).await, push(&send, &path(SEED, 2), BODY).await);
    soon(ping.ping(h2::Ping::opaque())).await.unwrap();
    assert!(started.elapsed() < delay, "the ping took {:?}", started.elapsed());
    assert_eq!(sink.counts().requests, 2);
    // Waits for a stream to be free.
    let third = push(&send, &path(SEED, 3), BODY).await;
    for response in [first, second, third] {
        assert_eq!(soon(response).await.unwrap().status(), 200);
    }
    assert!(started.elapsed() >= 2 * delay);
    assert_eq!(sink.counts(), Counts { connections: 1, requests: 3, devices: 3, ..Counts::default() });
}

/// Frames as no well-behaved client writes them: a stream over the limit is refused, a broken rule ends the connection.
#[tokio::test]
async fn limits_and_rules_are_kept() {
    let sink = LeanSink::start(LeanConfig { streams: 1, paths: Paths::Count, ..config() }).await.unwrap();
    let mut stream = dial(&sink).await;
    let mut out = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // HEADERS of streams 1 and 3, neither ended; DATA that ends 1; then DATA on a stream that never began.
    out.extend_from_slice(b"\0\0\x01\x01\x04\0\0\0\x01\x83\0\0\x01\x01\x04\0\0\0\x03\x83\0\0\0\0\x01\0\0\0\x01");
    out.extend_from_slice(b"\0\0\0\0\x01\0\0\0\x09");
    stream.write_all(&out).await.unwrap();
    let mut answer = Vec::new();
    soon(stream.read_to_end(&mut answer)).await.unwrap();
    let holds = |frame: &[u8]| answer.windows(frame.len()).any(|window| window == frame);
    assert!(holds(b"\0\0\0\x04\x01\0\0\0\0"), "SETTINGS are acknowledged: {answer:x?}");
    assert!(holds(b"\0\0\x04\x03\0\0\0\0\x03\0\0\0\x07"), "REFUSED_STREAM for 3: {answer:x?}");
    assert!(holds(b"\0\0\x01\x01\x05\0\0\0\x01\x88"), "200 for 1: {answer:x?}");
    assert!(holds(b"\x07\0\0\0\0\0\0\0\0\x03\0\0\0\x01"), "GOAWAY, PROTOCOL_ERROR: {answer:x?}");
    let counted = Counts { connections: 1, requests: 1, unread: 1, refused: 1, broken: 1, ..Counts::default() };
    assert_eq!(soon(async { settled(&sink, counted).await }).await, counted);
}

/// What a connection counted last is published after its last write.
async fn settled(sink: &LeanSink, wanted: Counts) -> Counts {
    loop {
        let counts = sink.counts();
        if counts == wanted {
            return counts;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn stopping_says_goodbye_to_open_connections() {
    let sink = LeanSink::start(config()).await.unwrap();
    let (send, connection) = connect(&sink).await;
    soon(push(&send, &path(SEED, 1), BODY).await).await.unwrap();
    soon(sink.stop()).await;
    soon(connection).await.unwrap().unwrap();
}

fn task(sink: &LeanSink, dir: &Path, connections: usize) -> Task {
    let of = sink.write_credentials(dir).unwrap();
    Task {
        endpoint: of.endpoint,
        host: sink.address().ip().to_string(),
        port: sink.address().port(),
        ca_file: of.ca_file,
        topic: of.topic,
        team_id: of.team_id,
        key_id: of.key_id,
        key_file: of.key_file,
        authorization: String::new(),
        body: BODY.to_owned(),
        tokens: Vec::new(),
        seed: SEED,
        connections,
        streams: 50,
        warm_up: 700,
        requests: 19_300,
    }
}

/// Through the seam, on either client: each device gets exactly one, however the path is written.
async fn each_device_gets_one(client: Client) {
    let (dir, config) = (tempfile::tempdir().unwrap(), LeanConfig { devices: 20_000, ..config() });
    let sink = LeanSink::start(config).await.unwrap();
    let done = soon(send_through_gateway(&task(&sink, dir.path(), 3), client)).await.unwrap();
    assert_eq!(done.outcomes, [(DELIVERED.to_owned(), 20_000)].into());
    assert!(done.cpu_micros > 0 && done.wall_micros > 0);
    let counts = sink.counts();
    assert_eq!((counts.requests, counts.devices, counts.repeated, counts.broken), (20_000, 20_000, 0, 0));
}

#[tokio::test]
async fn the_engine_reaches_each_device_once() {
    each_device_gets_one(Client::Frames).await;
}

#[tokio::test]
async fn the_h2_crate_reaches_each_device_once() {
    each_device_gets_one(Client::H2).await;
}
