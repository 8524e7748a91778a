//! Pacing: how many targets may go now, and how long to wait for more.

use std::num::NonZeroU32;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

use crate::clock::{BootInstant, SharedClock};

/// The boot clock in the limiter's terms.
#[derive(Clone, Debug)]
struct LimiterClock(SharedClock);

impl governor::clock::Clock for LimiterClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.boot().after(BootInstant::default())
    }
}

type Limiter = RateLimiter<NotKeyed, InMemoryState, LimiterClock, NoOpMiddleware<Duration>>;

/// A rate that may change while it is used. 0 is unpaced.
#[derive(Debug)]
pub(super) struct Pacer {
    clock: LimiterClock,
    current: ArcSwapOption<Rate>,
}

#[derive(Debug)]
struct Rate {
    per_second: u32,
    /// A twentieth of a second's worth, so that the pace is even and a change of it shows at once.
    burst: NonZeroU32,
    limiter: Limiter,
}

/// What a pacer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Grant {
    /// So many may go now.
    Now(u32),
    /// None before that long has passed.
    After(Duration),
}

impl Pacer {
    /// A pacer of that rate.
    pub(super) fn new(clock: SharedClock, per_second: u32) -> Self {
        let pacer = Self { clock: LimiterClock(clock), current: ArcSwapOption::empty() };
        pacer.set(per_second);
        pacer
    }

    /// Changes the rate; the same rate keeps what has been used of it.
    pub(super) fn set(&self, per_second: u32) {
        if self.rate() == per_second {
            return;
        }
        let made = NonZeroU32::new(per_second).map(|rate| {
            let burst = NonZeroU32::new(per_second / 20).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_second(rate).allow_burst(burst);
            let limiter = RateLimiter::direct_with_clock(quota, self.clock.clone());
            std::sync::Arc::new(Rate { per_second, burst, limiter })
        });
        self.current.store(made);
    }

    /// The rate now.
    pub(super) fn rate(&self) -> u32 {
        self.current.load().as_ref().map_or(0, |rate| rate.per_second)
    }

    /// How many targets make about a quarter of a second at this pace: how far ahead rows are read.
    pub(super) fn ahead(&self) -> usize {
        self.current.load().as_ref().map_or(usize::MAX, |rate| (rate.per_second / 4).max(1) as usize)
    }

    /// Asks for up to `wanted` (at least 1). What is granted is used up.
    pub(super) fn take(&self, wanted: usize) -> Grant {
        let wanted = u32::try_from(wanted.max(1)).unwrap_or(u32::MAX);
        let current = self.current.load();
        let Some(rate) = current.as_ref() else { return Grant::Now(wanted) };
        let some = NonZeroU32::new(wanted).map_or(rate.burst, |wanted| wanted.min(rate.burst));
        match rate.limiter.check_n(some) {
            Ok(Ok(())) => Grant::Now(some.get()),
            Ok(Err(not_until)) => Grant::After(not_until.wait_time_from(self.clock.now())),
            // `some` is at most the burst, which is the capacity.
            Err(_) => Grant::After(Duration::from_secs(1)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::TokioClock;
    use crate::model::time::Timestamp;

    async fn sent_in(pacer: &Pacer, span: Duration) -> u32 {
        let end = tokio::time::Instant::now() + span;
        let mut sent = 0;
        loop {
            match pacer.take(1_000) {
                Grant::Now(n) => sent += n,
                Grant::After(wait) if tokio::time::Instant::now() + wait > end => return sent,
                Grant::After(wait) => tokio::time::sleep(wait).await,
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn keeps_its_rate_and_follows_a_change() {
        let pacer = Pacer::new(Arc::new(TokioClock::starting_at(Timestamp::from_millis(0))), 100);
        let sent = sent_in(&pacer, Duration::from_secs(10)).await;
        assert!((1_000..=1_010).contains(&sent), "{sent}");
        pacer.set(10_000);
        let sent = sent_in(&pacer, Duration::from_secs(10)).await;
        assert!((100_000..=101_000).contains(&sent), "{sent}");
        pacer.set(0);
        assert_eq!(pacer.take(5_000), Grant::Now(5_000));
    }

    #[tokio::test(start_paused = true)]
    async fn one_a_second_waits_a_second() {
        let pacer = Pacer::new(Arc::new(TokioClock::starting_at(Timestamp::from_millis(0))), 1);
        assert_eq!(pacer.take(10), Grant::Now(1));
        let Grant::After(wait) = pacer.take(10) else { panic!("must wait") };
        assert!(wait > Duration::from_millis(900) && wait <= Duration::from_secs(1), "{wait:?}");
    }
}
