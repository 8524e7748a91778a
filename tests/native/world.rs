//! A whole service in a folder of its own.

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::Client;
use crate::push::{Factory, Push};

pub const ADMIN: &str = "the-admin-key";

/// A running service with a hub `demo`, and the push service that it sends to.
pub struct World {
    pub folder: tempfile::TempDir,
    pub running: Running,
    pub push: Arc<Push>,
    pub admin: Client,
}

impl World {
    /// A service whose gateways end in memory.
    pub async fn start() -> Self {
        Self::with(&[]).await
    }

    /// The same with other settings: environment variables without their prefix.
    pub async fn with(settings: &[(&str, &str)]) -> Self {
        let world = Self::bare(settings).await;
        world.admin.put("/v1/hubs/demo", &hub()).await.expect(201);
        world
    }

    /// Without a hub.
    pub async fn bare(settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let push = Push::new();
        let running = start(folder.path(), settings, Some(push.clone())).await;
        let admin = Client::bearer(running.address(), ADMIN);
        Self { folder, running, push, admin }
    }

    /// Stops the service and starts another one on the same folder.
    pub async fn restart(self, settings: &[(&str, &str)]) -> Self {
        let Self { folder, running, push, .. } = self;
        assert!(running.stop().await, "everything ends by itself");
        let running = start(folder.path(), settings, Some(push.clone())).await;
        let admin = Client::bearer(running.address(), ADMIN);
        Self { folder, running, push, admin }
    }

    /// A caller with the primary key of one of the demo hub's rules.
    pub async fn with_rule(&self, rule: &str) -> Client {
        let hub = self.admin.get("/v1/hubs/demo").await.expect(200).json();
        Client::bearer(self.running.address(), hub["keys"][rule]["primary"].as_str().unwrap())
    }

    /// Registers devices `0..devices` with the tags `all` and `even` or `odd`.
    pub async fn register(&self, devices: u64) {
        self.admin.import("/v1/hubs/demo", (0..devices).map(document)).await;
    }

    /// Follows a broadcast's events to their end and answers its last state.
    pub async fn finished(&self, id: &str) -> Value {
        finished(&self.admin, id).await
    }

    /// Follows a broadcast's events until one is as wanted.
    pub async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until(&self.admin, id, wanted).await
    }

    /// Accepts a broadcast to an audience and answers its id.
    pub async fn send(&self, audience: &str) -> String {
        send(&self.admin, &broadcast(audience)).await
    }
}

/// Follows a broadcast's events to their end and answers its last state.
pub async fn finished(admin: &Client, id: &str) -> Value {
    finished_at(admin, &format!("/v1/hubs/demo/broadcasts/{id}")).await
}

/// The same for the broadcast at this path.
pub async fn finished_at(admin: &Client, path: &str) -> Value {
    let events = admin.get(&format!("{path}/events")).await.expect(200);
    let last = events.text().trim_end().rsplit("\n\n").next().unwrap().to_owned();
    let (event, data) = last.split_once('\n').unwrap();
    assert_eq!(event, "event: end");
    serde_json::from_str(data.strip_prefix("data: ").unwrap()).unwrap()
}

/// Follows a broadcast's events until one is as wanted.
pub async fn until(admin: &Client, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    until_at(admin, &format!("/v1/hubs/demo/broadcasts/{id}"), wanted).await
}

/// The same for the broadcast at this path.
pub async fn until_at(admin: &Client, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    admin.follow(path, wanted).await
}

/// Accepts a broadcast of the hub `demo` and answers its id.
pub async fn send(admin: &Client, request: &Value) -> String {
    let answer = admin.post("/v1/hubs/demo/broadcasts", request).await.expect(202);
    answer.json()["id"].as_str().unwrap().to_owned()
}

async fn start(folder: &Path, settings: &[(&str, &str)], push: Option<Arc<Push>>) -> Running {
    let config = config(folder, settings);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gateways = push.map(|push| Box::new(Factory(push)) as Box<_>);
    Running::start(&config, Options { listener: Some(listener), gateways, ..Options::default() }).await.unwrap()
}

/// A service with real gateways.
pub async fn start_real(folder: &Path, settings: &[(&str, &str)]) -> Running {
    start(folder, settings, None).await
}

/// A configuration in a folder.
pub fn config(folder: &Path, settings: &[(&str, &str)]) -> Config {
    let path = |name: &str| folder.join(name).display().to_string();
    let mut environment = vec![
        ("STORE__URL".to_owned(), format!("sqlite:{}", path("fanfare.db"))),
        ("SECRETS__KEY_FILE".to_owned(), path("secret.key")),
        ("ADMIN__KEY".to_owned(), ADMIN.to_owned()),
        ("SERVER__DRAIN_SECONDS".to_owned(), "10".to_owned()),
    ];
    environment.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let environment = environment
        .into_iter()
        .map(|(name, value)| -> (OsString, OsString) { (format!("FANFARE__{name}").into(), value.into()) });
    Config::load_with(None, environment).unwrap()
}

/// Settings of a hub with APNs, the default rules, and one that may only send.
pub fn hub() -> Value {
    json!({
        "apns": {"topic": "com.example.app", "team_id": "TEAM123456", "key_id": "KEY1234567", "key": "very private"},
        "keys": {
            "full": {"rights": ["listen", "send", "manage"]},
            "send": {"rights": ["send"]},
            "listen": {"rights": ["listen"], "primary": "the-listen-key"},
        },
    })
}

/// The document of one device.
pub fn document(device: u64) -> Value {
    let parity = if device.is_multiple_of(2) { "even" } else { "odd" };
    json!({
        "installationId": format!("dev-{device}"), "platform": "apns", "pushChannel": format!("{:064x}", device + 1),
        "tags": ["all", parity],
    })
}

/// A broadcast to an audience.
pub fn broadcast(audience: &str) -> Value {
    json!({"audience": audience, "payloads": {"apns": {"aps": {"alert": "Hello"}}}})
}
