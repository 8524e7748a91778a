//! How many requests a connection has open at once: as many as the peer allows, fewer after it refused some or while it
//! lets them queue.

use std::time::Duration;

/// An answer may take this long besides what a multiple of the shortest time explains, before the peer is said to queue:
/// far more than a machine's own hiccups.
const SLACK: Duration = Duration::from_millis(100);
/// How many times the shortest time answers may take.
const STRETCH: u32 = 4;
/// Queueing alone narrows a window to this share of what is allowed, no further.
const LEAST_SHARE: usize = 8;

/// A share of the allowed streams: halved by a refusal, narrowed by an eighth for each window of answers that queued, and
/// widened by an eighth for each that did not.
#[derive(Debug)]
pub(super) struct Window {
    /// None: as many as are allowed.
    now: Option<usize>,
    /// The answers since the width was last looked at, and how long they took in all.
    answered: u32,
    took: Duration,
    /// The shortest time of those, and of the windows before.
    shortest: Duration,
    shortest_before: Option<Duration>,
}

impl Window {
    pub(super) const fn open() -> Self {
        Self { now: None, answered: 0, took: Duration::ZERO, shortest: Duration::MAX, shortest_before: None }
    }

    /// How many of `allowed` are to be used.
    pub(super) fn of(&self, allowed: usize) -> usize {
        self.now.map_or(allowed, |now| now.min(allowed))
    }

    /// The peer refused a stream of so many allowed.
    pub(super) fn refused(&mut self, allowed: usize) {
        self.now = Some(self.of(allowed.max(1)).div_ceil(2));
        (self.answered, self.took) = (0, Duration::ZERO);
    }

    /// A request was answered after so long.
    pub(super) fn answered(&mut self, allowed: usize, after: Duration) {
        self.answered += 1;
        self.took += after;
        self.shortest = self.shortest.min(after);
        if self.answered as usize >= self.of(allowed).max(1) {
            self.adapt(allowed);
        }
    }

    fn adapt(&mut self, allowed: usize) {
        let average = self.took / self.answered.max(1);
        // What was the shortest once grows slowly: the way to the peer may have become longer.
        let before = self.shortest_before.map_or(Duration::MAX, |before| before + before / 16);
        let shortest = self.shortest.min(before);
        let now = self.of(allowed);
        if average > shortest.saturating_mul(STRETCH).saturating_add(SLACK) {
            let least = now.min((allowed / LEAST_SHARE).max(1));
            self.now = Some((now - now / 8).max(least));
        } else if self.now.is_some() {
            let wider = now + (now / 8).max(1);
            self.now = (wider < allowed).then_some(wider);
        }
        *self = Self { now: self.now, shortest_before: Some(shortest), ..Self::open() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(20);

    fn answer(window: &mut Window, times: usize, after: Duration) {
        (0..times).for_each(|_| window.answered(1_000, after));
    }

    #[test]
    fn refusals_halve_it_and_answers_open_it_again() {
        let mut window = Window::open();
        assert_eq!(window.of(1_000), 1_000);
        window.refused(800);
        assert_eq!(window.of(1_000), 400);
        (0..20).for_each(|_| window.refused(400));
        assert_eq!(window.of(1_000), 1);
        let mut answers = 0;
        while window.of(1_000) < 1_000 {
            answer(&mut window, 1, QUICK);
            answers += 1;
        }
        assert!((5_000..15_000).contains(&answers), "{answers}");
        assert_eq!(window.of(5), 5);
    }

    #[test]
    fn a_peer_that_lets_requests_queue_gets_fewer_and_not_too_few() {
        let mut window = Window::open();
        answer(&mut window, 1_000, QUICK);
        answer(&mut window, 1_000, QUICK * STRETCH + SLACK);
        assert_eq!(window.of(1_000), 1_000, "as long as that is no queue");
        answer(&mut window, 1_000, Duration::from_secs(1));
        assert_eq!(window.of(1_000), 875);
        answer(&mut window, 8_000, Duration::from_secs(1));
        assert_eq!(window.of(1_000), 125);
        answer(&mut window, 20_000, QUICK);
        assert_eq!(window.of(1_000), 1_000);
    }

    #[test]
    fn a_way_that_has_become_longer_is_not_a_queue_for_ever() {
        let mut window = Window::open();
        answer(&mut window, 1_000, QUICK);
        answer(&mut window, 100_000, Duration::from_millis(400));
        assert_eq!(window.of(1_000), 1_000);
    }

    #[test]
    fn a_slow_peer_is_no_queue() {
        let mut window = Window::open();
        answer(&mut window, 10_000, Duration::from_secs(5));
        assert_eq!(window.of(1_000), 1_000);
    }
}
