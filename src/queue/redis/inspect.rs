//! A look at the servers of a queue that changes nothing: for `doctor`.

use std::collections::BTreeMap;
use std::time::Duration;

use deadpool_redis::redis::aio::MultiplexedConnection;
use deadpool_redis::redis::{AsyncConnectionConfig, Client, ConnectionInfo, RedisResult, cmd};

use super::super::QueueError;
use super::address::Address;
use super::link::{Link, Links};
use crate::config::ServiceUrl;

/// How long a server may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What a look found.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Every server that holds entries and was named or found, with what it said or why it said nothing.
    pub servers: Vec<(String, Result<Server, String>)>,
    /// Each Sentinel, and whether it sees enough others to fail over.
    pub sentinels: Vec<(String, Result<String, String>)>,
    /// `CLUSTER INFO`, of a Cluster.
    pub cluster: BTreeMap<String, String>,
    /// Masters of a Cluster that have no replica.
    pub without_replica: usize,
}

/// One server.
#[derive(Debug, Default)]
pub struct Server {
    /// `INFO`.
    pub info: BTreeMap<String, String>,
    /// `CONFIG GET` of what `INFO` leaves out; empty where that is not allowed, as with many that are hosted.
    pub config: BTreeMap<String, String>,
}

impl Server {
    /// A number of `INFO`; 0 where there is none.
    pub fn number(&self, name: &str) -> u64 {
        self.info.get(name).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// A text of `INFO`.
    pub fn text(&self, name: &str) -> &str {
        self.info.get(name).map_or("", String::as_str)
    }

    /// Major and minor version.
    pub fn version(&self) -> (u32, u32) {
        let mut parts = self.text("redis_version").split('.').map(|part| part.parse().unwrap_or(0));
        (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
    }
}

/// Looks at every server of the queue.
pub async fn inspect(url: &ServiceUrl) -> Result<Inspection, QueueError> {
    let failed = |error: deadpool_redis::redis::RedisError| QueueError(error.to_string());
    let mut found = Inspection::default();
    match Address::parse(url)? {
        Address::Single(info) => found.servers.push(named(&info).await),
        Address::Sentinel { sentinels, master, login } => {
            for sentinel in &sentinels {
                found.sentinels.push((address(sentinel), ask_quorum(sentinel, &master).await));
            }
            let links = Links::new(Address::Sentinel { sentinels, master: master.clone(), login })?;
            let server = match tokio::time::timeout(PATIENCE, links.fresh()).await {
                Ok(Ok(Link::Server(connection))) => look(connection).await.map_err(|error| error.to_string()),
                Ok(Ok(Link::Cluster(_))) => Err("it is a Cluster".to_owned()),
                Ok(Err(error)) => Err(error.to_string()),
                Err(_) => Err("it does not answer".to_owned()),
            };
            found.servers.push((format!("master {master}"), server));
        }
        Address::Cluster(nodes) => {
            let mut known = None;
            for node in &nodes {
                if let Ok(mut connection) = connect(node).await {
                    let info: String = cmd("CLUSTER").arg("INFO").query_async(&mut connection).await.map_err(failed)?;
                    let all: String = cmd("CLUSTER").arg("NODES").query_async(&mut connection).await.map_err(failed)?;
                    found.cluster = pairs(&info);
                    known = Some(all);
                    break;
                }
            }
            let masters = known.map(|known| masters(&known)).unwrap_or_default();
            found.without_replica = masters.iter().filter(|(_, replicas)| **replicas == 0).count();
            for node in &nodes {
                found.servers.push(named(node).await);
            }
        }
    }
    Ok(found)
}

fn address(info: &ConnectionInfo) -> String {
    info.addr().to_string()
}

async fn named(info: &ConnectionInfo) -> (String, Result<Server, String>) {
    let server = match connect(info).await {
        Ok(connection) => look(connection).await,
        Err(error) => Err(error),
    };
    (address(info), server.map_err(|error| error.to_string()))
}

async fn connect(info: &ConnectionInfo) -> RedisResult<MultiplexedConnection> {
    let config =
        AsyncConnectionConfig::new().set_connection_timeout(Some(PATIENCE)).set_response_timeout(Some(PATIENCE));
    Client::open(info.clone())?.get_multiplexed_async_connection_with_config(&config).await
}

async fn look(mut connection: MultiplexedConnection) -> RedisResult<Server> {
    let info: String = cmd("INFO").query_async(&mut connection).await?;
    let mut config = BTreeMap::new();
    for name in ["appendfsync", "save"] {
        let asked: RedisResult<Vec<String>> = cmd("CONFIG").arg("GET").arg(name).query_async(&mut connection).await;
        if let Ok([name, value]) = asked.as_deref() {
            config.insert(name.clone(), value.clone());
        }
    }
    Ok(Server { info: pairs(&info), config })
}

async fn ask_quorum(sentinel: &ConnectionInfo, master: &str) -> Result<String, String> {
    let mut connection = connect(sentinel).await.map_err(|error| error.to_string())?;
    let asked = cmd("SENTINEL").arg("CKQUORUM").arg(master).query_async(&mut connection).await;
    asked.map_err(|error| error.to_string())
}

/// `name:value` lines.
fn pairs(text: &str) -> BTreeMap<String, String> {
    let lines = text.lines().filter_map(|line| line.trim_end().split_once(':'));
    lines.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// Masters by id with how many replicas each has, from `CLUSTER NODES`: id, address, flags, master's id, …
fn masters(nodes: &str) -> BTreeMap<String, usize> {
    let rows: Vec<Vec<&str>> = nodes.lines().map(|line| line.split(' ').collect()).collect();
    let flags = |row: &[&str], flag: &str| row.get(2).is_some_and(|flags| flags.split(',').any(|one| one == flag));
    let of_masters = rows.iter().filter(|row| flags(row, "master"));
    let mut masters: BTreeMap<String, usize> = of_masters.map(|row| (row[0].to_owned(), 0)).collect();
    for row in rows.iter().filter(|row| flags(row, "slave") && !flags(row, "fail")) {
        if let Some(replicas) = row.get(3).and_then(|of| masters.get_mut(*of)) {
            *replicas += 1;
        }
    }
    masters
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_counted_by_their_master() {
        let nodes = "a 127.0.0.1:1@2 myself,master - 0 0 1 connected 0-5460\n\
                     b 127.0.0.1:2@3 master - 0 0 2 connected 5461-16383\n\
                     c 127.0.0.1:3@4 slave a 0 0 1 connected\nd 127.0.0.1:4@5 slave,fail b 0 0 2 disconnected\n";
        assert_eq!(masters(nodes), BTreeMap::from([("a".to_owned(), 1), ("b".to_owned(), 0)]));
    }
}
