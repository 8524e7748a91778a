//! The protocol of one connection, without I/O (RFC 9113): bytes in, answers and control frames out.
//!
//! Streams are closed by their answer, so what is kept of one lives from its HEADERS to its END_STREAM, as a rule for the
//! length of two frames. Windows are opened as far as they go at the start: no body ever waits for this side.
use std::collections::VecDeque;

use super::{
    Shared,
    marks::{Addressee, Counts},
    paths::Reading,
};
use crate::http2::{
    ErrorCode,
    frame::{self, DEFAULT_WINDOW, FrameHeader, HEADER_BYTES, MAX_31_BITS, MAX_PAYLOAD, PREFACE, flag, kind, setting},
};

/// `:status: 200` is entry 8 of the static table.
const STATUS_200: u8 = 0x88;
/// Bytes of one answer: HEADERS with that one field.
pub(super) const ANSWER: usize = HEADER_BYTES + 1;
/// Bytes of DATA after which the connection's window is opened again.
const GIVE_BACK: u32 = 1 << 30;
/// The longest header block.
const LONGEST_BLOCK: usize = 4 * MAX_PAYLOAD;

/// The peer broke a rule; the connection ends with this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Breach(pub(super) ErrorCode);

/// One connection.
#[derive(Debug)]
pub(super) struct Receiver {
    reading: Reading,
    limit: usize,
    greeted: bool,
    /// The newest stream.
    last: u32,
    /// Requests whose end has not come, by stream, ascending.
    open: VecDeque<(u32, Addressee)>,
    /// Requests that came whole and whose answers have not left.
    unanswered: usize,
    /// A header block that goes on in CONTINUATION, with its stream and whether that ends.
    block: Option<(u32, bool, Vec<u8>)>,
    /// Bytes of DATA since the connection's window was opened last.
    received: u32,
    /// Answers, [`ANSWER`] bytes each.
    pub(super) answers: Vec<u8>,
    /// Control frames; they never wait.
    pub(super) control: Vec<u8>,
    pub(super) counted: Counts,
}

impl Receiver {
    /// Begins with the server's preface in [`Self::control`].
    pub(super) fn new(shared: &Shared) -> Self {
        let mut control = Vec::new();
        let settings = [(setting::MAX_CONCURRENT_STREAMS, shared.streams), (setting::INITIAL_WINDOW_SIZE, MAX_31_BITS)];
        frame::write_settings(&mut control, &settings);
        frame::write_window_update(&mut control, 0, MAX_31_BITS - DEFAULT_WINDOW);
        Self {
            reading: Reading::new(shared.paths),
            limit: shared.streams as usize,
            greeted: false,
            last: 0,
            open: VecDeque::new(),
            unanswered: 0,
            block: None,
            received: 0,
            answers: Vec::new(),
            control,
            counted: Counts { connections: 1, ..Counts::default() },
        }
    }

    /// So many answers left.
    pub(super) fn answered(&mut self, answers: usize) {
        self.unanswered -= answers;
    }

    /// The newest stream that was looked at, for GOAWAY.
    pub(super) fn last_stream(&self) -> u32 {
        self.last
    }

    /// Takes whole frames and returns how many bytes they had.
    pub(super) fn receive(&mut self, bytes: &[u8], shared: &Shared) -> Result<usize, Breach> {
        let mut rest = bytes;
        if !self.greeted {
            let Some((preface, after)) = rest.split_at_checked(PREFACE.len()) else { return Ok(0) };
            if preface != PREFACE {
                return Err(Breach(ErrorCode::PROTOCOL_ERROR));
            }
            self.greeted = true;
            rest = after;
        }
        while let Some(head) = FrameHeader::read(rest) {
            if head.length > MAX_PAYLOAD {
                return Err(Breach(ErrorCode::FRAME_SIZE_ERROR));
            }
            let Some(payload) = rest.get(HEADER_BYTES..HEADER_BYTES + head.length) else { break };
            self.frame(head, payload, shared)?;
            rest = &rest[HEADER_BYTES + head.length..];
        }
        Ok(bytes.len() - rest.len())
    }

    fn frame(&mut self, head: FrameHeader, payload: &[u8], shared: &Shared) -> Result<(), Breach> {
        if self.block.is_some() != (head.kind == kind::CONTINUATION) {
            return Err(Breach(ErrorCode::PROTOCOL_ERROR));
        }
        match head.kind {
            kind::HEADERS => self.headers(head, payload, shared),
            kind::DATA => self.data(head, shared),
            kind::CONTINUATION => self.continuation(head, payload, shared),
            kind::SETTINGS => {
                expect(head.stream == 0, ErrorCode::PROTOCOL_ERROR)?;
                let acknowledges = head.has(flag::ACK);
                let whole = if acknowledges { payload.is_empty() } else { payload.len().is_multiple_of(6) };
                expect(whole, ErrorCode::FRAME_SIZE_ERROR)?;
                // Nothing that is written here depends on the peer's settings: no table, no body.
                if !acknowledges {
                    frame::write_header(&mut self.control, 0, kind::SETTINGS, flag::ACK, 0);
                }
                Ok(())
            }
            kind::PING => {
                expect(head.stream == 0, ErrorCode::PROTOCOL_ERROR)?;
                expect(payload.len() == 8, ErrorCode::FRAME_SIZE_ERROR)?;
                if !head.has(flag::ACK) {
                    frame::write_header(&mut self.control, payload.len(), kind::PING, flag::ACK, 0);
                    self.control.extend_from_slice(payload);
                }
                Ok(())
            }
            kind::RST_STREAM => {
                expect(payload.len() == 4, ErrorCode::FRAME_SIZE_ERROR)?;
                expect(head.stream != 0 && head.stream <= self.last, ErrorCode::PROTOCOL_ERROR)?;
                self.take(head.stream);
                Ok(())
            }
            kind::WINDOW_UPDATE => expect(payload.len() == 4, ErrorCode::FRAME_SIZE_ERROR),
            kind::PUSH_PROMISE => Err(Breach(ErrorCode::PROTOCOL_ERROR)),
            // GOAWAY: the peer closes when it has its answers. PRIORITY and what is unknown mean nothing here.
            _ => Ok(()),
        }
    }

    fn headers(&mut self, head: FrameHeader, payload: &[u8], shared: &Shared) -> Result<(), Breach> {
        let mut fragment = payload;
        if head.has(flag::PADDED) {
            let (padding, rest) = payload.split_first().ok_or(Breach(ErrorCode::FRAME_SIZE_ERROR))?;
            let kept = rest.len().checked_sub(usize::from(*padding)).ok_or(Breach(ErrorCode::PROTOCOL_ERROR))?;
            fragment = &rest[..kept];
        }
        if head.has(flag::PRIORITY) {
            fragment = fragment.get(5..).ok_or(Breach(ErrorCode::FRAME_SIZE_ERROR))?;
        }
        if head.has(flag::END_HEADERS) {
            return self.request(head.stream, head.has(flag::END_STREAM), fragment, shared);
        }
        self.block = Some((head.stream, head.has(flag::END_STREAM), fragment.to_vec()));
        Ok(())
    }

    fn continuation(&mut self, head: FrameHeader, payload: &[u8], shared: &Shared) -> Result<(), Breach> {
        let (stream, ends, mut block) = self.block.take().ok_or(Breach(ErrorCode::PROTOCOL_ERROR))?;
        expect(head.stream == stream, ErrorCode::PROTOCOL_ERROR)?;
        expect(block.len() + payload.len() <= LONGEST_BLOCK, ErrorCode::ENHANCE_YOUR_CALM)?;
        block.extend_from_slice(payload);
        if head.has(flag::END_HEADERS) {
            return self.request(stream, ends, &block, shared);
        }
        self.block = Some((stream, ends, block));
        Ok(())
    }

    /// A whole header block: of a new request, or trailers.
    fn request(&mut self, stream: u32, ends: bool, block: &[u8], shared: &Shared) -> Result<(), Breach> {
        let compression = |_| Breach(ErrorCode::COMPRESSION_ERROR);
        let addressee = self.reading.addressee(block, &shared.marks).map_err(compression)?;
        if stream <= self.last {
            expect(ends, ErrorCode::PROTOCOL_ERROR)?;
            if let Some(addressee) = self.take(stream) {
                self.complete(stream, addressee, shared);
            }
            return Ok(());
        }
        expect(stream % 2 == 1, ErrorCode::PROTOCOL_ERROR)?;
        self.last = stream;
        if self.open.len() + self.unanswered >= self.limit {
            self.counted.refused += 1;
            frame::write_reset(&mut self.control, stream, ErrorCode::REFUSED_STREAM);
        } else if ends {
            self.complete(stream, addressee, shared);
        } else {
            self.open.push_back((stream, addressee));
        }
        Ok(())
    }

    fn data(&mut self, head: FrameHeader, shared: &Shared) -> Result<(), Breach> {
        expect(head.stream != 0 && head.stream <= self.last, ErrorCode::PROTOCOL_ERROR)?;
        // A payload is shorter than the longest frame, so this stays far below 32 bits.
        self.received += u32::try_from(head.length).unwrap_or(0);
        if self.received >= GIVE_BACK {
            frame::write_window_update(&mut self.control, 0, std::mem::take(&mut self.received));
        }
        // One that was refused or reset is not open: its bodies count for the window alone.
        if head.has(flag::END_STREAM)
            && let Some(addressee) = self.take(head.stream)
        {
            self.complete(head.stream, addressee, shared);
        }
        Ok(())
    }

    /// Takes a request out of the open ones: the newest as a rule, whose body follows its head.
    fn take(&mut self, stream: u32) -> Option<Addressee> {
        if self.open.back().is_some_and(|(newest, _)| *newest == stream) {
            return self.open.pop_back().map(|(_, addressee)| addressee);
        }
        let at = self.open.binary_search_by_key(&stream, |(stream, _)| *stream).ok()?;
        self.open.remove(at).map(|(_, addressee)| addressee)
    }

    /// It came whole.
    fn complete(&mut self, stream: u32, addressee: Addressee, shared: &Shared) {
        self.counted.requests += 1;
        match addressee {
            Addressee::Device(number) if shared.marks.mark(number) => self.counted.devices += 1,
            Addressee::Device(_) => self.counted.repeated += 1,
            Addressee::Unknown => self.counted.unknown += 1,
            Addressee::Unread => self.counted.unread += 1,
        }
        self.unanswered += 1;
        let [a, b, c, d] = stream.to_be_bytes();
        let flags = flag::END_HEADERS | flag::END_STREAM;
        let answer: [u8; ANSWER] = [0, 0, 1, kind::HEADERS, flags, a, b, c, d, STATUS_200];
        self.answers.extend_from_slice(&answer);
    }
}

fn expect(rule: bool, code: ErrorCode) -> Result<(), Breach> {
    if rule { Ok(()) } else { Err(Breach(code)) }
}
