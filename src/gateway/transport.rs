//! The seam inside a gateway: above it a [`Service`] that knows requests, credentials and what answers mean, below it a
//! [`Transport`] that knows connections and streams. Batches go down; replies go out of the transport straight to the
//! worker, judged on the thread that read the answer, so that no target costs a message between threads.
//!
//! What a transport may write down once per batch is [`SharedRequest`]; once per connection and change of credentials
//! the [`Authorization`]; per target only what [`Service::address`] fills in.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use bytes::Bytes;

use super::{Batch, SharedRequest};
use crate::clock::BootInstant;
use crate::model::id::Seq;
use crate::model::verdict::{Reason, Verdict};

/// Connections of one gateway to one service.
#[async_trait::async_trait]
pub trait Transport: Send + Sync + fmt::Debug + 'static {
    /// Takes a batch; waits while its lane is full. Every target gets one reply, whatever happens to connections.
    async fn submit(&self, batch: Batch) {
        self.submit_all(vec![batch]).await;
    }

    /// The same of some of one lane together: connections are woken once.
    async fn submit_all(&self, batches: Vec<Batch>);

    /// Sends one request on a connection of its own and returns the answer as it came. The error says what failed, for a
    /// person to read.
    async fn exchange(&self, request: Arc<SharedRequest>, channel: Vec<u8>) -> Result<OwnedAnswer, String>;

    /// How far the clock of who answered the last exchange is ahead of ours, in milliseconds; `None` where no answer said.
    fn clock_ahead(&self) -> Option<i64> {
        None
    }

    /// Takes no more batches, hands back what was not written, waits at most that long for answers, and closes.
    async fn close(&self, within: Duration);
}

/// What a transport must ask of the service that it carries. Called on sending threads: never blocks.
pub trait Service: Send + Sync + fmt::Debug + 'static {
    /// The field that carries [`Addressed::id`], where the service has one.
    fn id_field(&self) -> Option<&'static str>;

    /// Whether the value of that field changes too often to be kept in the peer's header table (RFC 7541 section 6.2.3).
    fn never_indexed(&self, field: &str) -> bool;

    /// Fills in what differs for this target. `out` comes cleared.
    fn address(&self, request: &SharedRequest, seq: Seq, channel: &[u8], out: &mut Addressed);

    /// Brings a connection's authorization up to date: asked when it opens and before each write.
    fn authorize(&self, held: &mut Held);

    /// What an answer means, and what becomes of its connection.
    fn judge(&self, answer: &RawAnswer<'_>, held: &mut Held) -> Judgement;
}

/// What differs by target.
#[derive(Clone, Debug, Default)]
pub struct Addressed {
    /// `:path`.
    pub path: Vec<u8>,
    /// Value of [`Service::id_field`]; empty: not sent.
    pub id: Vec<u8>,
    /// Instead of the shared body; empty: that one.
    pub body: Vec<u8>,
}

impl Addressed {
    /// Ready for the next target; keeps its memory.
    pub fn clear(&mut self) {
        self.path.clear();
        self.id.clear();
        self.body.clear();
    }
}

/// A value of the `authorization` field.
#[derive(Clone, PartialEq, Eq)]
pub struct Authorization {
    /// The whole value (`bearer …`).
    pub value: Bytes,
    /// Tells values apart without comparing them; never 0.
    pub number: u64,
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorization(#{} ***)", self.number)
    }
}

/// The authorization that a connection sends, and since when.
#[derive(Clone, Debug, Default)]
pub struct Held {
    pub authorization: Option<Authorization>,
    pub since: BootInstant,
}

impl Held {
    /// The number of what is held, 0 for nothing.
    pub fn number(&self) -> u64 {
        self.authorization.as_ref().map_or(0, |held| held.number)
    }
}

/// An answer as it was read.
#[derive(Clone, Copy, Debug)]
pub struct RawAnswer<'a> {
    pub status: u16,
    pub retry_after: Option<&'a str>,
    pub body: &'a [u8],
    /// The number of the authorization that the request carried.
    pub authorization: u64,
}

/// An answer that outlives its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnedAnswer {
    pub status: u16,
    pub retry_after: Option<String>,
    /// The value of `date`.
    pub date: Option<String>,
    pub body: Bytes,
    pub authorization: u64,
}

impl OwnedAnswer {
    /// The same, borrowed.
    pub fn as_raw(&self) -> RawAnswer<'_> {
        RawAnswer {
            status: self.status,
            retry_after: self.retry_after.as_deref(),
            body: &self.body,
            authorization: self.authorization,
        }
    }
}

/// What the service made of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub verdict: Verdict,
    pub reason: Option<Reason>,
    /// Whether the transport tries again before the verdict stands.
    pub resend: Resend,
    pub connection: ConnectionFate,
}

/// How a transport goes on with a target after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resend {
    /// The verdict stands.
    Never,
    /// The connection was at fault: send it on another, a few times at most.
    Elsewhere,
    /// The authorization was renewed: send it with the new one, once.
    Renewed,
}

impl Judgement {
    /// The verdict and nothing else.
    pub const fn plain(verdict: Verdict, reason: Option<Reason>) -> Self {
        Self { verdict, reason, resend: Resend::Never, connection: ConnectionFate::Keep }
    }
}

/// What an answer does to the connection it came on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConnectionFate {
    Keep,
    /// No new requests on it for that long.
    Rest(Duration),
    /// No new requests on it; another takes its place.
    Replace,
}

/// Gauges of a gateway, read by whoever renders metrics.
#[derive(Debug, Default)]
pub struct GatewayMeter {
    connections: AtomicI64,
    streams: AtomicI64,
}

impl GatewayMeter {
    /// Connections that are open now, draining ones included.
    pub fn connections(&self) -> i64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// Requests that were handed to a connection and are not answered.
    pub fn streams(&self) -> i64 {
        self.streams.load(Ordering::Relaxed)
    }

    pub(super) fn add_connections(&self, change: i64) {
        self.connections.fetch_add(change, Ordering::Relaxed);
    }

    pub(super) fn add_streams(&self, change: i64) {
        self.streams.fetch_add(change, Ordering::Relaxed);
    }
}
