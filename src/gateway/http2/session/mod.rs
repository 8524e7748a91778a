//! One client connection as a state machine without I/O (RFC 9113): requests and received bytes go in; bytes to write
//! and one word for each request come out.
//!
//! - [`streams`]: which requests are open. - [`sending`]: requests become frames. - [`receiving`]: frames become words.
//! - [`answer`]: header blocks and bodies on their way in. - [`peer`]: what the peer allows.
//!
//! The promise: every `T` that [`Session::begin`] took comes out exactly once, from [`Session::receive`],
//! [`Session::cancel`] or [`Session::abandon`]. Which of those that come out of the last may be sent again follows from
//! what was written: [`Session::wrote`] says how far that is.

use std::collections::VecDeque;

use bytes::Bytes;

use self::answer::{Assembly, Kept};
use self::peer::Peer;
use self::sending::Prefix;
use self::streams::Streams;
use super::frame::{self, ErrorCode, setting};
use super::hpack::{Decoder, Encoder};

pub mod answer;
pub mod peer;
pub mod receiving;
pub mod sending;
pub mod streams;

pub use sending::{OwnedField, Target, Template};

/// What the peer may send before we grant more, for all streams together: answers are small, and many come at once.
const RECEIVE_WINDOW: u32 = 1 << 20;
/// The window of a connection when nothing is said (RFC 9113 section 6.9.2), and of each stream of ours.
const DEFAULT_WINDOW: u32 = 65_535;
/// Replies to the peer's SETTINGS and PINGs that may wait to be written.
const MOST_REPLIES: u32 = 4_096;

/// The connection cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct ConnectionError {
    pub code: ErrorCode,
    /// What the peer did, for a log.
    pub what: &'static str,
}

impl ConnectionError {
    const fn new(code: ErrorCode, what: &'static str) -> Self {
        Self { code, what }
    }

    const fn protocol(what: &'static str) -> Self {
        Self::new(ErrorCode::PROTOCOL_ERROR, what)
    }
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended<'a> {
    /// With an answer, its body perhaps cut.
    Answered { status: u16, retry_after: Option<&'a str>, body: &'a [u8] },
    /// The peer goes away and has not processed it (RFC 9113 section 6.8).
    GoingAway,
    /// The peer has not processed it (RFC 9113 section 8.7).
    Refused,
    /// Reset by the peer; it may have been processed.
    Reset(ErrorCode),
    /// By an answer that breaks the rules of HTTP (RFC 9113 section 8.1.1).
    Malformed,
}

/// A client connection whose requests carry a `T` each.
#[derive(Debug)]
pub struct Session<T> {
    authority: Box<str>,
    /// To be written, from `begun` on.
    out: Vec<u8>,
    begun: usize,
    /// Bytes that were written before `out[begun]`.
    written: u64,
    encoder: Encoder,
    prefix: Prefix,
    decoder: Decoder,
    assembly: Option<Assembly>,
    peer: Peer,
    streams: Streams<T>,
    /// Requests whose body waits for a window, first come first.
    pending: VecDeque<Pending>,
    /// What of DATA the peer takes for all streams together.
    send_window: i64,
    /// What of DATA we still take, and what of it is to be granted again.
    receive_window: i64,
    consumed: u32,
    going_away: Option<u32>,
    pong: bool,
    /// Replies in the output.
    unread_replies: u32,
    notes_date: bool,
    date: Option<String>,
    /// Memory for answers with bodies, used again.
    #[expect(clippy::vec_box, reason = "the boxes move in and out of streams")]
    spare: Vec<Box<Kept>>,
}

#[derive(Debug)]
struct Pending {
    stream: u32,
    body: Bytes,
    window: i64,
}

impl<T> Session<T> {
    /// A connection to `authority` for at most so many requests at once. Its preface waits to be written.
    pub fn new(authority: &str, most_streams: usize) -> Self {
        let mut out = Vec::with_capacity(64 * 1024);
        out.extend_from_slice(frame::PREFACE);
        frame::settings(&mut out, &[(setting::ENABLE_PUSH, 0)]);
        frame::window_update(&mut out, 0, RECEIVE_WINDOW - DEFAULT_WINDOW);
        Self {
            authority: authority.into(),
            out,
            begun: 0,
            written: 0,
            encoder: Encoder::default(),
            prefix: Prefix::default(),
            decoder: Decoder::default(),
            assembly: None,
            peer: Peer::default(),
            streams: Streams::new(most_streams),
            pending: VecDeque::new(),
            send_window: i64::from(DEFAULT_WINDOW),
            receive_window: i64::from(RECEIVE_WINDOW),
            consumed: 0,
            going_away: None,
            pong: false,
            unread_replies: 0,
            notes_date: false,
            date: None,
            spare: Vec::new(),
        }
    }

    /// The same, and it notes the dates of answers: too dear where there are many.
    #[must_use]
    pub fn noting_dates(mut self) -> Self {
        self.notes_date = true;
        self
    }

    /// The value of `date` in the last answer that had it.
    pub fn date(&self) -> Option<&str> {
        self.date.as_deref()
    }

    /// What is to be written.
    pub fn output(&self) -> &[u8] {
        &self.out[self.begun..]
    }

    /// So many bytes of the output were taken by the network, or by a TLS layer that will not give them back.
    pub fn wrote(&mut self, bytes: usize) {
        self.begun = (self.begun + bytes).min(self.out.len());
        self.written += bytes as u64;
        if self.begun == self.out.len() {
            self.out.clear();
            self.begun = 0;
            self.unread_replies = 0;
        }
    }

    /// How many requests are open.
    pub const fn open(&self) -> usize {
        self.streams.count()
    }

    /// How many requests the peer allows at once, of those that this session was made for; 0 before its SETTINGS came.
    pub fn limit(&self) -> usize {
        self.peer.streams().min(self.streams.most())
    }

    /// Whether the peer's SETTINGS came, without which nothing may be begun.
    pub const fn has_settings(&self) -> bool {
        self.peer.has_spoken()
    }

    /// How many requests may be begun now. While a body waits for a window none: it would only wait, too.
    pub fn room(&self) -> usize {
        if !self.takes_requests() || !self.pending.is_empty() {
            return 0;
        }
        self.limit().saturating_sub(self.streams.count())
    }

    /// Whether requests may ever be begun again: the peer is not going away, and there are ids left.
    pub const fn takes_requests(&self) -> bool {
        self.going_away.is_none() && !self.streams.is_exhausted()
    }

    /// Whether the body of a begun request waits for the peer's window.
    pub fn is_stalled(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Asks the peer for a sign of life.
    pub fn ping(&mut self, opaque: [u8; 8]) {
        self.pong = false;
        frame::ping(&mut self.out, opaque, false);
    }

    /// Whether a sign of life came since the last [`Session::ping`].
    pub const fn ponged(&self) -> bool {
        self.pong
    }

    /// Says goodbye. The owner writes it, if it still can, and closes.
    pub fn say_goodbye(&mut self, code: ErrorCode) {
        frame::goaway(&mut self.out, code);
    }

    /// Every open request, with its stream and whether so much was written, or answered, that it may be processed.
    pub fn each_open(&self) -> impl Iterator<Item = (u32, &T, bool)> {
        let written = self.written;
        self.streams.iter().map(move |(stream, end, user)| (stream, user, end <= written))
    }

    /// Every request whose body waits for a window, with its stream.
    pub fn each_unended(&self) -> impl Iterator<Item = (u32, &T)> {
        self.pending.iter().filter_map(|pending| Some((pending.stream, self.streams.get(pending.stream)?)))
    }

    /// Gives a request up: the peer is told, and its answer will be ignored. Answers whether it may be processed.
    pub fn cancel(&mut self, stream: u32) -> Option<(T, bool)> {
        let (user, end) = self.streams.remove(stream)?;
        self.pending.retain(|pending| pending.stream != stream);
        frame::rst_stream(&mut self.out, stream, ErrorCode::CANCEL);
        Some((user, end <= self.written))
    }

    /// The connection is gone: gives back every open request, and whether it may be processed: all of it was written, or
    /// an answer had begun.
    pub fn abandon(&mut self) -> Vec<(T, bool)> {
        self.pending.clear();
        let written = self.written;
        self.streams.drain().map(|(user, end)| (user, end <= written)).collect()
    }
}

#[cfg(test)]
mod tests;
