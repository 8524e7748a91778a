//! A worker's side of the gateway seam, for the suites of all gateways: what was said of the targets of a batch.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare::gateway::{Answer, Reply, Unsent};
use fanfare::model::verdict::{Reason, Verdict};
use tokio::sync::mpsc::UnboundedReceiver;

/// What no test takes unless something hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Waits for the word on each of so many targets; each gets exactly one, and nobody else any.
pub(crate) async fn gather(owed: usize, mut replies: UnboundedReceiver<Vec<Reply>>) -> Told {
    let mut told = BTreeMap::new();
    let gathered = tokio::time::timeout(PATIENCE, async {
        while let Some(pile) = replies.recv().await {
            for Reply { seq, what } in pile {
                assert_eq!(told.insert(seq.0, what), None, "target {seq} was answered twice");
            }
        }
    });
    let hung = gathered.await.is_err();
    assert!(!hung && told.len() == owed, "{} of {owed} were answered", told.len());
    Told(told)
}

/// The word on each target.
#[derive(Debug)]
pub(crate) struct Told(pub(crate) BTreeMap<u64, Answer>);

impl Told {
    pub(crate) fn verdict(&self, seq: u64) -> (Verdict, &str) {
        match &self.0[&seq] {
            Answer::Verdict { verdict, reason, .. } => (verdict.clone(), reason.as_ref().map_or("", Reason::as_str)),
            Answer::Unsent(why) => panic!("target {seq} was not sent: {why:?}"),
        }
    }

    /// Those with this verdict.
    pub(crate) fn with(&self, wanted: &Verdict) -> Vec<u64> {
        self.0.iter().filter(|(_, what)| has(what, wanted)).map(|(seq, _)| *seq).collect()
    }

    pub(crate) fn count(&self, wanted: &Verdict) -> usize {
        self.with(wanted).len()
    }

    pub(crate) fn unsent(&self, wanted: Unsent) -> usize {
        self.0.values().filter(|what| **what == Answer::Unsent(wanted)).count()
    }

    pub(crate) fn assert_all(&self, wanted: &Verdict) {
        assert_eq!(self.0.iter().find(|(_, what)| !has(what, wanted)), None);
    }
}

fn has(what: &Answer, wanted: &Verdict) -> bool {
    matches!(what, Answer::Verdict { verdict, .. } if verdict == wanted)
}
