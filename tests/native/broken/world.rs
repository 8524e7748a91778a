//! What broken requests are sent to: a service with real gateways that are never asked to send, and a look at all that
//! a request could have changed.

use std::collections::BTreeMap;

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der};
use aws_lc_rs::rsa::{KeyPair, KeySize};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fanfare::service::Running;
use serde_json::{Value, json};

use super::row::{Row, Who};
use crate::client::{Answer, Client};
use crate::rights::token;
use crate::world::{ADMIN, broadcast, document, hub, start_real};

/// Bytes that a body may have here; more than a message of any service.
pub const BODY_BYTES: &str = "8192";
/// Bytes of a line of an import.
pub const LINE_BYTES: &str = "1024";

pub struct World {
    _folder: tempfile::TempDir,
    pub running: Running,
    pub admin: Client,
    /// Keys of the hub `demo` by rule.
    keys: BTreeMap<String, String>,
    /// A broadcast that waits for the year 2199.
    pub waiting: String,
    /// One that is over.
    pub over: String,
}

impl World {
    /// A hub `demo` with APNs, FCM and WNS, four devices and two broadcasts; and a hub `bare` without a push service.
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let settings = [("LIMITS__BODY_BYTES", BODY_BYTES), ("LIMITS__IMPORT_LINE_BYTES", LINE_BYTES)];
        let running = start_real(folder.path(), &settings).await;
        let admin = Client::bearer(running.address(), ADMIN);
        let mut settings = hub();
        settings["apns"]["key"] = rcgen::KeyPair::generate().unwrap().serialize_pem().into();
        settings["fcm"] = json!({"service_account": service_account()});
        settings["wns"] = json!({"tenant_id": "example.com", "client_id": "an-id", "client_secret": "a secret"});
        let shown = admin.put("/v1/hubs/demo", &settings).await.expect(201).json();
        let keys = shown["keys"].as_object().unwrap().iter();
        let keys = keys.map(|(rule, key)| (rule.clone(), key["primary"].as_str().unwrap().to_owned())).collect();
        admin.put("/v1/hubs/bare", &json!({})).await.expect(201);
        for device in 0..4 {
            let mut document = document(device);
            document["templates"] = json!({"t": {"body": "{\"aps\":{}}"}});
            admin.put(&format!("/v1/hubs/demo/installations/dev-{device}"), &document).await.expect(201);
        }
        let mut later = broadcast("all");
        later["schedule_at"] = json!("2199-01-01T00:00:00Z");
        let headers = [("content-type", "application/json"), ("idempotency-key", "used")];
        let send = async |body: &Value| -> String {
            let answer = admin.send("POST", "/v1/hubs/demo/broadcasts", &headers, body.to_string().as_bytes()).await;
            answer.expect(202).json()["id"].as_str().unwrap().to_owned()
        };
        let waiting = send(&later).await;
        let over = admin.post("/v1/hubs/demo/broadcasts", &broadcast("nobody")).await.expect(202).json();
        let over = over["id"].as_str().unwrap().to_owned();
        // Nobody is targeted, so it is over when it is planned.
        admin.get(&format!("/v1/hubs/demo/broadcasts/{over}/events")).await.expect(200);
        Self { _folder: folder, running, admin, keys, waiting, over }
    }

    fn client(&self, who: Who) -> Client {
        let address = self.running.address();
        let signed = |resource: &str, expiry: u64| token(&self.keys["listen"], "listen", resource, expiry);
        let host = address.to_string().replace(':', "%3a");
        let authorization = match who {
            Who::Admin => return self.admin.clone(),
            Who::Rule(name) => return Client::bearer(address, &self.keys[name]),
            Who::Header(header) => header.map(str::to_owned),
            Who::ExpiredToken => Some(signed(&format!("http%3a%2f%2f{host}%2fdemo"), 1_600_000_000)),
            Who::TokenForElsewhere => Some(signed(&format!("http%3a%2f%2f{host}%2fbare"), 4_000_000_000)),
        };
        Client::new(address, authorization)
    }

    pub async fn send(&self, row: &Row) -> Answer {
        self.client(row.who).send(row.method, &row.path, &row.headers, row.body.as_bytes()).await
    }

    /// All that a request could have changed: hubs with their keys, every installation, every broadcast, and what was
    /// counted as accepted, registered or sent.
    pub async fn fingerprint(&self) -> Vec<String> {
        let text = async |path: &str| self.admin.get(path).await.expect(200).text().to_owned();
        let mut seen = vec![text("/v1/hubs").await];
        for hub in ["demo", "bare"] {
            seen.push(text(&format!("/v1/hubs/{hub}/installations:export")).await);
            seen.push(text(&format!("/v1/hubs/{hub}/broadcasts?limit=500")).await);
        }
        let counted = ["registrations_total", "broadcasts_total", "accept_seconds_count", "outcomes_total", "verdicts"];
        let metrics = text("/metrics").await;
        let counted =
            metrics.lines().filter(|line| counted.iter().any(|name| line.starts_with(&format!("fanfare_{name}"))));
        // The recorder keeps no order among series.
        let mut counted: Vec<_> = counted.map(str::to_owned).collect();
        counted.sort_unstable();
        seen.extend(counted);
        seen
    }
}

/// A service account that nobody knows; nothing is ever sent with it.
pub fn service_account() -> Value {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let key = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    json!({
        "type": "service_account", "project_id": "demo", "private_key_id": "key-1", "private_key": key,
        "client_email": "push@demo.example", "token_uri": "https://127.0.0.1:9/token",
    })
}
