//! Frames: heads read as written, and a session hears the same whether bytes come whole or in pieces.
use fanfare::gateway::http2::{
    frame::{self, FrameHead, flag, kind},
    session::{Session, Target, Template},
};
use fastrand::Rng;

use super::{bytes, pick, spoil};

const REQUESTS: u32 = 5;

pub(super) fn round(rng: &mut Rng) -> Result<(), String> {
    let length = rng.usize(0..1 << 24);
    let head = FrameHead { length, kind: rng.u8(..), flags: rng.u8(..), stream: rng.u32(..) & frame::LAST_STREAM };
    if FrameHead::read(head.bytes()) != head {
        return Err(format!("{head:?} is not read as written"));
    }
    let heard = stream_of_frames(rng);
    let (whole, pieces) = (listen(&heard, heard.len().max(1)), listen(&heard, rng.usize(1..40)));
    if whole == pieces { Ok(()) } else { Err(format!("whole: {whole:?}, in pieces: {pieces:?}")) }
}

fn stream_of_frames(rng: &mut Rng) -> Vec<u8> {
    let mut out = Vec::new();
    frame::settings(&mut out, &[]);
    for _ in 0..rng.usize(0..30) {
        let kind = pick(rng, &[kind::HEADERS, kind::HEADERS, kind::DATA, kind::PING, kind::PRIORITY, 0xee]);
        let mut payload = match kind {
            kind::HEADERS => vec![0x88],
            kind::PING => vec![0; 8],
            kind::PRIORITY => vec![0; 5],
            _ => bytes(rng, 50),
        };
        let mut flags = pick(rng, &[flag::END_HEADERS, flag::END_HEADERS | flag::END_STREAM]);
        if rng.u32(0..4) == 0 && matches!(kind, kind::HEADERS | kind::DATA) {
            flags |= flag::PADDED;
            let padding = rng.u8(0..20);
            payload.insert(0, padding);
            payload.resize(payload.len() + usize::from(padding), 0);
        }
        let stream = if kind == kind::PING { 0 } else { 2 * rng.u32(0..REQUESTS) + 1 };
        out.extend_from_slice(&FrameHead { length: payload.len(), kind, flags, stream }.bytes());
        out.extend_from_slice(&payload);
    }
    spoil(rng, &mut out);
    out
}

/// Every word on a request, what was put out, and how it ended.
fn listen(heard: &[u8], cut: usize) -> (Vec<String>, Vec<u8>, Option<&'static str>) {
    let mut session = Session::new("push.example", 100);
    let mut settings = Vec::new();
    frame::settings(&mut settings, &[]);
    let mut words = Vec::new();
    let mut word =
        |user: u32, ended: fanfare::gateway::http2::session::Ended<'_>| words.push(format!("{user} {ended:?}"));
    let mut fault = session.receive(&settings, &mut word).err();
    let template = Template { number: 1, fields: Vec::new(), id_field: None };
    for user in 0..REQUESTS {
        session.begin(&template, Target { path: b"/", id: b"", body: b"{}" }, user);
    }
    let mut held = Vec::new();
    for piece in heard.chunks(cut) {
        held.extend_from_slice(piece);
        match session.receive(&held, &mut word) {
            Ok(taken) => drop(held.drain(..taken)),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    (words, session.output().to_vec(), fault.map(|error| error.what))
}
