//! Fanfare as a child process, so that its memory and CPU are its own: a folder ([`site`]), a process ([`child`]) that can
//! be killed and started again over the same data, and what it costs ([`usage`]). [`accounts`]: its hub.
pub mod accounts;
pub mod child;
pub mod site;
pub mod usage;

use std::{
    fs::OpenOptions,
    process::{Command, ExitStatus, Stdio},
    time::Duration,
};

use anyhow::{Context, bail};

use self::child::Child;
pub use self::{
    accounts::Accounts,
    site::{Backing, HUB, Site, Tuning},
};
use crate::client::{Api, connection::Peer};

/// How long a start may take: it opens the store and recovers its log.
const START: Duration = Duration::from_secs(60);
/// Between two looks at a starting service.
const LOOK: Duration = Duration::from_millis(5);
/// How long a clean stop may take: longer than the service's own `server.drain_seconds`.
const STOP: Duration = Duration::from_secs(30);

/// Which parts of the service a node runs (`serve --role`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    All,
    Api,
    Worker,
}

impl Role {
    pub const fn word(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Api => "api",
            Self::Worker => "worker",
        }
    }
}

/// How a node is started.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub role: Role,
    /// Its wall clock can be turned ([`Service::set_clock`]).
    pub clocked: bool,
}

/// `fanfare serve` as it is.
impl Default for Entry {
    fn default() -> Self {
        Self { role: Role::All, clocked: false }
    }
}

/// A service in its folder, over as many processes as its life takes.
#[derive(Debug)]
pub struct Service {
    entry: Entry,
    child: Child,
    pub api: Api,
    /// CPU of the processes that have ended.
    spent: Duration,
    /// Anonymous memory of the processes that have ended, the highest.
    peak: u64,
    pub site: Site,
}

impl Service {
    /// Starts `fanfare serve` on a configured site and returns when it is ready.
    ///
    /// # Errors
    /// When it does not come up; the end of its log is in the message.
    pub async fn start(site: Site) -> anyhow::Result<Self> {
        let mut service = Self::spawn(site, Entry::default()).await?;
        service.ready().await?;
        service.open()?;
        Ok(service)
    }

    /// Starts the process of a configured site. It is of use when it is ready ([`Self::ready`]) and opened
    /// ([`Self::open`]).
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn spawn(site: Site, entry: Entry) -> anyhow::Result<Self> {
        let child = spawn(&site, entry).await?;
        let nobody = Api::new(Peer::new(site.address, ""), HUB);
        Ok(Self { entry, child, api: nobody, spent: Duration::ZERO, peak: 0, site })
    }

    /// Makes the API usable, with the administrator's key.
    ///
    /// # Errors
    /// When the key's file cannot be read: there is none before the first node was ready.
    pub fn open(&mut self) -> anyhow::Result<()> {
        let service = self;
        let key = std::fs::read_to_string(service.site.admin_key_file()).context("no admin key")?;
        service.api = Api::new(Peer::new(service.site.address, key.trim()), HUB);
        Ok(())
    }

    /// Returns when it is up and its parts answer.
    ///
    /// # Errors
    /// When that takes too long, or it ended; the end of its log is in the message.
    pub async fn ready(&self) -> anyhow::Result<()> {
        let looking = async {
            while !self.api.is_ready().await {
                tokio::time::sleep(LOOK).await;
            }
        };
        tokio::select! {
            looked = tokio::time::timeout(START, looking) => {
                looked.with_context(|| format!("the service is not ready after {START:?}\n{}", self.site.log_tail()))
            }
            status = self.child.ended() => {
                let status = status.map_or_else(|| "in an unknown way".to_owned(), |status| status.to_string());
                bail!("the service ended: {status}\n{}", self.site.log_tail())
            }
        }
    }

    /// `kill -9`.
    pub async fn kill9(&mut self) {
        self.child.kill9().await;
    }

    /// Starts it again over the same data, after a kill.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_again(&mut self) -> anyhow::Result<()> {
        self.spawn_again().await?;
        self.ready().await
    }

    /// As [`Self::start_again`], without waiting until it is ready.
    ///
    /// # Errors
    /// When it cannot be started.
    pub async fn spawn_again(&mut self) -> anyhow::Result<()> {
        self.spent += self.child.cpu();
        self.peak = self.anonymous_peak();
        self.child = spawn(&self.site, self.entry).await?;
        Ok(())
    }

    /// SIGSTOP, until [`Self::wake`]. Returns when it stands still.
    pub async fn freeze(&self) {
        self.child.freeze().await;
    }

    /// SIGCONT
    pub fn wake(&self) {
        self.child.wake();
    }

    /// SIGTERM. Returns how it ended; `None` when that took too long and it was killed.
    pub async fn terminate(&self) -> Option<ExitStatus> {
        self.child.terminate(STOP).await
    }

    /// Turns the wall clock of a clocked node: `ahead` milliseconds ahead of the machine's, or behind it.
    ///
    /// # Errors
    /// When its file cannot be written.
    pub fn set_clock(&self, ahead: i64) -> anyhow::Result<()> {
        std::fs::write(self.site.clock_file(), ahead.to_string()).context("cannot turn the clock")?;
        self.child.hang_up();
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// CPU of all its processes so far.
    pub fn cpu(&self) -> Duration {
        self.spent + self.child.cpu()
    }

    /// Anonymous memory now, bytes.
    pub fn anonymous(&self) -> u64 {
        self.child.anonymous()
    }

    /// The highest anonymous memory since the start or [`Self::forget_peak`], bytes.
    pub fn anonymous_peak(&self) -> u64 {
        self.peak.max(self.child.anonymous_peak())
    }

    /// The peak counts anew from here.
    pub fn forget_peak(&mut self) {
        self.peak = 0;
        self.child.forget_peak();
    }

    /// Returns when it has been all but idle for a quarter of a second, after `most` at the latest: work that follows an
    /// answer, such as folding the index, is over then.
    pub async fn settle(&self, most: Duration) {
        const WINDOW: Duration = Duration::from_millis(250);
        let settled = async {
            loop {
                let before = self.cpu();
                tokio::time::sleep(WINDOW).await;
                if self.cpu().saturating_sub(before) <= WINDOW / 10 {
                    return;
                }
            }
        };
        // Not settling is no error: a service may have work of its own.
        drop(tokio::time::timeout(most, settled).await);
    }

    /// A clean stop (SIGTERM), and the end of the folder.
    ///
    /// # Errors
    /// When it did not end, or not well.
    pub async fn stop(self) -> anyhow::Result<()> {
        match self.terminate().await {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!("the service ended badly: {status}\n{}", self.site.log_tail()),
            None => bail!("the service did not end within {STOP:?} and was killed"),
        }
    }
}

/// This program as `fanfare serve`: nothing else has to be built or found.
async fn spawn(site: &Site, entry: Entry) -> anyhow::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(site.log_file()).context("cannot write the log")?;
    let mut command = Command::new(std::env::current_exe().context("cannot find this program")?);
    match entry.clocked {
        false => command.args(["fanfare", "serve"]),
        true => command.args(["clocked", "--clock"]).arg(site.clock_file()),
    };
    command.args(["--role", entry.role.word(), "--config"]).arg(site.config_file());
    // The run's configuration is the file's alone.
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"FANFARE__")) {
        command.env_remove(name);
    }
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    Child::start(command).await.context("cannot start the service")
}
