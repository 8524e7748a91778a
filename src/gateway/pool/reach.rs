//! Whether a gateway can be reached, and the watch over what waits while it cannot.

use std::sync::Arc;

use parking_lot::Mutex;

use super::Shared;
use super::job::Outbox;
use crate::clock::BootInstant;

/// How many connections take requests.
#[derive(Debug)]
pub(super) struct Reach {
    endpoint: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    open: usize,
    without_since: BootInstant,
    failing: bool,
}

impl Reach {
    pub(super) fn new(endpoint: String, now: BootInstant) -> Self {
        Self { endpoint, state: Mutex::new(State { without_since: now, ..State::default() }) }
    }

    pub(super) fn opened(&self) {
        let mut state = self.state.lock();
        state.open += 1;
        if std::mem::take(&mut state.failing) {
            tracing::info!(endpoint = self.endpoint, "push service is reachable again");
        }
    }

    pub(super) fn lost(&self, now: BootInstant) {
        let mut state = self.state.lock();
        state.open -= 1;
        if state.open == 0 {
            state.without_since = now;
        }
    }

    /// Told once, until one opens again: lines fail by the hundred.
    pub(super) fn failed(&self, why: &str) {
        let mut state = self.state.lock();
        if state.open == 0 && !std::mem::replace(&mut state.failing, true) {
            tracing::warn!(endpoint = self.endpoint, why, "push service is unreachable");
        }
    }

    /// Since when there is no connection; `None` while there is one.
    fn without_since(&self) -> Option<BootInstant> {
        let state = self.state.lock();
        (state.open == 0).then_some(state.without_since)
    }
}

/// Looks after what waits for a connection until the gateway closes: hands back what was stopped or is past its
/// deadline, and what has waited too long without any connection.
pub(super) async fn watch(shared: Arc<Shared>) {
    let closing = shared.closing.clone();
    let _ = closing.run_until_cancelled(watch_on(&shared)).await;
}

async fn watch_on(shared: &Shared) {
    let bell = shared.intake.bell();
    loop {
        bell.work().await;
        tokio::time::sleep(shared.tuning.tick).await;
        let now = shared.clock.boot();
        let without_since = shared.reach.without_since();
        let mut outbox = Outbox::default();
        let given_up = |arrived: BootInstant| {
            without_since.is_some_and(|since| now.after(since.max(arrived)) >= shared.tuning.patience)
        };
        shared.intake.sweep(now, |job| given_up(job.arrived), &mut outbox);
    }
}
