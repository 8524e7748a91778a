//! The queue's server.
use std::{net::SocketAddr, time::Duration};

use anyhow::bail;

use super::scenario::Ground;

/// Where the queue is.
#[derive(Debug)]
pub enum Messenger {
    /// In the service's own process.
    Process,
}

impl Messenger {
    pub async fn start(ground: Ground) -> anyhow::Result<Self> {
        match ground {
            Ground::Embedded => Ok(Self::Process),
            _ => bail!("not yet"),
        }
    }
    pub fn url(&self) -> Option<String> { None }
    pub fn address(&self) -> Option<SocketAddr> { None }
    pub fn pids(&self) -> Vec<u32> { Vec::new() }
    pub fn memory(&self) -> anyhow::Result<Option<u64>> { Ok(None) }
    pub async fn kill(&mut self, _away: Duration) -> anyhow::Result<()> { bail!("no redis") }
    pub fn flush(&mut self) -> anyhow::Result<()> { bail!("no redis") }
    pub async fn fail_over(&mut self, _away: Duration) -> anyhow::Result<()> { bail!("no redis") }
    pub async fn lose_master(&mut self, _which: usize, _away: Duration) -> anyhow::Result<()> { bail!("no redis") }
}
