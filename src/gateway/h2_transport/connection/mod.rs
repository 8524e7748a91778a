//! One connection: it takes targets as streams are free, writes them, reads their answers, and knows at every moment
//! which of them would be safe to send again if it died now.
//!
//! It is one future, polled on one thread. Each round polls the `h2` connection (which reads and writes), settles the
//! answers that came, then fills the free streams; rounds go on while anything moved. A connection that takes no more
//! requests (GOAWAY, a fault, closing) is *retired*: it stays until its open requests are answered.
//!
//! Invariants: a target whose request is open is in `open` and nowhere else; `bulk_open` counts those of the bulk lane;
//! a slot in `stalled` is one whose last byte `h2` does not have yet.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use h2::PingPong;
use h2::client::SendRequest;
use slab::Slab;
use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::exchange;
use super::handshake::{Link, Opened};
use super::head::HeadWriter;
use super::stream::{Answering, Open};
use super::tap::Written;
use crate::clock::BootInstant;
use crate::gateway::pool::dial::{DialError, Dialed, Seat};
use crate::gateway::pool::intake::Bell;
use crate::gateway::pool::job::{Item, Outbox};
use crate::gateway::pool::{Shared, Wire};
use crate::gateway::senders::Gathering;
use crate::gateway::transport::{Addressed, Held, OwnedAnswer};
use crate::gateway::{SharedRequest, Unsent};

mod reading;
mod timing;
mod writing;

/// Requests that are handed to `h2` before it writes: enough to fill some TLS records, few enough that a raised stop
/// flag is seen soon. While the socket is full nothing more is handed over, so this is also the most that can leave after
/// a flag was raised.
const HANDED_AT_ONCE: usize = 128;
/// Rounds before other tasks of the thread get their turn.
const ROUNDS: usize = 8;

pub(in crate::gateway) struct Connection {
    shared: Arc<Shared>,
    heads: HeadWriter,
    link: Link,
    /// None: retired.
    requests: Option<SendRequest<Bytes>>,
    written: Written,
    open: Slab<Open>,
    answers: FuturesUnordered<Answering>,
    /// Requests whose body waits for the peer's window. While there is one no other is begun: it would only wait too.
    stalled: Vec<usize>,
    stalled_since: BootInstant,
    bulk_open: usize,
    held: Held,
    rest_until: BootInstant,
    /// The last answer, or when the first of the open requests was begun.
    last_answer: BootInstant,
    /// The last answer or pong.
    last_heard: BootInstant,
    ping: Option<PingPong>,
    pinged_at: Option<BootInstant>,
    timer: Pin<Box<Sleep>>,
    timer_is_busy: bool,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
    bell: Bell,
    outbox: Outbox,
    taken: Vec<Item>,
    addressed: Addressed,
    opened: BootInstant,
    answered: bool,
    seat: Seat,
}

impl Connection {
    fn new(opened: Opened, shared: Arc<Shared>) -> Self {
        let Opened { mut link, requests, written, seat } = opened;
        let now = shared.clock.boot();
        let mut held = Held::default();
        shared.service.authorize(&mut held);
        shared.meter.add_connections(1);
        Self {
            ping: link.ping_pong(),
            requests: Some(requests),
            link,
            written,
            open: Slab::new(),
            answers: FuturesUnordered::new(),
            stalled: Vec::new(),
            stalled_since: now,
            bulk_open: 0,
            held,
            rest_until: now,
            last_answer: now,
            last_heard: now,
            pinged_at: None,
            timer: Box::pin(tokio::time::sleep(shared.tuning.tick)),
            timer_is_busy: true,
            closing: Box::pin(shared.closing.clone().cancelled_owned()),
            killed: Box::pin(shared.killed.clone().cancelled_owned()),
            bell: shared.intake.bell(),
            outbox: Outbox::default(),
            taken: Vec::with_capacity(HANDED_AT_ONCE),
            addressed: Addressed::default(),
            opened: now,
            answered: false,
            seat,
            heads: HeadWriter::new(&shared.endpoint, &*shared.service),
            shared,
        }
    }

    /// Ready when it is gone and every target of it was answered.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.bell.register(cx.waker());
        for _ in 0..ROUNDS {
            let now = self.shared.clock.boot();
            if self.killed.as_mut().poll(cx).is_ready() {
                self.abandon(Unsent::Closed);
                return Poll::Ready(());
            }
            if self.requests.is_some() && self.closing.as_mut().poll(cx).is_ready() {
                self.retire("closing");
            }
            if let Poll::Ready(ended) = Pin::new(&mut self.link).poll(cx) {
                if let Err(error) = &ended {
                    tracing::debug!(address = %self.seat.address(), %error, "connection lost");
                }
                self.lose(cx, now);
                return Poll::Ready(());
            }
            self.hear_pong(cx, now);
            let mut moved = self.settle_answers(cx, now);
            self.notice_going_away(cx);
            moved |= self.push_stalled(cx, now);
            moved |= self.fill(now);
            if self.tick(cx, now).is_err() {
                tracing::debug!(address = %self.seat.address(), "connection does not answer pings");
                self.lose(cx, now);
                return Poll::Ready(());
            }
            if !moved {
                self.outbox.flush();
                return Poll::Pending;
            }
        }
        self.outbox.flush();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn retire(&mut self, why: &str) {
        if self.requests.take().is_some() {
            tracing::debug!(address = %self.seat.address(), open = self.open.len(), why, "connection retires");
        }
    }

    /// A connection that got GOAWAY looks open to everybody who does not ask.
    fn notice_going_away(&mut self, cx: &mut Context<'_>) {
        if let Some(requests) = &mut self.requests
            && let Poll::Ready(Err(error)) = requests.poll_ready(cx)
        {
            self.retire(&error.to_string());
        }
    }
}

impl Wire for Connection {
    async fn open(dialed: Dialed, shared: Arc<Shared>, _: Gathering) -> Result<Self, DialError> {
        Ok(Self::new(Opened::on(dialed).await?, shared))
    }

    async fn serve(&mut self) {
        poll_fn(|cx| if self.poll(cx).is_ready() || self.requests.is_none() { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }

    async fn drain(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn usefulness(&self) -> (bool, Duration) {
        (self.answered, self.shared.clock.boot().after(self.opened))
    }

    async fn exchange(
        dialed: Dialed,
        shared: &Shared,
        request: &SharedRequest,
        channel: &[u8],
    ) -> Result<OwnedAnswer, String> {
        let opened = Opened::on(dialed).await.map_err(|failure| failure.to_string())?;
        exchange::exchange(opened, shared, request, channel).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.meter.add_connections(-1);
        self.shared.meter.add_streams(-i64::try_from(self.open.len()).unwrap_or(0));
    }
}
