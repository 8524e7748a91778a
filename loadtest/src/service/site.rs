//! The folder of a run: configuration, data, log. Removed when dropped, unless it is to be kept.
use std::{
    io::{Read, Seek, SeekFrom},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::Context;
use tempfile::TempDir;

use super::accounts::Accounts;

/// The hub of every run.
pub const HUB: &str = "demo";

/// What of the log is shown when something went wrong.
const TAIL: u64 = 4096;

/// How the service is set up; everything else is its default. The defaults here are those of the service.
#[derive(Clone, Debug, clap::Args, serde::Serialize)]
pub struct Tuning {
    /// worker.shards_in_flight
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub shards_in_flight: u32,
    /// worker.checkpoint_every
    #[arg(long, default_value_t = 2048, value_name = "N")]
    pub checkpoint_every: u32,
    /// worker.lease_seconds
    #[arg(long, default_value_t = 30, value_name = "N")]
    pub lease_seconds: u32,
    /// worker.sending_threads
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub sending_threads: u32,
    /// worker.transport: frames or h2
    #[arg(long, default_value = "frames", value_name = "WORD")]
    pub transport: String,
    /// Connections to the simulated APNs
    #[arg(long, default_value_t = 4, value_name = "N")]
    pub connections: u32,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            shards_in_flight: 4,
            checkpoint_every: 2048,
            lease_seconds: 30,
            sending_threads: 0,
            transport: "frames".to_owned(),
            connections: 4,
        }
    }
}

/// What a service keeps its data in. The default is what it has by default: the embedded store and the in-process queue,
/// alone in its folder.
#[derive(Clone, Debug, Default)]
pub struct Backing {
    /// `store.url`
    pub store: Option<String>,
    /// `queue.url`
    pub queue: Option<String>,
    /// The folder of the key files that all nodes share; its own unless given.
    pub keys: Option<PathBuf>,
    /// Where the embedded store's file is, such as a file system of its own; in its own folder unless given.
    pub data: Option<PathBuf>,
}

/// A folder and a free port.
#[derive(Debug)]
pub struct Site {
    dir: TempDir,
    /// Where the service will listen.
    pub address: SocketAddr,
    backing: Backing,
}

impl Site {
    /// A new folder inside `parent`, or in the system's temporary folder.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(parent: Option<&Path>) -> anyhow::Result<Self> {
        let mut builder = tempfile::Builder::new();
        builder.prefix("fanfare-");
        let dir = match parent {
            Some(parent) => {
                std::fs::create_dir_all(parent).with_context(|| format!("{}", parent.display()))?;
                builder.tempdir_in(parent)
            }
            None => builder.tempdir(),
        };
        let dir = dir.context("cannot make a folder")?;
        // The port is fixed so that a restarted service is found again. Freed here, it is the service's a moment later:
        // the kernel hands free ports out in turn, so nobody else gets it meanwhile.
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no free port")?;
        let address = free.local_addr()?;
        Ok(Self { dir, address, backing: Backing::default() })
    }

    /// One node of several.
    #[must_use]
    pub fn on(self, backing: Backing) -> Self {
        Self { backing, ..self }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the folder behind.
    pub fn keep(&mut self) {
        self.dir.disable_cleanup(true);
    }

    pub fn config_file(&self) -> PathBuf {
        self.dir().join("fanfare.toml")
    }

    pub fn log_file(&self) -> PathBuf {
        self.dir().join("fanfare.log")
    }

    pub fn database_file(&self) -> PathBuf {
        self.backing.data.clone().unwrap_or_else(|| self.dir().join("data")).join("fanfare.db")
    }

    fn keys(&self) -> PathBuf {
        self.backing.keys.clone().unwrap_or_else(|| self.dir().join("data"))
    }

    /// Made by the service at its first start.
    pub fn admin_key_file(&self) -> PathBuf {
        self.keys().join("admin.key")
    }

    /// How far the service's wall clock is ahead; see [`Clocked`](crate::commands::clocked).
    pub fn clock_file(&self) -> PathBuf {
        self.dir().join("clock")
    }

    /// Writes the configuration; with `hub` also [`HUB`], whose push services are the simulated ones.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn configure(&self, tuning: &Tuning, hub: Option<Accounts<'_>>) -> anyhow::Result<()> {
        let text = self.configuration(tuning, hub)?;
        std::fs::write(self.config_file(), text).context("cannot write the configuration")
    }

    fn configuration(&self, tuning: &Tuning, hub: Option<Accounts<'_>>) -> anyhow::Result<String> {
        let quoted = |path: PathBuf| path.to_str().map(toml::Value::from).context("a path that is no UTF-8");
        let database = self.database_file();
        let embedded = || Ok(format!("sqlite:{}", database.to_str().context("a path that is no UTF-8")?));
        let store = self.backing.store.clone().map_or_else(embedded, anyhow::Ok)?;
        let queue = self.backing.queue.as_deref().unwrap_or("memory:");
        let mut text = format!(
            "[server]\nlisten = \"{}\"\n\n[store]\nurl = {}\n\n[queue]\nurl = {}\n\n\
             [admin]\nkey_file = {}\n\n[secrets]\nkey_file = {}\n\n\
             [worker]\nsending_threads = {}\ntransport = {}\nshards_in_flight = {}\ncheckpoint_every = {}\n\
             lease_seconds = {}\n",
            self.address,
            toml::Value::from(store),
            toml::Value::from(queue),
            quoted(self.admin_key_file())?,
            quoted(self.keys().join("secret.key"))?,
            tuning.sending_threads,
            toml::Value::from(tuning.transport.as_str()),
            tuning.shards_in_flight,
            tuning.checkpoint_every,
            tuning.lease_seconds,
        );
        if let Some(accounts) = hub {
            text += &accounts.configuration(HUB)?;
        }
        Ok(text)
    }

    /// The end of the log, for whoever must explain a failure.
    pub fn log_tail(&self) -> String {
        let tail = || {
            let mut file = std::fs::File::open(self.log_file())?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            std::io::Result::Ok(String::from_utf8_lossy(&bytes).into_owned())
        };
        tail().unwrap_or_else(|error| format!("no log: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use fanfare::config::Config;

    use super::*;
    use crate::{
        devices::Platform,
        gateways::{Fleet, FleetConfig},
    };

    #[tokio::test]
    async fn the_service_takes_the_configuration() {
        let site = Site::new(None).unwrap();
        let fleet = Fleet::start(FleetConfig::on_free_ports(), &site.dir().join("gateways")).await.unwrap();
        let accounts =
            |platforms| Accounts { credentials: &fleet.credentials, platforms, connections: 4, fcm_rate: 100 };
        for hub in [None, Some(accounts(&[Platform::Apns])), Some(accounts(&Platform::ALL))] {
            site.configure(&Tuning::default(), hub).unwrap();
            let config = Config::load_with(Some(&site.config_file()), []).unwrap();
            config.check_files().unwrap();
            assert_eq!(config.server.listen.to_string(), site.address.to_string());
            let stated = config.hubs.get(HUB);
            let has = |platform| hub.is_some_and(|accounts| accounts.platforms.contains(&platform));
            assert_eq!(stated.is_some_and(|hub| hub.apns.is_some()), has(Platform::Apns));
            let fcm = stated.and_then(|hub| hub.fcm.as_ref());
            assert_eq!(fcm.map(|fcm| fcm.gateway.rate_per_second), has(Platform::Fcm).then_some(100));
            assert_eq!(stated.is_some_and(|hub| hub.wns.is_some()), has(Platform::Wns));
            assert_eq!(stated.is_some_and(|hub| hub.web_push.is_some()), has(Platform::WebPush));
        }
    }

    #[test]
    fn the_folder_goes_with_its_site() {
        let site = Site::new(None).unwrap();
        let dir = site.dir().to_owned();
        site.configure(&Tuning::default(), None).unwrap();
        assert!(dir.exists());
        drop(site);
        assert!(!dir.exists());
    }
}
