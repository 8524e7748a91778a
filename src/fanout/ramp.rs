//! Lines along which a pace rises (`push-services.md` 2.4: from the low to the full rate over at least a minute, evenly).

use std::time::Duration;

use crate::clock::BootInstant;

/// How long a line rises.
const SPAN: Duration = Duration::from_mins(1);
/// The share of the rate that a service which rested gets at first.
const WARM_SHARE: f64 = 0.1;
/// The share of what was sent before an overload that is tried after it.
const RETURN_SHARE: f64 = 0.5;
/// A line begins no lower, targets a second.
const LEAST: f64 = 10.0;

/// A pace that rises evenly, in steps of a second that never lie above the line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Line {
    pub began: BootInstant,
    /// Targets a second, at its beginning and at its end.
    pub from: f64,
    pub to: f64,
}

impl Line {
    /// After a rest: from a tenth of the rate to all of it. `None` where there is no rate, or one too low to rise to.
    pub(super) fn warming(now: BootInstant, per_second: u32) -> Option<Self> {
        Self::between(now, f64::from(per_second) * WARM_SHARE, f64::from(per_second))
    }

    /// After an overload that came at `achieved` targets a second: from half of that to the rate, or where there is
    /// none to twice what was achieved; then the pace is free again, because what was too much a minute ago need not be
    /// too much now, and if it is the service says so again. `None` where half of it is no less than the rate.
    pub(super) fn returning(resumes: BootInstant, achieved: f64, per_second: u32) -> Option<Self> {
        let from = achieved * RETURN_SHARE;
        let to = if per_second > 0 { f64::from(per_second) } else { (achieved * 2.0).max(LEAST * 4.0) };
        Self::between(resumes, from, to)
    }

    fn between(began: BootInstant, from: f64, to: f64) -> Option<Self> {
        let from = from.max(LEAST);
        (from < to).then_some(Self { began, from, to })
    }

    /// The step at `now`, whole seconds since it began; `None` when it has reached its top. Before the beginning it is
    /// the first.
    pub(super) fn step(&self, now: BootInstant) -> Option<u64> {
        let since = now.after(self.began);
        (since < SPAN).then_some(since.as_secs())
    }

    /// The pace in a step: the line's at the beginning of it.
    #[expect(clippy::cast_precision_loss, reason = "a step is below 60")]
    pub(super) fn per_second(&self, step: u64) -> f64 {
        self.from + (self.to - self.from) * step as f64 / SPAN.as_secs_f64()
    }
}
