//! A gateway whose service is one host: what is common to those; what each writes and reads is a [`Service`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::sync::oneshot;

use super::client::{Answer, Client, Failure};
use super::entry::{Entry, Own};
use super::line::{Deliver, Line};
use super::place::Place;
use super::ticket::Ticket;
use super::token::{Account, Fault, Tokens};
use crate::clock::SharedClock;
use crate::gateway::client_runtime::ClientRuntime;
use crate::gateway::transport::GatewayMeter;
use crate::gateway::{Batch, Probe, Unsent};
use crate::model::field::FieldError;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// The part of a gateway that knows its API.
pub(in crate::gateway) trait Service: fmt::Debug + Send + Sync + 'static {
    /// How its requests are let in.
    type Entry: Entry;

    /// The most devices that a request names: more than one only where the answer tells each of them apart.
    const AT_ONCE: usize = 1;

    /// The request at `now` for the devices of a ticket; none when a field of it cannot be written.
    fn request(
        &self,
        ticket: &Ticket,
        pass: &<Self::Entry as Entry>::Pass,
        now: Timestamp,
    ) -> Option<Request<Full<Bytes>>>;

    /// What an answer means.
    fn judge(&self, answer: &Answer, now: Timestamp) -> Judged;

    /// A request that reaches no device, where being let in shows only with a request.
    fn probe(&self, _now: Timestamp) -> Option<Request<Full<Bytes>>> {
        None
    }
}

/// What an answer says of the devices that its request named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::gateway) struct Judged {
    pub(in crate::gateway) verdict: Verdict,
    pub(in crate::gateway) reason: Option<Reason>,
    /// By their channels those of whom it says something else.
    pub(in crate::gateway) apart: HashMap<Box<[u8]>, (Verdict, Option<Reason>)>,
}

impl From<(Verdict, Option<Reason>)> for Judged {
    fn from((verdict, reason): (Verdict, Option<Reason>)) -> Self {
        Self { verdict, reason, apart: HashMap::new() }
    }
}

/// One hub's way to such a service.
#[derive(Debug)]
pub(in crate::gateway) struct OneHost<S: Service> {
    way: Arc<Way<S>>,
    line: Line,
    runtime: Arc<ClientRuntime>,
}

#[derive(Debug)]
struct Way<S: Service> {
    service: S,
    client: Client,
    entry: S::Entry,
    clock: SharedClock,
}

impl<S: Service<Entry = Tokens>> OneHost<S> {
    /// Ready to take batches, with tokens of an account; connections open with the first. The error's field is `ca`.
    pub(in crate::gateway) fn with_tokens(
        service: S,
        account: &Account<'_>,
        place: &Place<'_>,
        meter: Arc<GatewayMeter>,
    ) -> Result<Self, FieldError> {
        // Connections for tokens say nothing about the service: they have a pool of their own, and nobody watches it.
        let client = place.client(place.tls()?, Arc::default());
        Self::open(service, Tokens::new(account, client, Arc::clone(place.clock)), place, meter)
    }
}

impl<S: Service<Entry = Own>> OneHost<S> {
    /// The same where each request brings its own proof.
    pub(in crate::gateway) fn by_itself(
        service: S,
        place: &Place<'_>,
        meter: Arc<GatewayMeter>,
    ) -> Result<Self, FieldError> {
        Self::open(service, Own, place, meter)
    }
}

impl<S: Service> OneHost<S> {
    fn open(service: S, entry: S::Entry, place: &Place<'_>, meter: Arc<GatewayMeter>) -> Result<Self, FieldError> {
        let client = place.client(place.tls()?, Arc::clone(&meter));
        let way = Arc::new(Way { service, client, entry, clock: Arc::clone(place.clock) });
        let line = place.line(&way, meter);
        Ok(Self { way, line, runtime: Arc::clone(place.runtime) })
    }

    pub(in crate::gateway) async fn submit(&self, batch: Batch) {
        self.line.submit(batch).await;
    }

    /// The only exchange that names no device.
    pub(in crate::gateway) async fn probe(&self) -> Probe {
        let (tell, told) = oneshot::channel();
        let way = Arc::clone(&self.way);
        self.runtime.spawn(self.line.tasks(), async move {
            // Whoever asked may have stopped waiting.
            let _ = tell.send(way.probe().await);
        });
        told.await.unwrap_or_else(|_| Probe::Unreachable("the gateway is closed".to_owned()))
    }

    pub(in crate::gateway) fn clock_ahead(&self) -> Option<i64> {
        self.way.entry.clock_ahead()
    }

    pub(in crate::gateway) async fn close(&self, within: Duration) {
        self.line.close(within).await;
    }
}

impl<S: Service> Way<S> {
    async fn probe(&self) -> Probe {
        match self.entry.renew().await {
            Err(Fault::Refused(reason)) => return Probe::Refused(reason),
            Err(Fault::Unreachable(reason)) => return Probe::Unreachable(reason.to_string()),
            Ok(()) => {}
        }
        let Some(request) = self.service.probe(self.clock.now()) else { return Probe::Works };
        let judged = match self.client.send(request).await {
            Ok(answer) => self.service.judge(&answer, self.clock.now()),
            Err(Failure::Ambiguous(why) | Failure::Unconnected(why) | Failure::Unprocessed(why)) => {
                return Probe::Unreachable(why.to_owned());
            }
            Err(Failure::Barred) => return Probe::Unreachable("connect failed".to_owned()),
        };
        let reason = judged.reason.unwrap_or_else(|| Reason::known("no reason given"));
        match judged.verdict {
            Verdict::Credentials => Probe::Refused(reason),
            Verdict::Retry { .. } => Probe::Unreachable(reason.to_string()),
            _ => Probe::Works,
        }
    }

    /// Sends to the devices of one ticket and answers for them, or gives those back that are to be asked for anew.
    async fn exchange(&self, mut ticket: Ticket) -> Option<[Ticket; 2]> {
        let mut pass = self.entry.good().await;
        let mut renewed = false;
        loop {
            let good = match pass {
                Ok(good) => good,
                Err(Fault::Refused(reason)) => {
                    ticket.halt_batch();
                    ticket.verdict(Verdict::Credentials, Some(reason));
                    return None;
                }
                Err(Fault::Unreachable(_)) => {
                    ticket.unsent(Unsent::Unreachable);
                    return None;
                }
            };
            // Waiting to be let in may have taken long.
            if let Some(why) = ticket.refusal(self.clock.boot()) {
                ticket.unsent(why);
                return None;
            }
            let now = self.clock.now();
            let Some(request) = self.service.request(&ticket, &good, now) else {
                let reason = Reason::known("request has a field that cannot be sent");
                return conclude(ticket, (Verdict::FixRequest { for_all: false }, Some(reason)).into());
            };
            ticket.hand_over(now);
            let answer = match self.client.send(request).await {
                Ok(answer) => answer,
                Err(failure) => {
                    unanswered(ticket, failure);
                    return None;
                }
            };
            if answer.status == 401 && !renewed {
                renewed = true;
                if let Some(other) = self.entry.instead_of(&good).await {
                    ticket.take_back();
                    pass = other;
                    continue;
                }
            }
            return conclude(ticket, self.service.judge(&answer, self.clock.now()));
        }
    }
}

fn unanswered(mut ticket: Ticket, failure: Failure) {
    match failure {
        Failure::Ambiguous(why) => ticket.verdict(Verdict::ConnAmbiguous, Some(Reason::known(why))),
        Failure::Unconnected(why) | Failure::Unprocessed(why) => {
            ticket.take_back();
            ticket.verdict(Verdict::ConnSafe, Some(Reason::known(why)));
        }
        // Not met: nothing is out of this client's reach.
        Failure::Barred => {
            ticket.take_back();
            ticket.verdict(Verdict::ConnSafe, Some(Reason::known("connect failed")));
        }
    }
}

/// Several that were refused together, or could not be written, for what may be wrong with one of them are asked for again
/// by halves: nothing was accepted, and who is not to blame must not pay for who is.
fn conclude(mut ticket: Ticket, judged: Judged) -> Option<[Ticket; 2]> {
    let Judged { verdict, reason, apart } = judged;
    if verdict == (Verdict::FixRequest { for_all: false }) && ticket.channels().len() > 1 {
        ticket.take_back();
        return Some(ticket.halves());
    }
    if matches!(verdict, Verdict::Credentials | Verdict::Throttle { scope: ThrottleScope::Project, .. }) {
        ticket.halt_batch();
    }
    ticket.verdicts(|channel| apart.get(channel).cloned().unwrap_or_else(|| (verdict.clone(), reason.clone())));
    None
}

impl<S: Service> Deliver for Way<S> {
    const AT_ONCE: usize = S::AT_ONCE;

    async fn deliver(self: Arc<Self>, ticket: Ticket) {
        let mut waiting = vec![ticket];
        while let Some(ticket) = waiting.pop() {
            waiting.extend(self.exchange(ticket).await.into_iter().flatten());
        }
    }
}
