//! Batches on their way out, and the one reply that each target gets.

use std::ops::Range;
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

    fn channel(&self, at: usize) -> &[u8] {
        self.batch.targets.get(at).map_or(&[], |(_, channel)| channel)
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

    /// The next targets that may be started, at most so many; none when all are.
    pub(in crate::gateway) fn start(&mut self, most: usize) -> Option<Ticket> {
        let end = self.shared.batch.targets.len().min(self.next.saturating_add(most.max(1)));
        let stretch = self.next..end;
        if stretch.is_empty() {
            return None;
        }
        self.next = end;
        Some(Ticket { job: Arc::clone(&self.shared), stretch, written: None })
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

/// Neighbouring targets of a batch that are under way, for most services one. Those that it still holds when it is dropped
/// (its task was ended) get what is known of them.
#[derive(Debug)]
pub(in crate::gateway) struct Ticket {
    job: Arc<Shared>,
    /// Empty once all are answered.
    stretch: Range<usize>,
    /// When it was handed to a connection, by the wall clock.
    written: Option<Timestamp>,
}

impl Ticket {
    pub(in crate::gateway) fn batch(&self) -> &Batch {
        &self.job.batch
    }

    /// The channel of the first of them.
    pub(in crate::gateway) fn channel(&self) -> &[u8] {
        self.job.channel(self.stretch.start)
    }

    /// The channels of all of them.
    pub(in crate::gateway) fn channels(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.stretch.clone().map(|at| self.job.channel(at))
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

    /// The same of all of them.
    pub(in crate::gateway) fn verdict(self, verdict: Verdict, reason: Option<Reason>) {
        self.verdicts(|_| (verdict.clone(), reason.clone()));
    }

    /// Of each what `of` says of its channel.
    pub(in crate::gateway) fn verdicts(mut self, of: impl Fn(&[u8]) -> (Verdict, Option<Reason>)) {
        let written_at = self.written;
        self.answer(|channel| {
            let (verdict, reason) = of(channel);
            Answer::Verdict { verdict, reason, written_at }
        });
    }

    pub(in crate::gateway) fn unsent(mut self, why: Unsent) {
        self.answer(|_| Answer::Unsent(why));
    }

    /// The two halves of several.
    pub(in crate::gateway) fn halves(mut self) -> [Self; 2] {
        let Range { start, end } = std::mem::take(&mut self.stretch);
        let middle = usize::midpoint(start, end);
        [start..middle, middle..end].map(|stretch| Self { job: Arc::clone(&self.job), stretch, written: self.written })
    }

    fn answer(&mut self, what: impl Fn(&[u8]) -> Answer) {
        let stretch = std::mem::take(&mut self.stretch);
        if !stretch.is_empty() {
            let reply = |at| Reply { seq: self.job.seq(at), what: what(self.job.channel(at)) };
            self.job.reply(stretch.map(reply).collect());
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let written = self.written;
        self.answer(|_| match written {
            Some(at) => Answer::Verdict {
                verdict: Verdict::ConnAmbiguous,
                reason: Some(Reason::known("connection abandoned")),
                written_at: Some(at),
            },
            None => Answer::Unsent(Unsent::Closed),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::gateway::{SharedRequest, StopFlag, Targets};
    use crate::model::id::BroadcastId;
    use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

    const DEAD: Verdict = Verdict::DropToken { since: None };

    fn job(targets: u64) -> (Job, UnboundedReceiver<Vec<Reply>>) {
        let (replies, told) = unbounded_channel();
        let mut all = Targets::default();
        (0..targets).for_each(|seq| all.push(Seq(seq), seq.to_string().as_bytes()));
        let request =
            SharedRequest { headers: Vec::new(), body: "".into(), broadcast: BroadcastId::new(1), lane: Lane::Bulk };
        let (stop, deadline) = (StopFlag::default(), BootInstant::default());
        (Job::new(Batch { request: Arc::new(request), targets: all, deadline, stop, replies }), told)
    }

    /// What was said of whom, each once.
    fn told(mut replies: UnboundedReceiver<Vec<Reply>>) -> BTreeMap<u64, Answer> {
        let mut told = BTreeMap::new();
        while let Ok(pile) = replies.try_recv() {
            for reply in pile {
                assert!(told.insert(reply.seq.0, reply.what).is_none(), "{} was answered twice", reply.seq.0);
            }
        }
        told
    }

    #[test]
    fn every_target_of_a_stretch_gets_its_own_word_whatever_becomes_of_the_stretch() {
        let (mut job, replies) = job(10);
        let mut first = job.start(5).unwrap();
        assert_eq!((first.channel(), first.channels().len()), (&b"0"[..], 5));
        first.hand_over(Timestamp::from_millis(7));
        first.verdicts(|channel| (if channel == b"3" { DEAD } else { Verdict::Delivered }, None));
        let [left, right] = job.start(5).unwrap().halves();
        assert_eq!([left.channels().len(), right.channels().len()], [2, 3]);
        left.verdict(Verdict::Refused, None);
        drop(right);
        assert!(job.is_started() && job.start(5).is_none());
        let told = told(replies);
        let said = |verdict| Answer::Verdict { verdict, reason: None, written_at: None };
        for (seq, answer) in &told {
            let expected = match seq {
                3 => Answer::Verdict { verdict: DEAD, reason: None, written_at: Some(Timestamp::from_millis(7)) },
                0..5 => {
                    let written_at = Some(Timestamp::from_millis(7));
                    Answer::Verdict { verdict: Verdict::Delivered, reason: None, written_at }
                }
                5 | 6 => said(Verdict::Refused),
                _ => Answer::Unsent(Unsent::Closed),
            };
            assert_eq!(*answer, expected, "{seq}");
        }
        assert_eq!(told.len(), 10);
    }
}
