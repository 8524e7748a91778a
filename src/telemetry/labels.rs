//! Values of labels that come from types of the service, each with its place in an array of handles.

use crate::gateway::Unsent;
use crate::model::verdict::Verdict;
use crate::store::Applied;

/// Labels of what a change of an installation did, in the order of [`applied_index`].
pub(super) const APPLIED: [&str; 5] = ["created", "updated", "touched", "deleted", "absent"];

pub(super) const fn applied_index(applied: Applied) -> usize {
    match applied {
        Applied::Created => 0,
        Applied::Updated => 1,
        Applied::Touched => 2,
        Applied::Deleted => 3,
        Applied::Absent => 4,
    }
}

/// Labels of verdicts, in the order of [`verdict_index`].
pub(super) const VERDICTS: [&str; 10] = [
    "delivered",
    "drop_token",
    "env_mismatch",
    "fix_request",
    "refused",
    "credentials",
    "throttle",
    "retry",
    "conn_safe",
    "conn_ambiguous",
];

pub(super) const fn verdict_index(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Delivered => 0,
        Verdict::DropToken { .. } => 1,
        Verdict::EnvMismatch => 2,
        Verdict::FixRequest { .. } => 3,
        Verdict::Refused => 4,
        Verdict::Credentials => 5,
        Verdict::Throttle { .. } => 6,
        Verdict::Retry { .. } => 7,
        Verdict::ConnSafe => 8,
        Verdict::ConnAmbiguous => 9,
    }
}

/// Labels of why a target was handed back, in the order of [`unsent_index`].
pub(super) const UNSENT: [&str; 4] = ["deadline", "stopped", "unreachable", "closed"];

pub(super) const fn unsent_index(unsent: Unsent) -> usize {
    match unsent {
        Unsent::Deadline => 0,
        Unsent::Stopped => 1,
        Unsent::Unreachable => 2,
        Unsent::Closed => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdict_labels_are_those_of_the_model() {
        use crate::model::verdict::ThrottleScope;
        let all = [
            Verdict::Delivered,
            Verdict::DropToken { since: None },
            Verdict::EnvMismatch,
            Verdict::FixRequest { for_all: true },
            Verdict::Refused,
            Verdict::Credentials,
            Verdict::Throttle { scope: ThrottleScope::Target, after: None },
            Verdict::Retry { after: None },
            Verdict::ConnSafe,
            Verdict::ConnAmbiguous,
        ];
        for verdict in all {
            assert_eq!(VERDICTS[verdict_index(&verdict)], verdict.label());
        }
    }
}
