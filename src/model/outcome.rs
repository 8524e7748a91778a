//! The final word for each target of a broadcast, and the sums that must always agree.

use std::fmt;
use std::ops::{Add, AddAssign};

use serde::{Serialize, Serializer};

use super::time::Timestamp;

/// The final word for one target of one broadcast.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    Delivered,
    Rejected,
    Dropped,
    Expired,
    Cancelled,
    Skipped,
}

impl Outcome {
    /// Every outcome, in the order of their codes.
    pub const ALL: [Self; 6] =
        [Self::Delivered, Self::Rejected, Self::Dropped, Self::Expired, Self::Cancelled, Self::Skipped];

    /// The number that the store keeps; never changes.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The outcome of a stored number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// The word in counters, labels and outcome lists.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::Rejected => "rejected",
            Self::Dropped => "dropped",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Skipped => "skipped",
        }
    }

    /// The outcome of a label.
    pub fn from_label(label: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.label() == label)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl Serialize for Outcome {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.label())
    }
}

/// Reasons that Fanfare itself gives.
pub mod reason {
    use crate::model::platform::Platform;
    use crate::model::verdict::Reason;

    /// The target's row was gone when its turn came.
    pub const GONE: Reason = Reason::known("gone");
    /// The target's own expiry passed after the plan.
    pub const TARGET_EXPIRED: Reason = Reason::known("target_expired");
    /// A target with a lower seq serves the same handle in this plan.
    pub const DUPLICATE_HANDLE: Reason = Reason::known("duplicate_handle");
    /// The audience names a user and the target belongs to another since.
    pub const USER_CHANGED: Reason = Reason::known("user_changed");
    /// The hub has no credentials for the platform.
    pub const NO_GATEWAY: Reason = Reason::known("no_gateway");
    /// A template target whose document does not say its template any more.
    pub const NO_TEMPLATE: Reason = Reason::known("no_template");

    /// The push service was switched off, so no hub can have credentials for it (`push-services.md` 5.5).
    pub const SERVICE_RETIRED: Reason = Reason::known("service_retired");

    /// Why nothing is sent to a platform that a hub has no gateway for.
    pub const fn no_gateway(platform: Platform) -> Reason {
        match platform {
            Platform::Mpns => SERVICE_RETIRED,
            _ => NO_GATEWAY,
        }
    }

    /// Every allowed attempt failed.
    pub const GAVE_UP: Reason = Reason::known("gave_up");
    /// Its sending kills the worker, proven alone.
    pub const POISON: Reason = Reason::known("poison");
    /// The message's life ended before the target's turn.
    pub const TTL: Reason = Reason::known("ttl");
    /// The broadcast was cancelled.
    pub const CANCELLED: Reason = Reason::known("cancelled");
    /// More than 64 distinct reasons in one broadcast: the rest share this one.
    pub const OTHER: Reason = Reason::known("other");
}

/// How many distinct reasons one broadcast keeps apart before the rest become `other`.
pub const REASONS_PER_BROADCAST: usize = 64;

/// Where a target of a plan stands: which of its chunk's sets holds its bit. Every target of a plan is in exactly one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// Not yet finished, not yet due for a repeat.
    Pending,
    /// Waits for attempt `attempt` (the first send is attempt 1), not before `due`. Counts as pending.
    Retry { attempt: u8, due: Timestamp },
    /// Answered that its address is dead; removal not yet judged. Never sent again. Counts as pending.
    Staged,
    /// Finished, with the number of its reason in this broadcast (0: none).
    Done { outcome: Outcome, reason: u8 },
}

impl Place {
    /// Whether targets here count as pending.
    pub const fn is_pending(self) -> bool {
        !matches!(self, Self::Done { .. })
    }
}

/// How many targets stand where. `retries` counts repeated attempts and is no part of the sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub struct Counters {
    pub targeted: u64,
    pub pending: u64,
    pub delivered: u64,
    pub rejected: u64,
    pub dropped: u64,
    pub expired: u64,
    pub cancelled: u64,
    pub skipped: u64,
    pub retries: u64,
}

impl Counters {
    /// The counter of an outcome.
    pub fn of_mut(&mut self, outcome: Outcome) -> &mut u64 {
        match outcome {
            Outcome::Delivered => &mut self.delivered,
            Outcome::Rejected => &mut self.rejected,
            Outcome::Dropped => &mut self.dropped,
            Outcome::Expired => &mut self.expired,
            Outcome::Cancelled => &mut self.cancelled,
            Outcome::Skipped => &mut self.skipped,
        }
    }

    /// The count of an outcome.
    pub fn of(&self, outcome: Outcome) -> u64 {
        let mut copy = *self;
        *copy.of_mut(outcome)
    }

    /// All finished targets.
    pub fn finished(&self) -> u64 {
        Outcome::ALL.iter().map(|outcome| self.of(*outcome)).sum()
    }

    /// `targeted - pending - finished`: 0 whenever conservation holds (design.md 3.3).
    pub fn difference(&self) -> i128 {
        i128::from(self.targeted) - i128::from(self.pending) - i128::from(self.finished())
    }

    /// Plans `n` more targets.
    pub fn plan(&mut self, n: u64) {
        self.targeted += n;
        self.pending += n;
    }

    /// Moves `n` targets from pending to an outcome.
    pub fn finish(&mut self, outcome: Outcome, n: u64) {
        self.pending = self.pending.saturating_sub(n);
        *self.of_mut(outcome) += n;
    }
}

impl AddAssign for Counters {
    fn add_assign(&mut self, other: Self) {
        self.targeted += other.targeted;
        self.pending += other.pending;
        for outcome in Outcome::ALL {
            *self.of_mut(outcome) += other.of(outcome);
        }
        self.retries += other.retries;
    }
}

impl Add for Counters {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self += other;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conservation_holds_through_planning_and_finishing() {
        let mut counters = Counters::default();
        counters.plan(10);
        for outcome in Outcome::ALL {
            counters.finish(outcome, 1);
            assert_eq!(counters.difference(), 0);
        }
        assert_eq!((counters.pending, counters.finished()), (4, 6));
        assert_eq!((counters + counters).targeted, 20);
    }

    #[test]
    fn codes_and_labels_go_both_ways() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::from_code(outcome.code()), Some(outcome));
            assert_eq!(Outcome::from_label(outcome.label()), Some(outcome));
        }
    }
}
