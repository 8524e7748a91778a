//! A whole service whose hub `demo` reaches a simulated WNS and, beside it, a simulated APNs.

use std::ffi::OsString;
use std::ops::Range;
use std::sync::Arc;

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use loadtest::gateways::{ApnsConfig, ApnsSim, Authority, ProviderKey, Simulated, Token, WnsConfig, WnsSim};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bench::token;
use crate::client::Client;

const ADMIN: &str = "the-admin-key";
pub(crate) const HUB: &str = "/v1/hubs/demo";
const TOPIC: &str = "com.example.app";

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) running: Running,
    pub(crate) admin: Client,
    pub(crate) wns: WnsSim,
    pub(crate) apns: ApnsSim,
    config: WnsConfig,
    authority: Arc<Authority>,
    key: ProviderKey,
}

impl World {
    /// A service without a hub.
    pub(crate) async fn bare(config: WnsConfig) -> Self {
        Self::start(config, false).await
    }

    /// With a hub that has WNS by the configuration.
    pub(crate) async fn configured(config: WnsConfig) -> Self {
        Self::start(config, true).await
    }

    async fn start(config: WnsConfig, configured: bool) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Arc::new(Authority::new().unwrap()));
        let wns = WnsSim::start_under(config.clone(), &authority).await.unwrap();
        let apns = ApnsSim::start_under(ApnsConfig::default(), authority.clone()).await.unwrap();
        let key = apns.issue_key("TEAM123456").unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut environment = vec![
            ("STORE__URL", format!("sqlite:{}", path("fanfare.db"))),
            ("SECRETS__KEY_FILE", path("secret.key")),
            ("ADMIN__KEY", ADMIN.to_owned()),
            ("SERVER__DRAIN_SECONDS", "10".to_owned()),
        ];
        if configured {
            std::fs::write(folder.path().join("ca.pem"), authority.ca_pem()).unwrap();
            environment.extend([
                ("HUBS__DEMO__WNS__TENANT_ID", config.tenant_id.clone()),
                ("HUBS__DEMO__WNS__CLIENT_ID", config.client_id.clone()),
                ("HUBS__DEMO__WNS__CLIENT_SECRET", config.client_secret.clone()),
                ("HUBS__DEMO__WNS__TOKEN_ENDPOINT", wns.entra_endpoint()),
                ("HUBS__DEMO__WNS__ALLOWED_HOSTS", format!("['{}']", wns.allowed_host())),
                ("HUBS__DEMO__WNS__CA_FILE", path("ca.pem")),
            ]);
        }
        let environment = environment
            .into_iter()
            .map(|(name, value)| -> (OsString, OsString) { (format!("FANFARE__{name}").into(), value.into()) });
        let settings = Config::load_with(None, environment).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options { listener: Some(listener), ..Options::default() };
        let running = Running::start(&settings, options).await.unwrap();
        let admin = Client::bearer(running.address(), ADMIN);
        Self { folder, running, admin, wns, apns, config, authority, key }
    }

    /// With a hub that has WNS.
    pub(crate) async fn new(config: WnsConfig) -> Self {
        let world = Self::bare(config).await;
        world.admin.put(HUB, &json!({"wns": world.account()})).await.expect(201);
        world
    }

    /// The hub's account by Entra ID.
    pub(crate) fn account(&self) -> Value {
        json!({
            "auth": "entra",
            "tenant_id": self.config.tenant_id,
            "client_id": self.config.client_id,
            "client_secret": self.config.client_secret,
            "token_endpoint": self.wns.entra_endpoint(),
            "allowed_hosts": [self.wns.allowed_host()],
            "ca": self.authority.ca_pem(),
        })
    }

    /// The same with one member changed.
    pub(crate) fn account_with(&self, member: &str, value: Value) -> Value {
        let mut account = self.account();
        account[member] = value;
        account
    }

    pub(crate) fn apns_account(&self) -> Value {
        json!({
            "endpoint": self.apns.endpoint(), "topic": TOPIC, "team_id": self.key.team_id, "key_id": self.key.key_id,
            "key": self.key.p8(), "ca": self.authority.ca_pem(), "connections": 1,
        })
    }

    /// The document of a device of Windows, with the channel that the simulated service gave it.
    pub(crate) fn windows(&self, device: u64) -> Value {
        json!({
            "installationId": format!("win-{device}"), "platform": "wns", "tags": ["all"],
            "pushChannel": self.wns.channel(&token(device)),
        })
    }

    /// Registers documents.
    pub(crate) async fn register(&self, documents: impl IntoIterator<Item = Value>) {
        self.admin.import(HUB, documents).await;
    }

    /// Registers Windows devices.
    pub(crate) async fn register_windows(&self, devices: Range<u64>) {
        self.register(devices.map(|device| self.windows(device))).await;
    }

    /// Accepts a broadcast to everyone and answers its id.
    pub(crate) async fn send(&self, content: Value) -> String {
        let mut request = json!({"audience": "all"});
        request.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
        let accepted = self.admin.post(&format!("{HUB}/broadcasts"), &request).await.expect(202).json();
        accepted["id"].as_str().unwrap().to_owned()
    }

    /// Says hello to everyone.
    pub(crate) async fn greet(&self) -> String {
        self.send(json!({"notification": {"title": "Hello"}})).await
    }

    /// Follows a broadcast's events until one is as wanted.
    pub(crate) async fn until(&self, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.admin.follow(&format!("{HUB}/broadcasts/{id}"), wanted).await
    }

    /// Follows a broadcast to its end.
    pub(crate) async fn finished(&self, id: &str) -> Value {
        self.until(id, |progress| !progress["finished_at"].is_null()).await
    }

    /// Outcome and reason of one device.
    pub(crate) async fn outcome(&self, id: &str, installation: &str) -> (String, String) {
        let item = self.admin.outcome(&format!("{HUB}/broadcasts/{id}"), installation).await;
        let part = |name: &str| item[name].as_str().unwrap_or_default().to_owned();
        (part("outcome"), part("reason"))
    }

    /// How the hub's sender to WNS is.
    pub(crate) async fn sender(&self) -> Value {
        self.admin.get(HUB).await.expect(200).json()["senders"]["wns"].clone()
    }

    /// A gauge of the hub's WNS.
    pub(crate) async fn gauge(&self, name: &str) -> f64 {
        let page = self.admin.get("/metrics").await.expect(200);
        let line = page
            .text()
            .lines()
            .find(|line| line.starts_with(name) && line.contains("hub=\"demo\"") && line.contains("platform=\"wns\""));
        line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
    }

    /// Everyone of these got exactly one message.
    pub(crate) fn received_once(&self, devices: Range<u64>) {
        let owed: Vec<Token> = devices.map(token).collect();
        let receipts = self.wns.receipts();
        assert_eq!(receipts.missing(&owed), Vec::<&Token>::new());
        assert_eq!((receipts.accepted(), receipts.repeated()), (owed.len() as u64, vec![]));
    }

    /// Every byte at rest.
    pub(crate) fn at_rest(&self) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}

/// The document of a device of Apple's.
pub(crate) fn apple(device: u64) -> Value {
    json!({
        "installationId": format!("ios-{device}"), "platform": "apns", "tags": ["all"],
        "pushChannel": format!("{:064x}", device + 1),
    })
}
