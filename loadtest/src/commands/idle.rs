//! Runs on a service that has nothing else to do; `direct` and `latency` send there one after the other and tell how long
//! it took.
use std::{fmt, io, time::Duration};

use serde::Serialize;

use super::{Run, say};
use crate::stage::Stage;

/// Sends before those that count: connections open, caches fill.
pub(super) const WARM_UP: u64 = 20;
/// How long a push may take to come at all.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at whether a send is over.
const LOOK: Duration = Duration::from_millis(10);

/// A service that has so many installations and nothing to do.
pub(super) async fn stage(run: &Run, installations: u64) -> anyhow::Result<Stage> {
    let mut stage = Stage::set_up(run.plan()).await?;
    stage.import(installations).await?;
    stage.service.settle(Duration::from_secs(20)).await;
    Ok(stage)
}

/// Waits until a send is over, so that the next one finds the service idle too.
pub(super) async fn again(stage: &Stage, broadcast: &str) -> anyhow::Result<()> {
    while stage.service.api.standing(broadcast).await?.finished_at.is_none() {
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Says whether the 99th percentile is below what is wanted.
pub(super) fn judge(took: &Spread, within_ms: f64) -> io::Result<bool> {
    let good = took.p99 < within_ms;
    say(format_args!("below {within_ms:.0} ms at the 99th percentile: {}", if good { "yes" } else { "NO" }))?;
    Ok(good)
}

/// Milliseconds of many sends.
#[derive(Clone, Copy, Debug, Serialize)]
pub(super) struct Spread {
    pub median: f64,
    pub p90: f64,
    pub p99: f64,
    pub most: f64,
}

impl Spread {
    pub(super) fn of(mut millis: Vec<f64>) -> Self {
        millis.sort_by(f64::total_cmp);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank among few")]
        let at = |share: f64| {
            let rank = (share * millis.len() as f64).ceil() as usize;
            millis.get(rank.max(1) - 1).copied().unwrap_or_default()
        };
        Self { median: at(0.5), p90: at(0.9), p99: at(0.99), most: at(1.0) }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { median, p90, p99, most } = self;
        write!(f, "median {median:.2} ms, p90 {p90:.2} ms, p99 {p99:.2} ms, most {most:.2} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_ranks() {
        let spread = Spread::of((1..=1_000).rev().map(f64::from).collect());
        assert_eq!((spread.median, spread.p90, spread.p99, spread.most), (500.0, 900.0, 990.0, 1_000.0));
        assert_eq!(Spread::of(Vec::new()).p99, 0.0);
    }
}
