//! How far something is: a bar on a terminal, a plain line now and then elsewhere. On stderr: stdout holds results alone.

use std::io::{IsTerminal, Write, stderr};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::{BootInstant, Clock, SystemClock};

/// Between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(2);

/// A count on its way to a total.
pub(super) struct Progress {
    bar: ProgressBar,
    label: &'static str,
    total: Option<u64>,
    on_terminal: bool,
    last_line: BootInstant,
}

impl Progress {
    /// Without a total it counts.
    pub(super) fn new(label: &'static str, total: Option<u64>) -> Self {
        let on_terminal = stderr().is_terminal();
        let target = if on_terminal { ProgressDrawTarget::stderr_with_hz(10) } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(total, target);
        let form = match total {
            Some(_) => "{prefix} [{bar:40}] {human_pos}/{human_len} {per_sec} {msg}",
            None => "{prefix} {human_pos} {per_sec} {elapsed} {msg}",
        };
        // The form is a constant; should it be wrong, the plain bar does as well.
        bar.set_style(ProgressStyle::with_template(form).unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(label);
        Self { bar, label, total, on_terminal, last_line: SystemClock.boot() }
    }

    /// Moves it.
    pub(super) fn at(&mut self, position: u64) {
        self.bar.set_position(position);
        let now = SystemClock.boot();
        if !self.on_terminal && now.after(self.last_line) >= LINE_EVERY {
            self.last_line = now;
            match self.total {
                Some(total) => self.line(&format!("{} {position} of {total}", self.label)),
                None => self.line(&format!("{} {position}", self.label)),
            }
        }
    }

    /// Moves it towards a total that may grow, and says what is going on there. Elsewhere than on a terminal nothing is
    /// written: the caller writes lines of its own.
    pub(super) fn towards(&self, position: u64, total: u64, message: &str) {
        self.bar.set_length(total);
        self.bar.set_position(position);
        self.bar.set_message(message.to_owned());
    }

    pub(super) fn is_on_terminal(&self) -> bool {
        self.on_terminal
    }

    /// A line of its own, above the bar where there is one.
    pub(super) fn line(&self, text: &str) {
        // Nobody is left to tell when stderr is gone.
        self.bar.suspend(|| drop(writeln!(stderr(), "{text}")));
    }

    /// Takes the bar away.
    pub(super) fn done(&self) {
        self.bar.finish_and_clear();
    }
}
