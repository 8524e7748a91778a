//! Requests become frames: HEADERS from parts that are written down once for many requests, and DATA as far as windows
//! reach.

use bytes::Bytes;

use super::streams::UNENDED;
use super::{Pending, Session};
use crate::gateway::http2::frame::{self, FrameHead, flag, kind};
use crate::gateway::http2::hpack::encoder::string;
use crate::gateway::http2::hpack::{Encoder, Field, Indexing};

/// `:path` as a literal that is never indexed (RFC 7541 section 6.2.3): name 4 of the static table.
const PATH: u8 = 0x14;

/// A header field that many requests share.
#[derive(Clone, Debug)]
pub struct OwnedField {
    pub name: Bytes,
    pub value: Bytes,
    pub indexing: Indexing,
}

/// What many requests share.
#[derive(Clone, Debug)]
pub struct Template {
    /// Tells templates of one connection apart.
    pub number: u64,
    pub fields: Vec<OwnedField>,
    /// The name of the field that carries [`Target::id`].
    pub id_field: Option<&'static str>,
}

/// What differs by request.
#[derive(Clone, Copy, Debug)]
pub struct Target<'a> {
    pub path: &'a [u8],
    /// Empty: no such field.
    pub id: &'a [u8],
    pub body: &'a [u8],
}

/// The encoded beginning of a template's header blocks, good while the encoder's version stays.
#[derive(Debug, Default)]
pub struct Prefix {
    good_for: Option<(u64, u64)>,
    /// Of the connection: method, scheme, authority.
    pseudo: Vec<u8>,
    /// Of the template.
    fields: Vec<u8>,
    /// The id's field up to its value; empty: the name is not in the table yet.
    id: Vec<u8>,
}

impl Prefix {
    fn write(&mut self, encoder: &mut Encoder, authority: &str, template: &Template) {
        let before = encoder.version();
        self.pseudo.clear();
        self.fields.clear();
        self.id.clear();
        encoder.begin(&mut self.pseudo);
        for (name, value) in [(":method", "POST"), (":scheme", "https"), (":authority", authority)] {
            let field = Field { name: name.as_bytes(), value: value.as_bytes(), indexing: Indexing::Kept };
            encoder.field(field, &mut self.pseudo);
        }
        for OwnedField { name, value, indexing } in &template.fields {
            encoder.field(Field { name, value, indexing: *indexing }, &mut self.fields);
        }
        let named = match template.id_field {
            Some(name) => encoder.never_indexed_name(name.as_bytes(), &mut self.id),
            None => true,
        };
        // What was just put into the table must be sent exactly once: the next request writes again, and shorter.
        let lasts = named && encoder.version() == before;
        self.good_for = lasts.then_some((template.number, before));
    }
}

impl<T> Session<T> {
    /// Begins a request and answers its stream. There must be [`Session::room`].
    pub fn begin(&mut self, template: &Template, target: Target<'_>, user: T) -> u32 {
        let stream = self.streams.insert(user);
        let length = target.body.len();
        let end_stream = if length == 0 { flag::END_STREAM } else { 0 };
        self.write_head(template, target, stream, end_stream);
        let fits = length <= self.peer.longest_payload
            && i64::try_from(length).is_ok_and(|length| length <= self.send_window.min(self.peer.window));
        if fits {
            self.write_data(stream, target.body);
        } else {
            let body = Bytes::copy_from_slice(target.body);
            self.pending.push_back(Pending { stream, body, window: self.peer.window });
            self.push_pending();
        }
        stream
    }

    fn write_head(&mut self, template: &Template, target: Target<'_>, stream: u32, end_stream: u8) {
        if self.prefix.good_for != Some((template.number, self.encoder.version())) || self.encoder.owes() {
            self.prefix.write(&mut self.encoder, &self.authority, template);
        }
        let at = self.out.len();
        self.out.extend_from_slice(&[0; frame::HEAD]);
        self.out.extend_from_slice(&self.prefix.pseudo);
        self.out.push(PATH);
        string(&mut self.out, target.path);
        self.out.extend_from_slice(&self.prefix.fields);
        if let (Some(name), false) = (template.id_field, target.id.is_empty()) {
            if self.prefix.id.is_empty() {
                let field = Field { name: name.as_bytes(), value: target.id, indexing: Indexing::Kept };
                self.encoder.field(field, &mut self.out);
            } else {
                self.out.extend_from_slice(&self.prefix.id);
                string(&mut self.out, target.id);
            }
        }
        self.frame_block(at, stream, end_stream);
    }

    /// Puts heads before the block that begins behind `at`: HEADERS, and CONTINUATION for what is over the longest
    /// payload.
    fn frame_block(&mut self, at: usize, stream: u32, end_stream: u8) {
        let length = self.out.len() - at - frame::HEAD;
        let longest = self.peer.longest_payload;
        if length <= longest {
            let flags = flag::END_HEADERS | end_stream;
            let head = FrameHead { length, kind: kind::HEADERS, flags, stream };
            self.out[at..at + frame::HEAD].copy_from_slice(&head.bytes());
            return;
        }
        let block = self.out.split_off(at).split_off(frame::HEAD);
        let last = block.len().div_ceil(longest) - 1;
        for (number, piece) in block.chunks(longest).enumerate() {
            let (kind, first) = if number == 0 { (kind::HEADERS, end_stream) } else { (kind::CONTINUATION, 0) };
            let flags = first | if number == last { flag::END_HEADERS } else { 0 };
            self.out.extend_from_slice(&FrameHead { length: piece.len(), kind, flags, stream }.bytes());
            self.out.extend_from_slice(piece);
        }
    }

    fn write_data(&mut self, stream: u32, body: &[u8]) {
        let length = body.len();
        if length > 0 {
            let head = FrameHead { length, kind: kind::DATA, flags: flag::END_STREAM, stream };
            self.out.extend_from_slice(&head.bytes());
            self.out.extend_from_slice(body);
            self.send_window -= i64::try_from(length).unwrap_or(i64::MAX);
        }
        self.ended(stream);
    }

    fn ended(&mut self, stream: u32) {
        let end = self.written + (self.out.len() - self.begun) as u64;
        if let Some(stream) = self.streams.get_mut(stream) {
            debug_assert_eq!(stream.end, UNENDED);
            stream.end = end;
        }
    }

    /// Goes on with bodies as far as windows reach, in the order in which they began.
    pub(super) fn push_pending(&mut self) {
        let mut waiting = std::mem::take(&mut self.pending);
        waiting.retain_mut(|pending| {
            loop {
                let window = usize::try_from(self.send_window.min(pending.window)).unwrap_or(0);
                let length = pending.body.len().min(window).min(self.peer.longest_payload);
                if length == 0 {
                    return true;
                }
                let piece = pending.body.split_to(length);
                let flags = if pending.body.is_empty() { flag::END_STREAM } else { 0 };
                let head = FrameHead { length, kind: kind::DATA, flags, stream: pending.stream };
                self.out.extend_from_slice(&head.bytes());
                self.out.extend_from_slice(&piece);
                let length = i64::try_from(length).unwrap_or(i64::MAX);
                self.send_window -= length;
                pending.window -= length;
                if pending.body.is_empty() {
                    self.ended(pending.stream);
                    return false;
                }
            }
        });
        self.pending = waiting;
    }
}
