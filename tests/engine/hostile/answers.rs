//! Answers in every shape that HTTP/2 allows, and some that it does not.

use loadtest::http2::frame::{self, flag, kind};
use loadtest::http2::hpack::{encode_literal, encode_status};

use super::host::Guest;

impl Guest {
    /// Goes on with answers: of any of the open streams, in any order.
    pub(super) fn answer_some(&mut self) {
        let mut open: Vec<u32> = self.peer.streams.keys().copied().collect();
        self.rng.shuffle(&mut open);
        let some = self.rng.usize(0..=open.len());
        for id in open.into_iter().take(some) {
            if self.halves.contains(&id) {
                self.end(id);
            } else if self.peer.streams[&id].whole || (!self.host.mood.gentle && self.rng.u32(0..50) == 0) {
                self.begin(id);
            }
        }
    }

    /// The answer's head, and perhaps all of it.
    fn begin(&mut self, id: u32) {
        while self.rng.u32(0..4) == 0 {
            let status = *[100, 102, 103, 199].get(self.rng.usize(0..4)).unwrap_or(&100);
            let block = self.head(status);
            self.headers(id, &block, false);
        }
        let block = self.head(200);
        self.peer.answered(id);
        let whole = self.rng.bool();
        self.headers(id, &block, whole);
        if whole {
            self.close(id);
        } else {
            self.halves.push(id);
            if self.rng.bool() {
                self.end(id);
            }
        }
    }

    /// DATA, perhaps none, and the end: with the last DATA, with an empty one, with trailers, or by a reset.
    fn end(&mut self, id: u32) {
        while self.rng.bool() {
            let length = self.rng.usize(0..40);
            self.data(id, length, false);
        }
        match self.rng.u32(0..5) {
            0 => self.data(id, 20, true),
            1 => self.data(id, 0, true),
            2 | 3 => {
                let mut trailers = Vec::new();
                encode_literal(&mut trailers, b"x-end", b"yes");
                self.headers(id, &trailers, true);
            }
            _ => frame::write_reset(&mut self.out, id, frame::ErrorCode::NO_ERROR),
        }
        self.close(id);
    }

    fn close(&mut self, id: u32) {
        self.peer.streams.remove(&id);
        self.halves.retain(|half| *half != id);
    }

    /// A block with a status, sometimes with fields, table entries and table sizes around it.
    fn head(&mut self, status: u16) -> Vec<u8> {
        let mut block = Vec::new();
        if self.rng.u32(0..6) == 0 {
            // To nothing, and to 4,096 again.
            block.extend_from_slice(&[0x20, 0x3f, 0xe1, 0x1f]);
        }
        encode_status(&mut block, status);
        if self.rng.bool() {
            let at = block.len();
            let value = vec![b'v'; self.rng.usize(0..300)];
            encode_literal(&mut block, b"x-any", &value);
            if self.rng.bool() {
                // Kept, and named once more.
                block[at] = 0x40;
                block.push(0xbe);
            }
        }
        block
    }

    /// HEADERS, padded or with a priority or neither, and CONTINUATION.
    fn headers(&mut self, id: u32, block: &[u8], end_stream: bool) {
        let mut pieces = Vec::new();
        let mut rest = block;
        while self.rng.u32(0..3) == 0 && pieces.len() < 8 {
            let (piece, after) = rest.split_at(self.rng.usize(0..=rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces.push(rest);
        for (at, piece) in pieces.iter().enumerate() {
            let mut flags = if at + 1 == pieces.len() { flag::END_HEADERS } else { 0 };
            let (mut before, mut after) = (Vec::new(), Vec::new());
            if at == 0 {
                flags |= if end_stream { flag::END_STREAM } else { 0 };
                if self.rng.u32(0..4) == 0 {
                    flags |= flag::PADDED;
                    after.resize(self.rng.usize(0..256), 0);
                    before.push(u8::try_from(after.len()).unwrap_or(u8::MAX));
                }
                if self.rng.u32(0..6) == 0 {
                    flags |= flag::PRIORITY;
                    before.extend_from_slice(&[0, 0, 0, 0, 16]);
                }
            }
            let kind = if at == 0 { kind::HEADERS } else { kind::CONTINUATION };
            frame::write_header(&mut self.out, before.len() + piece.len() + after.len(), kind, flags, id);
            [&before, *piece, &after].iter().for_each(|part| self.out.extend_from_slice(part));
        }
    }

    fn data(&mut self, id: u32, length: usize, end_stream: bool) {
        let mut flags = if end_stream { flag::END_STREAM } else { 0 };
        let mut payload = vec![b'd'; length];
        if self.rng.u32(0..4) == 0 {
            flags |= flag::PADDED;
            let padding = self.rng.u8(..);
            payload.insert(0, padding);
            payload.extend(std::iter::repeat_n(0, usize::from(padding)));
        }
        frame::write_header(&mut self.out, payload.len(), kind::DATA, flags, id);
        self.out.extend_from_slice(&payload);
    }

    /// An answer that is none (RFC 9113 section 8.1.1).
    pub(super) fn malformed_answer(&mut self, id: Option<u32>) {
        let Some(id) = id else { return };
        match self.rng.u32(0..5) {
            0 => self.data(id, 5, true),
            1 => self.headers(id, b"\0\x01a\x01b", true),
            2 => self.headers(id, b"\x08\x03100", true),
            3 => self.headers(id, b"\x08\x03101", false),
            _ => self.headers(id, b"\x08\x03abc", true),
        }
        self.close(id);
    }
}
