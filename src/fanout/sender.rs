//! A hub's sender for one platform: whether it may send now, and what its answers say about addresses as a whole.
//!
//! A paused sender (bad credentials, tripped breaker) and a throttled one hold no slot: shards that meet them are given
//! back. Nothing here is durable; a restart finds out again with one answer.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::breaker::Breaker;
use super::pace::{Fleet, Pacer};
use crate::clock::SharedClock;
use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::queue::Paced;

/// How long a project rests when its service gives no delay (`push-services.md` 2.3).
const THROTTLED: Duration = Duration::from_secs(60);

/// The first and the longest wait for a service that cannot be reached.
const UNREACHABLE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The first and the longest wait before a paused sender is probed.
const PROBE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

/// The reason of a sender that the breaker paused.
pub(super) const MASS_INVALIDATION: Reason = Reason::known("mass_invalidation");

/// Why a sender cannot send now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    pub reason: Reason,
    pub since: Timestamp,
    /// When to look again; a paused sender may go on earlier, by hand or by a probe.
    pub until: Timestamp,
    /// Paused for its credentials or by its breaker, rather than throttled or out of reach.
    pub paused: bool,
}

/// One hub's sender for one platform in this process.
#[derive(Debug)]
pub(super) struct Sender {
    pub pacer: Pacer,
    pub breaker: Breaker,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    blocked: Option<Blocked>,
    /// Failures to reach the service in a row.
    unreachable: u32,
    /// Probes since it was paused.
    probes: u32,
}

impl Sender {
    fn new(clock: SharedClock, fleet: &Fleet, hub: HubId, platform: Platform) -> Self {
        let of = Paced::Sender(hub, platform);
        let pacer = match platform {
            // The one service that asks for it (`push-services.md` 2.4).
            Platform::Fcm => Pacer::gentle(clock, fleet, of),
            _ => Pacer::new(clock, fleet, of),
        };
        Self { pacer, breaker: Breaker::default(), state: Mutex::default() }
    }

    /// What keeps it from sending at `now`.
    pub(super) fn blocked(&self, now: Timestamp) -> Option<Blocked> {
        let mut state = self.state.lock();
        if state.blocked.as_ref().is_some_and(|blocked| !blocked.paused && blocked.until <= now) {
            state.blocked = None;
        }
        state.blocked.clone()
    }

    /// The service wants the whole project to rest; afterwards it goes on slower than before.
    pub(super) fn throttle(&self, now: Timestamp, reason: Reason, after: Option<Duration>) {
        let after = after.unwrap_or(THROTTLED).min(super::retry::LONGEST_RETRY_AFTER);
        self.pacer.slow(after);
        self.block(now, reason, after);
    }

    /// No connection could be had.
    pub(super) fn unreachable(&self, now: Timestamp) {
        let mut state = self.state.lock();
        if state.blocked.is_some() {
            return;
        }
        let wait = UNREACHABLE.0.saturating_mul(1 << state.unreachable.min(10)).min(UNREACHABLE.1);
        state.unreachable += 1;
        let reason = Reason::known("unreachable");
        state.blocked = Some(Blocked { reason, since: now, until: now.plus(wait), paused: false });
    }

    /// The service answered: it can be reached.
    pub(super) fn reached(&self) {
        let mut state = self.state.lock();
        state.unreachable = 0;
    }

    fn block(&self, now: Timestamp, reason: Reason, after: Duration) {
        let mut state = self.state.lock();
        let until = now.plus(after);
        match &mut state.blocked {
            Some(blocked) if blocked.paused || blocked.until >= until => {}
            blocked => *blocked = Some(Blocked { reason, since: now, until, paused: false }),
        }
    }

    /// The service refuses the credentials, or the breaker tripped. Answers whether it was not paused before.
    pub(super) fn pause(&self, now: Timestamp, reason: Reason) -> bool {
        let mut state = self.state.lock();
        if state.blocked.as_ref().is_some_and(|blocked| blocked.paused) {
            return false;
        }
        state.probes = 0;
        state.blocked = Some(Blocked { reason, since: now, until: now.plus(PROBE.0), paused: true });
        true
    }

    /// Whether a probe is due that may end the pause. What the breaker paused waits for a hand or for new credentials.
    pub(super) fn wants_probe(&self, now: Timestamp) -> bool {
        let mut state = self.state.lock();
        let State { blocked: Some(blocked), probes, .. } = &mut *state else { return false };
        if !blocked.paused || blocked.until > now {
            return false;
        }
        let wait = PROBE.0.saturating_mul(1 << (*probes).min(10)).min(PROBE.1);
        *probes += 1;
        blocked.until = now.plus(wait);
        blocked.reason != MASS_INVALIDATION
    }

    /// Goes on: by hand, after a probe, or with new credentials. Answers whether it was paused.
    pub(super) fn resume(&self) -> bool {
        self.breaker.reset();
        let mut state = self.state.lock();
        let was = state.blocked.as_ref().is_some_and(|blocked| blocked.paused);
        *state = State::default();
        was
    }
}

/// Every sender of this process.
#[derive(Debug)]
pub(super) struct Senders {
    clock: SharedClock,
    fleet: Fleet,
    senders: Mutex<HashMap<(HubId, Platform), Arc<Sender>>>,
}

impl Senders {
    /// None yet; each is made when first asked for.
    pub(super) fn new(clock: SharedClock, fleet: Fleet) -> Self {
        Self { clock, fleet, senders: Mutex::default() }
    }

    /// The sender of a hub and platform.
    pub(super) fn get(&self, hub: HubId, platform: Platform) -> Arc<Sender> {
        let mut senders = self.senders.lock();
        let new = || Arc::new(Sender::new(self.clock.clone(), &self.fleet, hub, platform));
        senders.entry((hub, platform)).or_insert_with(new).clone()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<((HubId, Platform), Arc<Sender>)> {
        self.senders.lock().iter().map(|(key, sender)| (*key, sender.clone())).collect()
    }

    /// What keeps the senders of one hub from sending, by platform; open ones are left out.
    pub(super) fn blocked(&self, hub: HubId) -> BTreeMap<Platform, Blocked> {
        let now = self.clock.now();
        let all = self.all();
        let own = all.iter().filter(|((of, _), _)| *of == hub);
        own.filter_map(|((_, platform), sender)| Some((*platform, sender.blocked(now)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1_000)
    }

    #[test]
    fn a_throttled_sender_opens_by_itself_and_a_paused_one_does_not() {
        let sender = Sender::new(SystemClock::shared(), &Fleet::default(), HubId(1), Platform::Fcm);
        sender.throttle(at(0), Reason::known("slow"), Some(Duration::from_secs(30)));
        assert!(sender.blocked(at(29)).is_some());
        assert!(sender.blocked(at(30)).is_none());
        assert!(sender.pause(at(30), Reason::known("InvalidProviderToken")));
        assert!(!sender.pause(at(31), Reason::known("other")));
        sender.throttle(at(31), Reason::known("slow"), None);
        assert!(sender.blocked(at(1_000_000)).is_some_and(|blocked| blocked.paused));
        assert!(sender.resume());
        assert!(sender.blocked(at(31)).is_none());
    }

    #[test]
    fn probes_come_ever_later_and_never_after_mass_invalidation() {
        let sender = Sender::new(SystemClock::shared(), &Fleet::default(), HubId(1), Platform::Fcm);
        sender.pause(at(0), Reason::known("Forbidden"));
        assert!(!sender.wants_probe(at(29)));
        assert!(sender.wants_probe(at(30)));
        assert!(!sender.wants_probe(at(31)));
        sender.resume();
        sender.pause(at(0), MASS_INVALIDATION);
        assert!(!sender.wants_probe(at(10_000)));
    }

    #[test]
    fn unreachable_waits_double_until_reached() {
        let sender = Sender::new(SystemClock::shared(), &Fleet::default(), HubId(1), Platform::Fcm);
        let waited = |now: Timestamp| sender.blocked(now).map(|blocked| blocked.until.since(now));
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
}
