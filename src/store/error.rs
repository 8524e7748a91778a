//! Why an operation of the store failed.

use crate::model::field::FieldError;
use crate::model::id::BroadcastId;

/// A failure of the engine itself. Nothing was applied.
#[derive(Clone, Debug, thiserror::Error)]
pub enum StoreError {
    /// Passing: the engine is busy, away or shutting down. The same call may work later.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// No room left on the device.
    #[error("the store has no room left: {0}")]
    Full(String),
    /// Another process owns the file.
    #[error("another process has {0} open")]
    InUse(String),
    /// The hub does not exist, or was deleted meanwhile.
    #[error("the hub does not exist")]
    NoHub,
    /// A stored value cannot be read, or breaks an invariant.
    #[error("the store holds something unreadable: {0}")]
    Corrupt(String),
    /// Anything else the engine said.
    #[error("the store failed: {0}")]
    Engine(String),
}

impl StoreError {
    /// Whether the same call may succeed later without anybody's doing.
    pub const fn is_passing(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_))
    }
}

/// Why a broadcast was not accepted.
#[derive(Clone, Debug, thiserror::Error)]
pub enum AcceptError {
    /// The idempotency key was used for another request within its 24 hours.
    #[error("the idempotency key was used for another request, broadcast {0}")]
    KeyReused(BroadcastId),
    /// The hub was deleted meanwhile.
    #[error("the hub does not exist")]
    NoHub,
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why an installation was not patched. Nothing was applied.
#[derive(Clone, Debug, thiserror::Error)]
pub enum PatchError {
    #[error("there is no such installation")]
    NotFound,
    /// An operation, or the document that would come of it, breaks a rule.
    #[error(transparent)]
    Field(FieldError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why what an app reports of its device was not written. Nothing was applied.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ReportError {
    #[error("the installation belongs to somebody else")]
    NotTheirs,
    /// The document that would come of it breaks a rule.
    #[error(transparent)]
    Field(FieldError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a broadcast could not be controlled.
#[derive(Clone, Debug, thiserror::Error)]
pub enum ControlError {
    #[error("there is no such broadcast")]
    NotFound,
    #[error("the broadcast is over")]
    Over,
    #[error(transparent)]
    Store(#[from] StoreError),
}
