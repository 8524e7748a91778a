//! Connections of one gateway to one service, whatever speaks HTTP/2 on each of them.
//!
//! ```text
//!  submit ─▶ intake (two lanes, bounded) ◀─ take, give back ─▶ connections, each whole on one sending thread
//!                 ▲                                                   │
//!                 └── watch: stop flags, deadlines, no connection     └─▶ replies, in piles of up to 256
//! ```
//!
//! - A batch waits in the [`intake`] until connections take its targets, as many as they have free streams.
//! - A [`line`] keeps one connection open while there is work; lines are dealt out over the sending threads.
//! - A target is in exactly one place (intake, or one stream of one connection) and leaves it by its reply. A connection
//!   that fails puts back what is surely unprocessed and answers the rest as ambiguous.
//! - What speaks on a connection is a [`Wire`]: the engine's own (`gateway::http2`), or the `h2` crate
//!   (`gateway::h2_transport`) as oracle and fallback.
//! - Nothing here knows what an answer means: that is the [`Service`]'s.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ClientConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::dial::Dialer;
use self::intake::Intake;
use self::job::{Job, RecentFields};
use self::reach::Reach;
pub(in crate::gateway) use self::wire::Wire;
use super::endpoint::Endpoint;
use super::senders::Senders;
use super::transport::{GatewayMeter, OwnedAnswer, Service, Transport};
use super::{Answer, Batch, Reply, SharedRequest, Unsent};
use crate::clock::SharedClock;
use crate::model::broadcast::Lane;
use crate::model::verdict::{Reason, Verdict};

pub(super) mod dial;
pub(super) mod intake;
pub(super) mod job;
mod line;
mod reach;
pub(super) mod reasons;
pub(super) mod wire;

/// Which service, and how many connections to it.
#[derive(Clone, Debug)]
pub struct TransportSettings {
    pub endpoint: Endpoint,
    pub tls: ClientConfig,
    pub connections: usize,
    pub tuning: Tuning,
}

/// Times and sizes; the defaults are those of `push-services.md` 0.5 and 1.6.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// The most requests open on a connection, however many the peer allows.
    pub streams: usize,
    /// How often stop flags, deadlines and timeouts are looked at while anything is under way.
    pub tick: Duration,
    /// Name, TCP, TLS and HTTP/2 together.
    pub open_timeout: Duration,
    /// A new connection has one request open until that was answered, for so long at the most (1.6).
    pub warm_up: Duration,
    /// A connection without any answer for so long gets no more requests, and a ping.
    pub soft_timeout: Duration,
    /// A request without an answer for so long is given up.
    pub hard_timeout: Duration,
    /// Silence before a ping, while requests are open.
    pub busy_ping: Duration,
    /// Silence before a ping, while none is.
    pub idle_ping: Duration,
    /// A ping without its answer for so long ends the connection.
    pub ping_timeout: Duration,
    /// How long a batch waits while there is no connection at all.
    pub patience: Duration,
    /// Between the openings of a gateway's lines.
    pub stagger: Duration,
    /// Pauses before a lost connection is opened again.
    pub least_pause: Duration,
    pub most_pause: Duration,
    /// How long a connection rests after its peer refused a stream.
    pub refused_rest: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            streams: 1_000,
            tick: Duration::from_millis(100),
            open_timeout: Duration::from_secs(10),
            warm_up: Duration::from_secs(1),
            soft_timeout: Duration::from_secs(10),
            hard_timeout: Duration::from_secs(60),
            busy_ping: Duration::from_secs(30),
            idle_ping: Duration::from_hours(1),
            ping_timeout: Duration::from_secs(10),
            patience: Duration::from_secs(2),
            stagger: Duration::from_millis(100),
            least_pause: Duration::from_millis(100),
            most_pause: Duration::from_secs(30),
            refused_rest: Duration::from_millis(50),
        }
    }
}

impl Tuning {
    /// How long a connection may sleep that has been silent for so long, and that is asked to rest no longer than that.
    pub(in crate::gateway) fn sleep(&self, busy: bool, silent: Duration, rest: Duration) -> Duration {
        match (busy, rest) {
            (false, _) => self.idle_ping.saturating_sub(silent).max(self.tick),
            (true, Duration::ZERO) => self.tick,
            (true, rest) => self.tick.min(rest),
        }
    }

    /// How many of `limit` requests a connection may have open: one while it is new. Of its open requests the first has
    /// waited for so long.
    pub(in crate::gateway) fn warm(&self, limit: usize, answered: bool, open: usize, waited: Duration) -> usize {
        let is_new = !answered && !self.warm_up.is_zero() && (open == 0 || waited < self.warm_up);
        if is_new { limit.min(1) } else { limit }
    }
}

/// Connections of one gateway.
pub(in crate::gateway) struct Pool<W> {
    shared: Arc<Shared>,
    senders: Arc<Senders>,
    wire: PhantomData<fn() -> W>,
}

/// What all parts of one pool share.
pub(in crate::gateway) struct Shared {
    pub(super) service: Arc<dyn Service>,
    pub(super) clock: SharedClock,
    pub(super) meter: Arc<GatewayMeter>,
    pub(super) tuning: Tuning,
    pub(super) endpoint: Endpoint,
    dialer: Dialer,
    pub(super) intake: Arc<Intake>,
    reach: Reach,
    /// No new requests.
    pub(super) closing: CancellationToken,
    /// No more waiting either.
    pub(super) killed: CancellationToken,
    pub(super) tasks: TaskTracker,
    batches: AtomicU64,
    recent: RecentFields,
    /// What the last exchange said of the peer's clock.
    clock_ahead: Mutex<Option<i64>>,
}

impl<W: Wire> Pool<W> {
    /// Ready to take batches; connections open when the first comes.
    pub fn open(
        settings: TransportSettings,
        service: Arc<dyn Service>,
        senders: Arc<Senders>,
        meter: Arc<GatewayMeter>,
        clock: SharedClock,
    ) -> Self {
        let TransportSettings { endpoint, tls, connections, tuning } = settings;
        let shared = Arc::new(Shared {
            reach: Reach::new(endpoint.to_string(), clock.boot()),
            dialer: Dialer::new(endpoint.clone(), tls, tuning.open_timeout),
            endpoint,
            intake: Arc::new(Intake::new(connections)),
            closing: CancellationToken::new(),
            killed: CancellationToken::new(),
            tasks: TaskTracker::new(),
            batches: AtomicU64::new(0),
            recent: RecentFields::default(),
            clock_ahead: Mutex::default(),
            service,
            clock,
            meter,
            tuning,
        });
        let first = senders.stagger();
        let watched = Arc::clone(&shared);
        senders.spawn(first, || watched.tasks.clone().track_future(reach::watch(watched)));
        for number in 0..connections.max(1) {
            let kept = Arc::clone(&shared);
            let gathering = senders.gathering(first + number);
            senders.spawn(first + number, move || {
                kept.tasks.clone().track_future(line::keep::<W>(kept, number, gathering))
            });
        }
        Self { shared, senders, wire: PhantomData }
    }

    /// Waits for room for all of them, unless one may not be written any more.
    async fn room(&self, jobs: &[Job]) -> Result<tokio::sync::OwnedSemaphorePermit, Unsent> {
        let lane = jobs.first().map_or(Lane::Bulk, Job::lane);
        let room = self.shared.intake.room(lane, jobs.iter().map(|job| job.batch.targets.len()).sum());
        tokio::pin!(room);
        loop {
            tokio::select! {
                room = &mut room => return room.ok_or(Unsent::Closed),
                () = tokio::time::sleep(self.shared.tuning.tick) => {
                    let now = self.shared.clock.boot();
                    if let Some(why) = jobs.iter().find_map(|job| job.refusal(now)) {
                        return Err(why);
                    }
                }
            }
        }
    }
}

#[async_trait::async_trait]
impl<W: Wire> Transport for Pool<W> {
    async fn submit_all(&self, batches: Vec<Batch>) {
        let Shared { recent, service, clock, .. } = &*self.shared;
        let mut jobs = Vec::with_capacity(batches.len());
        for batch in batches {
            let number = self.shared.batches.fetch_add(1, Ordering::Relaxed) + 1;
            match Job::new(batch, recent, &**service, clock.boot(), number) {
                Ok(job) => jobs.push(job),
                Err(batch) => refuse(&batch),
            }
        }
        if jobs.is_empty() {
            return;
        }
        match self.room(&jobs).await {
            Ok(room) => self.shared.intake.push(jobs, room),
            Err(why) => jobs.iter().for_each(|job| job.hand_back(0, why)),
        }
    }

    async fn exchange(&self, request: Arc<SharedRequest>, channel: Vec<u8>) -> Result<OwnedAnswer, String> {
        let (tell, told) = tokio::sync::oneshot::channel();
        let shared = Arc::clone(&self.shared);
        self.senders.spawn(self.senders.stagger(), move || async move {
            // Whoever asked may have gone.
            let _ = tell.send(wire::exchange::<W>(&shared, &request, &channel).await);
        });
        told.await.unwrap_or_else(|_| Err("the sending threads have stopped".to_owned()))
    }

    fn clock_ahead(&self) -> Option<i64> {
        *self.shared.clock_ahead.lock()
    }

    async fn close(&self, within: Duration) {
        self.shared.closing.cancel();
        self.shared.intake.close();
        self.shared.tasks.close();
        if tokio::time::timeout(within, self.shared.tasks.wait()).await.is_err() {
            self.shared.killed.cancel();
            self.shared.tasks.wait().await;
        }
    }
}

impl<W> Drop for Pool<W> {
    fn drop(&mut self) {
        self.shared.closing.cancel();
        self.shared.killed.cancel();
        self.shared.intake.close();
    }
}

impl<W> fmt::Debug for Pool<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("reach", &self.shared.reach).finish_non_exhaustive()
    }
}

/// A request whose fields are no header fields is wrong for every target.
fn refuse(batch: &Batch) {
    let what = Answer::Verdict {
        verdict: Verdict::FixRequest { for_all: true },
        reason: Some(Reason::known("bad header field")),
        written_at: None,
    };
    let replies = batch.targets.iter().map(|(seq, _)| Reply { seq, what: what.clone() }).collect();
    // A worker that is gone needs no answer.
    let _ = batch.replies.send(replies);
}
