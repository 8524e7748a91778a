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
use std::{
    collections::{HashMap, VecDeque},
    hash::{BuildHasherDefault, Hasher},
};

use super::{
    frame::{self, ErrorCode, FrameHeader, flag, kind, setting},
    hpack::{Decoder, HpackError},
    request::Request,
};

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

    fn receive_frames(&mut self, rest: &mut &[u8], events: &mut VecDeque<Event>) -> Result<(), ConnectionError> {
        if self.preface_left > 0 {
            let length = self.preface_left.min(rest.len());
            let (preface, after) = rest.split_at(length);
            let at = frame::PREFACE.len() - self.preface_left;
            if preface != &frame::PREFACE[at..at + length] {
                return Err(ConnectionError::Preface);
            }
            self.preface_left -= length;
            *rest = after;
        }
        while let Some(header) = FrameHeader::read(rest) {
            if header.length > frame::MAX_PAYLOAD {
                return Err(ConnectionError::FrameSize(header.length));
            }
            let Some(payload) = rest.get(frame::HEADER_BYTES..frame::HEADER_BYTES + header.length) else { break };
            *rest = &rest[frame::HEADER_BYTES + header.length..];
            self.frame(header, payload, events)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        if !self.peer_settings_seen {
            if header.kind != kind::SETTINGS || header.has(flag::ACK) {
                return Err(ConnectionError::Protocol("the first frame is not SETTINGS"));
            }
            self.peer_settings_seen = true;
        }
        if self.partial.is_some() && header.kind != kind::CONTINUATION {
            return Err(ConnectionError::Protocol("another frame inside a header block"));
        }
        match header.kind {
            kind::DATA => self.data(header, payload, events),
            kind::HEADERS => self.headers(header, payload, events),
            kind::CONTINUATION => self.continuation(header, payload, events),
            kind::SETTINGS => self.peer_settings(header, payload),
            kind::PING => self.ping(header, payload),
            kind::WINDOW_UPDATE => self.window_update(header, payload),
            kind::RST_STREAM => self.peer_reset(header, payload, events),
            kind::PUSH_PROMISE => Err(ConnectionError::Protocol("PUSH_PROMISE from a client")),
            // PRIORITY is ignored as APNs ignores it, GOAWAY because the peer closes when it is done, types that
            // nobody knows because RFC 9113 section 5.5 says so.
            _ => Ok(()),
        }
    }

    fn headers(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        let mut block = unpadded(header, payload)?;
        if header.has(flag::PRIORITY) {
            block = block.get(5..).ok_or(ConnectionError::FrameSize(payload.len()))?;
        }
        if header.stream.is_multiple_of(2) {
            return Err(ConnectionError::Protocol("HEADERS on a stream that no client can open"));
        }
        let end_stream = header.has(flag::END_STREAM);
        if header.has(flag::END_HEADERS) {
            return self.header_block(header.stream, end_stream, block, events);
        }
        self.partial = Some(Partial { stream: header.stream, end_stream, block: block.to_vec() });
        Ok(())
    }

    fn continuation(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        let Some(mut partial) = self.partial.take_if(|partial| partial.stream == header.stream) else {
            return Err(ConnectionError::Protocol("CONTINUATION without its HEADERS"));
        };
        partial.block.extend_from_slice(payload);
        // Compressed, a list within its limit is not this long: endless CONTINUATION must not fill the memory.
        if partial.block.len() > 4 * frame::MAX_PAYLOAD {
            return Err(ConnectionError::Protocol("a header block without end"));
        }
        if header.has(flag::END_HEADERS) {
            return self.header_block(partial.stream, partial.end_stream, &partial.block, events);
        }
        self.partial = Some(partial);
        Ok(())
    }

    fn header_block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        if id <= self.highest_stream {
            return self.trailers(id, end_stream, block, events);
        }
        self.highest_stream = id;
        let mut request = self.spare.pop().unwrap_or_default();
        request.stream = id;
        let limit = self.settings.max_header_list as usize;
        let mut shape = Shape::default();
        self.decoder.decode(block, |name, value| {
            if request.head_bytes() + name.len() + value.len() <= limit {
                shape.field(name, value);
                request.push(name, value);
            } else {
                shape.bad = true;
            }
        })?;
        if self.last_stream.is_some_and(|last| id > last) {
            self.recycle(request);
            return Ok(());
        }
        if self.streams.len() >= self.stream_limit() as usize {
            self.tally.refused += 1;
            self.tally.limit_violations += u64::from(self.acknowledged_limit.is_some());
            frame::write_reset(&mut self.output, id, ErrorCode::REFUSED_STREAM);
            self.recycle(request);
            return Ok(());
        }
        if !shape.complete() {
            self.tally.malformed += 1;
            frame::write_reset(&mut self.output, id, ErrorCode::PROTOCOL_ERROR);
            self.recycle(request);
            return Ok(());
        }
        self.streams.insert(
            id,
            Stream {
                request: Some(request),
                receive_window: i64::from(self.settings.stream_window),
                used: 0,
                send_window: i64::from(self.peer_stream_window),
                unsent: Vec::new(),
            },
        );
        self.tally.max_open = self.tally.max_open.max(self.streams.len() as u64);
        if end_stream {
            self.request_complete(id, events);
        }
        Ok(())
    }

    fn trailers(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        self.decoder.decode(block, |_, _| ())?;
        let receiving = self.streams.get(&id).is_some_and(|stream| stream.request.is_some());
        match (receiving, end_stream) {
            (true, true) => self.request_complete(id, events),
            (true, false) => return Err(ConnectionError::Protocol("trailers do not end their stream")),
            // Closed by us meanwhile (reset, refused, answered early); the peer may not know yet.
            (false, _) => {}
        }
        Ok(())
    }

    fn data(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        let id = header.stream;
        if id == 0 || id > self.highest_stream {
            return Err(ConnectionError::Protocol("DATA on a stream that was never opened"));
        }
        // Padding counts as well (RFC 9113 section 6.9.1), and so does DATA of streams that are closed meanwhile.
        let length = i64::try_from(payload.len()).unwrap_or(i64::MAX);
        self.receive_window -= length;
        if self.receive_window < 0 {
            return Err(ConnectionError::FlowControl("connection"));
        }
        self.used += u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let body = unpadded(header, payload)?;
        let mut end_stream = false;
        if let Some(stream) = self.streams.get_mut(&id) {
            let Some(request) = &mut stream.request else {
                return Err(ConnectionError::Protocol("DATA behind the end of its stream"));
            };
            stream.receive_window -= length;
            if stream.receive_window < 0 {
                return Err(ConnectionError::FlowControl("stream"));
            }
            stream.used += u32::try_from(payload.len()).unwrap_or(u32::MAX);
            request.body.extend_from_slice(body);
            end_stream = header.has(flag::END_STREAM);
            if !end_stream && !self.windows_held && stream.used >= self.settings.stream_window / 2 {
                frame::write_window_update(&mut self.output, id, stream.used);
                stream.receive_window += i64::from(std::mem::take(&mut stream.used));
            }
        }
        if end_stream {
            self.request_complete(id, events);
        }
        self.grant_connection_window(self.settings.connection_window.max(frame::DEFAULT_WINDOW) / 2);
        Ok(())
    }

    fn grant_connection_window(&mut self, threshold: u32) {
        if !self.windows_held && self.used > 0 && self.used >= threshold {
            frame::write_window_update(&mut self.output, 0, self.used);
            self.receive_window += i64::from(std::mem::take(&mut self.used));
        }
    }

    fn request_complete(&mut self, id: u32, events: &mut VecDeque<Event>) {
        let Some(request) = self.streams.get_mut(&id).and_then(|stream| stream.request.take()) else { return };
        let announced = request.field(b"content-length");
        let truthful = announced.is_none_or(|text| {
            std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) == Some(request.body.len())
        });
        if truthful {
            events.push_back(Event::Request(request));
        } else {
            self.tally.malformed += 1;
            self.recycle(request);
            self.reset(id, ErrorCode::PROTOCOL_ERROR);
        }
    }

    fn peer_settings(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), ConnectionError> {
        if header.stream != 0 {
            return Err(ConnectionError::Protocol("SETTINGS on a stream"));
        }
        if header.has(flag::ACK) {
            let acknowledged = self.announced_limits.pop_front();
            self.acknowledged_limit =
                Some(acknowledged.ok_or(ConnectionError::Protocol("SETTINGS acknowledged that were never sent"))?);
            return Ok(());
        }
        let (settings, odd) = payload.as_chunks::<6>();
        if !odd.is_empty() {
            return Err(ConnectionError::FrameSize(payload.len()));
        }
        for [id_high, id_low, value @ ..] in settings {
            let value = u32::from_be_bytes(*value);
            match u16::from_be_bytes([*id_high, *id_low]) {
                setting::INITIAL_WINDOW_SIZE => self.peer_stream_window(value)?,
                setting::MAX_FRAME_SIZE if !(16_384..=0xff_ffff).contains(&value) => {
                    return Err(ConnectionError::Protocol("SETTINGS_MAX_FRAME_SIZE out of range"));
                }
                setting::ENABLE_PUSH if value > 1 => {
                    return Err(ConnectionError::Protocol("SETTINGS_ENABLE_PUSH is neither 0 nor 1"));
                }
                // The others bind an encoder with a dynamic table, a server that pushes, or larger frames than ours.
                _ => {}
            }
        }
        frame::write_header(&mut self.output, 0, kind::SETTINGS, flag::ACK, 0);
        self.send_unsent();
        Ok(())
    }

    fn peer_stream_window(&mut self, window: u32) -> Result<(), ConnectionError> {
        if window > frame::MAX_31_BITS {
            return Err(ConnectionError::FlowControl("SETTINGS_INITIAL_WINDOW_SIZE"));
        }
        let change = i64::from(window) - i64::from(self.peer_stream_window);
        self.peer_stream_window = window;
        for stream in self.streams.values_mut() {
            stream.send_window += change;
        }
        Ok(())
    }

    fn ping(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), ConnectionError> {
        if payload.len() != 8 {
            return Err(ConnectionError::FrameSize(payload.len()));
        }
        if header.stream != 0 {
            return Err(ConnectionError::Protocol("PING on a stream"));
        }
        if !header.has(flag::ACK) {
            self.tally.pings += 1;
            frame::write_header(&mut self.output, 8, kind::PING, flag::ACK, 0);
            self.output.extend_from_slice(payload);
        }
        Ok(())
    }

    fn window_update(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), ConnectionError> {
        let increment = payload.try_into().map_err(|_| ConnectionError::FrameSize(payload.len()))?;
        let increment = u32::from_be_bytes(increment) & frame::MAX_31_BITS;
        if increment == 0 {
            return Err(ConnectionError::Protocol("WINDOW_UPDATE by 0"));
        }
        let window = if header.stream == 0 {
            &mut self.send_window
        } else if let Some(stream) = self.streams.get_mut(&header.stream) {
            &mut stream.send_window
        } else if header.stream > self.highest_stream {
            return Err(ConnectionError::Protocol("WINDOW_UPDATE on a stream that was never opened"));
        } else {
            return Ok(());
        };
        *window += i64::from(increment);
        if *window > i64::from(frame::MAX_31_BITS) {
            return Err(ConnectionError::FlowControl("WINDOW_UPDATE"));
        }
        self.send_unsent();
        Ok(())
    }

    fn peer_reset(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        let code = payload.try_into().map_err(|_| ConnectionError::FrameSize(payload.len()))?;
        if header.stream == 0 || header.stream > self.highest_stream {
            return Err(ConnectionError::Protocol("RST_STREAM on a stream that was never opened"));
        }
        if let Some(stream) = self.streams.remove(&header.stream) {
            if let Some(request) = stream.request {
                self.recycle(request);
            }
            events.push_back(Event::Cancelled { stream: header.stream, code: ErrorCode(u32::from_be_bytes(code)) });
        }
        Ok(())
    }

    /// The limit that binds now: the highest of the acknowledged one and those on their way.
    fn stream_limit(&self) -> u32 {
        self.announced_limits.iter().copied().chain(self.acknowledged_limit).max().unwrap_or(u32::MAX)
    }

    /// Answers a request: `head` is an encoded header block (at most 16,384 bytes), `body` follows as DATA as far as the
    /// peer's windows allow, the rest when they open. False when the stream is not open any more.
    pub fn respond(&mut self, stream: u32, head: &[u8], body: &[u8]) -> bool {
        let flags = flag::END_HEADERS | if body.is_empty() { flag::END_STREAM } else { 0 };
        if body.is_empty() {
            if self.streams.remove(&stream).is_none() {
                return false;
            }
        } else {
            let Some(open) = self.streams.get_mut(&stream) else { return false };
            open.unsent.extend_from_slice(body);
            self.blocked.push_back(stream);
        }
        frame::write_header(&mut self.output, head.len(), kind::HEADERS, flags, stream);
        self.output.extend_from_slice(head);
        self.send_unsent();
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
        if self.spare.len() < 64 {
            request.clear();
            self.spare.push(request);
        }
    }
}

/// The payload without its padding (RFC 9113 section 6.1).
fn unpadded(header: FrameHeader, payload: &[u8]) -> Result<&[u8], ConnectionError> {
    if !header.has(flag::PADDED) {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(ConnectionError::FrameSize(0))?;
    let length = rest.len().checked_sub(usize::from(*padding));
    let length = length.ok_or(ConnectionError::Protocol("more padding than payload"))?;
    Ok(&rest[..length])
}

/// Whether a header list is a request (RFC 9113 sections 8.2 and 8.3).
#[derive(Default)]
struct Shape {
    method: bool,
    scheme: bool,
    path: bool,
    regular: bool,
    bad: bool,
}

impl Shape {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        if name.first() != Some(&b':') {
            self.regular = true;
            let upper = name.iter().any(u8::is_ascii_uppercase);
            let hop =
                matches!(name, b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade");
            self.bad |= upper || hop || name.is_empty() || (name == b"te" && value != b"trailers");
            return;
        }
        let seen = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":path" => &mut self.path,
            b":authority" => return,
            _ => {
                self.bad = true;
                return;
            }
        };
        self.bad |= *seen || self.regular || value.is_empty();
        *seen = true;
    }

    fn complete(&self) -> bool {
        self.method && self.scheme && self.path && !self.bad
    }
}
