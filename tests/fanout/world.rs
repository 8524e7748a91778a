//! A world to live in: a database file, a push service, and processes that come and go.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use fanfare::clock::{SharedClock, TokioClock};
use fanfare::fanout::{Gateways, NoMeter, Role, Service, Settings};
use fanfare::gateway::Gateway;
use fanfare::model::audience::{Audience, AudienceLimits};
use fanfare::model::broadcast::{Broadcast, BroadcastRequest, Content, Lane, Payloads, Priority};
use fanfare::model::id::{BroadcastId, HubId, HubName};
use fanfare::model::installation::{Installation, InstallationLimits};
use fanfare::model::platform::Platform;
use fanfare::model::time::Timestamp;
use fanfare::queue::memory::MemoryQueue;
use fanfare::store::Retention;
use fanfare::store::sqlite::{Mode, SqliteStore};
use fanfare::store::{Change, NewBroadcast, OutcomeItem, OutcomeQuery, Store};

use crate::gate::{Gate, Gated};
use crate::gateway::{self, FakeGateway};

/// What survives processes.
pub struct World {
    _folder: tempfile::TempDir,
    path: PathBuf,
    pub service: Arc<gateway::Service>,
    /// Milliseconds since 1970 at which the next process starts.
    now: AtomicI64,
    pub settings: Settings,
}

/// One process.
pub struct Process {
    pub store: Arc<dyn Store>,
    pub fanout: Service,
    pub gateway: Arc<FakeGateway>,
    pub clock: SharedClock,
    pub gate: Arc<Gate>,
    pub hub: HubId,
}

struct OneGateway(Arc<FakeGateway>);

impl Gateways for OneGateway {
    fn gateway(&self, _: HubId, platform: Platform) -> Option<Arc<dyn Gateway>> {
        (platform == Platform::Apns).then(|| self.0.clone() as Arc<dyn Gateway>)
    }

    fn rate_per_second(&self, _: HubId, _: Platform) -> u32 {
        0
    }
}

impl World {
    pub fn new(service: Arc<gateway::Service>, settings: Settings) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("fanfare.db");
        Self { _folder: folder, path, service, now: AtomicI64::new(1_800_000_000_000), settings }
    }

    /// Lives one process until `life` ends, then kills it where it stands. Time stands still unless somebody waits.
    pub fn live<T>(&self, gate: Arc<Gate>, life: impl AsyncFnOnce(&Process) -> T) -> T {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().expect("a runtime");
        let made = runtime.block_on(async {
            let clock: SharedClock =
                Arc::new(TokioClock::starting_at(Timestamp::from_millis(self.now.load(Ordering::SeqCst))));
            let process = self.process(clock.clone(), gate).await;
            let made = life(&process).await;
            self.now.store(clock.now().plus(Duration::from_millis(250)).millis(), Ordering::SeqCst);
            made
        });
        runtime.shutdown_background();
        made
    }

    async fn process(&self, clock: SharedClock, gate: Arc<Gate>) -> Process {
        let store = SqliteStore::open(&self.path, Mode::Inline, clock.clone(), Retention::default());
        let store: Arc<dyn Store> = Arc::new(store.expect("the store opens"));
        self.second(store, clock, gate).await
    }

    /// Another process on the same store, as on a second node.
    pub async fn second(&self, store: Arc<dyn Store>, clock: SharedClock, gate: Arc<Gate>) -> Process {
        let hub = match store.hubs().await.expect("hubs can be read").first() {
            Some(hub) => hub.id,
            None => store.put_hub(&HubName::parse("demo").unwrap(), Vec::new()).await.expect("a hub").id,
        };
        let store: Arc<dyn Store> = Arc::new(Gated { store, gate: gate.clone() });
        let gateway = Arc::new(FakeGateway::new(self.service.clone(), clock.clone()));
        let fanout = Service::start(
            store.clone(),
            Arc::new(MemoryQueue::new(clock.clone())),
            Arc::new(OneGateway(gateway.clone())),
            Arc::new(NoMeter),
            clock.clone(),
            self.settings,
            Role::All,
        );
        Process { store, fanout, gateway, clock, gate, hub }
    }
}

/// The token of a device: its number at the end.
pub fn token(device: u64) -> String {
    format!("{:048x}{device:016x}", 0xfa_u8)
}

/// An installation of an iPhone with tags.
pub fn installation(device: u64, tags: &[&str]) -> Installation {
    let document = serde_json::json!({
        "installationId": format!("dev-{device}"), "platform": "apns", "pushChannel": token(device), "tags": tags,
    });
    Installation::parse(document.to_string().as_bytes(), None, &InstallationLimits::default()).expect("a good document")
}

/// A broadcast to an audience with defaults for the rest.
pub fn request(audience: &str) -> BroadcastRequest {
    BroadcastRequest {
        audience: audience.to_owned(),
        content: Content::Payloads(Payloads::from([("apns".to_owned(), r#"{"aps":{"alert":"x"}}"#.to_owned())])),
        ttl_seconds: 86_400,
        collapse_key: None,
        priority: Priority::High,
        lane: Lane::Bulk,
        weight: 1,
        rate_per_second: 0,
        schedule_at: None,
    }
}

impl Process {
    /// Registers devices `from..to`, each with the tag `all` and one of `even` and `odd`.
    pub async fn register(&self, from: u64, to: u64) {
        for chunk in (from..to).collect::<Vec<_>>().chunks(500) {
            let put = |device: &u64| {
                let parity = if device.is_multiple_of(2) { "even" } else { "odd" };
                Change::Put(Box::new(installation(*device, &["all", parity])))
            };
            self.store.apply(self.hub, chunk.iter().map(put).collect()).await.expect("devices can register");
        }
    }

    pub async fn send(&self, request: BroadcastRequest) -> BroadcastId {
        let audience = Audience::parse(&request.audience, &AudienceLimits::default()).expect("a good audience");
        let new = NewBroadcast { hub: self.hub, request, audience, idempotency: None, sample: None };
        self.fanout.accept(new).await.expect("accepted").id
    }

    pub async fn broadcast(&self, id: BroadcastId) -> Broadcast {
        self.store.broadcast(self.hub, id).await.expect("readable").expect("known")
    }

    /// Waits until the broadcast is over.
    pub async fn finished(&self, id: BroadcastId) -> Broadcast {
        self.until(id, |broadcast| broadcast.times.finished.is_some()).await
    }

    /// Waits until the broadcast is as wanted; turned time makes looking cheap. Gives up after ten days.
    pub async fn until(&self, id: BroadcastId, wanted: impl Fn(&Broadcast) -> bool) -> Broadcast {
        let start = self.clock.now();
        loop {
            let broadcast = self.broadcast(id).await;
            if wanted(&broadcast) {
                return broadcast;
            }
            assert!(
                self.clock.now().since(start) < Duration::from_secs(864_000),
                "not in ten days: {broadcast:?} {:?}",
                self.fanout.blocked_senders(self.hub)
            );
            let lived = self.clock.now().since(start);
            tokio::time::sleep((lived / 50).clamp(Duration::from_millis(20), Duration::from_secs(60))).await;
        }
    }

    pub async fn outcomes(&self, id: BroadcastId) -> Vec<OutcomeItem> {
        let (mut items, mut from) = (Vec::new(), None);
        loop {
            let query = OutcomeQuery { from, limit: 1_000, ..OutcomeQuery::default() };
            let page = self.store.outcomes(self.hub, id, query).await.expect("readable").expect("known");
            items.extend(page.items);
            match page.next {
                Some(next) => from = Some(next),
                None => return items,
            }
        }
    }
}
