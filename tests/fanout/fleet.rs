//! Several nodes on one store and a real Redis, in real time: they share work and rates, and outlive Redis.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use fanfare::clock::{SharedClock, SystemClock};
use fanfare::config::ServiceUrl;
use fanfare::fanout::{Gateways, NoMeter, Role, Service, Settings};
use fanfare::gateway::Gateway;
use fanfare::model::audience::{Audience, AudienceLimits};
use fanfare::model::broadcast::{Broadcast, BroadcastRequest};
use fanfare::model::id::{BroadcastId, HubId, HubName};
use fanfare::model::platform::Platform;
use fanfare::queue::redis::{RedisQueue, Tuning};
use fanfare::store::Retention;
use fanfare::store::sqlite::{Mode, SqliteStore};
use fanfare::store::{Change, NewBroadcast, Store};
use loadtest::servers::redis::Redis;

use crate::gateway::{self, FakeGateway};
use crate::world::{installation, request};

/// Long for anything here.
const PATIENCE: Duration = Duration::from_secs(60);

struct Fleet {
    _folder: tempfile::TempDir,
    redis: Redis,
    store: Arc<dyn Store>,
    service: Arc<gateway::Service>,
    clock: SharedClock,
    rate: u32,
    settings: Settings,
}

struct Node {
    fanout: Service,
    gateway: Arc<FakeGateway>,
}

/// One gateway for all hubs, each paced.
struct Paced(Arc<FakeGateway>, u32);

impl Gateways for Paced {
    fn gateway(&self, _: HubId, platform: Platform) -> Option<Arc<dyn Gateway>> {
        (platform == Platform::Apns).then(|| self.0.clone() as Arc<dyn Gateway>)
    }

    fn rate_per_second(&self, _: HubId, _: Platform) -> u32 {
        self.1
    }
}

impl Fleet {
    async fn new(latency: Duration, rate: u32) -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), SystemClock::shared());
        let mode = Mode::Threads { readers: 2 };
        let store = SqliteStore::open(&folder.path().join("fanfare.db"), mode, clock.clone(), Retention::default());
        let redis = Redis::start().await.expect("redis-server starts");
        let service = gateway::Service::accepting(latency);
        Self {
            _folder: folder,
            redis,
            store: Arc::new(store.unwrap()),
            service,
            clock,
            rate,
            settings: Settings::default(),
        }
    }

    fn node(&self) -> Node {
        let tuning = Tuning { reclaim_after: Duration::from_secs(1) };
        let url = ServiceUrl::parse(&self.redis.url()).unwrap();
        let gateway = Arc::new(FakeGateway::new(self.service.clone(), self.clock.clone()));
        let fanout = Service::start(
            self.store.clone(),
            Arc::new(RedisQueue::open(&url, self.clock.clone(), tuning).unwrap()),
            Arc::new(Paced(gateway.clone(), self.rate)),
            Arc::new(NoMeter),
            self.clock.clone(),
            self.settings,
            Role::All,
        );
        Node { fanout, gateway }
    }

    async fn hub(&self, name: &str, devices: std::ops::Range<u64>) -> HubId {
        let hub = self.store.put_hub(&HubName::parse(name).unwrap(), Vec::new()).await.unwrap().id;
        for chunk in devices.collect::<Vec<_>>().chunks(2_000) {
            let put = |device: &u64| Change::Put(Box::new(installation(*device, &[])));
            self.store.apply(hub, chunk.iter().map(put).collect()).await.unwrap();
        }
        hub
    }

    async fn finished(&self, hub: HubId, id: BroadcastId) -> Broadcast {
        let finished = async {
            loop {
                let broadcast = self.store.broadcast(hub, id).await.unwrap().unwrap();
                if broadcast.times.finished.is_some() {
                    return broadcast;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, finished).await.expect("it finishes")
    }

    async fn accepted(&self, targets: u64) {
        let reached = async {
            while self.service.accepted() < targets {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("it goes on");
    }
}

impl Node {
    async fn send(&self, hub: HubId, request: BroadcastRequest) -> BroadcastId {
        let audience = Audience::parse(&request.audience, &AudienceLimits::default()).unwrap();
        self.fanout.accept(NewBroadcast { hub, request, audience, idempotency: None, sample: None }).await.unwrap().id
    }

    fn taken(&self) -> u64 {
        self.gateway.taken.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_share_a_broadcast_and_another_hub_does_not_wait_for_it() {
    let mut fleet = Fleet::new(Duration::from_millis(20), 0).await;
    fleet.settings.shards_in_flight = 1;
    let (big, small) = (fleet.hub("big", 0..110_000).await, fleet.hub("small", 200_000..200_010).await);
    let first = fleet.node();
    let id = first.send(big, request("")).await;
    fleet.accepted(5_000).await;
    // One that comes in the middle has its share: four shards, of which the first holds one and has one in line.
    let late = fleet.node();
    let start = fleet.clock.boot();
    let other = late.send(small, request("")).await;
    fleet.finished(small, other).await;
    let took = fleet.clock.boot().after(start);
    assert!(took < Duration::from_secs(1), "another hub waited {took:?}");
    assert!(fleet.store.broadcast(big, id).await.unwrap().unwrap().times.finished.is_none(), "it was under way");
    assert_eq!(fleet.finished(big, id).await.counters().delivered, 110_000);
    let shares = [first.taken(), late.taken()];
    assert!(shares.iter().all(|share| *share > 30_000), "{shares:?}");
    assert_eq!(fleet.service.accepted(), 110_010, "nobody twice");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hubs_rate_is_the_fleets_and_stays_even() {
    let rate = 8_000;
    let fleet = Fleet::new(Duration::from_millis(1), rate).await;
    let hub = fleet.hub("paced", 0..40_000).await;
    let nodes = [fleet.node(), fleet.node()];
    let start = fleet.clock.boot();
    let id = nodes[0].send(hub, request("")).await;
    fleet.finished(hub, id).await;
    let mut windows = BTreeMap::<u128, u64>::new();
    for received in fleet.service.by_device().into_values() {
        *windows.entry(received.last_written.unwrap().after(start).as_millis() / 250).or_default() += 1;
    }
    eprintln!("{windows:?}, {} and {}", nodes[0].taken(), nodes[1].taken());
    let each = u64::from(rate) / 4;
    let most = windows.values().max().unwrap();
    assert!(*most <= each * 5 / 4, "{most} in a quarter of a second: {windows:?}");
    // All but the first and the last.
    let middle: Vec<_> = windows.values().skip(1).take(windows.len().saturating_sub(3)).collect();
    let sum: u64 = middle.iter().copied().sum();
    let expected = each * middle.len() as u64;
    assert!(sum.abs_diff(expected) <= expected / 10, "{sum} instead of {expected}: {windows:?}");
    assert!(nodes.iter().all(|node| node.taken() > 5_000), "{} and {}", nodes[0].taken(), nodes[1].taken());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_may_be_emptied_and_be_gone_for_a_while() {
    let mut fleet = Fleet::new(Duration::from_millis(10), 20_000).await;
    let hub = fleet.hub("demo", 0..100_000).await;
    let nodes = [fleet.node(), fleet.node()];
    let id = nodes[0].send(hub, request("")).await;
    fleet.accepted(5_000).await;
    fleet.redis.flush().unwrap();
    fleet.accepted(30_000).await;
    fleet.redis.kill();
    // Accepted while it is away.
    let while_away = nodes[1].send(hub, BroadcastRequest { rate_per_second: 50_000, ..request("") }).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    fleet.redis.restart().await.unwrap();
    for id in [id, while_away] {
        assert_eq!(fleet.finished(hub, id).await.counters().delivered, 100_000);
    }
    assert_eq!(fleet.service.accepted(), 200_000, "nobody twice");
    for node in nodes {
        assert!(node.fanout.stop(Duration::from_secs(5)).await);
    }
}
