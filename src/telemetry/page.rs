//! What a recorder cannot write itself: there are several, its counters are whole numbers, and what the store counted is
//! counted already.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::names::{self, Described};
use crate::store::Commits;

/// One page of several: each metric's head once and all its series behind it, as the format wants it.
pub(super) fn join(pages: impl IntoIterator<Item = String>) -> String {
    let mut metrics: BTreeMap<String, (Vec<String>, String)> = BTreeMap::new();
    for page in pages {
        let mut name = "";
        for line in page.lines().filter(|line| !line.is_empty()) {
            // `# HELP name text` and `# TYPE name kind`; then the series, until the next head.
            if let Some(head) = line.strip_prefix("# ") {
                name = head.split(' ').nth(1).unwrap_or_default();
                let (heads, _) = metrics.entry(name.to_owned()).or_default();
                if !heads.iter().any(|known| known == line) {
                    heads.push(line.to_owned());
                }
            } else if let Some((_, series)) = metrics.get_mut(name) {
                series.push_str(line);
                series.push('\n');
            }
        }
    }
    let shown = metrics.into_values().map(|(heads, series)| heads.join("\n") + "\n" + &series + "\n");
    shown.collect()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_stand_once_and_series_behind_them() {
        let one = "# HELP b of b\n# TYPE b counter\nb{hub=\"x\"} 1\n\n# TYPE a gauge\na 2\n\n";
        let other = "# HELP b of b\n# TYPE b counter\nb{hub=\"y\"} 3\n\n";
        let joined = "# TYPE a gauge\na 2\n\n# HELP b of b\n# TYPE b counter\nb{hub=\"x\"} 1\nb{hub=\"y\"} 3\n\n";
        assert_eq!(join([one.to_owned(), other.to_owned()]), joined);
    }
}
