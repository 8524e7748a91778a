//! Pacing: how many targets may go now, and how long to wait for more.
//!
//! Where several processes share a queue they share each rate too: what one may send of it comes in slices ([`Supply`]),
//! and within the process it is spent as evenly as ever. Broadcasts that wait for one rate share it by weight
//! ([`Turns`]).
//!
//! A pacer keeps a rate, evenly. Two things make it begin slower and rise to it along a line ([`Line`]): a long rest of
//! a service that wants its traffic to grow gently, and a service that said it had too much.

use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use parking_lot::Mutex;

use super::ramp::Line;
use crate::clock::{BootInstant, LimiterClock, SharedClock};
use crate::model::broadcast::Lane;
use crate::queue::Paced;

mod supply;
mod turns;

pub(super) use supply::Fleet;
pub(super) use turns::Asker;

use supply::Supply;
use turns::Turns;

/// Without a bulk send for so long, a gentle pacer begins slowly again.
const IDLE: Duration = Duration::from_mins(1);
/// When to ask again after another had its turn.
const TURN: Duration = Duration::from_millis(5);
/// How long what was granted is averaged.
const RECENT: Duration = Duration::from_secs(5);

type Limiter = RateLimiter<NotKeyed, InMemoryState, LimiterClock, NoOpMiddleware<Duration>>;

/// A rate that may change while it is used. 0 is unpaced.
///
/// Asked once a batch, so a lock costs nothing that shows.
#[derive(Debug)]
pub(super) struct Pacer {
    clock: LimiterClock,
    /// Whether it begins slowly after a rest.
    gentle: bool,
    /// Where its tokens come from, when others have part of the rate.
    supply: Option<Supply>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    per_second: u32,
    /// The limiter of `per_second`.
    full: Option<Rate>,
    ramp: Option<Ramp>,
    /// When bulk was last asked for.
    asked: Option<BootInstant>,
    recent: Recent,
    turns: Turns,
}

/// A line that is being climbed, and the limiter of the step where it stands.
#[derive(Debug)]
struct Ramp {
    line: Line,
    step: u64,
    rate: Rate,
}

#[derive(Debug)]
struct Rate {
    per_second: f64,
    /// A twentieth of a second's worth, so that the pace is even and a change of it shows at once.
    burst: NonZeroU32,
    limiter: Limiter,
}

/// What was granted lately.
#[derive(Debug, Default)]
struct Recent {
    since: BootInstant,
    granted: u64,
    /// A second's worth of the span before.
    before: f64,
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
    /// Unpaced for now.
    pub(super) fn new(clock: SharedClock, fleet: &Fleet, of: Paced) -> Self {
        let supply = fleet.supply(of, clock.clone());
        Self { clock: LimiterClock::new(clock), gentle: false, supply, state: Mutex::default() }
    }

    /// Unpaced for now; once it has a rate it begins slowly after each rest ([`Line::warming`]).
    pub(super) fn gentle(clock: SharedClock, fleet: &Fleet, of: Paced) -> Self {
        Self { gentle: true, ..Self::new(clock, fleet, of) }
    }

    /// Changes the rate; the same rate keeps what has been used of it.
    pub(super) fn set(&self, per_second: u32) {
        let mut state = self.state.lock();
        if state.per_second != per_second {
            state.per_second = per_second;
            if let Some(supply) = &self.supply {
                supply.reset();
            }
            state.full = (per_second > 0).then(|| Rate::new(f64::from(per_second), &self.clock));
            state.ramp = state.ramp.take().filter(|ramp| state.full.as_ref().is_none_or(|full| ramp.is_below(full)));
        }
    }

    /// The service had too much and rests for so long: afterwards the pace is a fraction of what it was, and rises
    /// again ([`Line::returning`]). Every answer of the same overload may say so.
    pub(super) fn slow(&self, rest: Duration) {
        let now = self.clock.boot();
        let mut state = self.state.lock();
        let resumes = now.plus(rest);
        if let Some(ramp) = &mut state.ramp
            && ramp.line.began > now
        {
            ramp.line.began = ramp.line.began.max(resumes);
            return;
        }
        let line = Line::returning(resumes, state.recent.rate(now), state.per_second);
        state.ramp = line.map(|line| Ramp::new(line, 0, &self.clock));
    }

    /// How many targets make about a quarter of a second at this pace, or at this process' share of it: how far ahead
    /// rows are read.
    pub(super) fn ahead(&self) -> usize {
        let state = self.state.lock();
        let workers = self.supply.as_ref().map_or(1.0, Supply::workers);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive; `as` saturates"
        )]
        state.rate().map_or(usize::MAX, |rate| ((rate.per_second / 4.0 / workers) as usize).max(1))
    }

    /// Asks for up to `wanted` (at least 1). What is granted is used up. Transactional sends keep to the rate and never
    /// wait for a line to rise or for a turn: they are few, and somebody waits for them.
    pub(super) fn take(&self, lane: Lane, asker: Asker, wanted: usize) -> Grant {
        let wanted = NonZeroU32::new(u32::try_from(wanted).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
        let now = self.clock.boot();
        let mut state = self.state.lock();
        let bulk = lane == Lane::Bulk;
        if bulk {
            state.climb(now, self.gentle, &self.clock);
        }
        let State { full, ramp, turns, recent, .. } = &mut *state;
        let line = ramp.as_ref().filter(|_| bulk).map(|ramp| &ramp.rate);
        let grant = match line.or(full.as_ref()) {
            None => Grant::Now(wanted.get()),
            Some(_) if bulk && !turns.is_next(asker, now) => Grant::After(TURN),
            Some(rate) => self.take_from(rate, wanted),
        };
        match grant {
            Grant::Now(granted) => {
                turns.granted(asker, granted, now);
                recent.count(now, granted);
            }
            Grant::After(wait) if bulk => turns.refused(asker, wait, now),
            Grant::After(_) => {}
        }
        grant
    }

    /// Takes from a rate, as much of it as this process has.
    fn take_from(&self, rate: &Rate, wanted: NonZeroU32) -> Grant {
        let Some(supply) = &self.supply else { return rate.take(wanted, &self.clock) };
        let ready = match supply.ready(rate.per_second) {
            Ok(ready) => NonZeroU32::new(ready).unwrap_or(NonZeroU32::MIN),
            Err(wait) => return Grant::After(wait),
        };
        let grant = rate.take(wanted.min(ready), &self.clock);
        if let Grant::Now(granted) = grant {
            supply.used(granted);
        }
        grant
    }
}

impl State {
    /// What limits bulk now.
    fn rate(&self) -> Option<&Rate> {
        self.ramp.as_ref().map(|ramp| &ramp.rate).or(self.full.as_ref())
    }

    /// Begins a line after a rest, goes on to the next step of one, ends one that has reached its top.
    fn climb(&mut self, now: BootInstant, gentle: bool, clock: &LimiterClock) {
        let rested = self.asked.is_none_or(|asked| now.after(asked) >= IDLE);
        self.asked = Some(now);
        if let Some(ramp) = &mut self.ramp {
            match ramp.line.step(now) {
                Some(step) if step == ramp.step => return,
                Some(step) => {
                    *ramp = Ramp::new(ramp.line.clone(), step, clock);
                    return;
                }
                None => self.ramp = None,
            }
        }
        if gentle && rested {
            self.ramp = Line::warming(now, self.per_second).map(|line| Ramp::new(line, 0, clock));
        }
    }
}

impl Ramp {
    /// At the beginning of a step, with nothing saved up: that would come on top of the line.
    fn new(line: Line, step: u64, clock: &LimiterClock) -> Self {
        let rate = Rate::new(line.per_second(step), clock);
        // A fresh limiter has its whole burst, so that this always works.
        let _ = rate.limiter.check_n(rate.burst);
        Self { line, step, rate }
    }

    fn is_below(&self, rate: &Rate) -> bool {
        self.line.to <= rate.per_second
    }
}

impl Rate {
    fn new(per_second: f64, clock: &LimiterClock) -> Self {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is positive; `as` saturates"
        )]
        let burst = NonZeroU32::new((per_second / 20.0) as u32).unwrap_or(NonZeroU32::MIN);
        let each = Duration::from_secs_f64(per_second.recip());
        // Faster than one a nanosecond is no limit.
        let quota = Quota::with_period(each).unwrap_or_else(|| Quota::per_second(NonZeroU32::MAX)).allow_burst(burst);
        Self { per_second, burst, limiter: RateLimiter::direct_with_clock(quota, clock.clone()) }
    }

    fn take(&self, wanted: NonZeroU32, clock: &LimiterClock) -> Grant {
        let some = wanted.min(self.burst);
        match self.limiter.check_n(some) {
            Ok(Ok(())) => Grant::Now(some.get()),
            Ok(Err(not_until)) => Grant::After(not_until.wait_time_from(clock.now())),
            // `some` is at most the burst, which is the capacity.
            Err(_) => Grant::After(Duration::from_secs(1)),
        }
    }
}

impl Recent {
    fn count(&mut self, now: BootInstant, granted: u32) {
        if now.after(self.since) >= RECENT {
            *self = Self { since: now, granted: 0, before: self.rate(now) };
        }
        self.granted += u64::from(granted);
    }

    /// What a second was granted, on average.
    #[expect(clippy::cast_precision_loss, reason = "a few seconds' worth")]
    fn rate(&self, now: BootInstant) -> f64 {
        let span = now.after(self.since).as_secs_f64();
        if span >= 1.0 { self.granted as f64 / span } else { self.before.max(self.granted as f64) }
    }
}

#[cfg(test)]
mod tests;
