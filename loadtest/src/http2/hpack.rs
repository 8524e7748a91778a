//! HPACK (RFC 7541): a decoder with its dynamic table, and the few literals that responses are written with.
//!
//! The decoder is not the engine's, whose encoder would be read with the same table that it wrote with.
use std::collections::VecDeque;

use fanfare::gateway::http2::hpack::{huffman, table::STATIC};

/// What an entry costs besides its bytes (RFC 7541 section 4.1).
const ENTRY_OVERHEAD: usize = 32;

/// The header block breaks RFC 7541: the connection cannot go on (COMPRESSION_ERROR), its tables differ from the peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HpackError {
    #[error("a header block ends inside a field")]
    Truncated,
    #[error("an integer is larger than 32 bits")]
    IntegerOverflow,
    #[error("index {0} is in neither table")]
    UnknownIndex(usize),
    #[error("a table size update to {0} bytes is over the announced limit, or stands behind a field")]
    TableSize(usize),
    #[error(transparent)]
    Huffman(#[from] huffman::InvalidHuffman),
}

#[derive(Debug)]
struct Entry {
    /// Name and value, joined.
    text: Box<[u8]>,
    name: usize,
}

/// One direction's decoding state. Blocks must come in the order in which they were sent, each exactly once: also those
/// of requests that are then refused.
#[derive(Debug)]
pub struct Decoder {
    /// Newest first.
    entries: VecDeque<Entry>,
    size: usize,
    max_size: usize,
    /// What we announced in SETTINGS_HEADER_TABLE_SIZE: size updates stay below it.
    limit: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Decoder {
    /// `limit` as announced in SETTINGS_HEADER_TABLE_SIZE, in bytes.
    pub fn new(limit: usize) -> Self {
        Self { entries: VecDeque::new(), size: 0, max_size: limit, limit, name: Vec::new(), value: Vec::new() }
    }

    /// Decodes one whole block; `field` gets each (name, value) in order.
    ///
    /// # Errors
    /// [`HpackError`]; the decoder is of no use afterwards.
    pub fn decode(&mut self, block: &[u8], mut field: impl FnMut(&[u8], &[u8])) -> Result<(), HpackError> {
        let mut rest = block;
        let mut size_update_allowed = true;
        while let Some(&first) = rest.first() {
            if first & 0x80 != 0 {
                let index = integer(&mut rest, 7)?;
                let (name, value) = self.entry(index)?;
                field(name, value);
            } else if first & 0xe0 == 0x20 {
                let size = integer(&mut rest, 5)?;
                if size > self.limit || !size_update_allowed {
                    return Err(HpackError::TableSize(size));
                }
                self.max_size = size;
                self.evict(0);
                continue;
            } else {
                let keep = first & 0x40 != 0;
                let index = integer(&mut rest, if keep { 6 } else { 4 })?;
                self.literal(index, keep, &mut rest, &mut field)?;
            }
            size_update_allowed = false;
        }
        Ok(())
    }

    fn literal(
        &mut self,
        index: usize,
        keep: bool,
        rest: &mut &[u8],
        field: &mut impl FnMut(&[u8], &[u8]),
    ) -> Result<(), HpackError> {
        let mut own_name = std::mem::take(&mut self.name);
        let mut own_value = std::mem::take(&mut self.value);
        let name = if index == 0 { string(rest, &mut own_name)? } else { self.entry(index)?.0 };
        let value = string(rest, &mut own_value)?;
        field(name, value);
        let entry = keep.then(|| Entry { text: [name, value].concat().into(), name: name.len() });
        if let Some(entry) = entry {
            self.insert(entry);
        }
        (self.name, self.value) = (own_name, own_value);
        Ok(())
    }

    fn entry(&self, index: usize) -> Result<(&[u8], &[u8]), HpackError> {
        let unknown = HpackError::UnknownIndex(index);
        let at = index.checked_sub(1).ok_or(unknown)?;
        if let Some(found) = STATIC.get(at) {
            return Ok(*found);
        }
        let entry = self.entries.get(at - STATIC.len()).ok_or(unknown)?;
        Ok(entry.text.split_at(entry.name))
    }

    fn insert(&mut self, entry: Entry) {
        let cost = entry.text.len() + ENTRY_OVERHEAD;
        self.evict(cost);
        // An entry larger than the whole table empties it and is not kept (RFC 7541 section 4.4).
        if cost <= self.max_size {
            self.size += cost;
            self.entries.push_front(entry);
        }
    }

    fn evict(&mut self, room: usize) {
        while self.size + room > self.max_size {
            let Some(oldest) = self.entries.pop_back() else { break };
            self.size -= oldest.text.len() + ENTRY_OVERHEAD;
        }
    }
}

/// An integer with a prefix of `bits` (RFC 7541 section 5.1).
fn integer(rest: &mut &[u8], bits: u32) -> Result<usize, HpackError> {
    let (first, mut tail) = rest.split_first().ok_or(HpackError::Truncated)?;
    let mask = (1u64 << bits) - 1;
    let mut value = u64::from(*first) & mask;
    if value == mask {
        let mut shift = 0;
        loop {
            let (byte, after) = tail.split_first().ok_or(HpackError::Truncated)?;
            tail = after;
            if shift > 28 {
                return Err(HpackError::IntegerOverflow);
            }
            value += u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    *rest = tail;
    let value = u32::try_from(value).map_err(|_| HpackError::IntegerOverflow)?;
    Ok(value as usize)
}

/// A string literal (RFC 7541 section 5.2): a slice of the block, or of `decoded` when it was Huffman-coded.
fn string<'s, 'block: 's>(rest: &mut &'block [u8], decoded: &'s mut Vec<u8>) -> Result<&'s [u8], HpackError> {
    let coded = rest.first().ok_or(HpackError::Truncated)? & 0x80 != 0;
    let length = integer(rest, 7)?;
    let (text, after) = rest.split_at_checked(length).ok_or(HpackError::Truncated)?;
    *rest = after;
    if !coded {
        return Ok(text);
    }
    decoded.clear();
    huffman::decode(text, decoded)?;
    Ok(decoded)
}

/// Appends `:status`, as an index where the static table has it.
pub fn encode_status(out: &mut Vec<u8>, status: u16) {
    match status {
        200 => out.push(0x88),
        204 => out.push(0x89),
        206 => out.push(0x8a),
        304 => out.push(0x8b),
        400 => out.push(0x8c),
        404 => out.push(0x8d),
        500 => out.push(0x8e),
        other => {
            out.push(0x08);
            encode_string(out, other.to_string().as_bytes());
        }
    }
}

/// Appends a literal without indexing and with its name spelled out: no state, so nothing to keep in step.
pub fn encode_literal(out: &mut Vec<u8>, name: &[u8], value: &[u8]) {
    out.push(0);
    encode_string(out, name);
    encode_string(out, value);
}

#[expect(clippy::cast_possible_truncation, reason = "each byte is masked or compared first")]
fn encode_string(out: &mut Vec<u8>, text: &[u8]) {
    if text.len() < 127 {
        out.push(text.len() as u8);
    } else {
        out.push(127);
        let mut rest = text.len() - 127;
        while rest >= 128 {
            out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        out.push(rest as u8);
    }
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decode(decoder: &mut Decoder, block: &str) -> Result<Vec<String>, HpackError> {
        let block = hex::decode(block.replace(' ', "")).unwrap();
        let mut fields = Vec::new();
        decoder.decode(&block, |name, value| {
            fields.push(format!("{}: {}", String::from_utf8_lossy(name), String::from_utf8_lossy(value)));
        })?;
        Ok(fields)
    }

    const REQUESTS: [&[&str]; 3] = [
        &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com"],
        &[":method: GET", ":scheme: http", ":path: /", ":authority: www.example.com", "cache-control: no-cache"],
        &[
            ":method: GET",
            ":scheme: https",
            ":path: /index.html",
            ":authority: www.example.com",
            "custom-key: custom-value",
        ],
    ];

    #[test]
    fn rfc_7541_c_2_representations() {
        let mut decoder = Decoder::new(4096);
        let with_indexing = "400a637573746f6d2d6b65790d637573746f6d2d686561646572";
        assert_eq!(decode(&mut decoder, with_indexing).unwrap(), ["custom-key: custom-header"]);
        assert_eq!(decoder.size, 55);
        assert_eq!(decode(&mut decoder, "040c2f73616d706c652f70617468").unwrap(), [":path: /sample/path"]);
        assert_eq!(decode(&mut decoder, "100870617373776f726406736563726574").unwrap(), ["password: secret"]);
        assert_eq!(decode(&mut decoder, "82").unwrap(), [":method: GET"]);
        assert_eq!(decoder.size, 55);
    }

    #[test]
    fn rfc_7541_c_3_requests_without_huffman() {
        let mut decoder = Decoder::new(4096);
        let blocks = [
            "828684410f7777772e6578616d706c652e636f6d",
            "828684be58086e6f2d6361636865",
            "828785bf400a637573746f6d2d6b65790c637573746f6d2d76616c7565",
        ];
        for ((block, expected), size) in blocks.iter().zip(REQUESTS).zip([57, 110, 164]) {
            assert_eq!(decode(&mut decoder, block).unwrap(), expected);
            assert_eq!(decoder.size, size);
        }
    }

    #[test]
    fn rfc_7541_c_4_requests_with_huffman() {
        let mut decoder = Decoder::new(4096);
        let blocks = [
            "828684418cf1e3c2e5f23a6ba0ab90f4ff",
            "828684be5886a8eb10649cbf",
            "828785bf408825a849e95ba97d7f8925a849e95bb8e8b4bf",
        ];
        for ((block, expected), size) in blocks.iter().zip(REQUESTS).zip([57, 110, 164]) {
            assert_eq!(decode(&mut decoder, block).unwrap(), expected);
            assert_eq!(decoder.size, size);
        }
    }

    #[test]
    fn rfc_7541_c_6_responses_with_huffman_and_eviction() {
        let mut decoder = Decoder::new(256);
        let common = ["cache-control: private", "location: https://www.example.com"];
        let first = "488264025885aec3771a4b6196d07abe941054d444a8200595040b8166e082a62d1bff6e919d29ad171863c78f0b97c8e9ae82ae43d3";
        let date = "date: Mon, 21 Oct 2013 20:13:21 GMT";
        assert_eq!(decode(&mut decoder, first).unwrap(), [":status: 302", common[0], date, common[1]]);
        assert_eq!(decoder.size, 222);
        assert_eq!(decode(&mut decoder, "4883640effc1c0bf").unwrap(), [":status: 307", common[0], date, common[1]]);
        assert_eq!(decoder.size, 222);
        let third = "88c16196d07abe941054d444a8200595040b8166e084a62d1bffc05a839bd9ab77ad94e7821dd7f2e6c7b335dfdfcd5b3960d5af27087f3672c1ab270fb5291f9587316065c003ed4ee5b1063d5007";
        let cookie = "set-cookie: foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1";
        let date = "date: Mon, 21 Oct 2013 20:13:22 GMT";
        assert_eq!(
            decode(&mut decoder, third).unwrap(),
            [":status: 200", common[0], date, common[1], "content-encoding: gzip", cookie]
        );
        assert_eq!(decoder.size, 215);
    }

    #[test]
    fn faults_are_refused() {
        for (block, error) in [
            ("80", HpackError::UnknownIndex(0)),
            ("be", HpackError::UnknownIndex(62)),
            ("3fe21f", HpackError::TableSize(4097)),
            ("8220", HpackError::TableSize(0)),
            ("0003", HpackError::Truncated),
            ("ff", HpackError::Truncated),
            ("ffffffffffff0f", HpackError::IntegerOverflow),
        ] {
            assert_eq!(decode(&mut Decoder::new(4096), block).unwrap_err(), error, "{block}");
        }
    }

    #[test]
    fn a_smaller_table_evicts() {
        let mut decoder = Decoder::new(4096);
        decode(&mut decoder, "400161016240016301644001650166").unwrap();
        assert_eq!(decoder.entries.len(), 3);
        assert_eq!(decode(&mut decoder, "3f23be").unwrap(), ["e: f"]);
        assert_eq!(decoder.entries.len(), 1);
    }

    proptest! {
        #[test]
        fn literals_are_decoded_as_encoded(status in 100u16..=599, name in "[a-z-]{1,200}", value in "[ -~]{0,400}") {
            let mut block = Vec::new();
            encode_status(&mut block, status);
            encode_literal(&mut block, name.as_bytes(), value.as_bytes());
            let fields = decode(&mut Decoder::new(4096), &hex::encode(block)).unwrap();
            prop_assert_eq!(fields, vec![format!(":status: {status}"), format!("{name}: {value}")]);
        }

        #[test]
        fn noise_is_refused_or_decoded_but_never_harmful(blocks: Vec<Vec<u8>>) {
            let mut decoder = Decoder::new(4096);
            for block in blocks {
                let result = decoder.decode(&block, |_, _| ());
                prop_assert!(decoder.size <= 4096);
                if result.is_err() {
                    break;
                }
            }
        }
    }
}
