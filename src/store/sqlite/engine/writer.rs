//! The one thread that writes: a group becomes one commit.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use rusqlite::Connection;

use super::group::{Task, next_group};
use super::{Participant, Shared};
use crate::clock::{Clock, SystemClock};
use crate::store::{Result, StoreError};

/// The one connection that writes.
pub(super) struct Writer {
    pub(super) connection: Connection,
    /// Whether commits are synced now; `None` before the first.
    synced: Option<bool>,
    participant: Arc<dyn Participant>,
}

impl Writer {
    pub(super) fn new(connection: Connection, participant: Arc<dyn Participant>) -> Self {
        Self { connection, synced: None, participant }
    }

    pub(super) fn transaction<T>(&mut self, synced: bool, body: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
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

/// Writes until the engine stops.
pub(super) fn write_loop(shared: &Shared, writer: &mut Writer) {
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
