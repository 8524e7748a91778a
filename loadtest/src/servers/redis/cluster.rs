//! A Cluster of three masters without replicas.

use anyhow::{Result, bail};

use super::super::free_port;
use super::{Redis, Reply, until};

/// The slots of each master, first and last.
const SLOTS: [(u16, u16); 3] = [(0, 5_460), (5_461, 10_922), (10_923, 16_383)];

/// Three masters that share the slots.
#[derive(Debug)]
pub struct Cluster {
    pub masters: Vec<Redis>,
}

impl Cluster {
    /// Starts the servers, gives each its slots and lets them meet; all slots are served when this returns.
    pub async fn start() -> Result<Self> {
        let mut masters = Vec::new();
        for _ in SLOTS {
            // The bus has a port of its own: by default it is so much higher than the other that it may not exist.
            let bus = free_port()?.to_string();
            let options = ["--cluster-enabled", "yes", "--cluster-port", &bus, "--cluster-node-timeout", "2000"];
            masters.push((Redis::start_with(&options).await?, bus));
        }
        for (number, ((server, _), (first, last))) in masters.iter().zip(SLOTS).enumerate() {
            told(server, &["CLUSTER", "ADDSLOTSRANGE", &first.to_string(), &last.to_string()])?;
            told(server, &["CLUSTER", "SET-CONFIG-EPOCH", &(number + 1).to_string()])?;
        }
        let (first, others) = (&masters[0], &masters[1..]);
        for (other, bus) in others {
            told(&first.0, &["CLUSTER", "MEET", "127.0.0.1", &other.port().to_string(), bus])?;
        }
        let cluster = Self { masters: masters.into_iter().map(|(server, _)| server).collect() };
        cluster.whole().await?;
        Ok(cluster)
    }

    /// The address as `queue.url` writes it.
    pub fn url(&self) -> String {
        let hosts: Vec<_> = self.masters.iter().map(|server| format!("127.0.0.1:{}", server.port())).collect();
        format!("redis+cluster://{}", hosts.join(","))
    }

    /// Waits until every master sees all slots served.
    pub async fn whole(&self) -> Result<()> {
        until("the Cluster serves all slots", || {
            self.masters.iter().all(|server| {
                let state = server.ask(&["CLUSTER", "INFO"]);
                let whole = |text: &str| text.contains("cluster_state:ok") && text.contains("cluster_known_nodes:3");
                state.is_ok_and(|state| state.text().is_some_and(whole))
            })
        })
        .await
    }

    /// Empties every master.
    pub fn flush(&self) -> Result<()> {
        self.masters.iter().try_for_each(Redis::flush)
    }

    /// Moves a slot that holds no key from one master to another: what a client meets as MOVED.
    pub fn move_slot(&self, slot: u16, from: usize, to: usize) -> Result<()> {
        let target = self.masters[to].ask(&["CLUSTER", "MYID"])?;
        let Some(target) = target.text() else { bail!("a node has no id: {target:?}") };
        for server in [to, from].into_iter().chain(0..self.masters.len()) {
            told(&self.masters[server], &["CLUSTER", "SETSLOT", &slot.to_string(), "NODE", target])?;
        }
        Ok(())
    }
}

fn told(server: &Redis, words: &[&str]) -> Result<()> {
    match server.ask(words)? {
        Reply::Refused(why) => bail!("{}: {why}", words.join(" ")),
        _ => Ok(()),
    }
}
