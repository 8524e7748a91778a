//! What this process changes: a change goes to the store first, over what it was made from, and then into the snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::configured::{self, ConfiguredHubError};
use super::error::{ChangeError, OpenError};
use super::settings::{HubSettings, fresh_key};
use super::snapshot::folded;
use super::{Directory, Hub, sealed};
use crate::config::{ConfigError, HubConfig};
use crate::identity::keys::AccessRule;
use crate::model::field::FieldError;
use crate::model::id::HubName;
use crate::model::platform::Platform;
use crate::store::StoreError;

/// How often a change is tried again that others came before. More in a row means that something changes this hub all
/// the time.
const ATTEMPTS: usize = 8;

/// What a change made.
#[derive(Debug)]
pub struct Changed {
    pub hub: Arc<Hub>,
    pub created: bool,
    /// Platforms with a new gateway: senders that were paused for their credentials go on.
    pub reopened: Vec<Platform>,
}

impl Directory {
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

    /// Brings a hub of the configuration to its state.
    pub(super) async fn bring(&self, name: &str, hub: &HubConfig) -> Result<(), OpenError> {
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
}

fn unnameable(name: &str, error: &FieldError) -> ConfigError {
    ConfigError { key: "hubs".to_owned(), rule: error.rule.to_string(), got: name.to_owned() }
}
