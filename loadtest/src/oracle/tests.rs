//! The oracle against books that are made up, right and wrong in every way.
use super::*;
use crate::devices::Ports;
use crate::gateways::{
    Answer, Token,
    receipts::{Draft, Fate, body_hash},
};

const POPULATION: u64 = 200;
const BODY: &[u8] = b"{}";

/// Each gateway wants a body of its own.
fn body(platform: Platform) -> &'static [u8] {
    match platform {
        Platform::Apns => BODY,
        Platform::Fcm => b"fcm",
        Platform::Wns => b"wns",
        Platform::WebPush => b"web_push",
    }
}

struct Scene {
    devices: Devices,
    oracle: Oracle,
    audience: Predicate,
    receipts: BTreeMap<Platform, Receipts>,
}

impl Scene {
    fn new(audience: &str) -> Self {
        Self::with(audience, Devices::new(5))
    }

    fn mixed(audience: &str) -> Self {
        Self::with(
            audience,
            Devices::mixed(5, "apns=45,fcm=35,wns=10,web_push=10".parse().unwrap(), Ports { wns: 1, web_push: 2 }),
        )
    }

    fn with(audience: &str, devices: Devices) -> Self {
        Self {
            devices,
            oracle: Oracle::new(devices, POPULATION),
            audience: Predicate::parse(devices, audience).unwrap(),
            receipts: devices.platforms().into_iter().map(|platform| (platform, Receipts::default())).collect(),
        }
    }

    fn push(&self, token: &[u8], id: u8, body: &[u8], answer: &Answer) {
        self.push_at(Platform::Apns, token, id, body, answer);
    }

    fn push_at(&self, gateway: Platform, token: &[u8], id: u8, body: &[u8], answer: &Answer) {
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
        self.receipts[&gateway].add(&mut vec![draft.outcome(Fate::Answered, answer)]);
    }

    fn deliver(&self, n: u64) {
        self.answer(n, 1, &Answer::accepted());
    }

    /// At the device's own gateway, with the right body.
    fn answer(&self, n: u64, id: u8, answer: &Answer) {
        let platform = self.devices.platform(n);
        self.push_at(platform, &self.devices.booked(n), id, body(platform), answer);
    }

    fn first(&self, platform: Platform) -> u64 {
        (0..POPULATION).find(|n| self.devices.platform(*n) == platform).unwrap()
    }

    fn owed(&self) -> u64 {
        self.oracle.owed(&self.audience, &self.devices.platforms())
    }

    fn deliver_all(&self) {
        (0..POPULATION).filter(|n| self.audience.holds(*n)).for_each(|n| self.deliver(n));
    }

    fn judge(&mut self) -> Judgement {
        let evidence: Vec<_> = self
            .receipts
            .iter()
            .map(|(platform, receipts)| Evidence {
                platform: *platform,
                receipts,
                body: body_hash(body(*platform)),
                others: None,
            })
            .collect();
        self.oracle.judge(&self.audience, &evidence)
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
    let owed = scene.owed();
    scene.deliver_all();
    scene.audience = Predicate::parse(scene.devices, "news || u:0 || u:1").unwrap();
    let more = scene.owed() - owed;
    assert!(more > 0);
    let judgement = scene.judge();
    assert_eq!((judgement.total.missing, judgement.total.received, judgement.is_good()), (more, owed, false));
    assert!(judgement.details()[0].starts_with("missing: device 0 ("), "{:?}", judgement.details());
}

#[test]
fn repeats_are_told_apart_by_their_ids() {
    let mut scene = Scene::new("all");
    scene.deliver_all();
    scene.deliver(3);
    scene.deliver(3);
    let judgement = scene.judge();
    assert_eq!((judgement.total.repeated, judgement.total.extra, judgement.total.other_ids), (1, 2, 0));
    assert!(judgement.is_good());
    scene.push(&scene.devices.token(4), 9, BODY, &Answer::accepted());
    let judgement = scene.judge();
    assert_eq!((judgement.total.repeated, judgement.total.extra, judgement.total.other_ids), (2, 3, 1));
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
    assert_eq!((judgement.total.strangers, judgement.is_good()), (3, false));

    let mut scene = Scene::new("u:1");
    scene.push(&scene.devices.token(1), 1, b"{\"other\":1}", &Answer::accepted());
    let judgement = scene.judge();
    assert_eq!((judgement.total.wrong_payload, judgement.total.received, judgement.is_good()), (1, 1, false));
}

#[test]
fn who_is_refused_for_good_is_not_missing_and_excused_afterwards() {
    let mut scene = Scene::new("u:1 || u:2");
    scene.deliver(1);
    scene.push(&scene.devices.token(2), 1, BODY, &Answer::refused(410, "Unregistered"));
    let judgement = scene.judge();
    assert_eq!(
        (judgement.total.owed, judgement.total.received, judgement.total.refused, judgement.total.missing),
        (2, 1, 1, 0)
    );
    assert!(judgement.is_good());
    assert_eq!(judgement.details(), ["refused 1: 410 Unregistered × 1"]);
    assert_eq!(scene.owed(), 1);
    scene.receipts.values().for_each(Receipts::clear);
    scene.deliver(1);
    scene.deliver(2);
    let judgement = scene.judge();
    assert_eq!((judgement.total.owed, judgement.total.strangers, judgement.is_good()), (1, 0, true));
}

#[test]
fn who_was_asked_to_wait_and_never_served_is_missing() {
    let mut scene = Scene::new("u:2");
    scene.push(&scene.devices.token(2), 1, BODY, &Answer::refused(503, "ServiceUnavailable"));
    assert_eq!(scene.judge().total.missing, 1);
}

#[test]
fn each_platform_is_judged_and_so_is_the_sum() {
    let mut scene = Scene::mixed("all");
    scene.deliver_all();
    let judgement = scene.judge();
    assert!(judgement.is_good(), "{:?}", judgement.details());
    assert_eq!(judgement.to_string(), "owed 200 received 200 missing 0 repeated 0");
    assert_eq!(judgement.platforms.keys().copied().collect::<Vec<_>>(), Platform::ALL);
    for (platform, tally) in &judgement.platforms {
        let owed = (0..POPULATION).filter(|n| scene.devices.platform(*n) == *platform).count() as u64;
        assert!(owed > 0);
        assert_eq!((tally.owed, tally.received), (owed, owed), "{platform}");
    }
}

#[test]
fn a_fault_is_told_with_its_platform() {
    let mut scene = Scene::mixed("all");
    let [apns, fcm, wns, web_push] = Platform::ALL.map(|platform| scene.first(platform));
    let audience = format!("u:{apns} || u:{fcm} || u:{wns} || u:{web_push}");
    scene.audience = Predicate::parse(scene.devices, &audience).unwrap();
    scene.deliver_all();
    // A repeat with another id: only APNs shows its devices the id.
    for n in [apns, fcm, wns, web_push] {
        scene.answer(n, 2, &Answer::accepted());
    }
    let judgement = scene.judge();
    let other = |platform| judgement.platforms[&platform].other_ids;
    assert_eq!(Platform::ALL.map(other), [1, 0, 0, 0]);
    assert_eq!((judgement.total.repeated, judgement.total.extra), (4, 4));
    assert_eq!(judgement.details()[0], "apns: repeated with another apns-id: 1");

    // Another platform's body, and an address that is another platform's.
    let mut scene = Scene::mixed("all");
    scene.deliver_all();
    scene.push_at(Platform::Fcm, &scene.devices.booked(fcm), 1, BODY, &Answer::accepted());
    scene.push_at(Platform::Wns, &scene.devices.token(apns), 1, b"wns", &Answer::accepted());
    let judgement = scene.judge();
    assert_eq!(judgement.platforms[&Platform::Fcm].wrong_payload, 1);
    assert_eq!(judgement.platforms[&Platform::Wns].strangers, 1);
    assert!(!judgement.is_good());
}

#[test]
fn a_platform_without_evidence_is_owed_nothing() {
    let mut scene = Scene::mixed("all");
    scene.deliver_all();
    scene.receipts.retain(|platform, _| *platform == Platform::Apns);
    let judgement = scene.judge();
    assert!(judgement.is_good());
    assert_eq!(judgement.total.owed, scene.oracle.owed(&scene.audience, &[Platform::Apns]));
    assert!(judgement.total.owed < POPULATION);
    assert_eq!(judgement.platforms.len(), 1);
}

#[test]
fn an_accepted_request_that_was_dropped_is_refused_and_one_throttled_is_missing() {
    let mut scene = Scene::mixed("all");
    let wns = scene.first(Platform::Wns);
    scene.audience = Predicate::parse(scene.devices, &format!("u:{wns}")).unwrap();
    scene.answer(wns, 1, &Answer::refused(200, "channelthrottled"));
    assert_eq!(scene.judge().platforms[&Platform::Wns].missing, 1);
    scene.answer(wns, 1, &Answer::refused(200, "dropped"));
    let judgement = scene.judge();
    let tally = &judgement.platforms[&Platform::Wns];
    assert_eq!((tally.missing, tally.refused, tally.received), (0, 1, 0));
    assert_eq!(judgement.details(), ["wns: refused 1: 200 dropped × 1"]);
}

#[test]
fn broadcasts_at_the_same_time_are_told_apart_by_their_bodies() {
    let mut scene = Scene::new("all");
    let (mine, other, nobodys): (&[u8], &[u8], &[u8]) = (BODY, b"other", b"nobody's");
    for n in 0..POPULATION {
        let token = scene.devices.token(n);
        scene.push(&token, 1, mine, &Answer::accepted());
        scene.push(&token, 2, other, &Answer::accepted());
    }
    scene.push(&scene.devices.token(0), 3, nobodys, &Answer::accepted());
    let others = HashSet::from([body_hash(mine), body_hash(other)]);
    let evidence = Evidence {
        platform: Platform::Apns,
        receipts: &scene.receipts[&Platform::Apns],
        body: body_hash(mine),
        others: Some(&others),
    };
    let Tally { missing, repeated, wrong_payload, .. } = scene.oracle.judge(&scene.audience, &[evidence]).total;
    assert_eq!((missing, repeated, wrong_payload), (0, 1, 1), "only what nobody sent is wrong");
}

#[test]
fn the_excused_are_neither_owed_nor_strangers() {
    let mut scene = Scene::new("all");
    scene.oracle.excuse([0, 1]);
    for n in 1..POPULATION {
        scene.push(&scene.devices.token(n), 1, BODY, &Answer::accepted());
    }
    let judgement = scene.judge();
    assert!(judgement.is_good(), "{judgement:?}");
    assert_eq!(judgement.total.owed, POPULATION - 2);
}
