//! A hub's sender for one platform: whether it may send now, and what its answers say about addresses as a whole.
//!
//! A paused sender (bad credentials, tripped breaker) and a throttled one hold no slot: shards that meet them are given
//! back. What keeps one is told to the other processes of the service through the store ([`fleet`](super::fleet)): a
//! pause and a rest of the whole project hold for all of them, that a service cannot be reached holds where it was tried
//! and is shown everywhere.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::breaker::Breaker;
use super::pace::{Fleet, Pacer};
use crate::clock::SharedClock;
use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::queue::Paced;
use crate::store::{Hold, HoldKind, Noted, SenderRecord};

/// How long a project rests when its service gives no delay (`push-services.md` 2.3).
const THROTTLED: Duration = Duration::from_secs(60);

/// The first and the longest wait for a service that cannot be reached.
const UNREACHABLE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// The first and the longest wait before a paused sender is probed.
const PROBE: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(900));

/// A rest that grows by less than this is not worth telling: every answer of an overload may name its own.
const WORTH_TELLING: Duration = Duration::from_secs(1);

/// The reason of a sender that the breaker paused.
pub(super) const MASS_INVALIDATION: Reason = Reason::known("mass_invalidation");

/// One hub's sender for one platform in this process.
#[derive(Debug)]
pub(super) struct Sender {
    pub pacer: Pacer,
    pub breaker: Breaker,
    state: Mutex<State>,
    /// Rung when there is something to tell.
    news: Arc<Notify>,
}

#[derive(Debug, Default)]
struct State {
    hold: Option<Hold>,
    /// The version of the record that says so; `None` while nobody was told.
    noted: Option<u64>,
    /// Failures to reach the service in a row.
    unreachable: u32,
}

/// A probe that is due: what to note in the place of which version, so that one process alone asks.
#[derive(Debug)]
pub(super) struct Claim {
    pub hold: Hold,
    pub version: u64,
}

impl Sender {
    fn new(clock: SharedClock, fleet: &Fleet, hub: HubId, platform: Platform, news: Arc<Notify>) -> Self {
        let of = Paced::Sender(hub, platform);
        let pacer = match platform {
            // The one service that asks for it (`push-services.md` 2.4).
            Platform::Fcm => Pacer::gentle(clock, fleet, of),
            _ => Pacer::new(clock, fleet, of),
        };
        Self { pacer, breaker: Breaker::default(), state: Mutex::default(), news }
    }

    /// What keeps it from sending at `now`.
    pub(super) fn blocked(&self, now: Timestamp) -> Option<Hold> {
        let mut state = self.state.lock();
        if state.hold.as_ref().is_some_and(|hold| hold.is_over(now)) {
            (state.hold, state.noted) = (None, None);
        }
        state.hold.clone()
    }

    /// The service wants the whole project to rest; afterwards it goes on slower than before.
    pub(super) fn throttle(&self, now: Timestamp, reason: Reason, after: Option<Duration>) {
        let after = after.unwrap_or(THROTTLED).min(super::retry::LONGEST_RETRY_AFTER);
        self.pacer.slow(after);
        self.hold(
            &mut self.state.lock(),
            Hold { kind: HoldKind::Throttled, reason, since: now, until: now.plus(after) },
        );
    }

    /// No connection could be had.
    pub(super) fn unreachable(&self, now: Timestamp) {
        let mut state = self.state.lock();
        if state.hold.as_ref().is_some_and(|hold| !hold.is_over(now)) {
            return;
        }
        let wait = UNREACHABLE.0.saturating_mul(1 << state.unreachable.min(10)).min(UNREACHABLE.1);
        state.unreachable += 1;
        let reason = Reason::known("unreachable");
        self.hold(&mut state, Hold { kind: HoldKind::Unreachable, reason, since: now, until: now.plus(wait) });
    }

    /// The service answered: it can be reached.
    pub(super) fn reached(&self) {
        let mut state = self.state.lock();
        state.unreachable = 0;
    }

    /// The service refuses the credentials, or the breaker tripped. Answers whether it was not paused before.
    pub(super) fn pause(&self, now: Timestamp, reason: Reason) -> bool {
        let hold = Hold { kind: HoldKind::Paused, reason, since: now, until: now.plus(PROBE.0) };
        self.hold(&mut self.state.lock(), hold)
    }

    /// Takes a hold that was found out here, where the present one yields to it.
    fn hold(&self, state: &mut State, mut next: Hold) -> bool {
        let mut grown = Duration::MAX;
        if let Some(hold) = &state.hold {
            if !hold.yields_to(&next) {
                return false;
            }
            if hold.kind == next.kind && !hold.is_over(next.since) {
                grown = next.until.since(hold.until);
                next.since = hold.since;
            }
        }
        state.hold = Some(next);
        if grown >= WORTH_TELLING {
            state.noted = None;
            self.news.notify_one();
        }
        true
    }

    /// A hold that nobody was told of yet.
    pub(super) fn untold(&self) -> Option<Hold> {
        let state = self.state.lock();
        state.hold.clone().filter(|_| state.noted.is_none())
    }

    /// `hold` was to be noted, and this came of it. Answers the version of what was written in vain: the sender went on
    /// meanwhile, because it has another account or somebody said so, and whoever released it found nothing noted yet.
    pub(super) fn told(&self, now: Timestamp, hold: &Hold, noted: &Noted) -> Option<u64> {
        let mut state = self.state.lock();
        match &noted.stands {
            Some(stands) if noted.written && state.hold.is_none() => return Some(stands.version),
            Some(stands) if noted.written => {
                let is_ours = |own: &Hold| own.since == hold.since && own.kind == hold.kind;
                state.noted = state.hold.as_ref().filter(|own| is_ours(own)).map(|_| stands.version).or(state.noted);
            }
            Some(stands) => {
                self.take(&mut state, now, stands);
                // What is noted says as much: it lasts longer, or is stronger.
                state.noted = state.noted.or(Some(stands.version));
            }
            None => {}
        }
        None
    }

    /// The hub is gone, and nobody is to be told any more.
    pub(super) fn nobody_to_tell(&self) {
        self.state.lock().noted = Some(0);
    }

    /// Takes in what is noted of it in the store's revision `read_at`.
    pub(super) fn learn(&self, now: Timestamp, record: Option<&SenderRecord>, read_at: u64) {
        let mut state = self.state.lock();
        match record {
            Some(record) => self.take(&mut state, now, record),
            // What was noted after that reading is not in it.
            None if state.noted.is_some_and(|version| version <= read_at) => self.open(&mut state),
            None => {}
        }
    }

    /// Others found this out. What one process could not reach another may, so that is not taken over.
    fn take(&self, state: &mut State, now: Timestamp, record: &SenderRecord) {
        let SenderRecord { hold, version, .. } = record;
        let is_older = state.noted.is_some_and(|known| known >= *version);
        if is_older || hold.is_over(now) || hold.kind == HoldKind::Unreachable {
            return;
        }
        let rests = hold.kind == HoldKind::Throttled;
        if state.hold.as_ref().is_some_and(|own| rests && (own.is_paused() || own.until >= hold.until)) {
            return;
        }
        if rests {
            self.pacer.slow(hold.until.since(now));
        }
        (state.hold, state.noted) = (Some(hold.clone()), Some(*version));
    }

    /// A probe that is due and may end the pause. What the breaker paused waits for a hand or for new credentials; what
    /// nobody was told of yet is probed when it is noted. The waits between probes double, whoever makes them.
    pub(super) fn probe_due(&self, now: Timestamp) -> Option<Claim> {
        let state = self.state.lock();
        let hold = state.hold.as_ref().filter(|hold| hold.is_paused() && hold.until <= now)?;
        if hold.reason == MASS_INVALIDATION {
            return None;
        }
        let wait = now.since(hold.since).clamp(PROBE.0, PROBE.1);
        Some(Claim { hold: Hold { until: now.plus(wait), ..hold.clone() }, version: state.noted? })
    }

    /// This process is the one that probes.
    pub(super) fn claimed(&self, hold: Hold, version: u64) {
        let mut state = self.state.lock();
        if state.hold.as_ref().is_some_and(Hold::is_paused) {
            (state.hold, state.noted) = (Some(hold), Some(version));
        }
    }

    /// The version of the pause that stands, as far as it is known here.
    pub(super) fn paused_version(&self) -> Option<u64> {
        let state = self.state.lock();
        state.noted.filter(|_| state.hold.as_ref().is_some_and(Hold::is_paused))
    }

    /// Goes on: by hand, after a probe, or with new credentials. Answers whether it was paused.
    pub(super) fn resume(&self) -> bool {
        let mut state = self.state.lock();
        let was = state.hold.as_ref().is_some_and(Hold::is_paused);
        self.open(&mut state);
        was
    }

    fn open(&self, state: &mut State) {
        self.breaker.reset();
        *state = State::default();
    }
}

/// Every sender of this process.
#[derive(Debug)]
pub(super) struct Senders {
    clock: SharedClock,
    fleet: Fleet,
    senders: Mutex<HashMap<(HubId, Platform), Arc<Sender>>>,
    /// What is noted of any sender, by whichever process; for showing.
    noted: Mutex<HashMap<(HubId, Platform), Hold>>,
    news: Arc<Notify>,
    /// Whether the records were read before: what an earlier process left paused is probed at once, since its end may
    /// have come while nobody asked.
    is_first: Mutex<bool>,
}

impl Senders {
    /// None yet; each is made when first asked for.
    pub(super) fn new(clock: SharedClock, fleet: Fleet) -> Self {
        Self {
            clock,
            fleet,
            senders: Mutex::default(),
            noted: Mutex::default(),
            news: Arc::default(),
            is_first: Mutex::new(true),
        }
    }

    /// The sender of a hub and platform.
    pub(super) fn get(&self, hub: HubId, platform: Platform) -> Arc<Sender> {
        let mut senders = self.senders.lock();
        let made = || Arc::new(Sender::new(self.clock.clone(), &self.fleet, hub, platform, self.news.clone()));
        senders.entry((hub, platform)).or_insert_with(made).clone()
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<((HubId, Platform), Arc<Sender>)> {
        self.senders.lock().iter().map(|(key, sender)| (*key, sender.clone())).collect()
    }

    /// Returns when one of them may have something to tell.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Takes in every record of the store's revision `read_at`.
    pub(super) fn learn(&self, records: Vec<SenderRecord>, read_at: u64) {
        let now = self.clock.now();
        let is_first = std::mem::replace(&mut *self.is_first.lock(), false);
        let mut noted = HashMap::with_capacity(records.len());
        for mut record in records {
            noted.insert((record.hub, record.platform), record.hold.clone());
            if is_first {
                record.hold.until =
                    record.hold.until.min(if record.hold.is_paused() { now } else { record.hold.until });
            }
            self.get(record.hub, record.platform).learn(now, Some(&record), read_at);
        }
        for (key, sender) in self.all() {
            if !noted.contains_key(&key) {
                sender.learn(now, None, read_at);
            }
        }
        *self.noted.lock() = noted;
    }

    /// One record as it was just written, or that there is none any more.
    pub(super) fn note(&self, hub: HubId, platform: Platform, hold: Option<Hold>) {
        match hold {
            Some(hold) => self.noted.lock().insert((hub, platform), hold),
            None => self.noted.lock().remove(&(hub, platform)),
        };
    }

    /// A sender has a new account.
    pub(super) fn renew(&self, hub: HubId, platform: Platform) {
        self.note(hub, platform, None);
        self.get(hub, platform).resume();
    }

    /// Forgets the senders of hubs that are gone.
    pub(super) fn retain(&self, is_there: impl Fn(HubId) -> bool) {
        self.senders.lock().retain(|(hub, _), _| is_there(*hub));
        self.noted.lock().retain(|(hub, _), _| is_there(*hub));
    }

    /// What keeps the senders of one hub from sending, here or elsewhere, by platform; open ones are left out.
    pub(super) fn blocked(&self, hub: HubId) -> BTreeMap<Platform, Hold> {
        let now = self.clock.now();
        let noted = self.noted.lock();
        let elsewhere = noted.iter().filter(|((of, _), hold)| *of == hub && !hold.is_over(now));
        let mut blocked: BTreeMap<_, _> = elsewhere.map(|((_, platform), hold)| (*platform, hold.clone())).collect();
        drop(noted);
        let own = self.all();
        let own = own.iter().filter(|((of, _), _)| *of == hub);
        blocked.extend(own.filter_map(|((_, platform), sender)| Some((*platform, sender.blocked(now)?))));
        for hold in blocked.values_mut().filter(|hold| hold.is_paused()) {
            // Whoever probes next does it any moment.
            hold.until = hold.until.max(now);
        }
        blocked
    }
}

#[cfg(test)]
mod tests;
