//! What the operator decided: defaults → file → environment, read into one checked value.
//!
//! The life of a configuration:
//!
//! 1. `source` lays the environment (`FANFARE__SECTION__KEY`) over the TOML file: one tree of values.
//! 2. Each section's type reads itself from that tree through a `section::Section`, which knows the dotted path of
//!    every key, refuses keys nobody asked for, fills in defaults and reads `x_file` for a secret `x`.
//! 3. `credentials` opens what files name: certificates, keys, service accounts.
//! 4. [`Config`] is what `serve` runs on and, serialised, what `check` prints; a [`Secret`](crate::identity::secret::Secret)
//!    in it shows as `***`.
//!
//! The first offence ends it, as one line `config: KEY: RULE (got VALUE)`. "First" is the order of this page's sections
//! and of the keys in their types, unknown keys of a section before its values; hubs, tables and rules by name. So the
//! same file always gives the same line.
//!
//! Sections are read by hand rather than derived. A derived reader knows the rule's path or the value but not both,
//! cannot mask a secret in its own message, and takes a key id of ten digits from the environment for a number.
mod auth;
mod credentials;
mod error;
mod gateway;
mod host;
mod hub;
mod mobile;
mod rate;
mod section;
mod server;
mod source;
mod store;
mod url;
mod worker;

pub use auth::{AuthConfig, ProviderConfig, SessionMode};
pub use error::ConfigError;
pub use gateway::{
    AdmConfig, ApnsAuth, ApnsConfig, BaiduConfig, FcmConfig, GatewayConfig, WebPushConfig, WnsAuth, WnsConfig,
    XiaomiConfig,
};
pub use host::HostPattern;
pub use hub::{HubConfig, JobsConfig};
pub use mobile::{
    Access, ApiConfig, ColumnType, Conflict, MobileConfig, OnChange, Permissions, PushConfig, SiteConfig, TableConfig,
};
pub use rate::{Action, Rate, Rates};
pub use server::{AdminConfig, SecretsConfig, ServerConfig, TlsConfig};
pub use store::{QueueConfig, QueueUrl, StoreConfig, StoreUrl};
pub use url::ServiceUrl;
pub use worker::{LimitsConfig, RetentionConfig, Transport, WorkerConfig};

use section::Section;
use serde::Serialize;
use std::{collections::BTreeMap, ffi::OsString, path::Path};

/// The whole configuration, every value checked and every path absolute or relative to the working directory.
#[derive(Debug, Clone, Serialize)]
pub struct Config {
    pub server: ServerConfig,
    pub store: StoreConfig,
    pub queue: QueueConfig,
    pub admin: AdminConfig,
    pub secrets: SecretsConfig,
    pub worker: WorkerConfig,
    pub limits: LimitsConfig,
    pub retention: RetentionConfig,
    /// By name as written; no two differ in ASCII case alone.
    pub hubs: BTreeMap<String, HubConfig>,
    /// The table and auth API; absent = off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mobile: Option<MobileConfig>,
    /// Static files at `/`; absent = off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub site: Option<SiteConfig>,
}

impl Config {
    /// Reads the file, if any, with the process's environment over it.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        Self::load_with(file, std::env::vars_os())
    }

    /// The same with a given environment; variables that do not start with `FANFARE__` are not looked at.
    pub fn load_with(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
    ) -> Result<Self, ConfigError> {
        let tree = source::read(file, environment)?;
        let root = Section::root(&tree);
        root.only(&[
            "server",
            "store",
            "queue",
            "admin",
            "secrets",
            "worker",
            "limits",
            "retention",
            "hubs",
            "mobile",
            "site",
        ])?;
        let config = Self {
            server: ServerConfig::read(&root.section("server")?)?,
            store: StoreConfig::read(&root.section("store")?)?,
            queue: QueueConfig::read(&root.section("queue")?)?,
            admin: AdminConfig::read(&root.section("admin")?)?,
            secrets: SecretsConfig::read(&root.section("secrets")?)?,
            worker: WorkerConfig::read(&root.section("worker")?)?,
            limits: LimitsConfig::read(&root.section("limits")?)?,
            retention: RetentionConfig::read(&root.section("retention")?)?,
            hubs: hub::read_all(&root.section("hubs")?)?,
            mobile: root.optional_section("mobile")?.map(|s| MobileConfig::read(&s)).transpose()?,
            site: root.optional_section("site")?.map(|s| SiteConfig::read(&s)).transpose()?,
        };
        if config.site.is_some() && config.mobile.as_ref().is_some_and(|mobile| mobile.home_page) {
            let rule = "must be false: the page at / is that of [site]";
            return Err(root.section("mobile")?.fail("home_page", rule));
        }
        if let (Some(ours), Some(sealing)) = (&config.admin.key_file, &config.secrets.key_file)
            && ours == sealing
        {
            return Err(root.section("secrets")?.fail("key_file", "must be another file than admin.key_file"));
        }
        Ok(config)
    }

    /// Opens every certificate, key, account and folder that the configuration names. Contacts nobody; makes no file.
    pub fn check_files(&self) -> Result<(), ConfigError> {
        credentials::check(self)
    }

    /// The effective configuration as TOML, secrets as `"***"`.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }
}

#[cfg(test)]
mod tests;
