//! The handles of all metrics. Hot ones are looked up once per (hub, platform) and are atomics from then on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::{Mutex, RwLock};

use super::labels::{APPLIED, UNSENT, VERDICTS, applied_index, unsent_index, verdict_index};
use super::names::{self, Described, Kind};
use super::page;
use super::process::{self, Disk};
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
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Hubs by number, for labels. What is counted for a hub that is not here any more is not shown.
    hubs: RwLock<HashMap<HubId, HubMetrics>>,
    /// Names of deleted hubs. The recorder keeps a series for good, so theirs are left out of the page.
    deleted: Mutex<HashSet<HubName>>,
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

const METADATA: Metadata<'static> = Metadata::new("fanfare", Level::INFO, None);

fn key(metric: &Described, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

/// The place of a lane in arrays of handles.
fn place(lane: Lane) -> usize {
    Lane::ALL.iter().position(|known| *known == lane).unwrap_or(0)
}

impl Metrics {
    /// All metrics, described and at zero.
    pub fn new() -> Arc<Self> {
        let builder = names::BUCKETS.iter().fold(PrometheusBuilder::new(), |builder, (metric, bounds)| {
            // Fails for an empty list of bounds only; without bounds the exporter would show quantiles instead.
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds).unwrap_or_default()
        });
        let recorder = builder.build_recorder();
        for metric in names::ALL {
            let (name, unit) = (metric.name.into(), Some(metric.unit));
            let help = SharedString::const_str(metric.help);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram => recorder.describe_histogram(name, unit, help),
            }
        }
        let gauge = |metric: &Described, labels: &[(&'static str, &str)]| {
            recorder.register_gauge(&key(metric, labels), &METADATA)
        };
        gauge(&names::BUILD, &[("version", env!("CARGO_PKG_VERSION"))]).set(1.0);
        Arc::new(Self {
            queue_age: Lane::ALL.map(|lane| gauge(&names::QUEUE_AGE, &[("lane", lane.label())])),
            first_send: Lane::ALL.map(|lane| {
                recorder.register_histogram(&key(&names::FIRST_SEND, &[("lane", lane.label())]), &METADATA)
            }),
            commits: Mutex::default(),
            store_file: OnceLock::new(),
            deleted: Mutex::default(),
            handle: recorder.handle(),
            recorder,
            hubs: RwLock::default(),
            senders: RwLock::default(),
            gateways: Mutex::default(),
        })
    }

    /// A handle of one series.
    pub fn counter(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder.register_counter(&key(metric, labels), &METADATA)
    }

    /// A handle of one series.
    pub fn gauge(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(metric, labels), &METADATA)
    }

    /// A handle of one series.
    pub fn histogram(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Histogram {
        self.recorder.register_histogram(&key(metric, labels), &METADATA)
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

    /// A hub was deleted: nothing of it is shown any more, unless one of that name is made again.
    pub fn forget_hub(&self, id: HubId) {
        let Some(hub) = self.hubs.write().remove(&id) else { return };
        self.senders.write().retain(|(of, _), _| *of != id);
        self.gateways.lock().retain(|(of, _), _| *of != hub.name);
        self.deleted.lock().insert(hub.name);
    }

    /// Says what a hub's number is called. Its series exist from then on, at zero.
    pub fn name_hub(&self, id: HubId, name: &HubName) {
        self.deleted.lock().remove(name);
        if self.hubs.read().contains_key(&id) {
            return;
        }
        let hub = [("hub", name.as_str())];
        let made = HubMetrics {
            name: name.clone(),
            conservation: self.gauge(&names::CONSERVATION, &hub),
            registrations: APPLIED.map(|result| self.counter(&names::REGISTRATIONS, &[hub[0], ("result", result)])),
            broadcasts: self.counter(&names::BROADCASTS, &hub),
            accept: self.histogram(&names::ACCEPT, &hub),
        };
        self.hubs.write().entry(id).or_insert(made);
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
            let connections = self.gauge(&names::GATEWAY_CONNECTIONS, &labels);
            GatewayMetrics { meters: Vec::new(), connections, streams: self.gauge(&names::GATEWAY_STREAMS, &labels) }
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
        let mut page = self.handle.render();
        page::leave_out_hubs(&mut page, &self.deleted.lock());
        page::commits(&mut page, &self.commits.lock());
        if let Some(usage) = &usage {
            page::cpu(&mut page, usage.cpu_seconds);
        }
        page
    }

    /// Moves observations into their buckets: without it they gather in memory until somebody renders.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    /// A hub is named before it can have a sender; one without a name was deleted.
    fn sender(&self, hub: HubId, platform: Platform) -> Option<Arc<SenderMetrics>> {
        if let Some(known) = self.senders.read().get(&(hub, platform)) {
            return Some(known.clone());
        }
        let hubs = self.hubs.read();
        let name = &hubs.get(&hub)?.name;
        let labels = [("hub", name.as_str()), ("platform", platform.label())];
        let by = |metric: &Described, label: &'static str, value: &'static str| {
            self.counter(metric, &[labels[0], labels[1], (label, value)])
        };
        let made = Arc::new(SenderMetrics {
            outcomes: Outcome::ALL.map(|outcome| by(&names::OUTCOMES, "outcome", outcome.label())),
            verdicts: VERDICTS.map(|verdict| by(&names::VERDICTS, "verdict", verdict)),
            unsent: UNSENT.map(|cause| by(&names::UNSENT, "cause", cause)),
            retries: self.counter(&names::RETRIES, &labels),
            paused: self.gauge(&names::SENDER_PAUSED, &labels),
            breaker: self.gauge(&names::DROP_BREAKER, &labels),
            throttled: self.gauge(&names::SENDER_THROTTLED, &labels),
            shards: self.gauge(&names::SHARDS_HELD, &labels),
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
