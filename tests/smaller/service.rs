//! A hub's account with ADM, from PUT or configuration to outcomes.

use std::ffi::OsString;

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use loadtest::gateways::script::Act;
use loadtest::gateways::{AdmConfig, AdmSim, Authority, Script, Simulated};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bench::{prefix, token};
use crate::client::Client;

const ADMIN: &str = "the-admin-key";
const HUB: &str = "/v1/hubs/demo";

struct World {
    _folder: tempfile::TempDir,
    _running: Running,
    admin: Client,
    sim: AdmSim,
    account: Value,
}

impl World {
    async fn start(script: Script, configured: bool) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
        let config = AdmConfig { script, ..AdmConfig::default() };
        let sim = AdmSim::start_under(config.clone(), &authority).await.unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        std::fs::write(folder.path().join("ca.pem"), authority.ca_pem()).unwrap();
        let mut environment = vec![
            ("STORE__URL", format!("sqlite:{}", path("fanfare.db"))),
            ("SECRETS__KEY_FILE", path("secret.key")),
            ("ADMIN__KEY", ADMIN.to_owned()),
        ];
        if configured {
            environment.extend([
                ("HUBS__DEMO__ADM__CLIENT_ID", config.client_id.clone()),
                ("HUBS__DEMO__ADM__CLIENT_SECRET", config.client_secret.clone()),
                ("HUBS__DEMO__ADM__ENDPOINT", sim.endpoint()),
                ("HUBS__DEMO__ADM__TOKEN_ENDPOINT", sim.token_endpoint()),
                ("HUBS__DEMO__ADM__CA_FILE", path("ca.pem")),
            ]);
        }
        let environment = environment
            .into_iter()
            .map(|(name, value)| -> (OsString, OsString) { (format!("FANFARE__{name}").into(), value.into()) });
        let settings = Config::load_with(None, environment).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running =
            Running::start(&settings, Options { listener: Some(listener), ..Options::default() }).await.unwrap();
        let account = json!({
            "client_id": config.client_id, "client_secret": config.client_secret, "endpoint": sim.endpoint(),
            "token_endpoint": sim.token_endpoint(), "ca": authority.ca_pem(),
        });
        let admin = Client::bearer(running.address(), ADMIN);
        Self { _folder: folder, _running: running, admin, sim, account }
    }

    async fn register(&self, device: u64) {
        let document = json!({"platform": "adm", "tags": ["all"], "pushChannel": token(device).to_string()});
        self.admin.put(&format!("{HUB}/installations/kindle-{device}"), &document).await.expect(201);
    }

    /// Sends and follows to the end.
    async fn send(&self, content: Value) -> Value {
        let accepted = self.admin.post(&format!("{HUB}/broadcasts"), &content).await.expect(202).json();
        let path = format!("{HUB}/broadcasts/{}", accepted["id"].as_str().unwrap());
        self.admin.follow(&path, |progress| !progress["finished_at"].is_null()).await
    }
}

#[tokio::test]
async fn devices_get_their_message_and_a_dead_one_is_dropped() {
    let world = World::start(Script::new().token(&prefix(1), Act::refuse(400, "Unregistered")), false).await;
    let created = world.admin.put(HUB, &json!({"adm": world.account})).await.expect(201).json();
    assert!(!created.to_string().contains("a secret & more"), "{created}");
    for device in 0..5 {
        world.register(device).await;
    }
    let done = world.send(json!({"audience": "all", "notification": {"title": "Hello"}})).await;
    let adm = &done["platforms"]["adm"];
    assert_eq!((&adm["delivered"], &adm["dropped"]), (&json!(4), &json!(1)), "{done}");
    let done = world.send(json!({"audience": "all", "payloads": {"adm": {"data": {"k": "v"}}}})).await;
    assert_eq!(done["platforms"]["adm"]["delivered"], 4, "{done}");
    // What is shown can be sent back, and the secret goes to no other endpoint.
    let shown = world.admin.get(HUB).await.expect(200).json();
    assert_eq!(world.admin.put(HUB, &shown).await.expect(200).json(), shown);
    let mut astray = shown.clone();
    astray["adm"]["token_endpoint"] = "https://localhost:1/t".into();
    let refused = world.admin.put(HUB, &astray).await;
    assert_eq!((refused.refusal().0, refused.refusal().2), (400, "adm.client_secret".to_owned()));
}

#[tokio::test]
async fn a_configured_hub_sends_as_well() {
    let world = World::start(Script::new(), true).await;
    world.register(0).await;
    let done = world.send(json!({"audience": "all", "notification": {"title": "Hello"}})).await;
    assert_eq!(done["counters"]["delivered"], 1, "{done}");
    assert_eq!(world.sim.receipts().accepted(), 1);
}

#[tokio::test]
async fn each_bad_member_is_refused_by_its_name() {
    let world = World::start(Script::new(), false).await;
    for (member, value) in [
        ("client_id", json!("a b")),
        ("client_id", json!(null)),
        ("client_secret", json!("")),
        ("client_secret", json!(null)),
        ("endpoint", json!("http://localhost")),
        ("token_endpoint", json!("http://localhost/t")),
        ("ca", json!("no root")),
        ("rate_per_second", json!(-1)),
        ("tenant_id", json!("t")),
    ] {
        let mut account = world.account.clone();
        account[member] = value.clone();
        let refused = world.admin.put(HUB, &json!({"adm": account})).await;
        assert_eq!((refused.refusal().0, refused.refusal().2), (400, format!("adm.{member}")), "{member}: {value}");
    }
}
