//! The control port, asked as a script would ask it.
use loadtest::gateways::{Fleet, FleetConfig, Simulated};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::{BODY, Client, TOPIC, soon, token};

/// One request over HTTP/1.1; answers (status, body).
async fn call(fleet: &Fleet, method: &str, path: &str, kind: &str, body: &str) -> (u16, String) {
    let mut tcp = TcpStream::connect(fleet.control.address()).await.unwrap();
    let length = body.len();
    let head =
        format!("{method} {path} HTTP/1.0\r\nhost: x\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n");
    tcp.write_all((head + body).as_bytes()).await.unwrap();
    let mut text = String::new();
    tcp.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head[9..12].parse().unwrap(), body.to_owned())
}

async fn get(fleet: &Fleet, path: &str) -> Value {
    let (status, body) = call(fleet, "GET", path, "", "").await;
    assert_eq!(status, 200, "{body}");
    serde_json::from_str(&body).unwrap()
}

#[tokio::test]
async fn scripts_receipts_and_credentials() {
    let dir = tempfile::tempdir().unwrap();
    let mut config = FleetConfig::on_free_ports();
    config.apns.topics = vec![TOPIC.to_owned()];
    let fleet = Fleet::start(config, dir.path()).await.unwrap();

    let credentials = get(&fleet, "/credentials").await;
    assert_eq!(credentials["apns"]["endpoint"], fleet.apns.endpoint());
    let certificate = loadtest::gateways::authority::ClientCertificate {
        certificate_pem: std::fs::read_to_string(&fleet.credentials.apns.cert_file).unwrap(),
        key_pem: std::fs::read_to_string(&fleet.credentials.apns.cert_key_file).unwrap(),
    };
    let p8 = std::fs::read_to_string(credentials["apns"]["key_file"].as_str().unwrap()).unwrap();
    assert!(p8.starts_with("-----BEGIN PRIVATE KEY-----\n"));

    let script = "[[rules]]\nwhen = { nth = 2 }\nact = { answer = { status = 410, reason = \"Unregistered\" } }\n";
    assert_eq!(call(&fleet, "POST", "/script", "application/toml", script).await.0, 204);
    assert_eq!(get(&fleet, "/script").await["rules"][0]["when"], json!({ "nth": 2 }));
    assert_eq!(call(&fleet, "POST", "/script", "application/json", "{\"latency\": 1}").await.0, 400);

    let client = Client::connect(&fleet.apns, Some(&certificate)).await.unwrap();
    for number in [1, 2, 1] {
        soon(client.push_body(crate::client::request(&token(number)), BODY.as_bytes())).await.unwrap();
    }
    let summary = get(&fleet, "/receipts/summary?repeated=true").await;
    assert_eq!((&summary["receipts"], &summary["accepted"]), (&json!(3), &json!(2)));
    assert_eq!(
        summary["answers"][1],
        json!({ "status": 410, "reason": "Unregistered", "fate": "answered", "count": 1 })
    );
    assert_eq!(summary["repeated"], json!([{ "token": token(1), "times": 2, "same_id": false }]));

    let (_, dump) = call(&fleet, "GET", "/receipts?cursor=1&limit=1", "", "").await;
    let lines: Vec<Value> = dump.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1);
    assert_eq!((&lines[0]["order"], &lines[0]["token"]), (&json!(1), &json!(token(2))));

    assert_eq!(call(&fleet, "POST", "/reset", "", "").await.0, 204);
    assert!(fleet.apns.receipts().is_empty());
    assert_eq!(call(&fleet, "GET", "/script?gateway=pigeon", "", "").await.0, 404);
    soon(fleet.control.stop()).await;
}
