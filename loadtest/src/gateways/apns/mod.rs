//! A simulated APNs (push-services.md section 1): provider API over HTTP/2 and TLS, on a loopback port.
//!
//! - `verification`: what APNs checks in a request, and its answers.
//! - `provider_key`, `provider_token`: JWT credentials, minted and checked.
//! - `reason`: the reasons of refusals.
mod provider_key;
mod provider_token;
mod reason;
mod verification;

use std::{
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, atomic::Ordering},
};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::provider_key::{KeyError, ProviderKey};
use self::{
    provider_token::{KnownKey, KnownKeys, ProviderTokens},
    verification::{Apns, Credentials},
};
use super::{
    Simulated,
    authority::{Authority, AuthorityError, certificate_topics},
    counters::{Counters, Counts},
    listener::{self, ListenError, Listener},
    receipts::Receipts,
    script::{ActiveScript, Script},
    session::Shared,
};
use crate::{
    clock::Clock,
    http2::{Settings, frame::DEFAULT_WINDOW},
};

/// The two worlds of APNs; a token lives in one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Environment {
    #[default]
    Production,
    /// Answers carry `apns-unique-id`.
    Sandbox,
}

/// How the service is set up. The defaults are what was observed of the real one (push-services.md 1.6).
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApnsConfig {
    /// A loopback address; absent, or with port 0, a free port of 127.0.0.1.
    pub listen: Option<SocketAddr>,
    /// Bundle ids (or whole topics) that exist; empty = every well-formed one.
    pub topics: Vec<String>,
    pub environment: Environment,
    /// `false`: `authorization` is not looked at, for runs that measure the sender alone. The stream limit is then
    /// `streams` once the first request was answered.
    pub verify_credentials: bool,
    /// Clients may present a certificate of the authority instead of a provider token.
    pub accept_certificates: bool,
    /// Stream limit once the first request with good credentials was answered.
    pub streams: u32,
    /// Stream limit before; connections with a certificate start with `streams`.
    pub streams_before_auth: u32,
    /// Initial window of each stream, bytes.
    pub stream_window: u32,
    /// Window of the connection, bytes; at least 65,535. Larger ones suit runs that measure throughput.
    pub connection_window: u32,
    /// Keeps headers and body of every request, for [`Receipts::full`]. For tests: millions fill the memory.
    pub keep_requests: bool,
    pub script: Script,
}

impl Default for ApnsConfig {
    fn default() -> Self {
        Self {
            listen: None,
            topics: Vec::new(),
            environment: Environment::Production,
            verify_credentials: true,
            accept_certificates: true,
            streams: 1000,
            streams_before_auth: 1,
            stream_window: DEFAULT_WINDOW,
            connection_window: DEFAULT_WINDOW,
            keep_requests: false,
            script: Script::default(),
        }
    }
}

impl ApnsConfig {
    fn settings(&self, unlocked: bool) -> Settings {
        Settings {
            max_concurrent_streams: if unlocked { self.streams } else { self.streams_before_auth },
            header_table_size: 4096,
            max_header_list: 8000,
            stream_window: self.stream_window,
            connection_window: self.connection_window,
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// A running service. Dropping it ends every connection at once and frees the port.
#[derive(Debug)]
pub struct ApnsSim {
    address: SocketAddr,
    authority: Arc<Authority>,
    keys: Arc<KnownKeys>,
    shared: Arc<Shared>,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl ApnsSim {
    /// Starts on the current Tokio runtime, with an authority of its own.
    ///
    /// # Errors
    /// [`StartError`]: the address is not loopback or taken, or certificates cannot be made.
    pub async fn start(config: ApnsConfig) -> Result<Self, StartError> {
        let authority = Arc::new(Authority::new()?);
        Self::start_under(config, authority).await
    }

    /// As [`Self::start`], with a certificate of the given authority.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn start_under(config: ApnsConfig, authority: Arc<Authority>) -> Result<Self, StartError> {
        let (tcp, address) = listener::bind(config.listen.unwrap_or((Ipv4Addr::LOCALHOST, 0).into())).await?;
        let tls = TlsAcceptor::from(Arc::new(authority.server_config(config.accept_certificates)?));
        let shared = Arc::new(Shared {
            receipts: Receipts::default(),
            counters: Counters::default(),
            clock: Clock::default(),
            script: watch::Sender::new(Arc::new(ActiveScript::new(config.script.clone()))),
            keep_requests: config.keep_requests,
            streams: config.streams,
        });
        let keys = Arc::new(KnownKeys::default());
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let known = Arc::clone(&keys);
        let listener = Listener {
            tcp,
            tls,
            shared: Arc::clone(&shared),
            tasks: tasks.clone(),
            stop: stop.clone(),
            open: move |certificate: Option<&_>| {
                let credentials = match certificate {
                    _ if !config.verify_credentials => Credentials::Unchecked,
                    Some(certificate) => Credentials::Certificate(certificate_topics(certificate)),
                    None => Credentials::Tokens(ProviderTokens::new(Arc::clone(&known), config.environment)),
                };
                let unlocked = matches!(credentials, Credentials::Certificate(_));
                (Apns::new(&config, credentials), config.settings(unlocked), unlocked)
            },
        };
        tasks.spawn(listener.run());
        tasks.close();
        Ok(Self { address, authority, keys, shared, tasks, stop })
    }

    /// The same service once more, on a port and with books of its own: senders find the same certificates and keys.
    ///
    /// # Errors
    /// [`StartError`]
    pub async fn twin(&self, config: ApnsConfig) -> Result<Self, StartError> {
        let twin = Self::start_under(config, Arc::clone(&self.authority)).await?;
        twin.keys.write().clone_from(&self.keys.read());
        Ok(twin)
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
        format!("https://localhost:{}", self.address.port())
    }

    pub fn authority(&self) -> &Authority {
        &self.authority
    }

    /// A new key of that team, known to the service.
    ///
    /// # Errors
    /// [`KeyError`]
    pub fn issue_key(&self, team_id: &str) -> Result<ProviderKey, KeyError> {
        let key = ProviderKey::generate(team_id)?;
        self.trust(&key);
        Ok(key)
    }

    /// Makes a key known; one with the same key id is replaced, for new tokens.
    pub fn trust(&self, key: &ProviderKey) {
        let mut keys = self.keys.write();
        keys.retain(|known| known.key_id != key.key_id);
        keys.push(Arc::new(KnownKey::from(key)));
    }

    /// From now on tokens of this key are invalid, on open connections too.
    pub fn revoke(&self, key_id: &str) {
        self.keys.write().retain(|known| {
            let revoked = known.key_id == key_id;
            known.revoked.fetch_or(revoked, Ordering::Relaxed);
            !revoked
        });
    }

    /// Returns once the counts are as wanted; put a timeout around it where a failure must end.
    pub async fn wait_until(&self, reached: impl FnMut(&Counts) -> bool) -> Counts {
        self.shared.counters.wait_until(reached).await
    }

    /// The service's clock: turning it ages provider tokens.
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }
}

impl Simulated for ApnsSim {
    fn shared(&self) -> &Shared {
        &self.shared
    }
}

impl Drop for ApnsSim {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}
