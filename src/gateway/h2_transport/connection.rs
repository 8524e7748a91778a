//! One connection: it takes targets as streams are free, writes them, reads their answers, and knows at every moment
//! which of them would be safe to send again if it died now.
//!
//! It is one future, polled on one thread. Each round polls the `h2` connection (which reads and writes), settles the
//! answers that came, then fills the free streams; rounds go on while anything moved. A connection that takes no more
//! requests (GOAWAY, a fault, closing) is *retired*: it stays until its open requests are answered.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use h2::client::SendRequest;
use h2::{PingPong, Reason as Code};
use http::header::{AUTHORIZATION, HeaderName, HeaderValue};
use slab::Slab;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::WaitForCancellationFutureOwned;

use super::Shared;
use super::dial::{Link, Opened, Seat};
use super::intake::{Bell, Room};
use super::job::{Item, Outbox};
use super::stream::{Answering, Ended, Open};
use super::tap::Written;
use crate::clock::BootInstant;
use crate::gateway::Unsent;
use crate::gateway::transport::{Addressed, ConnectionFate, Held, RawAnswer, Resend};
use crate::model::broadcast::Lane;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, Verdict};

/// Requests that are handed to `h2` before it writes: enough to fill some TLS records, few enough that a raised stop
/// flag is seen soon.
const HANDED_AT_ONCE: usize = 128;
/// Rounds before other tasks of the thread get their turn.
const ROUNDS: usize = 8;

const TIMED_OUT: Reason = Reason::known("no answer in time");
const GOING_AWAY: Reason = Reason::known("connection going away");
const REFUSED: Reason = Reason::known("stream refused");
const RESET: Reason = Reason::known("stream reset");
const LOST: Reason = Reason::known("connection lost");

pub(super) struct Connection {
    shared: Arc<Shared>,
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
    id_field: Option<HeaderName>,
    answered: bool,
    seat: Seat,
}

impl Connection {
    pub(super) fn new(opened: Opened, shared: Arc<Shared>) -> Self {
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
            id_field: shared.service.id_field().and_then(|field| HeaderName::from_bytes(field.as_bytes()).ok()),
            answered: false,
            seat,
            shared,
        }
    }

    /// Serves until it takes no more requests.
    pub(super) async fn serve(&mut self) {
        poll_fn(|cx| if self.poll(cx).is_ready() || self.requests.is_none() { Poll::Ready(()) } else { Poll::Pending })
            .await;
    }

    /// Waits for the answers that are still to come.
    pub(super) async fn drain(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    /// Whether any request was answered on it.
    pub(super) const fn was_useful(&self) -> bool {
        self.answered
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

    // ---- writing

    fn fill(&mut self, now: BootInstant) -> bool {
        let Some(requests) = &self.requests else { return false };
        let waits = self.rest_until > now || self.is_slow(now) || !self.stalled.is_empty();
        if waits || self.written.is_blocked() {
            return false;
        }
        let limit = requests.current_max_send_streams().min(self.shared.tuning.streams);
        let free = limit.saturating_sub(self.open.len()).min(HANDED_AT_ONCE);
        if free == 0 {
            return false;
        }
        let bulk = limit.saturating_sub(reserved(limit)).saturating_sub(self.bulk_open);
        let mut taken = std::mem::take(&mut self.taken);
        self.shared.intake.take(Room { any: free, bulk }, now, &mut taken, &mut self.outbox);
        let moved = !taken.is_empty();
        if moved {
            self.hand_over(&mut taken, now);
        }
        self.taken = taken;
        moved
    }

    fn hand_over(&mut self, taken: &mut Vec<Item>, now: BootInstant) {
        self.shared.service.authorize(&mut self.held);
        let authorization = self.held.authorization.as_ref().and_then(|held| {
            let mut value = HeaderValue::from_maybe_shared(held.value.clone()).ok()?;
            value.set_sensitive(true);
            Some(value)
        });
        let wall = self.shared.clock.now();
        if self.open.is_empty() {
            self.last_answer = now;
        }
        let mut items = taken.drain(..);
        while self.stalled.is_empty() {
            let Some(item) = items.next() else { return };
            if let Err((item, error)) = self.begin(item, authorization.as_ref(), now, wall) {
                self.shared.intake.give_back(std::iter::once(item).chain(items), &mut self.outbox);
                return self.retire(&error.to_string());
            }
        }
        self.shared.intake.give_back(items, &mut self.outbox);
    }

    /// Hands one request to `h2`; returns it when the connection takes no more.
    fn begin(
        &mut self,
        mut item: Item,
        authorization: Option<&HeaderValue>,
        now: BootInstant,
        wall: Timestamp,
    ) -> Result<(), (Item, h2::Error)> {
        let Some(request) = self.request(&item, authorization) else {
            item.verdict(Verdict::FixRequest { for_all: false }, Some(Reason::known("BadPath")), &mut self.outbox);
            return Ok(());
        };
        let Some(requests) = &mut self.requests else { return Err((item, Code::NO_ERROR.into())) };
        let body = self.addressed.body.take().unwrap_or_else(|| item.job().batch.request.body.clone());
        let (response, send) = match requests.send_request(request, body.is_empty()) {
            Ok(streams) => streams,
            Err(error) => return Err((item, error)),
        };
        item.hand_over(wall);
        let bulk = item.job().lane() == Lane::Bulk;
        let id = send.stream_id().as_u32();
        let sent_at = body.is_empty().then_some(now);
        let slot = self.open.insert(Open {
            item: Some(item),
            send,
            id,
            unsent: body,
            authorization: self.held.number(),
            sent_at,
            timed_out: false,
            bulk,
        });
        self.bulk_open += usize::from(bulk);
        self.shared.meter.add_streams(1);
        self.answers.push(Answering::new(slot, response));
        if sent_at.is_none() {
            let open = &mut self.open[slot];
            open.send.reserve_capacity(open.unsent.len());
            if !push_body(open, now) {
                self.stalled.push(slot);
                self.stalled_since = now;
            }
        }
        Ok(())
    }

    fn request(&mut self, item: &Item, authorization: Option<&HeaderValue>) -> Option<http::Request<()>> {
        let (seq, channel) = item.target();
        let job = item.job();
        self.addressed.clear();
        self.shared.service.address(&job.batch.request, seq, channel, &mut self.addressed);
        let mut request = http::Request::new(());
        *request.method_mut() = http::Method::POST;
        *request.uri_mut() = self.shared.uri(&self.addressed.path)?;
        let mut headers = job.headers.clone();
        if let Some(value) = authorization {
            headers.insert(AUTHORIZATION, value.clone());
        }
        if let (Some(field), false) = (&self.id_field, self.addressed.id.is_empty()) {
            let mut value = HeaderValue::from_bytes(&self.addressed.id).ok()?;
            value.set_sensitive(true);
            headers.insert(field.clone(), value);
        }
        *request.headers_mut() = headers;
        Some(request)
    }

    /// Goes on with bodies that the peer now has a window for.
    fn push_stalled(&mut self, cx: &mut Context<'_>, now: BootInstant) -> bool {
        let before = self.stalled.len();
        let mut moved = false;
        let open = &mut self.open;
        self.stalled.retain(|slot| {
            let Some(open) = open.get_mut(*slot).filter(|open| open.item.is_some()) else { return false };
            while let Poll::Ready(granted) = open.send.poll_capacity(cx) {
                // An error or the end comes again as the stream's answer.
                let Some(Ok(_)) = granted else { return false };
                moved = true;
                if push_body(open, now) {
                    return false;
                }
            }
            true
        });
        moved |= self.stalled.len() < before;
        if moved {
            self.stalled_since = now;
        }
        moved
    }

    // ---- reading

    fn settle_answers(&mut self, cx: &mut Context<'_>, now: BootInstant) -> bool {
        let mut moved = false;
        while let Poll::Ready(Some((slot, ended))) = self.answers.poll_next_unpin(cx) {
            moved = true;
            if let Some(open) = self.close_stream(slot) {
                self.settle(open, ended, now);
            }
        }
        moved
    }

    fn close_stream(&mut self, slot: usize) -> Option<Open> {
        let open = self.open.try_remove(slot)?;
        self.stalled.retain(|stalled| *stalled != slot);
        self.bulk_open -= usize::from(open.bulk);
        self.shared.meter.add_streams(-1);
        Some(open)
    }

    fn settle(&mut self, mut open: Open, ended: Ended, now: BootInstant) {
        if matches!(ended, Ended::Answered { .. }) {
            self.answered = true;
            self.last_answer = now;
            self.last_heard = now;
        }
        let Some(item) = open.item.take() else { return };
        match ended {
            Ended::Answered { status, retry_after, body } => {
                let authorization = open.authorization;
                let answer = RawAnswer { status, retry_after: retry_after.as_deref(), body: &body, authorization };
                self.judge(item, &answer, now);
            }
            Ended::Failed(error) => {
                if let Some(reason) = self.is_safe(&open, &error, now) {
                    self.resend(item, reason);
                } else {
                    let reason = if open.timed_out {
                        TIMED_OUT
                    } else if error.is_reset() {
                        RESET
                    } else {
                        LOST
                    };
                    item.verdict(Verdict::ConnAmbiguous, Some(reason), &mut self.outbox);
                }
            }
        }
    }

    /// Whether a failed request was surely not processed (`push-services.md` 0.5), and why.
    fn is_safe(&mut self, open: &Open, error: &h2::Error, now: BootInstant) -> Option<Reason> {
        if open.timed_out {
            return None;
        }
        // `h2` fails with the peer's GOAWAY only streams above its last id.
        if error.is_go_away() && error.is_remote() {
            return Some(GOING_AWAY);
        }
        if error.is_reset() && error.is_remote() {
            let refused = error.reason() == Some(Code::REFUSED_STREAM);
            if refused {
                // It has more of us than it wants; its SETTINGS are on their way.
                self.rest(now, self.shared.tuning.refused_rest);
            }
            return refused.then_some(REFUSED);
        }
        (!self.written.whole(open.id)).then_some(LOST)
    }

    fn judge(&mut self, mut item: Item, answer: &RawAnswer<'_>, now: BootInstant) {
        let judgement = self.shared.service.judge(answer, &mut self.held);
        match judgement.connection {
            ConnectionFate::Keep => {}
            ConnectionFate::Rest(pause) => self.rest(now, pause),
            ConnectionFate::Replace => self.retire("the service asked for another connection"),
        }
        if item.retry(judgement.resend) {
            return self.shared.intake.give_back([item], &mut self.outbox);
        }
        if judgement.verdict == Verdict::Credentials {
            item.job().halt();
        }
        item.verdict(judgement.verdict, judgement.reason, &mut self.outbox);
    }

    fn rest(&mut self, now: BootInstant, pause: std::time::Duration) {
        self.rest_until = self.rest_until.max(now.plus(pause.mul_f64(0.5 + fastrand::f64())));
    }

    fn resend(&mut self, mut item: Item, reason: Reason) {
        if item.retry(Resend::Elsewhere) {
            self.shared.intake.give_back([item], &mut self.outbox);
        } else {
            item.verdict(Verdict::ConnSafe, Some(reason), &mut self.outbox);
        }
    }

    // ---- the end

    /// The link is gone: settles what it failed, and by what was written all else.
    fn lose(&mut self, cx: &mut Context<'_>, now: BootInstant) {
        self.requests = None;
        self.settle_answers(cx, now);
        for slot in self.slots() {
            let Some(item) = self.close_stream(slot).and_then(|mut open| {
                let whole = self.written.whole(open.id);
                open.item.take().map(|item| (item, whole))
            }) else {
                continue;
            };
            match item {
                (item, true) => item.verdict(Verdict::ConnAmbiguous, Some(LOST), &mut self.outbox),
                (item, false) => self.resend(item, LOST),
            }
        }
        self.outbox.flush();
    }

    /// Gives everything up at once.
    fn abandon(&mut self, why: Unsent) {
        self.requests = None;
        for slot in self.slots() {
            let Some(mut open) = self.close_stream(slot) else { continue };
            let whole = self.written.whole(open.id);
            match open.item.take() {
                Some(item) if whole => item.verdict(Verdict::ConnAmbiguous, Some(LOST), &mut self.outbox),
                Some(item) => item.unsent(why, &mut self.outbox),
                None => {}
            }
        }
        self.outbox.flush();
    }

    fn slots(&self) -> Vec<usize> {
        self.open.iter().map(|(slot, _)| slot).collect()
    }

    // ---- time

    /// Nothing was answered for so long that more requests would only wait behind the ones that do.
    fn is_slow(&self, now: BootInstant) -> bool {
        !self.open.is_empty() && now.after(self.last_answer) >= self.shared.tuning.soft_timeout
    }

    /// What is due by the clock. Fails when the peer no longer answers pings.
    fn tick(&mut self, cx: &mut Context<'_>, now: BootInstant) -> Result<(), Dead> {
        let busy = !self.open.is_empty() || self.pinged_at.is_some() || self.rest_until > now;
        if busy && !self.timer_is_busy {
            self.set_timer(now, busy);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            self.withdraw_stalled(now);
            self.time_out(now);
            self.keep_alive(now)?;
            self.set_timer(now, busy);
        }
        Ok(())
    }

    fn set_timer(&mut self, now: BootInstant, busy: bool) {
        let tuning = &self.shared.tuning;
        let wait = if !busy {
            tuning.idle_ping.saturating_sub(now.after(self.last_heard)).max(tuning.tick)
        } else if self.rest_until > now {
            tuning.tick.min(self.rest_until.after(now))
        } else {
            tuning.tick
        };
        self.timer.as_mut().reset(Instant::now() + wait);
        self.timer_is_busy = busy;
    }

    /// Takes requests back whose last byte waits for a window: when they may not be written any more, or when the window
    /// does not come. The peer cannot have processed them.
    fn withdraw_stalled(&mut self, now: BootInstant) {
        let stuck = !self.stalled.is_empty() && now.after(self.stalled_since) >= self.shared.tuning.hard_timeout;
        for slot in std::mem::take(&mut self.stalled) {
            let Some(open) = self.open.get_mut(slot) else { continue };
            let refusal = open.item.as_ref().and_then(|item| item.job().refusal(now));
            if refusal.is_none() && !stuck {
                self.stalled.push(slot);
                continue;
            }
            open.send.send_reset(Code::CANCEL);
            match (open.item.take(), refusal) {
                (Some(item), Some(why)) => item.unsent(why, &mut self.outbox),
                (Some(item), None) => self.resend(item, LOST),
                (None, _) => {}
            }
        }
        if stuck {
            self.retire("no window");
        }
    }

    /// Gives up what was written long ago. What still waits to be written waits on.
    fn time_out(&mut self, now: BootInstant) {
        let limit = self.shared.tuning.hard_timeout;
        for (_, open) in &mut self.open {
            let due = open.sent_at.is_some_and(|sent| now.after(sent) >= limit);
            if due && !open.timed_out && self.written.whole(open.id) {
                open.timed_out = true;
                // The stream's future ends with this, and settles the target.
                open.send.send_reset(Code::CANCEL);
            }
        }
    }

    fn keep_alive(&mut self, now: BootInstant) -> Result<(), Dead> {
        let tuning = &self.shared.tuning;
        if let Some(sent) = self.pinged_at {
            return if now.after(sent) >= tuning.ping_timeout { Err(Dead) } else { Ok(()) };
        }
        let every = if self.open.is_empty() {
            tuning.idle_ping
        } else if self.is_slow(now) {
            tuning.soft_timeout
        } else {
            tuning.busy_ping
        };
        if now.after(self.last_heard) >= every
            && let Some(ping) = &mut self.ping
            && ping.send_ping(h2::Ping::opaque()).is_ok()
        {
            self.pinged_at = Some(now);
        }
        Ok(())
    }

    fn hear_pong(&mut self, cx: &mut Context<'_>, now: BootInstant) {
        if self.pinged_at.is_some()
            && let Some(ping) = &mut self.ping
            && let Poll::Ready(Ok(_)) = ping.poll_pong(cx)
        {
            self.pinged_at = None;
            self.last_heard = now;
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.meter.add_connections(-1);
        self.shared.meter.add_streams(-i64::try_from(self.open.len()).unwrap_or(0));
    }
}

/// The peer stopped answering.
#[derive(Debug)]
struct Dead;

/// Streams that bulk leaves free: 5 %, at least one, none while only one is open.
fn reserved(limit: usize) -> usize {
    if limit < 2 { 0 } else { (limit / 20).max(1) }
}

/// Hands over as much of a body as the window takes; true when that was all of it.
fn push_body(open: &mut Open, now: BootInstant) -> bool {
    let granted = open.send.capacity().min(open.unsent.len());
    if granted == 0 {
        return false;
    }
    let piece = open.unsent.split_to(granted);
    let last = open.unsent.is_empty();
    // A stream that ended meanwhile says so as its answer.
    let _ = open.send.send_data(piece, last);
    if last {
        open.sent_at = Some(now);
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bulk_leaves_one_stream_in_twenty() {
        let kept: Vec<_> = [0, 1, 2, 20, 39, 40, 100, 1_000].into_iter().map(reserved).collect();
        assert_eq!(kept, [0, 0, 1, 1, 1, 2, 5, 50]);
    }
}
