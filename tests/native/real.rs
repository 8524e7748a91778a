//! A service whose hub `demo` sends to a simulated APNs over TLS, with its clock in the test's hands.

use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{BootInstant, Clock, SystemClock};
use fanfare::model::time::Timestamp;
use fanfare::service::{Options, Running};
use loadtest::gateways::{ApnsConfig, ApnsSim, ProviderKey};
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::Client;
use crate::world::{ADMIN, config};

pub const TEAM: &str = "TEAM123456";

/// The system's clock, turned ahead by hand.
#[derive(Debug, Default)]
pub struct TurnedClock(Mutex<Duration>);

impl TurnedClock {
    pub fn turn(&self, by: Duration) {
        *self.0.lock() += by;
    }
}

impl Clock for TurnedClock {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(*self.0.lock())
    }

    fn boot(&self) -> BootInstant {
        SystemClock.boot().plus(*self.0.lock())
    }
}

pub struct Real {
    _folder: tempfile::TempDir,
    pub running: Running,
    pub clock: Arc<TurnedClock>,
    pub sim: ApnsSim,
    /// The key that the hub begins with.
    pub key: ProviderKey,
    pub admin: Client,
}

impl Real {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sim = ApnsSim::start(ApnsConfig { keep_requests: true, ..ApnsConfig::default() }).await.unwrap();
        let key = sim.issue_key(TEAM).unwrap();
        let clock = Arc::new(TurnedClock::default());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options { listener: Some(listener), clock: Some(clock.clone()), ..Options::default() };
        let running = Running::start(&config(folder.path(), &[]), options).await.unwrap();
        let admin = Client::bearer(running.address(), ADMIN);
        admin.put("/v1/hubs/demo", &hub(&sim, &key)).await.expect(201);
        Self { _folder: folder, running, clock, sim, key, admin }
    }

    /// Gives the hub another key.
    pub async fn use_key(&self, key: &ProviderKey) {
        self.admin.put("/v1/hubs/demo", &hub(&self.sim, key)).await.expect(200);
    }

    /// How the hub's sender to APNs is.
    pub async fn sender(&self) -> Value {
        self.admin.get("/v1/hubs/demo").await.expect(200).json()["senders"]["apns"].clone()
    }

    /// The ids of the keys that signed what the service was sent, one after the other.
    pub fn signers(&self) -> Vec<String> {
        use base64::Engine;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        use loadtest::gateways::Simulated;
        let receipts = self.sim.receipts();
        let mut signers: Vec<String> = (0..receipts.len())
            .map(|order| {
                let request = receipts.full(order).unwrap();
                let token = request.header("authorization").unwrap().strip_prefix("bearer ").unwrap();
                let head = URL_SAFE_NO_PAD.decode(token.split('.').next().unwrap()).unwrap();
                serde_json::from_slice::<Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
            })
            .collect();
        signers.dedup();
        signers
    }
}

/// Settings of a hub that sends to the simulated service with this key.
pub fn hub(sim: &ApnsSim, key: &ProviderKey) -> Value {
    json!({"apns": {
        "endpoint": sim.endpoint(), "ca": sim.authority().ca_pem(), "topic": "com.example.app",
        "team_id": key.team_id, "key_id": key.key_id, "key": key.p8(),
    }})
}
