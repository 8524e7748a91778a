//! PostgreSQL as an engine of the suite: a server for those benches that live at the same time, a database for each.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use fanfare::clock::ManualClock;
use fanfare::store::Retention;
use fanfare::store::Store;
use fanfare::store::postgres::{Options, PostgresStore, Time};
use loadtest::servers::postgres::{Postgres, PostgresOptions};

use super::{Bench, START, wait};

/// A server that ends with its last bench. Tests look at it through the driver alone, and none of them cuts the power.
pub(crate) struct Server {
    postgres: Postgres,
    databases: AtomicU32,
}

/// The database whose copies benches get: its schema is up to date.
const SEED: &str = "seed";

/// The server that runs, or a new one.
pub(crate) fn server() -> Arc<Server> {
    static RUNNING: Mutex<Weak<Server>> = Mutex::new(Weak::new());
    let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(server) = running.upgrade() {
        return server;
    }
    let settings = ["fsync = off", "full_page_writes = off", "shared_buffers = 64MB"];
    let settings = settings.map(str::to_owned).to_vec();
    let postgres = Postgres::start_with(&PostgresOptions { settings, inside: None }).unwrap();
    let seed = options(postgres.database(SEED).unwrap());
    drop(wait(PostgresStore::open(&seed, Time::Database, Retention::default())).unwrap());
    let server = Arc::new(Server { postgres, databases: AtomicU32::new(0) });
    *running = Arc::downgrade(&server);
    server
}

fn options(url: String) -> Options {
    Options { url, connections: 8, base: PathBuf::new() }
}

pub(crate) struct PostgresBench {
    clock: Arc<ManualClock>,
    url: String,
    store: Option<PostgresStore>,
    _server: Arc<Server>,
}

impl PostgresBench {
    pub(crate) fn new() -> Self {
        let server = server();
        let name = format!("bench_{}", server.databases.fetch_add(1, Ordering::Relaxed));
        // A copy fails while somebody is connected to what it copies: the connections that made it are just going.
        let copy = format!("CREATE DATABASE {name} TEMPLATE {SEED}");
        while let Err(error) = server.postgres.psql("postgres", &copy) {
            assert!(error.to_string().contains("being accessed by other users"), "{error}");
        }
        let clock = ManualClock::starting_at(START);
        let mut bench = Self { clock, url: server.postgres.url(&name), store: None, _server: server };
        bench.open(Retention::default());
        bench
    }

    /// Of its database.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    fn open(&mut self, retention: Retention) {
        let time = Time::Given(self.clock.clone());
        let options = options(self.url.clone());
        self.store = Some(wait(PostgresStore::open(&options, time, retention)).unwrap());
    }
}

impl Bench for PostgresBench {
    fn store(&self) -> &dyn Store {
        self.store.as_ref().unwrap()
    }

    fn clock(&self) -> &ManualClock {
        &self.clock
    }

    fn reopen(&mut self) {
        self.reopen_with(Retention::default());
    }

    fn reopen_with(&mut self, retention: Retention) {
        self.store.as_ref().unwrap().close();
        self.open(retention);
    }

    /// Whatever the process held is gone; the database goes on.
    fn crash(&mut self) {
        self.store = None;
        self.open(Retention::default());
    }
}

impl Drop for PostgresBench {
    /// Connections of a closed pool go at once, those of a server that ended would complain.
    fn drop(&mut self) {
        if let Some(store) = self.store.take() {
            store.close();
        }
    }
}
