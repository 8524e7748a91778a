//! The verdict over one broadcast, and how it reads.
use std::{collections::BTreeMap, fmt};

use serde::Serialize;

/// Devices, unless something else is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// In the audience.
    pub owed: u64,
    /// Owed, and accepted at least once.
    pub received: u64,
    /// Owed, never accepted and not refused for good either.
    pub missing: u64,
    /// Accepted more than once.
    pub repeated: u64,
    /// Acceptances beyond the first of each device.
    pub extra: u64,
    /// Repeated with a different message id: a person would see two.
    pub other_ids: u64,
    /// Acceptances with another body than the broadcast's.
    pub wrong_payload: u64,
    /// Accepted without being owed.
    pub strangers: u64,
    /// Owed, and refused by the gateway for good.
    pub refused: u64,
    /// Refusals by status and reason, requests.
    pub refusals: BTreeMap<String, u64>,
    /// A few devices for each fault.
    pub examples: BTreeMap<&'static str, Vec<String>>,
}

impl Judgement {
    /// Nobody missing, nobody served who was not meant, every payload and every message id right.
    pub fn is_good(&self) -> bool {
        self.missing + self.wrong_payload + self.strangers + self.other_ids == 0
    }

    /// What the line of the contract leaves out, a line each; empty when everyone was served once.
    pub fn details(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.refused > 0 {
            let reasons: Vec<_> = self.refusals.iter().map(|(reason, count)| format!("{reason} × {count}")).collect();
            lines.push(format!("refused {}: {}", self.refused, reasons.join(", ")));
        }
        for (fault, count) in [
            ("accepted with the wrong payload", self.wrong_payload),
            ("strangers that were served", self.strangers),
            ("repeated with another apns-id", self.other_ids),
        ] {
            if count > 0 {
                lines.push(format!("{fault}: {count}"));
            }
        }
        let named = |(fault, devices): (&&str, &Vec<String>)| format!("{fault}: device {}", devices.join(", "));
        lines.extend(self.examples.iter().map(named));
        lines
    }
}

/// The line of the contract.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owed, received, missing, repeated, .. } = self;
        write!(f, "owed {owed} received {received} missing {missing} repeated {repeated}")
    }
}
