//! What readers see: all hubs at one moment. A change makes a new snapshot, which takes over the gateways that still do.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use super::settings::{Account, HubSettings};
use super::{Directory, Hub};
use crate::gateway::Gateway;
use crate::model::field::FieldError;
use crate::model::id::{HubId, HubName};
use crate::model::platform::Platform;
use crate::store::HubRecord;

/// How long a gateway that was replaced may take to finish what it holds.
const OLD_GATEWAY: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Snapshot {
    /// By name in lower case: clients lower-case URLs, so names that differ in case alone are one name.
    pub(super) by_name: HashMap<Box<str>, Arc<Hub>>,
    pub(super) by_id: HashMap<HubId, Arc<Hub>>,
}

/// A hub's name as it is looked up.
pub(super) fn folded(name: &str) -> Box<str> {
    name.to_ascii_lowercase().into()
}

impl Directory {
    /// The present gateway where it does, else a new one; and whether it is new.
    pub(super) fn gateway_for(
        &self,
        name: &HubName,
        account: Account<'_>,
        current: Option<&Hub>,
    ) -> Result<(Arc<dyn Gateway>, bool), FieldError> {
        let platform = account.platform();
        let kept = current.filter(|hub| hub.account(platform).is_some_and(|known| known.same_way(account)));
        match kept.and_then(|hub| hub.gateway(platform)) {
            Some(gateway) => Ok((gateway.clone(), false)),
            None => Ok((self.factory.open(name, account)?, true)),
        }
    }

    /// Puts a hub into the snapshot.
    pub(super) fn install(
        &self,
        record: HubRecord,
        settings: HubSettings,
        gateways: BTreeMap<Platform, Arc<dyn Gateway>>,
    ) -> Arc<Hub> {
        self.metrics.name_hub(record.id, &record.name);
        let key = folded(record.name.as_str());
        let fixed = self.fixed.get(&key).copied();
        let hub =
            Arc::new(Hub { id: record.id, name: record.name, settings, fixed, version: record.version, gateways });
        let mut next = self.copy();
        let before = next.by_name.insert(key, hub.clone());
        if let Some(before) = &before {
            next.by_id.remove(&before.id);
        }
        next.by_id.insert(hub.id, hub.clone());
        self.snapshot.store(Arc::new(next));
        if let Some(before) = before {
            self.retire(&before, Some(&hub));
        }
        hub
    }

    /// Takes a hub out of it.
    pub(super) fn forget(&self, hub: &Hub) {
        let mut next = self.copy();
        next.by_id.remove(&hub.id);
        if next.by_name.get(&folded(hub.name.as_str())).is_some_and(|known| known.id == hub.id) {
            next.by_name.remove(&folded(hub.name.as_str()));
        }
        self.snapshot.store(Arc::new(next));
        self.metrics.forget_hub(hub.id);
        self.retire(hub, None);
    }

    fn copy(&self) -> Snapshot {
        let snapshot = self.snapshot.load();
        Snapshot { by_name: snapshot.by_name.clone(), by_id: snapshot.by_id.clone() }
    }

    /// Closes the gateways of `before` that its successor did not take over.
    fn retire(&self, before: &Hub, after: Option<&Hub>) {
        for (platform, gateway) in before.gateways() {
            if after.and_then(|hub| hub.gateway(platform)).is_some_and(|kept| Arc::ptr_eq(kept, gateway)) {
                continue;
            }
            let gateway = gateway.clone();
            self.closing.spawn(async move { gateway.close(OLD_GATEWAY).await });
        }
    }
}
