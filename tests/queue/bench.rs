//! Engines to try, and entries to try them with.

use std::sync::Arc;
use std::time::Duration;

use fanfare::clock::{Clock as _, SystemClock};
use fanfare::config::ServiceUrl;
use fanfare::model::broadcast::Lane;
use fanfare::model::id::{BroadcastId, HubId, ShardNo, ShardRef};
use fanfare::model::platform::Platform;
use fanfare::model::time::Timestamp;
use fanfare::queue::memory::MemoryQueue;
use fanfare::queue::redis::{RedisQueue, Tuning};
use fanfare::queue::{Delivery, Queue};
use fanfare::store::{ReadyWork, Work};
use loadtest::servers::redis::{Cluster, Redis, Sentinels};

/// Long for anything that is to happen.
pub const SOON: Duration = Duration::from_secs(20);

/// Long enough for what must not happen to have happened.
pub const WHILE: Duration = Duration::from_millis(700);

/// After how long without a sign a process is dead.
pub const DEAD: Duration = Duration::from_secs(1);

/// An engine.
pub trait Bench {
    /// The queue as one process has it; another call is another process, where the engine knows such.
    fn process(&self) -> Arc<dyn Queue>;
    /// Entries whose order is settled before their turn comes.
    fn settled(&self) -> usize;
}

pub struct Memory(Arc<MemoryQueue>);

impl Default for Memory {
    fn default() -> Self {
        Self(Arc::new(MemoryQueue::new(SystemClock::shared())))
    }
}

impl Bench for Memory {
    fn process(&self) -> Arc<dyn Queue> {
        self.0.clone()
    }

    fn settled(&self) -> usize {
        0
    }
}

/// The servers stay as long as the bench.
pub struct OnRedis {
    pub servers: Servers,
}

pub enum Servers {
    Single(Redis),
    Sentinels(Sentinels),
    Cluster(Cluster),
}

impl OnRedis {
    pub async fn single() -> Self {
        Self { servers: Servers::Single(Redis::start().await.expect("redis-server starts")) }
    }

    pub async fn sentinels() -> Self {
        Self { servers: Servers::Sentinels(Sentinels::start().await.expect("Sentinels start")) }
    }

    pub async fn cluster() -> Self {
        Self { servers: Servers::Cluster(Cluster::start().await.expect("a Cluster starts")) }
    }

    pub fn url(&self) -> String {
        match &self.servers {
            Servers::Single(server) => server.url(),
            Servers::Sentinels(servers) => servers.url(),
            Servers::Cluster(servers) => servers.url(),
        }
    }

    pub fn flush(&self) {
        match &self.servers {
            Servers::Single(server) => server.flush(),
            Servers::Sentinels(servers) => servers.servers[servers.master().unwrap()].flush(),
            Servers::Cluster(servers) => servers.flush(),
        }
        .expect("it can be emptied");
    }

    /// The one server.
    pub fn server(&mut self) -> &mut Redis {
        let Servers::Single(server) = &mut self.servers else { panic!("not one server") };
        server
    }
}

impl Bench for OnRedis {
    fn process(&self) -> Arc<dyn Queue> {
        open(&self.url())
    }

    fn settled(&self) -> usize {
        4
    }
}

pub fn open(url: &str) -> Arc<dyn Queue> {
    let url = ServiceUrl::parse(url).expect("a URL");
    Arc::new(RedisQueue::open(&url, SystemClock::shared(), Tuning { reclaim_after: DEAD }).expect("a queue's URL"))
}

pub fn now() -> Timestamp {
    SystemClock.now()
}

/// A broadcast's id by a small number; later numbers sort later.
pub fn broadcast(number: u8) -> BroadcastId {
    BroadcastId::from_bytes([number; 16])
}

/// An entry of hub 1, weight 1, bulk, due now.
pub fn entry(number: u8, shard: u32) -> ReadyWork {
    let shard = ShardRef { broadcast: broadcast(number), shard: ShardNo(shard) };
    let work = Work::Run(shard, Platform::Apns);
    ReadyWork { work, hub: HubId(1), lane: Lane::Bulk, weight: 1, due: now() }
}

/// Entries of one broadcast.
pub fn entries(number: u8, shards: std::ops::Range<u32>, hub: u32, weight: u32) -> Vec<ReadyWork> {
    shards.map(|shard| ReadyWork { hub: HubId(hub), weight, ..entry(number, shard) }).collect()
}

/// Receives one; there must be one soon.
pub async fn one(queue: &Arc<dyn Queue>, lane: Lane) -> Delivery {
    let received = tokio::time::timeout(SOON, queue.receive(lane, 1)).await.expect("something comes");
    let mut received = received.expect("a queue that answers");
    assert_eq!(received.len(), 1);
    received.remove(0)
}

/// Receives one and acknowledges it.
pub async fn take(queue: &Arc<dyn Queue>, lane: Lane) -> ReadyWork {
    let Delivery { work, receipt } = one(queue, lane).await;
    queue.acknowledge(vec![receipt]).await.expect("acknowledged");
    work
}

/// Nothing must come for a while.
pub async fn nothing(queue: &Arc<dyn Queue>, lane: Lane) {
    let received = tokio::time::timeout(WHILE, queue.receive(lane, 1)).await;
    assert!(received.is_err(), "{received:?}");
}

/// Tries until it works, as the reconciler does.
pub async fn publish(queue: &Arc<dyn Queue>, entries: Vec<ReadyWork>) {
    let published = async {
        while let Err(error) = queue.publish(entries.clone()).await {
            eprintln!("{error}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(SOON, published).await.expect("published in the end");
}
