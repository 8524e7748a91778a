//! Which metrics and labels a query of Prometheus names. Reads as much of the language as the boards and rules use.

use std::collections::{BTreeMap, BTreeSet};

/// Labels that Prometheus itself adds when it scrapes.
const ADDED_BY_THE_SCRAPE: [&str; 2] = ["instance", "job"];

/// A query's metrics with the labels that it needs of each.
pub type Needs = BTreeMap<String, BTreeSet<String>>;

/// What a query needs. A `by` clause needs its labels of every metric of the query.
pub fn needs(query: &str) -> Needs {
    let (mut needs, mut shared) = (Needs::new(), BTreeSet::new());
    let mut rest = query;
    while let Some(at) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '"') {
        rest = &rest[at..];
        if let Some(text) = rest.strip_prefix('"') {
            rest = text.split_once('"').expect("a closing quote").1;
            continue;
        }
        let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        rest = behind;
        if word.starts_with("fanfare_") {
            let labels = needs.entry(word.to_owned()).or_default();
            if let Some(selector) = behind.strip_prefix('{') {
                let (selectors, behind) = split_selectors(selector);
                labels.extend(selectors);
                rest = behind;
            }
        } else if ["by", "on"].contains(&word) {
            let list = behind.trim_start().strip_prefix('(').expect("a list of labels");
            let (list, behind) = list.split_once(')').expect("the end of the list");
            shared.extend(list.split(',').map(|label| label.trim().to_owned()));
            rest = behind;
        }
    }
    for labels in needs.values_mut() {
        labels.extend(shared.iter().cloned());
        labels.retain(|label| !ADDED_BY_THE_SCRAPE.contains(&label.as_str()));
    }
    needs
}

/// The labels of a selector, which is open already, and what stands behind it.
fn split_selectors(mut text: &str) -> (Vec<String>, &str) {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(behind) = text.strip_prefix('}') {
            return (labels, behind);
        }
        let end = text.find(['=', '!']).expect("an operator behind the label");
        labels.push(text[..end].trim().to_owned());
        let (_, value) = text.split_once('"').expect("a value behind the label");
        text = value.split_once('"').expect("the end of the value").1;
    }
}

#[test]
fn queries_are_read() {
    let query = r#"histogram_quantile(0.9, sum by (hub, le) (rate(fanfare_a_bucket{hub=~"$hub",x!="b{}y"}[5m])))
        / on (instance) fanfare_c > 2 or vector(0)"#;
    let set = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect::<BTreeSet<_>>();
    let expected = [("fanfare_a_bucket", set(&["hub", "le", "x"])), ("fanfare_c", set(&["hub", "le"]))];
    assert_eq!(needs(query), expected.map(|(name, labels)| (name.to_owned(), labels)).into());
}
