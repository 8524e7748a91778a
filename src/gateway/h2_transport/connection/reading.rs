//! Reading: answers are settled as they come, and so are failures.

use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::StreamExt as _;
use h2::Reason as Code;

use super::Connection;
use crate::clock::BootInstant;
use crate::gateway::Unsent;
use crate::gateway::h2_transport::stream::{Ended, Open};
use crate::gateway::pool::job::Item;
use crate::gateway::pool::reasons::{GOING_AWAY, LOST, REFUSED, RESET, TIMED_OUT};
use crate::gateway::transport::{ConnectionFate, RawAnswer, Resend};
use crate::model::verdict::{Reason, Verdict};

impl Connection {
    pub(super) fn settle_answers(&mut self, cx: &mut Context<'_>, now: BootInstant) -> bool {
        let mut moved = false;
        while let Poll::Ready(Some((slot, ended))) = self.answers.poll_next_unpin(cx) {
            moved = true;
            if let Some(open) = self.close_stream(slot) {
                self.settle(open, ended, now);
            }
        }
        moved
    }

    fn close_stream(&mut self, slot: usize) -> Option<Open> {
        let open = self.open.try_remove(slot)?;
        self.stalled.retain(|stalled| *stalled != slot);
        self.bulk_open -= usize::from(open.bulk);
        self.shared.meter.add_streams(-1);
        Some(open)
    }

    fn settle(&mut self, mut open: Open, ended: Ended, now: BootInstant) {
        if matches!(ended, Ended::Answered { .. }) {
            self.answered = true;
            self.last_answer = now;
            self.last_heard = now;
        }
        let Some(item) = open.item.take() else { return };
        match ended {
            Ended::Answered { status, retry_after, body } => {
                let authorization = open.authorization;
                let answer = RawAnswer { status, retry_after: retry_after.as_deref(), body: &body, authorization };
                self.judge(item, &answer, now);
            }
            Ended::Failed(error) => {
                if let Some(reason) = self.is_safe(&open, &error, now) {
                    self.resend(item, reason);
                } else {
                    let reason = if open.timed_out {
                        TIMED_OUT
                    } else if error.is_reset() {
                        RESET
                    } else {
                        LOST
                    };
                    item.verdict(Verdict::ConnAmbiguous, Some(reason), &mut self.outbox);
                }
            }
        }
    }

    /// Whether a failed request was surely not processed (`push-services.md` 0.5), and why.
    fn is_safe(&mut self, open: &Open, error: &h2::Error, now: BootInstant) -> Option<Reason> {
        if open.timed_out {
            return None;
        }
        // `h2` fails with the peer's GOAWAY only streams above its last id.
        if error.is_go_away() && error.is_remote() {
            return Some(GOING_AWAY);
        }
        if error.is_reset() && error.is_remote() {
            let refused = error.reason() == Some(Code::REFUSED_STREAM);
            if refused {
                // It has more of us than it wants; its SETTINGS are on their way.
                self.rest(now, self.shared.tuning.refused_rest);
            }
            return refused.then_some(REFUSED);
        }
        (!self.written.whole(open.id)).then_some(LOST)
    }

    fn judge(&mut self, mut item: Item, answer: &RawAnswer<'_>, now: BootInstant) {
        let judgement = self.shared.service.judge(answer, &mut self.held);
        match judgement.connection {
            ConnectionFate::Keep => {}
            ConnectionFate::Rest(pause) => self.rest(now, pause),
            ConnectionFate::Replace => self.retire("the service asked for another connection"),
        }
        if item.retry(judgement.resend) {
            return self.shared.intake.give_back([item], &mut self.outbox);
        }
        item.job().halt_after(&judgement.verdict);
        item.verdict(judgement.verdict, judgement.reason, &mut self.outbox);
    }

    fn rest(&mut self, now: BootInstant, pause: Duration) {
        self.rest_until = self.rest_until.max(now.plus(pause.mul_f64(0.5 + fastrand::f64())));
    }

    pub(super) fn resend(&mut self, mut item: Item, reason: Reason) {
        if item.retry(Resend::Elsewhere) {
            self.shared.intake.give_back([item], &mut self.outbox);
        } else {
            item.verdict(Verdict::ConnSafe, Some(reason), &mut self.outbox);
        }
    }

    /// The link is gone: settles what it failed, and by what was written all else.
    pub(super) fn lose(&mut self, cx: &mut Context<'_>, now: BootInstant) {
        self.requests = None;
        self.settle_answers(cx, now);
        for slot in self.slots() {
            let Some(item) = self.close_stream(slot).and_then(|mut open| {
                let whole = self.written.whole(open.id);
                open.item.take().map(|item| (item, whole))
            }) else {
                continue;
            };
            match item {
                (item, true) => item.verdict(Verdict::ConnAmbiguous, Some(LOST), &mut self.outbox),
                (item, false) => self.resend(item, LOST),
            }
        }
        self.outbox.flush();
    }

    /// Gives everything up at once.
    pub(super) fn abandon(&mut self, why: Unsent) {
        self.requests = None;
        for slot in self.slots() {
            let Some(mut open) = self.close_stream(slot) else { continue };
            let whole = self.written.whole(open.id);
            match open.item.take() {
                Some(item) if whole => item.verdict(Verdict::ConnAmbiguous, Some(LOST), &mut self.outbox),
                Some(item) => item.unsent(why, &mut self.outbox),
                None => {}
            }
        }
        self.outbox.flush();
    }

    fn slots(&self) -> Vec<usize> {
        self.open.iter().map(|(slot, _)| slot).collect()
    }
}
