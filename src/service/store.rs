//! The store that the configuration names.

use std::sync::Arc;
use std::time::Duration;

use super::StartError;
use crate::clock::SharedClock;
use crate::config::{Config, ConfigError, RetentionConfig, StoreUrl};
use crate::store::StoreError;
use crate::store::sqlite::{Mode, Retention, SqliteStore};

/// Opens the store, made when missing, with this version's schema. A file that another process has open is the
/// configuration's fault: two processes were told to use one.
pub fn open_store(config: &Config, clock: SharedClock) -> Result<Arc<SqliteStore>, StartError> {
    let refused = |rule: &str, got: String| ConfigError { key: "store.url".to_owned(), rule: rule.to_owned(), got };
    let path = match &config.store.url {
        StoreUrl::Sqlite(path) => path,
        StoreUrl::Postgres(url) => return Err(refused("must be sqlite:PATH", url.to_string()).into()),
    };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|source| StartError::Path { path: folder.to_owned(), source })?;
    }
    let readers = std::thread::available_parallelism().map_or(2, |cores| cores.get().clamp(2, 16));
    match SqliteStore::open(path, Mode::Threads { readers }, clock, retention(&config.retention)) {
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
    }
}
