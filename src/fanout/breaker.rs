//! The mass-invalidation breaker of one hub and platform (`push-services.md` 0.3).
//!
//! A wrong bundle id, environment or project turns every live token into an "invalid" one. Before an address is removed
//! on an answer that carries no evidence of its own, the last answers must not look like that.
//!
//! The window is the last thousand answers or so, kept as counts in five buckets of two hundred. Answers with the
//! service's own timestamp (APNs 410) are specific evidence and do not count against the hub.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::model::verdict::Verdict;

const BUCKET: u32 = 200;
const BUCKETS: usize = 5;

/// Fewer answers than this never trip it.
const FEWEST: u32 = 200;

/// Counts of answers over a sliding window.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    window: Mutex<Window>,
}

#[derive(Debug, Default)]
struct Window {
    buckets: VecDeque<Counts>,
    tripped: bool,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    answers: u32,
    delivered: u32,
    condemned: u32,
}

impl Breaker {
    /// Counts answers; answers whether this tripped it just now.
    pub(super) fn count<'a>(&self, verdicts: impl Iterator<Item = &'a Verdict>) -> bool {
        let mut window = self.window.lock();
        for verdict in verdicts {
            window.count(verdict);
        }
        let was = window.tripped;
        window.tripped = was || window.looks_tripped();
        window.tripped && !was
    }

    /// Whether addresses look invalid as a whole.
    pub(super) fn is_tripped(&self) -> bool {
        self.window.lock().tripped
    }

    /// Whether a removal without the service's own timestamp is believable: not tripped, and something was delivered.
    pub(super) fn believes(&self) -> bool {
        let window = self.window.lock();
        !window.tripped && window.sum().delivered > 0
    }

    /// Forgets everything: the sender was resumed, or its credentials changed.
    pub(super) fn reset(&self) {
        *self.window.lock() = Window::default();
    }
}

impl Window {
    fn count(&mut self, verdict: &Verdict) {
        if self.buckets.back().is_none_or(|bucket| bucket.answers >= BUCKET) {
            self.buckets.push_back(Counts::default());
            if self.buckets.len() > BUCKETS {
                self.buckets.pop_front();
            }
        }
        let Some(bucket) = self.buckets.back_mut() else { return };
        match verdict {
            Verdict::Delivered => bucket.delivered += 1,
            verdict if verdict.condemns_address() => bucket.condemned += 1,
            // Neither says anything about addresses: faults, throttling and our own mistakes.
            Verdict::DropToken { .. } => {}
            _ => return,
        }
        bucket.answers += 1;
    }

    fn sum(&self) -> Counts {
        self.buckets.iter().fold(Counts::default(), |sum, bucket| Counts {
            answers: sum.answers + bucket.answers,
            delivered: sum.delivered + bucket.delivered,
            condemned: sum.condemned + bucket.condemned,
        })
    }

    fn looks_tripped(&self) -> bool {
        let sum = self.sum();
        sum.answers >= FEWEST && sum.condemned * 2 > sum.answers && sum.delivered * 100 < sum.answers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answers(breaker: &Breaker, verdict: &Verdict, times: usize) -> bool {
        breaker.count(std::iter::repeat_n(verdict, times))
    }

    #[test]
    fn trips_when_nearly_all_addresses_look_invalid() {
        let breaker = Breaker::default();
        assert!(!answers(&breaker, &Verdict::EnvMismatch, 199));
        assert!(answers(&breaker, &Verdict::EnvMismatch, 1));
        assert!(breaker.is_tripped() && !breaker.believes());
        breaker.reset();
        assert!(!breaker.is_tripped());
    }

    #[test]
    fn a_healthy_stream_with_dead_addresses_does_not_trip_it() {
        let breaker = Breaker::default();
        for _ in 0..100 {
            answers(&breaker, &Verdict::DropToken { since: None }, 9);
            assert!(!answers(&breaker, &Verdict::Delivered, 1));
        }
        assert!(breaker.believes());
    }

    #[test]
    fn timed_evidence_is_exempt_and_nothing_delivered_is_not_believed() {
        let breaker = Breaker::default();
        let timed = Verdict::DropToken { since: Some(crate::model::time::Timestamp::from_millis(1)) };
        assert!(!answers(&breaker, &timed, 1_000));
        assert!(!breaker.believes());
    }

    #[test]
    fn old_answers_leave_the_window() {
        let breaker = Breaker::default();
        answers(&breaker, &Verdict::Delivered, 1_000);
        assert!(!answers(&breaker, &Verdict::EnvMismatch, 800));
        assert!(answers(&breaker, &Verdict::EnvMismatch, 400));
    }
}
