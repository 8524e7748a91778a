//! Connections: made and replaced by deadpool's pools, whichever form of Redis it is.
//!
//! A connection carries many calls at once, so calls share one; it is replaced when it breaks. What blocks, and what
//! listens, has a connection of its own.

use std::time::Duration;

use deadpool_redis::redis::aio::{ConnectionLike, MultiplexedConnection, PubSub};
use deadpool_redis::redis::cluster_async::ClusterConnection;
use deadpool_redis::redis::sentinel::{SentinelClient, SentinelNodeConnectionInfo, SentinelServerType};
use deadpool_redis::redis::{
    AsyncConnectionConfig, Client, Cmd, ConnectionInfo, Pipeline, RedisError, RedisFuture, RedisResult, Value,
};
use deadpool_redis::{PoolError, cluster, sentinel};
use tokio::sync::Mutex;

use super::super::QueueError;
use super::address::Address;

/// How long a connection may take to come about, and an answer on it.
pub(super) const LIMIT: Duration = Duration::from_secs(1);

/// A connection that may be cloned and carries calls side by side.
#[derive(Clone)]
pub(super) enum Link {
    Server(MultiplexedConnection),
    Cluster(ClusterConnection),
}

/// Where connections come from.
pub(super) struct Links {
    address: Address,
    pools: Pools,
    /// The one that calls share, with its number.
    shared: Mutex<Shared>,
}

enum Pools {
    Single(deadpool_redis::Pool),
    Sentinel(sentinel::Pool),
    Cluster(cluster::Pool),
}

#[derive(Default)]
struct Shared {
    number: u64,
    link: Option<Link>,
}

impl Links {
    /// Nothing is connected before it is needed.
    pub(super) fn new(address: Address) -> Result<Self, QueueError> {
        let pools = Pools::new(&address).map_err(|error| QueueError(error.to_string()))?;
        Ok(Self { address, pools, shared: Mutex::default() })
    }

    /// The connection that calls share, made when there is none, and its number.
    pub(super) async fn shared(&self) -> RedisResult<(u64, Link)> {
        let mut shared = self.shared.lock().await;
        if let Some(link) = &shared.link {
            return Ok((shared.number, link.clone()));
        }
        let link = self.fresh().await?;
        shared.number += 1;
        shared.link = Some(link.clone());
        Ok((shared.number, link))
    }

    /// The connection of that number is broken: the next call makes another.
    pub(super) async fn forget(&self, number: u64) {
        let mut shared = self.shared.lock().await;
        if shared.number == number {
            shared.link = None;
        }
    }

    /// A connection of the caller's own.
    pub(super) async fn fresh(&self) -> RedisResult<Link> {
        let mut link = match &self.pools {
            Pools::Single(pool) => pool.get().await.map(deadpool_redis::Connection::take).map(Link::Server),
            Pools::Sentinel(pool) => pool.get().await.map(sentinel::Connection::take).map(Link::Server),
            Pools::Cluster(pool) => pool.get().await.map(cluster::Connection::take).map(Link::Cluster),
        }
        .map_err(of_pool)?;
        if let Link::Server(connection) = &mut link {
            connection.set_response_timeout(LIMIT);
        }
        Ok(link)
    }

    /// A connection that listens. In a Cluster every node passes on what any other was told.
    pub(super) async fn listening(&self) -> RedisResult<PubSub> {
        match &self.address {
            Address::Single(info) => Client::open(info.clone())?.get_async_pubsub().await,
            Address::Sentinel { sentinels, master, login } => {
                let node = SentinelNodeConnectionInfo::default().set_redis_connection_info(login.settings());
                let kind = SentinelServerType::Master;
                let mut client = SentinelClient::build(sentinels.clone(), master.clone(), Some(node), kind)?;
                client.async_get_client().await?.get_async_pubsub().await
            }
            Address::Cluster(nodes) => listening_at_any(nodes).await,
        }
    }
}

async fn listening_at_any(nodes: &[ConnectionInfo]) -> RedisResult<PubSub> {
    let mut last = None;
    // Not always the same first, so that listeners spread over the nodes.
    let first = fastrand::usize(..nodes.len().max(1));
    for node in nodes.iter().cycle().skip(first).take(nodes.len()) {
        match Client::open(node.clone())?.get_async_pubsub().await {
            Ok(listening) => return Ok(listening),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(|| RedisError::from(std::io::Error::other("the Cluster has no nodes"))))
}

impl Pools {
    fn new(address: &Address) -> RedisResult<Self> {
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(LIMIT)).set_connection_timeout(Some(LIMIT));
        // Connections are taken out of their pool, so its size limits only how many are made at once.
        Ok(match address {
            Address::Single(info) => {
                let manager = deadpool_redis::Manager::new_with_config(info.clone(), config)?;
                Self::Single(deadpool_redis::Pool::builder(manager).build().map_err(of_build)?)
            }
            Address::Sentinel { sentinels, master, login } => {
                let node = sentinel::SentinelNodeConnectionInfo {
                    tls_mode: None,
                    redis_connection_info: Some(login.settings().into()),
                };
                let kind = sentinel::SentinelServerType::Master;
                let manager = sentinel::Manager::new(sentinels.clone(), master.clone(), Some(node), kind)?;
                Self::Sentinel(sentinel::Pool::builder(manager).build().map_err(of_build)?)
            }
            Address::Cluster(nodes) => {
                let manager = cluster::Manager::new(nodes.clone(), false)?;
                Self::Cluster(cluster::Pool::builder(manager).build().map_err(of_build)?)
            }
        })
    }
}

fn of_pool(error: PoolError) -> RedisError {
    match error {
        PoolError::Backend(error) => error,
        other => RedisError::from(std::io::Error::other(other.to_string())),
    }
}

fn of_build(error: impl std::error::Error) -> RedisError {
    RedisError::from(std::io::Error::other(error.to_string()))
}

impl ConnectionLike for Link {
    fn req_packed_command<'a>(&'a mut self, command: &'a Cmd) -> RedisFuture<'a, Value> {
        match self {
            Self::Server(connection) => connection.req_packed_command(command),
            Self::Cluster(connection) => connection.req_packed_command(command),
        }
    }

    fn req_packed_commands<'a>(
        &'a mut self,
        pipeline: &'a Pipeline,
        offset: usize,
        count: usize,
    ) -> RedisFuture<'a, Vec<Value>> {
        match self {
            Self::Server(connection) => connection.req_packed_commands(pipeline, offset, count),
            Self::Cluster(connection) => connection.req_packed_commands(pipeline, offset, count),
        }
    }

    fn get_db(&self) -> i64 {
        match self {
            Self::Server(connection) => connection.get_db(),
            Self::Cluster(connection) => connection.get_db(),
        }
    }
}
