//! The store that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::StartError;
use crate::clock::SharedClock;
use crate::config::{Config, ConfigError, RetentionConfig, StoreUrl};
use crate::store::Retention;
use crate::store::postgres::{PostgresStore, Time};
use crate::store::sqlite::{Mode, SqliteStore};
use crate::store::{Store, StoreError};

/// Between two attempts to reach a store that does not answer.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a start that waits says so.
const SAY: Duration = Duration::from_secs(10);

/// Opens the store, made when missing, with this version's schema. One that does not answer yet is waited for, for
/// `server.start_seconds`: machines and containers start in any order.
pub async fn open_store(config: &Config, clock: SharedClock) -> Result<Arc<dyn Store>, StartError> {
    let retention = retention(&config.retention);
    let Some(options) = config.store.postgres() else { return embedded(config, clock, retention) };
    let patience = Duration::from_secs(u64::from(config.server.start_seconds));
    let began = Instant::now();
    let mut said: Option<Instant> = None;
    loop {
        let error = match PostgresStore::open(&options, Time::Database, retention).await {
            Ok(store) => return Ok(Arc::new(store)),
            Err(error) => error,
        };
        let waited = began.elapsed();
        if !error.is_passing() || waited + AGAIN > patience {
            return Err(match error.is_passing() && !patience.is_zero() {
                true => StartError::StoreAway { waited: waited.as_secs(), source: error },
                false => error.into(),
            });
        }
        if said.is_none_or(|said| said.elapsed() >= SAY) {
            said = Some(Instant::now());
            tracing::warn!(%error, "waiting for the store, for up to {} s more", (patience - waited).as_secs());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// A file that another process has open is the configuration's fault: two processes were told to use one.
fn embedded(config: &Config, clock: SharedClock, retention: Retention) -> Result<Arc<dyn Store>, StartError> {
    let refused = |rule: &str, got: String| ConfigError { key: "store.url".to_owned(), rule: rule.to_owned(), got };
    let path = match &config.store.url {
        StoreUrl::Sqlite(path) => path,
        StoreUrl::Postgres(url) => return Err(refused("must be sqlite:PATH", url.to_string()).into()),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| StartError::Path { path: folder.to_owned(), source })?;
    }
    // One of them is kept from the lists of apps, which may be long.
    let readers = std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 16)) + 1;
    match SqliteStore::open(path, Mode::Threads { readers }, clock, retention) {
        Ok(store) => Ok(Arc::new(store)),
        Err(StoreError::InUse(_)) => {
            let got = format!("sqlite:{}", path.display());
            Err(refused("must be a file that no other process uses", got).into())
        }
        Err(error) => Err(error.into()),
    }
}

fn retention(config: &RetentionConfig) -> Retention {
    Retention {
        large: Duration::from_secs(u64::from(config.broadcast_days) * 86_400),
        small: Duration::from_secs(u64::from(config.small_hours) * 3_600),
        most: (config.max_gigabytes > 0).then(|| u64::from(config.max_gigabytes) * 1_000_000_000),
    }
}
