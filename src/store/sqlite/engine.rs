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
use rusqlite::{Connection, OpenFlags};
use tokio::sync::{Semaphore, oneshot};

use crate::clock::{Clock, SystemClock};
use crate::store::{Commits, Result, StoreError};

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

/// Work for the writer.
trait Task: Send {
    /// Writes inside the group's transaction. May be called a second time, after a rollback.
    fn write(&mut self, tx: &Connection) -> Result<()>;
    /// The transaction was committed, or this task failed.
    fn answer(self: Box<Self>, committed: Result<()>);
    /// How much of a group it takes: rows, roughly.
    fn weight(&self) -> usize;
}

struct WriteTask<F, T> {
    run: F,
    made: Option<T>,
    weight: usize,
    reply: oneshot::Sender<Result<T>>,
}

impl<F, T> Task for WriteTask<F, T>
where
    F: FnMut(&Connection) -> Result<T> + Send,
    T: Send,
{
    fn write(&mut self, tx: &Connection) -> Result<()> {
        self.made = Some((self.run)(tx)?);
        Ok(())
    }

    fn answer(mut self: Box<Self>, committed: Result<()>) {
        let lost = || StoreError::Unavailable("the writer stopped".to_owned());
        let answer = committed.and_then(|()| self.made.take().ok_or_else(lost));
        // The caller may have gone away; its work stands all the same.
        drop(self.reply.send(answer));
    }

    fn weight(&self) -> usize {
        self.weight
    }
}

type Read = Box<dyn FnOnce(&mut Connection) + Send>;

/// A group takes at most this much weight, so that a commit stays short for those who wait in front of it.
const GROUP_WEIGHT: usize = 2_048;

/// Housekeeping that waits gets a turn after so many groups went before it: under a load that never pauses it must
/// still go on, or deltas would grow without bound.
const PATIENCE: u32 = 4;

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
struct Tasks {
    waiting: [VecDeque<Box<dyn Task>>; Precedence::COUNT],
    /// Groups that went before housekeeping that waits.
    passed_over: u32,
    stopped: bool,
}

impl Tasks {
    fn housekeeping_waits(&self) -> bool {
        self.waiting[Precedence::Fold as usize..].iter().any(|waiting| !waiting.is_empty())
    }

    /// One task, alone in its group: housekeeping is long by itself.
    fn take_housekeeping(&mut self) -> Option<Box<dyn Task>> {
        self.passed_over = 0;
        self.waiting[Precedence::Fold as usize..].iter_mut().find_map(VecDeque::pop_front)
    }
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
        let mut writer = Writer { connection, synced: None, participant };
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
            tasks.waiting[precedence as usize].push_back(Box::new(WriteTask { run: task, made: None, weight, reply }));
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

/// Page caches in SQLite's negative KiB. Small, so that memory does not follow the size of the file: what they miss the
/// system's own cache has, a copy away. The writer's holds the upper pages of the look-up indexes.
const WRITER_CACHE: i64 = -16_384;
const READER_CACHE: i64 = -4_096;

/// A connection with the pragmas that every one of ours has.
fn connect(path: &Path, read_only: bool) -> Result<Connection> {
    let flags = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
    };
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    if !read_only {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A checkpoint of the log is not a sync of each commit: 64 MiB between them keeps random index pages together.
        connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        connection.pragma_update(None, "journal_size_limit", 256 << 20)?;
    }
    connection.pragma_update(None, "cache_size", if read_only { READER_CACHE } else { WRITER_CACHE })?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    super::tables::add_functions(&connection)?;
    Ok(connection)
}

fn write_loop(shared: &Shared, writer: &mut Writer) {
    while let Some((mut group, synced)) = next_group(shared) {
        // The machine's own clock: what a disk takes is no matter of the service's time.
        let begun = SystemClock.boot();
        let outcome = run_guarded(writer, synced, &mut group);
        shared.committed.lock().count(SystemClock.boot().after(begun));
        match outcome {
            Ok(()) => answer_all(group, &Ok(())),
            Err(error) if group.len() == 1 => answer_all(group, &Err(error)),
            Err(_) => {
                for task in group {
                    let mut alone = vec![task];
                    let outcome = run_guarded(writer, synced, &mut alone);
                    answer_all(alone, &outcome);
                }
            }
        }
    }
    let left: Vec<_> = shared.tasks.lock().waiting.iter_mut().flat_map(std::mem::take).collect();
    answer_all(left, &Err(StoreError::Unavailable("the store is closed".to_owned())));
}

fn answer_all(group: Vec<Box<dyn Task>>, outcome: &Result<()>) {
    for task in group {
        task.answer(outcome.clone());
    }
}

/// Runs a group; a panic in a task is that group's error, never the writer's end.
fn run_guarded(writer: &mut Writer, synced: bool, group: &mut [Box<dyn Task>]) -> Result<()> {
    let run = || writer.transaction(synced, |tx| group.iter_mut().try_for_each(|task| task.write(tx)));
    std::panic::catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|_| {
        drop(writer.connection.execute_batch("ROLLBACK"));
        writer.participant.ended(false);
        Err(StoreError::Engine("a task of the writer panicked".to_owned()))
    })
}

/// The one connection that writes.
struct Writer {
    connection: Connection,
    /// Whether commits are synced now; `None` before the first.
    synced: Option<bool>,
    participant: Arc<dyn Participant>,
}

impl Writer {
    fn transaction<T>(&mut self, synced: bool, body: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        if self.synced != Some(synced) {
            // Takes effect when it is compiled, so a cached statement would do nothing the second time.
            self.connection.pragma_update(None, "synchronous", if synced { "FULL" } else { "NORMAL" })?;
            self.synced = Some(synced);
        }
        self.connection.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        let made = body(&self.connection).and_then(|made| {
            self.participant.before_commit(&self.connection)?;
            self.connection.prepare_cached("COMMIT")?.execute([])?;
            Ok(made)
        });
        self.participant.ended(made.is_ok());
        if made.is_err() && !self.connection.is_autocommit() {
            self.connection.execute_batch("ROLLBACK")?;
        }
        made
    }
}

/// Waits for tasks and takes a group: by precedence, up to the group's weight. `None` when stopped and empty.
fn next_group(shared: &Shared) -> Option<(Vec<Box<dyn Task>>, bool)> {
    let mut tasks = shared.tasks.lock();
    loop {
        let mut group = Vec::new();
        let (mut weight, mut synced, mut registrations) = (0, false, 0);
        if tasks.passed_over >= PATIENCE
            && let Some(task) = tasks.take_housekeeping()
        {
            return Some((vec![task], false));
        }
        for precedence in [Precedence::Accept, Precedence::Checkpoint, Precedence::Row, Precedence::Registration] {
            while weight < GROUP_WEIGHT {
                let Some(task) = tasks.waiting[precedence as usize].pop_front() else { break };
                weight += task.weight();
                synced |= precedence.synced();
                if precedence == Precedence::Registration {
                    registrations += task.weight();
                }
                group.push(task);
            }
        }
        // Housekeeping never joins those who wait.
        if group.is_empty() {
            group.extend(tasks.take_housekeeping());
        } else if tasks.housekeeping_waits() {
            tasks.passed_over += 1;
        }
        if !group.is_empty() {
            drop(tasks);
            if registrations > 0 {
                let mut committed = shared.committed.lock();
                committed.registration_groups += 1;
                committed.registrations += registrations as u64;
            }
            return Some((group, synced));
        }
        if tasks.stopped {
            return None;
        }
        shared.task_waits.wait(&mut tasks);
    }
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

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure,
            ) => Self::Unavailable(error.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Engine(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
