//! Owed against received: what a broadcast should have done, computed from the devices, against what the simulated
//! gateway wrote down. Nothing in it comes from the service.
mod judgement;
mod predicate;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

pub use judgement::Judgement;
pub use predicate::Predicate;

use crate::{
    devices::Devices,
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

/// What one installed population is owed, broadcast after broadcast.
#[derive(Debug)]
pub struct Oracle {
    devices: Devices,
    population: u64,
    /// Devices that a gateway has refused for good: whether the service has dropped them is its own judgement, so they
    /// are owed nothing more, and are no strangers either.
    excused: HashSet<u64>,
}

impl Oracle {
    /// Devices 0 to `population - 1` are registered.
    pub fn new(devices: Devices, population: u64) -> Self {
        Self { devices, population, excused: HashSet::new() }
    }

    /// How many devices a broadcast to this audience is owed to.
    pub fn owed(&self, audience: &Predicate) -> u64 {
        (0..self.population).filter(|n| self.owes(audience, *n)).count() as u64
    }

    fn owes(&self, audience: &Predicate, n: u64) -> bool {
        audience.holds(n) && !self.excused.contains(&n)
    }

    /// Judges the receipts of one broadcast: they must hold no other's. `body` is the
    /// [`body_hash`](crate::gateways::receipts::body_hash) of its payload. Devices that were refused for good are
    /// excused from the next broadcast on.
    pub fn judge(&mut self, audience: &Predicate, receipts: &Receipts, body: u64) -> Judgement {
        let owed = (0..self.population).map(|n| if self.owes(audience, n) { OWED } else { 0 });
        let mut books = Books { devices: owed.collect(), ..Books::default() };
        each(receipts, |receipt| books.enter(self, receipt, body));
        let repeated: HashSet<u64> = books.numbers(|state| state & TIMES > 1).collect();
        let other_ids = if repeated.is_empty() { Vec::new() } else { self.other_ids(receipts, &repeated) };
        let judgement = books.close(self, &repeated, &other_ids);
        self.excused.extend(books.numbers(|state| state & REFUSED != 0));
        judgement
    }

    /// Of the repeated devices those whose acceptances carry more than one message id. A pass of its own, so that only
    /// the ids of repeats are kept.
    fn other_ids(&self, receipts: &Receipts, repeated: &HashSet<u64>) -> Vec<u64> {
        let mut ids: HashMap<u64, uuid::Uuid> = HashMap::with_capacity(repeated.len());
        let mut other = HashSet::new();
        each(receipts, |receipt| {
            let device = self.devices.of_token(receipt.token.as_bytes()).filter(|n| repeated.contains(n));
            if let Some(n) = device.filter(|_| receipt.accepted())
                && *ids.entry(n).or_insert(receipt.id) != receipt.id
            {
                other.insert(n);
            }
        });
        let mut other: Vec<u64> = other.into_iter().collect();
        other.sort_unstable();
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
    accepted: u64,
    wrong_payload: u64,
    wrong: Vec<u64>,
    strangers: BTreeSet<u64>,
    /// Accepted for a token that no device has.
    unknown_tokens: u64,
    refusals: BTreeMap<String, u64>,
}

impl Books {
    fn enter(&mut self, oracle: &Oracle, receipt: &Receipt, body: u64) {
        let device = oracle.devices.of_token(receipt.token.as_bytes()).filter(|n| *n < oracle.population);
        let place = device.and_then(|n| Some((n, self.devices.get_mut(usize::try_from(n).ok()?)?)));
        if receipt.accepted() {
            let Some((n, state)) = place else {
                self.unknown_tokens += 1;
                return;
            };
            self.accepted += 1;
            if *state & TIMES < TIMES {
                *state += 1;
            }
            if *state & OWED == 0 && !oracle.excused.contains(&n) {
                self.strangers.insert(n);
            }
            if receipt.body != body {
                self.wrong_payload += 1;
                if self.wrong.len() < NAMED {
                    self.wrong.push(n);
                }
            }
        } else if refused_for_good(receipt.status) {
            if let Some((_, state)) = place {
                *state |= REFUSED;
            }
            let reason = receipt.reason.as_deref().unwrap_or("without a reason");
            *self.refusals.entry(format!("{} {reason}", receipt.status)).or_default() += 1;
        }
    }

    fn numbers(&self, of: impl Fn(u8) -> bool) -> impl Iterator<Item = u64> {
        (0..).zip(&self.devices).filter_map(move |(n, state)| of(*state).then_some(n))
    }

    fn close(&self, oracle: &Oracle, repeated: &HashSet<u64>, other_ids: &[u64]) -> Judgement {
        let count = |of: fn(u8) -> bool| self.numbers(of).count() as u64;
        let is_missing = |state: u8| state & OWED != 0 && state & (TIMES | REFUSED) == 0;
        let distinct = count(|state| state & TIMES > 0);
        let mut examples = BTreeMap::new();
        let mut name = |fault: &'static str, numbers: Vec<u64>| {
            if !numbers.is_empty() {
                examples.insert(fault, numbers.iter().map(|n| format!("{n} ({})", oracle.devices.id(*n))).collect());
            }
        };
        name("missing", self.numbers(is_missing).take(NAMED).collect());
        name("wrong payload", self.wrong.clone());
        name("strangers", self.strangers.iter().copied().take(NAMED).collect());
        name("repeated with another apns-id", other_ids.iter().copied().take(NAMED).collect());
        Judgement {
            owed: count(|state| state & OWED != 0),
            received: count(|state| state & OWED != 0 && state & TIMES > 0),
            missing: count(is_missing),
            repeated: repeated.len() as u64,
            extra: self.accepted - distinct,
            other_ids: other_ids.len() as u64,
            wrong_payload: self.wrong_payload,
            strangers: self.strangers.len() as u64 + self.unknown_tokens,
            refused: count(|state| state & OWED != 0 && state & REFUSED != 0 && state & TIMES == 0),
            refusals: self.refusals.clone(),
            examples,
        }
    }
}

/// Answers of APNs after which nobody may try again (push-services.md 1.5): the device or the request is at fault, not
/// the moment or the credentials.
const fn refused_for_good(status: u16) -> bool {
    matches!(status, 400 | 404 | 405 | 410 | 413)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gateways::{
        Answer, Token,
        receipts::{Draft, Fate, body_hash},
    };

    const POPULATION: u64 = 200;
    const BODY: &[u8] = b"{}";

    struct Scene {
        devices: Devices,
        oracle: Oracle,
        audience: Predicate,
        receipts: Receipts,
    }

    impl Scene {
        fn new(audience: &str) -> Self {
            let devices = Devices::new(5);
            Self {
                devices,
                oracle: Oracle::new(devices, POPULATION),
                audience: Predicate::parse(devices, audience).unwrap(),
                receipts: Receipts::default(),
            }
        }

        fn push(&self, token: &[u8], id: u8, body: &[u8], answer: &Answer) {
            let draft = Draft {
                token: Token::new(token),
                id: [id; 16],
                status: 0,
                reason: None,
                fate: Fate::Answered,
                body: body_hash(body),
                collapse: 0,
                full: None,
            };
            self.receipts.add(&mut vec![draft.outcome(Fate::Answered, answer)]);
        }

        fn deliver(&self, n: u64) {
            self.push(&self.devices.token(n), 1, BODY, &Answer::accepted());
        }

        fn deliver_all(&self) {
            (0..POPULATION).filter(|n| self.audience.holds(*n)).for_each(|n| self.deliver(n));
        }

        fn judge(&mut self) -> Judgement {
            self.oracle.judge(&self.audience, &self.receipts, body_hash(BODY))
        }
    }

    #[test]
    fn everyone_once_is_good() {
        let mut scene = Scene::new("all");
        scene.deliver_all();
        let judgement = scene.judge();
        assert!(judgement.is_good());
        assert_eq!(judgement.to_string(), "owed 200 received 200 missing 0 repeated 0");
    }

    #[test]
    fn who_is_left_out_is_missing() {
        let mut scene = Scene::new("news");
        let owed = scene.oracle.owed(&scene.audience);
        scene.deliver_all();
        scene.audience = Predicate::parse(scene.devices, "news || u:0 || u:1").unwrap();
        let more = scene.oracle.owed(&scene.audience) - owed;
        assert!(more > 0);
        let judgement = scene.judge();
        assert_eq!((judgement.missing, judgement.received, judgement.is_good()), (more, owed, false));
        assert!(judgement.details()[0].starts_with("missing: device 0 ("), "{:?}", judgement.details());
    }

    #[test]
    fn repeats_are_told_apart_by_their_ids() {
        let mut scene = Scene::new("all");
        scene.deliver_all();
        scene.deliver(3);
        scene.deliver(3);
        let judgement = scene.judge();
        assert_eq!((judgement.repeated, judgement.extra, judgement.other_ids), (1, 2, 0));
        assert!(judgement.is_good());
        scene.push(&scene.devices.token(4), 9, BODY, &Answer::accepted());
        let judgement = scene.judge();
        assert_eq!((judgement.repeated, judgement.extra, judgement.other_ids), (2, 3, 1));
        assert!(!judgement.is_good());
    }

    #[test]
    fn strangers_and_wrong_payloads_are_faults() {
        let mut scene = Scene::new("news");
        scene.deliver_all();
        let stranger = (0..POPULATION).find(|n| !scene.audience.holds(*n)).unwrap();
        scene.deliver(stranger);
        scene.push(&[7; 32], 1, BODY, &Answer::accepted());
        scene.deliver(POPULATION);
        let judgement = scene.judge();
        assert_eq!((judgement.strangers, judgement.is_good()), (3, false));

        let mut scene = Scene::new("u:1");
        scene.push(&scene.devices.token(1), 1, b"{\"other\":1}", &Answer::accepted());
        let judgement = scene.judge();
        assert_eq!((judgement.wrong_payload, judgement.received, judgement.is_good()), (1, 1, false));
    }

    #[test]
    fn who_is_refused_for_good_is_not_missing_and_excused_afterwards() {
        let mut scene = Scene::new("u:1 || u:2");
        scene.deliver(1);
        scene.push(&scene.devices.token(2), 1, BODY, &Answer::refused(410, "Unregistered"));
        let judgement = scene.judge();
        assert_eq!((judgement.owed, judgement.received, judgement.refused, judgement.missing), (2, 1, 1, 0));
        assert!(judgement.is_good());
        assert_eq!(judgement.details(), ["refused 1: 410 Unregistered × 1"]);
        assert_eq!(scene.oracle.owed(&scene.audience), 1);
        scene.receipts.clear();
        scene.deliver(1);
        scene.deliver(2);
        let judgement = scene.judge();
        assert_eq!((judgement.owed, judgement.strangers, judgement.is_good()), (1, 0, true));
    }

    #[test]
    fn who_was_asked_to_wait_and_never_served_is_missing() {
        let mut scene = Scene::new("u:2");
        scene.push(&scene.devices.token(2), 1, BODY, &Answer::refused(503, "ServiceUnavailable"));
        assert_eq!(scene.judge().missing, 1);
    }
}
