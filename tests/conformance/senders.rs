//! Changes of hubs by several processes, and what keeps senders.

use fanfare::model::id::{HubId, HubName};
use fanfare::model::platform::Platform;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::Reason;
use fanfare::store::{Hold, HoldKind, InsteadOf, SenderRecord, Store, StoreError};

use super::registry::on_every_bench;
use super::wait;

fn name(text: &str) -> HubName {
    HubName::parse(text).unwrap()
}

fn hold(kind: HoldKind, reason: &str, since: i64, until: i64) -> Hold {
    let at = |second: i64| Timestamp::from_millis(1_769_941_800_000 + second * 1_000);
    Hold { kind, reason: Reason::foreign(reason), since: at(since), until: at(until) }
}

fn revision(store: &dyn Store) -> u64 {
    wait(store.hubs_revision()).unwrap()
}

fn replace(store: &dyn Store, settings: &[u8], seen: Option<(HubId, u64)>) -> Option<(HubId, u64)> {
    let renewed = [Platform::Apns];
    let replaced = wait(store.replace_hub(&name("demo"), settings.to_vec(), seen, &renewed)).unwrap();
    replaced.map(|record| (record.id, record.version))
}

fn note(store: &dyn Store, hub: HubId, hold: &Hold, instead_of: InsteadOf) -> (Option<SenderRecord>, bool) {
    let noted = wait(store.hold_sender(hub, Platform::Apns, hold.clone(), instead_of)).unwrap();
    (noted.stands, noted.written)
}

#[test]
fn a_hub_is_replaced_only_over_what_was_seen() {
    on_every_bench(|bench, settle| {
        let first = replace(bench.store(), b"1", None).expect("there was none");
        assert_eq!(replace(bench.store(), b"2", None), None, "somebody made it");
        settle(bench);
        let second = replace(bench.store(), b"2", Some(first)).expect("nothing came between");
        assert_eq!((second.0, second.1), (first.0, first.1 + 1));
        assert_eq!(replace(bench.store(), b"3", Some(first)), None, "it is of an older version");
        settle(bench);
        assert_eq!(wait(bench.store().hubs()).unwrap()[0].settings, b"2");
        assert!(wait(bench.store().delete_hub(&name("demo"))).unwrap());
        assert_eq!(replace(bench.store(), b"3", Some(second)), None, "it is gone");
        let again = replace(bench.store(), b"1", None).expect("there is none any more");
        assert!(again.0 > first.0);
        assert_eq!(again.1, first.1);
        assert_eq!(replace(bench.store(), b"3", Some(first)), None, "the version is that of another hub");
    });
}

#[test]
fn every_change_moves_the_revision_and_nothing_else_does() {
    on_every_bench(|bench, settle| {
        let mut known = revision(bench.store());
        let mut moved = |store: &dyn Store| {
            let before = std::mem::replace(&mut known, revision(store));
            assert!(known >= before);
            known > before
        };
        let hub = wait(bench.store().put_hub(&name("demo"), b"1".to_vec())).unwrap();
        assert!(moved(bench.store()));
        settle(bench);
        assert!(!moved(bench.store()), "it outlives the process");
        let next = replace(bench.store(), b"2", Some((hub.id, hub.version)));
        assert!(next.is_some() && moved(bench.store()));
        let paused = hold(HoldKind::Paused, "Forbidden", 0, 30);
        let (stands, _) = note(bench.store(), hub.id, &paused, InsteadOf::Weaker);
        assert!(moved(bench.store()));
        assert_eq!(stands.unwrap().version, revision(bench.store()));
        super::registry::apply(bench.store(), hub.id, vec![super::registry::put(super::registry::device(1, &["a"]))]);
        wait(bench.store().hubs()).unwrap();
        wait(bench.store().senders()).unwrap();
        assert!(!moved(bench.store()));
        wait(bench.store().release_sender(hub.id, Platform::Apns, None)).unwrap();
        assert!(moved(bench.store()));
        assert!(wait(bench.store().delete_hub(&name("demo"))).unwrap() && moved(bench.store()));
    });
}

#[test]
fn a_hold_is_noted_claimed_and_released() {
    on_every_bench(|bench, settle| {
        let hub = super::registry::hub(bench.store());
        let rest = hold(HoldKind::Throttled, "slow", 0, 60);
        let (stands, written) = note(bench.store(), hub, &rest, InsteadOf::Weaker);
        assert!(written);
        assert_eq!(stands.unwrap().hold, rest);
        let paused = hold(HoldKind::Paused, "InvalidProviderToken", 1, 31);
        let first = note(bench.store(), hub, &paused, InsteadOf::Weaker).0.unwrap();
        settle(bench);
        assert_eq!(wait(bench.store().senders()).unwrap(), std::slice::from_ref(&first));
        let (stands, written) = note(bench.store(), hub, &rest, InsteadOf::Weaker);
        assert_eq!((stands.as_ref(), written), (Some(&first), false), "a pause stays");
        // Two want to probe: one of them may.
        let later = Hold { until: paused.until.plus(std::time::Duration::from_secs(60)), ..paused };
        let (stands, written) = note(bench.store(), hub, &later, InsteadOf::Version(first.version));
        assert!(written);
        let second = stands.unwrap();
        assert_eq!(note(bench.store(), hub, &later, InsteadOf::Version(first.version)), (Some(second.clone()), false));
        let release = |only| wait(bench.store().release_sender(hub, Platform::Apns, only)).unwrap();
        assert_eq!(release(Some(first.version)), None, "it is another one by now");
        assert_eq!(release(Some(second.version)), Some(second.clone()));
        assert_eq!(release(None), None);
        assert_eq!(wait(bench.store().senders()).unwrap(), []);
        assert_eq!(note(bench.store(), hub, &later, InsteadOf::Version(second.version)), (None, false));
        settle(bench);
        assert_eq!(wait(bench.store().senders()).unwrap(), []);
    });
}

#[test]
fn holds_end_with_their_account_and_with_their_hub() {
    on_every_bench(|bench, settle| {
        let seen = replace(bench.store(), b"1", None).unwrap();
        let paused = hold(HoldKind::Paused, "Forbidden", 0, 30);
        note(bench.store(), seen.0, &paused, InsteadOf::Weaker);
        let fcm = wait(bench.store().hold_sender(seen.0, Platform::Fcm, paused.clone(), InsteadOf::Weaker)).unwrap();
        settle(bench);
        let seen = replace(bench.store(), b"2", Some(seen)).unwrap();
        assert_eq!(wait(bench.store().senders()).unwrap(), [fcm.stands.unwrap()], "APNs has a new account");
        assert!(wait(bench.store().delete_hub(&name("demo"))).unwrap());
        assert_eq!(wait(bench.store().senders()).unwrap(), []);
        let lost = wait(bench.store().hold_sender(seen.0, Platform::Fcm, paused.clone(), InsteadOf::Weaker));
        assert!(matches!(lost, Err(StoreError::NoHub)));
    });
}
