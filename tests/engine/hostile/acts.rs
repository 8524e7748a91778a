//! What a hostile server may do next.

use fastrand::Rng;
use loadtest::http2::frame::{self, ErrorCode, flag, kind, setting};

use super::host::Guest;
use crate::peer::Terms;

/// Acts after which a gentle server grants all that it withheld.
const RELIEF: u32 = 6;
/// A gentle server goes away that often, so that no target runs out of tries.
const GENTLE_GOODBYES: u32 = 2;

/// The character of one seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mood {
    pub(super) gentle: bool,
    /// Bytes that are written at once.
    pub(super) piece: usize,
    /// The first word.
    terms: Terms,
    /// Of a hundred acts, those that break something.
    rudeness: u32,
}

/// How a connection goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Go,
    /// As `Go`, and reads later what comes meanwhile.
    Dawdle,
    /// What was written arrives.
    Close,
    /// It may not.
    Cut,
    /// Reads, and does nothing else any more.
    Listen,
    /// Does not even read.
    Sleep,
}

impl Mood {
    pub(super) fn new(rng: &mut Rng, gentle: bool) -> Self {
        let piece = *pick(rng, &[1, 3, 9, 10, 50, 1_000, 100_000]);
        let terms = Terms { streams: *pick(rng, &[0, 1, 2, 5, 50, u32::MAX]), ..terms(rng) };
        Self { gentle, piece, terms, rudeness: if gentle { 0 } else { rng.u32(1..15) } }
    }
}

fn pick<'a, T>(rng: &mut Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

fn terms(rng: &mut Rng) -> Terms {
    Terms {
        streams: *pick(rng, &[0, 1, 1, 2, 3, 10, 100]),
        window: *pick(rng, &[0, 1, 10, 100, 1_000, 65_535, 1 << 20]),
        table: *pick(rng, &[0, 31, 64, 100, 200, 1_000, 4_096, 65_536]),
        frame: *pick(rng, &[16_384, 16_384, 20_000, 1 << 20]),
    }
}

impl Guest {
    /// The first word, sometimes with more behind it.
    pub(super) fn greet(&mut self) {
        let terms = self.host.mood.terms;
        self.peer.offer(&mut self.out, terms);
        if self.rng.bool() {
            self.peer.grant(&mut self.out, 0, 1_000);
        }
    }

    pub(super) fn act(&mut self) -> Next {
        self.acts += 1;
        if self.rng.u32(0..100) < self.host.mood.rudeness {
            return self.be_rude();
        }
        if self.acts.is_multiple_of(RELIEF) {
            self.relieve();
        }
        match self.rng.u32(0..20) {
            0..10 => self.answer_some(),
            10 => {
                let terms = terms(&mut self.rng);
                self.peer.offer(&mut self.out, terms);
            }
            11 => self.grant_some(),
            12 => self.chatter(),
            13 => self.refuse_one(),
            14 => return self.leave(),
            15 if self.leaving > 0 => return self.leave(),
            _ => {}
        }
        Next::Go
    }

    /// Lets everything go on.
    fn relieve(&mut self) {
        self.peer.offer(&mut self.out, Terms { streams: self.rng.u32(1..20), ..Terms::USUAL });
        if let Ok(missing @ 1..) = u32::try_from(65_535 - self.peer.window()) {
            self.peer.grant(&mut self.out, 0, missing);
        }
        let open: Vec<u32> = self.peer.streams.keys().copied().collect();
        open.into_iter().for_each(|id| self.peer.grant(&mut self.out, id, 65_535));
    }

    fn grant_some(&mut self) {
        let bytes = self.rng.u32(1..500);
        let open: Vec<u32> = self.peer.streams.keys().copied().chain([0, 0]).collect();
        let id = *pick(&mut self.rng, &open);
        self.peer.grant(&mut self.out, id, bytes);
        // A grant for a stream that is over is no fault (RFC 9113 section 5.1).
        if self.peer.highest > 0 {
            let closed = self.rng.u32(0..=self.peer.highest) | 1;
            if closed <= self.peer.highest {
                self.peer.grant(&mut self.out, closed, bytes);
            }
        }
    }

    /// Frames that mean nothing, and questions.
    fn chatter(&mut self) {
        let out = &mut self.out;
        match self.rng.u32(0..4) {
            0 => {
                frame::write_header(out, 8, kind::PING, 0, 0);
                out.extend_from_slice(b"hostile!");
            }
            1 => {
                frame::write_header(out, 7, 0xf0, 0xff, self.rng.u32(0..100));
                out.extend_from_slice(b"unknown");
            }
            2 => {
                frame::write_header(out, 5, kind::PRIORITY, 0, 1);
                out.extend_from_slice(&[0; 5]);
            }
            _ => {
                let before = self.host.mood.terms;
                self.peer.offer(out, Terms { streams: before.streams.max(1), ..before });
            }
        }
    }

    fn refuse_one(&mut self) {
        let open: Vec<u32> = self.peer.streams.keys().copied().filter(|id| !self.halves.contains(id)).collect();
        if open.is_empty() {
            return;
        }
        let id = *pick(&mut self.rng, &open);
        let receipts = self.host.ledger.receipts(self.peer.streams[&id].receipt.seq);
        if !self.host.mood.gentle || receipts == 1 {
            self.peer.refuse(&mut self.out, id);
        }
    }

    /// Goes away in two steps, answers what is left, and closes.
    fn leave(&mut self) -> Next {
        match self.leaving {
            0 if self.peer.highest == 0 || !self.host.may_go_away(GENTLE_GOODBYES) => {}
            0 => {
                self.leaving = 1;
                self.peer.go_away(&mut self.out, frame::MAX_31_BITS);
            }
            1 => {
                self.leaving = 2;
                let highest = self.peer.highest;
                self.peer.go_away(&mut self.out, highest);
            }
            _ if self.peer.streams.is_empty() => return Next::Close,
            _ => {}
        }
        Next::Go
    }

    fn be_rude(&mut self) -> Next {
        let open: Vec<u32> = self.peer.streams.keys().copied().filter(|id| !self.halves.contains(id)).collect();
        let some = (!open.is_empty()).then(|| *pick(&mut self.rng, &open));
        match self.rng.u32(0..12) {
            0 => return Next::Cut,
            1 => return Next::Close,
            2 => return Next::Listen,
            3 => return Next::Sleep,
            4..6 => {
                let last = some.unwrap_or(0);
                // What is answered already is processed.
                let last = self.halves.iter().copied().fold(last, u32::max);
                self.peer.go_away(&mut self.out, last);
                self.leaving = 2;
                return *pick(&mut self.rng, &[Next::Go, Next::Dawdle, Next::Close, Next::Cut]);
            }
            6 => self.malformed_answer(some),
            7 => {
                self.breach();
                return *pick(&mut self.rng, &[Next::Listen, Next::Close, Next::Cut]);
            }
            8 => {
                // Half an answer, and no more.
                self.answer_some();
                self.out.truncate(self.rng.usize(0..=self.out.len()));
                return Next::Cut;
            }
            _ => {
                if let Some(id) = some {
                    let code = ErrorCode(*pick(&mut self.rng, &[0, 2, 5, 8, 11, 0x99]));
                    self.peer.streams.remove(&id);
                    frame::write_reset(&mut self.out, id, code);
                }
            }
        }
        Next::Go
    }

    /// Something that ends the connection.
    fn breach(&mut self) {
        let idle = (self.peer.highest | 1) + 10_000;
        let settings = |name: u16, value: u32| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat();
        let cases: [(u8, u8, u32, Vec<u8>); 14] = [
            (kind::DATA, 0, idle, vec![0; 3]),
            (kind::DATA, 0, 0, vec![]),
            (kind::HEADERS, flag::END_HEADERS, 2, vec![0x88]),
            (kind::HEADERS, flag::END_HEADERS, idle, vec![0x88]),
            (kind::HEADERS, flag::END_HEADERS, 1, vec![0xff, 0xff, 0xff, 0x7f]),
            (kind::HEADERS, flag::PADDED, 1, vec![9, 0]),
            (kind::CONTINUATION, flag::END_HEADERS, 1, vec![0x88]),
            (kind::PUSH_PROMISE, flag::END_HEADERS, 1, vec![0, 0, 0, 2, 0x88]),
            (kind::SETTINGS, 0, 0, vec![0; 5]),
            (kind::SETTINGS, 0, 0, settings(setting::INITIAL_WINDOW_SIZE, 1 << 31)),
            (kind::SETTINGS, 0, 0, settings(setting::MAX_FRAME_SIZE, 1)),
            (kind::WINDOW_UPDATE, 0, 0, vec![0x7f, 0xff, 0xff, 0xff]),
            (kind::PING, 0, 0, vec![0; 9]),
            (kind::GOAWAY, 0, 0, vec![0; 3]),
        ];
        let (kind, flags, stream, payload) = pick(&mut self.rng, &cases);
        let length = if self.rng.u32(0..8) == 0 { 1 << 23 } else { payload.len() };
        frame::write_header(&mut self.out, length, *kind, *flags, *stream);
        self.out.extend_from_slice(payload);
    }
}
