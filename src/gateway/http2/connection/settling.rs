//! Words on requests become replies, or targets that are sent again.

use std::sync::Arc;
use std::time::Duration;

use super::window::Window;
use crate::clock::BootInstant;
use crate::gateway::Unsent;
use crate::gateway::http2::session::Ended;
use crate::gateway::pool::Shared;
use crate::gateway::pool::job::{Item, Outbox};
use crate::gateway::pool::reasons::{GOING_AWAY, LOST, MALFORMED, REFUSED, RESET};
use crate::gateway::transport::{ConnectionFate, Held, RawAnswer, Resend};
use crate::model::verdict::{Reason, Verdict};

/// What a request carries through the session.
pub(super) struct Open {
    pub(super) item: Item,
    /// The number of the authorization that it was sent with.
    pub(super) authorization: u64,
    pub(super) begun: BootInstant,
    pub(super) bulk: bool,
}

/// What answers change.
pub(super) struct Settling {
    shared: Arc<Shared>,
    pub(super) outbox: Outbox,
    pub(super) held: Held,
    pub(super) window: Window,
    /// How many streams the peer allowed when last looked at.
    pub(super) allowed: usize,
    pub(super) bulk_open: usize,
    /// Requests that ended since the gauge was brought up to date.
    pub(super) ended: i64,
    pub(super) rest_until: BootInstant,
    /// The last answer, or when the first of the open requests was begun.
    pub(super) last_answer: BootInstant,
    /// The last answer or pong.
    pub(super) last_heard: BootInstant,
    /// No open request was begun before.
    pub(super) oldest_begun: BootInstant,
    /// Why another connection shall take its place.
    pub(super) replace: Option<&'static str>,
    /// Requests that ended since somebody last looked.
    pub(super) heard: usize,
    /// Whether there was an answer ever.
    pub(super) answered: bool,
}

impl Settling {
    pub(super) fn new(shared: Arc<Shared>, now: BootInstant) -> Self {
        let mut held = Held::default();
        shared.service.authorize(&mut held);
        Self {
            shared,
            outbox: Outbox::default(),
            held,
            window: Window::open(),
            allowed: 0,
            bulk_open: 0,
            ended: 0,
            rest_until: now,
            last_answer: now,
            last_heard: now,
            oldest_begun: now,
            replace: None,
            heard: 0,
            answered: false,
        }
    }

    /// A request ended.
    pub(super) fn word(&mut self, open: Open, ended: Ended<'_>, now: BootInstant) {
        let (authorization, begun) = (open.authorization, open.begun);
        let item = self.close(open);
        self.heard += 1;
        match ended {
            Ended::Answered { status, retry_after, body } => {
                self.answered = true;
                self.last_answer = now;
                self.last_heard = now;
                self.window.answered(self.allowed, now.after(begun));
                self.judge(item, &RawAnswer { status, retry_after, body, authorization }, now);
            }
            Ended::GoingAway => self.resend(item, GOING_AWAY),
            Ended::Refused => {
                // It has more of us than it wants; its SETTINGS are on their way.
                if self.rest_until <= now {
                    self.window.refused(self.allowed);
                }
                self.rest(now, self.shared.tuning.refused_rest);
                self.resend(item, REFUSED);
            }
            Ended::Reset(_) => self.ambiguous(item, RESET),
            Ended::Malformed => self.ambiguous(item, MALFORMED),
        }
    }

    /// Its connection is gone.
    pub(super) fn lost(&mut self, open: Open, whole: bool) {
        let item = self.close(open);
        if whole { self.ambiguous(item, LOST) } else { self.resend(item, LOST) }
    }

    /// Nobody waits for it any more.
    pub(super) fn abandoned(&mut self, open: Open, whole: bool, why: Unsent) {
        let item = self.close(open);
        if whole { self.ambiguous(item, LOST) } else { item.unsent(why, &mut self.outbox) }
    }

    /// Takes the target out of its request.
    pub(super) fn close(&mut self, open: Open) -> Item {
        self.bulk_open -= usize::from(open.bulk);
        self.ended += 1;
        open.item
    }

    /// It may have been processed.
    pub(super) fn ambiguous(&mut self, item: Item, reason: Reason) {
        item.verdict(Verdict::ConnAmbiguous, Some(reason), &mut self.outbox);
    }

    /// It was surely not processed.
    pub(super) fn resend(&mut self, mut item: Item, reason: Reason) {
        if item.retry(Resend::Elsewhere) {
            self.shared.intake.give_back([item], &mut self.outbox);
        } else {
            item.verdict(Verdict::ConnSafe, Some(reason), &mut self.outbox);
        }
    }

    fn judge(&mut self, mut item: Item, answer: &RawAnswer<'_>, now: BootInstant) {
        let judgement = self.shared.service.judge(answer, &mut self.held);
        match judgement.connection {
            ConnectionFate::Keep => {}
            ConnectionFate::Rest(pause) => self.rest(now, pause),
            ConnectionFate::Replace => self.replace = Some("the service asked for another connection"),
        }
        if judgement.resend != Resend::Never && item.retry(judgement.resend) {
            return self.shared.intake.give_back([item], &mut self.outbox);
        }
        item.job().halt_after(&judgement.verdict);
        item.verdict(judgement.verdict, judgement.reason, &mut self.outbox);
    }

    fn rest(&mut self, now: BootInstant, pause: Duration) {
        self.rest_until = self.rest_until.max(now.plus(pause.mul_f64(0.5 + fastrand::f64())));
    }
}
