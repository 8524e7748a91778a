//! A whole service whose hub `demo` reaches simulated push services of browsers.

use std::ffi::OsString;
use std::ops::Range;

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use loadtest::gateways::{Authority, Simulated, Token, WebPushConfig, WebPushSim};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bench::{SUBJECT, token};
use crate::client::Client;

const ADMIN: &str = "the-admin-key";
pub(crate) const HUB: &str = "/v1/hubs/demo";

pub(crate) struct World {
    folder: tempfile::TempDir,
    pub(crate) running: Running,
    pub(crate) admin: Client,
    pub(crate) sim: WebPushSim,
    authority: Authority,
}

impl World {
    /// A service without a hub.
    pub(crate) async fn bare(config: WebPushConfig) -> Self {
        Self::start(config, false).await
    }

    /// With a hub that reaches browsers by the configuration.
    pub(crate) async fn configured(config: WebPushConfig) -> Self {
        Self::start(config, true).await
    }

    async fn start(config: WebPushConfig, configured: bool) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
        let sim = WebPushSim::start_under(config, &authority).await.unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let mut environment = vec![
            ("STORE__URL", format!("sqlite:{}", path("fanfare.db"))),
            ("SECRETS__KEY_FILE", path("secret.key")),
            ("ADMIN__KEY", ADMIN.to_owned()),
            ("SERVER__DRAIN_SECONDS", "10".to_owned()),
        ];
        if configured {
            std::fs::write(folder.path().join("ca.pem"), authority.ca_pem()).unwrap();
            std::fs::write(folder.path().join("vapid.pem"), sim.vapid_private_key()).unwrap();
            environment.extend([
                ("HUBS__DEMO__WEB_PUSH__SUBJECT", SUBJECT.to_owned()),
                ("HUBS__DEMO__WEB_PUSH__VAPID_PRIVATE_KEY_FILE", path("vapid.pem")),
                ("HUBS__DEMO__WEB_PUSH__ALLOW_PRIVATE_NETWORKS", "true".to_owned()),
                ("HUBS__DEMO__WEB_PUSH__CA_FILE", path("ca.pem")),
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
        Self { folder, running, admin, sim, authority }
    }

    /// With a hub that reaches browsers.
    pub(crate) async fn new(config: WebPushConfig) -> Self {
        let world = Self::bare(config).await;
        world.admin.put(HUB, &json!({"web_push": world.account()})).await.expect(201);
        world
    }

    /// The hub's account.
    pub(crate) fn account(&self) -> Value {
        json!({
            "subject": SUBJECT,
            "vapid_private_key": self.sim.vapid_private_key(),
            "allow_private_networks": true,
            "ca": self.authority.ca_pem(),
        })
    }

    /// The same with one member changed.
    pub(crate) fn account_with(&self, member: &str, value: Value) -> Value {
        let mut account = self.account();
        account[member] = value;
        account
    }

    /// The document of a browser, with the subscription that the simulated service gave it.
    pub(crate) fn browser(&self, device: u64) -> Value {
        json!({
            "installationId": format!("page-{device}"), "platform": "browser", "tags": ["all"],
            "pushChannel": self.sim.subscription(&token(device)),
        })
    }

    /// Registers documents.
    pub(crate) async fn register(&self, documents: impl IntoIterator<Item = Value>) {
        self.admin.import(HUB, documents).await;
    }

    /// Registers browsers.
    pub(crate) async fn register_browsers(&self, devices: Range<u64>) {
        self.register(devices.map(|device| self.browser(device))).await;
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

    /// How the hub's sender to browsers is.
    pub(crate) async fn sender(&self) -> Value {
        self.admin.get(HUB).await.expect(200).json()["senders"]["web_push"].clone()
    }

    /// Everyone of these got exactly one message.
    pub(crate) fn received_once(&self, devices: Range<u64>) {
        let owed: Vec<Token> = devices.map(token).collect();
        let receipts = self.sim.receipts();
        assert_eq!(receipts.missing(&owed), Vec::<&Token>::new());
        assert_eq!((receipts.accepted(), receipts.repeated()), (owed.len() as u64, vec![]));
    }

    /// Every byte at rest.
    pub(crate) fn at_rest(&self) -> Vec<Vec<u8>> {
        let files = std::fs::read_dir(self.folder.path()).unwrap();
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).collect()
    }
}
