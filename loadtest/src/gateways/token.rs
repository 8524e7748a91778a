//! What a push is addressed to, as bytes.
use std::{fmt, str::FromStr};

/// A device token (the hex digits of the path decoded), or whatever else a service addresses by. 32 bytes, the length of
/// an app's token, are kept in place: ten million receipts must not mean ten million allocations.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Token {
    Short([u8; 32]),
    Other(Box<[u8]>),
}

impl Token {
    pub fn new(bytes: &[u8]) -> Self {
        match bytes.try_into() {
            Ok(short) => Self::Short(short),
            Err(_) => Self::Other(bytes.into()),
        }
    }

    /// The token of a request that named none that can be read.
    pub fn unreadable() -> Self {
        Self::Other(Box::default())
    }

    /// Decodes hex digits of either case; `None` for anything else.
    pub fn from_hex(digits: &[u8]) -> Option<Self> {
        let mut short = [0; 32];
        if digits.len() == 64 {
            decode_hex(digits, &mut short)?;
            return Some(Self::Short(short));
        }
        let mut bytes = vec![0; digits.len() / 2];
        decode_hex(digits, &mut bytes)?;
        Some(Self::Other(bytes.into()))
    }

    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Short(bytes) => bytes,
            Self::Other(bytes) => bytes,
        }
    }
}

/// `digits` must be exactly twice as long as `out`.
fn decode_hex(digits: &[u8], out: &mut [u8]) -> Option<()> {
    let (pairs, odd) = digits.as_chunks::<2>();
    if !odd.is_empty() || pairs.len() != out.len() {
        return None;
    }
    // Bit 7 marks what is no digit, gathered over the whole token: one branch instead of one a digit.
    let mut bad = 0;
    for (byte, [high, low]) in out.iter_mut().zip(pairs) {
        let (high, low) = (HEX_VALUES[usize::from(*high)], HEX_VALUES[usize::from(*low)]);
        bad |= high | low;
        *byte = high << 4 | low;
    }
    (bad & 0x80 == 0).then_some(())
}

const HEX_VALUES: [u8; 256] = {
    let mut values = [0x80; 256];
    let mut digit = 0;
    while digit < 16u8 {
        values[b"0123456789abcdef"[digit as usize] as usize] = digit;
        values[b"0123456789ABCDEF"[digit as usize] as usize] = digit;
        digit += 1;
    }
    values
};

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({self})")
    }
}

/// The text is not an even number of hex digits.
#[derive(Debug, thiserror::Error)]
#[error("a token is written as an even number of hex digits")]
pub struct NotHex;

impl FromStr for Token {
    type Err = NotHex;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::from_hex(text.as_bytes()).ok_or(NotHex)
    }
}

impl serde::Serialize for Token {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_of_any_length_and_case_is_read() {
        assert_eq!(Token::from_hex(&b"aB".repeat(32)), Some(Token::Short([0xab; 32])));
        assert_eq!(Token::from_hex(b"00ff10").unwrap().as_bytes(), [0, 0xff, 0x10]);
        for bad in ["0", "0g", &"ab".repeat(31).replace("abab", "ab/b"), "é"] {
            assert_eq!(Token::from_hex(bad.as_bytes()), None, "{bad}");
        }
    }
}
