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
use crate::identity::keys::AccessRule;
use crate::identity::secrets::Vault;
use crate::model::field::FieldError;
use crate::model::id::{HubId, HubName};
use crate::model::platform::Platform;
use crate::store::{HubRecord, Store, StoreError};
use crate::telemetry::Metrics;

mod configured;
mod error;
mod look;
mod sealed;
pub mod settings;
mod survey;
#[cfg(test)]
mod tests;

pub use configured::ConfiguredHubError;
pub use error::{ChangeError, OpenError};
use look::Looking;
pub use sealed::UnreadableHub;
use settings::{Account, HubSettings, fresh_key};
pub use survey::{Surveyed, survey};

/// How often a change is tried again that others came before. More in a row means that something changes this hub all
/// the time.
const ATTEMPTS: usize = 8;

/// How long a gateway that was replaced may take to finish what it holds.
const OLD_GATEWAY: Duration = Duration::from_secs(60);

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

/// What a change made.
#[derive(Debug)]
pub struct Changed {
    pub hub: Arc<Hub>,
    pub created: bool,
    /// Platforms with a new gateway: senders that were paused for their credentials go on.
    pub reopened: Vec<Platform>,
}

#[derive(Default)]
struct Snapshot {
    /// By name in lower case: clients lower-case URLs, so names that differ in case alone are one name.
    by_name: HashMap<Box<str>, Arc<Hub>>,
    by_id: HashMap<HubId, Arc<Hub>>,
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

fn folded(name: &str) -> Box<str> {
    name.to_ascii_lowercase().into()
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

    /// Creates a hub or replaces its settings by what `decide` makes of the present ones; it is asked again when another
    /// process changed them meanwhile.
    pub async fn put(
        &self,
        name: &HubName,
        decide: impl Fn(Option<&HubSettings>) -> Result<HubSettings, ChangeError> + Send + Sync,
    ) -> Result<Changed, ChangeError> {
        let _changing = self.changing.lock().await;
        if self.fixed.contains_key(&folded(name.as_str())) {
            return Err(ChangeError::ReadOnly);
        }
        for _ in 0..ATTEMPTS {
            let current = self.hub(name.as_str());
            let settings = decide(current.as_ref().map(|hub| &hub.settings))?;
            if let Some(changed) = self.replace(name, settings, current).await? {
                return Ok(changed);
            }
            self.read_all().await?;
        }
        Err(ChangeError::Contended)
    }

    /// Gives a rule a fresh primary key; the old one becomes its secondary, so that its holders have time to change.
    pub async fn rotate(&self, name: &str, rule: &str) -> Result<AccessRule, ChangeError> {
        let _changing = self.changing.lock().await;
        for _ in 0..ATTEMPTS {
            let current = self.hub(name).ok_or(ChangeError::NoHub)?;
            if current.fixed.is_some_and(|fixed| fixed.keys) {
                return Err(ChangeError::ReadOnly);
            }
            let mut settings = current.settings.clone();
            let mut rules = settings.keys.iter_mut();
            let rule = rules.find(|known| known.name.eq_ignore_ascii_case(rule)).ok_or(ChangeError::NoRule)?;
            rule.secondary = Some(std::mem::replace(&mut rule.primary, fresh_key()?));
            let rotated = rule.clone();
            if self.replace(&current.name.clone(), settings, Some(current)).await?.is_some() {
                return Ok(rotated);
            }
            self.read_all().await?;
        }
        Err(ChangeError::Contended)
    }

    /// Deletes a hub with all it holds.
    pub async fn delete(&self, name: &str) -> Result<(), ChangeError> {
        let _changing = self.changing.lock().await;
        let hub = self.hub(name).ok_or(ChangeError::NoHub)?;
        if hub.fixed.is_some() {
            return Err(ChangeError::ReadOnly);
        }
        let existed = self.store.delete_hub(&hub.name).await?;
        self.forget(&hub);
        if existed { Ok(()) } else { Err(ChangeError::NoHub) }
    }

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
    async fn read_all(&self) -> Result<(), StoreError> {
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

    async fn bring(&self, name: &str, hub: &HubConfig) -> Result<(), OpenError> {
        for _ in 0..ATTEMPTS {
            let current = self.hub(name);
            let keys = current.as_ref().map(|hub| hub.settings.keys.as_slice());
            let settings = configured::settings(name, hub, keys)?;
            if current.as_ref().is_some_and(|hub| hub.settings.same_as(&settings)) {
                return Ok(());
            }
            let name = HubName::parse(name).map_err(|error| ConfiguredHubError::Config(unnameable(name, &error)))?;
            let replaced = self.replace(&name, settings, current).await.map_err(|error| match error {
                ChangeError::Store(error) => OpenError::Store(error),
                ChangeError::Seal(source) => OpenError::Seal { hub: name, source },
                ChangeError::NoRandomness(error) => OpenError::Configured(error.into()),
                ChangeError::Field(error) => OpenError::Account { hub: name, error },
                other => OpenError::Account { hub: name, error: FieldError::new("hub", other.to_string()) },
            })?;
            if replaced.is_some() {
                return Ok(());
            }
            // Another process that starts just now came first; most likely nothing is left to do.
            self.read_all().await?;
        }
        Err(StoreError::Unavailable(format!("other processes keep changing hub {name}")).into())
    }

    /// Puts a stored hub into the snapshot, and answers which senders of a hub that was known have a new account. A
    /// single account that this build refuses costs its gateway, not the start: the hub's other services, and its
    /// registrations, go on.
    async fn load(&self, mut record: HubRecord) -> Result<Vec<(HubId, Platform)>, OpenError> {
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

    /// Opens what changed, writes the settings, and puts the hub into the snapshot. Nothing changes when it fails, or
    /// when another process changed the hub meanwhile (`None`).
    async fn replace(
        &self,
        name: &HubName,
        settings: HubSettings,
        current: Option<Arc<Hub>>,
    ) -> Result<Option<Changed>, ChangeError> {
        // The name that the hub was made with: its secrets are bound to that.
        let name = current.as_ref().map_or(name, |hub| &hub.name);
        let (mut gateways, mut reopened) = (BTreeMap::new(), Vec::new());
        for account in settings.accounts() {
            let platform = account.platform();
            let opened = self.gateway_for(name, account, current.as_deref());
            let (gateway, fresh) = opened.map_err(|error| error.within(platform.label()))?;
            gateways.insert(platform, gateway);
            reopened.extend(fresh.then_some(platform));
        }
        let seen = current.as_ref().map(|hub| (hub.id, hub.version));
        let sealed = sealed::write(&self.vault, name, &settings)?;
        let record = self.store.replace_hub(name, sealed, seen, &reopened).await?;
        let Some(record) = record else { return Ok(None) };
        let hub = self.install(record, settings, gateways);
        Ok(Some(Changed { hub, created: current.is_none(), reopened }))
    }

    /// The present gateway where it does, else a new one; and whether it is new.
    fn gateway_for(
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

    fn install(
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

    fn forget(&self, hub: &Hub) {
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

fn unnameable(name: &str, error: &FieldError) -> crate::config::ConfigError {
    crate::config::ConfigError { key: "hubs".to_owned(), rule: error.rule.to_string(), got: name.to_owned() }
}
