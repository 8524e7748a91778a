//! The state machine against a peer made of bytes.

use super::*;
use crate::gateway::http2::frame::{FrameHead, HEAD, PREFACE, flag, kind};
use crate::gateway::http2::hpack::Indexing;

mod faults;
mod flow;
mod noise;
mod requests;

const ANSWER_200: &[u8] = &[0x88];

/// One word on a request, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Answered(u16, Option<String>, Vec<u8>),
    GoingAway,
    Refused,
    Reset(ErrorCode),
    Malformed,
}

impl From<Ended<'_>> for Word {
    fn from(ended: Ended<'_>) -> Self {
        match ended {
            Ended::Answered { status, retry_after, body } => {
                Self::Answered(status, retry_after.map(str::to_owned), body.to_vec())
            }
            Ended::GoingAway => Self::GoingAway,
            Ended::Refused => Self::Refused,
            Ended::Reset(code) => Self::Reset(code),
            Ended::Malformed => Self::Malformed,
        }
    }
}

/// A session and the peer's side of it.
struct Scene {
    session: Session<u32>,
    decoder: Decoder,
    template: Template,
    words: Vec<(u32, Word)>,
}

type Frame = (FrameHead, Vec<u8>);

impl Scene {
    /// A session whose peer has sent these settings.
    fn new(settings: &[(u16, u32)]) -> Self {
        let mut scene = Self::silent();
        let mut bytes = Vec::new();
        frame::settings(&mut bytes, settings);
        scene.hear(&bytes).unwrap();
        scene.frames();
        scene
    }

    /// A session whose peer has said nothing.
    fn silent() -> Self {
        let field = |name: &'static str, value: &'static str| OwnedField {
            name: Bytes::from_static(name.as_bytes()),
            value: Bytes::from_static(value.as_bytes()),
            indexing: Indexing::Kept,
        };
        Self {
            session: Session::new("api.push.example", 100),
            decoder: Decoder::default(),
            template: Template {
                number: 1,
                fields: vec![field("authorization", "bearer token"), field("apns-topic", "com.example.app")],
                id_field: Some("apns-id"),
            },
            words: Vec::new(),
        }
    }

    fn begin(&mut self, user: u32, body: &[u8]) -> u32 {
        assert!(self.session.room() > 0);
        let (path, id) = (format!("/3/device/{user:04}"), format!("id-{user}"));
        let target = Target { path: path.as_bytes(), id: id.as_bytes(), body };
        self.session.begin(&self.template, target, user)
    }

    fn hear(&mut self, bytes: &[u8]) -> Result<(), ConnectionError> {
        let words = &mut self.words;
        let taken = self.session.receive(bytes, &mut |user, ended| words.push((user, ended.into())))?;
        assert_eq!(taken, bytes.len());
        Ok(())
    }

    fn hear_frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Result<(), ConnectionError> {
        self.hear(&frame_of(kind, flags, stream, payload))
    }

    fn answer(&mut self, stream: u32) {
        self.hear_frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, ANSWER_200).unwrap();
    }

    /// What was put out since the last look, as frames; all of it counts as written.
    fn frames(&mut self) -> Vec<Frame> {
        let mut rest = self.session.output();
        let mut frames = Vec::new();
        rest = rest.strip_prefix(PREFACE).unwrap_or(rest);
        while let Some((head, after)) = rest.split_first_chunk::<HEAD>() {
            let head = FrameHead::read(*head);
            let (payload, after) = after.split_at(head.length);
            frames.push((head, payload.to_vec()));
            rest = after;
        }
        assert_eq!(rest, b"");
        let bytes = self.session.output().len();
        self.session.wrote(bytes);
        frames
    }

    fn fields(&mut self, block: &[u8]) -> Vec<String> {
        let mut fields = Vec::new();
        self.decoder
            .decode(block, |name, value| {
                let text = |text: crate::gateway::http2::hpack::decoder::Text<'_>| {
                    String::from_utf8(text.read().unwrap().into_owned()).unwrap()
                };
                fields.push(format!("{}: {}", text(name), text(value)));
            })
            .unwrap();
        fields
    }
}

fn frame_of(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = FrameHead { length: payload.len(), kind, flags, stream }.bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

fn kinds(frames: &[Frame]) -> Vec<(u8, u32)> {
    frames.iter().map(|(head, _)| (head.kind, head.stream)).collect()
}

fn ok() -> Word {
    Word::Answered(200, None, Vec::new())
}
