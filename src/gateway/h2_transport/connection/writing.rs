//! Writing: free streams are filled from the intake.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::Reason as Code;
use http::header::{HeaderMap, HeaderValue};

use super::{Connection, HANDED_AT_ONCE};
use crate::clock::BootInstant;
use crate::gateway::h2_transport::head;
use crate::gateway::h2_transport::stream::{Answering, Open};
use crate::gateway::pool::intake::{Room, reserved};
use crate::gateway::pool::job::Item;
use crate::model::broadcast::Lane;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, Verdict};

impl Connection {
    pub(super) fn fill(&mut self, now: BootInstant) -> bool {
        let Some(requests) = &self.requests else { return false };
        let waits = self.rest_until > now || self.is_slow(now) || !self.stalled.is_empty();
        if waits || self.written.is_blocked() {
            return false;
        }
        let tuning = &self.shared.tuning;
        let limit = requests.current_max_send_streams().min(tuning.streams);
        let limit = tuning.warm(limit, self.answered, self.open.len(), now.after(self.last_answer));
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
        let authorization = head::authorization(&self.held);
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
        let Some(head) = self.head(&item, authorization) else {
            item.verdict(Verdict::FixRequest { for_all: false }, Some(Reason::known("BadPath")), &mut self.outbox);
            return Ok(());
        };
        let Some(requests) = &mut self.requests else { return Err((item, Code::NO_ERROR.into())) };
        let own = Bytes::copy_from_slice(&self.addressed.body);
        let body = if own.is_empty() { item.job().batch.request.body.clone() } else { own };
        let (response, send) = match requests.send_request(head, body.is_empty()) {
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

    fn head(&mut self, item: &Item, authorization: Option<&HeaderValue>) -> Option<http::Request<()>> {
        let (seq, channel) = item.target();
        let job = item.job();
        self.addressed.clear();
        self.shared.service.address(&job.batch.request, seq, channel, &mut self.addressed);
        self.heads.write(HeaderMap::clone(&job.fields), authorization, &self.addressed)
    }

    /// Goes on with bodies that the peer now has a window for.
    pub(super) fn push_stalled(&mut self, cx: &mut Context<'_>, now: BootInstant) -> bool {
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
