//! What is due by the clock: timeouts, pings, and requests that wait for a window too long.

use std::task::{Context, Poll};

use h2::Reason as Code;
use tokio::time::Instant;

use super::Connection;
use crate::clock::BootInstant;
use crate::gateway::pool::reasons::LOST;

impl Connection {
    /// Nothing was answered for so long that more requests would only wait behind the ones that do.
    pub(super) fn is_slow(&self, now: BootInstant) -> bool {
        !self.open.is_empty() && now.after(self.last_answer) >= self.shared.tuning.soft_timeout
    }

    /// What is due by the clock. Fails when the peer no longer answers pings.
    pub(super) fn tick(&mut self, cx: &mut Context<'_>, now: BootInstant) -> Result<(), Dead> {
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
        let (silent, rest) = (now.after(self.last_heard), self.rest_until.after(now));
        let wait = self.shared.tuning.sleep(busy, silent, rest);
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

    pub(super) fn hear_pong(&mut self, cx: &mut Context<'_>, now: BootInstant) {
        if self.pinged_at.is_some()
            && let Some(ping) = &mut self.ping
            && let Poll::Ready(Ok(_)) = ping.poll_pong(cx)
        {
            self.pinged_at = None;
            self.last_heard = now;
        }
    }
}

/// The peer stopped answering.
#[derive(Debug)]
pub(super) struct Dead;
