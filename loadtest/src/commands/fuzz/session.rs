//! A session whose peer says anything: every request has one word, limits hold, and its output is whole frames.
use std::collections::BTreeMap;

use bytes::Bytes;
use fanfare::gateway::http2::{
    frame::{self, FrameHead, flag, kind, setting},
    hpack::Indexing,
    session::{OwnedField, Session, Target, Template},
};
use fastrand::Rng;

use super::{bytes, pick, spoil};

/// Requests that a session is made for.
const MOST: usize = 12;
const STEPS: usize = 150;

struct Game<'a> {
    rng: &'a mut Rng,
    session: Session<u32>,
    template: Template,
    begun: u32,
    words: BTreeMap<u32, u32>,
    /// Received and not taken yet.
    held: Vec<u8>,
    /// Written and not read by the peer yet.
    wire: Vec<u8>,
    /// Whether the peer has read the preface.
    greeted: bool,
}

pub(super) fn round(rng: &mut Rng) -> Result<(), String> {
    let field = |name: &'static str, indexing| OwnedField {
        name: Bytes::from_static(name.as_bytes()),
        value: Bytes::from_static(b"some value"),
        indexing,
    };
    let fields = vec![field("authorization", Indexing::Kept), field("x-once", Indexing::Never)];
    let mut game = Game {
        session: Session::new("push.example", MOST),
        template: Template { number: 1, fields, id_field: Some("apns-id") },
        begun: 0,
        words: BTreeMap::new(),
        held: Vec::new(),
        wire: Vec::new(),
        greeted: false,
        rng,
    };
    let mut settings = Vec::new();
    frame::settings(&mut settings, &[(setting::MAX_CONCURRENT_STREAMS, game.rng.u32(0..20))]);
    let mut alive = game.hear(&settings);
    for _ in 0..game.rng.usize(1..STEPS) {
        alive = alive && game.step()?;
    }
    game.end()
}

impl Game<'_> {
    /// One step; false when the connection is over.
    fn step(&mut self) -> Result<bool, String> {
        match self.rng.u32(0..20) {
            0..6 => self.begin(),
            6..9 => self.write(usize::MAX)?,
            9 => {
                let some = self.rng.usize(0..500);
                self.write(some)?;
            }
            10 => {
                let open: Vec<u32> = self.session.each_open().map(|(stream, ..)| stream).collect();
                if !open.is_empty() {
                    let stream = pick(self.rng, &open);
                    let (user, _) = self.session.cancel(stream).ok_or("an open stream cannot be cancelled")?;
                    *self.words.entry(user).or_default() += 1;
                }
            }
            _ => {
                let frame = self.frame();
                return Ok(self.hear(&frame));
            }
        }
        Ok(true)
    }

    fn begin(&mut self) {
        if self.session.room() == 0 {
            return;
        }
        let body = vec![b'x'; pick(self.rng, &[0, 1, 250, 300, 20_000])];
        let (path, id) = (format!("/{}", self.begun), format!("{}", self.begun));
        self.template.number = self.rng.u64(1..3);
        let target = Target { path: path.as_bytes(), id: id.as_bytes(), body: &body };
        self.session.begin(&self.template, target, self.begun);
        self.begun += 1;
    }

    /// The network takes some bytes; what it has must be whole frames, one behind the other.
    fn write(&mut self, most: usize) -> Result<(), String> {
        let taken = self.session.output().len().min(most);
        self.wire.extend_from_slice(&self.session.output()[..taken]);
        self.session.wrote(taken);
        let mut rest = &self.wire[..];
        if !self.greeted {
            let Some(after) = rest.strip_prefix(&frame::PREFACE[..]) else { return Ok(()) };
            (rest, self.greeted) = (after, true);
        }
        while let Some((head, after)) = rest.split_first_chunk::<{ frame::HEAD }>() {
            let head = FrameHead::read(*head);
            if head.kind > kind::CONTINUATION {
                return Err(format!("it wrote {head:?}"));
            }
            let Some(after) = after.get(head.length..) else { break };
            rest = after;
        }
        self.wire = rest.to_vec();
        Ok(())
    }

    /// A frame that the peer might send, often a legal one.
    fn frame(&mut self) -> Vec<u8> {
        let rng = &mut *self.rng;
        let stream = rng.u32(0..2 * self.begun + 3) | 1;
        let answer: &[u8] =
            pick(rng, &[b"\x88", b"\x08\x03410", b"\x08\x03103", b"\0\x01a\x01b", b"\x88\x40\x01a\x01b"]);
        let number = pick(rng, &[0, 1, 7, 100, 65_535, 1 << 20, 0x7fff_ffff, u32::MAX]);
        let mut setting = rng.u16(0..8).to_be_bytes().to_vec();
        setting.extend_from_slice(&number.to_be_bytes());
        let away = [stream.to_be_bytes(), [0; 4]].concat();
        let end = pick(rng, &[0, flag::END_STREAM]);
        let (kind, flags, stream, payload) = match rng.u32(0..12) {
            0..4 => (kind::HEADERS, flag::END_HEADERS | end, stream, answer.to_vec()),
            4 => (kind::HEADERS, end, stream, answer.to_vec()),
            5 => (kind::CONTINUATION, flag::END_HEADERS, stream, Vec::new()),
            6 => (kind::DATA, end, stream, bytes(rng, 200)),
            7 => (kind::RST_STREAM, 0, stream, rng.u32(0..14).to_be_bytes().to_vec()),
            8 => (kind::SETTINGS, 0, 0, setting),
            9 => (kind::WINDOW_UPDATE, 0, pick(rng, &[0, stream]), number.to_be_bytes().to_vec()),
            10 => (kind::PING, pick(rng, &[0, flag::ACK]), 0, vec![7; 8]),
            _ if rng.u32(0..8) == 0 => (kind::GOAWAY, 0, 0, away),
            _ => (rng.u8(..), rng.u8(..), rng.u32(..), bytes(rng, 40)),
        };
        let mut out = FrameHead { length: payload.len(), kind, flags, stream }.bytes().to_vec();
        out.extend_from_slice(&payload);
        if rng.u32(0..10) == 0 {
            spoil(rng, &mut out);
        }
        out
    }

    /// False when the peer broke the rules.
    fn hear(&mut self, frame: &[u8]) -> bool {
        let cut = self.rng.usize(1..60);
        for piece in frame.chunks(cut) {
            self.held.extend_from_slice(piece);
            let words = &mut self.words;
            match self.session.receive(&self.held, &mut |user, _| *words.entry(user).or_default() += 1) {
                Ok(taken) => drop(self.held.drain(..taken)),
                Err(error) => {
                    self.session.say_goodbye(error.code);
                    return false;
                }
            }
        }
        true
    }

    fn end(mut self) -> Result<(), String> {
        self.write(usize::MAX)?;
        if !self.wire.is_empty() {
            return Err(format!("{} bytes of its output are no whole frame", self.wire.len()));
        }
        for (user, _) in self.session.abandon() {
            *self.words.entry(user).or_default() += 1;
        }
        let wanted: BTreeMap<u32, u32> = (0..self.begun).map(|user| (user, 1)).collect();
        if self.words == wanted { Ok(()) } else { Err(format!("{} requests, words: {:?}", self.begun, self.words)) }
    }
}
