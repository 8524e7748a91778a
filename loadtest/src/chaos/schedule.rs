//! Which fault when: drawn from a seed, so that a run can be had again.
use std::time::Duration;

use fastrand::Rng;

use super::{cast::Cast, fault::Fault};
use crate::stage::kills::Moment;

/// Faults come while the broadcast has so much of its way behind it, in thousandths.
const FROM: u64 = 20;
const TO: u64 = 900;

/// A fault and its moment. Moments go by the work that is done, not by the clock, so that a slow machine draws the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    pub at: Moment,
    pub fault: Fault,
}

/// What a menu may choose by.
#[derive(Debug)]
pub struct Order<'a> {
    pub draw: &'a mut Rng,
    pub cast: &'a Cast,
    /// How long a lease is.
    pub lease: Duration,
    /// How long something that is gone for long is gone.
    pub long: Duration,
    /// The fault's number, from 0.
    pub number: usize,
}

impl Order<'_> {
    /// A time between the two.
    pub fn time(&mut self, from: Duration, to: Duration) -> Duration {
        from + (to.saturating_sub(from)).mul_f64(self.draw.f64())
    }

    /// One of them; a menu never has none.
    pub fn one<T: Copy>(&mut self, of: &[T]) -> Option<T> {
        self.draw.choice(of).copied()
    }
}

/// What a scenario's faults are chosen by; `None` when its cast has nobody to suffer this one.
pub type Menu = fn(&mut Order<'_>) -> Option<Fault>;

/// `count` events within a broadcast to `owed` devices, in order.
pub fn draw(
    seed: u64,
    count: usize,
    owed: u64,
    menu: Menu,
    cast: &Cast,
    lease: Duration,
    long: Duration,
) -> Vec<Event> {
    let mut draw = Rng::with_seed(seed);
    let (from, to) = (owed * FROM / 1000, owed * TO / 1000);
    let mut moments: Vec<_> = (0..count)
        .map(|_| Moment { after_requests: draw.u64(from..to.max(from + 1)), and_millis: draw.u64(0..20) })
        .collect();
    moments.sort_by_key(|moment| moment.after_requests);
    let event = |(number, at)| {
        let mut order = Order { draw: &mut draw, cast, lease, long, number };
        menu(&mut order).map(|fault| Event { at, fault })
    };
    moments.into_iter().enumerate().filter_map(event).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::scenario::SCENARIOS, *};

    #[test]
    fn a_seed_draws_the_same_again_and_another_one_something_else() {
        let cast = Cast::of(2, 3, 10);
        let (lease, long) = (Duration::from_secs(2), Duration::from_secs(30));
        for scenario in SCENARIOS {
            let of = |seed| draw(seed, 20, 10_000, scenario.menu, &cast, lease, long);
            let events = of(7);
            assert_eq!(events, of(7), "{}", scenario.name);
            assert_ne!(events, of(8), "{}", scenario.name);
            assert_eq!(events.len(), 20, "{}", scenario.name);
            assert!(events.is_sorted_by_key(|event| event.at.after_requests));
            assert!(events.iter().all(|event| (200..9_000).contains(&event.at.after_requests)));
        }
    }
}
