//! Answers on their way in: header blocks that come in pieces, and bodies.

use super::ConnectionError;
use crate::gateway::http2::frame::ErrorCode;
use crate::gateway::http2::hpack::decoder::Text;
use crate::gateway::http2::hpack::{Decoder, HpackError};

/// What is kept of a body; those of errors have some dozen bytes.
const BODY_KEPT: usize = 16 * 1024;
/// The longest header block that is put together.
const LONGEST_BLOCK: usize = 64 * 1024;
/// Frames that one header block may come in.
const MOST_PIECES: u32 = 64;

/// A header block of which the end is still to come (RFC 9113 section 6.10).
#[derive(Debug)]
pub struct Assembly {
    pub stream: u32,
    pub end_stream: bool,
    block: Vec<u8>,
    pieces: u32,
}

impl Assembly {
    /// From the fragment in HEADERS.
    pub fn new(stream: u32, end_stream: bool, fragment: &[u8]) -> Self {
        Self { stream, end_stream, block: fragment.to_vec(), pieces: 1 }
    }

    /// Adds the fragment of a CONTINUATION.
    pub fn add(&mut self, fragment: &[u8]) -> Result<(), ConnectionError> {
        self.pieces += 1;
        if self.block.len() + fragment.len() > LONGEST_BLOCK || self.pieces > MOST_PIECES {
            return Err(ConnectionError::new(ErrorCode::ENHANCE_YOUR_CALM, "a header block that does not end"));
        }
        self.block.extend_from_slice(fragment);
        Ok(())
    }

    /// All of it.
    pub fn block(&self) -> &[u8] {
        &self.block
    }
}

/// What has come of an answer before its end.
#[derive(Debug, Default)]
pub struct Kept {
    pub status: u16,
    pub retry_after: Option<String>,
    pub body: Vec<u8>,
    /// DATA that came, in bytes against our window.
    pub received: u32,
}

impl Kept {
    /// Ready for the next answer; keeps its memory.
    pub fn clear(&mut self) {
        self.status = 0;
        self.retry_after = None;
        self.body.clear();
        self.received = 0;
    }

    /// Adds a piece of the body.
    pub fn add(&mut self, piece: &[u8]) {
        let room = BODY_KEPT.saturating_sub(self.body.len());
        self.body.extend_from_slice(&piece[..piece.len().min(room)]);
    }
}

/// What a header block says that matters.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Head {
    /// 0: none, as in trailers.
    pub status: u16,
    pub retry_after: Option<String>,
}

impl Head {
    /// Decodes a block. Its table must be kept in step, whoever waits for the answer.
    /// `date` gets the value of that field, if it is asked for.
    pub fn read(
        decoder: &mut Decoder,
        block: &[u8],
        mut date: Option<&mut Option<String>>,
    ) -> Result<Self, ConnectionError> {
        // What most answers are, and all that a push service has to say.
        if block == [0x88] {
            return Ok(Self { status: 200, retry_after: None });
        }
        let mut head = Self::default();
        let decoded = decoder.decode(block, |name, value| {
            if name.is(b":status") {
                head.status = value.read().ok().and_then(|digits| status(&digits)).unwrap_or(0);
            } else if name.is(b"retry-after") {
                head.retry_after = text(value);
            } else if let Some(date) = &mut date
                && name.is(b"date")
            {
                **date = text(value);
            }
        });
        match decoded {
            Ok(()) => Ok(head),
            Err(HpackError::TableSize(_)) => Err(compression("a header table over the announced size")),
            Err(_) => Err(compression("a header block that breaks RFC 7541")),
        }
    }
}

fn text(value: Text<'_>) -> Option<String> {
    String::from_utf8(value.read().ok()?.into_owned()).ok()
}

const fn compression(what: &'static str) -> ConnectionError {
    ConnectionError::new(ErrorCode::COMPRESSION_ERROR, what)
}

/// Three digits (RFC 9110 section 15).
fn status(digits: &[u8]) -> Option<u16> {
    let [hundreds @ b'1'..=b'9', tens @ b'0'..=b'9', ones @ b'0'..=b'9'] = digits else { return None };
    Some(u16::from(hundreds - b'0') * 100 + u16::from(tens - b'0') * 10 + u16::from(ones - b'0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_its_status_and_when_to_come_again() {
        let mut decoder = Decoder::default();
        let read = |decoder: &mut Decoder, block: &[u8]| Head::read(decoder, block, None);
        assert_eq!(read(&mut decoder, &[0x88]).unwrap().status, 200);
        let block = b"\x08\x03429\x0f\x26\x0230";
        let head = Head { status: 429, retry_after: Some("30".to_owned()) };
        assert_eq!(read(&mut decoder, block), Ok(head));
        assert_eq!(read(&mut decoder, b"\x08\x0342x").unwrap().status, 0);
        assert_eq!(read(&mut decoder, b"").unwrap(), Head::default());
        assert_eq!(read(&mut decoder, &[0x80]).unwrap_err().code, ErrorCode::COMPRESSION_ERROR);
    }

    #[test]
    fn a_block_without_end_is_refused() {
        let mut long = Assembly::new(1, false, &[0; 16_384]);
        assert!((0..3).all(|_| long.add(&[0; 16_384]).is_ok()));
        assert_eq!(long.add(&[0]).unwrap_err().code, ErrorCode::ENHANCE_YOUR_CALM);
        let mut many = Assembly::new(1, false, &[]);
        let added = (0..100).take_while(|_| many.add(&[]).is_ok()).count();
        assert_eq!(added, 63);
    }
}
