//! A recorder of its own for what ends together. A recorder keeps a series for good, so what belongs to one hub stands in
//! a recorder of that hub and goes with it: a thousand hubs that came and went leave nothing.

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder, SharedString};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

use super::names::{self, Described, Kind};

const METADATA: Metadata<'static> = Metadata::new("fanfare", Level::INFO, None);

/// Series that are shown together and end together.
pub(super) struct Series {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

fn key(metric: &Described, labels: &[(&'static str, &str)]) -> Key {
    let labels: Vec<Label> = labels.iter().map(|(name, value)| Label::new(*name, (*value).to_owned())).collect();
    Key::from_parts(metric.name, labels)
}

impl Series {
    /// None yet; these metrics may come, with their descriptions.
    pub(super) fn new(described: &[Described]) -> Self {
        let builder = names::BUCKETS.iter().fold(PrometheusBuilder::new(), |builder, (metric, bounds)| {
            // Fails for an empty list of bounds only; without bounds the exporter would show quantiles instead.
            builder.set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), bounds).unwrap_or_default()
        });
        let recorder = builder.build_recorder();
        for metric in described {
            let (name, unit) = (metric.name.into(), Some(metric.unit));
            let help = SharedString::const_str(metric.help);
            match metric.kind {
                Kind::Counter => recorder.describe_counter(name, unit, help),
                Kind::Gauge => recorder.describe_gauge(name, unit, help),
                Kind::Histogram => recorder.describe_histogram(name, unit, help),
            }
        }
        Self { handle: recorder.handle(), recorder }
    }

    pub(super) fn counter(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Counter {
        self.recorder.register_counter(&key(metric, labels), &METADATA)
    }

    pub(super) fn gauge(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Gauge {
        self.recorder.register_gauge(&key(metric, labels), &METADATA)
    }

    pub(super) fn histogram(&self, metric: &Described, labels: &[(&'static str, &str)]) -> Histogram {
        self.recorder.register_histogram(&key(metric, labels), &METADATA)
    }

    /// The exposition format of Prometheus.
    pub(super) fn render(&self) -> String {
        self.handle.render()
    }

    /// Moves observations into their buckets: without it they gather in memory until somebody renders.
    pub(super) fn upkeep(&self) {
        self.handle.run_upkeep();
    }
}
