//! One target: the check of its channel, the request, and what follows from the answer.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use http_body_util::Full;

use super::channel::{self, HostRule};
use super::verdict::{self, Said};
use crate::clock::SharedClock;
use crate::gateway::requests::client::{Client, Failure};
use crate::gateway::requests::line::Deliver;
use crate::gateway::requests::ticket::Ticket;
use crate::gateway::requests::token::{self, AccessToken, Fault, Tokens};
use crate::gateway::{SharedRequest, Unsent};
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// For so long a channel rests whose host takes no connection while others do.
const DEAD_HOST: Duration = Duration::from_mins(1);

/// What every request of a gateway needs.
#[derive(Debug)]
pub(super) struct Way {
    pub(super) client: Client,
    pub(super) tokens: Tokens,
    pub(super) allowed_hosts: Vec<HostRule>,
    pub(super) clock: SharedClock,
}

impl Deliver for Way {
    async fn deliver(self: Arc<Self>, mut ticket: Ticket) {
        let Some(uri) = channel::address(ticket.channel(), &self.allowed_hosts) else {
            let reason = Some(Reason::known("channel is of no allowed host"));
            return ticket.verdict(Verdict::FixRequest { for_all: false }, reason);
        };
        let mut token = self.tokens.good().await;
        let mut renewed = false;
        loop {
            let good = match token {
                Ok(good) => good,
                Err(fault) => return without_token(ticket, fault),
            };
            // Waiting for a token may have taken long.
            if let Some(why) = ticket.refusal(self.clock.boot()) {
                return ticket.unsent(why);
            }
            let Some(request) = request(&ticket.batch().request, uri.clone(), &good) else {
                let reason = Some(Reason::known("request has a field that cannot be sent"));
                return ticket.verdict(Verdict::FixRequest { for_all: true }, reason);
            };
            ticket.hand_over(self.clock.now());
            let answer = match self.client.send(request).await {
                Ok(answer) => answer,
                Err(Failure::Unconnected(why) | Failure::Unprocessed(why)) => {
                    ticket.take_back();
                    return ticket.verdict(self.not_connected(), Some(Reason::known(why)));
                }
                Err(Failure::Barred) => {
                    ticket.take_back();
                    let reason = Some(Reason::known("channel is of no allowed host"));
                    return ticket.verdict(Verdict::FixRequest { for_all: false }, reason);
                }
                Err(Failure::Ambiguous(why)) => {
                    return ticket.verdict(Verdict::ConnAmbiguous, Some(Reason::known(why)));
                }
            };
            if answer.status == 401 && !renewed {
                ticket.take_back();
                renewed = true;
                token = self.tokens.instead_of(&good).await;
                continue;
            }
            let (verdict, reason) = verdict::judge(&Said::read(answer.status, &answer.headers), self.clock.now());
            if matches!(verdict, Verdict::Credentials | Verdict::Throttle { scope: ThrottleScope::Project, .. }) {
                ticket.halt_batch();
            }
            return ticket.verdict(verdict, reason);
        }
    }
}

impl Way {
    /// Channels name their hosts, and apps name channels: one host that is not there must not make the hub's sender rest.
    /// Where other connections hold, the target waits alone.
    fn not_connected(&self) -> Verdict {
        match self.client.has_connections() {
            true => Verdict::Throttle { scope: ThrottleScope::Target, after: Some(DEAD_HOST) },
            false => Verdict::ConnSafe,
        }
    }
}

fn without_token(ticket: Ticket, fault: Fault) {
    match fault {
        Fault::Refused(reason) => {
            ticket.halt_batch();
            ticket.verdict(Verdict::Credentials, Some(reason));
        }
        Fault::Unreachable(_) => ticket.unsent(Unsent::Unreachable),
    }
}

/// None when a field of it cannot be written.
fn request(shared: &SharedRequest, uri: http::Uri, token: &AccessToken) -> Option<Request<Full<bytes::Bytes>>> {
    let mut request = token::authorize(Request::builder().method(Method::POST).uri(uri), token);
    for (name, value) in &shared.headers {
        request = request.header(*name, value.as_str());
    }
    request.body(Full::new(shared.body.clone())).ok()
}
