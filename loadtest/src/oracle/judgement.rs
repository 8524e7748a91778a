//! The verdict over one broadcast, and how it reads.
use std::{collections::BTreeMap, fmt, ops::AddAssign};

use serde::Serialize;

use crate::devices::Platform;

/// What became of the devices of one platform, or of all. Devices, unless something else is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
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
    /// Repeated with a different message id: a person would see two. Of APNs alone: the other services give each request
    /// an id of their own.
    pub other_ids: u64,
    /// Acceptances with another body than the broadcast's.
    pub wrong_payload: u64,
    /// Accepted without being owed.
    pub strangers: u64,
    /// Owed, and refused by the gateway for good.
    pub refused: u64,
    /// Refusals by status and reason, requests.
    pub refusals: BTreeMap<String, u64>,
}

/// One broadcast, on the platforms that were looked at.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judgement {
    #[serde(flatten)]
    pub total: Tally,
    pub platforms: BTreeMap<Platform, Tally>,
    /// A few devices for each fault.
    pub examples: BTreeMap<&'static str, Vec<String>>,
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.owed += other.owed;
        self.received += other.received;
        self.missing += other.missing;
        self.repeated += other.repeated;
        self.extra += other.extra;
        self.other_ids += other.other_ids;
        self.wrong_payload += other.wrong_payload;
        self.strangers += other.strangers;
        self.refused += other.refused;
        for (reason, count) in &other.refusals {
            *self.refusals.entry(reason.clone()).or_default() += count;
        }
    }
}

impl Tally {
    /// What the line of the contract leaves out, a line each; empty when everyone was served once.
    fn details(&self) -> Vec<String> {
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
        lines
    }
}

impl Judgement {
    pub fn new(platforms: BTreeMap<Platform, Tally>, examples: BTreeMap<&'static str, Vec<String>>) -> Self {
        let mut total = Tally::default();
        platforms.values().for_each(|tally| total += tally);
        Self { total, platforms, examples }
    }

    /// Nobody missing, nobody served who was not meant, every payload and every message id right.
    pub fn is_good(&self) -> bool {
        let Tally { missing, wrong_payload, strangers, other_ids, .. } = &self.total;
        missing + wrong_payload + strangers + other_ids == 0
    }

    /// What the line of the contract leaves out, platform by platform, and the examples.
    pub fn details(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for (platform, tally) in &self.platforms {
            let of_one = tally.details().into_iter();
            match self.platforms.len() {
                1 => lines.extend(of_one),
                _ => lines.extend(of_one.map(|line| format!("{platform}: {line}"))),
            }
        }
        let named = |(fault, devices): (&&str, &Vec<String>)| format!("{fault}: device {}", devices.join(", "));
        lines.extend(self.examples.iter().map(named));
        lines
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { owed, received, missing, repeated, .. } = self;
        write!(f, "owed {owed} received {received} missing {missing} repeated {repeated}")
    }
}

/// The line of the contract.
impl fmt::Display for Judgement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.total.fmt(f)
    }
}
