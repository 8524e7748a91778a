//! The origins that subscriptions lead to: each has its VAPID token, its own rest when it is too much for it or away, and
//! a say about the hub only when it is a push service that browsers really use.
//!
//! Any app may bring a subscription of any host along. A stranger's answer therefore decides about its own targets and
//! nobody else's: it can neither pause the hub's sender nor condemn a broadcast.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use parking_lot::{Mutex, RwLock};

use super::address::Address;
use super::vapid::{RENEWAL_AGE, VapidKey};
use crate::clock::BootInstant;
use crate::gateway::requests::Reach;
use crate::model::time::Timestamp;

/// Origins that are remembered; far more than there are push services.
const MOST: usize = 4_096;
/// How long an origin rests that cannot be reached: the first time, and at most.
const FIRST_ABSENCE: Duration = Duration::from_secs(1);
const LONGEST_ABSENCE: Duration = Duration::from_mins(1);
/// How long one rests that has too much and does not say until when (`push-services.md` 3.4, row 406).
const FIRST_REST: Duration = Duration::from_mins(1);
const LONGEST_REST: Duration = Duration::from_mins(16);

/// Where browsers' own subscriptions lead (`push-services.md` 4.1).
const SERVICES: [&str; 5] =
    ["fcm.googleapis.com", "jmt17.google.com", ".push.services.mozilla.com", ".push.apple.com", WINDOWS];
const WINDOWS: &str = ".notify.windows.com";

/// One origin.
#[derive(Debug)]
pub(super) struct Origin {
    /// `https://host` or `https://host:port`.
    name: Box<str>,
    /// Its answers may speak of the hub and of the whole broadcast.
    pub(super) speaks_for_all: bool,
    pub(super) is_windows: bool,
    /// Held by whoever opens the first connection, so that those behind share it where it carries many requests.
    pub(super) door: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    token: Option<Token>,
    rest: Option<Rest>,
    /// Failures of one kind in a row.
    strikes: u32,
    /// Until then a connection that answered is thought to hold.
    warm_until: BootInstant,
}

#[derive(Debug)]
struct Token {
    value: HeaderValue,
    made: Timestamp,
}

/// Until when nothing is sent there, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rest {
    pub(super) until: BootInstant,
    pub(super) reason: &'static str,
}

impl Origin {
    fn new(place: &str, reach: Reach) -> Self {
        let host = place.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map_or(place, |(host, _)| host);
        let is_known = SERVICES.iter().any(|service| match service.starts_with('.') {
            true => host.len() > service.len() && host.ends_with(service),
            false => host == *service,
        });
        Self {
            name: format!("https://{place}").into(),
            // Where private networks are allowed, whoever may register is trusted with more than this.
            speaks_for_all: is_known || reach == Reach::Anywhere,
            is_windows: host.ends_with(WINDOWS),
            door: tokio::sync::Mutex::default(),
            state: Mutex::default(),
        }
    }

    /// The value of `Authorization`: one for all requests until it is renewed; none when it cannot be signed.
    pub(super) fn authorization(&self, key: &VapidKey, subject: &str, now: Timestamp) -> Option<HeaderValue> {
        let mut state = self.state.lock();
        match &state.token {
            // A clock that was set back makes a new one too: the old one may end too far ahead.
            Some(token) if token.made <= now && now < token.made.plus(RENEWAL_AGE) => Some(token.value.clone()),
            _ => {
                let value = key.authorization(&self.name, subject, now)?;
                state.token = Some(Token { value: value.clone(), made: now });
                Some(value)
            }
        }
    }

    /// Whether it rests.
    pub(super) fn resting(&self, now: BootInstant) -> Option<Rest> {
        self.state.lock().rest.filter(|rest| rest.until > now)
    }

    /// It has too much: nothing goes there for so long, or ever longer where it does not say. Returns the rest.
    pub(super) fn too_much(&self, now: BootInstant, after: Option<Duration>, reason: &'static str) -> Duration {
        self.rest(now, after, FIRST_REST, LONGEST_REST, reason)
    }

    /// It cannot be reached. Returns the rest.
    pub(super) fn away(&self, now: BootInstant, reason: &'static str) -> Duration {
        self.rest(now, None, FIRST_ABSENCE, LONGEST_ABSENCE, reason)
    }

    fn rest(
        &self,
        now: BootInstant,
        said: Option<Duration>,
        first: Duration,
        longest: Duration,
        reason: &'static str,
    ) -> Duration {
        let mut state = self.state.lock();
        // Answers to requests that were under way when the first one said so make it no longer.
        if let Some(rest) = state.rest.filter(|rest| rest.until > now && said.is_none()) {
            return rest.until.after(now);
        }
        let length = said.unwrap_or_else(|| first.saturating_mul(1 << state.strikes.min(16)).min(longest));
        if said.is_none() {
            state.strikes += 1;
        }
        let until = now.plus(length);
        if state.rest.is_none_or(|rest| rest.until < until) {
            state.rest = Some(Rest { until, reason });
        }
        length
    }

    /// It took a message.
    pub(super) fn took(&self) {
        self.state.lock().strikes = 0;
    }

    /// It answered: a connection holds for so long as one is kept.
    pub(super) fn answered(&self, now: BootInstant, kept: Duration) {
        self.state.lock().warm_until = now.plus(kept / 2);
    }

    /// Whether a connection is thought to hold.
    pub(super) fn is_warm(&self, now: BootInstant) -> bool {
        self.state.lock().warm_until > now
    }
}

/// The origins of one gateway, each made when first asked for.
#[derive(Debug)]
pub(super) struct Origins {
    reach: Reach,
    known: RwLock<HashMap<Box<str>, Arc<Origin>>>,
}

impl Origins {
    pub(super) fn new(reach: Reach) -> Self {
        Self { reach, known: RwLock::default() }
    }

    /// That of an address.
    pub(super) fn of(&self, address: &Address, now: BootInstant) -> Arc<Origin> {
        let place = address.place();
        if let Some(origin) = self.known.read().get(&*place) {
            return Arc::clone(origin);
        }
        let mut known = self.known.write();
        if known.len() >= MOST {
            // Push services are in use; the rest is made anew when it is wanted.
            known.retain(|_, origin| origin.is_warm(now) || origin.resting(now).is_some());
        }
        if known.len() >= MOST {
            known.retain(|_, origin| origin.is_warm(now));
        }
        let made = || Arc::new(Origin::new(&place, self.reach));
        Arc::clone(known.entry(place.as_ref().into()).or_insert_with(made))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> BootInstant {
        BootInstant::from_boot(Duration::from_secs(seconds))
    }

    fn of(endpoint: &str, reach: Reach) -> Arc<Origin> {
        Origins::new(reach).of(&Address::read(endpoint, Reach::Anywhere).unwrap(), at(0))
    }

    #[test]
    fn only_push_services_speak_for_all() {
        for known in [
            "https://fcm.googleapis.com/wp/1",
            "https://jmt17.google.com/1",
            "https://updates.push.services.mozilla.com/1",
            "https://web.push.apple.com/1",
            "https://WNS2.notify.windows.com/w/?token=1",
        ] {
            assert!(of(known, Reach::Public).speaks_for_all, "{known}");
        }
        for stranger in [
            "https://push.example/1",
            "https://fcm.googleapis.com.evil.example/1",
            "https://xfcm.googleapis.com/1",
            "https://evilpush.apple.com.example/1",
            "https://notify.windows.com/1",
            "https://[2606:4700::1]/1",
        ] {
            assert!(!of(stranger, Reach::Public).speaks_for_all, "{stranger}");
            assert!(of(stranger, Reach::Anywhere).speaks_for_all, "{stranger}");
        }
        assert!(of("https://db5.notify.windows.com/w/", Reach::Public).is_windows);
        assert!(!of("https://web.push.apple.com/", Reach::Public).is_windows);
    }

    #[test]
    fn a_token_serves_until_it_is_renewed_in_time() {
        let key = VapidKey::read("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw").unwrap();
        let origin = of("https://push.example/1", Reach::Public);
        let token = |hours: i64| {
            let now = Timestamp::from_millis(1_792_567_680_000 + hours * 3_600_000);
            origin.authorization(&key, "mailto:a@b.example", now).unwrap()
        };
        let first = token(0);
        assert_eq!(token(9), first);
        let second = token(10);
        assert_ne!(second, first);
        assert_eq!(token(19), second);
        assert_ne!(token(9), second, "the clock was set back");
    }

    #[test]
    fn rests_grow_until_a_message_is_taken_and_a_said_one_is_obeyed() {
        let origin = of("https://push.example/1", Reach::Public);
        let seconds = |rest: Duration| rest.as_secs();
        assert_eq!(origin.resting(at(0)), None);
        assert_eq!(seconds(origin.away(at(0), "away")), 1);
        assert_eq!(seconds(origin.away(at(0), "away")), 1, "of one absence");
        assert_eq!(origin.resting(at(0)), Some(Rest { until: at(1), reason: "away" }));
        assert_eq!(origin.resting(at(1)), None);
        assert_eq!([1, 3, 7].map(|now| seconds(origin.away(at(now), "away"))), [2, 4, 8]);
        assert_eq!(seconds(origin.too_much(at(20), Some(Duration::from_secs(120)), "slow")), 120);
        assert_eq!(origin.resting(at(139)).unwrap().reason, "slow");
        origin.took();
        assert_eq!([140, 200].map(|now| seconds(origin.too_much(at(now), None, "slow"))), [60, 120]);
        (1..20).for_each(|turn| {
            origin.away(at(1_000 * turn), "away");
        });
        assert_eq!(seconds(origin.away(at(50_000), "away")), 60);
    }

    #[test]
    fn origins_that_come_and_go_do_not_pile_up() {
        let origins = Origins::new(Reach::Public);
        let service = Address::read("https://web.push.apple.com/1", Reach::Public).unwrap();
        origins.of(&service, at(0)).answered(at(0), Duration::from_mins(1));
        for n in 0..2 * MOST {
            origins.of(&Address::read(&format!("https://h{n}.example/"), Reach::Public).unwrap(), at(0));
        }
        assert!(origins.known.read().len() <= MOST);
        assert!(origins.known.read().contains_key("web.push.apple.com"));
    }
}
