use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;

use super::settings::{ApnsAccount, ApnsAuth};
use super::*;
use crate::clock::SystemClock;
use crate::gateway::{Batch, Probe, SharedRequest};
use crate::identity::secret::Secret;
use crate::model::broadcast::BroadcastRequest;
use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;
use crate::store::Retention;
use crate::store::sqlite::{Mode, SqliteStore};

/// Opens ways to nowhere, and refuses the topic `bad`.
#[derive(Default)]
struct Nowhere(Arc<AtomicU64>);

struct Way;

impl GatewayFactory for Nowhere {
    fn open(&self, _: &HubName, account: Account<'_>) -> Result<Arc<dyn Gateway>, FieldError> {
        let Account::Apns(apns) = account else { return Err(FieldError::new("endpoint", "must be of APNs")) };
        self.0.fetch_add(1, Ordering::SeqCst);
        if apns.topic == "bad" { Err(FieldError::new("topic", "must be good")) } else { Ok(Arc::new(Way)) }
    }
}

#[async_trait]
impl Gateway for Way {
    fn platform(&self) -> Platform {
        Platform::Apns
    }

    fn prepare(&self, _: BroadcastId, _: &BroadcastRequest, _: Timestamp) -> Result<SharedRequest, FieldError> {
        Err(FieldError::new("payloads.apns", "leads nowhere"))
    }

    async fn submit(&self, _: Batch) {}

    async fn probe(&self) -> Probe {
        Probe::Works
    }

    async fn close(&self, _: Duration) {}
}

fn store(folder: &Path) -> Arc<dyn Store> {
    let file = folder.join("fanfare.db");
    Arc::new(SqliteStore::open(&file, Mode::Inline, SystemClock::shared(), Retention::default()).unwrap())
}

fn vault(key: &str, previous: &[&str]) -> Vault {
    let text = |digits: &&str| Secret::new(digits.repeat(32));
    Vault::from_texts(&text(&key), &previous.iter().map(text).collect::<Vec<_>>()).unwrap()
}

async fn open(store: &Arc<dyn Store>, vault: Vault) -> Result<Directory, OpenError> {
    let factory = Box::new(Nowhere::default());
    Directory::open(store.clone(), vault, factory, Metrics::new(), &BTreeMap::new()).await
}

fn with_apns(topic: &str) -> HubSettings {
    let apns = ApnsAccount {
        endpoint: "https://localhost".into(),
        topic: topic.into(),
        auth: ApnsAuth::Token { team_id: "T".into(), key_id: "K".into(), key: Secret::new("private") },
        ca: None,
        connections: 1,
        rate_per_second: 7,
    };
    HubSettings { apns: Some(apns), ..HubSettings::fresh().unwrap() }
}

fn demo() -> HubName {
    HubName::parse("Demo").unwrap()
}

#[tokio::test]
async fn a_hub_is_found_by_number_and_by_its_name_in_any_case() {
    let folder = tempfile::tempdir().unwrap();
    let directory = open(&store(folder.path()), vault("01", &[])).await.unwrap();
    let hub = directory.put(&demo(), |_| Ok(with_apns("t"))).await.unwrap().hub;
    for name in ["Demo", "demo", "DEMO"] {
        assert_eq!(directory.hub(name).unwrap().id, hub.id);
    }
    assert!(directory.gateway(hub.id, Platform::Apns).is_some());
    assert!(directory.gateway(hub.id, Platform::Fcm).is_none());
    assert_eq!(directory.rate_per_second(hub.id, Platform::Apns), 7);
    directory.delete("dEMO").await.unwrap();
    assert!(directory.hub("demo").is_none() && directory.gateway(hub.id, Platform::Apns).is_none());
    assert!(matches!(directory.delete("demo").await, Err(ChangeError::NoHub)));
}

#[tokio::test]
async fn a_refused_account_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let directory = open(&store, vault("01", &[])).await.unwrap();
    let first = directory.put(&demo(), |_| Ok(with_apns("t"))).await.unwrap();
    assert!(first.created && first.reopened == [Platform::Apns]);
    let before = store.hubs().await.unwrap();
    let refused = directory.put(&demo(), |_| Ok(with_apns("bad"))).await.unwrap_err();
    assert!(matches!(&refused, ChangeError::Field(error) if error.field == "apns.topic"), "{refused}");
    assert_eq!(store.hubs().await.unwrap(), before);
    assert!(directory.hub("demo").unwrap().settings.same_as(&first.hub.settings));
}

#[tokio::test]
async fn a_new_secrets_key_seals_afresh_and_the_old_one_may_go() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let made = open(&store, vault("01", &[])).await.unwrap().put(&demo(), |_| Ok(with_apns("t"))).await.unwrap();
    assert!(matches!(open(&store, vault("02", &[])).await, Err(OpenError::Unreadable(_))));
    let rotated = open(&store, vault("02", &["01"])).await.unwrap();
    assert!(rotated.hub("demo").unwrap().settings.same_as(&made.hub.settings));
    let alone = open(&store, vault("02", &[])).await.unwrap();
    assert!(alone.hub("demo").unwrap().settings.same_as(&made.hub.settings));
}

#[tokio::test]
async fn an_account_that_a_start_refuses_costs_its_gateway_alone() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let sealed = sealed::write(&vault("01", &[]), &demo(), &with_apns("bad")).unwrap();
    store.put_hub(&demo(), sealed).await.unwrap();
    let directory = open(&store, vault("01", &[])).await.unwrap();
    let hub = directory.hub("demo").unwrap();
    assert!(hub.gateway(Platform::Apns).is_none() && hub.settings.apns.is_some());
}

#[tokio::test]
async fn what_another_node_changed_is_learnt() {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path());
    let (here, there) = (open(&store, vault("01", &[])).await.unwrap(), open(&store, vault("01", &[])).await.unwrap());
    let made = there.put(&demo(), |_| Ok(with_apns("t"))).await.unwrap();
    assert!(here.hub("demo").is_none());
    here.refresh().await.unwrap();
    assert_eq!(here.hub("demo").unwrap().id, made.hub.id);
    let known = here.gateway(made.hub.id, Platform::Apns).unwrap();
    there.rotate("demo", "defaultfullsharedaccesssignature").await.unwrap();
    here.refresh().await.unwrap();
    let (mine, theirs) = (here.hub("demo").unwrap(), there.hub("demo").unwrap());
    assert!(mine.settings.same_as(&theirs.settings) && !mine.settings.same_as(&made.hub.settings));
    assert!(Arc::ptr_eq(&known, &here.gateway(mine.id, Platform::Apns).unwrap()), "its account did not change");
    there.delete("demo").await.unwrap();
    here.refresh().await.unwrap();
    assert!(here.hubs().is_empty());
}
