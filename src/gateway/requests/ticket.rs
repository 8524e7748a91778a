//! Batches on their way out, and the one reply that each target gets.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::clock::BootInstant;
use crate::gateway::{Answer, Batch, Reply, Unsent};
use crate::model::broadcast::Lane;
use crate::model::id::Seq;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, Verdict};

/// A batch whose targets from `next` on are not started.
#[derive(Debug)]
pub(in crate::gateway) struct Job {
    shared: Arc<Shared>,
    next: usize,
}

#[derive(Debug)]
struct Shared {
    batch: Batch,
    /// An answer said that the credentials are refused or everything is too fast: what is unsent would only hear the
    /// same.
    halted: AtomicBool,
}

impl Shared {
    fn refusal(&self, now: BootInstant) -> Option<Unsent> {
        if self.batch.stop.is_raised() {
            Some(Unsent::Stopped)
        } else if self.batch.deadline <= now {
            Some(Unsent::Deadline)
        } else if self.halted.load(Ordering::Relaxed) {
            Some(Unsent::Closed)
        } else {
            None
        }
    }

    fn seq(&self, at: usize) -> Seq {
        self.batch.targets.get(at).map_or(Seq(0), |(seq, _)| seq)
    }

    fn reply(&self, replies: Vec<Reply>) {
        // A worker that is gone has lost its lease; nobody else may be told.
        let _ = self.batch.replies.send(replies);
    }
}

impl Job {
    pub(in crate::gateway) fn new(batch: Batch) -> Self {
        Self { shared: Arc::new(Shared { batch, halted: AtomicBool::new(false) }), next: 0 }
    }

    pub(in crate::gateway) fn lane(&self) -> Lane {
        self.shared.batch.request.lane
    }

    /// The next target that may be started; none when all are.
    pub(in crate::gateway) fn start_one(&mut self) -> Option<Ticket> {
        let at = self.next;
        if at >= self.shared.batch.targets.len() {
            return None;
        }
        self.next += 1;
        Some(Ticket { job: Arc::clone(&self.shared), at, written: None, answered: false })
    }

    pub(in crate::gateway) fn is_started(&self) -> bool {
        self.next >= self.shared.batch.targets.len()
    }

    /// Why nothing of it may be started any more.
    pub(in crate::gateway) fn refusal(&self, now: BootInstant) -> Option<Unsent> {
        self.shared.refusal(now)
    }

    /// Hands back what is not started.
    pub(in crate::gateway) fn hand_back(mut self, why: Unsent) {
        let rest: Vec<_> = (self.next..self.shared.batch.targets.len())
            .map(|at| Reply { seq: self.shared.seq(at), what: Answer::Unsent(why) })
            .collect();
        self.next = self.shared.batch.targets.len();
        if !rest.is_empty() {
            self.shared.reply(rest);
        }
    }
}

/// One target that is under way. Dropped without an answer (its task was ended), it says what is known of it.
#[derive(Debug)]
pub(in crate::gateway) struct Ticket {
    job: Arc<Shared>,
    at: usize,
    /// When it was handed to a connection, by the wall clock.
    written: Option<Timestamp>,
    answered: bool,
}

impl Ticket {
    pub(in crate::gateway) fn batch(&self) -> &Batch {
        &self.job.batch
    }

    pub(in crate::gateway) fn channel(&self) -> &[u8] {
        self.job.batch.targets.get(self.at).map_or(&[], |(_, channel)| channel)
    }

    /// Why it may not be written any more.
    pub(in crate::gateway) fn refusal(&self, now: BootInstant) -> Option<Unsent> {
        self.job.refusal(now)
    }

    /// From here on it may have left the process.
    pub(in crate::gateway) fn hand_over(&mut self, at: Timestamp) {
        self.written = Some(at);
    }

    /// It was surely not accepted.
    pub(in crate::gateway) fn take_back(&mut self) {
        self.written = None;
    }

    /// Nothing more of its batch is started.
    pub(in crate::gateway) fn halt_batch(&self) {
        self.job.halted.store(true, Ordering::Relaxed);
    }

    pub(in crate::gateway) fn verdict(mut self, verdict: Verdict, reason: Option<Reason>) {
        let written_at = self.written;
        self.answer(Answer::Verdict { verdict, reason, written_at });
    }

    pub(in crate::gateway) fn unsent(mut self, why: Unsent) {
        self.answer(Answer::Unsent(why));
    }

    fn answer(&mut self, what: Answer) {
        self.answered = true;
        self.job.reply(vec![Reply { seq: self.job.seq(self.at), what }]);
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        self.answer(match self.written {
            Some(at) => Answer::Verdict {
                verdict: Verdict::ConnAmbiguous,
                reason: Some(Reason::known("connection abandoned")),
                written_at: Some(at),
            },
            None => Answer::Unsent(Unsent::Closed),
        });
    }
}
