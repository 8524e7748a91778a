//! A hub that was made or changed through one node is so on every node.

use std::time::{Duration, Instant};

use loadtest::gateways::ProviderKey;
use serde_json::json;

use crate::client::Client;
use crate::fleet::Fleet;

/// What "on every node within a second" allows.
const SECOND: Duration = Duration::from_secs(1);

/// The status that a request ends with, looked at until it is this one.
async fn until_status(client: &Client, path: &str, status: u16) {
    let began = Instant::now();
    loop {
        let got = client.get(path).await.status;
        if got == status {
            return;
        }
        assert!(began.elapsed() < SECOND, "{path} still answers {got} after {:?}", began.elapsed());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_node_was_told_another_knows_at_once() {
    let fleet = Fleet::bare().await;
    let nodes = fleet.nodes("api", 2);
    let (one, other) = (&nodes[0], &nodes[1]);
    for round in 0..10 {
        let path = format!("/v1/hubs/demo-{round}");
        let made = one.admin.put(&path, &json!({})).await.expect(201).json();
        // Without a wait in between: the other node looks before it refuses what it does not know.
        let key = made["keys"]["DefaultFullSharedAccessSignature"]["primary"].as_str().unwrap();
        Client::bearer(other.address, key).get(&path).await.expect(200);
        let listing = other.admin.get("/v1/hubs").await.expect(200).json();
        assert_eq!(listing["items"].as_array().unwrap().len(), round + 1);
        let rule = format!("{path}/keys/DefaultFullSharedAccessSignature:rotate");
        let rotated = other.admin.send("POST", &rule, &[], b"").await.expect(200).json();
        Client::bearer(one.address, rotated["primary"].as_str().unwrap()).get(&path).await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_and_hubs_end_everywhere_within_a_second() {
    let fleet = Fleet::bare().await;
    let nodes = fleet.nodes("api", 2);
    let (one, other) = (&nodes[0], &nodes[1]);
    let made = one.admin.put("/v1/hubs/demo", &json!({})).await.expect(201).json();
    let key = made["keys"]["DefaultFullSharedAccessSignature"]["primary"].as_str().unwrap();
    let holder = Client::bearer(other.address, key);
    holder.get("/v1/hubs/demo").await.expect(200);
    let rule = "/v1/hubs/demo/keys/DefaultFullSharedAccessSignature:rotate";
    one.admin.send("POST", rule, &[], b"").await.expect(200);
    holder.get("/v1/hubs/demo").await.expect(200);
    one.admin.send("POST", rule, &[], b"").await.expect(200);
    until_status(&holder, "/v1/hubs/demo", 401).await;
    other.admin.delete("/v1/hubs/demo").await.expect(204);
    until_status(&one.admin, "/v1/hubs/demo", 404).await;
    // A hub of the same name is another one.
    one.admin.put("/v1/hubs/demo", &json!({"weight": 3})).await.expect(201);
    until_status(&other.admin, "/v1/hubs/demo", 200).await;
    assert_eq!(other.admin.get("/v1/hubs/demo").await.expect(200).json()["weight"], 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_through_both_nodes_at_once_undo_nothing() {
    let fleet = Fleet::bare().await;
    let nodes = fleet.nodes("api", 2);
    nodes[0].admin.put("/v1/hubs/demo", &json!({"keys": {"app": {"rights": ["send"]}}})).await.expect(201);
    let rotate = async |node: &Client| {
        for _ in 0..10 {
            node.send("POST", "/v1/hubs/demo/keys/app:rotate", &[], b"").await.expect(200);
        }
    };
    let weigh = async |node: &Client| {
        for weight in 1..=10 {
            node.put("/v1/hubs/demo", &json!({"weight": weight})).await.expect(200);
        }
    };
    tokio::join!(rotate(&nodes[0].admin), weigh(&nodes[1].admin));
    // Whoever came second decided anew over what the first had written.
    let last = nodes[0].admin.send("POST", "/v1/hubs/demo/keys/app:rotate", &[], b"").await.expect(200).json();
    let shown = nodes[0].admin.get("/v1/hubs/demo").await.expect(200).json();
    assert_eq!(shown["weight"], 10);
    assert_eq!(shown["keys"]["app"]["primary"], last["primary"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_at_once_agree_on_configured_hubs() {
    let fleet = Fleet::bare().await;
    let more = [("HUBS__DEMO__WEIGHT", "2"), ("HUBS__OTHER__WEIGHT", "3")];
    let starting: Vec<_> = ["api", "api", "worker"].map(|role| fleet.starting(role, &more)).into();
    let nodes: Vec<_> = starting.into_iter().map(crate::node::Node::listening).collect();
    for path in ["/v1/hubs/demo", "/v1/hubs/other"] {
        let shown = [&nodes[0], &nodes[1]].map(async |node| node.admin.get(path).await.expect(200).json());
        let [one, other] = shown;
        let (one, other) = (one.await, other.await);
        assert_eq!(one, other, "the keys that were made are the same");
        assert_eq!(one["read_only"], true);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guesses_wait_and_change_nothing() {
    let fleet = Fleet::bare().await;
    let node = fleet.node("api");
    node.admin.put("/v1/hubs/demo", &json!({})).await.expect(201);
    let asked = |fleet: &Fleet| -> i64 {
        let sql =
            "SELECT calls FROM (SELECT sum(xact_commit) AS calls FROM pg_stat_database WHERE datname = 'fanfare') s";
        fleet.postgres.psql("postgres", sql).unwrap().parse().unwrap()
    };
    let before = asked(&fleet);
    let stranger = Client::bearer(node.address, &ProviderKey::generate("TEAM123456").unwrap().key_id);
    let guesses = (0..400).map(|_| stranger.get("/v1/hubs/demo"));
    for answer in futures_util::future::join_all(guesses).await {
        answer.expect(401);
    }
    // Looks are shared: hundreds of guesses are a handful of queries, beside what the node asks by itself.
    assert!(asked(&fleet) - before < 100, "{}", asked(&fleet) - before);
}
