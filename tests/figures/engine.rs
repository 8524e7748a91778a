//! The engine that is measured: `FIGURES_ENGINE=sqlite` (the usual one) or `postgres`, a server of our own that syncs
//! its commits as any other does.

use std::sync::Arc;

use fanfare::clock::SystemClock;
use fanfare::store::Retention;
use fanfare::store::Store;
use fanfare::store::postgres::{Options, PostgresStore, Time};
use fanfare::store::sqlite::{Mode, SqliteStore};
use loadtest::rows;
use loadtest::servers::postgres::Postgres;

use super::wait;

/// Which one is asked for.
pub(crate) fn is_postgres() -> bool {
    match std::env::var("FIGURES_ENGINE").as_deref() {
        Ok("postgres") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("FIGURES_ENGINE is sqlite or postgres, not {other}"),
    }
}

/// A fresh store with all that it needs. Fields are dropped in their order.
pub(crate) struct Engine {
    pub(crate) store: Arc<dyn Store>,
    place: Place,
}

enum Place {
    Folder(tempfile::TempDir),
    Server(Postgres),
}

impl Engine {
    pub(crate) fn open() -> Self {
        if is_postgres() {
            let server = Postgres::start().unwrap();
            let options = Options { url: server.url("postgres"), connections: 16, base: "/".into() };
            let store = wait(PostgresStore::open(&options, Time::Database, Retention::default())).unwrap();
            return Self { store: Arc::new(store), place: Place::Server(server) };
        }
        let folder = tempfile::tempdir().unwrap();
        let (file, mode) = (folder.path().join("fanfare.db"), Mode::Threads { readers: 2 });
        let store = SqliteStore::open(&file, mode, SystemClock::shared(), Retention::default()).unwrap();
        Self { store: Arc::new(store), place: Place::Folder(folder) }
    }

    /// Puts rows into the app's table `rows`, past the store: each a millisecond after the one before.
    pub(crate) fn fill_rows(&self, count: u32, start: i64) {
        match &self.place {
            Place::Folder(folder) => rows::fill_sqlite(&folder.path().join("fanfare.db"), count, start).unwrap(),
            Place::Server(server) => rows::fill_postgres(server, "postgres", count, start).unwrap(),
        }
    }

    /// Bytes on the disk.
    pub(crate) fn bytes(&self) -> u64 {
        match &self.place {
            Place::Folder(folder) => std::fs::metadata(folder.path().join("fanfare.db")).unwrap().len(),
            Place::Server(server) => {
                let size = "SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class c WHERE relkind = 'r'";
                server.psql("postgres", size).unwrap().parse().unwrap()
            }
        }
    }
}
