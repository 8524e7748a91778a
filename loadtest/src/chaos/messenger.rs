//! The queue's server, and what can happen to it.
use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use tokio::time::sleep;

use super::scenario::Ground;
use crate::servers::redis::{Cluster, Redis, Sentinels};

/// Where the queue is.
#[derive(Debug)]
pub enum Messenger {
    /// In the service's own process.
    Process,
    Single(Redis),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

impl Messenger {
    /// # Errors
    /// When a server does not start.
    pub async fn start(ground: Ground) -> anyhow::Result<Self> {
        Ok(match ground {
            Ground::Embedded => Self::Process,
            Ground::Single => Self::Single(Redis::start().await?),
            Ground::Sentinel => Self::Sentinels(Sentinels::start().await?),
            Ground::Cluster => Self::Cluster(Cluster::start().await?),
        })
    }

    /// `queue.url`
    pub fn url(&self) -> Option<String> {
        match self {
            Self::Process => None,
            Self::Single(redis) => Some(redis.url()),
            Self::Sentinels(sentinels) => Some(sentinels.url()),
            Self::Cluster(cluster) => Some(cluster.url()),
        }
    }

    /// Where a link can stand in its way. Sentinels and a Cluster tell their clients the servers' own addresses, past any
    /// link.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Single(redis) => Some(SocketAddr::from(([127, 0, 0, 1], redis.port()))),
            _ => None,
        }
    }

    fn servers(&self) -> Vec<&Redis> {
        match self {
            Self::Process => Vec::new(),
            Self::Single(redis) => vec![redis],
            Self::Sentinels(sentinels) => sentinels.servers.iter().collect(),
            Self::Cluster(cluster) => cluster.masters.iter().collect(),
        }
    }

    pub fn pids(&self) -> Vec<u32> {
        let pid = |redis: &&Redis| redis.info("process_id").ok()?.trim().parse().ok();
        self.servers().iter().filter_map(pid).collect()
    }

    /// Bytes that the data of all servers takes; `None` where there is no server.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn memory(&self) -> anyhow::Result<Option<u64>> {
        let of = |redis: &&Redis| anyhow::Ok(redis.info("used_memory_dataset")?.trim().parse::<u64>()?);
        let servers = self.servers();
        let used = servers.iter().map(of).sum::<anyhow::Result<u64>>()?;
        Ok((!servers.is_empty()).then_some(used))
    }

    /// `kill -9` of the one server, which comes back empty that long afterwards.
    ///
    /// # Errors
    /// When it does not start again, or there is none.
    pub async fn kill(&mut self, away: Duration) -> anyhow::Result<()> {
        let Self::Single(redis) = self else { bail!("there is no single Redis here") };
        redis.kill();
        sleep(away).await;
        redis.restart().await
    }

    /// FLUSHALL, on every server that takes it.
    ///
    /// # Errors
    /// When one does not answer.
    pub fn flush(&self) -> anyhow::Result<()> {
        match self {
            Self::Process => bail!("there is no Redis here"),
            Self::Single(redis) => redis.flush(),
            Self::Sentinels(sentinels) => sentinels.servers[sentinels.master()?].flush(),
            Self::Cluster(cluster) => cluster.flush(),
        }
    }

    /// Kills the master, so that the Sentinels make the replica the master; it comes back that long afterwards and becomes
    /// the replica.
    ///
    /// # Errors
    /// When the Sentinels do not agree in time.
    pub async fn fail_over(&mut self, away: Duration) -> anyhow::Result<()> {
        let Self::Sentinels(sentinels) = self else { bail!("there are no Sentinels here") };
        let killed = sentinels.master()?;
        sentinels.kill_master().await?;
        sleep(away).await;
        sentinels.servers.get_mut(killed).context("no such server")?.restart().await
    }

    /// Kills one master of the Cluster: its slots are gone until it comes back, empty, that long afterwards.
    ///
    /// # Errors
    /// When the Cluster is not whole again in time.
    pub async fn lose_master(&mut self, which: usize, away: Duration) -> anyhow::Result<()> {
        let Self::Cluster(cluster) = self else { bail!("there is no Cluster here") };
        let master = cluster.masters.get_mut(which).context("there is no such master")?;
        master.kill();
        sleep(away).await;
        master.restart().await?;
        cluster.whole().await
    }
}
