//! What speaks HTTP/2 on one connection.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::dial::{DialError, Dialed};
use crate::gateway::SharedRequest;
use crate::gateway::retry_after::http_date;
use crate::gateway::senders::Gathering;
use crate::gateway::transport::OwnedAnswer;

/// A connection that takes targets from its pool's intake. Lives on one thread.
pub(in crate::gateway) trait Wire: Sized + 'static {
    /// Begins to speak on a connected stream, on a thread with that wish.
    fn open(dialed: Dialed, shared: Arc<Shared>, gathering: Gathering)
    -> impl Future<Output = Result<Self, DialError>>;

    /// Serves until it takes no more requests.
    fn serve(&mut self) -> impl Future<Output = ()>;

    /// Waits for the answers that are still to come.
    fn drain(self) -> impl Future<Output = ()>;

    /// Whether any request was answered on it, and for how long it has been open.
    fn usefulness(&self) -> (bool, Duration);

    /// One request alone, on a connection that ends with it. The error is for a person to read.
    fn exchange(
        dialed: Dialed,
        shared: &Shared,
        request: &SharedRequest,
        channel: &[u8],
    ) -> impl Future<Output = Result<OwnedAnswer, String>>;
}

/// One request on a connection of its own, for probes: opens, asks, waits for the answer and closes.
pub(super) async fn exchange<W: Wire>(
    shared: &Shared,
    request: &SharedRequest,
    channel: &[u8],
) -> Result<OwnedAnswer, String> {
    let dialed = shared.dialer.open().await.map_err(|failure| failure.to_string())?;
    let asked = W::exchange(dialed, shared, request, channel);
    let answered = tokio::time::timeout(shared.tuning.soft_timeout, asked).await;
    let answer = answered.unwrap_or_else(|_| Err("the service does not answer".to_owned()))?;
    if let Some(date) = &answer.date {
        *shared.clock_ahead.lock() = http_date(date).map(|date| date.millis() - shared.clock.now().millis());
    }
    Ok(answer)
}
