//! Time as the service sees it: a wall clock for what is written down, a boot clock for deadlines, and waiting.
//!
//! Every part that needs the time takes a [`Clock`], so that tests turn it by hand. Deadlines of leases use the boot
//! clock because it goes on while the machine is suspended: a worker that slept past its lease must notice.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::model::time::{Moment, Timestamp};

/// A reading of the boot clock: time since the machine started, suspension included.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct BootInstant(Duration);

impl BootInstant {
    /// A reading `since_boot` after the start of the machine.
    pub fn from_boot(since_boot: Duration) -> Self {
        Self(since_boot)
    }

    /// The reading `later` after this one.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(later))
    }

    /// The reading that much before this one, the machine's start at the earliest.
    #[must_use]
    pub fn minus(self, earlier: Duration) -> Self {
        Self(self.0.saturating_sub(earlier))
    }

    /// How long until this reading, zero when it has passed.
    pub fn after(self, now: Self) -> Duration {
        self.0.saturating_sub(now.0)
    }
}

/// Where the time comes from.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Wall-clock time in milliseconds since 1970 UTC. May jump either way.
    fn now(&self) -> Timestamp;

    /// The boot clock. Never goes back, counts suspension.
    fn boot(&self) -> BootInstant;
}

/// The clock that is handed around.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The system clock in the form that is handed around.
    pub fn shared() -> SharedClock {
        Arc::new(Self)
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Realtime);
        Timestamp::from_millis(time.tv_sec * 1000 + time.tv_nsec / 1_000_000)
    }

    fn boot(&self) -> BootInstant {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        BootInstant(Duration::new(u64::try_from(time.tv_sec).unwrap_or(0), u32::try_from(time.tv_nsec).unwrap_or(0)))
    }
}

/// The wall clock, and beside it one for leases that began with it and goes on by the boot clock: setting the machine's
/// clock neither ends nor prolongs a lease.
#[derive(Clone, Debug)]
pub struct LeaseClock {
    clock: SharedClock,
    started: Timestamp,
    boot: BootInstant,
}

impl LeaseClock {
    /// Both clocks show the same now.
    pub fn starting_now(clock: SharedClock) -> Self {
        let (started, boot) = (clock.now(), clock.boot());
        Self { clock, started, boot }
    }

    /// The wall clock.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Both.
    pub fn moment(&self) -> Moment {
        Moment { wall: self.clock.now(), lease: self.started.plus(self.clock.boot().after(self.boot)) }
    }
}

/// The boot clock in the terms of `governor`'s limiters.
#[derive(Clone, Debug)]
pub struct LimiterClock(SharedClock);

impl LimiterClock {
    /// Limiters that go by this clock.
    pub fn new(clock: SharedClock) -> Self {
        Self(clock)
    }

    /// The boot clock itself.
    pub fn boot(&self) -> BootInstant {
        self.0.boot()
    }
}

impl governor::clock::Clock for LimiterClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.boot().after(BootInstant::default())
    }
}

/// A clock that follows tokio's, so that a test with paused time turns every deadline, timer and timestamp at once.
#[derive(Clone, Copy, Debug)]
pub struct TokioClock {
    started: tokio::time::Instant,
    base: Timestamp,
}

impl TokioClock {
    /// Starts at `base`, now. Must be called inside a tokio runtime.
    pub fn starting_at(base: Timestamp) -> Self {
        Self { started: tokio::time::Instant::now(), base }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.base.plus(self.started.elapsed())
    }

    fn boot(&self) -> BootInstant {
        BootInstant(self.started.elapsed() + Duration::from_secs(3600))
    }
}

/// A clock that stands still until it is turned: for tests that want every moment in their own hands.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    since_start: AtomicU64,
    /// By how many milliseconds the wall clock was set forward.
    set: AtomicI64,
}

impl ManualClock {
    /// Stands at `start`.
    pub fn starting_at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { start, since_start: AtomicU64::new(0), set: AtomicI64::new(0) })
    }

    /// Turns both clocks on.
    pub fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.since_start.fetch_add(millis, Ordering::SeqCst);
    }

    /// Sets the wall clock forward or back, as an operator does. The boot clock does not notice.
    pub fn set_wall(&self, by_millis: i64) {
        self.set.fetch_add(by_millis, Ordering::SeqCst);
    }

    fn since_start(&self) -> Duration {
        Duration::from_millis(self.since_start.load(Ordering::SeqCst))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        let shown = self.start.plus(self.since_start()).millis();
        Timestamp::from_millis(shown + self.set.load(Ordering::SeqCst))
    }

    fn boot(&self) -> BootInstant {
        BootInstant(self.since_start() + Duration::from_secs(3600))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boot_clock_never_goes_back_and_wall_clock_is_this_century() {
        let clock = SystemClock;
        let first = clock.boot();
        assert!(clock.boot() >= first);
        assert!(clock.now() > Timestamp::from_millis(1_700_000_000_000));
    }

    #[tokio::test(start_paused = true)]
    async fn tokio_clock_follows_paused_time() {
        let clock = TokioClock::starting_at(Timestamp::from_millis(1_000));
        tokio::time::advance(Duration::from_secs(5)).await;
        assert_eq!(clock.now(), Timestamp::from_millis(6_000));
    }
}
