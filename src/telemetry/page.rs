//! What the recorder cannot write itself: its counters are whole numbers, its series last for ever, and what the store
//! counted is counted already.

use std::collections::HashSet;
use std::fmt::Write;

use super::names::{self, Described};
use crate::model::id::HubName;
use crate::store::Commits;

/// Takes out the series of these hubs.
pub(super) fn leave_out_hubs(page: &mut String, hubs: &HashSet<HubName>) {
    if hubs.is_empty() {
        return;
    }
    // A hub's name holds no character that the format escapes.
    let labels: Vec<String> = hubs.iter().map(|hub| format!("hub=\"{hub}\"")).collect();
    let shown = |line: &&str| line.starts_with('#') || !labels.iter().any(|label| line.contains(label));
    *page = page.split_inclusive('\n').filter(shown).collect();
}

/// Adds the CPU time.
pub(super) fn cpu(page: &mut String, seconds: f64) {
    head(page, &names::CPU, "counter");
    line(page, format_args!("{} {seconds}\n\n", names::CPU.name));
}

/// Adds the histogram of the store's transactions.
pub(super) fn commits(page: &mut String, commits: &Commits) {
    let name = names::STORE_COMMIT.name;
    head(page, &names::STORE_COMMIT, "histogram");
    let mut sum = 0;
    for (count, bound) in commits.by_time.iter().zip(Commits::BOUNDS) {
        sum += count;
        line(page, format_args!("{name}_bucket{{le=\"{}\"}} {sum}\n", bound.as_secs_f64()));
    }
    let all: u64 = commits.by_time.iter().sum();
    line(page, format_args!("{name}_bucket{{le=\"+Inf\"}} {all}\n"));
    line(page, format_args!("{name}_sum {}\n{name}_count {all}\n\n", commits.took.as_secs_f64()));
}

fn head(page: &mut String, Described { name, help, .. }: &Described, kind: &str) {
    line(page, format_args!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
}

fn line(page: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = page.write_fmt(text);
}
