//! Which tasks become one group: by precedence, up to a weight.

use std::collections::VecDeque;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{Precedence, Shared};
use crate::store::{Result, StoreError};

/// Work for the writer.
pub(super) trait Task: Send {
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

/// A group takes at most this much weight, so that a commit stays short for those who wait in front of it.
const GROUP_WEIGHT: usize = 2_048;

/// Housekeeping that waits gets a turn after so many groups went before it: under a load that never pauses it must
/// still go on, or deltas would grow without bound.
const PATIENCE: u32 = 4;

/// What waits for the writer.
#[derive(Default)]
pub(super) struct Tasks {
    pub(super) waiting: [VecDeque<Box<dyn Task>>; Precedence::COUNT],
    /// Groups that went before housekeeping that waits.
    passed_over: u32,
    pub(super) stopped: bool,
}

impl Tasks {
    pub(super) fn add<T, F>(&mut self, precedence: Precedence, weight: usize, run: F, reply: oneshot::Sender<Result<T>>)
    where
        T: Send + 'static,
        F: FnMut(&Connection) -> Result<T> + Send + 'static,
    {
        self.waiting[precedence as usize].push_back(Box::new(WriteTask { run, made: None, weight, reply }));
    }

    fn housekeeping_waits(&self) -> bool {
        self.waiting[Precedence::Fold as usize..].iter().any(|waiting| !waiting.is_empty())
    }

    /// One task, alone in its group: housekeeping is long by itself.
    fn take_housekeeping(&mut self) -> Option<Box<dyn Task>> {
        self.passed_over = 0;
        self.waiting[Precedence::Fold as usize..].iter_mut().find_map(VecDeque::pop_front)
    }
}

/// Waits for tasks and takes a group: by precedence, up to the group's weight. `None` when stopped and empty.
pub(super) fn next_group(shared: &Shared) -> Option<(Vec<Box<dyn Task>>, bool)> {
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
