//! How often each key may ask (`[limits]`): over its rate it gets 429 and when to come back.
//!
//! Only callers that are known are counted, each by its hub and rule, so that what is kept is bounded by the rules that
//! there are; [`RateLimits::upkeep`] forgets those that have been quiet. Every service has limits of its own.
//!
//! Apps that register themselves on the mobile face have no key. All of a hub together count as one caller, and each
//! installation has a rate of its own (`mobile.push.requests_per_minute`) that one app in a loop cannot exceed; of those
//! nothing is kept longer than a minute.

use std::hash::Hash;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::Clock as _;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};
use http::{Method, request::Parts};

use super::error::ApiError;
use crate::clock::{LimiterClock, SharedClock};
use crate::config::{Action, Rates};
use crate::identity::keys::Caller;
use crate::model::hash;
use crate::model::id::{HubId, InstallationId};

type Limiter<K> = RateLimiter<K, HashMapStateStore<K>, LimiterClock, NoOpMiddleware<Duration>>;

/// A limiter for each action that has a rate.
pub struct RateLimits {
    clock: LimiterClock,
    limiters: Vec<(Action, Limiter<Caller>)>,
    /// By the hash of hub and installation.
    devices: Option<Limiter<u64>>,
}

impl std::fmt::Debug for RateLimits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.limiters.iter().map(|(action, _)| action)).finish()
    }
}

impl RateLimits {
    /// Limits with nothing used of them.
    pub fn new(rates: &Rates, of_device_per_minute: u32, clock: SharedClock) -> Self {
        let clock = LimiterClock::new(clock);
        let limiter = |(action, rate): (Action, crate::config::Rate)| {
            let burst = NonZeroU32::new(rate.burst).unwrap_or(NonZeroU32::MIN);
            let quota = Quota::per_second(NonZeroU32::new(rate.per_second)?).allow_burst(burst);
            Some((action, RateLimiter::new(quota, HashMapStateStore::default(), clock.clone())))
        };
        let limiters = rates.iter().filter_map(limiter).collect();
        let devices = NonZeroU32::new(of_device_per_minute)
            .map(|rate| RateLimiter::new(Quota::per_minute(rate), HashMapStateStore::default(), clock.clone()));
        Self { clock, limiters, devices }
    }

    /// Counts a request of a known caller, or says when it may come again.
    pub(super) fn admit(&self, caller: &Caller, parts: &Parts) -> Result<(), ApiError> {
        let asked = action(&parts.method, parts.uri.path());
        let limiter = self.limiters.iter().find(|(action, _)| *action == asked).map(|(_, limiter)| limiter);
        self.check(limiter, caller, asked.message())
    }

    /// Counts a request of an app about one installation, or says when it may come again.
    pub(super) fn admit_app(&self, hub: (HubId, &str), id: &InstallationId, parts: &Parts) -> Result<(), ApiError> {
        let message = "this installation registers more often than mobile.push.requests_per_minute allows";
        self.check(self.devices.as_ref(), &hash::installation(hub.0, id.as_str()), message)?;
        self.admit(&Caller::apps(hub.1), parts)
    }

    fn check<K: Hash + Eq + Clone>(
        &self,
        limiter: Option<&Limiter<K>>,
        key: &K,
        message: &'static str,
    ) -> Result<(), ApiError> {
        let Some(limiter) = limiter else { return Ok(()) };
        let later = |until: governor::NotUntil<_>| ApiError::too_many(message, until.wait_time_from(self.clock.now()));
        limiter.check_key(key).map_err(later)
    }

    /// Forgets callers that have their whole burst again.
    pub fn upkeep(&self) {
        fn forget<K: Hash + Eq + Clone>(limiter: &Limiter<K>) {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
        self.limiters.iter().for_each(|(_, limiter)| forget(limiter));
        self.devices.iter().for_each(forget);
    }
}

/// The word that says what a path is about: the one after the hub, `/v1/hubs/{hub}/…` on the native API and `/{hub}/…`
/// on the Notification Hubs face.
fn about(path: &str) -> &str {
    let part = if path.starts_with("/v1/") { 4 } else { 2 };
    path.split('/').nth(part).unwrap_or_default()
}

fn action(method: &Method, path: &str) -> Action {
    if matches!(*method, Method::GET | Method::HEAD) || path.ends_with("/audience") {
        Action::Reads
    } else if path.ends_with("/broadcasts") || matches!(about(path), "messages" | "schedulednotifications") {
        Action::Broadcasts
    } else if about(path).starts_with("installations") || about(path).starts_with("registration") {
        Action::Registrations
    } else {
        Action::Changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_some_action() {
        for (method, path, expected) in [
            (Method::PUT, "/v1/hubs/h/installations/audience-1", Action::Registrations),
            (Method::PATCH, "/v1/hubs/h/installations/d", Action::Registrations),
            (Method::POST, "/v1/hubs/h/installations:import", Action::Registrations),
            (Method::GET, "/v1/hubs/h/installations:export", Action::Reads),
            (Method::POST, "/v1/hubs/h/audience", Action::Reads),
            (Method::POST, "/v1/hubs/h/broadcasts", Action::Broadcasts),
            (Method::GET, "/v1/hubs/h/broadcasts", Action::Reads),
            (Method::POST, "/v1/hubs/h/broadcasts/1:pause", Action::Changes),
            (Method::PUT, "/v1/hubs/installations", Action::Changes),
            (Method::PUT, "/h/installations/d", Action::Registrations),
            (Method::POST, "/h/registrationids", Action::Registrations),
            (Method::POST, "/h/messages", Action::Broadcasts),
            (Method::GET, "/h/messages/1", Action::Reads),
            (Method::PUT, "/push/installations/d", Action::Registrations),
            (Method::DELETE, "/push/installations/d", Action::Registrations),
            (Method::PUT, "/messages", Action::Changes),
        ] {
            assert_eq!(action(&method, path), expected, "{method} {path}");
        }
    }
}
