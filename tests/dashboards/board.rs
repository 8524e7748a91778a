//! The Grafana board.

use serde_json::Value;

use crate::rules::folder;

fn board() -> Value {
    let text = std::fs::read_to_string(folder().join("fanfare.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Every query of a panel, with the panel's title.
pub fn queries() -> Vec<(String, String)> {
    let board = board();
    let panels = items(&board["panels"]).iter();
    let queries = panels
        .flat_map(|panel| items(&panel["targets"]).iter().map(|target| (text(&panel["title"]), text(&target["expr"]))));
    queries.collect()
}

/// The metric and label that each variable of the board takes its values from.
pub fn variables() -> Vec<(String, String)> {
    let board = board();
    let queries = items(&board["templating"]["list"]).iter().filter(|variable| variable["type"] == "query");
    queries
        .map(|variable| {
            let query = text(&variable["query"]["query"]);
            let inner = query.strip_prefix("label_values(").and_then(|rest| rest.strip_suffix(')'));
            let (metric, label) = inner.and_then(|inner| inner.split_once(", ")).expect("label_values(METRIC, LABEL)");
            (metric.to_owned(), label.to_owned())
        })
        .collect()
}

#[test]
fn panels_have_a_unit_a_source_and_a_place_of_their_own() {
    let board = board();
    let rows: Vec<_> = items(&board["panels"]).iter().filter(|panel| panel["type"] == "row").collect();
    let titles: Vec<_> = rows.iter().map(|row| text(&row["title"])).collect();
    assert_eq!(titles, ["Overview", "Delivery", "Pace", "Health", "Registrations", "Store", "HTTP", "Process"]);
    let mut ids = std::collections::BTreeSet::new();
    let mut places = std::collections::BTreeSet::new();
    for panel in items(&board["panels"]) {
        let title = text(&panel["title"]);
        assert!(ids.insert(panel["id"].as_u64()), "{title}: its id is taken");
        let place = &panel["gridPos"];
        let (x, y) = (place["x"].as_u64().unwrap(), place["y"].as_u64().unwrap());
        let (width, height) = (place["w"].as_u64().unwrap(), place["h"].as_u64().unwrap());
        assert!(x + width <= 24, "{title}: wider than the board");
        for cell in (x..x + width).flat_map(|x| (y..y + height).map(move |y| (x, y))) {
            assert!(places.insert(cell), "{title}: lies over another panel");
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}: no unit");
        assert!(!items(&panel["targets"]).is_empty(), "{title}: no query");
        let sources = items(&panel["targets"]).iter().chain([panel]);
        assert!(sources.map(|of| &of["datasource"]["uid"]).all(|uid| uid == "${datasource}"), "{title}");
    }
}

#[test]
fn hub_and_platform_can_be_chosen() {
    let labels: Vec<_> = variables().into_iter().map(|(_, label)| label).collect();
    assert_eq!(labels, ["hub", "platform"]);
}
