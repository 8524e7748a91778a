//! A whole service whose hub `hub1` reaches every simulated push service: APNs, FCM, WNS, ADM and that of browsers.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fanfare::config::Config;
use fanfare::service::{Options, Running};
use loadtest::gateways::{
    AdmConfig, AdmSim, ApnsConfig, ApnsSim, Authority, FcmConfig, FcmSim, ProviderKey, Script, Simulated, Token,
    WebPushConfig, WebPushSim, WnsConfig, WnsSim,
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::client::{Answer, Client};

pub const ADMIN: &str = "the-admin-key";
const TEAM: &str = "TEAM123456";
pub const TOPIC: &str = "com.example.app";
/// The rule that may do everything on the hub.
pub const FULL: &str = "DefaultFullSharedAccessSignature";
/// The rule that apps hold.
pub const LISTEN: &str = "DefaultListenSharedAccessSignature";

/// What no test takes unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);

pub struct World {
    pub folder: tempfile::TempDir,
    pub running: Running,
    pub apns: ApnsSim,
    pub fcm: FcmSim,
    pub wns: WnsSim,
    pub adm: AdmSim,
    pub browsers: WebPushSim,
    pub key: ProviderKey,
    wns_config: WnsConfig,
    adm_config: AdmConfig,
    pub authority: Arc<Authority>,
    /// With the admin key, as it is.
    pub admin: Client,
    /// With a token of the rule that may do everything.
    pub full: Client,
    /// With a token of the rule that apps hold.
    pub listen: Client,
}

impl World {
    pub async fn start() -> Self {
        Self::with(Script::default(), &[]).await
    }

    /// With a script for APNs, and settings of the service.
    pub async fn with(script: Script, settings: &[(&str, &str)]) -> Self {
        Self::under(Arc::new(Authority::new().unwrap()), script, settings).await
    }

    async fn under(authority: Arc<Authority>, script: Script, settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let apns = ApnsConfig { keep_requests: true, script, ..ApnsConfig::default() };
        let apns = ApnsSim::start_under(apns, authority.clone()).await.unwrap();
        let fcm = FcmConfig { keep_requests: true, ..FcmConfig::default() };
        let fcm = FcmSim::start_under(fcm, &authority).await.unwrap();
        let wns_config = WnsConfig { keep_requests: true, ..WnsConfig::default() };
        let wns = WnsSim::start_under(wns_config.clone(), &authority).await.unwrap();
        let adm_config = AdmConfig { keep_requests: true, ..AdmConfig::default() };
        let adm = AdmSim::start_under(adm_config.clone(), &authority).await.unwrap();
        let browsers = WebPushConfig { keep_requests: true, ..WebPushConfig::default() };
        let browsers = WebPushSim::start_under(browsers, &authority).await.unwrap();
        let key = apns.issue_key(TEAM).unwrap();
        let running = start(folder.path(), settings).await;
        let address = running.address();
        let admin = Client::bearer(address, ADMIN);
        let (full, listen) = (Client::new(address, None), Client::new(address, None));
        let mut world = Self {
            folder,
            running,
            apns,
            fcm,
            wns,
            adm,
            browsers,
            key,
            wns_config,
            adm_config,
            authority,
            admin,
            full,
            listen,
        };
        let hub = world.admin.put("/v1/hubs/hub1", &world.settings()).await.expect(201).json();
        world.sign_in(&hub);
        world
    }

    /// The same with a TLS listener, whose certificate is of `authority`.
    pub async fn over_tls() -> Self {
        let (files, authority) = (tempfile::tempdir().unwrap(), Arc::new(Authority::new().unwrap()));
        let (certificate, key) = authority.write_server_certificate(files.path()).unwrap();
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        let settings = [
            ("SERVER__TLS__LISTEN", "127.0.0.1:0"),
            ("SERVER__TLS__CERT_FILE", certificate.as_str()),
            ("SERVER__TLS__KEY_FILE", key.as_str()),
        ];
        Self::under(authority, Script::default(), &settings).await
    }

    /// The service again on the same folder, after it stopped.
    pub async fn restart(mut self) -> Self {
        let hub = self.admin.get("/v1/hubs/hub1").await.expect(200).json();
        assert!(self.running.stop().await, "everything ends by itself");
        self.running = start(self.folder.path(), &[]).await;
        self.admin = Client::bearer(self.running.address(), ADMIN);
        self.sign_in(&hub);
        self
    }

    /// Makes tokens of the hub's two default rules.
    fn sign_in(&mut self, hub: &Value) {
        let of = |rule: &str| signed(self.running.address(), rule, hub["keys"][rule]["primary"].as_str().unwrap());
        (self.full, self.listen) = (of(FULL), of(LISTEN));
    }

    /// The hub with all services.
    fn settings(&self) -> Value {
        json!({
            "apns": {
                "endpoint": self.apns.endpoint(), "ca": self.authority.ca_pem(), "topic": TOPIC, "connections": 1,
                "team_id": self.key.team_id, "key_id": self.key.key_id, "key": self.key.p8(),
            },
            "fcm": {
                "endpoint": self.fcm.endpoint(), "ca": self.authority.ca_pem(),
                "service_account": self.fcm.account().json(),
            },
            "wns": {
                "auth": "entra", "tenant_id": self.wns_config.tenant_id, "client_id": self.wns_config.client_id,
                "client_secret": self.wns_config.client_secret, "token_endpoint": self.wns.entra_endpoint(),
                "allowed_hosts": [self.wns.allowed_host()], "ca": self.authority.ca_pem(),
            },
            "adm": {
                "client_id": self.adm_config.client_id, "client_secret": self.adm_config.client_secret,
                "endpoint": self.adm.endpoint(), "token_endpoint": self.adm.token_endpoint(),
                "ca": self.authority.ca_pem(),
            },
            "web_push": {
                "subject": "mailto:ops@example.com", "vapid_private_key": self.browsers.vapid_private_key(),
                "allow_private_networks": true, "ca": self.authority.ca_pem(),
            },
        })
    }

    /// The primary key of a rule of the hub.
    pub async fn key(&self, rule: &str) -> String {
        let hub = self.admin.get("/v1/hubs/hub1").await.expect(200).json();
        hub["keys"][rule]["primary"].as_str().unwrap().to_owned()
    }

    /// A token of the rule that may do everything, for a resource.
    pub async fn token(&self, resource: &str) -> String {
        token(resource, 4_000_000_000, FULL, &self.key(FULL).await)
    }

    pub fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// With a token of the namespace's own rule.
    pub fn root(&self) -> Client {
        signed(self.address(), "RootManageSharedAccessKey", ADMIN)
    }

    /// Puts an installation.
    pub async fn install(&self, id: &str, document: &Value) {
        let path = format!("/hub1/installations/{id}?api-version=2020-06");
        self.listen.put(&path, document).await.expect(200);
    }

    /// Apple devices `0..devices`, tagged `all` and `even` or `odd`.
    pub async fn apples(&self, devices: u64) {
        for device in 0..devices {
            self.install(&format!("dev-{device}"), &apple(device)).await;
        }
    }

    /// Sends and answers the id that `Location` names, which the native API knows too.
    pub async fn sent(&self, query: &str, headers: &[(&str, &str)], body: &str) -> String {
        id_of(&self.send(query, headers, body).await.expect(201))
    }

    pub async fn send(&self, query: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        self.full.send("POST", &format!("/hub1/messages/?api-version=2020-06{query}"), headers, body.as_bytes()).await
    }

    /// Waits for the end of a broadcast and answers how it is.
    pub async fn finished(&self, id: &str) -> Value {
        let path = format!("/v1/hubs/hub1/broadcasts/{id}");
        let events = format!("{path}/events");
        tokio::time::timeout(PATIENCE, self.admin.get(&events)).await.expect("the broadcast ends").expect(200);
        self.admin.get(&path).await.expect(200).json()
    }

    /// The outcomes of a broadcast as the native API lists them.
    pub async fn outcomes(&self, id: &str) -> Value {
        self.admin.get(&format!("/v1/hubs/hub1/broadcasts/{id}/outcomes")).await.expect(200).json()["items"].take()
    }

    /// The telemetry of a message.
    pub async fn details(&self, id: &str) -> String {
        self.full.get(&format!("/hub1/messages/{id}?api-version=2020-06")).await.expect(200).text().to_owned()
    }
}

async fn start(folder: &Path, settings: &[(&str, &str)]) -> Running {
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
    let config = Config::load_with(None, environment).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    Running::start(&config, Options { listener: Some(listener), ..Options::default() }).await.unwrap()
}

/// A caller with a token as the JavaScript client makes it: for the namespace, an hour long.
pub fn signed(address: SocketAddr, rule: &str, key: &str) -> Client {
    Client::new(address, Some(token(&format!("https://{address}/"), 4_000_000_000, rule, key)))
}

/// A token for a resource.
pub fn token(resource: &str, until: u64, rule: &str, key: &str) -> String {
    token_over(&resource.bytes().map(encoded).collect::<String>(), until, rule, key)
}

/// A token whose resource is written like this: it is signed as it stands.
pub fn token_over(raw: &str, until: u64, rule: &str, key: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let signature = STANDARD.encode(hmac::sign(&key, format!("{raw}\n{until}").as_bytes()));
    let signature: String = signature.bytes().map(encoded).collect();
    format!("SharedAccessSignature sr={raw}&sig={signature}&se={until}&skn={rule}")
}

/// A byte in a URL; what stands there as it is, clients leave alone.
pub fn encoded(byte: u8) -> String {
    let is_plain = byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if is_plain { char::from(byte).to_string() } else { format!("%{byte:02X}") }
}

/// The last segment of `Location`'s path.
pub fn id_of(answer: &Answer) -> String {
    let location = answer.header("location").expect("a Location");
    location.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned()
}

/// The token of an Apple device.
pub fn apple_token(device: u64) -> String {
    format!("{:064x}", device + 1)
}

pub fn apple(device: u64) -> Value {
    let parity = if device.is_multiple_of(2) { "even" } else { "odd" };
    json!({
        "installationId": format!("dev-{device}"), "platform": "apns", "pushChannel": apple_token(device),
        "tags": ["all", parity],
    })
}

/// Bodies of what a simulated service was sent, in order.
pub fn bodies(service: &impl Simulated) -> Vec<Value> {
    let receipts = service.receipts();
    let body = |order| serde_json::from_slice(&receipts.full(order).unwrap().body).unwrap();
    (0..receipts.len()).map(body).collect()
}

/// A header of the last request that a simulated service was sent.
pub fn last_header(service: &impl Simulated, name: &str) -> Option<String> {
    let receipts = service.receipts();
    receipts.full(receipts.len() - 1).unwrap().header(name).map(str::to_owned)
}

/// What a device of the simulated WNS, ADM or push service of browsers is known by.
pub fn device_token(device: u64) -> Token {
    Token::new(&[device.to_be_bytes(); 2].concat())
}

/// A channel of the simulated WNS.
pub fn windows_channel(world: &World, device: u64) -> String {
    world.wns.channel(&device_token(device))
}
