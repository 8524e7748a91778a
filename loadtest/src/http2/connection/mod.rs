//! The server's side of one HTTP/2 connection, without I/O.
//!
//! Bytes from the peer go into [`Connection::receive`] and come out as [`Event`]s; answers, resets and settings are
//! written into [`Connection::output`], which the owner sends whenever it likes: so the answers to everything that one
//! read brought leave in one TLS write.
//!
//! Life of a stream: HEADERS open it, the frame with END_STREAM turns it into [`Event::Request`], [`Connection::respond`]
//! or [`Connection::reset`] closes it. It counts as open, towards the stream limit, until then. Flow control is kept both
//! ways; windows are granted again when half is used, unless they are held shut ([`Connection::hold_windows`]).
//!
//! A stream limit binds the peer from its acknowledgement on (RFC 9113 section 6.5.3). Streams beyond the limit are
//! always refused; they count as `limit_violations` only when the peer had acknowledged it.
mod receive;
mod requests;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    frame::{self, ErrorCode, flag, kind, setting},
    hpack::{Decoder, HpackError},
    request::Request,
};

/// Requests whose buffers are kept: about what one read brings. Each is the size of the largest that it held.
const SPARE_REQUESTS: usize = 1024;

/// What we announce and grant.
#[derive(Clone, Debug)]
pub struct Settings {
    pub max_concurrent_streams: u32,
    /// SETTINGS_HEADER_TABLE_SIZE, bytes.
    pub header_table_size: u32,
    /// SETTINGS_MAX_HEADER_LIST_SIZE, bytes; a larger list is a stream error.
    pub max_header_list: u32,
    /// SETTINGS_INITIAL_WINDOW_SIZE, bytes.
    pub stream_window: u32,
    /// Window of the connection, bytes; at least 65,535, which is where it starts.
    pub connection_window: u32,
}

/// What the peer did. [`Request`]s should come back through [`Connection::recycle`].
#[derive(Debug)]
pub enum Event {
    Request(Request),
    /// The peer gave up a stream that had not been answered.
    Cancelled {
        stream: u32,
        code: ErrorCode,
    },
}

/// The peer broke the protocol: the owner sends what is in the output (it ends with GOAWAY) and closes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConnectionError {
    #[error("the client's preface is wrong")]
    Preface,
    #[error("a frame of {0} bytes is over the limit, or has the wrong size for its type")]
    FrameSize(usize),
    #[error("{0}")]
    Protocol(&'static str),
    #[error("{0}: more than the window allows")]
    FlowControl(&'static str),
    #[error(transparent)]
    Compression(#[from] HpackError),
}

impl ConnectionError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Preface | Self::Protocol(_) => ErrorCode::PROTOCOL_ERROR,
            Self::FrameSize(_) => ErrorCode::FRAME_SIZE_ERROR,
            Self::FlowControl(_) => ErrorCode::FLOW_CONTROL_ERROR,
            Self::Compression(_) => ErrorCode::COMPRESSION_ERROR,
        }
    }
}

/// What was seen on the connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Streams answered with REFUSED_STREAM because of the limit.
    pub refused: u64,
    /// Those of them that the peer opened after it had acknowledged the limit.
    pub limit_violations: u64,
    /// Malformed requests, answered with a stream error.
    pub malformed: u64,
    /// The most streams that were open at once.
    pub max_open: u64,
    pub pings: u64,
}

/// A stream from its HEADERS to the end of its answer.
#[derive(Debug)]
struct Stream {
    /// Until END_STREAM.
    request: Option<Request>,
    /// `content-length`, bytes.
    announced: Option<usize>,
    /// What the peer may still send.
    receive_window: i64,
    /// Received since the last WINDOW_UPDATE.
    used: u32,
    /// What we may still send.
    send_window: i64,
    /// The rest of an answer's body that waits for a window; only then non-empty.
    unsent: Vec<u8>,
}

/// Stream ids count up by two: multiplying by an odd constant spreads them enough.
#[derive(Debug, Default)]
struct StreamIdHasher(u64);

impl Hasher for StreamIdHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.write_u32(u32::from(*byte));
        }
    }

    fn write_u32(&mut self, id: u32) {
        self.0 = (self.0 ^ u64::from(id)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(26);
    }
}

/// A header block that is not complete yet.
#[derive(Debug)]
struct Partial {
    stream: u32,
    end_stream: bool,
    block: Vec<u8>,
}

#[derive(Debug)]
pub struct Connection {
    settings: Settings,
    decoder: Decoder,
    preface_left: usize,
    peer_settings_seen: bool,
    output: Vec<u8>,
    streams: HashMap<u32, Stream, BuildHasherDefault<StreamIdHasher>>,
    highest_stream: u32,
    partial: Option<Partial>,
    /// Stream limit of the last acknowledged SETTINGS.
    acknowledged_limit: Option<u32>,
    /// Of SETTINGS on their way, oldest first.
    announced_limits: VecDeque<u32>,
    receive_window: i64,
    used: u32,
    windows_held: bool,
    send_window: i64,
    peer_stream_window: u32,
    /// Streams whose answer waits for a window.
    blocked: VecDeque<u32>,
    /// Last stream of the newest GOAWAY that we sent: higher ones are ignored.
    last_stream: Option<u32>,
    spare: Vec<Request>,
    tally: Tally,
}

impl Connection {
    /// A fresh connection with its SETTINGS in the output.
    pub fn new(settings: Settings) -> Self {
        let mut output = Vec::new();
        frame::write_settings(
            &mut output,
            &[
                (setting::HEADER_TABLE_SIZE, settings.header_table_size),
                (setting::MAX_CONCURRENT_STREAMS, settings.max_concurrent_streams),
                (setting::INITIAL_WINDOW_SIZE, settings.stream_window),
                (setting::MAX_HEADER_LIST_SIZE, settings.max_header_list),
            ],
        );
        let extra = settings.connection_window.saturating_sub(frame::DEFAULT_WINDOW);
        if extra > 0 {
            frame::write_window_update(&mut output, 0, extra);
        }
        Self {
            decoder: Decoder::new(settings.header_table_size as usize),
            preface_left: frame::PREFACE.len(),
            peer_settings_seen: false,
            output,
            streams: HashMap::default(),
            highest_stream: 0,
            partial: None,
            acknowledged_limit: None,
            announced_limits: VecDeque::from([settings.max_concurrent_streams]),
            receive_window: i64::from(settings.connection_window.max(frame::DEFAULT_WINDOW)),
            used: 0,
            windows_held: false,
            send_window: i64::from(frame::DEFAULT_WINDOW),
            peer_stream_window: frame::DEFAULT_WINDOW,
            blocked: VecDeque::new(),
            last_stream: None,
            spare: Vec::new(),
            tally: Tally::default(),
            settings,
        }
    }

    /// What is to be sent. The owner may take any part from its front.
    pub fn output(&mut self) -> &mut Vec<u8> {
        &mut self.output
    }

    pub fn tally(&self) -> Tally {
        self.tally
    }

    /// Streams neither answered nor reset.
    pub fn open_streams(&self) -> usize {
        self.streams.len()
    }

    /// The highest stream that the peer opened, 0 before the first.
    pub fn highest_stream(&self) -> u32 {
        self.highest_stream
    }

    /// Takes whole frames from the front of `input`, adds what they mean to `events`, answers with the number of bytes
    /// used up. The rest must be offered again with more behind it.
    ///
    /// # Errors
    /// [`ConnectionError`]; the events before the fault stand. GOAWAY is in the output.
    pub fn receive(&mut self, input: &[u8], events: &mut VecDeque<Event>) -> Result<usize, ConnectionError> {
        let mut rest = input;
        let result = self.receive_frames(&mut rest, events);
        if let Err(error) = &result {
            let debug = error.to_string();
            frame::write_go_away(&mut self.output, self.highest_stream, error.code(), debug.as_bytes());
        }
        result.map(|()| input.len() - rest.len())
    }

    /// The limit that binds now: the highest of the acknowledged one and those on their way.
    fn stream_limit(&self) -> u32 {
        self.announced_limits.iter().copied().chain(self.acknowledged_limit).max().unwrap_or(u32::MAX)
    }

    /// Answers a request: `head` is an encoded header block (at most 16,384 bytes), `body` follows as DATA as far as the
    /// peer's windows allow, the rest when they open. False when the stream is not open any more.
    pub fn respond(&mut self, stream: u32, head: &[u8], body: &[u8]) -> bool {
        let flags = flag::END_HEADERS | if body.is_empty() { flag::END_STREAM } else { 0 };
        let Some(open) = self.streams.get_mut(&stream) else { return false };
        let window = usize::try_from(open.send_window.min(self.send_window)).unwrap_or(0);
        // A short body leaves at once and costs no buffer, unless others have waited for the window longer.
        let whole = body.len() <= window.min(frame::MAX_PAYLOAD) && (body.is_empty() || self.blocked.is_empty());
        if whole {
            self.streams.remove(&stream);
        } else {
            open.unsent.extend_from_slice(body);
            self.blocked.push_back(stream);
        }
        frame::write_header(&mut self.output, head.len(), kind::HEADERS, flags, stream);
        self.output.extend_from_slice(head);
        if whole && !body.is_empty() {
            frame::write_header(&mut self.output, body.len(), kind::DATA, flag::END_STREAM, stream);
            self.output.extend_from_slice(body);
            self.send_window -= i64::try_from(body.len()).unwrap_or(i64::MAX);
        } else if !whole {
            self.send_unsent();
        }
        true
    }

    fn send_unsent(&mut self) {
        for _ in 0..self.blocked.len() {
            let Some(id) = self.blocked.pop_front() else { break };
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            while !stream.unsent.is_empty() {
                let window = stream.send_window.min(self.send_window).max(0);
                let length = stream.unsent.len().min(frame::MAX_PAYLOAD).min(usize::try_from(window).unwrap_or(0));
                if length == 0 {
                    break;
                }
                let last = length == stream.unsent.len();
                frame::write_header(&mut self.output, length, kind::DATA, if last { flag::END_STREAM } else { 0 }, id);
                self.output.extend(stream.unsent.drain(..length));
                let length = i64::try_from(length).unwrap_or(i64::MAX);
                stream.send_window -= length;
                self.send_window -= length;
            }
            if stream.unsent.is_empty() {
                self.streams.remove(&id);
            } else {
                self.blocked.push_back(id);
            }
        }
    }

    /// Ends a stream with RST_STREAM. False when it is not open any more.
    pub fn reset(&mut self, stream: u32, code: ErrorCode) -> bool {
        let open = self.streams.remove(&stream).is_some();
        if open {
            frame::write_reset(&mut self.output, stream, code);
        }
        open
    }

    /// Sends GOAWAY. Streams above `last_stream` are forgotten, now and later; those up to it can still be answered.
    pub fn go_away(&mut self, last_stream: u32, code: ErrorCode, debug: &[u8]) {
        self.last_stream = Some(self.last_stream.map_or(last_stream, |before| before.min(last_stream)));
        self.streams.retain(|id, _| *id <= last_stream);
        frame::write_go_away(&mut self.output, last_stream, code, debug);
    }

    /// Announces another stream limit.
    pub fn limit_streams(&mut self, limit: u32) {
        self.announced_limits.push_back(limit);
        frame::write_settings(&mut self.output, &[(setting::MAX_CONCURRENT_STREAMS, limit)]);
    }

    /// `true` stops every WINDOW_UPDATE, `false` grants what has gathered meanwhile.
    pub fn hold_windows(&mut self, hold: bool) {
        self.windows_held = hold;
        if hold {
            return;
        }
        self.grant_connection_window(0);
        for (id, stream) in &mut self.streams {
            if stream.request.is_some() && stream.used > 0 {
                frame::write_window_update(&mut self.output, *id, stream.used);
                stream.receive_window += i64::from(std::mem::take(&mut stream.used));
            }
        }
    }

    /// Takes a request back for its buffers.
    pub fn recycle(&mut self, mut request: Request) {
        if self.spare.len() < SPARE_REQUESTS {
            request.clear();
            self.spare.push(request);
        }
    }
}
