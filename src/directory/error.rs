//! Why the directory could not be opened, or a hub not be changed.

use super::configured::ConfiguredHubError;
use super::sealed::UnreadableHub;
use super::settings::NoRandomness;
use crate::identity::secrets::SealError;
use crate::model::field::FieldError;
use crate::model::id::HubName;
use crate::store::StoreError;

/// The directory cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Unreadable(#[from] UnreadableHub),
    #[error(transparent)]
    Configured(#[from] ConfiguredHubError),
    #[error("hub {hub}: {error}")]
    Account { hub: HubName, error: FieldError },
    #[error("hub {hub}: {source}")]
    Seal { hub: HubName, source: SealError },
}

/// A hub was not changed.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ChangeError {
    #[error("there is no such hub")]
    NoHub,
    #[error("the hub has no such access rule")]
    NoRule,
    /// The configuration decides it.
    #[error("the configuration decides this hub; change it there")]
    ReadOnly,
    /// Others came first each time.
    #[error("others keep changing this hub")]
    Contended,
    #[error(transparent)]
    Field(#[from] FieldError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}
