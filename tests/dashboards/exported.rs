//! Everything that a panel or a rule asks for is what the service exports, name by name and label by label.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::Path;

use fanfare::config::Config;
use fanfare::service::{Options, Running};
use loadtest::client::Connection;
use loadtest::client::connection::Peer;
use loadtest::gateways::{ApnsConfig, ApnsSim};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::query::{Needs, needs};
use crate::{board, rules};

const ADMIN: &str = "the-admin-key";

fn config(folder: &Path) -> Config {
    let path = |name: &str| folder.join(name).display().to_string();
    let environment = [
        ("FANFARE__STORE__URL", format!("sqlite:{}", path("fanfare.db"))),
        ("FANFARE__SECRETS__KEY_FILE", path("secret.key")),
        ("FANFARE__ADMIN__KEY", ADMIN.to_owned()),
    ];
    let environment = environment.map(|(name, value)| -> (OsString, OsString) { (name.into(), value.into()) });
    Config::load_with(None, environment).unwrap()
}

async fn call(peer: &Peer, method: &str, path: &str, body: &str) -> String {
    let mut connection = Connection::open(peer).await.unwrap();
    let answer = connection.call(method, path, body.as_bytes()).await.unwrap();
    let said = String::from_utf8_lossy(answer.body).into_owned();
    assert!((200..300).contains(&answer.status), "{method} {path}: {} {said}", answer.status);
    said
}

/// What `/metrics` says after a broadcast to 3,000 devices (more than are planned inline) and one to a single device.
async fn scrape() -> String {
    let sim = ApnsSim::start(ApnsConfig::default()).await.unwrap();
    let key = sim.issue_key("TEAM123456").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let options = Options { listener: Some(listener), ..Options::default() };
    let running = Running::start(&config(folder.path()), options).await.unwrap();
    let peer = Peer::new(running.address(), ADMIN);
    let hub = json!({"apns": {
        "endpoint": sim.endpoint(), "ca": sim.authority().ca_pem(), "topic": "com.example.app",
        "team_id": key.team_id, "key_id": key.key_id, "key": key.p8(),
    }});
    call(&peer, "PUT", "/v1/hubs/demo", &hub.to_string()).await;
    let device = |n: u64| {
        json!({"installationId": format!("dev-{n}"), "platform": "apns", "pushChannel": format!("{:064x}", n + 1),
            "tags": ["all", format!("only-{}", n % 3_000)]})
    };
    let lines: String = (0..3_000).map(|n| device(n).to_string() + "\n").collect();
    call(&peer, "POST", "/v1/hubs/demo/installations:import", &lines).await;
    for (audience, owed) in [("all", 3_000), ("only-7", 1)] {
        let broadcast = json!({"audience": audience, "notification": {"title": "Hello", "body": "World"}});
        let accepted = call(&peer, "POST", "/v1/hubs/demo/broadcasts", &broadcast.to_string()).await;
        let accepted: Value = serde_json::from_str(&accepted).unwrap();
        let path = format!("/v1/hubs/demo/broadcasts/{}", accepted["id"].as_str().unwrap());
        // Ends when the broadcast does.
        call(&peer, "GET", &format!("{path}/events"), "").await;
        let over: Value = serde_json::from_str(&call(&peer, "GET", &path, "").await).unwrap();
        assert_eq!(over["counters"]["delivered"], owed, "{over}");
    }
    let page = call(&peer, "GET", "/metrics", "").await;
    assert!(running.stop().await);
    page
}

/// Each series of a page: its name and its labels. No label's value here holds a comma or a quote.
fn exported(page: &str) -> Needs {
    let mut exported = Needs::new();
    for line in page.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let (series, _) = line.rsplit_once(' ').expect("a value");
        let (name, labels) = series.split_once('{').unwrap_or((series, ""));
        let labels = labels.split(',').filter_map(|label| Some(label.split_once('=')?.0.to_owned()));
        exported.entry(name.to_owned()).or_default().extend(labels);
    }
    exported
}

#[tokio::test]
async fn what_panels_and_rules_ask_for_is_exported() {
    let page = scrape().await;
    let exported = exported(&page);
    let rules = rules::alerts().into_iter();
    let mut wanted: Vec<_> = rules.chain(board::queries()).map(|(asker, query)| (asker, needs(&query))).collect();
    let variables = board::variables().into_iter();
    wanted.extend(variables.map(|(metric, label)| (format!("variable {label}"), [(metric, [label].into())].into())));
    for (asker, needs) in wanted {
        assert!(!needs.is_empty(), "{asker}: asks for no metric");
        for (metric, labels) in needs {
            let known = exported.get(&metric).unwrap_or_else(|| panic!("{asker}: {metric} is not exported\n{page}"));
            let missing: BTreeSet<_> = labels.difference(known).collect();
            assert!(missing.is_empty(), "{asker}: {metric} has no label {missing:?}, it has {known:?}");
        }
    }
}

#[test]
fn a_page_is_read() {
    let page = "# HELP a What.\na{hub=\"demo\",le=\"+Inf\"} 7\nb 1.5\n\n";
    let labels = |labels: &[&str]| labels.iter().map(|label| (*label).to_owned()).collect();
    assert_eq!(exported(page), [("a".to_owned(), labels(&["hub", "le"])), ("b".to_owned(), labels(&[]))].into());
}
