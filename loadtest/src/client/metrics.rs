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

    /// The sum over the label sets that hold `key="value"`.
    pub fn sum_where(&self, name: &str, key: &str, value: &str) -> Option<f64> {
        let label = format!("{key}=\"{value}\"");
        let series = self.samples.get(name)?;
        Some(series.iter().filter(|(labels, _)| labels.split(',').any(|known| known == label)).map(|(_, v)| v).sum())
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
        assert_eq!(metrics.sum_where("a_total", "outcome", "delivered"), Some(7.0));
        assert_eq!(metrics.sum_where("a_total", "outcome", "expired"), Some(0.0));
        assert_eq!(metrics.sum("b"), Some(1.5));
        assert_eq!(metrics.sum("c"), None);
    }
}
