//! What keeps senders from sending, as the processes of a service tell each other.
//!
//! A worker finds out that a service refuses the credentials of a hub, or has had too much; every other worker should
//! know without asking the service for the same answer, API nodes should show it, and whoever resumes a sender should
//! reach all of them. So what keeps a sender is a record of the store, written when it changes and only then.

use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;

/// What keeps a sender from sending. Times are those of the process that found it out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub kind: HoldKind,
    pub reason: Reason,
    pub since: Timestamp,
    /// When it is worth another look. A paused sender may go on earlier, by hand or by a probe; the others go on by
    /// themselves then.
    pub until: Timestamp,
}

/// How a sender is kept. A weaker hold gives way to a stronger one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum HoldKind {
    /// No connection can be had from where it was tried; another machine may have one.
    Unreachable,
    /// The service wants the whole project to rest.
    Throttled,
    /// The service refuses the credentials, or the breaker tripped: ended by a hand, by new credentials or by a probe.
    Paused,
}

/// The hold of one sender, as it is noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SenderRecord {
    pub hub: HubId,
    pub platform: Platform,
    pub hold: Hold,
    /// The revision ([`Store::hubs_revision`](super::Store::hubs_revision)) that wrote it; no two records share one.
    pub version: u64,
}

/// What came of noting a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Noted {
    /// What is noted now, whoever wrote it.
    pub stands: Option<SenderRecord>,
    /// Whether it is what was to be noted.
    pub written: bool,
}

/// In whose place a hold may be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InsteadOf {
    /// Whatever is weaker or over ([`Hold::yields_to`]).
    Weaker,
    /// This version of the record and nothing else.
    Version(u64),
}

impl HoldKind {
    const ALL: [Self; 3] = [Self::Unreachable, Self::Throttled, Self::Paused];

    /// The number that the store keeps; never changes.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The kind of a stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }
}

impl Hold {
    /// Whether only somebody's doing ends it.
    pub const fn is_paused(&self) -> bool {
        matches!(self.kind, HoldKind::Paused)
    }

    /// Whether it is over by itself at `now`.
    pub fn is_over(&self, now: Timestamp) -> bool {
        !self.is_paused() && self.until <= now
    }

    /// Whether `other` may be noted in its place: a pause stays until it is ended, a rest until a stronger or longer one
    /// comes, anything else until it is over.
    pub fn yields_to(&self, other: &Self) -> bool {
        if self.is_paused() {
            return false;
        }
        self.is_over(other.since) || other.kind > self.kind || (other.kind == self.kind && other.until > self.until)
    }
}

impl InsteadOf {
    /// Whether `hold` may be noted where this stands. The rule of every engine.
    pub fn allows(self, stands: Option<&SenderRecord>, hold: &Hold) -> bool {
        match (self, stands) {
            (Self::Weaker, None) => true,
            (Self::Weaker, Some(stands)) => stands.hold.yields_to(hold),
            (Self::Version(version), stands) => stands.is_some_and(|stands| stands.version == version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hold(kind: HoldKind, since: i64, until: i64) -> Hold {
        let at = Timestamp::from_millis;
        Hold { kind, reason: Reason::known("r"), since: at(since), until: at(until) }
    }

    #[test]
    fn only_a_stronger_longer_or_later_hold_takes_the_place() {
        use HoldKind::{Paused, Throttled, Unreachable};
        for (stands, comes, yields) in [
            (hold(Paused, 0, 10), hold(Paused, 20, 90), false),
            (hold(Paused, 0, 10), hold(Throttled, 20, 90), false),
            (hold(Throttled, 0, 10), hold(Paused, 5, 6), true),
            (hold(Throttled, 0, 10), hold(Throttled, 5, 10), false),
            (hold(Throttled, 0, 10), hold(Throttled, 5, 11), true),
            (hold(Throttled, 0, 10), hold(Unreachable, 5, 90), false),
            (hold(Throttled, 0, 10), hold(Unreachable, 10, 90), true),
            (hold(Unreachable, 0, 10), hold(Throttled, 5, 6), true),
        ] {
            assert_eq!(stands.yields_to(&comes), yields, "{stands:?} {comes:?}");
        }
        let record = SenderRecord { hub: HubId(1), platform: Platform::Apns, hold: hold(Paused, 0, 10), version: 7 };
        let next = hold(Paused, 0, 20);
        assert!(InsteadOf::Version(7).allows(Some(&record), &next));
        assert!(!InsteadOf::Version(6).allows(Some(&record), &next) && !InsteadOf::Version(7).allows(None, &next));
        assert!(!InsteadOf::Weaker.allows(Some(&record), &next) && InsteadOf::Weaker.allows(None, &next));
    }

    #[test]
    fn kinds_have_numbers() {
        assert!(HoldKind::ALL.into_iter().all(|kind| HoldKind::from_code(kind.code()) == Some(kind)));
        assert_eq!(HoldKind::from_code(3), None);
    }
}
