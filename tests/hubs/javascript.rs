//! The JavaScript client of the field, as it is, over TLS: every public function that it exports (`client/functions.mjs`),
//! with a connection string as the only thing it is told.
//!
//! The program looks itself at what the simulated push services received: they are shown to it under an address of this
//! test.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::Arc;

use axum::extract::{Path as Segment, State};
use axum::routing::get;
use axum::{Json, Router};
use loadtest::gateways::Simulated;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::program;
use crate::world::{FULL, LISTEN, World, device_token, windows_channel};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn c01_c18_the_javascript_client_works_over_tls() {
    let world = Arc::new(World::over_tls().await);
    let port = world.running.tls_address().unwrap().port();
    let string = async |rule: &str| {
        let key = world.key(rule).await;
        format!("Endpoint=sb://localhost:{port}/;SharedAccessKeyName={rule};SharedAccessKey={key}")
    };
    let container = world.full.send("POST", "/hub1/jobs/containers?api-version=2020-06", &[], b"").await.expect(201);
    let container = container.text().replace(&world.address().to_string(), &format!("localhost:{port}"));
    let mut node = Command::new("node");
    node.current_dir(program::folder("hubs/client", "@azure/notification-hubs").await)
        .arg("functions.mjs")
        .env("NODE_EXTRA_CA_CERTS", world.authority.write_ca(world.folder.path()).unwrap())
        .env("FULL", string(FULL).await)
        .env("LISTEN", string(LISTEN).await)
        .env("CONTAINER", container)
        .env("DEVICES", devices(&world).to_string())
        .env("RECEIVED", format!("http://{}", show(world.clone()).await));
    let said = program::run(node, "node").await;
    assert!(said.trim_end().ends_with("all functions work"), "{said}");
}

/// Devices of every platform but Apple, as their push services know them.
fn devices(world: &World) -> Value {
    let eight = |of: &dyn Fn(u64) -> Value| (0..8).map(of).collect::<Vec<_>>();
    json!({
        "fcmv1": eight(&|n| format!("new{n}:APA91b-Device_of_this_test").into()),
        "gcm": eight(&|n| format!("old{n}:APA91b-Device_of_this_test").into()),
        "windows": eight(&|n| windows_channel(world, n).into()),
        "adm": eight(&|n| device_token(n).to_string().into()),
        "browser": eight(&|n| world.browsers.subscription(&device_token(n))),
        "baidu": eight(&|n| format!("{}-{}", 1_000 + n, 2_000 + n).into()),
        "xiaomi": eight(&|n| format!("xiaomi-{n}").into()),
        "mpns": eight(&|n| format!("https://push.example/throttledthirdparty/{n}?a=1&b=%20").into()),
    })
}

/// Serves what each push service received, in order.
async fn show(world: Arc<World>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/{service}", get(received)).with_state(world);
    tokio::spawn(axum::serve(listener, router).into_future());
    address
}

async fn received(State(world): State<Arc<World>>, Segment(service): Segment<String>) -> Json<Value> {
    let service: &dyn Simulated = match service.as_str() {
        "apns" => &world.apns,
        "fcm" => &world.fcm,
        "wns" => &world.wns,
        "adm" => &world.adm,
        "browser" => &world.browsers,
        other => panic!("{other} is no push service"),
    };
    let receipts = service.receipts();
    let shown = receipts.all().into_iter().map(|receipt| {
        let request = receipts.full(receipt.order).unwrap_or_default();
        let headers: BTreeMap<_, _> = request.headers.into_iter().collect();
        let body = String::from_utf8_lossy(&request.body);
        json!({"token": receipt.token.to_string(), "headers": headers, "body": body})
    });
    Json(shown.collect())
}
