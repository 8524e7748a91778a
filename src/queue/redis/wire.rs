//! Calls with a time limit, and what is known of places that do not answer.
//!
//! A place that failed is *away*: calls to it fail at once, one task asks it again and again with growing, jittered
//! pauses, and when it takes writes again it is back. So an outage costs its callers nothing but the first call, and
//! is one line in the log at its beginning and one at its end.

use std::sync::{Arc, Weak};
use std::time::Duration;

use deadpool_redis::redis::{
    Cmd, ErrorKind, FromRedisValue, RedisError, RedisResult, ScriptInvocation, ServerErrorKind, Value, cmd,
    from_redis_value,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::super::{QueueError, Result};
use super::link::{LIMIT, Link, Links};
use super::place::Places;
use crate::clock::{BootInstant, SharedClock};

/// The shortest and the longest pause between two tries of a place that is away.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// What is asked of Redis.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Script(&'a ScriptInvocation<'a>),
    Command(&'a Cmd),
}

impl Call<'_> {
    async fn make(self, mut link: Link) -> RedisResult<Value> {
        match self {
            Self::Script(script) => script.invoke_async(&mut link).await,
            Self::Command(command) => command.query_async(&mut link).await,
        }
    }
}

/// Calls to all places.
pub(super) struct Wire {
    pub links: Links,
    pub places: Places,
    clock: SharedClock,
    /// By place: since when and why it is away.
    away: Vec<watch::Sender<Option<Away>>>,
    closed: CancellationToken,
    own: Weak<Self>,
}

#[derive(Clone, Debug)]
struct Away {
    since: BootInstant,
    why: String,
}

impl Wire {
    /// `closed` ends its tasks.
    pub(super) fn new(links: Links, places: Places, clock: SharedClock, closed: CancellationToken) -> Arc<Self> {
        let away = (0..places.count()).map(|_| watch::Sender::new(None)).collect();
        Arc::new_cyclic(|own| Self { links, places, clock, away, closed, own: own.clone() })
    }

    /// Runs a script at a place.
    pub(super) async fn run<T: FromRedisValue>(&self, place: usize, script: &ScriptInvocation<'_>) -> Result<T> {
        self.call(place, LIMIT, Call::Script(script)).await
    }

    /// Makes a call at a place that is not away. A connection that broke while nobody used it costs no failure.
    pub(super) async fn call<T: FromRedisValue>(&self, place: usize, limit: Duration, call: Call<'_>) -> Result<T> {
        if let Some(away) = &*self.away[place].borrow() {
            return Err(QueueError(self.in_words(away)));
        }
        match self.try_call(limit, call).await {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.failed(place, &error)),
        }
    }

    async fn try_call<T: FromRedisValue>(&self, limit: Duration, call: Call<'_>) -> RedisResult<T> {
        let mut used = None;
        let calls = async {
            loop {
                let (number, link) = self.links.shared().await?;
                let again = used.replace(number).is_none();
                match call.make(link).await {
                    Err(error) if is_stale(&error) => {
                        self.links.forget(number).await;
                        if !again {
                            return Err(error);
                        }
                    }
                    answer => return answer,
                }
            }
        };
        match tokio::time::timeout(limit, calls).await {
            Ok(answer) => from_redis_value(answer?).map_err(RedisError::from),
            Err(_) => {
                if let Some(number) = used {
                    self.links.forget(number).await;
                }
                Err(RedisError::from(std::io::Error::new(
                    std::io::ErrorKind::TimedOut,
                    format!("no answer within {} ms", limit.as_millis()),
                )))
            }
        }
    }

    /// Takes note of a failure at a place, and puts it in words.
    pub(super) fn failed(&self, place: usize, error: &RedisError) -> QueueError {
        let away = Away { since: self.clock.boot(), why: error.to_string() };
        if is_outage(error) {
            let first = self.away[place].send_if_modified(|known| {
                let first = known.is_none();
                if first {
                    *known = Some(away.clone());
                }
                first
            });
            if first {
                tracing::warn!(place = %self.places.key(place, ""), %error, "Redis is away; work waits until it is back");
                if let Some(wire) = self.own.upgrade() {
                    tokio::spawn(wire.bring_back(place));
                }
            }
        }
        QueueError(self.in_words(&away))
    }

    /// Waits until a place is not away.
    pub(super) async fn back(&self, place: usize) {
        // `self` holds the other end, so this never fails.
        let _ = self.away[place].subscribe().wait_for(Option::is_none).await;
    }

    /// Whether a place is known to be away.
    pub(super) fn is_away(&self, place: usize) -> bool {
        self.away[place].borrow().is_some()
    }

    async fn bring_back(self: Arc<Self>, place: usize) {
        let mut pause = PAUSES.0;
        loop {
            tokio::select! {
                () = self.closed.cancelled() => return,
                () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)) => {}
            }
            pause = (pause * 2).min(PAUSES.1);
            if self.probe(place).await.is_ok() {
                break;
            }
        }
        if let Some(away) = self.away[place].send_replace(None) {
            let seconds = self.clock.boot().after(away.since).as_secs_f64();
            tracing::info!(place = %self.places.key(place, ""), seconds, "Redis is back");
        }
    }

    /// Writes something at a place: a replica, a full server and one that still loads answer, but take no writes.
    async fn probe(&self, place: usize) -> RedisResult<()> {
        let key = self.places.key(place, "probe");
        let mut write = cmd("SET");
        write.arg(&key).arg(1).arg("PX").arg(1_000);
        self.try_call(LIMIT, Call::Command(&write)).await
    }

    /// Whether every place can be written to now.
    pub(super) async fn ping(&self) -> Result<()> {
        let probes = (0..self.places.count()).map(|place| async move {
            let known = self.away[place].borrow().as_ref().map(|away| self.in_words(away));
            match known {
                Some(words) => Err(QueueError(words)),
                None => self.probe(place).await.map_err(|error| self.failed(place, &error)),
            }
        });
        futures_util::future::join_all(probes).await.into_iter().collect()
    }

    fn in_words(&self, away: &Away) -> String {
        match self.clock.boot().after(away.since).as_secs() {
            0 => format!("Redis: {}", away.why),
            seconds => format!("Redis is away for {seconds} s: {}", away.why),
        }
    }
}

/// The connection is of no use any more: it broke, or leads to what was the master.
fn is_stale(error: &RedisError) -> bool {
    error.is_io_error()
        || matches!(
            error.kind(),
            ErrorKind::Io
                | ErrorKind::Parse
                | ErrorKind::ClusterConnectionNotFound
                | ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
        )
}

/// Nothing works there for now; anything else is about the one call.
fn is_outage(error: &RedisError) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::UnexpectedReturnType
            | ErrorKind::Server(
                ServerErrorKind::ResponseError
                    | ServerErrorKind::NoScript
                    | ServerErrorKind::ExecAbort
                    | ServerErrorKind::CrossSlot
            )
    ) && error.code() != Some("NOGROUP")
        && error.code() != Some("UNBLOCKED")
}
