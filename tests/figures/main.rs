//! What the store achieves, beside yardsticks of the same run. Measurements, not tests: they assert nothing.
//!
//! ```text
//! cargo test --release --test figures -- --ignored --nocapture --test-threads 1
//! ```
//!
//! `FIGURES_ENGINE=postgres` measures PostgreSQL instead of the embedded store.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a measurement prints, and stops when it cannot go on"
)]

mod bare;
mod devices;
mod engine;
mod pulling;
mod reading;
mod registering;

use std::sync::OnceLock;
use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};

/// Waits on the test's own thread. What a store starts, and its connections, live on in a runtime of all measurements.
pub(crate) fn wait<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<tokio::runtime::Runtime> = OnceLock::new();
    let start = || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    RUNTIME.get_or_init(start).block_on(future)
}

/// How long `body` takes.
pub(crate) fn timed<T>(body: impl FnOnce() -> T) -> (Duration, T) {
    let clock = SystemClock;
    let start = clock.boot();
    let made = body();
    (clock.boot().after(start), made)
}

/// How long `body` takes, and how much processor time of all threads: what a busy machine disturbs less.
pub(crate) fn timed_with_cpu<T>(body: impl FnOnce() -> T) -> (Duration, Duration, T) {
    let used = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        Duration::new(time.tv_sec.cast_unsigned(), u32::try_from(time.tv_nsec).unwrap())
    };
    let before = used();
    let (took, made) = timed(body);
    (took, used() - before, made)
}

/// The middle of `rounds` runs.
pub(crate) fn median(rounds: usize, mut body: impl FnMut() -> f64) -> f64 {
    let mut runs: Vec<f64> = (0..rounds).map(|_| body()).collect();
    runs.sort_by(f64::total_cmp);
    runs[rounds / 2]
}

/// A size from the environment.
pub(crate) fn size(name: &str, usual: u32) -> u32 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
