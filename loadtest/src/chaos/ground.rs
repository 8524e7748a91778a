//! What the nodes stand on: the servers of a run, the links to them, and what can be done to them.
use std::{net::SocketAddr, path::Path, time::Duration};

use anyhow::Context;

use super::{
    disk::Disk,
    fault::Which,
    link::{Link, owner::Residents},
    messenger::Messenger,
    scenario::{Footing, Ground as Kind},
};
use crate::servers::postgres::{Postgres, PostgresOptions};

/// The database of a run.
const DATABASE: &str = "fanfare";
/// What a small disk holds beside a million rows' worth of nothing: log files and an empty database.
const SMALL: u64 = 192 << 20;
const SMALL_POSTGRES: u64 = 512 << 20;

/// The servers. Ended when dropped, links first.
#[derive(Debug)]
pub struct Ground {
    /// To the store, where that is a server.
    store: Option<Link>,
    /// To the queue, where that is one server at one address.
    queue: Option<Link>,
    pub messenger: Messenger,
    pub postgres: Option<Postgres>,
    pub disk: Option<Disk>,
}

impl Ground {
    /// Starts the servers, without links to them when the way is to be `direct`. `folder`: where a small disk is mounted.
    ///
    /// # Errors
    /// When a server does not start.
    pub async fn lay(footing: Footing, direct: bool, folder: &Path, residents: &Residents) -> anyhow::Result<Self> {
        let embedded = footing.ground == Kind::Embedded;
        let small = if embedded { SMALL } else { SMALL_POSTGRES };
        let disk = footing.small_disk.then(|| Disk::mount(&folder.join("disk"), small)).transpose()?;
        let mut ground = Self { store: None, queue: None, messenger: Messenger::Process, postgres: None, disk };
        if embedded {
            return Ok(ground);
        }
        let inside = ground.disk.as_ref().map(|disk| disk.place().to_owned());
        // Log files that are kept for reuse must not be what fills a small disk.
        let settings = if inside.is_some() {
            vec!["max_wal_size = 64MB".to_owned(), "min_wal_size = 32MB".to_owned()]
        } else {
            Vec::new()
        };
        let postgres = tokio::task::spawn_blocking(move || {
            let postgres = Postgres::start_with(&PostgresOptions { settings, inside })?;
            postgres.database(DATABASE)?;
            anyhow::Ok(postgres)
        });
        let postgres = postgres.await??;
        ground.messenger = Messenger::start(footing.ground).await?;
        if !direct {
            ground.store = Some(Link::to(postgres.address(), residents.clone()).await?);
            if let Some(server) = ground.messenger.address() {
                ground.queue = Some(Link::to(server, residents.clone()).await?);
            }
        }
        ground.postgres = Some(postgres);
        Ok(ground)
    }

    /// `store.url`, through the link where there is one; `None` for the embedded store.
    pub fn store_url(&self) -> Option<String> {
        let postgres = self.postgres.as_ref()?;
        let url = postgres.url(DATABASE);
        Some(match &self.store {
            Some(link) => readdressed(&url, postgres.address(), link.address()),
            None => url,
        })
    }

    /// `queue.url`, through the link where there is one; `None` for the queue in the process.
    pub fn queue_url(&self) -> Option<String> {
        let url = self.messenger.url()?;
        match (self.messenger.address(), &self.queue) {
            (Some(server), Some(link)) => Some(readdressed(&url, server, link.address())),
            _ => Some(url),
        }
    }

    pub fn link(&self, which: Which) -> Option<&Link> {
        match which {
            Which::Store => self.store.as_ref(),
            Which::Queue => self.queue.as_ref(),
            Which::Gateway => None,
        }
    }

    pub fn heal(&self) {
        [&self.store, &self.queue].into_iter().flatten().for_each(Link::heal);
    }

    /// `kill -9` of PostgreSQL, and a start that long afterwards.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn kill_store(&mut self, away: Duration) -> anyhow::Result<()> {
        let mut postgres = self.postgres.take().context("there is no PostgreSQL here")?;
        let killed = tokio::task::spawn_blocking(move || postgres.kill().map(|()| postgres));
        let mut postgres = killed.await??;
        tokio::time::sleep(away).await;
        let started = tokio::task::spawn_blocking(move || postgres.run().map(|()| postgres));
        self.postgres = Some(started.await??);
        Ok(())
    }

    /// Has PostgreSQL do what it does by itself in the minutes after a large import: look at all rows once, count them,
    /// write what is new to the disk. None of it is a broadcast's.
    ///
    /// # Errors
    /// When the server cannot.
    pub fn tend(&self) -> anyhow::Result<()> {
        if let Some(postgres) = &self.postgres {
            postgres.psql(DATABASE, "VACUUM (ANALYZE)")?;
            postgres.psql(DATABASE, "CHECKPOINT")?;
        }
        Ok(())
    }

    /// PostgreSQL runs, after a fault that may have ended it: a server whose log cannot be written ends itself.
    ///
    /// # Errors
    /// When it does not start again.
    pub async fn revive_store(&mut self) -> anyhow::Result<()> {
        let answers = self.postgres.as_ref().is_none_or(|postgres| postgres.psql(DATABASE, "SELECT 1").is_ok());
        if answers { Ok(()) } else { self.kill_store(Duration::ZERO).await }
    }

    /// Processes whose CPU is the store's and the queue's.
    pub fn pids(&self) -> Vec<u32> {
        let postgres = self.postgres.as_ref().and_then(Postgres::pid);
        postgres.into_iter().chain(self.messenger.pids()).collect()
    }
}

/// The same URL with another port.
fn readdressed(url: &str, from: SocketAddr, to: SocketAddr) -> String {
    url.replace(&format!(":{}", from.port()), &format!(":{}", to.port()))
}

/// Why there can be no such footing on this machine.
pub fn impossible(footing: Footing) -> Option<&'static str> {
    if footing.small_disk { Disk::absent() } else { None }
}
