//! What becomes of a target after its answer: contract.md, "From answer to outcome".

use std::time::Duration;

use crate::fanout::retry;
use crate::gateway::{Answer, Unsent};
use crate::model::outcome::{Outcome, Place, reason};
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};
use crate::store::Destination;

/// What a worker does with a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It goes there.
    To(Destination),
    /// Its removal is staged: dead since then, by the service's own word when `timed`.
    Stage { since: Timestamp, timed: bool, reason: Reason },
    /// It waits where it was; nothing was sent, or nothing was accepted and the whole scope waits.
    Wait,
}

impl Fate {
    /// The same for a bare handle: there is no registration that could be removed, so a dead one is rejected.
    #[must_use]
    pub fn of_bare_handle(self) -> Self {
        match self {
            Self::Stage { reason, .. } => {
                Self::To(Destination::Done { outcome: Outcome::Rejected, reason: Some(reason) })
            }
            other => other,
        }
    }
}

/// What the answer says about more than its target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// The service took a message.
    Delivered,
    /// The request is wrong for every target.
    FixRequest(Reason),
    /// The whole project is to rest.
    Throttled { reason: Reason, after: Option<Duration> },
    /// The credentials are refused.
    Refused(Reason),
    /// There was no connection, or none that held.
    Unreachable,
    /// The gateway is closed; there may be another.
    Closed,
    /// Nothing.
    None,
}

/// What decides, besides the answer itself.
#[derive(Clone, Copy, Debug)]
pub struct Circumstances {
    pub platform: Platform,
    pub now: Timestamp,
    /// `worker.max_attempts`.
    pub max_attempts: u8,
    /// In 0..1: the jitter of this answer.
    pub chance: f64,
}

/// Decides for a target that came from `from`.
pub fn decide(answer: Answer, from: Place, circumstances: Circumstances) -> (Fate, News) {
    let (verdict, text, written_at) = match answer {
        Answer::Unsent(Unsent::Unreachable) => return (Fate::Wait, News::Unreachable),
        Answer::Unsent(Unsent::Closed) => return (Fate::Wait, News::Closed),
        Answer::Unsent(_) => return (Fate::Wait, News::None),
        Answer::Verdict { verdict, reason, written_at } => (verdict, reason, written_at),
    };
    let done = |outcome, reason| Fate::To(Destination::Done { outcome, reason });
    let named = |text: Option<Reason>| text.unwrap_or(Reason::known("unnamed"));
    match verdict {
        Verdict::Delivered => (done(Outcome::Delivered, None), News::Delivered),
        Verdict::DropToken { since } => {
            let timed = since.is_some();
            let since = since.or(written_at).unwrap_or(circumstances.now);
            (Fate::Stage { since, timed, reason: named(text) }, News::None)
        }
        Verdict::FixRequest { for_all: true } => {
            let text = named(text);
            (done(Outcome::Rejected, Some(text.clone())), News::FixRequest(text))
        }
        Verdict::EnvMismatch | Verdict::FixRequest { .. } | Verdict::Refused => {
            (done(Outcome::Rejected, text), News::None)
        }
        Verdict::Credentials => (Fate::Wait, News::Refused(named(text))),
        Verdict::Throttle { scope: ThrottleScope::Target, after } => {
            let rest = retry::target_rest(after, circumstances.chance);
            let due = retry::due(circumstances.now, rest);
            (Fate::To(Destination::Retry { attempt: attempt(from), due }), News::None)
        }
        Verdict::Throttle { scope: ThrottleScope::Project, after } => {
            (Fate::Wait, News::Throttled { reason: named(text), after })
        }
        // The transport has tried other connections already.
        Verdict::ConnSafe => (Fate::Wait, News::Unreachable),
        Verdict::Throttle { scope: ThrottleScope::Connection, .. } => (Fate::Wait, News::None),
        Verdict::Retry { after } => (again(from, after, circumstances), News::None),
        Verdict::ConnAmbiguous => (again(from, None, circumstances), News::None),
    }
}

/// Which attempt a target of that place was on.
fn attempt(from: Place) -> u8 {
    match from {
        Place::Retry { attempt, .. } => attempt,
        _ => 1,
    }
}

fn again(from: Place, after: Option<Duration>, circumstances: Circumstances) -> Fate {
    let next = attempt(from).saturating_add(1);
    if next > circumstances.max_attempts {
        return Fate::To(Destination::Done { outcome: Outcome::Rejected, reason: Some(reason::GAVE_UP) });
    }
    let delay = retry::backoff(circumstances.platform, next, after, circumstances.chance);
    Fate::To(Destination::Retry { attempt: next, due: retry::due(circumstances.now, delay) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000);

    fn of(verdict: Verdict, from: Place) -> (Fate, News) {
        let answer = Answer::Verdict { verdict, reason: Some(Reason::known("R")), written_at: Some(NOW) };
        decide(answer, from, Circumstances { platform: Platform::Apns, now: NOW, max_attempts: 3, chance: 0.0 })
    }

    fn rejected(reason: &'static str) -> Fate {
        Fate::To(Destination::Done { outcome: Outcome::Rejected, reason: Some(Reason::known(reason)) })
    }

    #[test]
    fn every_row_of_the_contract() {
        let reason = Reason::known("R");
        let delivered = Fate::To(Destination::Done { outcome: Outcome::Delivered, reason: None });
        assert_eq!(of(Verdict::Delivered, Place::Pending), (delivered, News::Delivered));
        assert_eq!(
            of(Verdict::DropToken { since: None }, Place::Pending).0,
            Fate::Stage { since: NOW, timed: false, reason: reason.clone() }
        );
        let earlier = Timestamp::from_millis(5);
        assert_eq!(
            of(Verdict::DropToken { since: Some(earlier) }, Place::Pending).0,
            Fate::Stage { since: earlier, timed: true, reason: reason.clone() }
        );
        assert_eq!(of(Verdict::EnvMismatch, Place::Pending), (rejected("R"), News::None));
        assert_eq!(of(Verdict::Refused, Place::Pending), (rejected("R"), News::None));
        let news = News::FixRequest(reason.clone());
        assert_eq!(of(Verdict::FixRequest { for_all: true }, Place::Pending), (rejected("R"), news));
        assert_eq!(of(Verdict::FixRequest { for_all: false }, Place::Pending), (rejected("R"), News::None));
        assert_eq!(of(Verdict::Credentials, Place::Pending), (Fate::Wait, News::Refused(reason.clone())));
        assert_eq!(of(Verdict::ConnSafe, Place::Pending), (Fate::Wait, News::Unreachable));
        let slow = Verdict::Throttle { scope: ThrottleScope::Project, after: None };
        assert_eq!(of(slow, Place::Pending), (Fate::Wait, News::Throttled { reason, after: None }));
        let stopped = Answer::Unsent(Unsent::Stopped);
        let circumstances = Circumstances { platform: Platform::Apns, now: NOW, max_attempts: 3, chance: 0.0 };
        assert_eq!(decide(stopped, Place::Pending, circumstances), (Fate::Wait, News::None));
    }

    #[test]
    fn a_dead_bare_handle_is_rejected() {
        let dead = of(Verdict::DropToken { since: None }, Place::Pending).0;
        assert_eq!(dead.of_bare_handle(), rejected("R"));
        assert_eq!(Fate::Wait.of_bare_handle(), Fate::Wait);
    }

    #[test]
    fn attempts_are_counted_and_end() {
        let Fate::To(Destination::Retry { attempt: 2, due }) = of(Verdict::ConnAmbiguous, Place::Pending).0 else {
            panic!("must be repeated");
        };
        assert!(due > NOW);
        let last = Place::Retry { attempt: 3, due: NOW };
        assert_eq!(of(Verdict::Retry { after: None }, last).0, rejected("gave_up"));
    }

    #[test]
    fn a_throttled_device_keeps_its_attempt() {
        let from = Place::Retry { attempt: 3, due: NOW };
        let slow = Verdict::Throttle { scope: ThrottleScope::Target, after: None };
        assert!(matches!(of(slow, from).0, Fate::To(Destination::Retry { attempt: 3, .. })));
    }
}
