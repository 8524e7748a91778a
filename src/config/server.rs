//! `[server]`, `[admin]` and `[secrets]`: where the service listens and which keys are its own.

use super::{error::ConfigError, section::Section};
use crate::identity::{secret::Secret, secrets};
use serde::Serialize;
use std::{net::SocketAddr, path::PathBuf};

#[derive(Debug, Clone, Serialize)]
pub struct ServerConfig {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// How long a stop may take; what is unfinished then is taken up again after its lease.
    pub drain_seconds: u32,
    /// How long a start waits for a store that does not answer yet.
    pub start_seconds: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tls: Option<TlsConfig>,
}

/// A second listener that speaks TLS.
#[derive(Debug, Clone, Serialize)]
pub struct TlsConfig {
    pub listen: SocketAddr,
    /// PEM, the leaf certificate first.
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
}

const ADDRESS: &str = "must be IP:PORT, such as 127.0.0.1:8080 or [::]:8080";

impl ServerConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["listen", "drain_seconds", "start_seconds", "tls"])?;
        let listen =
            s.parsed("listen", ADDRESS, |t| t.parse().ok())?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080)));
        Ok(Self {
            listen,
            drain_seconds: s.integer("drain_seconds", 20, 0..=3600)?,
            start_seconds: s.integer("start_seconds", 60, 0..=3600)?,
            tls: s.optional_section("tls")?.map(|tls| TlsConfig::read(&tls, listen)).transpose()?,
        })
    }
}

impl TlsConfig {
    fn read(s: &Section<'_>, plain: SocketAddr) -> Result<Self, ConfigError> {
        s.only(&["listen", "cert_file", "key_file"])?;
        let listen: SocketAddr = s.required("listen", ADDRESS, |t| t.parse().ok())?;
        if listen == plain && listen.port() != 0 {
            return Err(s.fail("listen", "must be another address than server.listen"));
        }
        Ok(Self { listen, cert_file: s.required_path("cert_file")?, key_file: s.required_path("key_file")? })
    }
}

/// The key with full rights: in a file that is made when missing, or as it is.
#[derive(Debug, Clone, Serialize)]
pub struct AdminConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
}

impl AdminConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["key", "key_file"])?;
        let (key, key_file) = own_key(s, "data/admin.key")?;
        if key.as_ref().is_some_and(|key| key.expose().contains(char::is_whitespace)) {
            return Err(s.fail("key", "must be text without white space"));
        }
        Ok(Self { key, key_file })
    }
}

/// The key that seals credentials at rest, and those that were used before it.
#[derive(Debug, Clone, Serialize)]
pub struct SecretsConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    pub previous_key_files: Vec<PathBuf>,
}

impl SecretsConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["key", "key_file", "previous_key_files"])?;
        let (key, key_file) = own_key(s, "data/secret.key")?;
        if key.as_ref().is_some_and(|key| secrets::check_key(key).is_err()) {
            return Err(s.fail("key", "must be 64 hexadecimal digits"));
        }
        let previous = s.list("previous_key_files", "must be a list of paths", |t| s.resolve(t))?.unwrap_or_default();
        if key_file.as_ref().is_some_and(|current| previous.contains(current)) {
            return Err(s.fail("previous_key_files", "must not name secrets.key_file"));
        }
        Ok(Self { key, key_file, previous_key_files: previous })
    }
}

/// A key of Fanfare's own, of which exactly one is set. Unlike other secrets' files this one need not exist yet, so it
/// is not read here.
fn own_key(s: &Section<'_>, default: &str) -> Result<(Option<Secret>, Option<PathBuf>), ConfigError> {
    if s.has("key") && s.has("key_file") {
        return Err(s.fail("key_file", "must not stand beside key"));
    }
    match s.secret_text("key")? {
        Some(key) => Ok((Some(key), None)),
        None => Ok((None, s.path("key_file")?.or_else(|| s.resolve(default)))),
    }
}
