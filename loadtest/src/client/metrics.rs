//! What `/metrics` says, in the text form of Prometheus.
use std::collections::BTreeMap;

/// One reading. Unlike rates over time it needs no history: runs compare two readings.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Metrics {
    /// By name, then by the labels as written between the braces.
    samples: BTreeMap<String, BTreeMap<String, f64>>,
}

impl Metrics {
    /// Lines that are no samples are passed over.
    pub fn parse(text: &str) -> Self {
        let mut samples: BTreeMap<String, BTreeMap<String, f64>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let Some((series, value)) = line.trim_end().rsplit_once(' ') else { continue };
            let Ok(value) = value.parse() else { continue };
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let labels = labels.strip_suffix('}').unwrap_or(labels);
            samples.entry(name.to_owned()).or_default().insert(labels.to_owned(), value);
        }
        Self { samples }
    }

    /// The sum over all label sets of that name; `None` when there is none.
    pub fn sum(&self, name: &str) -> Option<f64> {
        self.samples.get(name).map(|series| series.values().sum())
    }

    /// The sum over the label sets that hold all of these, `key` and `value`.
    pub fn sum_where(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let wanted: Vec<_> = labels.iter().map(|(key, value)| format!("{key}=\"{value}\"")).collect();
        let holds = |labels: &str| wanted.iter().all(|wanted| labels.split(',').any(|known| known == wanted));
        let series = self.samples.get(name)?;
        Some(series.iter().filter(|(labels, _)| holds(labels)).map(|(_, value)| value).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_read_with_and_without_labels() {
        let metrics = Metrics::parse(
            "# HELP a_total What.\n# TYPE a_total counter\na_total{hub=\"demo\",outcome=\"delivered\"} 7\n\
             a_total{hub=\"demo\",outcome=\"rejected\"} 2\nb 1.5\nbroken\n",
        );
        assert_eq!(metrics.sum("a_total"), Some(9.0));
        let outcome = |outcome| metrics.sum_where("a_total", &[("hub", "demo"), ("outcome", outcome)]);
        assert_eq!((outcome("delivered"), outcome("expired")), (Some(7.0), Some(0.0)));
        assert_eq!(metrics.sum_where("a_total", &[("hub", "other"), ("outcome", "delivered")]), Some(0.0));
        assert_eq!(metrics.sum("b"), Some(1.5));
        assert_eq!(metrics.sum("c"), None);
    }
}
