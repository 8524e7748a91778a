//! A whole service with the Mobile Apps face, over plain HTTP and over TLS.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fanfare::clock::SystemClock;
use fanfare::config::Config;
use fanfare::identity::secret::Secret;
use fanfare::identity::session::{Profile, Sessions};
use fanfare::service::{Options, Running};
use loadtest::gateways::Authority;
use tokio::net::TcpListener;

use crate::client::Client;

pub const ADMIN: &str = "the-admin-key";
pub const SIGNING_KEY: &str = "0011, as text";
pub const AUDIENCE: &str = "https://api.example.com/";

/// Stands in a configuration for the port that the service itself gets.
pub const OWN_PORT: &str = "OWN_PORT";

/// What no test takes unless something hangs.
pub const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// `[mobile]` with users; tests add what they need.
pub const USERS: &str = "[mobile]
cors_origins = ['localhost', '*.example.com']
[mobile.auth]
signing_key = '0011, as text'
audience = 'https://api.example.com/'
issuer = 'https://api.example.com/'
";

pub struct World {
    /// `store.url`
    store: String,
    pub folder: tempfile::TempDir,
    pub running: Running,
    pub authority: Authority,
    /// Nobody in particular.
    pub client: Client,
    /// With the admin key.
    pub admin: Client,
}

impl World {
    /// With users and no more.
    pub async fn start() -> Self {
        Self::with(USERS).await
    }

    /// With these sections of the configuration beside the service's own.
    pub async fn with(toml: &str) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
        Self::within(folder, authority, toml).await
    }

    /// In a folder that holds files already.
    pub async fn within(folder: tempfile::TempDir, authority: Authority, toml: &str) -> Self {
        let store = format!("sqlite:{}", folder.path().join("fanfare.db").display());
        Self::over(store, folder, authority, toml).await
    }

    /// Over that store.
    pub async fn over(store: String, folder: tempfile::TempDir, authority: Authority, toml: &str) -> Self {
        authority.write_ca(folder.path()).unwrap();
        let running = start(&store, folder.path(), &authority, toml).await;
        let (client, admin) = (Client::new(running.address(), None), Client::bearer(running.address(), ADMIN));
        Self { store, folder, running, authority, client, admin }
    }

    /// Stops the service and starts another one on the same folder.
    pub async fn restart(self, toml: &str) -> Self {
        let Self { store, folder, running, authority, .. } = self;
        assert!(running.stop().await, "everything ends by itself");
        Self::over(store, folder, authority, toml).await
    }

    /// Somebody who shows this session token, or any other.
    pub fn showing(&self, token: &str) -> Client {
        Client::bearer(self.running.address(), token)
    }

    /// Somebody who is signed in under this id.
    pub fn signed_in(&self, sub: &str) -> Client {
        self.showing(&session(sub))
    }

    /// The address of the TLS listener.
    pub fn over_tls(&self) -> String {
        format!("https://localhost:{}", self.running.tls_address().unwrap().port())
    }

    /// The root that callers over TLS trust.
    pub fn trusted(&self) -> PathBuf {
        self.authority.write_ca(self.folder.path()).unwrap()
    }
}

/// A session token as the service makes them.
pub fn session(sub: &str) -> String {
    use fanfare::clock::Clock;
    let sessions = Sessions::new(&Secret::new(SIGNING_KEY), AUDIENCE, AUDIENCE, std::time::Duration::from_hours(1));
    sessions.begin(sub, "test", Profile::default(), SystemClock.now()).unwrap().1
}

async fn start(store: &str, folder: &Path, authority: &Authority, toml: &str) -> Running {
    let path = |name: &str| folder.join(name).display().to_string();
    let (certificate, key) = authority.write_server_certificate(folder).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let toml = toml.replace(OWN_PORT, &listener.local_addr().unwrap().port().to_string());
    std::fs::write(folder.join("fanfare.toml"), toml).unwrap();
    let environment = [
        ("STORE__URL", store.to_owned()),
        ("SECRETS__KEY_FILE", path("secret.key")),
        ("ADMIN__KEY", ADMIN.to_owned()),
        ("SERVER__DRAIN_SECONDS", "10".to_owned()),
        ("SERVER__TLS__LISTEN", "127.0.0.1:0".to_owned()),
        ("SERVER__TLS__CERT_FILE", certificate.display().to_string()),
        ("SERVER__TLS__KEY_FILE", key.display().to_string()),
    ];
    let environment = environment
        .into_iter()
        .map(|(name, value)| -> (OsString, OsString) { (format!("FANFARE__{name}").into(), value.into()) });
    let config = Config::load_with(Some(&folder.join("fanfare.toml")), environment).unwrap();
    Running::start(&config, Options { listener: Some(listener), ..Options::default() }).await.unwrap()
}
