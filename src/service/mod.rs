//! The whole service in one process: what `fanfare serve` runs, and what tests and the load test start on a free port.
//!
//! ```text
//!  config ─▶ store ─▶ queue ─▶ keys, vault ─▶ directory (gateways) ─▶ fan-out ─▶ HTTP
//! ```
//!
//! Stopping goes the other way round and loses nothing: readiness goes false, no new connection is taken and no new
//! work, what runs finishes or is handed back, gateways finish what they hold. What does not make it in time is taken
//! up again by whoever comes next: the store knows how far everything is.

use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::api::mobile::Mobile;
use crate::api::mobile::auth::SignIn;
use crate::api::mobile::tables::{self, Tables};
use crate::api::rate::RateLimits;
use crate::api::site::Site;
use crate::api::unpacking::Unpacking;
use crate::api::{self, App, Limits};
use crate::clock::{BootInstant, SharedClock, SystemClock};
use crate::config::{Config, ConfigError, QueueUrl, StoreUrl};
use crate::directory::{Directory, GatewayFactory};
use crate::fanout::{self, Role, Service};
use crate::identity::key_file;
use crate::identity::keys::AdminKey;
use crate::identity::secrets::Vault;
use crate::queue::Queue;
use crate::telemetry::Metrics;

mod certificate;
mod error;
mod follow;
mod gateways;
mod listener;
mod queue;
mod store;

pub use error::StartError;
pub use gateways::Opener;
pub use store::open_store;

use certificate::Certificate;
use follow::Follower;
use listener::Serving;

/// How often observations are moved into their buckets.
const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// How long a caller may take to say something: generous for a phone on a bad line, short for one who holds connections.
const PATIENCE: Duration = Duration::from_secs(30);

/// What may differ from a plain start.
#[derive(Default)]
pub struct Options {
    /// Which parts run; all by default.
    pub role: Option<Role>,
    /// Instead of binding `server.listen`.
    pub listener: Option<TcpListener>,
    /// Instead of gateways that speak to the push services.
    pub gateways: Option<Box<dyn GatewayFactory>>,
    /// Instead of the machine's clocks.
    pub clock: Option<SharedClock>,
    /// Instead of half a minute for a request to arrive.
    pub patience: Option<Duration>,
}

impl std::fmt::Debug for Options {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("role", &self.role).field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// A service that runs. Dropping it without [`Running::stop`] is what a crash does.
#[derive(Debug)]
pub struct Running {
    app: Arc<App>,
    address: SocketAddr,
    tls_address: Option<SocketAddr>,
    /// The file that holds the admin key, when it was made just now.
    admin_key_made: Option<PathBuf>,
    drain: Duration,
    stop_listening: CancellationToken,
    http: JoinHandle<()>,
    upkeep: JoinHandle<()>,
    /// Works off jobs over the registry.
    jobs: Option<JoinHandle<()>>,
    /// Tells of rows that changed.
    news: Option<JoinHandle<()>>,
    /// Follows what other processes change, until the token.
    follower: Option<JoinHandle<()>>,
    following: CancellationToken,
    /// Follows the certificate's file.
    renewal: Option<JoinHandle<()>>,
}

/// Runs the service until `shutdown` and stops it then, within `server.drain_seconds`.
pub async fn serve(
    config: &Config,
    listener: Option<TcpListener>,
    shutdown: impl Future<Output = ()>,
) -> Result<(), StartError> {
    let running = Running::start(config, Options { listener, ..Options::default() }).await?;
    shutdown.await;
    running.stop().await;
    Ok(())
}

impl Running {
    /// Starts everything. The service takes requests when this returns.
    pub async fn start(config: &Config, options: Options) -> Result<Self, StartError> {
        config.check_files()?;
        let role = options.role.unwrap_or(Role::All);
        check_role(config, role)?;
        let clock = options.clock.unwrap_or_else(SystemClock::shared);
        let store = open_store(config, clock.clone()).await?;
        let is_shared = !matches!(config.store.url, StoreUrl::Sqlite(_));
        let queue: Arc<dyn Queue> = queue::open_queue(config, clock.clone())?;
        let (admin, admin_key_made) = admin_key(config)?;
        let metrics = Metrics::new();
        if let StoreUrl::Sqlite(path) = &config.store.url {
            metrics.watch_store(path);
        }
        let factory = match options.gateways {
            Some(factory) => factory,
            None => {
                Box::new(Opener::start(&config.worker, clock.clone(), metrics.clone()).map_err(StartError::Threads)?)
            }
        };
        let directory = Directory::open(store.clone(), vault(config)?, factory, metrics.clone(), &config.hubs).await?;
        let directory = Arc::new(if is_shared { directory.shared() } else { directory });
        let listener = match options.listener {
            Some(listener) => listener,
            None => listen(config.server.listen).await?,
        };
        let address =
            listener.local_addr().map_err(|source| StartError::Listen { address: config.server.listen, source })?;
        let tls = match &config.server.tls {
            Some(tls) => {
                let certificate = Certificate::open(tls)?;
                Some((certificate.acceptor()?, certificate, listen(tls.listen).await?))
            }
            None => None,
        };
        let fanout = Service::start(
            store.clone(),
            queue.clone(),
            directory.clone(),
            metrics.clone(),
            clock.clone(),
            fanout_settings(config),
            role,
        );
        let following = CancellationToken::new();
        let follower = Follower { store: store.clone(), directory: directory.clone(), fanout: fanout.clone() };
        // Once in any case: what an earlier process noted of senders holds on.
        let seen = follower.look(None).await?;
        let follower = is_shared.then(|| tokio::spawn(follower.follow(Some(seen), following.clone())));
        let mobile = match &config.mobile {
            Some(mobile) if role != Role::Worker => {
                let tables = Tables::open(mobile, &*store).await?;
                let sign_in = match &mobile.auth {
                    Some(auth) => Some(SignIn::new(auth, vault(config)?, &clock)?),
                    None => None,
                };
                Some(Arc::new(Mobile::new(mobile, tables, sign_in)?))
            }
            _ => None,
        };
        let device_rate = config.mobile.as_ref().map_or(0, |mobile| mobile.push.requests_per_minute);
        let app = Arc::new(App {
            role,
            store,
            queue,
            directory,
            fanout,
            limits: Limits::from(&config.limits),
            rates: RateLimits::new(&config.limits.rates, device_rate, clock.clone()),
            patience: options.patience.unwrap_or(PATIENCE),
            clock,
            metrics: metrics.clone(),
            admin,
            draining: CancellationToken::new(),
            registrations: App::registration_slots(),
            unpacking: Unpacking::default(),
            jobs: api::hubs::jobs::Jobs::new(&config.hubs)?,
            mobile,
            site: config.site.as_ref().map(|site| Site::new(&site.dir)),
        });
        let stop_listening = CancellationToken::new();
        let serving = Serving {
            router: api::router(app.clone()),
            tls: None,
            patience: app.patience,
            stop: stop_listening.clone(),
        };
        let (mut tls_address, mut renewal) = (None, None);
        let mut listeners = vec![tokio::spawn(listener::listen(listener, serving.clone()))];
        if let Some((acceptor, certificate, listener)) = tls {
            tls_address = listener.local_addr().ok();
            let serving = Serving { tls: Some(acceptor), ..serving };
            listeners.push(tokio::spawn(listener::listen(listener, serving)));
            renewal = Some(tokio::spawn(certificate.follow()));
        }
        let http = tokio::spawn(async move {
            for listener in listeners {
                // One that panicked has ended, too.
                let _ = listener.await;
            }
        });
        let upkeep = tokio::spawn(keep_up(app.clone()));
        // Where jobs are asked for they are done: they are work on the registry, not on the gateways.
        let jobs = (role != Role::Worker).then(|| tokio::spawn(api::hubs::jobs::work(app.clone())));
        let news = app.mobile.is_some().then(|| tokio::spawn(tables::work(app.clone())));
        let drain = Duration::from_secs(u64::from(config.server.drain_seconds));
        Ok(Self {
            app,
            address,
            tls_address,
            admin_key_made,
            drain,
            stop_listening,
            http,
            upkeep,
            jobs,
            news,
            follower,
            following,
            renewal,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for TLS, when it does.
    pub fn tls_address(&self) -> Option<SocketAddr> {
        self.tls_address
    }

    /// The admin key, and its file when that was made just now.
    pub fn admin_key(&self) -> (&AdminKey, Option<&Path>) {
        (&self.app.admin, self.admin_key_made.as_deref())
    }

    /// The parts, for whoever runs in the same process.
    pub fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// Stops within `server.drain_seconds` and answers whether everything ended by itself.
    pub async fn stop(self) -> bool {
        let Self { app, drain, stop_listening, mut http, upkeep, jobs, news, follower, following, renewal, .. } = self;
        let end = app.clock.boot().plus(drain);
        app.draining.cancel();
        stop_listening.cancel();
        let left = |end: BootInstant| end.after(app.clock.boot());
        let answered = async { tokio::time::timeout(drain, &mut http).await.is_ok() };
        let (handed_back, answered) = tokio::join!(app.fanout.stop(drain), answered);
        if !answered {
            http.abort();
        }
        for mut work in jobs.into_iter().chain(news) {
            if tokio::time::timeout(left(end), &mut work).await.is_err() {
                work.abort();
                let _ = work.await;
            }
        }
        following.cancel();
        if let Some(mut follower) = follower
            && tokio::time::timeout(left(end), &mut follower).await.is_err()
        {
            follower.abort();
        }
        app.directory.close(left(end)).await;
        upkeep.abort();
        // It holds the store, whose file is free when this returns.
        let _ = upkeep.await;
        if let Some(renewal) = renewal {
            renewal.abort();
        }
        if !handed_back {
            tracing::warn!("some work did not stop in time; it is taken up again after its lease");
        }
        handed_back && answered
    }
}

/// What runs in this process alone cannot be shared with others.
fn check_role(config: &Config, role: Role) -> Result<(), ConfigError> {
    if role == Role::All {
        return Ok(());
    }
    let refused =
        |key: &str, rule: &str, got: String| Err(ConfigError { key: key.to_owned(), rule: rule.to_owned(), got });
    if let StoreUrl::Sqlite(path) = &config.store.url {
        let rule = "must be a store that processes share, with --role api or worker";
        return refused("store.url", rule, format!("sqlite:{}", path.display()));
    }
    match config.queue.url {
        QueueUrl::Memory => refused(
            "queue.url",
            "must be a queue that processes share, with --role api or worker",
            "memory:".to_owned(),
        ),
        _ => Ok(()),
    }
}

fn admin_key(config: &Config) -> Result<(AdminKey, Option<PathBuf>), StartError> {
    if let Some(key) = config.admin.key.clone().and_then(AdminKey::from_text) {
        return Ok((key, None));
    }
    let unset = || ConfigError { key: "admin.key_file".into(), rule: "must be given".into(), got: "nothing".into() };
    let path = config.admin.key_file.as_deref().ok_or_else(unset)?;
    let (key, made) = AdminKey::open(path)?;
    Ok((key, made.then(|| path.to_owned())))
}

fn vault(config: &Config) -> Result<Vault, StartError> {
    let secrets = &config.secrets;
    match (&secrets.key, &secrets.key_file) {
        (Some(key), _) => {
            let previous = secrets.previous_key_files.iter().map(|path| key_file::read(path));
            Ok(Vault::from_texts(key, &previous.collect::<Result<Vec<_>, _>>()?)?)
        }
        (None, Some(file)) => Ok(Vault::open(file, &secrets.previous_key_files)?),
        (None, None) => {
            let rule = "must be given".to_owned();
            Err(ConfigError { key: "secrets.key_file".into(), rule, got: "nothing".into() }.into())
        }
    }
}

fn fanout_settings(config: &Config) -> fanout::Settings {
    fanout::Settings {
        shards_in_flight: config.worker.shards_in_flight as usize,
        checkpoint_every: u64::from(config.worker.checkpoint_every),
        lease: Duration::from_secs(u64::from(config.worker.lease_seconds)),
        max_attempts: u8::try_from(config.worker.max_attempts).unwrap_or(u8::MAX),
        ..fanout::Settings::default()
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { address, source })
}

async fn keep_up(app: Arc<App>) {
    let mut ticks = tokio::time::interval(UPKEEP_EVERY);
    loop {
        ticks.tick().await;
        app.metrics.upkeep();
        app.rates.upkeep();
    }
}
