//! Taking the gateway's answers.

use super::Run;
use super::fate::{self, Circumstances, Fate, News};
use crate::fanout::sender::MASS_INVALIDATION;
use crate::gateway::{Answer, Reply};
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;

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
        let mut delivered = false;
        for Reply { seq, what } in replies {
            let Some(from) = self.ledger.handed_from(seq) else { continue };
            let circumstances = Circumstances {
                platform: self.platform,
                now,
                max_attempts: self.worker.settings.max_attempts,
                // Spread within the batch, so that its repeats do not come as one.
                chance: (chance + f64::from(seq.offset()) * 0.618).fract(),
            };
            let (fate, news) = fate::decide(what, from, circumstances);
            match fate {
                Fate::To(to) => self.ledger.settle(seq, to),
                Fate::Stage { since, timed, reason } => self.ledger.stage(seq, since, timed, reason),
                Fate::Wait => self.ledger.put_back(seq),
            }
            match news {
                News::Delivered => delivered = true,
                News::FixRequest(reason) => self.active.fix_requested(self.platform, &reason),
                News::Throttled { reason, after } => self.sender.throttle(now, reason, after),
                News::Refused(reason) => self.pause_sender(now, reason),
                News::Unreachable => self.sender.unreachable(now),
                News::None => {}
            }
        }
        if delivered {
            self.active.delivered(self.platform);
            self.sender.reached();
        }
        self.mark_unrecorded();
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
