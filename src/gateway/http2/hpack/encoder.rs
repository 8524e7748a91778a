//! Writing header blocks: what many requests share goes into the peer's table once and costs an index from then on; what
//! differs each time stays out of it, so that it pushes nothing out (`figures.md` section 2).
//!
//! Texts are written plainly: Huffman code would save a quarter of the bytes and cost more than they do.

use super::table::DynamicTable;
use super::{DEFAULT_TABLE, ENTRY_OVERHEAD, integer};

/// A value that is kept for its name's sake has no more bytes than this: a UUID in text.
const LONGEST_ID: usize = 36;

/// What becomes of a field's value in the peer's table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Indexing {
    /// It comes again: kept.
    Kept,
    /// It differs each time, or nobody on the way may keep it (RFC 7541 section 6.2.3).
    Never,
}

/// A field to write.
#[derive(Clone, Copy, Debug)]
pub struct Field<'a> {
    /// In lower case (RFC 9113 section 8.2.1).
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub indexing: Indexing,
}

/// One direction's encoding state: a mirror of the peer's table. Every block must be sent, in the order of writing.
#[derive(Debug)]
pub struct Encoder {
    table: DynamicTable,
    /// Sizes that the peer must be told of before the next field: the smallest meanwhile, and the one now (RFC 7541
    /// section 4.2).
    owed: Option<(usize, usize)>,
    version: u64,
}

impl Default for Encoder {
    fn default() -> Self {
        Self { table: DynamicTable::new(DEFAULT_TABLE), owed: None, version: 0 }
    }
}

impl Encoder {
    /// What was written under the same version may be sent again as it stands: it only referred to entries that are
    /// still where they were.
    pub const fn version(&self) -> u64 {
        self.version
    }

    /// The peer's SETTINGS_HEADER_TABLE_SIZE. More than the default is not made use of.
    pub fn resize(&mut self, announced: usize) {
        let limit = announced.min(DEFAULT_TABLE);
        if limit == self.table.limit() {
            return;
        }
        let smallest = self.owed.map_or(limit, |(smallest, _)| smallest.min(limit));
        self.owed = Some((smallest, limit));
        self.table.resize(limit);
        self.version += 1;
    }

    /// Begins a block: tells the peer of changed sizes. Such a beginning must not be sent twice, so the version changes.
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        let Some((smallest, limit)) = self.owed.take() else { return };
        if smallest < limit {
            integer::write(out, 0x20, 5, smallest);
        }
        integer::write(out, 0x20, 5, limit);
        self.version += 1;
    }

    /// Whether [`Encoder::begin`] has something to say.
    pub const fn owes(&self) -> bool {
        self.owed.is_some()
    }

    /// Appends a field.
    pub fn field(&mut self, field: Field<'_>, out: &mut Vec<u8>) {
        if let Some(index) = self.find(|name, value| name == field.name && value == field.value) {
            return integer::write(out, 0x80, 7, index);
        }
        let kept = field.indexing == Indexing::Kept && self.is_worth(field.name.len() + field.value.len());
        if kept {
            self.reference(0x40, 6, field.name, out);
            self.table.insert(field.name, field.value);
            self.version += 1;
        } else {
            self.reference(0x10, 4, field.name, out);
        }
        string(out, field.value);
    }

    /// Appends the beginning of a literal that is never indexed, up to its value. Nothing where the name is in no table
    /// yet and could be: one such field is better written by [`Encoder::field`] as kept, for its name's sake.
    pub fn never_indexed_name(&self, name: &[u8], out: &mut Vec<u8>) -> bool {
        let known = self.find(|known, _| known == name).is_some() || !self.is_worth(name.len() + LONGEST_ID);
        if known {
            self.reference(0x10, 4, name, out);
        }
        known
    }

    /// An entry that would push out most of the others is not worth its place.
    fn is_worth(&self, text: usize) -> bool {
        text + ENTRY_OVERHEAD <= self.table.limit() / 2
    }

    fn reference(&self, pattern: u8, bits: u32, name: &[u8], out: &mut Vec<u8>) {
        match self.find(|known, _| known == name) {
            Some(index) => integer::write(out, pattern, bits, index),
            None => {
                out.push(pattern);
                string(out, name);
            }
        }
    }

    fn find(&self, wanted: impl Fn(&[u8], &[u8]) -> bool) -> Option<usize> {
        self.table.indices().find(|index| self.table.get(*index).is_some_and(|(name, value)| wanted(name, value)))
    }
}

/// Appends a string literal in plain text.
pub fn string(out: &mut Vec<u8>, text: &[u8]) {
    integer::write(out, 0, 7, text.len());
    out.extend_from_slice(text);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::gateway::http2::hpack::Decoder;

    type Read = Vec<(Vec<u8>, Vec<u8>)>;

    fn decode(decoder: &mut Decoder, block: &[u8]) -> Read {
        let mut read = Vec::new();
        decoder
            .decode(block, |name, value| {
                read.push((name.read().unwrap().into_owned(), value.read().unwrap().into_owned()));
            })
            .unwrap();
        read
    }

    fn kept<'a>(name: &'a str, value: &'a str) -> Field<'a> {
        Field { name: name.as_bytes(), value: value.as_bytes(), indexing: Indexing::Kept }
    }

    #[test]
    fn what_comes_again_costs_a_byte() {
        let mut encoder = Encoder::default();
        let mut block = Vec::new();
        let topic = kept("apns-topic", "com.example.app");
        encoder.field(topic, &mut block);
        let (before, version) = (block.len(), encoder.version());
        encoder.field(topic, &mut block);
        encoder.field(kept(":method", "POST"), &mut block);
        assert_eq!(block[before..], [0xbe, 0x83]);
        assert_eq!(encoder.version(), version);
    }

    #[test]
    fn what_differs_leaves_no_trace() {
        let mut encoder = Encoder::default();
        let mut block = Vec::new();
        let path = Field { name: b":path", value: b"/3/device/00", indexing: Indexing::Never };
        encoder.field(path, &mut block);
        assert_eq!(block, *b"\x14\x0c/3/device/00");
        assert_eq!(encoder.version(), 0);
        let mut named = Vec::new();
        assert!(!encoder.never_indexed_name(b"apns-id", &mut named));
        encoder.field(kept("apns-id", "1"), &mut block);
        assert!(encoder.never_indexed_name(b"apns-id", &mut named));
        assert_eq!(named, [0x1f, 62 - 15]);
    }

    #[test]
    fn a_peer_that_takes_less_is_told_so() {
        let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
        let mut block = Vec::new();
        encoder.field(kept("a", "b"), &mut block);
        decode(&mut decoder, &block);
        encoder.resize(0);
        encoder.resize(100);
        assert!(encoder.owes());
        block.clear();
        encoder.begin(&mut block);
        assert_eq!(block, [0x20, 0x3f, 100 - 31]);
        encoder.field(kept("a", "b"), &mut block);
        assert_eq!(decode(&mut decoder, &block), [(b"a".to_vec(), b"b".to_vec())]);
        encoder.resize(1 << 20);
        block.clear();
        encoder.begin(&mut block);
        assert_eq!(block, [0x3f, 0xe1, 0x1f], "no more than the default");
    }

    #[derive(Clone, Debug)]
    enum Step {
        Resize(usize),
        Block(Vec<(u8, u8, bool)>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let field = (0_u8..6, 0_u8..6, any::<bool>());
        prop_oneof![
            1 => (0_usize..5_000).prop_map(Step::Resize),
            5 => proptest::collection::vec(field, 0..12).prop_map(Step::Block),
        ]
    }

    proptest! {
        #[test]
        fn is_read_as_written(steps in proptest::collection::vec(step(), 0..40)) {
            let (mut encoder, mut decoder) = (Encoder::default(), Decoder::default());
            for step in steps {
                match step {
                    Step::Resize(limit) => encoder.resize(limit),
                    Step::Block(fields) => {
                        let mut block = Vec::new();
                        let mut written = Read::new();
                        encoder.begin(&mut block);
                        for (name, value, keep) in fields {
                            let name = format!("name-{name}").into_bytes();
                            let value = vec![b'v'; usize::from(value) * 61];
                            let indexing = if keep { Indexing::Kept } else { Indexing::Never };
                            encoder.field(Field { name: &name, value: &value, indexing }, &mut block);
                            written.push((name, value));
                        }
                        prop_assert_eq!(decode(&mut decoder, &block), written);
                    }
                }
            }
        }
    }
}
