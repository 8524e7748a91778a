//! `/api/{name}`: the app's own code behind the service (6.1).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use loadtest::gateways::Authority;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::upstream::Upstream;
use crate::world::{OWN_PORT, PATIENCE, USERS, World, session};

const JSON: (&str, &str) = ("content-type", "application/json");

async fn world(upstream: &Upstream) -> World {
    World::with(&format!("{USERS}{}", upstream.section())).await
}

fn refusal(answer: &crate::client::Answer) -> String {
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"), "{answer:?}");
    answer.json()["error"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn obs_180_to_189_every_method_goes_to_the_upstream() {
    let upstream = Upstream::start().await;
    let world = world(&upstream).await;
    // Among them one that no router knows.
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "PURGE"] {
        let override_it = ("x-http-method-override", "PATCH");
        let answer =
            world.client.send(method, "/api/echo/42?p=a%20b&$q=1", &[override_it], b"").await.expect(200).json();
        assert_eq!((&answer["method"], &answer["target"]), (&json!(method), &json!("/functions/echo/42?p=a%20b&$q=1")));
        assert_eq!(answer["headers"]["x-http-method-override"], json!("PATCH"));
        assert_eq!(answer["headers"]["transfer-encoding"], Value::Null, "{method} without a body has none");
    }
    let head = world.client.send("HEAD", "/api/echo", &[], b"").await.expect(200);
    assert!(head.body.is_empty() && head.header("content-length").is_some_and(|length| length != "0"), "{head:?}");
    let asked = upstream.asked().await;
    assert_eq!(asked.last().unwrap()["method"], json!("HEAD"));
    world.client.send("TRACE", "/api/echo", &[], b"").await.expect(405);
    assert_eq!(upstream.asked().await.len(), asked.len());
    // No version is asked for (OBS 6); a slash at the end means nothing.
    for path in ["/api/echo", "/api/echo/"] {
        let answer = world.client.send("GET", path, &[("zumo-api-version", "9")], b"").await.expect(200).json();
        assert_eq!(answer["target"], json!("/functions/echo"));
    }
}

#[tokio::test]
async fn obs_182_any_body_is_taken_as_it_is() {
    let upstream = Upstream::start().await;
    let world = world(&upstream).await;
    for body in [r#""just a string""#, "7", "null", "[1, 2]", r#"{"a" : 1.0}"#, "{", ""] {
        let answer = world.client.send("POST", "/api/back", &[JSON], body.as_bytes()).await.expect(200);
        assert_eq!(answer.text(), body);
        let asked = upstream.asked().await.pop().unwrap();
        let length = asked["headers"]["content-length"].as_str().unwrap_or("0");
        assert_eq!(length, body.len().to_string(), "its length is known there, too");
    }
    // A length that contradicts the body is not passed on.
    let both = [("transfer-encoding", "chunked"), ("content-length", "3")];
    let mut exchange = world.client.begin("POST", "/api/back", &both).await;
    exchange.chunk(b"hello").await;
    exchange.chunk(b"").await;
    let answer = exchange.answer().await;
    assert!(answer.status == 400 || answer.text() == "hello", "{answer:?}");
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let gzip = ("content-encoding", "gzip");
    let answer =
        world.client.send("POST", "/api/back", &[("content-type", "image/png"), gzip], &bytes).await.expect(200);
    assert!(answer.body == bytes, "byte by byte");
    assert_eq!(upstream.asked().await.pop().unwrap()["headers"]["content-encoding"], json!("gzip"));
}

#[tokio::test]
async fn answers_go_back_unchanged() {
    let upstream = Upstream::start().await;
    let world = world(&upstream).await;
    let origin = ("origin", "http://localhost:3000");
    let odd = world.client.send("POST", "/api/odd", &[origin], b"").await.expect(201);
    for (name, value) in [
        ("etag", "W/\"7\""),
        ("link", "http://127.0.0.1/?$skip=1; rel=next"),
        ("content-type", "application/vnd.own+json"),
        ("set-cookie", "a=1"),
        ("x-own", "1"),
        ("content-length", "7"),
        // Who may call is this service's to say.
        ("access-control-allow-origin", "http://localhost:3000"),
        ("access-control-expose-headers", "Link, ETag, x-zumo-server-version, x-fanfare-conflict"),
    ] {
        assert_eq!(odd.header(name), Some(value), "{name}");
    }
    assert_eq!((odd.text(), odd.header("keep-alive")), ("[ 1,2 ]", None));
    let varies: Vec<_> =
        odd.headers.iter().filter(|(name, _)| name == "vary").map(|(_, value)| value.as_str()).collect();
    assert_eq!(varies, ["Accept", "Origin"]);
    let foreign = world.client.send("GET", "/api/odd", &[("origin", "https://evil.net")], b"").await.expect(201);
    assert_eq!(foreign.header("access-control-allow-origin"), None);
    let page = world.client.get("/api/page").await.expect(500);
    assert_eq!((page.text(), page.header("content-type")), ("<h1>no</h1>", Some("text/html")));
    let empty = world.client.get("/api/empty").await.expect(204);
    assert!(empty.body.is_empty());
    let unmodified = world.client.send("GET", "/api/unmodified", &[("if-none-match", "\"7\"")], b"").await.expect(304);
    assert_eq!(unmodified.header("etag"), Some("\"7\""));
    assert_eq!(upstream.asked().await.pop().unwrap()["headers"]["if-none-match"], json!("\"7\""));
}

#[tokio::test]
async fn who_calls_is_said_by_the_service_alone() {
    let upstream = Upstream::start().await;
    let world = world(&upstream).await;
    let forged = [
        ("x-ms-client-principal", "forged"),
        ("X-MS-CLIENT-PRINCIPAL-ID", "forged"),
        ("X-Ms-Client-Principal-Name", "forged"),
        ("x_ms_client_principal_id", "forged"),
        ("x-ms-client-principal-idp", "forged"),
        ("x-ms-token-aad-access-token", "forged"),
        ("connection", "x-of-this-connection"),
        ("x-of-this-connection", "forged"),
        ("proxy-authorization", "forged"),
        ("te", "trailers"),
        ("x-kept", "1"),
    ];
    let answer = world.client.send("GET", "/api/echo", &forged, b"").await.expect(200).json();
    assert!(!answer.to_string().contains("forged"), "{answer}");
    let headers = &answer["headers"];
    assert_eq!((&headers["x-kept"], &headers["te"]), (&json!("1"), &Value::Null));
    assert_eq!(headers["host"], json!(upstream.address.to_string()));
    assert_eq!(headers["x-forwarded-host"], json!(world.running.address().to_string()));
    assert_eq!(headers["x-forwarded-proto"], json!("http"));
    let answer = world.signed_in("sid:a").send("POST", "/api/echo", &forged, b"").await.expect(200).json();
    assert!(!answer.to_string().contains("forged"), "{answer}");
    let headers = &answer["headers"];
    assert_eq!(headers["x-ms-client-principal-id"], json!("sid:a"));
    assert_eq!(
        (&headers["x-ms-client-principal-idp"], &headers["x-ms-client-principal-name"]),
        (&json!("test"), &json!("sid:a"))
    );
    let principal = STANDARD.decode(headers["x-ms-client-principal"].as_str().unwrap()).unwrap();
    let principal: Value = serde_json::from_slice(&principal).unwrap();
    assert_eq!((&principal["auth_typ"], &principal["claims"][0]["val"]), (&json!("test"), &json!("sid:a")));
    assert!(principal["name_typ"].is_string() && principal["role_typ"].is_string());
    // A token that stands for nobody gets nowhere.
    let asked = upstream.asked().await.len();
    world.showing("a.b.c").get("/api/echo").await.expect(401);
    assert_eq!(upstream.asked().await.len(), asked);
}

#[tokio::test]
async fn obs_187_only_users_call_where_the_configuration_says_so() {
    let upstream = Upstream::start().await;
    let world = World::with(&format!("{USERS}{}access = 'authenticated'\n", upstream.section())).await;
    let refused = world.client.get("/api/echo").await.expect(401);
    assert_eq!(refusal(&refused), "You must be logged in to use this application");
    assert!(upstream.asked().await.is_empty());
    let token = session("sid:a");
    world.client.send("GET", "/api/echo", &[("x-zumo-auth", &token)], b"").await.expect(200);
}

#[tokio::test]
async fn no_name_leads_out_of_the_upstreams_folder() {
    let upstream = Upstream::start().await;
    let world = world(&upstream).await;
    for path in [
        "/api/../admin",
        "/api/..",
        "/api/a/../../admin",
        "/api/%2e%2e/admin",
        "/api/%2e%2e%2fadmin",
        "/api/..%2fadmin",
        "/api/..%5cadmin",
        "/api/%252e%252e/admin",
        "/api/a%252fb",
        "/api/..;/admin",
        "/api//admin",
        "/api/a%00",
        "/api/%zz",
        "/api/./a",
    ] {
        assert!(refusal(&world.client.get(path).await.expect(400)).contains("must not hold"), "{path}");
    }
    for path in ["/api", "/api/"] {
        world.client.get(path).await.expect(404);
    }
    assert_eq!(upstream.asked().await, Vec::<Value>::new());
}

#[tokio::test]
async fn an_upstream_that_is_away_slow_or_not_there_is_told_apart() {
    let upstream = Upstream::start().await;
    let world = World::with(&format!("{USERS}{}timeout_seconds = 1\n", upstream.section())).await;
    let slow = world.client.get("/api/silent").await.expect(504);
    assert!(refusal(&slow).contains("within 1 seconds") && slow.header("retry-after").is_none());
    let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let world = world.restart(&format!("{USERS}[mobile.api]\nupstream = 'http://{nobody}'\n")).await;
    let away = world.client.get("/api/echo").await.expect(502);
    assert!(!away.text().contains(&nobody.to_string()), "{away:?}");
    refusal(&away);
    let world = world.restart(USERS).await;
    refusal(&world.client.post("/api/echo", &json!({})).await.expect(404));
}

#[tokio::test]
async fn an_upstream_that_leads_back_is_noticed_at_once() {
    let section = format!("{USERS}[mobile.api]\nupstream = 'http://127.0.0.1:{OWN_PORT}/api'\n");
    let world = World::with(&section).await;
    world.client.get("/api/echo").await.expect(502);
}

#[tokio::test]
async fn a_body_over_the_limit_is_413_however_it_comes() {
    let upstream = Upstream::start().await;
    let world = World::with(&format!("{USERS}{}[limits]\nbody_bytes = 20000\n", upstream.section())).await;
    let fits = vec![b'x'; 20_000];
    assert_eq!(world.client.send("POST", "/api/back", &[], &fits).await.expect(200).body.len(), 20_000);
    let asked = upstream.asked().await.len();
    let refused = world.client.send("POST", "/api/back", &[], &vec![b'x'; 20_001]).await.expect(413);
    assert!(refusal(&refused).contains("at most 20000 bytes"));
    let mut pieces = world.client.begin("POST", "/api/back", &[("transfer-encoding", "chunked")]).await;
    for _ in 0..3 {
        pieces.chunk(&[b'x'; 10_000]).await;
    }
    pieces.chunk(b"").await;
    pieces.answer().await.expect(413);
    assert_eq!(upstream.asked().await.len(), asked, "nothing half-sent was taken for a request");
}

#[tokio::test]
async fn bodies_pass_piece_by_piece_both_ways() {
    let upstream = Upstream::start().await;
    let world = world(&upstream).await;
    let passing = async {
        let mut exchange = world.client.begin("POST", "/api/live", &[("transfer-encoding", "chunked")]).await;
        for piece in ["one", "two"] {
            exchange.chunk(piece.as_bytes()).await;
            assert_eq!(upstream.pieces.lock().await.recv().await.unwrap(), piece, "before the body ends");
        }
        exchange.chunk(b"").await;
        upstream.answer.send(Bytes::from_static(b"three")).unwrap();
        let head = exchange.head().await.expect(200);
        assert_eq!(exchange.next_chunk().await.unwrap(), b"three", "before the answer ends");
        assert!(head.headers.iter().any(|(name, value)| name == "vary" && value == "Accept-Encoding"), "{head:?}");
        upstream.answer.send(Bytes::from_static(b"four")).unwrap();
        assert_eq!(exchange.next_chunk().await.unwrap(), b"four");
    };
    tokio::time::timeout(PATIENCE, passing).await.unwrap();
}

#[tokio::test]
async fn an_answer_that_stops_half_way_is_cut_off() {
    let upstream = Upstream::start().await;
    let world = World::with(&format!("{USERS}{}timeout_seconds = 1\n", upstream.section())).await;
    upstream.answer.send(Bytes::from_static(b"half")).unwrap();
    let mut stream = TcpStream::connect(world.running.address()).await.unwrap();
    stream.write_all(b"GET /api/live HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    // The connection may end with a reset.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\r\n4\r\nhalf\r\n"), "{answer}");
    assert!(!answer.ends_with("\r\n0\r\n\r\n"), "nobody takes it for whole: {answer}");
}

#[tokio::test]
async fn an_upstream_may_be_behind_tls_under_a_root_of_its_own() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
    let upstream = Upstream::over_tls(&authority).await;
    let port = upstream.address.port();
    let section = format!("{USERS}[mobile.api]\nupstream = 'https://localhost:{port}'\n");
    let world = World::within(folder, authority, &format!("{section}ca_file = 'ca.pem'\n")).await;
    let answer = world.client.post("/api/echo", &json!([1])).await.expect(200).json();
    assert_eq!((&answer["body"], &answer["target"]), (&json!("[1]"), &json!("/echo")));
    // Without the root it is not trusted.
    let world = world.restart(&section).await;
    world.client.get("/api/echo").await.expect(502);
}

/// What would answer is no page of the upstream's to that address.
#[tokio::test]
async fn a_websocket_is_refused_in_words_and_other_offers_are_passed_over() {
    let upstream = Upstream::start().await;
    let world = world(&upstream).await;
    let socket = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];
    let refused = world.client.send("GET", "/api/chat", &socket, b"").await.expect(400);
    assert!(refusal(&refused).starts_with("Upgrade must not ask for a WebSocket"), "{refused:?}");
    assert_eq!(upstream.asked().await, Vec::<Value>::new());
    let offers = [("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")];
    let answer = world.client.send("GET", "/api/echo", &offers, b"").await.expect(200).json();
    for name in ["upgrade", "http2-settings"] {
        assert_eq!(answer["headers"][name], Value::Null, "{answer}");
    }
}

/// 6.4 and 12.10: a field that grows without end, and long addresses.
#[tokio::test]
async fn point_10_long_headers_and_addresses_pass() {
    let upstream = Upstream::start().await;
    let world = world(&upstream).await;
    let (features, own) = ("TR,QS,".repeat(5_462), "x".repeat(65_536));
    let path = format!("/api/echo?q={}", "x".repeat(32_768));
    let headers = [("x-zumo-features", features.as_str()), ("x-own", own.as_str())];
    let answer = world.client.send("GET", &path, &headers, b"").await.expect(200).json();
    assert_eq!(answer["target"].as_str().unwrap(), path.replace("/api/", "/functions/"));
    assert_eq!(answer["headers"]["x-own"].as_str().unwrap().len(), 65_536);
    let passed = answer["headers"]["x-zumo-features"].as_str().unwrap();
    assert!(passed.len() <= 1_024 && features.starts_with(passed), "servers behind take less: {}", passed.len());
}
