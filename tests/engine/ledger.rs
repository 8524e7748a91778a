//! What a server of ours did with each request, held against the word that the worker got (`push-services.md` 0.5).

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare::gateway::Answer;
use fanfare::model::verdict::Verdict;
use parking_lot::Mutex;

/// How often a request may come: once, and again each time that the transport sends it anew.
const MOST_RECEIPTS: usize = 4;

/// What became of one receipt of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Its HEADERS came.
    Begun,
    /// All of it came: it may be processed.
    Whole,
    /// A final status was put on its way before all of it came. Should that be lost, the client may try again when it had
    /// not written all.
    Early,
    /// All of it came, and a final status was put on its way.
    Answered,
    /// The client was told that it was not processed (REFUSED_STREAM, GOAWAY).
    Unprocessed,
    /// Its HEADERS came on a connection whose GOAWAY had told already that it would not be processed. When they were
    /// written nobody knows: the client may since have sent it anew elsewhere, and that may have come first.
    Late,
}

impl Fate {
    const fn may_be_processed(self) -> bool {
        matches!(self, Self::Whole | Self::Answered)
    }
}

/// One receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Receipt {
    pub(crate) seq: u64,
    at: usize,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger(Arc<Mutex<Books>>);

#[derive(Debug, Default)]
struct Books {
    fates: BTreeMap<u64, Vec<Fate>>,
    /// What the client did against the rules.
    breaches: Vec<String>,
}

impl Ledger {
    pub(crate) fn begun(&self, seq: u64) -> Receipt {
        let mut books = self.0.lock();
        let fates = books.fates.entry(seq).or_default();
        fates.push(Fate::Begun);
        Receipt { seq, at: fates.len() - 1 }
    }

    /// What was answered stays so, whatever the server says afterwards.
    pub(crate) fn set(&self, receipt: Receipt, fate: Fate) {
        if let Some(fates) = self.0.lock().fates.get_mut(&receipt.seq) {
            let fate_now = &mut fates[receipt.at];
            *fate_now = match (*fate_now, fate) {
                (Fate::Begun, Fate::Answered) => Fate::Early,
                (Fate::Early, Fate::Whole) | (Fate::Answered, _) => Fate::Answered,
                (Fate::Early, _) => Fate::Early,
                _ => fate,
            };
        }
    }

    pub(crate) fn receipts(&self, seq: u64) -> usize {
        self.0.lock().fates.get(&seq).map_or(0, Vec::len)
    }

    pub(crate) fn fates(&self, seq: u64) -> Vec<Fate> {
        self.0.lock().fates.get(&seq).cloned().unwrap_or_default()
    }

    pub(crate) fn breach(&self, what: String) {
        self.0.lock().breaches.push(what);
    }

    /// What is wrong with these words; empty when they are as they must be. `gentle`: the server gave every request its
    /// answer in the end, so that all must be delivered.
    pub(crate) fn faults(&self, told: &BTreeMap<u64, Answer>, gentle: bool) -> Vec<String> {
        let books = self.0.lock();
        let mut faults = books.breaches.clone();
        for (seq, what) in told {
            let fates = books.fates.get(seq).map_or(&[][..], Vec::as_slice);
            let mut fault = |rule: &str| faults.push(format!("target {seq} {rule}: {fates:?}, told {what:?}"));
            if fates.len() > MOST_RECEIPTS {
                fault("was sent too often");
            }
            let processed = fates.iter().position(|fate| fate.may_be_processed());
            if processed.is_some_and(|at| fates[at + 1..].iter().any(|fate| *fate != Fate::Late)) {
                fault("was sent again though it may have been processed");
            }
            let delivered = matches!(what, Answer::Verdict { verdict: Verdict::Delivered, .. });
            match what {
                _ if delivered && !fates.iter().any(|fate| matches!(fate, Fate::Answered | Fate::Early)) => {
                    fault("was never answered")
                }
                _ if delivered => {}
                _ if gentle => fault("was not delivered"),
                Answer::Verdict { verdict: Verdict::ConnAmbiguous, .. } => {}
                Answer::Verdict { verdict: Verdict::ConnSafe, .. } | Answer::Unsent(_) => {
                    if processed.is_some() {
                        fault("may have been processed");
                    }
                }
                Answer::Verdict { .. } => fault("was never told so"),
            }
        }
        faults
    }
}
