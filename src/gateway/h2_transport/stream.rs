//! One request on a connection: what is known of it while it is open, and the future of its answer.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use h2::client::ResponseFuture;
use h2::{RecvStream, SendStream};
use http::Response;
use http::header::RETRY_AFTER;

use crate::clock::BootInstant;
use crate::gateway::pool::job::Item;

/// What is kept of an answer's body; error bodies have some dozen bytes.
const BODY_KEPT: usize = 16 * 1024;

/// A request that was handed to `h2`.
pub(super) struct Open {
    /// Taken when the target was answered before its stream ended.
    pub(super) item: Option<Item>,
    pub(super) send: SendStream<Bytes>,
    pub(super) id: u32,
    /// What of the body waits for the peer's window.
    pub(super) unsent: Bytes,
    /// The number of the authorization that it carries.
    pub(super) authorization: u64,
    /// When its last byte was handed to `h2`.
    pub(super) sent_at: Option<BootInstant>,
    /// It was given up and reset by us.
    pub(super) timed_out: bool,
    pub(super) bulk: bool,
}

/// How a request ended.
pub(super) enum Ended {
    Answered { status: u16, retry_after: Option<String>, body: Bytes },
    Failed(h2::Error),
}

/// The answer to a request, read to its end.
pub(super) struct Answering {
    slot: usize,
    state: State,
}

enum State {
    Waiting(ResponseFuture),
    Reading { status: u16, retry_after: Option<String>, body: BytesMut, stream: RecvStream },
}

impl Answering {
    pub(super) fn new(slot: usize, response: ResponseFuture) -> Self {
        Self { slot, state: State::Waiting(response) }
    }

    /// The rest of an answer whose head has come.
    pub(super) fn begun(slot: usize, response: Response<RecvStream>) -> Self {
        let status = response.status().as_u16();
        let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = retry_after.map(str::to_owned);
        let stream = response.into_body();
        Self { slot, state: State::Reading { status, retry_after, body: BytesMut::new(), stream } }
    }
}

impl Future for Answering {
    type Output = (usize, Ended);

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let slot = self.slot;
        loop {
            match &mut self.state {
                State::Waiting(response) => match ready!(Pin::new(response).poll(cx)) {
                    Err(error) => return Poll::Ready((slot, Ended::Failed(error))),
                    Ok(response) => self.state = Self::begun(slot, response).state,
                },
                State::Reading { status, retry_after, body, stream } => {
                    match ready!(stream.poll_data(cx)) {
                        Some(Ok(piece)) => {
                            // The window is for this stream alone: not granting it would only stall its own end.
                            let _ = stream.flow_control().release_capacity(piece.len());
                            let room = BODY_KEPT.saturating_sub(body.len());
                            body.extend_from_slice(&piece[..piece.len().min(room)]);
                        }
                        // A status that came is an answer, even when its body breaks off.
                        Some(Err(_)) | None => {
                            let body = std::mem::take(body).freeze();
                            let answer = Ended::Answered { status: *status, retry_after: retry_after.take(), body };
                            return Poll::Ready((slot, answer));
                        }
                    }
                }
            }
        }
    }
}
