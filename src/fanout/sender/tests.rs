use super::*;
use crate::clock::SystemClock;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

fn sender() -> Sender {
    Sender::new(SystemClock::shared(), &Fleet::default(), HubId(1), Platform::Fcm, Arc::default())
}

fn record(kind: HoldKind, until: i64, version: u64) -> SenderRecord {
    let hold = Hold { kind, reason: Reason::known("elsewhere"), since: at(0), until: at(until) };
    SenderRecord { hub: HubId(1), platform: Platform::Fcm, hold, version }
}

fn tell(sender: &Sender, version: u64) {
    let hold = sender.untold().unwrap();
    let stands = SenderRecord { hold: hold.clone(), ..record(hold.kind, 0, version) };
    sender.told(at(0), &hold, &Noted { stands: Some(stands), written: true });
}

#[test]
fn what_was_noted_of_a_sender_that_went_on_meanwhile_was_noted_in_vain() {
    let sender = sender();
    sender.pause(at(0), Reason::known("InvalidProviderToken"));
    let hold = sender.untold().unwrap();
    sender.resume();
    let stands = SenderRecord { hold: hold.clone(), ..record(hold.kind, 0, 7) };
    let noted = Noted { stands: Some(stands), written: true };
    assert_eq!(sender.told(at(1), &hold, &noted), Some(7));
    sender.pause(at(2), Reason::known("InvalidProviderToken"));
    let hold = sender.untold().unwrap();
    assert_eq!(sender.told(at(3), &hold, &noted), None);
}

#[test]
fn a_throttled_sender_opens_by_itself_and_a_paused_one_does_not() {
    let sender = sender();
    sender.throttle(at(0), Reason::known("slow"), Some(Duration::from_secs(30)));
    assert!(sender.blocked(at(29)).is_some());
    assert!(sender.blocked(at(30)).is_none());
    assert!(sender.pause(at(30), Reason::known("InvalidProviderToken")));
    assert!(!sender.pause(at(31), Reason::known("other")));
    sender.throttle(at(31), Reason::known("slow"), None);
    assert!(sender.blocked(at(1_000_000)).is_some_and(|hold| hold.is_paused()));
    assert!(sender.resume());
    assert!(sender.blocked(at(31)).is_none());
}

#[test]
fn probes_come_ever_later_and_never_after_mass_invalidation() {
    let sender = sender();
    sender.pause(at(0), Reason::known("Forbidden"));
    assert!(sender.probe_due(at(30)).is_none(), "nobody was told");
    tell(&sender, 1);
    assert!(sender.probe_due(at(29)).is_none());
    let mut due = Vec::new();
    for second in 30..4_000 {
        if let Some(claim) = sender.probe_due(at(second)) {
            due.push(second);
            sender.claimed(claim.hold, claim.version + 1);
        }
    }
    assert_eq!(due, [30, 60, 120, 240, 480, 960, 1_860, 2_760, 3_660]);
    sender.resume();
    sender.pause(at(0), MASS_INVALIDATION);
    tell(&sender, 9);
    assert!(sender.probe_due(at(10_000)).is_none());
}

#[test]
fn unreachable_waits_double_until_reached() {
    let sender = sender();
    let waited = |now: Timestamp| sender.blocked(now).map(|hold| hold.until.since(now));
    sender.unreachable(at(0));
    assert_eq!(waited(at(0)), Some(Duration::from_millis(500)));
    assert_eq!(waited(at(1)), None);
    sender.unreachable(at(1));
    assert_eq!(waited(at(1)), Some(Duration::from_secs(1)));
    assert_eq!(waited(at(2)), None);
    sender.reached();
    sender.unreachable(at(3));
    assert_eq!(waited(at(3)), Some(Duration::from_millis(500)));
}

#[test]
fn a_pause_and_a_rest_elsewhere_hold_here_and_an_outage_does_not() {
    use HoldKind::{Paused, Throttled, Unreachable};
    let sender = sender();
    sender.learn(at(1), Some(&record(Unreachable, 90, 1)), 1);
    assert!(sender.blocked(at(1)).is_none());
    sender.learn(at(1), Some(&record(Throttled, 1, 2)), 2);
    assert!(sender.blocked(at(1)).is_none(), "it is over");
    sender.learn(at(1), Some(&record(Throttled, 20, 3)), 3);
    assert_eq!(sender.blocked(at(1)).unwrap().until, at(20));
    sender.learn(at(2), Some(&record(Paused, 30, 4)), 4);
    assert!(sender.blocked(at(90)).unwrap().is_paused());
    assert_eq!((sender.untold(), sender.paused_version()), (None, Some(4)));
    sender.learn(at(90), None, 5);
    assert!(sender.blocked(at(90)).is_none());
}

#[test]
fn a_reading_from_before_its_note_ends_no_pause() {
    let sender = sender();
    sender.pause(at(0), Reason::known("Forbidden"));
    sender.learn(at(0), None, 7);
    assert!(sender.blocked(at(0)).is_some(), "nobody was told yet");
    tell(&sender, 8);
    sender.learn(at(0), None, 7);
    assert!(sender.blocked(at(0)).is_some());
    sender.learn(at(0), None, 8);
    assert!(sender.blocked(at(0)).is_none(), "it was released");
}

#[test]
fn answers_of_one_overload_are_told_once() {
    let sender = sender();
    let rest = |from: i64| sender.throttle(Timestamp::from_millis(from), Reason::known("slow"), None);
    rest(0);
    tell(&sender, 1);
    rest(20);
    assert_eq!(sender.untold(), None);
    rest(5_000);
    assert!(sender.untold().is_some());
}
