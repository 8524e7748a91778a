//! Why the service does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::api::mobile::{auth, tables};
use crate::config::ConfigError;
use crate::directory::{ConfiguredHubError, OpenError};
use crate::identity::key_file::KeyFileError;
use crate::identity::keys::AdminKeyError;
use crate::identity::secrets::VaultError;
use crate::store::StoreError;

/// The service did not start. Nothing is left running.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration is refused, or asks for what cannot be had here.
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("{source}; it was waited for {waited} s (server.start_seconds)")]
    StoreAway { waited: u64, source: StoreError },
    #[error("cannot use {}: {source}", path.display())]
    Path { path: PathBuf, source: io::Error },
    #[error(transparent)]
    AdminKey(#[from] AdminKeyError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Hubs(OpenError),
    #[error("cannot start sending threads: {0}")]
    Threads(io::Error),
    #[error("cannot listen on {address}: {source}")]
    Listen { address: SocketAddr, source: io::Error },
}

impl From<KeyFileError> for StartError {
    fn from(error: KeyFileError) -> Self {
        Self::Vault(error.into())
    }
}

impl From<tables::OpenError> for StartError {
    fn from(error: tables::OpenError) -> Self {
        match error {
            tables::OpenError::Config(error) => Self::Config(error),
            tables::OpenError::Store(error) => Self::Store(error),
        }
    }
}

impl From<auth::SetupError> for StartError {
    fn from(error: auth::SetupError) -> Self {
        match error {
            auth::SetupError::Config(error) => Self::Config(error),
            auth::SetupError::Vault(error) => Self::Vault(error),
        }
    }
}

impl From<OpenError> for StartError {
    /// What a configured hub's files hold is the configuration's business.
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Store(error) => Self::Store(error),
            OpenError::Configured(ConfiguredHubError::Config(error)) => Self::Config(error),
            other => Self::Hubs(other),
        }
    }
}
