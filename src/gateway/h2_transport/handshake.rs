//! HTTP/2 begins on a connected stream.

use bytes::Bytes;
use h2::client::{Connection, SendRequest};

use super::tap::{Tap, Written};
use crate::gateway::pool::dial::{DialError, Dialed, Seat, Stream};

/// What the peer may send before we grant more; answers are small, and many come at once.
const RECEIVE_WINDOW: u32 = 1 << 20;

pub(super) type Link = Connection<Tap<Stream>, Bytes>;

/// A connection whose preface was sent.
pub(super) struct Opened {
    pub(super) link: Link,
    pub(super) requests: SendRequest<Bytes>,
    pub(super) written: Written,
    pub(super) seat: Seat,
}

impl Opened {
    pub(super) async fn on(dialed: Dialed) -> Result<Self, DialError> {
        let (tap, written) = Tap::new(dialed.stream);
        let (requests, link) = h2::client::Builder::new()
            // The peer's SETTINGS say how many; until they are here, one.
            .initial_max_send_streams(1)
            .initial_connection_window_size(RECEIVE_WINDOW)
            .enable_push(false)
            .handshake(tap)
            .await
            .map_err(DialError::Http2)?;
        Ok(Self { link, requests, written, seat: dialed.seat })
    }
}
