//! What a run does and when, a line each.
use std::{
    fmt::Display,
    io::{self, Write},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

/// Times count from when it was made. Clones tell the same line of time.
#[derive(Clone, Debug)]
pub struct Timeline {
    begun: Instant,
    scenario: Arc<str>,
}

impl Timeline {
    pub fn begin(scenario: &str) -> Self {
        Self { begun: Instant::now(), scenario: scenario.into() }
    }

    /// To stdout, at once. Nobody is left to tell when that is gone.
    pub fn say(&self, what: impl Display) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let mut stdout = io::stdout().lock();
        drop(writeln!(stdout, "{:<14} {seconds:8.2} s  {what}", self.scenario).and_then(|()| stdout.flush()));
    }

    pub fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }
}
