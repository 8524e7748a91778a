//! One connection of the engine: it takes targets as streams are free, writes them, reads their answers, and knows at
//! every moment which of them would be safe to send again if it died now.
//!
//! It is one future, polled on one thread. Each round reads what has come and settles it, writes what the session put
//! out, and fills the free streams; rounds go on while anything moved. A connection that takes no more requests (GOAWAY,
//! a fault, closing) is *retired*: it stays until its open requests are answered.
//!
//! - [`settling`]: words on requests become replies. - `filling`: targets become requests. - `io`: bytes in, bytes out.
//! - `timing`: what is due by the clock. - `window`: how many requests at once. - `exchange`: one request alone.

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::Sleep;
use tokio_util::sync::WaitForCancellationFutureOwned;

use self::filling::Filling;
use self::io::Socket;
use self::settling::{Open, Settling};
use super::frame::ErrorCode;
use super::session::Session;
use crate::clock::BootInstant;
use crate::gateway::pool::dial::{DialError, Dialed, Seat};
use crate::gateway::pool::intake::Bell;
use crate::gateway::pool::{Shared, Wire};
use crate::gateway::senders::Gathering;
use crate::gateway::transport::OwnedAnswer;
use crate::gateway::{SharedRequest, Unsent};

mod exchange;
mod filling;
mod io;
mod settling;
mod timing;
mod window;

/// With fewer open requests than this nothing is gained by waiting for more answers.
const MANY: usize = 32;
/// Answers are few when less than one in so many open requests had one.
const FEW: usize = 8;
/// Rounds before other tasks of the thread get their turn.
const ROUNDS: usize = 8;

pub(in crate::gateway) struct Connection {
    shared: Arc<Shared>,
    socket: Socket,
    session: Session<Open>,
    settling: Settling,
    filling: Filling,
    /// Takes no more requests.
    retired: bool,
    goodbye: bool,
    stalled_since: Option<BootInstant>,
    pinged_at: Option<BootInstant>,
    timer: Pin<Box<Sleep>>,
    timer_is_busy: bool,
    closing: Pin<Box<WaitForCancellationFutureOwned>>,
    killed: Pin<Box<WaitForCancellationFutureOwned>>,
    bell: Bell,
    opened: BootInstant,
    seat: Seat,
    gathering: Gathering,
}

impl Connection {
    fn new(dialed: Dialed, shared: Arc<Shared>, gathering: Gathering) -> Self {
        let now = shared.clock.boot();
        shared.meter.add_connections(1);
        Self {
            socket: Socket::new(dialed.stream),
            session: Session::new(&shared.endpoint.authority(), shared.tuning.streams),
            settling: Settling::new(Arc::clone(&shared), now),
            filling: Filling::new(Arc::clone(&shared)),
            retired: false,
            goodbye: false,
            stalled_since: None,
            pinged_at: None,
            timer: Box::pin(tokio::time::sleep(shared.tuning.tick)),
            timer_is_busy: true,
            closing: Box::pin(shared.closing.clone().cancelled_owned()),
            killed: Box::pin(shared.killed.clone().cancelled_owned()),
            bell: shared.intake.bell(),
            opened: now,
            seat: dialed.seat,
            gathering,
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
            if !self.retired && self.closing.as_mut().poll(cx).is_ready() {
                self.retire("closing");
            }
            match self.round(cx, now) {
                Err(why) => {
                    tracing::debug!(address = %self.seat.address(), why, "connection lost");
                    self.lose();
                    return Poll::Ready(());
                }
                Ok(Moved::Done) => {
                    self.settling.outbox.flush();
                    return Poll::Ready(());
                }
                Ok(Moved::No) => {
                    self.settling.outbox.flush();
                    self.moderate();
                    return Poll::Pending;
                }
                Ok(Moved::Yes) => {}
            }
        }
        self.settling.outbox.flush();
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads, fills, writes, and looks at the clock. The error is for a log.
    fn round(&mut self, cx: &mut Context<'_>, now: BootInstant) -> Result<Moved, String> {
        let mut moved = self.read(cx, now)?;
        if let Some(why) = self.settling.replace.take() {
            self.retire(why);
        }
        if !self.session.takes_requests() {
            self.retire("going away, or out of stream ids");
        }
        moved |= self.fill(now);
        match self.write(cx, now) {
            Ok(wrote) => moved |= wrote,
            Err(why) => {
                self.hear_out(cx, now);
                return Err(why);
            }
        }
        self.tick(cx, now)?;
        if self.retired && self.session.open() == 0 {
            if !self.goodbye {
                self.goodbye = true;
                self.session.say_goodbye(ErrorCode::NO_ERROR);
                moved |= self.write(cx, now)?;
            }
            if self.session.output().is_empty() {
                return Ok(Moved::Done);
            }
        }
        Ok(if moved { Moved::Yes } else { Moved::No })
    }

    /// Answers that come few at a time are let gather.
    fn moderate(&mut self) {
        let (heard, open) = (std::mem::take(&mut self.settling.heard), self.session.open());
        if heard > 0 && open >= MANY && heard < open / FEW {
            self.gathering.wish();
        }
    }

    fn retire(&mut self, why: &str) {
        if !std::mem::replace(&mut self.retired, true) {
            tracing::debug!(address = %self.seat.address(), open = self.session.open(), why, "connection retires");
        }
    }

    /// It is gone: settles its requests by what of them was written.
    fn lose(&mut self) {
        self.retired = true;
        for (open, whole) in self.session.abandon() {
            self.settling.lost(open, whole);
        }
        self.settling.outbox.flush();
    }

    /// Gives everything up at once.
    fn abandon(&mut self, why: Unsent) {
        self.retired = true;
        for (open, whole) in self.session.abandon() {
            self.settling.abandoned(open, whole, why);
        }
        self.settling.outbox.flush();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moved {
    Yes,
    No,
    /// Nothing will ever move again.
    Done,
}

impl Wire for Connection {
    async fn open(dialed: Dialed, shared: Arc<Shared>, gathering: Gathering) -> Result<Self, DialError> {
        Ok(Self::new(dialed, shared, gathering))
    }

    async fn serve(&mut self) {
        poll_fn(|cx| if self.poll(cx).is_ready() || self.retired { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    async fn drain(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn usefulness(&self) -> (bool, Duration) {
        (self.settling.answered, self.shared.clock.boot().after(self.opened))
    }

    async fn exchange(
        dialed: Dialed,
        shared: &Shared,
        request: &SharedRequest,
        channel: &[u8],
    ) -> Result<OwnedAnswer, String> {
        exchange::exchange(dialed, shared, request, channel).await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.shared.meter.add_connections(-1);
        // What ended since the gauge was brought up to date, and what never will.
        let open = i64::try_from(self.session.open()).unwrap_or(0);
        self.shared.meter.add_streams(-self.settling.ended - open);
    }
}
