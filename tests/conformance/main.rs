//! What every engine of the store promises, checked against the trait alone. An engine passes the suite by giving a
//! [`Bench`]; the suite runs once for each.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use fanfare::clock::ManualClock;
use fanfare::model::time::Timestamp;
use fanfare::store::Retention;
use fanfare::store::Store;
use fanfare::store::sqlite::{Mode, SqliteStore};

mod broadcasts;
mod jobs;
mod model;
mod patches;
mod postgres;
mod registrations;
mod registry;
mod reports;
mod senders;
mod sign_in;
mod tables;
mod templates;

use postgres::PostgresBench;

/// An engine with storage of its own, which can be closed and opened again.
pub(crate) trait Bench {
    fn store(&self) -> &dyn Store;
    /// The clock that the engine goes by.
    fn clock(&self) -> &ManualClock;
    /// Closes it in order and opens it again.
    fn reopen(&mut self);
    /// The same, with what is kept bounded so.
    fn reopen_with(&mut self, retention: Retention);
    /// Opens it again as if the process had died now: nothing is finished, nothing is closed.
    fn crash(&mut self);
}

/// 2026-02-01T10:30:00Z.
pub(crate) const START: Timestamp = Timestamp::from_millis(1_769_941_800_000);

struct SqliteBench {
    mode: Mode,
    clock: Arc<ManualClock>,
    directory: tempfile::TempDir,
    /// Copies made by crashes so far; the current file is in the folder of that name.
    crashes: usize,
    store: Option<SqliteStore>,
}

impl SqliteBench {
    fn new(mode: Mode) -> Self {
        let clock = ManualClock::starting_at(START);
        let directory = tempfile::tempdir().unwrap();
        let mut bench = Self { mode, clock, directory, crashes: 0, store: None };
        std::fs::create_dir(bench.folder()).unwrap();
        bench.open(Retention::default());
        bench
    }

    fn folder(&self) -> PathBuf {
        self.directory.path().join(self.crashes.to_string())
    }

    fn file(&self) -> PathBuf {
        self.folder().join("fanfare.db")
    }

    fn open(&mut self, retention: Retention) {
        self.store = Some(SqliteStore::open(&self.file(), self.mode, self.clock.clone(), retention).unwrap());
    }
}

impl Bench for SqliteBench {
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
        self.store = None;
        self.open(retention);
    }

    fn crash(&mut self) {
        let before = self.folder();
        self.crashes += 1;
        copy_files(&before, &self.folder());
        self.reopen();
    }
}

/// The database and its log as they are; not what only lives with the process.
fn copy_files(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for name in ["fanfare.db", "fanfare.db-wal"] {
        let file = from.join(name);
        if file.exists() {
            std::fs::copy(file, to.join(name)).unwrap();
        }
    }
}

/// Every engine in every way it runs.
pub(crate) fn benches() -> Vec<Box<dyn Bench>> {
    vec![
        Box::new(SqliteBench::new(Mode::Inline)),
        Box::new(SqliteBench::new(Mode::Threads { readers: 2 })),
        Box::new(PostgresBench::new()),
    ]
}

/// Waits on the test's own thread. What a store starts, and its connections, live on in a runtime of all tests.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let start = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    RUNTIME.get_or_init(start).block_on(future)
}

#[test]
fn one_process_owns_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fanfare.db");
    let open = || SqliteStore::open(&file, Mode::Inline, ManualClock::starting_at(START), Retention::default());
    let first = open().unwrap();
    assert!(matches!(open(), Err(fanfare::store::StoreError::InUse(_))));
    drop(first);
    assert!(open().is_ok());
}
