//! `config/fanfare.toml` is the manual of the configuration, so it must stay true: what stands in it is the default, what
//! is commented out is valid, and no key is left out.
use super::{files::furnished, *};

const MANUAL: &str = include_str!("../../../config/fanfare.toml");

/// Settings that are commented out have no space after their `#`; prose has.
fn uncommented() -> String {
    MANUAL
        .lines()
        .map(|line| if line.starts_with("# ") { "" } else { line.trim_start_matches('#') })
        .collect::<Vec<_>>()
        .join("\n")
}

#[test]
fn as_it_stands_it_is_the_defaults() {
    let place = Place::new();
    let shown = |toml: &str| place.load(toml, &[]).unwrap().to_toml().unwrap();
    assert_eq!(shown(MANUAL), shown(""));
}

#[test]
fn what_is_commented_out_is_valid() {
    let place = furnished();
    let config = place.load(&uncommented(), &[]).unwrap_or_else(|e| panic!("{e}"));
    config.check_files().unwrap_or_else(|e| panic!("{e}"));
    config.to_toml().unwrap().parse::<toml::Table>().unwrap();
}

#[test]
fn no_key_is_left_out() {
    let place = furnished();
    let written: toml::Table = uncommented().parse().unwrap();
    let shown = place.load(&uncommented(), &[]).unwrap().to_toml().unwrap().parse::<toml::Table>().unwrap();
    let mut left_out = Vec::new();
    compare("", &shown, &written, &mut left_out);
    // Given as files in the manual.
    left_out.retain(|key| !written_as_file(&written, key));
    assert_eq!(left_out, Vec::<String>::new());
}

fn compare(path: &str, shown: &toml::Table, written: &toml::Table, left_out: &mut Vec<String>) {
    for (key, value) in shown {
        let path = format!("{path}/{key}");
        match (value, written.get(key)) {
            (toml::Value::Table(shown), Some(toml::Value::Table(written))) => compare(&path, shown, written, left_out),
            (_, None) => left_out.push(path),
            _ => {}
        }
    }
}

fn written_as_file(written: &toml::Table, path: &str) -> bool {
    let mut parts: Vec<&str> = path[1..].split('/').collect();
    let last = format!("{}_file", parts.pop().unwrap());
    let section = parts.iter().try_fold(written, |table, part| table.get(*part).and_then(toml::Value::as_table));
    section.is_some_and(|table| table.contains_key(&last))
}

/// The example of a fleet, with its files beside it instead of under `/etc`.
#[test]
fn the_example_of_a_fleet_is_valid() {
    let place = furnished();
    let example = include_str!("../../../config/cluster.toml").replace("/etc/fanfare/", "");
    let config = place.load(&example, &[]).unwrap_or_else(|e| panic!("{e}"));
    assert!(matches!(&config.store.url, StoreUrl::Postgres(_)) && matches!(config.queue.url, QueueUrl::Redis(_)));
    let refused = config.check_files().unwrap_err().to_string();
    assert!(refused.contains("postgres-ca.pem") && !refused.contains("change-me"), "{refused}");
    let roots = std::fs::read_to_string(place.path("extra-root.pem")).unwrap();
    place.file("postgres-ca.pem", &roots);
    config.check_files().unwrap_or_else(|e| panic!("{e}"));
}
