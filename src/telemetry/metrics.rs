//! The handles of all metrics. Hot ones are looked up once per (hub, platform) and are atomics from then on.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::sync::{Arc, Weak};
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use parking_lot::{Mutex, RwLock};

use super::names::{self, Described, Kind};
use super::process;
use crate::fanout::Meter;
use crate::gateway::transport::GatewayMeter;
use crate::gateway::{Answer, Reply, Unsent};
use crate::model::broadcast::Lane;
use crate::model::id::{HubId, HubName};
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::model::verdict::Verdict;
use crate::store::{Applied, Commits};

/// The metrics of one service.
pub struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
    /// Hubs by number, for labels. A deleted hub keeps its name: its series go on.
    hubs: RwLock<HashMap<HubId, HubMetrics>>,
    senders: RwLock<HashMap<(HubId, Platform), Arc<SenderMetrics>>>,
    gateways: Mutex<HashMap<(HubName, Platform), GatewayMetrics>>,
    queue_age: [Gauge; 2],
    resident: Gauge,
}

#[derive(Clone)]
struct HubMetrics {
    name: HubName,
    conservation: Gauge,
    registrations: [Counter; APPLIED.len()],
    broadcasts: Counter,
}

struct SenderMetrics {
    outcomes: [Counter; Outcome::ALL.len()],
    verdicts: [Counter; VERDICTS.len()],
    unsent: [Counter; UNSENT.len()],
    paused: Gauge,
    breaker: Gauge,
}

/// The gauges of one hub's gateways of one platform: more than one while a replaced one finishes.
struct GatewayMetrics {
    meters: Vec<Weak<GatewayMeter>>,
    connections: Gauge,
    streams: Gauge,
}

const APPLIED: [&str; 5] = ["created", "updated", "touched", "deleted", "absent"];

const fn applied_index(applied: Applied) -> usize {
    match applied {
        Applied::Created => 0,
        Applied::Updated => 1,
        Applied::Touched => 2,
        Applied::Deleted => 3,
        Applied::Absent => 4,
    }
}

/// Labels of verdicts, in the order of [`verdict_index`].
const VERDICTS: [&str; 10] = [
    "delivered",
    "drop_token",
    "env_mismatch",
    "fix_request",
    "refused",
    "credentials",
    "throttle",
    "retry",
    "conn_safe",
    "conn_ambiguous",
];

const fn verdict_index(verdict: &Verdict) -> usize {
    match verdict {
        Verdict::Delivered => 0,
        Verdict::DropToken { .. } => 1,
        Verdict::EnvMismatch => 2,
        Verdict::FixRequest { .. } => 3,
        Verdict::Refused => 4,
        Verdict::Credentials => 5,
        Verdict::Throttle { .. } => 6,
        Verdict::Retry { .. } => 7,
        Verdict::ConnSafe => 8,
        Verdict::ConnAmbiguous => 9,
    }
}

const UNSENT: [&str; 4] = ["deadline", "stopped", "unreachable", "closed"];

const fn unsent_index(unsent: Unsent) -> usize {
    match unsent {
        Unsent::Deadline => 0,
        Unsent::Stopped => 1,
        Unsent::Unreachable => 2,
        Unsent::Closed => 3,
    }
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

impl Metrics {
    /// All metrics, described and at zero.
    pub fn new() -> Arc<Self> {
        let builder = PrometheusBuilder::new();
        // Fails for an empty list of bounds only; without bounds the exporter would show quantiles instead.
        let builder = builder
            .set_buckets_for_metric(Matcher::Full(names::HTTP_SECONDS.name.to_owned()), &names::HTTP_SECONDS_BUCKETS)
            .unwrap_or_default();
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
            resident: gauge(&names::RESIDENT, &[]),
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

    /// Says what a hub's number is called. Its series exist from then on, at zero.
    pub fn name_hub(&self, id: HubId, name: &HubName) {
        if self.hubs.read().contains_key(&id) {
            return;
        }
        let hub = [("hub", name.as_str())];
        let made = HubMetrics {
            name: name.clone(),
            conservation: self.gauge(&names::CONSERVATION, &hub),
            registrations: APPLIED.map(|result| self.counter(&names::REGISTRATIONS, &[hub[0], ("result", result)])),
            broadcasts: self.counter(&names::BROADCASTS, &hub),
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
    }

    /// A broadcast was accepted.
    pub fn accepted(&self, hub: HubId) {
        if let Some(hub) = self.hubs.read().get(&hub) {
            hub.broadcasts.increment(1);
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
        let Some(usage) = process::usage() else { return self.handle.render() };
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; memory is far below 2^53 bytes")]
        self.resident.set(usage.resident_bytes as f64);
        let mut page = self.handle.render();
        // The recorder's counters are whole numbers, so this one is written here.
        let Described { name, help, .. } = names::CPU;
        let cpu = usage.cpu_seconds;
        // Writing to a string cannot fail.
        let _ = write!(page, "# HELP {name} {help}\n# TYPE {name} counter\n{name} {cpu}\n\n");
        page
    }

    /// Moves observations into their buckets: without it they gather in memory until somebody renders.
    pub fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn sender(&self, hub: HubId, platform: Platform) -> Arc<SenderMetrics> {
        if let Some(known) = self.senders.read().get(&(hub, platform)) {
            return known.clone();
        }
        // A hub is named before it can have a sender; a number is what is left to say otherwise.
        let name = self.hubs.read().get(&hub).map_or_else(|| hub.to_string(), |hub| hub.name.to_string());
        let labels = [("hub", name.as_str()), ("platform", platform.label())];
        let by = |metric: &Described, label: &'static str, value: &'static str| {
            self.counter(metric, &[labels[0], labels[1], (label, value)])
        };
        let made = Arc::new(SenderMetrics {
            outcomes: Outcome::ALL.map(|outcome| by(&names::OUTCOMES, "outcome", outcome.label())),
            verdicts: VERDICTS.map(|verdict| by(&names::VERDICTS, "verdict", verdict)),
            unsent: UNSENT.map(|cause| by(&names::UNSENT, "cause", cause)),
            paused: self.gauge(&names::SENDER_PAUSED, &labels),
            breaker: self.gauge(&names::DROP_BREAKER, &labels),
        });
        self.senders.write().entry((hub, platform)).or_insert(made).clone()
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
        let sender = self.sender(hub, platform);
        let counted = sender.verdicts.iter().zip(verdicts).chain(sender.unsent.iter().zip(unsent));
        counted.filter(|(_, count)| *count > 0).for_each(|(counter, count)| counter.increment(count));
    }

    fn outcomes(&self, hub: HubId, platform: Platform, outcome: Outcome, targets: u64) {
        self.sender(hub, platform).outcomes[usize::from(outcome.code())].increment(targets);
    }

    fn sender(&self, hub: HubId, platform: Platform, paused: bool, breaker_open: bool) {
        let sender = self.sender(hub, platform);
        sender.paused.set(f64::from(u8::from(paused)));
        sender.breaker.set(f64::from(u8::from(breaker_open)));
    }

    fn conservation(&self, differences: &BTreeMap<HubId, u64>) {
        for (id, hub) in self.hubs.read().iter() {
            #[expect(clippy::cast_precision_loss, reason = "a gauge is a float; that it is not 0 is what counts")]
            hub.conservation.set(differences.get(id).copied().unwrap_or(0) as f64);
        }
    }

    fn queue_age(&self, lane: Lane, age: Duration) {
        let at = Lane::ALL.iter().position(|known| *known == lane).unwrap_or(0);
        self.queue_age[at].set(age.as_secs_f64());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::id::Seq;

    #[test]
    fn verdict_labels_are_those_of_the_model() {
        use crate::model::verdict::ThrottleScope;
        let all = [
            Verdict::Delivered,
            Verdict::DropToken { since: None },
            Verdict::EnvMismatch,
            Verdict::FixRequest { for_all: true },
            Verdict::Refused,
            Verdict::Credentials,
            Verdict::Throttle { scope: ThrottleScope::Target, after: None },
            Verdict::Retry { after: None },
            Verdict::ConnSafe,
            Verdict::ConnAmbiguous,
        ];
        for verdict in all {
            assert_eq!(VERDICTS[verdict_index(&verdict)], verdict.label());
        }
    }

    #[test]
    fn what_is_counted_is_shown_with_bounded_labels() {
        let metrics = Metrics::new();
        let (hub, platform) = (HubId(7), Platform::Apns);
        metrics.name_hub(hub, &HubName::parse("demo").unwrap());
        let delivered = Answer::Verdict { verdict: Verdict::Delivered, reason: None, written_at: None };
        let stopped = Answer::Unsent(Unsent::Stopped);
        let replies = [(1, &delivered), (2, &delivered), (3, &stopped)];
        let replies = replies.map(|(seq, what)| Reply { seq: Seq(seq), what: what.clone() });
        metrics.replies(hub, platform, &replies);
        metrics.outcomes(hub, platform, Outcome::Skipped, 5);
        Meter::sender(&*metrics, hub, platform, true, false);
        metrics.conservation(&BTreeMap::new());
        metrics.queue_age(Lane::Bulk, Duration::from_millis(1_500));
        metrics.registered(hub, &[Applied::Created, Applied::Touched, Applied::Created]);
        metrics.accepted(hub);
        let page = metrics.render();
        for line in [
            r#"fanfare_verdicts_total{hub="demo",platform="apns",verdict="delivered"} 2"#,
            r#"fanfare_unsent_total{hub="demo",platform="apns",cause="stopped"} 1"#,
            r#"fanfare_outcomes_total{hub="demo",platform="apns",outcome="skipped"} 5"#,
            r#"fanfare_sender_paused{hub="demo",platform="apns"} 1"#,
            r#"fanfare_drop_breaker_open{hub="demo",platform="apns"} 0"#,
            r#"fanfare_conservation_difference{hub="demo"} 0"#,
            r#"fanfare_queue_age_seconds{lane="bulk"} 1.5"#,
            r#"fanfare_registrations_total{hub="demo",result="created"} 2"#,
            r#"fanfare_broadcasts_total{hub="demo"} 1"#,
            "# TYPE fanfare_process_cpu_seconds_total",
        ] {
            assert!(page.lines().any(|shown| shown.starts_with(line)), "{line}\n{page}");
        }
    }
}
