//! A gateway whose service is one host that takes one device a request: what is common to those; what each writes and reads
//! is a [`Service`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use tokio::sync::oneshot;

use super::client::{Answer, Client, Failure, Protocols};
use super::guard::Reach;
use super::line::{Deliver, Line};
use super::ticket::Ticket;
use super::token::{AccessToken, Account, Fault, Tokens};
use super::tuning::Tuning;
use crate::clock::SharedClock;
use crate::gateway::client_runtime::ClientRuntime;
use crate::gateway::transport::GatewayMeter;
use crate::gateway::{Batch, Probe, SharedRequest, Unsent, tls};
use crate::model::field::FieldError;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// The part of a gateway that knows its API.
pub(in crate::gateway) trait Service: fmt::Debug + Send + Sync + 'static {
    /// The request for one device; none when a field of it cannot be written.
    fn request(&self, shared: &SharedRequest, channel: &[u8], token: &AccessToken) -> Option<Request<Full<Bytes>>>;

    /// What an answer means.
    fn judge(&self, answer: &Answer, now: Timestamp) -> (Verdict, Option<Reason>);
}

/// One hub's way to such a service.
#[derive(Debug)]
pub(in crate::gateway) struct OneHost<S> {
    way: Arc<Way<S>>,
    line: Line,
    runtime: Arc<ClientRuntime>,
}

#[derive(Debug)]
struct Way<S> {
    service: S,
    client: Client,
    tokens: Tokens,
    clock: SharedClock,
}

impl<S: Service> OneHost<S> {
    /// Ready to take batches; connections open with the first. The error's field is `ca`.
    pub(in crate::gateway) fn open(
        service: S,
        account: &Account<'_>,
        ca_pem: Option<&str>,
        tuning: &Tuning,
        runtime: &Arc<ClientRuntime>,
        clock: &SharedClock,
        meter: Arc<GatewayMeter>,
    ) -> Result<Self, FieldError> {
        let tls = tls::client_config(tls::roots(ca_pem)?, None, &[])?;
        // The operator names the host, so where it lies is the operator's business.
        let client = |tls, meter| Client::new(tls, Protocols::Http1, Reach::Anywhere, tuning, meter);
        let way = Arc::new(Way {
            service,
            // Connections for tokens say nothing about the service: they have a pool of their own, and nobody watches it.
            tokens: Tokens::new(account, client(tls.clone(), Arc::default()), Arc::clone(clock)),
            client: client(tls, Arc::clone(&meter)),
            clock: Arc::clone(clock),
        });
        let line = Line::open(Arc::clone(&way), Arc::clone(runtime), meter, Arc::clone(clock), tuning);
        Ok(Self { way, line, runtime: Arc::clone(runtime) })
    }

    pub(in crate::gateway) async fn submit(&self, batch: Batch) {
        self.line.submit(batch).await;
    }

    /// A new token: the only exchange that names no device.
    pub(in crate::gateway) async fn probe(&self) -> Probe {
        let (tell, told) = oneshot::channel();
        let way = Arc::clone(&self.way);
        self.runtime.spawn(self.line.tasks(), async move {
            // Whoever asked may have stopped waiting.
            let _ = tell.send(way.tokens.renew().await.map(|_| ()));
        });
        match told.await {
            Ok(Ok(())) => Probe::Works,
            Ok(Err(Fault::Refused(reason))) => Probe::Refused(reason),
            Ok(Err(Fault::Unreachable(reason))) => Probe::Unreachable(reason.to_string()),
            Err(_) => Probe::Unreachable("the gateway is closed".to_owned()),
        }
    }

    pub(in crate::gateway) fn clock_ahead(&self) -> Option<i64> {
        self.way.tokens.clock_ahead()
    }

    pub(in crate::gateway) async fn close(&self, within: Duration) {
        self.line.close(within).await;
    }
}

impl<S: Service> Deliver for Way<S> {
    async fn deliver(self: Arc<Self>, mut ticket: Ticket) {
        let mut token = self.tokens.good().await;
        let mut renewed = false;
        loop {
            let good = match token {
                Ok(good) => good,
                Err(Fault::Refused(reason)) => {
                    ticket.halt_batch();
                    return ticket.verdict(Verdict::Credentials, Some(reason));
                }
                Err(Fault::Unreachable(_)) => return ticket.unsent(Unsent::Unreachable),
            };
            // Waiting for a token may have taken long.
            if let Some(why) = ticket.refusal(self.clock.boot()) {
                return ticket.unsent(why);
            }
            let Some(request) = self.service.request(&ticket.batch().request, ticket.channel(), &good) else {
                let reason = Some(Reason::known("request has a field that cannot be sent"));
                return ticket.verdict(Verdict::FixRequest { for_all: false }, reason);
            };
            ticket.hand_over(self.clock.now());
            let answer = match self.client.send(request).await {
                Ok(answer) => answer,
                Err(Failure::Ambiguous(why)) => {
                    return ticket.verdict(Verdict::ConnAmbiguous, Some(Reason::known(why)));
                }
                Err(Failure::Unconnected(why) | Failure::Unprocessed(why)) => {
                    ticket.take_back();
                    return ticket.verdict(Verdict::ConnSafe, Some(Reason::known(why)));
                }
                // Not met: nothing is out of this client's reach.
                Err(Failure::Barred) => {
                    ticket.take_back();
                    return ticket.verdict(Verdict::ConnSafe, Some(Reason::known("connect failed")));
                }
            };
            if answer.status == 401 && !renewed {
                ticket.take_back();
                renewed = true;
                token = self.tokens.instead_of(&good).await;
                continue;
            }
            let (verdict, reason) = self.service.judge(&answer, self.clock.now());
            if matches!(verdict, Verdict::Credentials | Verdict::Throttle { scope: ThrottleScope::Project, .. }) {
                ticket.halt_batch();
            }
            return ticket.verdict(verdict, reason);
        }
    }
}
