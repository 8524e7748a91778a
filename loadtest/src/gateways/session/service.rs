//! What a session asks of the service that it belongs to, and what the sessions of one service share.
use std::sync::Arc;

use tokio::sync::watch;

use crate::{
    clock::Clock,
    gateways::{answer::Answer, counters::Counters, receipts::Receipts, script::ActiveScript, token::Token},
    http2::Request,
};

/// The part of a service that knows its API. One for each connection.
pub(crate) trait Service: Send + 'static {
    /// Answers what is no push, as a request for an access token: no script decides on it, no receipt is written, and
    /// it counts as no request.
    fn aside(&mut self, _request: &Request, _now: i64) -> Option<Answer> {
        None
    }

    /// Verifies a request; `now` is Unix seconds.
    fn judge(&mut self, request: &Request, now: i64) -> Judged;

    /// Appends the header block of an answer.
    fn head(&self, answer: &Answer, id: &[u8; 16], head: &mut Vec<u8>);

    /// Appends the body of an answer.
    fn body(&self, answer: &Answer, _id: &[u8; 16], body: &mut Vec<u8>) {
        if answer.reason.is_some() || answer.body.is_some() {
            body.extend_from_slice(&answer.body());
        }
    }
}

/// What verification found.
pub(crate) struct Judged {
    pub(crate) token: Token,
    pub(crate) id: [u8; 16],
    /// `body_hash` of the request's body, without what differs from device to device.
    pub(crate) body: u64,
    pub(crate) collapse: u32,
    /// The answer of the service itself; without one the script decides.
    pub(crate) refusal: Option<Answer>,
    /// The credentials are good: the answer opens the connection's full stream limit.
    pub(crate) authenticated: bool,
    pub(crate) bad_payload: bool,
    /// Nothing is to be delivered: it is answered as any other and leaves no receipt.
    pub(crate) dry_run: bool,
}

/// What the connections of one service share.
#[derive(Debug)]
pub struct Shared {
    pub(crate) receipts: Receipts,
    pub(crate) counters: Counters,
    pub(crate) clock: Clock,
    pub(crate) script: watch::Sender<Arc<ActiveScript>>,
    pub(crate) keep_requests: bool,
    /// The full stream limit.
    pub(crate) streams: u32,
}
