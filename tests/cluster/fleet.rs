//! What the processes share: a database, a queue, a simulated push service, a configuration.

use std::time::{Duration, Instant};

use loadtest::gateways::{ApnsConfig, ApnsSim, ProviderKey, Simulated, Token};
use loadtest::servers::postgres::Postgres;
use loadtest::servers::redis::Redis;
use serde_json::{Value, json};

use crate::client::Client;
use crate::node::{Listening, Node};

pub const ADMIN: &str = "the-admin-key-of-this-fleet";
const TEAM: &str = "TEAM123456";
const BROADCASTS: &str = "/v1/hubs/demo/broadcasts";

/// Two API nodes and two workers, or whichever a test starts.
pub struct Fleet {
    folder: tempfile::TempDir,
    pub postgres: Postgres,
    pub redis: Redis,
    pub sim: ApnsSim,
    /// The key that the hub begins with.
    pub key: ProviderKey,
    store: String,
}

impl Fleet {
    /// The servers; no process yet.
    pub async fn bare() -> Self {
        let postgres = Postgres::start().unwrap();
        let store = postgres.database("fanfare").unwrap();
        let redis = Redis::start().await.unwrap();
        let sim = ApnsSim::start(ApnsConfig::default()).await.unwrap();
        let key = sim.issue_key(TEAM).unwrap();
        Self { folder: tempfile::tempdir().unwrap(), postgres, redis, sim, key, store }
    }

    /// Settings of every process.
    pub fn settings(&self) -> Vec<(String, String)> {
        let settings = [
            ("STORE__URL", self.store.clone()),
            ("STORE__CONNECTIONS", "8".to_owned()),
            ("QUEUE__URL", self.redis.url()),
            ("ADMIN__KEY", ADMIN.to_owned()),
            ("SECRETS__KEY", "ab".repeat(32)),
            ("SERVER__LISTEN", "127.0.0.1:0".to_owned()),
            ("SERVER__DRAIN_SECONDS", "15".to_owned()),
        ];
        settings.map(|(name, value)| (format!("FANFARE__{name}"), value)).to_vec()
    }

    /// A process of that role, starting.
    pub fn starting(&self, role: &str, more: &[(&str, &str)]) -> Node {
        let mut settings = self.settings();
        settings.extend(more.iter().map(|(name, value)| (format!("FANFARE__{name}"), (*value).to_owned())));
        Node::start(self.folder.path(), &["serve", "--role", role], &settings)
    }

    /// A process of that role that takes requests.
    pub fn node(&self, role: &str) -> Listening {
        self.starting(role, &[]).listening()
    }

    /// `count` processes of that role, started at the same time.
    pub fn nodes(&self, role: &str, count: usize) -> Vec<Listening> {
        let starting: Vec<_> = (0..count).map(|_| self.starting(role, &[])).collect();
        starting.into_iter().map(Node::listening).collect()
    }

    /// Settings of the hub, with this key.
    pub fn hub(&self, key: &ProviderKey) -> Value {
        json!({"apns": {
            "endpoint": self.sim.endpoint(), "ca": self.sim.authority().ca_pem(), "topic": "com.example.app",
            "team_id": key.team_id, "key_id": key.key_id, "key": key.p8(),
        }})
    }

    /// How often the push service took a message for a device.
    pub fn received(&self, device: u64) -> usize {
        let token = Token::from_hex(channel(device).as_bytes()).unwrap();
        self.sim.receipts().of(&token).iter().filter(|receipt| receipt.accepted()).count()
    }

    /// Each of these devices got exactly so many messages.
    pub fn each_received(&self, devices: std::ops::Range<u64>, times: usize) {
        let wrong: Vec<_> =
            devices.map(|device| (device, self.received(device))).filter(|(_, got)| *got != times).collect();
        assert!(wrong.is_empty(), "{} devices did not get {times}: {:?}", wrong.len(), &wrong[..wrong.len().min(20)]);
    }
}

fn channel(device: u64) -> String {
    format!("{:064x}", device + 1)
}

/// Registers devices, all with the tag `all` and one of `even` and `odd`.
pub async fn register(node: &Client, devices: std::ops::Range<u64>) {
    let document = |device: u64| {
        let parity = if device.is_multiple_of(2) { "even" } else { "odd" };
        json!({
            "installationId": format!("dev-{device}"), "platform": "apns", "pushChannel": channel(device),
            "tags": ["all", parity],
        })
    };
    let count = devices.end - devices.start;
    let lines: String = devices.map(|device| document(device).to_string() + "\n").collect();
    let answer = node.send("POST", "/v1/hubs/demo/installations:import", &[], lines.as_bytes()).await.expect(200);
    assert_eq!(answer.lines(), [json!({"imported": count, "failed": 0})]);
}

/// Accepts a broadcast and answers its path.
pub async fn send(node: &Client, more: &Value) -> String {
    let mut request = json!({"audience": "all", "payloads": {"apns": {"aps": {"alert": "Hello"}}}});
    for (name, value) in more.as_object().unwrap() {
        request[name] = value.clone();
    }
    let answer = node.post(BROADCASTS, &request).await.expect(202);
    format!("{BROADCASTS}/{}", answer.json()["id"].as_str().unwrap())
}

/// Looks until it is as wanted; a minute at most.
pub async fn until(node: &Client, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    within(Duration::from_secs(60), node, path, wanted).await
}

/// The same within this time.
pub async fn within(time: Duration, node: &Client, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + time;
    loop {
        let found = node.get(path).await.expect(200).json();
        if wanted(&found) {
            return found;
        }
        assert!(Instant::now() < end, "not within {time:?}: {found}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until the broadcast is over.
pub async fn finished(node: &Client, path: &str) -> Value {
    until(node, path, |broadcast| !broadcast["finished_at"].is_null()).await
}

/// One of a broadcast's counters.
pub fn counter(broadcast: &Value, name: &str) -> u64 {
    broadcast["counters"][name].as_u64().unwrap()
}
