//! The hubs that this process knows, ready for use.
//!
//! The store keeps a hub's settings as sealed bytes; here they are open: access rules to compare keys with, and a
//! gateway for each push service that the hub has an account with. Readers take a snapshot without a lock; changes are
//! made one at a time, go to the store first and then into a new snapshot.
//!
//! A gateway lives as long as nothing about its account changes but the pace. One that is replaced finishes what it was
//! handed and is closed then; workers that still hold it get their batches back.
//!
//! Hubs that the configuration names are brought to that state when the directory opens, and nobody else changes them
//! (what the configuration leaves open, such as keys where it names none, stays open).
//!
//! Other processes of the service have directories of their own. A change is written only over what it was made from
//! ([`Store::replace_hub`]); who came second looks again and decides anew, so no two processes undo each other's
//! changes, not even those that start at once and bring the same hubs to their state. What others changed is learnt by
//! [`Directory::catch_up`], each half second and for a request that names something unknown ([`look`]).
//!
//! - [`change`], [`configured`]: what this process changes, and what of the configuration it brings about.
//! - [`learn`], [`look`]: what others changed, and when that is asked for.
//! - [`snapshot`]: what readers see, and which gateways stay open from one to the next.
//! - [`settings`], [`sealed`]: a hub's settings, open and as the store keeps them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use crate::config::HubConfig;
use crate::fanout::Gateways;
use crate::gateway::Gateway;
use crate::identity::secrets::Vault;
use crate::model::field::FieldError;
use crate::model::id::{HubId, HubName};
use crate::model::platform::Platform;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;

mod change;
mod configured;
mod error;
mod learn;
mod look;
mod sealed;
pub mod settings;
mod snapshot;
mod survey;
#[cfg(test)]
mod tests;

pub use change::Changed;
pub use configured::ConfiguredHubError;
pub use error::{ChangeError, OpenError};
use look::Looking;
pub use sealed::UnreadableHub;
use settings::{Account, HubSettings};
use snapshot::{Snapshot, folded};
pub use survey::{Surveyed, survey};

/// Opens gateways. Tests put in their own.
pub trait GatewayFactory: Send + Sync + 'static {
    /// A gateway for this account, or which of the account's fields is bad and why (`key`, `topic` …). Contacts nobody.
    fn open(&self, hub: &HubName, account: Account<'_>) -> Result<Arc<dyn Gateway>, FieldError>;
}

/// One hub, ready for use.
pub struct Hub {
    pub id: HubId,
    pub name: HubName,
    pub settings: HubSettings,
    pub fixed: Option<Fixed>,
    version: u64,
    gateways: BTreeMap<Platform, Arc<dyn Gateway>>,
}

/// What of a hub the configuration decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fixed {
    /// Its keys too: it names some.
    pub keys: bool,
}

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Hub {
    /// Its gateway for a platform, when it has an account there.
    pub fn gateway(&self, platform: Platform) -> Option<&Arc<dyn Gateway>> {
        self.gateways.get(&platform)
    }

    /// Every platform that it can send to.
    pub fn gateways(&self) -> impl Iterator<Item = (Platform, &Arc<dyn Gateway>)> {
        self.gateways.iter().map(|(platform, gateway)| (*platform, gateway))
    }

    fn account(&self, platform: Platform) -> Option<Account<'_>> {
        self.settings.accounts().find(|account| account.platform() == platform)
    }
}

/// The hubs of this process.
pub struct Directory {
    store: Arc<dyn Store>,
    vault: Vault,
    factory: Box<dyn GatewayFactory>,
    metrics: Arc<Metrics>,
    fixed: HashMap<Box<str>, Fixed>,
    snapshot: ArcSwap<Snapshot>,
    /// Held by whoever changes something.
    changing: tokio::sync::Mutex<()>,
    /// The store's revision that the snapshot is at least as new as.
    revision: AtomicU64,
    /// Set when other processes change the store as well.
    looking: Option<Looking>,
    /// Senders whose account another process changed.
    renewed: Mutex<Vec<(HubId, Platform)>>,
    closing: TaskTracker,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory").field("hubs", &self.snapshot.load().by_id.len()).finish_non_exhaustive()
    }
}

impl Directory {
    /// Reads every hub, seals afresh what a previous key sealed, and brings the configured ones to their state.
    pub async fn open(
        store: Arc<dyn Store>,
        vault: Vault,
        factory: Box<dyn GatewayFactory>,
        metrics: Arc<Metrics>,
        configured: &BTreeMap<String, HubConfig>,
    ) -> Result<Self, OpenError> {
        let fixed = configured.iter().map(|(name, hub)| (folded(name), Fixed { keys: !hub.keys.is_empty() }));
        let directory = Self {
            fixed: fixed.collect(),
            store,
            vault,
            factory,
            metrics,
            snapshot: ArcSwap::default(),
            changing: tokio::sync::Mutex::default(),
            revision: AtomicU64::default(),
            looking: None,
            renewed: Mutex::default(),
            closing: TaskTracker::new(),
        };
        directory.revision.store(directory.store.hubs_revision().await?, Ordering::Release);
        for record in directory.store.hubs().await? {
            directory.load(record).await?;
        }
        for (name, hub) in configured {
            directory.bring(name, hub).await?;
        }
        Ok(directory)
    }

    /// Other processes change the store too: what is unknown here may be known there.
    #[must_use]
    pub fn shared(self) -> Self {
        Self { looking: Some(Looking::default()), ..self }
    }

    /// The hub of that name, ASCII case ignored.
    pub fn hub(&self, name: &str) -> Option<Arc<Hub>> {
        let snapshot = self.snapshot.load();
        match snapshot.by_name.get(name) {
            Some(hub) => Some(hub.clone()),
            None => snapshot.by_name.get(&*name.to_ascii_lowercase()).cloned(),
        }
    }

    /// Seals what belongs to a hub and is kept elsewhere in the store.
    pub fn vault(&self) -> &Vault {
        &self.vault
    }

    /// Whether there is a hub of this number.
    pub fn knows(&self, hub: HubId) -> bool {
        self.snapshot.load().by_id.contains_key(&hub)
    }

    /// The hub of this number.
    pub fn by_number(&self, hub: HubId) -> Option<Arc<Hub>> {
        self.snapshot.load().by_id.get(&hub).cloned()
    }

    /// All of them, by name.
    pub fn hubs(&self) -> Vec<Arc<Hub>> {
        let mut hubs: Vec<_> = self.snapshot.load().by_id.values().cloned().collect();
        hubs.sort_by(|one, other| one.name.cmp(&other.name));
        hubs
    }

    /// Finishes what all gateways hold and closes them, within that time.
    pub async fn close(&self, within: Duration) {
        let snapshot = self.snapshot.swap(Arc::default());
        for gateway in snapshot.by_id.values().flat_map(|hub| hub.gateways.values().cloned()) {
            self.closing.spawn(async move { gateway.close(within).await });
        }
        self.closing.close();
        // A gateway that does not keep its word must not keep the process.
        let _ = tokio::time::timeout(within, self.closing.wait()).await;
    }
}

#[async_trait]
impl Gateways for Directory {
    fn gateway(&self, hub: HubId, platform: Platform) -> Option<Arc<dyn Gateway>> {
        self.snapshot.load().by_id.get(&hub)?.gateway(platform).cloned()
    }

    async fn learn(&self) -> Result<(), StoreError> {
        self.look().await
    }

    fn rate_per_second(&self, hub: HubId, platform: Platform) -> u32 {
        let snapshot = self.snapshot.load();
        let account = snapshot.by_id.get(&hub).and_then(|hub| hub.account(platform));
        account.map_or(0, Account::rate_per_second)
    }
}
