//! The broadcasts that this process is sending: what all their shards here share.
//!
//! Pause, cancel and expiry are wishes on the broadcast; each holder carries them out. Here they become the stop flag
//! that the engine looks at, and a signal for the holders.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::pace::{Fleet, Pacer};
use crate::clock::{BootInstant, SharedClock};
use crate::gateway::{Gateway, SharedRequest, StopFlag};
use crate::model::broadcast::{Wish, closing};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::template::TemplateId;
use crate::model::verdict::Reason;
use crate::queue::Paced;
use crate::store::Standing;

/// Equal FIX_REQUEST answers, without a delivery, that condemn the rest of a broadcast on a platform, or of one template
/// there.
const CONDEMNING: u32 = 5;

/// So many templates of a broadcast are judged by their answers; the others are simply sent.
const JUDGED: usize = 4_096;

/// So many prepared requests of a broadcast are kept: what templates make differs in length, and none is long.
const KEPT: usize = 1_024;

/// How long a prepared request is used. Where a service counts a message's life from its arrival, the request says how
/// much of it is left, in seconds.
const FRESH: Duration = Duration::from_secs(1);

/// What the shards of one broadcast share in this process.
#[derive(Debug)]
pub(super) struct Active {
    pub id: BroadcastId,
    /// Raised when the broadcast must stop; every batch of it carries this flag.
    pub stop: StopFlag,
    pub pacer: Pacer,
    standing: watch::Sender<Option<Standing>>,
    judged: Mutex<HashMap<On, Judged>>,
    prepared: Mutex<HashMap<On, Prepared>>,
    places: Mutex<BTreeMap<Platform, Arc<Semaphore>>>,
    clock: SharedClock,
}

/// Who gets one request: all of a platform, or those of one template there.
type On = (Platform, Option<TemplateId>);

#[derive(Debug, Default)]
struct Judged {
    delivered: bool,
    /// Equal answers so far.
    fixes: BTreeMap<Reason, u32>,
    condemned: Option<Reason>,
}

/// A request as one gateway prepared it. The gateway is kept so that its successor, with other settings, is told apart.
struct Prepared {
    by: Arc<dyn Gateway>,
    /// Or why there is none.
    request: Result<Arc<SharedRequest>, Reason>,
    at: BootInstant,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("platform", &self.by.platform()).finish_non_exhaustive()
    }
}

impl Active {
    fn new(id: BroadcastId, clock: SharedClock, fleet: &Fleet) -> Self {
        Self {
            id,
            stop: StopFlag::default(),
            pacer: Pacer::new(clock.clone(), fleet, Paced::Broadcast(id)),
            standing: watch::Sender::new(None),
            judged: Mutex::default(),
            prepared: Mutex::default(),
            places: Mutex::default(),
            clock,
        }
    }

    /// Takes in what the store says. An older reading than the last changes nothing.
    pub(super) fn learn(&self, standing: Standing) {
        let now = self.clock.now();
        self.standing.send_if_modified(|known| {
            if known.is_some_and(|known| known.read_at > standing.read_at) {
                return false;
            }
            self.pacer.set(standing.rate_per_second);
            if standing.wish != Wish::Run || closing(standing.wish, standing.expires, now).is_some() {
                self.stop.raise();
            } else {
                self.stop.lower();
            }
            let news = known.is_none_or(|known| {
                (known.wish, known.expires, known.rate_per_second)
                    != (standing.wish, standing.expires, standing.rate_per_second)
            });
            *known = Some(standing);
            news
        });
    }

    /// The standing as it changes.
    pub(super) fn watch(&self) -> watch::Receiver<Option<Standing>> {
        self.standing.subscribe()
    }

    /// Something was delivered: its requests are not wrong for everybody.
    pub(super) fn delivered(&self, platform: Platform, template: Option<TemplateId>) {
        self.judge((platform, template), |on| on.delivered = true);
    }

    /// Whether it is known that something was.
    pub(super) fn has_delivered(&self, platform: Platform, template: Option<TemplateId>) -> bool {
        self.judged.lock().get(&(platform, template)).is_some_and(|on| on.delivered)
    }

    /// Counts an answer that our request is wrong for every target that gets it.
    pub(super) fn fix_requested(&self, platform: Platform, template: Option<TemplateId>, reason: &Reason) {
        self.judge((platform, template), |on| {
            if on.delivered || on.condemned.is_some() {
                return;
            }
            let equal = on.fixes.entry(reason.clone()).or_default();
            *equal += 1;
            if *equal >= CONDEMNING {
                on.condemned = Some(reason.clone());
            }
        });
    }

    fn judge(&self, on: On, judge: impl FnOnce(&mut Judged)) {
        let mut judged = self.judged.lock();
        if judged.len() < JUDGED || judged.contains_key(&on) {
            judge(judged.entry(on).or_default());
        }
    }

    /// Why the rest on this platform, or of this template there, is to be rejected, if it is.
    pub(super) fn condemned(&self, platform: Platform, template: Option<TemplateId>) -> Option<Reason> {
        self.judged.lock().get(&(platform, template))?.condemned.clone()
    }

    /// The request as this gateway prepares it, or why it cannot: made for all shards here, and again when it is older than
    /// [`FRESH`].
    pub(super) fn prepared(
        &self,
        gateway: &Arc<dyn Gateway>,
        template: Option<TemplateId>,
        prepare: impl FnOnce() -> Result<SharedRequest, FieldError>,
    ) -> Result<Arc<SharedRequest>, Reason> {
        let mut kept = self.prepared.lock();
        let now = self.clock.boot();
        let on = (gateway.platform(), template);
        let usable = |prepared: &&Prepared| Arc::ptr_eq(&prepared.by, gateway) && now.after(prepared.at) < FRESH;
        if let Some(prepared) = kept.get(&on).filter(usable) {
            return prepared.request.clone();
        }
        if kept.len() >= KEPT {
            kept.retain(|_, prepared| now.after(prepared.at) < FRESH);
            if kept.len() >= KEPT {
                kept.clear();
            }
        }
        let request = prepare().map(Arc::new).map_err(|error| Reason::foreign(&error.to_string()));
        kept.insert(on, Prepared { by: gateway.clone(), request: request.clone(), at: now });
        request
    }

    /// How many of its shards may be here at once on a platform, at work or waiting for one of that many slots: twice
    /// as many. A paced broadcast gives its slots up while it waits, and must not lease its whole plan meanwhile; but as
    /// many must wait as are at work, because shards that began together end together, and who has nobody waiting in
    /// that moment loses the turns it is owed.
    pub(super) fn places(&self, platform: Platform, slots: usize) -> Arc<Semaphore> {
        self.places.lock().entry(platform).or_insert_with(|| Arc::new(Semaphore::new(2 * slots))).clone()
    }
}

/// All of them. A broadcast is forgotten when its last holder here lets go.
#[derive(Debug)]
pub(super) struct Actives {
    clock: SharedClock,
    fleet: Fleet,
    known: Mutex<HashMap<BroadcastId, Weak<Active>>>,
}

impl Actives {
    /// None yet.
    pub(super) fn new(clock: SharedClock, fleet: Fleet) -> Self {
        Self { clock, fleet, known: Mutex::default() }
    }

    /// The broadcast, made known when it is not.
    pub(super) fn enter(&self, id: BroadcastId) -> Arc<Active> {
        let mut known = self.known.lock();
        if let Some(active) = known.get(&id).and_then(Weak::upgrade) {
            return active;
        }
        let active = Arc::new(Active::new(id, self.clock.clone(), &self.fleet));
        known.insert(id, Arc::downgrade(&active));
        active
    }

    /// The broadcast, if anybody here holds a piece of it.
    pub(super) fn get(&self, id: BroadcastId) -> Option<Arc<Active>> {
        self.known.lock().get(&id).and_then(Weak::upgrade)
    }

    /// Those still held; forgets the others.
    pub(super) fn held(&self) -> Vec<Arc<Active>> {
        let mut known = self.known.lock();
        known.retain(|_, active| active.strong_count() > 0);
        known.values().filter_map(Weak::upgrade).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::SystemClock;
    use crate::model::time::Timestamp;

    #[test]
    fn five_equal_answers_condemn_unless_something_was_delivered() {
        let actives = Actives::new(SystemClock::shared(), Fleet::default());
        let active = actives.enter(BroadcastId::new(1));
        let reason = Reason::known("BadPriority");
        for _ in 0..4 {
            active.fix_requested(Platform::Apns, None, &reason);
        }
        active.fix_requested(Platform::Apns, None, &Reason::known("BadCollapseId"));
        assert_eq!(active.condemned(Platform::Apns, None), None);
        active.fix_requested(Platform::Apns, None, &reason);
        assert_eq!(active.condemned(Platform::Apns, None), Some(reason.clone()));
        active.delivered(Platform::Fcm, None);
        for _ in 0..9 {
            active.fix_requested(Platform::Fcm, None, &reason);
        }
        assert_eq!(active.condemned(Platform::Fcm, None), None);
    }

    #[test]
    fn templates_are_judged_apart_and_no_more_than_there_is_room_for() {
        let active = Actives::new(SystemClock::shared(), Fleet::default()).enter(BroadcastId::new(1));
        let (reason, of) = (Reason::known("INVALID_ARGUMENT"), |n| Some(TemplateId(n)));
        active.delivered(Platform::Fcm, of(1));
        for _ in 0..CONDEMNING {
            active.fix_requested(Platform::Fcm, of(1), &reason);
            active.fix_requested(Platform::Fcm, of(2), &reason);
        }
        assert_eq!([of(1), of(2), of(3)].map(|on| active.condemned(Platform::Fcm, on).is_some()), [false, true, false]);
        assert!(active.has_delivered(Platform::Fcm, of(1)) && !active.has_delivered(Platform::Apns, of(1)));
        for n in 0..2 * JUDGED as u64 {
            active.delivered(Platform::Apns, of(n));
        }
        assert_eq!(active.judged.lock().len(), JUDGED);
    }

    #[test]
    fn wishes_raise_the_stop_flag_and_old_news_does_not_lower_it() {
        let clock = SystemClock::shared();
        let active = Actives::new(clock.clone(), Fleet::default()).enter(BroadcastId::new(1));
        let now = clock.now();
        let expires = now.plus(std::time::Duration::from_secs(60));
        let standing =
            |wish, at: i64| Standing { wish, rate_per_second: 0, expires, read_at: Timestamp::from_millis(at) };
        active.learn(standing(Wish::Run, 1));
        assert!(!active.stop.is_raised());
        active.learn(standing(Wish::Pause, 3));
        assert!(active.stop.is_raised());
        active.learn(standing(Wish::Run, 2));
        assert!(active.stop.is_raised());
        active.learn(standing(Wish::Run, 4));
        assert!(!active.stop.is_raised());
    }

    #[test]
    fn forgotten_when_nobody_holds_it() {
        let actives = Actives::new(SystemClock::shared(), Fleet::default());
        let active = actives.enter(BroadcastId::new(1));
        assert_eq!(actives.held().len(), 1);
        drop(active);
        assert!(actives.held().is_empty());
        assert!(actives.get(BroadcastId::new(1)).is_none());
    }
}
