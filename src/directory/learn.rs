//! What other processes changed, and what the store holds when the directory opens.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use super::error::OpenError;
use super::{Directory, sealed};
use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::store::{HubRecord, StoreError};

impl Directory {
    /// Learns what other processes changed. A hub that cannot be read keeps its last good state here.
    pub async fn refresh(&self) -> Result<(), StoreError> {
        let revision = self.store.hubs_revision().await?;
        self.catch_up(revision).await
    }

    /// Learns what was changed up to this revision of the store; costs nothing where that is known.
    pub async fn catch_up(&self, revision: u64) -> Result<(), StoreError> {
        if self.revision.load(Ordering::Acquire) >= revision {
            return Ok(());
        }
        let _changing = self.changing.lock().await;
        if self.revision.load(Ordering::Acquire) < revision {
            self.read_all().await?;
            self.revision.fetch_max(revision, Ordering::AcqRel);
        }
        Ok(())
    }

    /// Senders whose account another process changed since this was last asked.
    pub fn take_renewed(&self) -> Vec<(HubId, Platform)> {
        std::mem::take(&mut *self.renewed.lock())
    }

    /// Reads every hub, and opens what is not known in this version. Only for whoever holds `changing`.
    pub(super) async fn read_all(&self) -> Result<(), StoreError> {
        let records = self.store.hubs().await?;
        for gone in self.hubs().iter().filter(|hub| records.iter().all(|record| record.id != hub.id)) {
            self.forget(gone);
        }
        for record in records {
            if self.hub(record.name.as_str()).is_some_and(|hub| hub.version == record.version && hub.id == record.id) {
                continue;
            }
            match self.load(record).await {
                Ok(renewed) => self.renewed.lock().extend(renewed),
                Err(OpenError::Store(error)) => return Err(error),
                Err(error) => tracing::error!(%error, "a hub that another process changed cannot be read here"),
            }
        }
        Ok(())
    }

    /// Puts a stored hub into the snapshot, and answers which senders of a hub that was known have a new account. A
    /// single account that this build refuses costs its gateway, not the start: the hub's other services, and its
    /// registrations, go on.
    pub(super) async fn load(&self, mut record: HubRecord) -> Result<Vec<(HubId, Platform)>, OpenError> {
        let (settings, stale) = sealed::read(&self.vault, &record.name, &record.settings)?;
        if stale {
            let sealed = |source| OpenError::Seal { hub: record.name.clone(), source };
            let settings = sealed::write(&self.vault, &record.name, &settings).map_err(sealed)?;
            let seen = Some((record.id, record.version));
            // Where another process came first it is sealed afresh already, or is read again with what was changed.
            if let Some(resealed) = self.store.replace_hub(&record.name, settings, seen, &[]).await? {
                record = resealed;
            }
        }
        let current = self.hub(record.name.as_str()).filter(|hub| hub.id == record.id);
        let mut gateways = BTreeMap::new();
        let mut renewed = Vec::new();
        for account in settings.accounts() {
            let platform = account.platform();
            match self.gateway_for(&record.name, account, current.as_deref()) {
                Ok((gateway, fresh)) => {
                    gateways.insert(platform, gateway);
                    renewed.extend((fresh && current.is_some()).then_some((record.id, platform)));
                }
                Err(error) => tracing::error!(hub = %record.name, %error, "an account cannot be used"),
            }
        }
        self.install(record, settings, gateways);
        Ok(renewed)
    }
}
