//! A line: one connection kept open while there is work. A connection that goes is replaced, after a pause with jitter,
//! while others go on; one that waits for answers drains beside its successor.

use std::sync::Arc;
use std::time::Duration;

use super::dial::DialError;
use super::{Shared, Wire};
use crate::gateway::senders::Gathering;

/// A connection that lasted less is no success: reopening it at once, over and over, would look like an attack (1.6).
const SHORT_LIFE: Duration = Duration::from_secs(5);
/// How far short lives alone slow the next opening.
const SHORT_LIVES: u32 = 4;

/// Pauses between openings: each failure doubles the next, success begins anew. Drawn from the upper half, so that lines
/// that failed together do not return together.
#[derive(Debug)]
struct Backoff {
    failures: u32,
    least: Duration,
    most: Duration,
}

impl Backoff {
    fn failed(&mut self) {
        self.failures += 1;
    }

    fn lived(&mut self, answered: bool, life: Duration) {
        self.failures = match (answered, life < SHORT_LIFE) {
            (true, false) => 0,
            (true, true) => (self.failures + 1).min(SHORT_LIVES),
            (false, _) => self.failures + 1,
        };
    }

    fn pause(&self) -> Duration {
        let full = self.least.saturating_mul(1 << self.failures.min(20)).min(self.most);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// Keeps line number `number` of a gateway until the gateway closes.
pub(super) async fn keep<W: Wire>(shared: Arc<Shared>, number: usize, gathering: Gathering) {
    let closing = shared.closing.clone();
    let _ = closing.run_until_cancelled(keep_open::<W>(&shared, number, &gathering)).await;
}

async fn keep_open<W: Wire>(shared: &Arc<Shared>, number: usize, gathering: &Gathering) {
    let bell = shared.intake.bell();
    let mut backoff = Backoff { failures: 0, least: shared.tuning.least_pause, most: shared.tuning.most_pause };
    let stagger = shared.tuning.stagger.saturating_mul(u32::try_from(number).unwrap_or(u32::MAX));
    loop {
        bell.work().await;
        if number > 0 && backoff.failures == 0 {
            // Openings are spread (1.6), and a gateway that gets little opens few.
            tokio::time::sleep(stagger.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
            if !shared.intake.has_work() {
                continue;
            }
        }
        match open::<W>(shared, gathering).await {
            Err(failure) => {
                shared.reach.failed(&failure.to_string());
                backoff.failed();
            }
            Ok(mut connection) => {
                shared.reach.opened();
                connection.serve().await;
                shared.reach.lost(shared.clock.boot());
                let (answered, life) = connection.usefulness();
                backoff.lived(answered, life);
                tokio::task::spawn_local(shared.tasks.track_future(connection.drain()));
            }
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}

async fn open<W: Wire>(shared: &Arc<Shared>, gathering: &Gathering) -> Result<W, DialError> {
    let dialed = shared.dialer.open().await?;
    W::open(dialed, Arc::clone(shared), gathering.clone()).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_failures_less_with_short_lives_and_begin_anew() {
        let (least, most) = (Duration::from_millis(100), Duration::from_secs(30));
        let mut backoff = Backoff { failures: 0, least, most };
        let within = |backoff: &Backoff, full: Duration| (full / 2..=full).contains(&backoff.pause());
        assert!(within(&backoff, least));
        (0..10).for_each(|_| backoff.lived(true, Duration::from_secs(1)));
        assert!(within(&backoff, least * 16));
        (0..10).for_each(|_| backoff.failed());
        assert!(within(&backoff, most));
        backoff.lived(true, SHORT_LIFE);
        assert!(within(&backoff, least));
    }
}
