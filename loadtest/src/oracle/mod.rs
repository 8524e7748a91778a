//! Owed against received: what a broadcast should have done, computed from the devices, against what the simulated
//! gateways wrote down. Nothing in it comes from the service.
//!
//! - [`Predicate`]: who is in an audience.
//! - [`Judgement`], [`Tally`]: what came out.
//! - `answers`: what an answer says of the device.
mod answers;
mod judgement;
mod predicate;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use self::answers::{Meaning, meaning};
pub use self::{
    judgement::{Judgement, Tally},
    predicate::Predicate,
};
use crate::{
    devices::{Devices, Platform},
    gateways::{Receipt, Receipts},
};

/// Receipts that are looked at under one lock.
const PAGE: usize = 4096;
/// Device numbers that a judgement names for each fault.
const NAMED: usize = 3;

/// One byte for each device: ten million devices take 10 MB.
const OWED: u8 = 0x80;
const REFUSED: u8 = 0x40;
/// Acceptances; the last value stands for all higher ones.
const TIMES: u8 = 0x3f;

/// What one gateway saw of a broadcast.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    pub platform: Platform,
    pub receipts: &'a Receipts,
    /// What [`Receipt::body`] must be.
    pub body: u64,
    /// Bodies of broadcasts that are judged by themselves; receipts that have one are passed over. `None`: the receipts
    /// are of this broadcast alone.
    pub others: Option<&'a HashSet<u64>>,
}

impl Evidence<'_> {
    fn concerns(&self, receipt: &Receipt) -> bool {
        receipt.body == self.body || self.others.is_none_or(|others| !others.contains(&receipt.body))
    }
}

/// What one installed population is owed, broadcast after broadcast.
#[derive(Debug)]
pub struct Oracle {
    devices: Devices,
    population: u64,
    /// Owed nothing, and no strangers either. Those that a gateway has refused for good among them: whether the service
    /// has dropped them is its own judgement.
    excused: HashSet<u64>,
}

impl Oracle {
    /// Devices 0 to `population - 1` are registered.
    pub fn new(devices: Devices, population: u64) -> Self {
        Self { devices, population, excused: HashSet::new() }
    }

    /// These are owed nothing, and are no strangers either: whether they are registered is not known.
    pub fn excuse(&mut self, devices: impl IntoIterator<Item = u64>) {
        self.excused.extend(devices);
    }

    /// How many are excused.
    pub fn excused(&self) -> u64 {
        self.excused.len() as u64
    }

    /// How many devices a broadcast to this audience is owed to, on these platforms.
    pub fn owed(&self, audience: &Predicate, platforms: &[Platform]) -> u64 {
        (0..self.population).filter(|n| self.owes(audience, platforms, *n)).count() as u64
    }

    fn owes(&self, audience: &Predicate, platforms: &[Platform], n: u64) -> bool {
        platforms.contains(&self.devices.platform(n)) && audience.holds(n) && !self.excused.contains(&n)
    }

    /// Judges one broadcast on the platforms that there is evidence of. Devices that were refused for good are excused
    /// from the next broadcast on.
    pub fn judge(&mut self, audience: &Predicate, evidence: &[Evidence<'_>]) -> Judgement {
        let platforms: Vec<_> = evidence.iter().map(|evidence| evidence.platform).collect();
        let owed = (0..self.population).map(|n| if self.owes(audience, &platforms, n) { OWED } else { 0 });
        let mut books = Books { devices: owed.collect(), ..Books::default() };
        for of_one in evidence {
            each(of_one.receipts, |receipt| {
                if of_one.concerns(receipt) {
                    books.enter(self, of_one, receipt);
                }
            });
        }
        let other_ids = evidence.iter().flat_map(|of_one| self.other_ids(&books, of_one)).collect();
        let judgement = books.close(self, &platforms, &other_ids);
        self.excused.extend(books.numbers(|state| state & REFUSED != 0));
        judgement
    }

    /// Of the repeated devices those whose acceptances carry more than one message id. A pass of its own, so that only
    /// the ids of repeats are kept.
    fn other_ids(&self, books: &Books, evidence: &Evidence<'_>) -> BTreeSet<u64> {
        let mut other = BTreeSet::new();
        let repeated: HashSet<u64> = books.numbers(|state| state & TIMES > 1).collect();
        if evidence.platform != Platform::Apns || repeated.is_empty() {
            return other;
        }
        let mut ids: HashMap<u64, uuid::Uuid> = HashMap::with_capacity(repeated.len());
        each(evidence.receipts, |receipt| {
            let device = self.devices.of_booked(evidence.platform, receipt.token.as_bytes());
            if let Some(n) = device.filter(|n| repeated.contains(n))
                && evidence.concerns(receipt)
                && meaning(evidence.platform, receipt) == Meaning::Delivered
                && *ids.entry(n).or_insert(receipt.id) != receipt.id
            {
                other.insert(n);
            }
        });
        other
    }
}

fn each(receipts: &Receipts, mut look: impl FnMut(&Receipt)) {
    let mut cursor = 0;
    loop {
        let page = receipts.page(cursor, PAGE);
        if page.is_empty() {
            return;
        }
        cursor += page.len() as u64;
        page.iter().for_each(&mut look);
    }
}

/// The receipts of one broadcast, sorted into devices.
#[derive(Default)]
struct Books {
    devices: Vec<u8>,
    /// What is counted request by request; the rest follows from `devices`.
    tallies: BTreeMap<Platform, Tally>,
    wrong: Vec<u64>,
    strangers: BTreeSet<u64>,
}

impl Books {
    fn enter(&mut self, oracle: &Oracle, evidence: &Evidence<'_>, receipt: &Receipt) {
        let Evidence { platform, body, .. } = *evidence;
        let device = oracle.devices.of_booked(platform, receipt.token.as_bytes()).filter(|n| *n < oracle.population);
        let place = device.and_then(|n| Some((n, self.devices.get_mut(usize::try_from(n).ok()?)?)));
        let tally = self.tallies.entry(platform).or_default();
        match (meaning(platform, receipt), place) {
            // Accepted for an address that no device of this platform has.
            (Meaning::Delivered, None) => tally.strangers += 1,
            (Meaning::Delivered, Some((n, state))) => {
                if *state & TIMES > 0 {
                    tally.extra += 1;
                }
                if *state & TIMES < TIMES {
                    *state += 1;
                }
                if *state & OWED == 0 && !oracle.excused.contains(&n) && self.strangers.insert(n) {
                    tally.strangers += 1;
                }
                if receipt.body != body {
                    tally.wrong_payload += 1;
                    if self.wrong.len() < NAMED {
                        self.wrong.push(n);
                    }
                }
            }
            (Meaning::RefusedForGood, place) => {
                if let Some((_, state)) = place {
                    *state |= REFUSED;
                }
                let reason = receipt.reason.as_deref().unwrap_or("without a reason");
                *tally.refusals.entry(format!("{} {reason}", receipt.status)).or_default() += 1;
            }
            (Meaning::NotYet, _) => {}
        }
    }

    fn numbers(&self, of: impl Fn(u8) -> bool) -> impl Iterator<Item = u64> {
        (0..).zip(&self.devices).filter_map(move |(n, state)| of(*state).then_some(n))
    }

    fn close(&mut self, oracle: &Oracle, platforms: &[Platform], other_ids: &BTreeSet<u64>) -> Judgement {
        let is_missing = |state: u8| state & OWED != 0 && state & (TIMES | REFUSED) == 0;
        for platform in platforms {
            self.tallies.entry(*platform).or_default();
        }
        for (n, state) in (0..).zip(&self.devices) {
            let Some(tally) = self.tallies.get_mut(&oracle.devices.platform(n)) else { continue };
            let (owed, times) = (state & OWED != 0, state & TIMES);
            tally.owed += u64::from(owed);
            tally.received += u64::from(owed && times > 0);
            tally.missing += u64::from(is_missing(*state));
            tally.repeated += u64::from(times > 1);
            tally.refused += u64::from(owed && state & REFUSED != 0 && times == 0);
            tally.other_ids += u64::from(times > 1 && other_ids.contains(&n));
        }
        let mut examples = BTreeMap::new();
        let mut name = |fault: &'static str, numbers: Vec<u64>| {
            if !numbers.is_empty() {
                let named = |n: &u64| format!("{n} ({} {})", oracle.devices.platform(*n), oracle.devices.id(*n));
                examples.insert(fault, numbers.iter().map(named).collect());
            }
        };
        name("missing", self.numbers(is_missing).take(NAMED).collect());
        name("wrong payload", self.wrong.clone());
        name("strangers", self.strangers.iter().copied().take(NAMED).collect());
        name("repeated with another apns-id", other_ids.iter().copied().take(NAMED).collect());
        Judgement::new(std::mem::take(&mut self.tallies), examples)
    }
}

#[cfg(test)]
mod tests;
