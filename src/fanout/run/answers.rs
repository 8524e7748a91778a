//! Taking the gateway's answers.

use std::time::Duration;

use super::Run;
use super::fate::{self, Circumstances, Fate, News};
use crate::fanout::sender::MASS_INVALIDATION;
use crate::gateway::{Answer, Reply};
use crate::model::broadcast::Content;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, Seq};
use crate::model::outcome::Outcome;
use crate::model::template::TemplateId;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, Verdict};
use crate::store::Destination;

const DELIVERED: Destination = Destination::Done { outcome: Outcome::Delivered, reason: None };

/// How long to wait after a gateway was found closed, so that a closing one is not asked over and over.
const CLOSED_REST: Duration = Duration::from_millis(100);

/// Delivered targets by chunk. Nearly every answer is one of these, and they come in runs of one chunk, so they are
/// gathered and settled as sets.
struct Delivered {
    chunks: Vec<(ChunkNo, Vec<u16>)>,
    /// How many there can be at most.
    room: usize,
}

impl Delivered {
    fn add(&mut self, seq: Seq) {
        let chunk = seq.chunk();
        match self.chunks.iter_mut().rfind(|(no, _)| *no == chunk) {
            Some((_, offsets)) => offsets.push(seq.offset()),
            None => {
                let mut offsets = Vec::with_capacity(self.room);
                offsets.push(seq.offset());
                self.chunks.push((chunk, offsets));
            }
        }
    }
}

impl Run {
    pub(super) fn mark_unrecorded(&mut self) {
        if self.unrecorded_since.is_none() && self.ledger.unrecorded() > 0 {
            self.unrecorded_since = Some(self.worker.clock.boot());
        }
    }

    /// Decides and settles each target of a batch of answers.
    pub(super) fn take_replies(&mut self, replies: Vec<Reply>) {
        let now = self.worker.clock.now();
        let chance = fastrand::f64();
        self.worker.meter.replies(self.hub, self.platform, &replies);
        self.count_in_breaker(&replies, now);
        let is_delivered = |reply: &Reply| matches!(reply.what, Answer::Verdict { verdict: Verdict::Delivered, .. });
        let any_delivered = replies.iter().any(is_delivered);
        if any_delivered {
            self.sender.reached();
        }
        let mut fixes: Vec<(Option<TemplateId>, Reason)> = Vec::new();
        let mut delivered = Delivered { chunks: Vec::new(), room: replies.len() };
        let mut closed = false;
        let bare = self.content.content.handles().is_some();
        for Reply { seq, what } in replies {
            if let Answer::Verdict { verdict: Verdict::Delivered, .. } = what {
                delivered.add(seq);
                continue;
            }
            let Some(from) = self.ledger.handed_from(seq) else { continue };
            let template = self.handed.answered(seq);
            let circumstances = Circumstances {
                platform: self.platform,
                now,
                max_attempts: self.worker.settings.max_attempts,
                // Spread within the batch, so that its repeats do not come as one.
                chance: (chance + f64::from(seq.offset()) * 0.618).fract(),
            };
            let (fate, news) = fate::decide(what, from, circumstances);
            match if bare { fate.of_bare_handle() } else { fate } {
                Fate::To(to) => self.ledger.settle(seq, to),
                Fate::Stage { since, timed, reason } => self.ledger.stage(seq, since, timed, reason),
                Fate::Wait => self.ledger.put_back(seq),
            }
            match news {
                News::FixRequest(reason) => fixes.push((template, reason)),
                News::Throttled { reason, after } => self.sender.throttle(now, reason, after),
                News::Refused(reason) => self.pause_sender(now, reason),
                // One connection that failed among others that hold is no reason to rest.
                News::Unreachable if any_delivered => {}
                News::Unreachable => self.sender.unreachable(now),
                News::Closed => closed = true,
                News::Delivered | News::None => {}
            }
        }
        for (chunk, mut offsets) in delivered.chunks {
            // Answers to the several requests of a page come mixed, and a set is made of its members in order.
            if !offsets.is_sorted() {
                offsets.sort_unstable();
            }
            let set = offsets.into_iter().collect();
            self.note_delivered(chunk, &set);
            self.ledger.settle_set(chunk, &set, &DELIVERED, true);
        }
        self.note_fixes(fixes);
        if closed {
            self.find_gateway();
            self.not_before = Some(now.plus(CLOSED_REST));
        }
        self.mark_unrecorded();
    }

    /// What was delivered is not wrong for everybody.
    fn note_delivered(&self, chunk: ChunkNo, set: &ChunkSet) {
        match self.content.content {
            Content::Template(_) => {
                for template in self.handed.delivered(chunk, set) {
                    self.active.delivered(self.platform, Some(template));
                }
            }
            _ => self.active.delivered(self.platform, None),
        }
    }

    /// Counts answers that a request is wrong for every target that gets it: for the platform, or for one template there.
    fn note_fixes(&self, fixes: Vec<(Option<TemplateId>, Reason)>) {
        let is_native = !matches!(self.content.content, Content::Template(_));
        for (template, reason) in fixes {
            // One whose template is not known any more belongs to a template that was delivered.
            if is_native || template.is_some() {
                self.active.fix_requested(self.platform, template, &reason);
            }
        }
    }

    fn count_in_breaker(&self, replies: &[Reply], now: Timestamp) {
        let verdicts = replies.iter().filter_map(|reply| match &reply.what {
            Answer::Verdict { verdict, .. } => Some(verdict),
            Answer::Unsent(_) => None,
        });
        if self.sender.breaker.count(verdicts) {
            self.pause_sender(now, MASS_INVALIDATION);
        }
    }

    fn pause_sender(&self, now: Timestamp, reason: Reason) {
        if self.sender.pause(now, reason.clone()) {
            tracing::error!(hub = %self.hub, platform = %self.platform, %reason, "sender paused");
        }
    }
}
