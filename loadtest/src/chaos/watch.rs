//! What must hold at every moment, looked at all the time: conservation, on every node that answers.
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{field::Door, timeline::Timeline};

const EVERY: Duration = Duration::from_millis(400);
/// A node that does not say by then is passed over: it may be frozen.
const PATIENCE: Duration = Duration::from_secs(2);
/// Until a node knows its hubs.
const BEGINNING: Duration = Duration::from_secs(15);

/// The nodes' own word, seen so often.
#[derive(Clone, Debug, Default)]
pub struct Watched {
    pub looks: u64,
    /// Readings of `fanfare_conservation_difference` that were not 0.
    pub breaches: Vec<String>,
}

/// Looks at every node until it is stopped.
pub async fn conservation(nodes: Vec<Door>, timeline: Timeline, stop: CancellationToken) -> Watched {
    let mut watched = Watched::default();
    while tokio::time::timeout(EVERY, stop.cancelled()).await.is_err() {
        for node in &nodes {
            let Ok(Ok(metrics)) = tokio::time::timeout(PATIENCE, node.api.metrics()).await else { continue };
            // Absent while the store does not answer.
            let Some(difference) = metrics.sum("fanfare_conservation_difference") else { continue };
            watched.looks += 1;
            if difference != 0.0 {
                let breach = format!("{}: fanfare_conservation_difference {difference}", node.name);
                timeline.say(&breach);
                watched.breaches.push(breach);
            }
        }
    }
    watched
}

/// The sum over the hubs of one node. One that has just begun is given the time to learn its hubs; `None` when it does not
/// say even then.
pub async fn difference(node: &Door) -> Option<f64> {
    let saying = async {
        loop {
            if let Ok(metrics) = node.api.metrics().await
                && let Some(difference) = metrics.sum("fanfare_conservation_difference")
            {
                return difference;
            }
            tokio::time::sleep(EVERY).await;
        }
    };
    tokio::time::timeout(BEGINNING, saying).await.ok()
}
