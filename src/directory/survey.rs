//! The hubs that a service would have, without one: what the store keeps, with what the configuration decides over it.
//! For `doctor`; nothing is written.

use std::collections::BTreeMap;

use super::configured;
use super::sealed;
use super::settings::HubSettings;
use crate::config::HubConfig;
use crate::identity::secrets::Vault;
use crate::model::id::HubName;
use crate::store::HubRecord;

/// A hub by name, or why its settings cannot be had.
pub type Surveyed = (String, Result<(HubName, HubSettings), String>);

/// Every hub of the store and of the configuration, by name. Without a vault nothing that is stored can be opened.
pub fn survey(vault: Option<&Vault>, stored: &[HubRecord], configured: &BTreeMap<String, HubConfig>) -> Vec<Surveyed> {
    let mut hubs: BTreeMap<String, Surveyed> = BTreeMap::new();
    for record in stored {
        let opened = match vault {
            None => Err("its settings are sealed with a key that is not there".to_owned()),
            Some(vault) => sealed::read(vault, &record.name, &record.settings)
                .map(|(settings, _)| (record.name.clone(), settings))
                .map_err(|error| error.to_string()),
        };
        hubs.insert(record.name.as_str().to_ascii_lowercase(), (record.name.to_string(), opened));
    }
    for (name, hub) in configured {
        // Keys are of no interest here: they open Fanfare, not a push service.
        let settings = configured::settings(name, hub, Some(&[])).map_err(|error| error.to_string());
        let settings = settings.and_then(|settings| match HubName::parse(name) {
            Ok(name) => Ok((name, settings)),
            Err(error) => Err(error.to_string()),
        });
        hubs.insert(name.to_ascii_lowercase(), (name.clone(), settings));
    }
    hubs.into_values().collect()
}
