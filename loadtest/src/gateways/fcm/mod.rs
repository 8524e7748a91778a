//! A simulated FCM (push-services.md section 2): HTTP v1 over HTTP/2 and TLS on a loopback port, with the token endpoint
//! of its service account on the same port.
//!
//! - `account`: the service account, as a sender holds it.
//! - `grants`: assertions against access tokens.
//! - `verification`: what FCM checks in a request, and its answers; `message` and `rules`: in its body.
//! - `error`: Google's words for what is wrong.
mod account;
mod error;
mod grants;
mod message;
mod rules;
mod verification;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::account::Account;
use self::{grants::Grants, verification::Fcm};
use super::{
    Simulated,
    apns::StartError,
    authority::Authority,
    counters::{Counters, Counts},
    listener::{self, Listener},
    receipts::Receipts,
    script::{ActiveScript, Script},
    session::Shared,
};
use crate::{
    clock::Clock,
    http2::{Settings, frame::DEFAULT_WINDOW},
};

/// How the service is set up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FcmConfig {
    /// A loopback address; absent, or with port 0, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    pub project_id: String,
    /// Who may send to it.
    pub client_email: String,
    /// Seconds that an access token lives.
    pub token_seconds: u32,
    /// Streams on each connection.
    pub streams: u32,
    /// Initial window of each stream, bytes.
    pub stream_window: u32,
    /// Window of the connection, bytes; at least 65,535. Larger ones suit runs that measure throughput.
    pub connection_window: u32,
    /// Keeps headers and body of every request, for [`Receipts::full`]. For tests: millions fill the memory.
    pub keep_requests: bool,
    pub script: Script,
}

impl Default for FcmConfig {
    fn default() -> Self {
        Self {
            listen: None,
            project_id: "demo-project".to_owned(),
            client_email: "push@demo-project.iam.gserviceaccount.com".to_owned(),
            token_seconds: 3_599,
            streams: 100,
            stream_window: DEFAULT_WINDOW,
            connection_window: DEFAULT_WINDOW,
            keep_requests: false,
            script: Script::default(),
        }
    }
}

/// A running service. Dropping it ends every connection at once and frees the port.
///
/// The token of a receipt is the bytes of the registration token; those of 32 bytes cost no allocation. Its body is
/// hashed without target and time to live (`message`), its collapse id is `android.collapse_key`, else `android.notification.tag`. A dry run
/// (`validate_only`) leaves no receipt.
#[derive(Debug)]
pub struct FcmSim {
    address: SocketAddr,
    grants: Arc<Grants>,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl FcmSim {
    /// Starts on the current Tokio runtime with a certificate of the given authority and a new service account.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates or the account's key cannot be made.
    pub async fn start_under(config: FcmConfig, authority: &Authority) -> Result<Self, StartError> {
        let (tcp, address) = listener::bind(config.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())).await?;
        let tls = TlsAcceptor::from(Arc::new(authority.server_config(false)?));
        let token_uri = format!("{}{}", origin(address), verification::TOKEN_PATH);
        let account = Account::generate(&config.project_id, &config.client_email, &token_uri)?;
        let grants = Arc::new(Grants::new(account, config.token_seconds));
        let shared = Arc::new(Shared {
            receipts: Receipts::default(),
            counters: Counters::default(),
            clock: Clock::default(),
            script: watch::Sender::new(Arc::new(ActiveScript::new(config.script.clone()))),
            keep_requests: config.keep_requests,
            streams: config.streams,
        });
        let settings = Settings {
            max_concurrent_streams: config.streams,
            header_table_size: 4096,
            max_header_list: 16_384,
            stream_window: config.stream_window,
            connection_window: config.connection_window,
        };
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let known = Arc::clone(&grants);
        let listener = Listener {
            tcp,
            tls,
            shared: Arc::clone(&shared),
            tasks: tasks.clone(),
            stop: stop.clone(),
            open: move |_: Option<&_>| (Fcm::new(Arc::clone(&known)), settings.clone(), true),
        };
        tasks.spawn(listener.run());
        tasks.close();
        Ok(Self { address, grants, shared, tasks, stop })
    }

    /// Ends every connection without a word and waits until the port is free.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// `https://localhost:PORT`, for `endpoint` of the gateway's configuration.
    pub fn endpoint(&self) -> String {
        origin(self.address)
    }

    /// The account that may send.
    pub fn account(&self) -> &Account {
        &self.grants.account
    }

    /// Every access token given so far is refused from now on.
    pub fn forget_tokens(&self) {
        self.grants.forget_tokens();
    }

    /// How many access tokens were given.
    pub fn tokens_given(&self) -> u64 {
        self.grants.given()
    }

    /// Returns once the counts are as wanted; put a timeout around it where a failure must end.
    pub async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        self.shared.counters.wait_until(reached).await
    }

    /// The service's clock: turning it ages assertions and access tokens.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}

fn origin(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}

impl Simulated for FcmSim {
    fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for FcmSim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
