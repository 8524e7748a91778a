//! A line: one connection kept open while there is work. A connection that goes is replaced, after a pause with jitter,
//! while others go on; one that waits for answers drains beside its successor.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::connection::Connection;

/// Pauses between openings: each failure doubles the next, success begins anew. Drawn from the upper half, so that lines
/// that failed together do not return together.
#[derive(Debug)]
struct Backoff {
    failures: u32,
    least: Duration,
    most: Duration,
}

impl Backoff {
    fn pause(&self) -> Duration {
        let full = self.least.saturating_mul(1 << self.failures.min(20)).min(self.most);
        full.mul_f64(0.5 + fastrand::f64() / 2.0)
    }
}

/// Keeps line number `number` of a gateway until the gateway closes.
pub(super) async fn keep(shared: Arc<Shared>, number: usize) {
    let closing = shared.closing.clone();
    let _ = closing.run_until_cancelled(keep_open(&shared, number)).await;
}

async fn keep_open(shared: &Arc<Shared>, number: usize) {
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
        match shared.dialer.open().await {
            Err(failure) => {
                shared.reach.failed(&failure.to_string());
                backoff.failures += 1;
            }
            Ok(opened) => {
                shared.reach.opened();
                let mut connection = Connection::new(opened, Arc::clone(shared));
                connection.serve().await;
                shared.reach.lost(shared.clock.boot());
                backoff.failures = if connection.was_useful() { 0 } else { backoff.failures + 1 };
                tokio::task::spawn_local(shared.tasks.track_future(connection.drain()));
            }
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}
