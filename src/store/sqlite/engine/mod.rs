//! One file, one writer, many readers.
//!
//! Everything that writes is a [`Task`] for the writer thread. The writer takes what is waiting, by precedence, runs it
//! in one transaction and answers each task only after the commit: that is the group commit, and its size follows the
//! load by itself, because tasks gather while the previous commit is synced. A group whose transaction fails is run
//! again task by task, so that one bad task fails alone.
//!
//! A [`Participant`] gathers over a whole group what is dearer to write task by task, and writes it just before the
//! commit.
//!
//! Readers are threads with a connection each; a read is one closure in one read transaction. Reads whose length others
//! choose are ended after a while, and leave one reader to the rest ([`Engine::read_within`]).
//!
//! A simulation has neither threads nor real time: [`Mode::Inline`] runs every task and read on the caller, in the
//! order of the calls.

use std::collections::VecDeque;
use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};

use crate::clock::{Clock, SystemClock};
use crate::store::{Commits, Result, StoreError};

mod connection;
mod group;
#[cfg(test)]
mod tests;
mod writer;

use connection::connect;
use group::Tasks;
use writer::{Writer, write_loop};

/// How tasks and reads are run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A writer thread and that many reader threads.
    Threads { readers: usize },
    /// On the caller: for simulations, which own the only thread.
    Inline,
}

/// The writer's precedence, first served first (design.md section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Precedence {
    Accept,
    Checkpoint,
    /// A row of an app's table.
    Row,
    Registration,
    Fold,
    Sweep,
}

impl Precedence {
    const COUNT: usize = 6;

    /// Accepts, rows and registrations are promises to somebody outside and survive a power loss; the rest may be repeated
    /// (design.md 3.4).
    const fn synced(self) -> bool {
        matches!(self, Self::Accept | Self::Row | Self::Registration)
    }
}

/// What takes part in every transaction of the writer.
pub(super) trait Participant: Send + Sync {
    /// Writes what was gathered in this transaction; the commit follows at once.
    fn before_commit(&self, tx: &Connection) -> Result<()>;
    /// The transaction was committed, or all of it was undone.
    fn ended(&self, committed: bool);
}

type Read = Box<dyn FnOnce(&mut Connection) + Send>;

struct Shared {
    path: PathBuf,
    tasks: Mutex<Tasks>,
    task_waits: Condvar,
    reads: Mutex<Reads>,
    read_waits: Condvar,
    /// Commits and the weight in them: what the group commit achieves.
    committed: Mutex<Commits>,
}

#[derive(Default)]
struct Reads {
    waiting: VecDeque<Read>,
    stopped: bool,
}

/// Steps of a statement between two looks at the time. A step may be a search through a text of megabytes.
const STEPS: std::ffi::c_int = 200;

/// The file with its writer and readers.
pub(super) struct Engine {
    shared: Arc<Shared>,
    /// Readers for reads that may be long.
    long: Arc<Semaphore>,
    inline: Option<Mutex<Writer>>,
    threads: Vec<JoinHandle<()>>,
}

impl Engine {
    /// Opens the file and starts the threads. `prepare` brings the schema up to date on the writer's connection.
    pub(super) fn open(
        path: &Path,
        mode: Mode,
        participant: Arc<dyn Participant>,
        prepare: impl FnOnce(&mut Connection) -> Result<()>,
    ) -> Result<Self> {
        let mut connection = connect(path, false)?;
        prepare(&mut connection)?;
        let mut writer = Writer::new(connection, participant);
        let shared = Arc::new(Shared {
            path: path.to_owned(),
            tasks: Mutex::default(),
            task_waits: Condvar::new(),
            reads: Mutex::default(),
            read_waits: Condvar::new(),
            committed: Mutex::default(),
        });
        let mut engine = Self { shared, long: Arc::new(Semaphore::new(1)), inline: None, threads: Vec::new() };
        let Mode::Threads { readers } = mode else {
            engine.inline = Some(Mutex::new(writer));
            return Ok(engine);
        };
        engine.long = Arc::new(Semaphore::new(readers.saturating_sub(1).max(1)));
        let shared = engine.shared.clone();
        engine.threads.push(spawn("store-writer", move || write_loop(&shared, &mut writer))?);
        for number in 0..readers.max(1) {
            let mut connection = connect(path, true)?;
            let shared = engine.shared.clone();
            engine.threads.push(spawn(&format!("store-reader-{number}"), move || read_loop(&shared, &mut connection))?);
        }
        Ok(engine)
    }

    /// Runs `task` in the writer's next group and answers after its commit. `task` may be run twice (after a rollback)
    /// and must leave no trace outside the transaction before it is committed.
    pub(super) async fn write<T, F>(&self, precedence: Precedence, weight: usize, mut task: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T> + Send + 'static,
    {
        if let Some(writer) = &self.inline {
            return writer.lock().transaction(precedence.synced(), |tx| task(tx));
        }
        let (reply, answer) = oneshot::channel();
        {
            let mut tasks = self.shared.tasks.lock();
            if tasks.stopped {
                return Err(StoreError::Unavailable("the store is closed".to_owned()));
            }
            tasks.add(precedence, weight, task, reply);
        }
        self.shared.task_waits.notify_one();
        answer.await.map_err(|_| StoreError::Unavailable("the writer stopped".to_owned()))?
    }

    /// Runs `read` in one read transaction on a reader.
    pub(super) async fn read<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        if let Some(writer) = &self.inline {
            return read(&writer.lock().connection);
        }
        self.queue(move |connection| connection.transaction().map_err(StoreError::from).and_then(|tx| read(&tx))).await
    }

    /// The same, for a read that others may make as long as they like: what it asks the database when `limit` is over ends
    /// with `SQLITE_INTERRUPT`. One reader is kept for other reads, where there are two.
    pub(super) async fn read_within<T, F>(&self, limit: Duration, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        if self.inline.is_some() {
            return self.read(read).await;
        }
        let closed = |_| StoreError::Unavailable("the store is closed".to_owned());
        let turn = self.long.clone().acquire_owned().await.map_err(closed)?;
        self.queue(move |connection| {
            // Given back when the read is over, and not when its caller has gone away.
            let _turn = turn;
            let end = SystemClock.boot().plus(limit);
            connection.progress_handler(STEPS, Some(move || SystemClock.boot() >= end))?;
            connection.transaction().map_err(StoreError::from).and_then(|tx| read(&tx))
        })
        .await
    }

    async fn queue<T, F>(&self, read: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Read = Box::new(move |connection| drop(reply.send(read(connection))));
        {
            let mut reads = self.shared.reads.lock();
            if reads.stopped {
                return Err(StoreError::Unavailable("the store is closed".to_owned()));
            }
            reads.waiting.push_back(job);
        }
        self.shared.read_waits.notify_one();
        answer.await.map_err(|_| StoreError::Unavailable("the reader stopped".to_owned()))?
    }

    /// What the group commit has done so far.
    pub(super) fn commits(&self) -> Commits {
        *self.shared.committed.lock()
    }
}

impl Drop for Engine {
    /// Finishes what waits for the writer and stops.
    fn drop(&mut self) {
        self.shared.tasks.lock().stopped = true;
        self.shared.reads.lock().stopped = true;
        self.shared.task_waits.notify_all();
        self.shared.read_waits.notify_all();
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(body)
        .map_err(|error| StoreError::Engine(format!("cannot start thread {name}: {error}")))
}

fn read_loop(shared: &Shared, connection: &mut Connection) {
    loop {
        let read = {
            let mut reads = shared.reads.lock();
            loop {
                if let Some(read) = reads.waiting.pop_front() {
                    break read;
                }
                if reads.stopped {
                    return;
                }
                shared.read_waits.wait(&mut reads);
            }
        };
        // A panic in a read drops its reply, which its caller sees as an unavailable reader; the thread goes on.
        if std::panic::catch_unwind(AssertUnwindSafe(|| read(connection))).is_err() {
            tracing::error!(path = %shared.path.display(), "a read of the store panicked");
        }
        // The next one has a limit of its own, or none.
        drop(connection.progress_handler(0, None::<fn() -> bool>));
    }
}
