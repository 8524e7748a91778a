//! When the service is killed during a broadcast: at random, and the same again for the same seed.
use std::time::Duration;

use serde::Serialize;

/// One moment: when the gateway has seen that many requests, and a little later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Moment {
    pub after_requests: u64,
    /// So that kills fall between checkpoints, too, and not only right behind a batch of requests.
    pub and_millis: u64,
}

impl Moment {
    pub fn delay(&self) -> Duration {
        Duration::from_millis(self.and_millis)
    }
}

/// `count` moments within a broadcast to `owed` devices, in order.
pub fn moments(seed: u64, count: u32, owed: u64) -> Vec<Moment> {
    let mut draw = fastrand::Rng::with_seed(seed);
    let mut moments: Vec<_> =
        (0..count).map(|_| Moment { after_requests: draw.u64(0..owed.max(1)), and_millis: draw.u64(0..20) }).collect();
    moments.sort_by_key(|moment| moment.after_requests);
    moments
}

/// The most that so many kills may repeat: what each shard in flight had handed to the gateway and not yet recorded
/// (design.md section 3.4).
pub fn repeats_allowed(kills: u32, shards_in_flight: u32, checkpoint_every: u32) -> u64 {
    u64::from(kills) * u64::from(shards_in_flight) * u64::from(checkpoint_every)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_in_order_within_the_broadcast_and_repeatable() {
        let drawn = moments(7, 10, 1000);
        assert_eq!(drawn, moments(7, 10, 1000));
        assert_ne!(drawn, moments(8, 10, 1000));
        assert_eq!(drawn.len(), 10);
        assert!(drawn.is_sorted_by_key(|moment| moment.after_requests));
        assert!(drawn.iter().all(|moment| moment.after_requests < 1000));
        assert_eq!(moments(7, 2, 0).len(), 2);
    }
}
