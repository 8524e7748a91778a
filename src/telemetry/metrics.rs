//! The handles of all metrics. Hot ones are looked up once per (hub, platform) and are atomics from then on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram};
use parking_lot::{Mutex, RwLock};

use super::labels::{APPLIED, UNSENT, VERDICTS, applied_index, unsent_index, verdict_index};
use super::names::{self, Described};
use super::page;
use super::process::{self, Disk};
use super::series::Series;
use crate::fanout::Meter;
use crate::gateway::transport::GatewayMeter;
use crate::gateway::{Answer, Reply};
use crate::model::broadcast::Lane;
use crate::model::id::{HubId, HubName};
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::store::{Applied, Commits};

/// The metrics of one service.
pub struct Metrics {
    /// What is not of a hub.
    own: Series,
    /// What is of a hub, by its name: a gateway is opened before its hub has a number.
    of_hubs: Mutex<BTreeMap<HubName, Arc<Series>>>,
    /// Hubs by number, for labels. What is counted for a hub that is not here any more is not shown.
    hubs: RwLock<HashMap<HubId, HubMetrics>>,
    senders: RwLock<HashMap<(HubId, Platform), Arc<SenderMetrics>>>,
    gateways: Mutex<HashMap<(HubName, Platform), GatewayMetrics>>,
    queue_age: [Gauge; 2],
    first_send: [Histogram; 2],
    /// What the store said last.
    commits: Mutex<Commits>,
    /// The embedded store's file.
    store_file: OnceLock<PathBuf>,
}

#[derive(Clone)]
struct HubMetrics {
    name: HubName,
    series: Arc<Series>,
    conservation: Gauge,
    registrations: [Counter; APPLIED.len()],
    broadcasts: Counter,
    accept: Histogram,
}

struct SenderMetrics {
    outcomes: [Counter; Outcome::ALL.len()],
    verdicts: [Counter; VERDICTS.len()],
    unsent: [Counter; UNSENT.len()],
    retries: Counter,
    paused: Gauge,
    breaker: Gauge,
    throttled: Gauge,
    shards: Gauge,
}

/// The gauges of one hub's gateways of one platform: more than one while a replaced one finishes.
struct GatewayMetrics {
    meters: Vec<Weak<GatewayMeter>>,
    connections: Gauge,
    streams: Gauge,
}

impl std::fmt::Debug for Metrics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Metrics").field("hubs", &self.hubs.read().len()).finish_non_exhaustive()
    }
}

/// The place of a lane in arrays of handles.
fn place(lane: Lane) -> usize {
    Lane::ALL.iter().position(|known| *known == lane).unwrap_or(0)
}

impl Metrics {
    /// All metrics, described and at zero.
    pub fn new() -> Arc<Self> {
        let own = Series::new(&names::ALL);
        own.gauge(&names::BUILD, &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        Arc::new(Self {
            queue_age: Lane::ALL.map(|lane| own.gauge(&names::QUEUE_AGE, &[("lane", lane.label())])),
            first_send: Lane::ALL.map(|lane| own.histogram(&names::FIRST_SEND, &[("lane", lane.label())])),
            commits: Mutex::default(),
            store_file: OnceLock::new(),
            own,
            of_hubs: Mutex::default(),
            hubs: RwLock::default(),
            senders: RwLock::default(),
            gateways: Mutex::default(),
        })
    }

    fn of_hub(&self, name: &HubName) -> Arc<Series> {
        let mut of_hubs = self.of_hubs.lock();
        of_hubs.entry(name.clone()).or_insert_with(|| Arc::new(Series::new(&names::OF_A_HUB))).clone()
    }

    /// A handle of one series.
    pub fn counter(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Counter {
        self.own.counter(metric, labels)
    }

    /// A handle of one series.
    pub fn gauge(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Gauge {
        self.own.gauge(metric, labels)
    }

    /// A handle of one series.
    pub fn histogram(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Histogram {
        self.own.histogram(metric, labels)
    }

    /// Shows how large the embedded store is and what is left beside it.
    pub fn watch_store(&self, file: &Path) {
        let _ = self.store_file.set(file.to_owned());
    }

    /// The store and the queue were asked: whether each answered, and whether requests can be served.
    pub fn asked(&self, store: bool, queue: bool, ready: bool) {
        for (dependency, up) in [("store", store), ("queue", queue)] {
            self.gauge(&names::DEPENDENCY_UP, &[("dependency", dependency)]).set(f64::from(u8::from(up)));
        }
        self.gauge(&names::READY, &[]).set(f64::from(u8::from(ready)));
    }

    /// A hub was deleted: nothing of it is shown or kept any more.
    pub fn forget_hub(&self, id: HubId) {
        let Some(hub) = self.hubs.write().remove(&id) else { return };
        self.senders.write().retain(|(of, _), _| *of != id);
        self.gateways.lock().retain(|(of, _), _| *of != hub.name);
        self.of_hubs.lock().remove(&hub.name);
    }

    /// Says what a hub's number is called. Its series exist from then on, at zero.
    pub fn name_hub(&self, id: HubId, name: &HubName) {
        let mut hubs = self.hubs.write();
        if hubs.contains_key(&id) {
            return;
        }
        let hub = [("hub", name.as_str())];
        let series = self.of_hub(name);
        let made = HubMetrics {
            name: name.clone(),
            conservation: series.gauge(&names::CONSERVATION, &hub),
            registrations: APPLIED.map(|result| series.counter(&names::REGISTRATIONS, &[hub[0], ("result", result)])),
            broadcasts: series.counter(&names::BROADCASTS, &hub),
            accept: series.histogram(&names::ACCEPT, &hub),
            series,
        };
        hubs.insert(id, made);
    }

    /// Installations of a hub were changed.
    pub fn registered(&self, hub: HubId, applied: &[Applied]) {
        let hubs = self.hubs.read();
        let Some(hub) = hubs.get(&hub) else { return };
        for applied in applied {
            hub.registrations[applied_index(*applied)].increment(1);
        }
    }

    /// What the store's group commit has done so far.
    pub fn committed(&self, commits: Commits) {
        self.counter(&names::STORE_GROUPS, &[]).absolute(commits.registration_groups);
        self.counter(&names::STORE_REGISTRATIONS, &[]).absolute(commits.registrations);
        self.set(&names::STORE_UNFOLDED, commits.unfolded);
        *self.commits.lock() = commits;
    }

    fn set(&self, metric: &Described, value: u64) {
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; rows and bytes are far below 2^53")]
        self.gauge(metric, &[]).set(value as f64);
    }

    /// A broadcast was accepted, which took that long.
    pub fn accepted(&self, hub: HubId, took: Duration) {
        if let Some(hub) = self.hubs.read().get(&hub) {
            hub.broadcasts.increment(1);
            hub.accept.record(took.as_secs_f64());
        }
    }

    /// Shows a gateway's gauges as long as it lives.
    pub fn watch_gateway(&self, hub: &HubName, platform: Platform, meter: &Arc<GatewayMeter>) {
        let mut gateways = self.gateways.lock();
        let watched = gateways.entry((hub.clone(), platform)).or_insert_with(|| {
            let labels = [("hub", hub.as_str()), ("platform", platform.label())];
            let series = self.of_hub(hub);
            let connections = series.gauge(&names::GATEWAY_CONNECTIONS, &labels);
            GatewayMetrics { meters: Vec::new(), connections, streams: series.gauge(&names::GATEWAY_STREAMS, &labels) }
        });
        watched.meters.push(Arc::downgrade(meter));
    }

    fn read_gateways(&self) {
        for watched in self.gateways.lock().values_mut() {
            let (mut connections, mut streams) = (0, 0);
            watched.meters.retain(|meter| {
                let Some(meter) = meter.upgrade() else { return false };
                connections += meter.connections();
                streams += meter.streams();
                true
            });
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; these are far below 2^53")]
            let (connections, streams) = (connections as f64, streams as f64);
            watched.connections.set(connections);
            watched.streams.set(streams);
        }
    }

    /// The exposition format of Prometheus, with what is only read when somebody looks.
    pub fn render(&self) -> String {
        self.read_gateways();
        if let Some(Disk { used, free }) = self.store_file.get().and_then(|file| process::disk(file)) {
            self.set(&names::STORE_SIZE, used);
            self.set(&names::STORE_FREE, free);
        }
        let usage = process::usage();
        if let Some(usage) = &usage {
            self.set(&names::RESIDENT, usage.resident_bytes);
            self.set(&names::OPEN_FILES, usage.open_files);
        }
        let of_hubs: Vec<_> = self.of_hubs.lock().values().cloned().collect();
        let mut page = page::join(std::iter::once(self.own.render()).chain(of_hubs.iter().map(|hub| hub.render())));
        page::commits(&mut page, &self.commits.lock());
        if let Some(usage) = &usage {
            page::cpu(&mut page, usage.cpu_seconds);
        }
        page
    }

    /// Keeps memory as it is: observations go into their buckets, what is left of hubs that were never made (their
    /// gateways were opened to see whether they can be) is let go.
    pub fn upkeep(&self) {
        // Held together: whoever names a hub or opens its gateway meanwhile must find its series where it put them.
        let (hubs, mut gateways) = (self.hubs.read(), self.gateways.lock());
        let made: HashSet<&HubName> = hubs.values().map(|hub| &hub.name).collect();
        let lives = |watched: &GatewayMetrics| watched.meters.iter().any(|meter| meter.strong_count() > 0);
        gateways.retain(|(hub, _), watched| made.contains(hub) || lives(watched));
        let mut of_hubs = self.of_hubs.lock();
        of_hubs.retain(|name, _| made.contains(name) || gateways.keys().any(|(hub, _)| hub == name));
        let of_hubs: Vec<_> = { of_hubs }.values().cloned().collect();
        drop((gateways, hubs));
        self.own.upkeep();
        of_hubs.iter().for_each(|hub| hub.upkeep());
    }

    /// A hub is named before it can have a sender; one without a name was deleted.
    fn sender(&self, hub: HubId, platform: Platform) -> Option<Arc<SenderMetrics>> {
        if let Some(known) = self.senders.read().get(&(hub, platform)) {
            return Some(known.clone());
        }
        let hubs = self.hubs.read();
        let HubMetrics { name, series, .. } = hubs.get(&hub)?;
        let labels = [("hub", name.as_str()), ("platform", platform.label())];
        let by = |metric: &Described, label: &'static str, value: &'static str| {
            series.counter(metric, &[labels[0], labels[1], (label, value)])
        };
        let made = Arc::new(SenderMetrics {
            outcomes: Outcome::ALL.map(|outcome| by(&names::OUTCOMES, "outcome", outcome.label())),
            verdicts: VERDICTS.map(|verdict| by(&names::VERDICTS, "verdict", verdict)),
            unsent: UNSENT.map(|cause| by(&names::UNSENT, "cause", cause)),
            retries: series.counter(&names::RETRIES, &labels),
            paused: series.gauge(&names::SENDER_PAUSED, &labels),
            breaker: series.gauge(&names::DROP_BREAKER, &labels),
            throttled: series.gauge(&names::SENDER_THROTTLED, &labels),
            shards: series.gauge(&names::SHARDS_HELD, &labels),
        });
        Some(self.senders.write().entry((hub, platform)).or_insert(made).clone())
    }
}

impl Meter for Metrics {
    fn replies(&self, hub: HubId, platform: Platform, replies: &[Reply]) {
        let (mut verdicts, mut unsent) = ([0_u64; VERDICTS.len()], [0_u64; UNSENT.len()]);
        for reply in replies {
            match &reply.what {
                Answer::Verdict { verdict, .. } => verdicts[verdict_index(verdict)] += 1,
                Answer::Unsent(cause) => unsent[unsent_index(*cause)] += 1,
            }
        }
        let Some(sender) = self.sender(hub, platform) else { return };
        let counted = sender.verdicts.iter().zip(verdicts).chain(sender.unsent.iter().zip(unsent));
        counted.filter(|(_, count)| *count > 0).for_each(|(counter, count)| counter.increment(count));
    }

    fn outcomes(&self, hub: HubId, platform: Platform, outcome: Outcome, targets: u64) {
        if let Some(sender) = self.sender(hub, platform) {
            sender.outcomes[usize::from(outcome.code())].increment(targets);
        }
    }

    fn retries(&self, hub: HubId, platform: Platform, targets: u64) {
        if let Some(sender) = self.sender(hub, platform) {
            sender.retries.increment(targets);
        }
    }

    fn sender(&self, hub: HubId, platform: Platform, paused: bool, breaker_open: bool) {
        let Some(sender) = self.sender(hub, platform) else { return };
        sender.paused.set(f64::from(u8::from(paused)));
        sender.breaker.set(f64::from(u8::from(breaker_open)));
    }

    fn resting(&self, hub: HubId, platform: Platform, resting: bool) {
        if let Some(sender) = self.sender(hub, platform) {
            sender.throttled.set(f64::from(u8::from(resting)));
        }
    }

    fn holds(&self, hub: HubId, platform: Platform, taken: bool) {
        if let Some(sender) = self.sender(hub, platform) {
            match taken {
                true => sender.shards.increment(1.0),
                false => sender.shards.decrement(1.0),
            }
        }
    }

    fn first_send(&self, lane: Lane, waited: Duration) {
        self.first_send[place(lane)].record(waited.as_secs_f64());
    }

    fn conservation(&self, differences: &BTreeMap<HubId, u64>) {
        for (id, hub) in self.hubs.read().iter() {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; that it is not 0 is what counts")]
            hub.conservation.set(differences.get(id).copied().unwrap_or(0) as f64);
        }
    }

    fn queue_age(&self, lane: Lane, age: Duration) {
        self.queue_age[place(lane)].set(age.as_secs_f64());
    }
}

#[cfg(test)]
mod tests;
