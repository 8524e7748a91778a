//! One target: where it leads, the message encrypted for it, the request, and what follows from the answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderValue, Method, Request};
use http_body_util::Full;

use super::address::{Address, BARRED};
use super::encryption;
use super::origin::{Origin, Origins, Rest};
use super::request::TTL;
use super::vapid::VapidKey;
use super::verdict::{self, Meaning, Said};
use crate::clock::SharedClock;
use crate::gateway::SharedRequest;
use crate::gateway::requests::client::{Client, Failure};
use crate::gateway::requests::line::Deliver;
use crate::gateway::requests::ticket::Ticket;
use crate::gateway::requests::{Reach, Tuning};
use crate::gateway::wns::request::CACHE_POLICY;
use crate::model::subscription::Subscription;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// How often one target is sent at once, all told, when a service says that it did not look at the request.
const SENDS: u8 = 3;

/// What every request of a gateway needs.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) client: Client,
    pub(super) origins: Origins,
    pub(super) key: VapidKey,
    pub(super) subject: Box<str>,
    pub(super) reach: Reach,
    pub(super) tuning: Tuning,
    pub(super) clock: SharedClock,
}

impl Deliver for Way {
    async fn deliver(self: Arc<Self>, mut ticket: Ticket) {
        let batch = Arc::clone(&ticket.batch().request);
        let Some(subscription) = Subscription::of_channel(ticket.channel()) else {
            return refused(ticket, "subscription has no usable keys");
        };
        let Some(mut address) = Address::read(&subscription.endpoint, self.reach) else {
            return refused(ticket, BARRED);
        };
        let Ok(body) = encryption::seal(&batch.body, &subscription) else {
            return refused(ticket, "subscription has no usable keys");
        };
        drop(subscription);
        let body = Bytes::from(body);
        let (mut sends, mut has_moved) = (0, false);
        loop {
            let origin = self.origins.of(&address, self.clock.boot());
            if let Some(rest) = self.resting(&origin) {
                return self.later(ticket, rest);
            }
            let first = self.first_there(&origin).await;
            // Whoever was first may have found it away, and waiting may have taken long.
            if let Some(rest) = self.resting(&origin) {
                return self.later(ticket, rest);
            }
            let now = self.clock.now();
            if let Some(why) = ticket.refusal(self.clock.boot()) {
                return ticket.unsent(why);
            }
            let Some(request) = self.request(&batch, &origin, address.uri.clone(), body.clone()) else {
                let reason = Some(Reason::known("request has a field that cannot be sent"));
                return ticket.verdict(Verdict::FixRequest { for_all: true }, reason);
            };
            ticket.hand_over(now);
            sends += 1;
            let answer = self.client.send(request).await;
            drop(first);
            let answer = match answer {
                Ok(answer) => answer,
                Err(Failure::Unprocessed(_)) if sends < SENDS => {
                    ticket.take_back();
                    continue;
                }
                Err(Failure::Unconnected(why) | Failure::Unprocessed(why)) => {
                    ticket.take_back();
                    return ticket.verdict(self.away(&origin, why), Some(Reason::known(why)));
                }
                Err(Failure::Barred) => {
                    ticket.take_back();
                    return refused(ticket, BARRED);
                }
                Err(Failure::Ambiguous(why)) => {
                    return ticket.verdict(Verdict::ConnAmbiguous, Some(Reason::known(why)));
                }
            };
            origin.answered(self.clock.boot(), self.tuning.idle);
            let said = Said::read(&answer);
            let (meaning, reason) = verdict::judge(&said, self.clock.now());
            match meaning {
                Meaning::Again if sends < SENDS => {
                    ticket.take_back();
                    continue;
                }
                Meaning::Moved if !has_moved => {
                    let new = said.location.and_then(|location| address.moved(location, self.reach));
                    let Some(new) = new else { return refused(ticket, "moved to no allowed address") };
                    ticket.take_back();
                    (address, has_moved) = (new, true);
                    continue;
                }
                meaning => return self.conclude(ticket, &origin, meaning, reason, answer.status),
            }
        }
    }
}

impl Way {
    fn resting(&self, origin: &Origin) -> Option<Rest> {
        origin.resting(self.clock.boot())
    }

    /// It is not sent, and waits as the others do that go there.
    fn later(&self, ticket: Ticket, rest: Rest) {
        let after = Some(rest.until.after(self.clock.boot()));
        ticket.verdict(Verdict::Throttle { scope: ThrottleScope::Target, after }, Some(Reason::known(rest.reason)));
    }

    /// Where no connection is known to hold, one goes first while the others wait for it, no longer than opening one may
    /// take: hundreds that come at once would each open their own.
    async fn first_there<'a>(&self, origin: &'a Origin) -> Option<tokio::sync::MutexGuard<'a, ()>> {
        if origin.is_warm(self.clock.boot()) {
            return None;
        }
        let guard = tokio::time::timeout(self.tuning.open_timeout, origin.door.lock()).await.ok()?;
        (!origin.is_warm(self.clock.boot())).then_some(guard)
    }

    /// None when it cannot be signed or written.
    fn request(
        &self,
        shared: &SharedRequest,
        origin: &Origin,
        uri: http::Uri,
        body: Bytes,
    ) -> Option<Request<Full<Bytes>>> {
        let authorization = origin.authorization(&self.key, &self.subject, self.clock.now())?;
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(uri)
            .header(AUTHORIZATION, authorization)
            .header(CONTENT_ENCODING, HeaderValue::from_static("aes128gcm"))
            .header(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        for (name, value) in &shared.headers {
            request = request.header(*name, value.as_str());
            // Windows refuses a life of nothing for what is to be kept (`push-services.md` 4.2).
            if *name == TTL && value == "0" && origin.is_windows {
                request = request.header(CACHE_POLICY, HeaderValue::from_static("no-cache"));
            }
        }
        request.body(Full::new(body)).ok()
    }

    /// There is no connection. One origin's absence is its own affair, unless it is a push service and nobody else is to
    /// be reached either: then the hub's sender waits, and says so.
    fn away(&self, origin: &Origin, why: &'static str) -> Verdict {
        if origin.speaks_for_all && !self.client.has_connections() {
            return Verdict::ConnSafe;
        }
        let after = Some(origin.away(self.clock.boot(), why));
        Verdict::Throttle { scope: ThrottleScope::Target, after }
    }

    fn conclude(&self, ticket: Ticket, origin: &Origin, meaning: Meaning, reason: Option<Reason>, status: u16) {
        let now = self.clock.boot();
        let rests = |after: Option<Duration>| {
            let after = Some(origin.too_much(now, after, "origin is throttled"));
            Verdict::Throttle { scope: ThrottleScope::Target, after }
        };
        let verdict = match meaning {
            Meaning::Verdict(verdict) => verdict,
            Meaning::OriginRests(after) => rests(after),
            Meaning::Again => Verdict::Retry { after: None },
            Meaning::Moved => Verdict::FixRequest { for_all: false },
        };
        match &verdict {
            Verdict::Delivered => origin.took(),
            Verdict::Retry { after: Some(after) } => drop(rests(Some(*after))),
            _ => {}
        }
        if origin.speaks_for_all {
            if verdict == Verdict::Credentials {
                ticket.halt_batch();
            }
            return ticket.verdict(verdict, reason);
        }
        // Nor do its texts fill up the list of reasons that a broadcast keeps.
        ticket.verdict(of_a_stranger(verdict), reason.map(|_| verdict::status(status)));
    }
}

/// What a verdict is worth when it comes from who is no push service that is known: it is about that target alone.
fn of_a_stranger(verdict: Verdict) -> Verdict {
    match verdict {
        Verdict::Credentials => Verdict::EnvMismatch,
        Verdict::FixRequest { .. } => Verdict::FixRequest { for_all: false },
        other => other,
    }
}

/// Ours, not the service's: it is sent to nobody and says nothing about the rest.
fn refused(ticket: Ticket, why: &'static str) {
    ticket.verdict(Verdict::FixRequest { for_all: false }, Some(Reason::known(why)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{BootInstant, SystemClock};
    use crate::gateway::requests::client::Protocols;
    use crate::gateway::tls;
    use crate::model::broadcast::Lane;
    use crate::model::id::BroadcastId;

    fn way() -> Way {
        let tls = tls::client_config(tls::roots(None).unwrap(), None, &[]).unwrap();
        let tuning = Tuning::default();
        Way {
            client: Client::new(tls, Protocols::Both, Reach::Public, &tuning, Arc::default()),
            origins: Origins::new(Reach::Public),
            key: VapidKey::read("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw").unwrap(),
            subject: "mailto:a@b.example".into(),
            reach: Reach::Public,
            tuning,
            clock: SystemClock::shared(),
        }
    }

    #[test]
    fn a_stranger_pauses_no_sender_and_condemns_no_broadcast() {
        for (said, worth) in [
            (Verdict::Credentials, Verdict::EnvMismatch),
            (Verdict::FixRequest { for_all: true }, Verdict::FixRequest { for_all: false }),
            (Verdict::Delivered, Verdict::Delivered),
            (Verdict::DropToken { since: None }, Verdict::DropToken { since: None }),
            (Verdict::Retry { after: None }, Verdict::Retry { after: None }),
        ] {
            assert_eq!(of_a_stranger(said), worth);
        }
    }

    #[test]
    fn windows_is_told_not_to_keep_what_has_no_life() {
        let way = way();
        let made = |endpoint: &str, ttl: &str| {
            let address = Address::read(endpoint, Reach::Public).unwrap();
            let origin = way.origins.of(&address, BootInstant::default());
            let headers = vec![(TTL, ttl.to_owned()), ("urgency", "high".to_owned())];
            let broadcast = BroadcastId::new(1);
            let shared = SharedRequest { headers, body: Bytes::new(), broadcast, lane: Lane::Bulk };
            way.request(&shared, &origin, address.uri, Bytes::new()).unwrap()
        };
        let windows = "https://db5p.notify.windows.com/w/?token=BQ%3d";
        let request = made(windows, "0");
        assert_eq!(request.uri().to_string(), windows, "never altered");
        assert_eq!(request.headers()[CACHE_POLICY], "no-cache");
        assert!(made(windows, "1").headers().get(CACHE_POLICY).is_none());
        let mozilla = made("https://updates.push.services.mozilla.com/wpush/v2/g", "0");
        assert!(mozilla.headers().get(CACHE_POLICY).is_none());
        for (name, value) in [("ttl", "0"), ("urgency", "high"), ("content-encoding", "aes128gcm")] {
            assert_eq!(mozilla.headers()[name], value);
        }
        assert!(mozilla.headers()[AUTHORIZATION].is_sensitive());
    }
}
