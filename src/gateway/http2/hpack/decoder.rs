//! Reading header blocks: fields are handed out as slices of the block or of the table, and a text that nobody asks for
//! is not even decoded.

use std::borrow::Cow;

use super::huffman::{self, InvalidHuffman};
use super::table::DynamicTable;
use super::{DEFAULT_TABLE, integer};

/// A header block breaks RFC 7541. The connection cannot go on (COMPRESSION_ERROR): its tables differ from the peer's.
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
    Huffman(#[from] InvalidHuffman),
}

/// A text as it stands in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Text<'a> {
    bytes: &'a [u8],
    coded: bool,
}

impl<'a> Text<'a> {
    const fn plain(bytes: &'a [u8]) -> Self {
        Self { bytes, coded: false }
    }

    /// Whether it reads so. A text that is no valid code reads as nothing.
    pub fn is(&self, text: &[u8]) -> bool {
        if !self.coded {
            return self.bytes == text;
        }
        self.bytes.len() == huffman::coded_length(text) && self.read().is_ok_and(|read| *read == *text)
    }

    /// Its bytes.
    pub fn read(&self) -> Result<Cow<'a, [u8]>, InvalidHuffman> {
        if !self.coded {
            return Ok(Cow::Borrowed(self.bytes));
        }
        let mut decoded = Vec::new();
        huffman::decode(self.bytes, &mut decoded)?;
        Ok(Cow::Owned(decoded))
    }
}

/// One direction's decoding state. Blocks must come in the order in which they were sent, each exactly once: also those
/// of streams that nobody waits for any more.
#[derive(Debug)]
pub struct Decoder {
    table: DynamicTable,
    /// What we announced as SETTINGS_HEADER_TABLE_SIZE.
    announced: usize,
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(DEFAULT_TABLE)
    }
}

impl Decoder {
    /// `announced` bytes as in our SETTINGS_HEADER_TABLE_SIZE.
    pub fn new(announced: usize) -> Self {
        Self { table: DynamicTable::new(announced), announced, name: Vec::new(), value: Vec::new() }
    }

    /// The bytes that its table holds.
    pub const fn table_size(&self) -> usize {
        self.table.size()
    }

    /// Decodes one whole block; `field` gets each name and value in order. After an error the decoder is of no use.
    pub fn decode(&mut self, block: &[u8], mut field: impl FnMut(Text<'_>, Text<'_>)) -> Result<(), HpackError> {
        let mut rest = block;
        let mut may_resize = true;
        while let Some(&first) = rest.first() {
            if first & 0x80 != 0 {
                let index = integer::read(&mut rest, 7)?;
                let (name, value) = self.table.get(index).ok_or(HpackError::UnknownIndex(index))?;
                field(Text::plain(name), Text::plain(value));
            } else if first & 0xe0 == 0x20 {
                let size = integer::read(&mut rest, 5)?;
                if size > self.announced || !may_resize {
                    return Err(HpackError::TableSize(size));
                }
                self.table.resize(size);
                continue;
            } else if first & 0x40 != 0 {
                self.literal_kept(&mut rest, &mut field)?;
            } else {
                let index = integer::read(&mut rest, 4)?;
                let name = match index {
                    0 => string(&mut rest)?,
                    _ => Text::plain(self.table.get(index).ok_or(HpackError::UnknownIndex(index))?.0),
                };
                field(name, string(&mut rest)?);
            }
            may_resize = false;
        }
        Ok(())
    }

    /// A literal that goes into the table, and so must be decoded whether anybody wants it or not.
    fn literal_kept(&mut self, rest: &mut &[u8], field: &mut impl FnMut(Text<'_>, Text<'_>)) -> Result<(), HpackError> {
        let index = integer::read(rest, 6)?;
        self.name.clear();
        match index {
            0 => append(string(rest)?, &mut self.name)?,
            _ => self.name.extend_from_slice(self.table.get(index).ok_or(HpackError::UnknownIndex(index))?.0),
        }
        self.value.clear();
        append(string(rest)?, &mut self.value)?;
        field(Text::plain(&self.name), Text::plain(&self.value));
        self.table.insert(&self.name, &self.value);
        Ok(())
    }
}

fn append(text: Text<'_>, out: &mut Vec<u8>) -> Result<(), InvalidHuffman> {
    if text.coded {
        return huffman::decode(text.bytes, out);
    }
    out.extend_from_slice(text.bytes);
    Ok(())
}

/// A string literal (RFC 7541 section 5.2).
fn string<'a>(rest: &mut &'a [u8]) -> Result<Text<'a>, HpackError> {
    let coded = rest.first().ok_or(HpackError::Truncated)? & 0x80 != 0;
    let length = integer::read(rest, 7)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or(HpackError::Truncated)?;
    *rest = after;
    Ok(Text { bytes, coded })
}

#[cfg(test)]
mod tests;
