//! What is due by the clock: timeouts, pings, and requests that wait for a window too long.

use std::future::Future as _;
use std::task::Context;

use tokio::time::Instant;

use super::Connection;
use crate::clock::BootInstant;
use crate::gateway::pool::reasons::{LOST, TIMED_OUT};

impl Connection {
    /// Nothing was answered for so long that more requests would only wait behind the ones that do.
    pub(super) fn is_slow(&self, now: BootInstant) -> bool {
        self.session.open() > 0 && now.after(self.settling.last_answer) >= self.shared.tuning.soft_timeout
    }

    /// The peer lets nothing be begun: whether it will ever, only a ping can tell.
    fn is_shut(&self) -> bool {
        self.session.limit() == 0 && !self.retired
    }

    /// What is due by the clock. The error is that the peer is gone.
    pub(super) fn tick(&mut self, cx: &mut Context<'_>, now: BootInstant) -> Result<(), &'static str> {
        if self.pinged_at.is_some() && self.session.ponged() {
            self.pinged_at = None;
            self.settling.last_heard = now;
        }
        let asked = self.pinged_at.is_some() || self.settling.rest_until > now;
        let busy = self.session.open() > 0 || asked || self.is_shut();
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
        let (silent, rest) = (now.after(self.settling.last_heard), self.settling.rest_until.after(now));
        let wait = self.shared.tuning.sleep(busy, silent, rest);
        self.timer.as_mut().reset(Instant::now() + wait);
        self.timer_is_busy = busy;
    }

    /// Takes requests back whose last byte waits for the peer's window: when they may not be written any more, or when
    /// the window does not come. The peer cannot have processed them, unless it has begun to answer.
    fn withdraw_stalled(&mut self, now: BootInstant) {
        let Some(since) = self.stalled_since else { return };
        let stuck = now.after(since) >= self.shared.tuning.hard_timeout;
        let waiting: Vec<_> = self
            .session
            .each_unended()
            .map(|(stream, open)| (stream, open.item.job().refusal(now)))
            .filter(|(_, refusal)| stuck || refusal.is_some())
            .collect();
        for (stream, refusal) in waiting {
            let Some((open, may_be_processed)) = self.session.cancel(stream) else { continue };
            let item = self.settling.close(open);
            match refusal {
                _ if may_be_processed => self.settling.ambiguous(item, LOST),
                Some(why) => item.unsent(why, &mut self.settling.outbox),
                None => self.settling.resend(item, LOST),
            }
        }
        if stuck {
            self.retire("no window");
        }
    }

    /// Gives up what was written long ago. What still waits to be written waits on.
    fn time_out(&mut self, now: BootInstant) {
        let limit = self.shared.tuning.hard_timeout;
        if now.after(self.settling.oldest_begun) < limit {
            return;
        }
        let mut oldest = now;
        let mut due = Vec::new();
        for (stream, open, whole) in self.session.each_open() {
            if whole && now.after(open.begun) >= limit {
                due.push(stream);
            } else {
                oldest = oldest.min(open.begun);
            }
        }
        self.settling.oldest_begun = oldest;
        for stream in due {
            if let Some((open, _)) = self.session.cancel(stream) {
                let item = self.settling.close(open);
                self.settling.ambiguous(item, TIMED_OUT);
            }
        }
    }

    fn keep_alive(&mut self, now: BootInstant) -> Result<(), &'static str> {
        let tuning = &self.shared.tuning;
        if !self.session.has_settings() && now.after(self.opened) >= tuning.open_timeout {
            return Err("it does not begin to speak HTTP/2");
        }
        if let Some(sent) = self.pinged_at {
            return if now.after(sent) < tuning.ping_timeout { Ok(()) } else { Err("it does not answer pings") };
        }
        let every = if self.is_shut() {
            tuning.busy_ping
        } else if self.session.open() == 0 {
            tuning.idle_ping
        } else if self.is_slow(now) {
            tuning.soft_timeout
        } else {
            tuning.busy_ping
        };
        if now.after(self.settling.last_heard) >= every {
            self.session.ping(fastrand::u64(..).to_be_bytes());
            self.pinged_at = Some(now);
        }
        Ok(())
    }
}
