//! A master and its replica behind three Sentinels.

use anyhow::{Context, Result};

use super::super::free_port;
use super::super::process::Process;
use super::super::resp::ask;
use super::{PROGRAM, Redis, Reply, until};

/// The name that the Sentinels know the master by.
pub const MASTER: &str = "fanfare";

/// How many Sentinels; two of them must agree.
const SENTINELS: usize = 3;

/// Two servers, one of them the master, and the Sentinels that watch them.
#[derive(Debug)]
pub struct Sentinels {
    pub servers: [Redis; 2],
    sentinels: Vec<Sentinel>,
}

#[derive(Debug)]
struct Sentinel {
    port: u16,
    _process: Process,
    _folder: tempfile::TempDir,
}

impl Sentinels {
    /// Starts all of them; the replica is in step when this returns.
    pub async fn start() -> Result<Self> {
        let first = Redis::start().await?;
        let of_first = first.port().to_string();
        let second = Redis::start_with(&["--replicaof", "127.0.0.1", &of_first]).await?;
        let servers = [first, second];
        until("the replica is in step", || {
            servers[1].info("master_link_status").is_ok_and(|status| status.trim() == "up")
        })
        .await?;
        let sentinels = (0..SENTINELS).map(|_| Sentinel::start(servers[0].port())).collect::<Result<Vec<_>>>()?;
        let all = Self { servers, sentinels };
        until("the Sentinels know each other and the replica", || {
            all.sentinels.iter().all(|sentinel| {
                let known = |of: &str, count: usize| {
                    let list = ask(sentinel.port, &["SENTINEL", of, MASTER]);
                    matches!(list, Ok(Reply::Many(list)) if list.len() == count)
                };
                known("SENTINELS", SENTINELS - 1) && known("REPLICAS", 1)
            })
        })
        .await?;
        Ok(all)
    }

    /// The address as `queue.url` writes it.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.sentinels.iter().map(|sentinel| format!("127.0.0.1:{}", sentinel.port)).collect();
        format!("redis+sentinel://{}/{MASTER}", hosts.join(","))
    }

    /// Which of `servers` is the master, as the Sentinels say.
    pub fn master(&self) -> Result<usize> {
        let port = self.sentinels[0].master()?;
        self.servers.iter().position(|server| server.port() == port).context("the master is none of ours")
    }

    /// Makes the replica the master, and returns when every Sentinel says so.
    pub async fn fail_over(&self) -> Result<()> {
        let before = self.servers[self.master()?].port();
        // Refused while an earlier one is under way, or the replica is not ready.
        until("a failover begins", || {
            ask(self.sentinels[0].port, &["SENTINEL", "FAILOVER", MASTER]).is_ok_and(|answer| answer.text().is_some())
        })
        .await?;
        self.other_master_than(before).await
    }

    /// Kills the master, and returns when every Sentinel names the other one.
    pub async fn kill_master(&mut self) -> Result<()> {
        let master = self.master()?;
        self.servers[master].kill();
        self.other_master_than(self.servers[master].port()).await
    }

    async fn other_master_than(&self, port: u16) -> Result<()> {
        until("the Sentinels agree on another master", || {
            let other = self.sentinels.iter().all(|sentinel| sentinel.master().is_ok_and(|master| master != port));
            other
                && self.master().is_ok_and(|at| self.servers[at].info("role").is_ok_and(|role| role.trim() == "master"))
        })
        .await
    }
}

impl Sentinel {
    fn start(master: u16) -> Result<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let configuration = format!(
            "port {port}\nbind 127.0.0.1\nprotected-mode no\n\
             sentinel monitor {MASTER} 127.0.0.1 {master} 2\n\
             sentinel down-after-milliseconds {MASTER} 1000\n\
             sentinel failover-timeout {MASTER} 5000\n"
        );
        std::fs::write(folder.path().join("sentinel.conf"), configuration)?;
        let process = Process::start(PROGRAM, &["sentinel.conf", "--sentinel"], folder.path())?;
        Ok(Self { port, _process: process, _folder: folder })
    }

    fn master(&self) -> Result<u16> {
        let answer = ask(self.port, &["SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER])?;
        let Reply::Many(parts) = answer else { anyhow::bail!("the Sentinel knows no master: {answer:?}") };
        Ok(parts.get(1).and_then(Reply::text).context("an address has a port")?.parse()?)
    }
}
