//! Gateways: a push service as we speak to it. Batch in, batch out.
//!
//! A worker hands a [`Batch`] over: one request that is equal for all its targets, and for each target what differs.
//! The gateway answers in pieces, as answers come, through the batch's [`Replies`]: for each target exactly one
//! [`Reply`], whatever happens to connections. It looks at the batch's lease deadline and stop flag once per write and
//! at least every 200 ms while anything is unsent, and hands back what is unsent then (design.md 3.5).
//!
//! Which gateway a hub has, and whether its sender is paused, is the business of `directory` and `fanout`; in here is
//! only how to speak to a service and what its answers mean.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::clock::BootInstant;
use crate::model::broadcast::{BroadcastRequest, Content, Lane, Payloads};
use crate::model::field::FieldError;
use crate::model::id::{BroadcastId, Seq};
use crate::model::platform::Platform;
use crate::model::template::Rendered;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, Verdict};

pub mod adm;
pub mod apns;
pub mod baidu;
pub mod client_runtime;
pub mod connect;
pub mod endpoint;
pub mod fcm;
mod h2_transport;
pub mod http2;
pub mod pkcs12;
pub mod pool;
pub mod requests;
pub mod retry_after;
pub mod senders;
pub mod tls;
pub mod transport;
pub mod web_push;
pub mod wns;
pub mod xiaomi;

/// The most targets in one batch.
pub const BATCH_TARGETS: usize = 1_000;

/// One hub's way to one push service, with its credentials.
#[async_trait::async_trait]
pub trait Gateway: Send + Sync + 'static {
    /// Which service.
    fn platform(&self) -> Platform;

    /// Checks a request against the service's rules and writes down what is equal for every target. The error names the
    /// field of the native API's request (`payloads.apns`).
    fn prepare(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError>;

    /// The same for what one template made of the broadcast's properties: a message in the service's own form, with
    /// headers where templates of this platform may have any. The error's field is `template`, or what else of the
    /// request is wrong.
    fn prepare_rendered(
        &self,
        id: BroadcastId,
        request: &BroadcastRequest,
        rendered: &Rendered,
        expires: Timestamp,
    ) -> Result<SharedRequest, FieldError> {
        let label = self.platform().label();
        let content = Content::Payloads(Payloads::from([(label.to_owned(), rendered.body.clone())]));
        let request = BroadcastRequest { content, ..request.clone() };
        self.prepare(id, &request, expires).map_err(|error| of_template(error, &format!("payloads.{label}")))
    }

    /// Takes a batch; waits while the gateway has enough of that lane. Every target of the batch gets one reply.
    async fn submit(&self, batch: Batch);

    /// The same of some of one lane: what a page's templates make of it are many small batches.
    async fn submit_all(&self, batches: Vec<Batch>) {
        for batch in batches {
            self.submit(batch).await;
        }
    }

    /// One authenticated exchange that notifies nobody where the service allows one: whether credentials and network
    /// work. Used before a paused sender resumes by itself, and by `doctor`.
    async fn probe(&self) -> Probe;

    /// How far the service's clock is ahead of ours in milliseconds, by the `Date` field of the answer that came last to
    /// an exchange; to the second, since the field says no more. `None` where no answer had one.
    fn clock_ahead(&self) -> Option<i64> {
        None
    }

    /// Finishes what is in flight, for at most that long, and closes the connections.
    async fn close(&self, within: Duration);
}

/// What is wrong with a payload, said of the template that it was made of.
fn of_template(error: FieldError, payload: &str) -> FieldError {
    match error.field.strip_prefix(payload).map(|below| format!("template{below}")) {
        Some(field) => error.at(field),
        None => error,
    }
}

/// A header that a template asks for, as it may be written (RFC 9110 section 5.5).
fn header_value(name: &str, value: &str) -> Result<String, FieldError> {
    if value.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        Ok(value.to_owned())
    } else {
        Err(FieldError::new("template", format!("must not have other than visible ASCII characters in {name}")))
    }
}

/// What a probe found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    Works,
    /// The service answered, and refuses the credentials or the topic.
    Refused(Reason),
    /// No connection, or no answer.
    Unreachable(String),
}

/// What is equal for every target of one broadcast on one platform.
#[derive(Clone, Debug)]
pub struct SharedRequest {
    /// Header fields in the service's own terms, without those that differ by target.
    pub headers: Vec<(&'static str, String)>,
    /// The body; what differs by target, if anything, is spliced in by the gateway.
    pub body: Bytes,
    pub broadcast: BroadcastId,
    pub lane: Lane,
}

/// Targets to send one request to.
#[derive(Debug)]
pub struct Batch {
    pub request: Arc<SharedRequest>,
    pub targets: Targets,
    /// When the lease under which this batch was read ends. Nothing is written after it.
    pub deadline: BootInstant,
    /// The broadcast's stop flag. Nothing is written once it is raised.
    pub stop: StopFlag,
    pub replies: Replies,
}

/// Targets in one buffer: (seq, channel) each. Shows how many, because no log may show a channel.
#[derive(Clone, Default)]
pub struct Targets {
    entries: Vec<(Seq, u32)>,
    bytes: Vec<u8>,
}

impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Targets({})", self.len())
    }
}

impl Targets {
    /// Room for that many.
    pub fn with_capacity(targets: usize) -> Self {
        Self { entries: Vec::with_capacity(targets), bytes: Vec::with_capacity(targets * 32) }
    }

    /// Adds a target with the channel's bytes.
    pub fn push(&mut self, seq: Seq, channel: &[u8]) {
        self.bytes.extend_from_slice(channel);
        self.entries.push((seq, u32::try_from(self.bytes.len()).unwrap_or(u32::MAX)));
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The target at `at`, in the order they were added.
    pub fn get(&self, at: usize) -> Option<(Seq, &[u8])> {
        let (seq, end) = *self.entries.get(at)?;
        let start = at.checked_sub(1).map_or(0, |before| self.entries[before].1);
        Some((seq, &self.bytes[start as usize..end as usize]))
    }

    /// All of them in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (Seq, &[u8])> {
        let mut start = 0;
        self.entries.iter().map(move |(seq, end)| {
            let channel = &self.bytes[start..*end as usize];
            start = *end as usize;
            (*seq, channel)
        })
    }
}

/// Raised when a broadcast must stop: paused, cancelled, expired, or its worker lost the lease.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicU8>);

impl StopFlag {
    /// Raises it, for good or until [`StopFlag::lower`].
    pub fn raise(&self) {
        self.0.store(1, Ordering::Release);
    }

    /// Lowers it again: a paused broadcast was resumed.
    pub fn lower(&self) {
        self.0.store(0, Ordering::Release);
    }

    /// Whether it is raised.
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }
}

/// Where replies go: pieces of up to a batch's length.
pub type Replies = mpsc::UnboundedSender<Vec<Reply>>;

/// The one word for one target of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub seq: Seq,
    pub what: Answer,
}

/// What a gateway says of a target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was written, and this is what came of it. `written_at`: when, by the wall clock, for verdicts that drop.
    Verdict { verdict: Verdict, reason: Option<Reason>, written_at: Option<Timestamp> },
    /// Certainly never written.
    Unsent(Unsent),
}

/// Why a target was handed back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unsent {
    /// The lease ended first.
    Deadline,
    /// The broadcast stopped first.
    Stopped,
    /// There was no connection to write it to.
    Unreachable,
    /// The gateway is closing or its sender was paused by an earlier answer.
    Closed,
}
