//! A server's side of a connection, frame by frame: reads what the engine writes, checks it against what was allowed,
//! and books it. What to answer is its owner's business.

use std::collections::{BTreeMap, VecDeque};

use loadtest::http2::frame::{self, FrameHeader, flag, kind, setting};
use loadtest::http2::hpack::Decoder;

use crate::bench;
use crate::ledger::{Fate, Ledger, Receipt};

/// What SETTINGS allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    pub(crate) streams: u32,
    pub(crate) window: u32,
    pub(crate) table: u32,
    pub(crate) frame: u32,
}

impl Terms {
    /// When nothing is said, but for the streams.
    pub(crate) const USUAL: Self = Self { streams: 100, window: 65_535, table: 4_096, frame: 16_384 };

    pub(crate) const fn settings(self) -> [(u16, u32); 4] {
        [
            (setting::MAX_CONCURRENT_STREAMS, self.streams),
            (setting::INITIAL_WINDOW_SIZE, self.window),
            (setting::HEADER_TABLE_SIZE, self.table),
            (setting::MAX_FRAME_SIZE, self.frame),
        ]
    }
}

/// What the client did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Heard {
    /// All of a request.
    Whole(u32),
    Ping([u8; 8]),
    Settings,
    /// The client gave a stream up.
    Reset(u32),
    Goodbye,
    Other,
}

/// A stream from its HEADERS to the end of its answer.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) receipt: Receipt,
    pub(crate) whole: bool,
    body: Vec<u8>,
    /// Bytes of DATA that came, less what was granted for this stream.
    used: i64,
}

#[derive(Debug)]
pub(crate) struct Peer {
    ledger: Ledger,
    authority: String,
    length: fn(u64) -> usize,
    preface: bool,
    decoder: Decoder,
    /// The size of the client's table.
    table: u32,
    block: Option<(u32, bool, Vec<u8>)>,
    /// Those whose answer has not ended.
    pub(crate) streams: BTreeMap<u32, Stream>,
    pub(crate) highest: u32,
    /// None before the first acknowledgement.
    agreed: Option<Terms>,
    /// Sent and not acknowledged yet.
    offered: VecDeque<Terms>,
    /// What the connection may still send.
    window: i64,
    /// The last stream of our GOAWAY: those above are not processed.
    last: u32,
}

impl Peer {
    pub(crate) fn new(ledger: Ledger, authority: String, length: fn(u64) -> usize) -> Self {
        Self {
            ledger,
            authority,
            length,
            preface: false,
            decoder: Decoder::new(4_096),
            table: 4_096,
            block: None,
            streams: BTreeMap::new(),
            highest: 0,
            agreed: None,
            offered: VecDeque::new(),
            window: 65_535,
            last: frame::MAX_31_BITS,
        }
    }

    /// Appends SETTINGS.
    pub(crate) fn offer(&mut self, out: &mut Vec<u8>, terms: Terms) {
        self.offered.push_back(terms);
        frame::write_settings(out, &terms.settings());
    }

    /// Appends a WINDOW_UPDATE; stream 0 is the connection.
    pub(crate) fn grant(&mut self, out: &mut Vec<u8>, stream: u32, bytes: u32) {
        match self.streams.get_mut(&stream) {
            Some(stream) => stream.used -= i64::from(bytes),
            None if stream == 0 => self.window += i64::from(bytes),
            None => {}
        }
        frame::write_window_update(out, stream, bytes);
    }

    pub(crate) const fn window(&self) -> i64 {
        self.window
    }

    /// Appends GOAWAY: what is above `last` is not processed.
    pub(crate) fn go_away(&mut self, out: &mut Vec<u8>, last: u32) {
        self.last = self.last.min(last);
        for (_, stream) in self.streams.split_off(&(self.last + 1).min(frame::MAX_31_BITS)) {
            self.ledger.set(stream.receipt, Fate::Unprocessed);
        }
        frame::write_go_away(out, last, frame::ErrorCode::NO_ERROR, b"bye");
    }

    /// Appends RST_STREAM with REFUSED_STREAM.
    pub(crate) fn refuse(&mut self, out: &mut Vec<u8>, id: u32) {
        if let Some(stream) = self.streams.remove(&id) {
            self.ledger.set(stream.receipt, Fate::Unprocessed);
            frame::write_reset(out, id, frame::ErrorCode::REFUSED_STREAM);
        }
    }

    /// A final status is on its way.
    pub(crate) fn answered(&self, id: u32) {
        if let Some(stream) = self.streams.get(&id) {
            self.ledger.set(stream.receipt, Fate::Answered);
        }
    }

    /// Takes the next whole frame from the front of `input`; `None` when there is none. The error is a breach by the
    /// client.
    pub(crate) fn hear(&mut self, input: &mut Vec<u8>) -> Result<Option<Heard>, String> {
        if !self.preface {
            let Some(preface) = input.get(..frame::PREFACE.len()) else { return Ok(None) };
            ensure(preface == frame::PREFACE, "the preface is wrong")?;
            input.drain(..frame::PREFACE.len());
            self.preface = true;
        }
        let Some(head) = FrameHeader::read(input) else { return Ok(None) };
        ensure(head.length <= self.most(|terms| terms.frame) as usize, "a frame is too long")?;
        let end = frame::HEADER_BYTES + head.length;
        if input.len() < end {
            return Ok(None);
        }
        let payload = input[frame::HEADER_BYTES..end].to_vec();
        input.drain(..end);
        ensure(self.block.is_none() || head.kind == kind::CONTINUATION, "a frame inside a header block")?;
        self.frame(head, &payload).map(Some)
    }

    /// The most that the client may believe to be allowed.
    fn most(&self, which: fn(&Terms) -> u32) -> u32 {
        let agreed = self.agreed.or_else(|| self.offered.is_empty().then_some(Terms::USUAL));
        self.offered.iter().chain(&agreed).map(which).max().unwrap_or(0)
    }

    fn frame(&mut self, head: FrameHeader, payload: &[u8]) -> Result<Heard, String> {
        let id = head.stream;
        match head.kind {
            kind::HEADERS => {
                ensure(id % 2 == 1 && id > self.highest, "stream ids must grow")?;
                self.highest = id;
                self.block(id, head, payload.to_vec())
            }
            kind::CONTINUATION => {
                let (of, end_stream, mut block) = self.block.take().ok_or("CONTINUATION without HEADERS")?;
                ensure(of == id, "CONTINUATION of another stream")?;
                block.extend_from_slice(payload);
                let flags = (head.flags & flag::END_HEADERS) | if end_stream { flag::END_STREAM } else { 0 };
                self.block(id, FrameHeader { flags, ..head }, block)
            }
            kind::DATA => self.data(head, payload),
            kind::RST_STREAM => {
                ensure(payload.len() == 4 && id <= self.highest, "RST_STREAM of an idle stream")?;
                self.streams.remove(&id);
                Ok(Heard::Reset(id))
            }
            kind::SETTINGS if head.has(flag::ACK) => {
                self.agreed = Some(self.offered.pop_front().ok_or("an acknowledgement of nothing")?);
                Ok(Heard::Other)
            }
            kind::SETTINGS => Ok(Heard::Settings),
            kind::PING if head.has(flag::ACK) => Ok(Heard::Other),
            kind::PING => Ok(Heard::Ping(payload.try_into().map_err(|_| "a PING of a wrong length")?)),
            kind::GOAWAY => Ok(Heard::Goodbye),
            kind::WINDOW_UPDATE => Ok(Heard::Other),
            other => Err(format!("a frame of type {other}")),
        }
    }

    fn block(&mut self, id: u32, head: FrameHeader, block: Vec<u8>) -> Result<Heard, String> {
        if !head.has(flag::END_HEADERS) {
            self.block = Some((id, head.has(flag::END_STREAM), block));
            return Ok(Heard::Other);
        }
        self.table = table_after(&block, self.table);
        ensure(self.table <= self.most(|terms| terms.table), "the table is over the limit")?;
        let mut fields = Vec::new();
        let field = |name: &[u8], value: &[u8]| {
            let text = |text: &[u8]| String::from_utf8_lossy(text).into_owned();
            fields.push((text(name), text(value)));
        };
        self.decoder.decode(&block, field).map_err(|error| error.to_string())?;
        let path = fields.iter().find(|(name, _)| name == ":path").map_or("", |(_, path)| path);
        let number = path.rsplit('/').next().unwrap_or_default();
        let seq = number.parse().map_err(|_| format!("no such path: {path}"))?;
        let wanted = [
            (":method", "POST"),
            (":scheme", "https"),
            (":authority", &self.authority),
            (":path", &format!("/push/{seq}")),
            ("authorization", "bearer of good news"),
            ("x-topic", "com.example.app"),
            ("x-once", "once"),
            ("x-id", number),
        ];
        ensure(fields.iter().eq(&wanted.map(|(name, value)| (name.to_owned(), value.to_owned()))), "other fields")?;
        let receipt = self.ledger.begun(seq);
        if id > self.last {
            self.ledger.set(receipt, Fate::Late);
            return Ok(Heard::Other);
        }
        self.streams.insert(id, Stream { receipt, whole: false, body: Vec::new(), used: 0 });
        ensure(self.streams.len() <= self.most(|terms| terms.streams) as usize, "more streams than allowed")?;
        self.ended(id, head)
    }

    fn data(&mut self, head: FrameHeader, payload: &[u8]) -> Result<Heard, String> {
        let length = i64::try_from(payload.len()).unwrap_or(i64::MAX);
        self.window -= length;
        ensure(self.window >= 0, "more DATA than the connection's window")?;
        ensure(head.stream <= self.highest, "DATA on an idle stream")?;
        let window = i64::from(self.most(|terms| terms.window));
        let Some(stream) = self.streams.get_mut(&head.stream) else { return Ok(Heard::Other) };
        stream.used += length;
        ensure(length == 0 || stream.used <= window, "more DATA than the stream's window")?;
        stream.body.extend_from_slice(payload);
        self.ended(head.stream, head)
    }

    fn ended(&mut self, id: u32, head: FrameHeader) -> Result<Heard, String> {
        let Some(stream) = self.streams.get_mut(&id).filter(|_| head.has(flag::END_STREAM)) else {
            return Ok(Heard::Other);
        };
        ensure(!stream.whole, "a stream that ends twice")?;
        stream.whole = true;
        let seq = stream.receipt.seq;
        ensure(stream.body == bench::body(seq, (self.length)(seq)), "another body")?;
        self.ledger.set(stream.receipt, Fate::Whole);
        Ok(Heard::Whole(id))
    }
}

fn ensure(holds: bool, breach: &str) -> Result<(), String> {
    if holds { Ok(()) } else { Err(breach.to_owned()) }
}

/// The size of the client's table after the updates at the start of a block (RFC 7541 section 6.3).
fn table_after(block: &[u8], before: u32) -> u32 {
    let (mut rest, mut table) = (block, before);
    while let [first @ 0x20..=0x3f, after @ ..] = rest {
        (table, rest) = (u32::from(first & 0x1f), after);
        let mut shift = 0;
        while let ([byte, after @ ..], true) = (rest, first & 0x1f == 0x1f) {
            table += u32::from(byte & 0x7f) << shift;
            (shift, rest) = (shift + 7, after);
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    table
}
