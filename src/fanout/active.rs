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
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::model::verdict::Reason;
use crate::queue::Paced;
use crate::store::Standing;

/// Equal FIX_REQUEST answers, without a delivery, that condemn the rest of a broadcast on a platform.
const CONDEMNING: u32 = 5;

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
    platforms: Mutex<BTreeMap<Platform, OnPlatform>>,
    leases: Mutex<BTreeMap<Platform, Arc<Leases>>>,
    clock: SharedClock,
}

/// The shards of one broadcast and platform in this process.
#[derive(Debug)]
pub(super) struct Leases {
    /// Held. A paced broadcast gives its slots up while it waits, and must not lease its whole plan meanwhile.
    pub held: Semaphore,
    /// Next, so that one that ends is followed at once.
    pub line: Semaphore,
}

#[derive(Debug, Default)]
struct OnPlatform {
    delivered: bool,
    /// Equal answers so far.
    fixes: BTreeMap<Reason, u32>,
    condemned: Option<Reason>,
    prepared: Option<Prepared>,
}

/// A request as one gateway prepared it. The gateway is kept so that its successor, with other settings, is told apart.
struct Prepared {
    by: Arc<dyn Gateway>,
    request: Arc<SharedRequest>,
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
            platforms: Mutex::default(),
            leases: Mutex::default(),
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
    pub(super) fn delivered(&self, platform: Platform) {
        self.platforms.lock().entry(platform).or_default().delivered = true;
    }

    /// Counts an answer that our request is wrong for every target.
    pub(super) fn fix_requested(&self, platform: Platform, reason: &Reason) {
        let mut platforms = self.platforms.lock();
        let on = platforms.entry(platform).or_default();
        if on.delivered || on.condemned.is_some() {
            return;
        }
        let equal = on.fixes.entry(reason.clone()).or_default();
        *equal += 1;
        if *equal >= CONDEMNING {
            on.condemned = Some(reason.clone());
        }
    }

    /// Why the rest on this platform is to be rejected, if it is.
    pub(super) fn condemned(&self, platform: Platform) -> Option<Reason> {
        self.platforms.lock().get(&platform)?.condemned.clone()
    }

    /// The request as this gateway prepares it, made for all shards of its platform here, and again when it is older
    /// than [`FRESH`].
    pub(super) fn prepared<E>(
        &self,
        gateway: &Arc<dyn Gateway>,
        prepare: impl FnOnce() -> Result<SharedRequest, E>,
    ) -> Result<Arc<SharedRequest>, E> {
        let mut platforms = self.platforms.lock();
        let on = platforms.entry(gateway.platform()).or_default();
        let now = self.clock.boot();
        let usable = |prepared: &&Prepared| Arc::ptr_eq(&prepared.by, gateway) && now.after(prepared.at) < FRESH;
        if let Some(prepared) = on.prepared.as_ref().filter(usable) {
            return Ok(prepared.request.clone());
        }
        let request = Arc::new(prepare()?);
        on.prepared = Some(Prepared { by: gateway.clone(), request: request.clone(), at: now });
        Ok(request)
    }

    /// How many of its shards may be held here at once on a platform, and how many may wait for that.
    pub(super) fn leases(&self, platform: Platform, most: usize) -> Arc<Leases> {
        let new = || Arc::new(Leases { held: Semaphore::new(most), line: Semaphore::new(most) });
        self.leases.lock().entry(platform).or_insert_with(new).clone()
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
            active.fix_requested(Platform::Apns, &reason);
        }
        active.fix_requested(Platform::Apns, &Reason::known("BadCollapseId"));
        assert_eq!(active.condemned(Platform::Apns), None);
        active.fix_requested(Platform::Apns, &reason);
        assert_eq!(active.condemned(Platform::Apns), Some(reason.clone()));
        active.delivered(Platform::Fcm);
        for _ in 0..9 {
            active.fix_requested(Platform::Fcm, &reason);
        }
        assert_eq!(active.condemned(Platform::Fcm), None);
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
