//! A whole service in a folder of its own, whose hub `demo` sends through the simulated FCM.

use std::ffi::OsString;
use std::time::Duration;

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use loadtest::client::Connection;
use loadtest::client::connection::Peer;
use loadtest::gateways::{Authority, FcmConfig, FcmSim, Script};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::bench::token;

const ADMIN: &str = "the-admin-key";
/// What no test takes unless something hangs.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const HUB: &str = "/v1/hubs/demo";

pub(crate) struct World {
    pub(crate) sim: FcmSim,
    authority: Authority,
    _folder: tempfile::TempDir,
    _running: Running,
    peer: Peer,
}

impl World {
    /// With devices `0..devices`: of platform `gcm` where the number is odd, `fcmv1` where it is even.
    pub(crate) async fn with(devices: u64, script: Script) -> Self {
        let authority = Authority::new().unwrap();
        let config = FcmConfig { keep_requests: true, script, ..FcmConfig::default() };
        let sim = FcmSim::start_under(config, &authority).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let environment = [
            ("FANFARE__STORE__URL", format!("sqlite:{}", path("fanfare.db"))),
            ("FANFARE__SECRETS__KEY_FILE", path("secret.key")),
            ("FANFARE__ADMIN__KEY", ADMIN.to_owned()),
        ];
        let environment = environment.map(|(name, value)| -> (OsString, OsString) { (name.into(), value.into()) });
        let config = Config::load_with(None, environment).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let running =
            Running::start(&config, Options { listener: Some(listener), ..Options::default() }).await.unwrap();
        let peer = Peer::new(running.address(), ADMIN);
        let world = Self { sim, authority, _folder: folder, _running: running, peer };
        world.use_account(&world.sim.account().json()).await;
        let lines: String = (0..devices).map(|device| document(device).to_string() + "\n").collect();
        let told = world.call("POST", &format!("{HUB}/installations:import"), &lines).await;
        assert!(told.contains(&format!("\"imported\":{devices}")), "{told}");
        world
    }

    /// The hub's service account from now on.
    pub(crate) async fn use_account(&self, service_account: &str) {
        let hub = json!({"fcm": {
            "endpoint": self.sim.endpoint(), "ca": self.authority.ca_pem(), "service_account": service_account,
        }});
        self.call("PUT", HUB, &hub.to_string()).await;
    }

    pub(crate) async fn call(&self, method: &str, path: &str, body: &str) -> String {
        let mut connection = Connection::open(&self.peer).await.unwrap();
        let answer = connection.call(method, path, body.as_bytes()).await.unwrap();
        let said = String::from_utf8_lossy(answer.body).into_owned();
        assert!((200..300).contains(&answer.status), "{method} {path}: {} {said}", answer.status);
        said
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        serde_json::from_str(&self.call("GET", path, "").await).unwrap()
    }

    /// Sends a broadcast and answers its path.
    pub(crate) async fn send(&self, broadcast: &Value) -> String {
        let accepted = self.call("POST", &format!("{HUB}/broadcasts"), &broadcast.to_string()).await;
        let accepted: Value = serde_json::from_str(&accepted).unwrap();
        format!("{HUB}/broadcasts/{}", accepted["id"].as_str().unwrap())
    }

    /// Follows a broadcast to its end and answers its counters.
    pub(crate) async fn finished(&self, path: &str) -> Value {
        let events = format!("{path}/events");
        tokio::time::timeout(PATIENCE, self.call("GET", &events, "")).await.unwrap();
        self.get(path).await["counters"].take()
    }

    /// Reads something until it is as wanted: a state of the service that no event tells.
    pub(crate) async fn until(&self, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let looking = async {
            loop {
                let shown = self.get(path).await;
                if wanted(&shown) {
                    return shown;
                }
            }
        };
        tokio::time::timeout(PATIENCE, looking).await.unwrap()
    }
}

fn document(device: u64) -> Value {
    let platform = if device.is_multiple_of(2) { "fcmv1" } else { "gcm" };
    json!({"installationId": format!("dev-{device}"), "platform": platform, "pushChannel": token(device),
        "tags": ["all", platform]})
}
