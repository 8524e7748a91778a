//! `rules.yml` and its cases, judged by Prometheus' own tool.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;

/// Where the boards and rules are.
pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dashboards")
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// The text of every `KEY: VALUE` line, without the quotes of YAML. The rules keep each value on one line.
fn values(text: &str, key: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.trim_start().trim_start_matches("- "));
    let values = lines.filter_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    values
        .map(|value| match value.strip_prefix('\'').and_then(|rest| rest.strip_suffix('\'')) {
            Some(quoted) => quoted.replace("''", "'"),
            None => value.to_owned(),
        })
        .collect()
}

/// Each alert with its expression.
pub fn alerts() -> Vec<(String, String)> {
    let rules = read("rules.yml");
    let (names, queries) = (values(&rules, "alert"), values(&rules, "expr"));
    assert_eq!(names.len(), queries.len());
    assert!(!names.is_empty());
    names.into_iter().zip(queries).collect()
}

fn promtool(args: &[&str]) {
    let ran = Command::new("promtool").args(args).current_dir(folder()).output();
    let ran = ran.expect("promtool is needed (package prometheus): it judges the alert rules");
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "promtool {args:?}:\n{said}");
}

#[test]
fn the_rules_are_well_formed_and_their_cases_hold() {
    promtool(&["check", "rules", "rules.yml"]);
    promtool(&["test", "rules", "rules_test.yml"]);
}

#[test]
fn every_alert_is_shown_to_fire_and_to_stay_quiet() {
    let mut shown: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for case in read("rules_test.yml").split("\n  - name: ").skip(1) {
        let name = values(case, "alertname").pop().expect("a case names its alert");
        let (fires, stays_quiet) = shown.entry(name).or_default();
        match case.contains("exp_alerts: []") {
            true => *stays_quiet += 1,
            false => *fires += 1,
        }
    }
    let alerts = alerts();
    for (alert, _) in &alerts {
        assert_eq!(shown.get(alert), Some(&(1, 1)), "{alert}: cases that fire, cases that stay quiet");
    }
    assert_eq!(shown.len(), alerts.len(), "cases of alerts that are not there");
}

#[test]
fn every_alert_says_what_is_wrong_and_what_to_do() {
    let rules = read("rules.yml");
    let count = alerts().len();
    assert_eq!(values(&rules, "summary").len(), count);
    assert_eq!(values(&rules, "severity").len(), count);
    let descriptions = values(&rules, "description");
    assert_eq!(descriptions.len(), count);
    for description in descriptions {
        assert!(description.len() > 100, "too short to act on: {description}");
    }
}
