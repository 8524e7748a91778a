//! Finding the token in a header block.
//!
//! Fanfare writes `:path` as a plain literal that is never indexed (RFC 7541 section 6.2.3), which can be found without
//! decoding the block, and nothing else is read of it: then no block of that connection needs to be decoded. Other
//! senders write it in Huffman code; their blocks are decoded, all of them, because each may refer to what an earlier one
//! put into the table. Which of the two it is shows in a connection's first block.
use super::marks::{Addressee, Marks};
use crate::http2::hpack::{Decoder, HpackError};

/// SETTINGS_HEADER_TABLE_SIZE unless announced otherwise (RFC 9113 section 6.5.2).
const TABLE: usize = 4_096;
const PREFIX: &[u8] = b"/3/device/";
const DIGITS: usize = 64;
/// Name 4 of the static table, never indexed; 74 bytes; their beginning.
const LITERAL: &[u8; 12] = b"\x14\x4a/3/device/";

/// Whether a sink looks at paths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Paths {
    /// Literals are found without decoding the block; a connection whose first block has none is decoded
    #[default]
    Read,
    /// Requests are counted only, devices are not told apart
    Count,
}

/// How the blocks of one connection are read.
#[derive(Debug)]
pub(super) enum Reading {
    Undecided,
    Literal,
    Decoded(Decoder),
    Not,
}

impl Reading {
    pub(super) fn new(paths: Paths) -> Self {
        match paths {
            Paths::Read => Self::Undecided,
            Paths::Count => Self::Not,
        }
    }

    /// Whom the request with this header block is for. Blocks must come in their order, each once.
    ///
    /// # Errors
    /// [`HpackError`] where blocks are decoded.
    pub(super) fn addressee(&mut self, block: &[u8], marks: &Marks) -> Result<Addressee, HpackError> {
        match self {
            Self::Literal => Ok(literal(block).map_or(Addressee::Unread, |digits| marks.addressee(digits))),
            Self::Not => Ok(Addressee::Unread),
            Self::Decoded(decoder) => {
                let mut found = Addressee::Unread;
                decoder.decode(block, |name, value| {
                    if name == b":path" {
                        let digits = value.strip_prefix(PREFIX);
                        found = digits.map_or(Addressee::Unknown, |digits| marks.addressee(digits));
                    }
                })?;
                Ok(found)
            }
            Self::Undecided => {
                *self = match literal(block) {
                    Some(_) => Self::Literal,
                    None => Self::Decoded(Decoder::new(TABLE)),
                };
                self.addressee(block, marks)
            }
        }
    }
}

/// The digits of a path that is written plainly.
fn literal(block: &[u8]) -> Option<&[u8]> {
    let at = block.windows(LITERAL.len()).position(|window| window == LITERAL)? + LITERAL.len();
    block.get(at..at + DIGITS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fanfare::gateway::http2::hpack::huffman;

    use crate::devices::Devices;

    fn marks() -> Marks {
        Marks::new(Devices::new(1), 1_000)
    }

    fn path(number: u64) -> Vec<u8> {
        format!("/3/device/{}", hex::encode(Devices::new(1).token(number))).into_bytes()
    }

    /// As Fanfare does: some indexed fields, the path, more of them.
    fn plain(number: u64) -> Vec<u8> {
        [&[0x83, 0x87, 0xbe, 0x14, 74][..], &path(number), &[0xbf]].concat()
    }

    /// `:path` kept in the table, in plain text as a decoder must take it too.
    fn kept(number: u64) -> Vec<u8> {
        [&[0x83, 0x44, 74][..], &path(number)].concat()
    }

    #[test]
    fn plain_literals_are_found_without_decoding() {
        let mut reading = Reading::new(Paths::Read);
        for number in [3, 999] {
            assert_eq!(reading.addressee(&plain(number), &marks()).unwrap(), Addressee::Device(number));
        }
        assert!(matches!(reading, Reading::Literal));
        assert_eq!(reading.addressee(&[0x83], &marks()).unwrap(), Addressee::Unread);
        assert_eq!(reading.addressee(&plain(1_000), &marks()).unwrap(), Addressee::Unknown);
        let cut = &plain(3)[..40];
        assert_eq!(reading.addressee(cut, &marks()).unwrap(), Addressee::Unread);
    }

    #[test]
    fn other_blocks_are_decoded_with_the_table_that_they_build() {
        let mut reading = Reading::new(Paths::Read);
        assert_eq!(reading.addressee(&kept(5), &marks()).unwrap(), Addressee::Device(5));
        // Index 62: the newest entry.
        assert_eq!(reading.addressee(&[0x83, 0xbe], &marks()).unwrap(), Addressee::Device(5));
        assert_eq!(reading.addressee(b"\x83\x84", &marks()).unwrap(), Addressee::Unknown);
        assert_eq!(reading.addressee(&plain(6), &marks()), Err(HpackError::UnknownIndex(63)));
    }

    #[test]
    fn huffman_code_is_read() {
        let mut text = Vec::new();
        // 0x04: a literal that is not indexed; "/" is 0x60 over 6 bits: `011000`, filled up with ones.
        huffman::decode(&[0x63], &mut text).unwrap();
        assert_eq!(text, b"/");
        let mut reading = Reading::new(Paths::Read);
        assert_eq!(reading.addressee(&[0x83, 0x04, 0x81, 0x63], &marks()).unwrap(), Addressee::Unknown);
        assert!(matches!(reading, Reading::Decoded(_)));
    }

    #[test]
    fn a_sink_that_only_counts_looks_at_nothing() {
        let mut reading = Reading::new(Paths::Count);
        assert_eq!(reading.addressee(&plain(3), &marks()).unwrap(), Addressee::Unread);
        assert_eq!(reading.addressee(&[0xff], &marks()).unwrap(), Addressee::Unread);
    }
}
