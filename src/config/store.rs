//! `[store]` and `[queue]`: which engine keeps the truth and which carries messages.

use super::{error::ConfigError, section::Section, url::ServiceUrl};
use crate::store::postgres::Options;
use serde::{Serialize, Serializer};
use std::path::PathBuf;

#[derive(Debug, Clone, Serialize)]
pub struct StoreConfig {
    pub url: StoreUrl,
    /// To PostgreSQL, the most of each process.
    pub connections: u32,
    /// The configuration's folder, where a relative `sslrootcert` of the URL begins.
    #[serde(skip)]
    pub base: PathBuf,
}

/// The engine that keeps the truth.
#[derive(Debug, Clone)]
pub enum StoreUrl {
    /// The embedded store in this file; one process per file.
    Sqlite(PathBuf),
    Postgres(ServiceUrl),
}

impl StoreConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["url", "connections"])?;
        let rule = "must be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE";
        let url = s.parsed("url", rule, |text| store_url(s, text))?;
        let url = url.or_else(|| s.resolve("data/fanfare.db").map(StoreUrl::Sqlite));
        Ok(Self {
            url: url.ok_or_else(|| s.fail("url", rule))?,
            connections: s.integer("connections", 16, 2..=1000)?,
            base: s.base().to_owned(),
        })
    }

    /// How to reach PostgreSQL, when that is the store.
    pub fn postgres(&self) -> Option<Options> {
        let StoreUrl::Postgres(url) = &self.url else { return None };
        let (url, base) = (url.expose().to_owned(), self.base.clone());
        Some(Options { url, connections: self.connections as usize, base })
    }
}

fn store_url(s: &Section<'_>, text: &str) -> Option<StoreUrl> {
    if let Some(path) = text.strip_prefix("sqlite:") {
        // `sqlite://` is how several tools of the field write it.
        let path = path.strip_prefix("//").unwrap_or(path);
        // A store in memory would break the promise that accepted means durable.
        let is_file = !path.ends_with('/') && !path.contains(":memory:");
        return if is_file { s.resolve(path).map(StoreUrl::Sqlite) } else { None };
    }
    let url = ServiceUrl::parse(text)?;
    let database = url.path().strip_prefix('/').is_some_and(|name| !name.is_empty() && !name.contains('/'));
    (matches!(url.scheme(), "postgres" | "postgresql") && database).then_some(StoreUrl::Postgres(url))
}

impl Serialize for StoreUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Sqlite(path) => serializer.collect_str(&format_args!("sqlite:{}", path.display())),
            Self::Postgres(url) => url.serialize(serializer),
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct QueueConfig {
    pub url: QueueUrl,
}

/// The engine that carries messages; it may lose everything at any moment.
#[derive(Debug, Clone)]
pub enum QueueUrl {
    /// In this process.
    Memory,
    /// One Redis; the path is the number of its database.
    Redis(ServiceUrl),
    /// Redis behind Sentinels; the path is the name of the master.
    Sentinel(ServiceUrl),
    /// Redis Cluster by some of its nodes.
    Cluster(ServiceUrl),
}

impl QueueConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["url"])?;
        let rule =
            "must be memory:, redis://HOST:PORT/DB, redis+sentinel://HOST:PORT,…/MASTER or redis+cluster://HOST:PORT,…";
        Ok(Self { url: s.parsed("url", rule, queue_url)?.unwrap_or(QueueUrl::Memory) })
    }
}

fn queue_url(text: &str) -> Option<QueueUrl> {
    if text == "memory:" {
        return Some(QueueUrl::Memory);
    }
    let url = ServiceUrl::parse(text)?;
    let tail = url.path().strip_prefix('/').unwrap_or_default();
    let is_number = tail.is_empty() || tail.parse::<u16>().is_ok();
    let is_name = !tail.is_empty() && tail.split('/').count() <= 2;
    match url.scheme() {
        "redis" if url.hosts().len() == 1 && is_number => Some(QueueUrl::Redis(url)),
        "redis+sentinel" if is_name => Some(QueueUrl::Sentinel(url)),
        "redis+cluster" if tail.is_empty() => Some(QueueUrl::Cluster(url)),
        _ => None,
    }
}

impl Serialize for QueueUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Memory => serializer.serialize_str("memory:"),
            Self::Redis(url) | Self::Sentinel(url) | Self::Cluster(url) => url.serialize(serializer),
        }
    }
}
