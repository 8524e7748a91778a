//! A service in this process with a simulated APNs behind it, and the real binary in front of it.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use loadtest::gateways::{ApnsConfig, ApnsSim, ProviderKey};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const ADMIN: &str = "the-admin-key-of-this-test";
pub const TOPIC: &str = "com.example.app";

/// What a process left.
#[derive(Debug)]
pub struct Ran {
    pub status: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Ran {
    /// It ended like this; the key is never shown, however it ended.
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "{self:?}");
        assert!(!self.err.contains(ADMIN), "{self:?}");
        self
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the binary in a folder, with exactly these variables of ours.
pub async fn fanfare(folder: &Path, arguments: &[&str], variables: &[(&str, &str)], stdin: &str) -> Ran {
    let mut command = Command::new(env!("CARGO_BIN_EXE_fanfare"));
    command.current_dir(folder).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let inherited = std::env::vars_os().map(|(name, _)| name);
    for name in inherited.filter(|name| name.to_string_lossy().starts_with("FANFARE")) {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    let stdin = stdin.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut child = command.spawn().unwrap();
        // A process that does not read it may have closed it.
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    });
    let output = output.await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ran { status: output.status.code(), out: text(output.stdout), err: text(output.stderr) }
}

pub struct World {
    pub folder: tempfile::TempDir,
    pub running: Running,
    pub sim: ApnsSim,
    pub key: ProviderKey,
}

impl World {
    /// A service without a hub.
    pub async fn bare() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let sim = ApnsSim::start(ApnsConfig::default()).await.unwrap();
        let key = sim.issue_key("TEAM123456").unwrap();
        std::fs::write(folder.path().join("ca.pem"), sim.authority().ca_pem()).unwrap();
        std::fs::write(folder.path().join("key.p8"), key.p8()).unwrap();
        let environment = environment(folder.path()).into_iter().map(|(name, value)| (name.into(), value.into()));
        let config = Config::load_with(None, environment.collect::<Vec<(OsString, OsString)>>()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let options = Options { listener: Some(listener), ..Options::default() };
        let running = Running::start(&config, options).await.unwrap();
        Self { folder, running, sim, key }
    }

    /// With a hub `demo` that sends to the simulated APNs, made by the command line.
    pub async fn start() -> Self {
        let world = Self::bare().await;
        world.create().await.expect(0);
        world
    }

    pub async fn create(&self) -> Ran {
        let endpoint = self.sim.endpoint();
        let arguments = ["hub", "create", "demo", "--apns-topic", TOPIC, "--apns-team-id", &self.key.team_id];
        let more = ["--apns-key-id", &self.key.key_id, "--apns-key-file", "key.p8", "--apns-ca-file", "ca.pem"];
        self.run(&[&arguments[..], &more[..], &["--apns-endpoint", &endpoint]].concat()).await
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.running.address())
    }

    /// Runs the binary against the service.
    pub async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_at(&self.url(), arguments).await
    }

    /// The same through another address.
    pub async fn run_at(&self, url: &str, arguments: &[&str]) -> Ran {
        let variables = [("FANFARE_URL", url), ("FANFARE_KEY", ADMIN)];
        fanfare(self.folder.path(), arguments, &variables, "").await
    }

    pub async fn run_with_stdin(&self, arguments: &[&str], stdin: &str) -> Ran {
        let url = self.url();
        fanfare(self.folder.path(), arguments, &[("FANFARE_URL", &url), ("FANFARE_KEY", ADMIN)], stdin).await
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.folder.path().join(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> Option<String> {
        std::fs::read_to_string(self.folder.path().join(name)).ok()
    }

    /// Registers devices `0..devices`, all with the tag `all`.
    pub async fn register(&self, devices: u64) {
        self.write("devices.ndjson", &lines(0..devices));
        let ran = self.run(&["installations", "import", "devices.ndjson", "--hub", "demo"]).await.expect(0);
        assert_eq!(ran.out, format!("imported {devices}, failed 0\n"));
    }
}

/// The settings that the service of a folder has, as variables.
pub fn environment(folder: &Path) -> Vec<(String, String)> {
    let path = |name: &str| folder.join(name).display().to_string();
    vec![
        ("FANFARE__STORE__URL".to_owned(), format!("sqlite:{}", path("fanfare.db"))),
        ("FANFARE__SECRETS__KEY_FILE".to_owned(), path("secret.key")),
        ("FANFARE__ADMIN__KEY".to_owned(), ADMIN.to_owned()),
        ("FANFARE__SERVER__DRAIN_SECONDS".to_owned(), "10".to_owned()),
    ]
}

/// Devices as NDJSON.
pub fn lines(devices: std::ops::Range<u64>) -> String {
    let document = |device: u64| {
        json!({
            "installationId": format!("dev-{device}"), "platform": "apns",
            "pushChannel": format!("{:064x}", device + 1), "tags": ["all"],
        })
    };
    devices.map(|device| document(device).to_string() + "\n").collect()
}

/// A listener before the service that passes whole connections on, except where `cut` says after how many bytes of the
/// answer a connection (counted from 0) breaks.
pub async fn proxy(to: SocketAddr, cut: impl Fn(usize) -> Option<u64> + Send + 'static) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        for connection in 0.. {
            let Ok((client, _)) = listener.accept().await else { return };
            let most = cut(connection);
            tokio::spawn(async move {
                let service = tokio::net::TcpStream::connect(to).await.unwrap();
                let (mut from_client, mut to_client) = client.into_split();
                let (from_service, mut to_service) = service.into_split();
                let up = tokio::spawn(async move {
                    let _ = copy(&mut from_client, &mut to_service).await;
                });
                let _ = copy(&mut from_service.take(most.unwrap_or(u64::MAX)), &mut to_client).await;
                let _ = to_client.shutdown().await;
                up.abort();
            });
        }
    });
    format!("http://{address}")
}
