//! How far something is: a bar on a terminal, a line now and then elsewhere. Written to stderr, so that stdout holds
//! results alone.
use std::{io::Write, time::Duration};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use tokio::time::Instant;

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// Shared by whoever moves it. Clearing it is [`Self::done`]'s.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
    label: &'static str,
    total: u64,
    /// `None` on a terminal: the bar draws itself.
    last_line: Option<Mutex<Instant>>,
    started: Instant,
}

impl Progress {
    pub fn new(label: &'static str, total: u64) -> Self {
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr_with_hz(10));
        let form = "{prefix} [{bar:40}] {human_pos}/{human_len} {per_sec} {elapsed}";
        // The form is a constant; should it be wrong, the plain bar does as well.
        bar.set_style(ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(label);
        let hidden = bar.is_hidden();
        let now = Instant::now();
        Self { bar, label, total, last_line: hidden.then(|| Mutex::new(now)), started: now }
    }

    pub fn at(&self, position: u64) {
        self.bar.set_position(position.min(self.total));
        let Some(last) = &self.last_line else { return };
        let mut last = last.lock();
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            let share = position.min(self.total) * 100 / self.total.max(1);
            // Nobody is left to tell when stderr is gone.
            drop(writeln!(std::io::stderr(), "{} {share} % ({position} of {})", self.label, self.total));
        }
    }

    /// Takes the bar away and says how long it took.
    pub fn done(self) -> Duration {
        self.bar.finish_and_clear();
        self.started.elapsed()
    }
}
