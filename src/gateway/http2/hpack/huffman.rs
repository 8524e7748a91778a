//! The Huffman code of HPACK (RFC 7541 section 5.2 and appendix B).
//!
//! The code is canonical: within one length, codes count up in the order of the symbols, and each length starts where
//! the shorter one ended, shifted left. So the lengths alone give the whole code, and that is how it is written here.

/// Symbols by the length of their code in bits, shortest first, ascending within a length. The end-of-string symbol
/// (thirty ones) is left out: it must not occur in a string.
const BY_LENGTH: [(u32, &[u8]); 21] = [
    (5, b"012aceiost"),
    (6, b" %-./3456789=A_bdfghlmnpru"),
    (7, b":BCDEFGHIJKLMNOPQRSTUVWYjkqvwxyz"),
    (8, b"&*,;XZ"),
    (10, b"!\"()?"),
    (11, b"'+|"),
    (12, b"#>"),
    (13, b"\0$@[]~"),
    (14, b"^}"),
    (15, b"<`{"),
    (19, &[92, 195, 208]),
    (20, &[128, 130, 131, 162, 184, 194, 224, 226]),
    (21, &[153, 161, 167, 172, 176, 177, 179, 209, 216, 217, 227, 229, 230]),
    (
        22,
        &[
            129, 132, 133, 134, 136, 146, 154, 156, 160, 163, 164, 169, 170, 173, 178, 181, 185, 186, 187, 189, 190,
            196, 198, 228, 232, 233,
        ],
    ),
    (
        23,
        &[
            1, 135, 137, 138, 139, 140, 141, 143, 147, 149, 150, 151, 152, 155, 157, 158, 165, 166, 168, 174, 175, 180,
            182, 183, 188, 191, 197, 231, 239,
        ],
    ),
    (24, &[9, 142, 144, 145, 148, 159, 171, 206, 215, 225, 236, 237]),
    (25, &[199, 207, 234, 235]),
    (26, &[192, 193, 200, 201, 202, 205, 210, 213, 218, 219, 238, 240, 242, 243, 255]),
    (27, &[203, 204, 211, 212, 214, 221, 222, 223, 241, 244, 245, 246, 247, 248, 250, 251, 252, 253, 254]),
    (
        28,
        &[
            2, 3, 4, 5, 6, 7, 8, 11, 12, 14, 15, 16, 17, 18, 19, 20, 21, 23, 24, 25, 26, 27, 28, 29, 30, 31, 127, 220,
            249,
        ],
    ),
    (30, &[10, 13, 22]),
];

/// The codes of one length: they start at `first`, and the n-th stands for `symbols[n]`.
#[derive(Clone, Copy)]
struct Length {
    bits: u32,
    first: u64,
    symbols: &'static [u8],
}

const LENGTHS: [Length; BY_LENGTH.len()] = {
    let mut lengths = [Length { bits: 0, first: 0, symbols: &[] }; BY_LENGTH.len()];
    let (mut next, mut previous, mut at) = (0u64, 0, 0);
    while at < BY_LENGTH.len() {
        let (bits, symbols) = BY_LENGTH[at];
        next <<= bits - previous;
        lengths[at] = Length { bits, first: next, symbols };
        next += symbols.len() as u64;
        previous = bits;
        at += 1;
    }
    lengths
};

/// What the next eight bits begin with: (symbol, bits of its code), or zero bits when the code is longer.
const SHORT: [(u8, u8); 256] = {
    let mut short = [(0, 0); 256];
    let mut at = 0;
    while LENGTHS[at].bits <= 8 {
        let Length { bits, first, symbols } = LENGTHS[at];
        #[expect(clippy::cast_possible_truncation, reason = "at most 255")]
        let first = first as usize;
        let mut symbol = 0;
        while symbol < symbols.len() {
            let base = (first + symbol) << (8 - bits);
            let mut tail = 0;
            while tail < 1 << (8 - bits) {
                #[expect(clippy::cast_possible_truncation, reason = "at most 8")]
                let bits = bits as u8;
                short[base + tail] = (symbols[symbol], bits);
                tail += 1;
            }
            symbol += 1;
        }
        at += 1;
    }
    short
};

/// Bits of each byte's code.
const BITS: [u8; 256] = {
    let mut bits = [0; 256];
    let mut at = 0;
    while at < LENGTHS.len() {
        let mut symbol = 0;
        while symbol < LENGTHS[at].symbols.len() {
            #[expect(clippy::cast_possible_truncation, reason = "at most 30")]
            let length = LENGTHS[at].bits as u8;
            bits[LENGTHS[at].symbols[symbol] as usize] = length;
            symbol += 1;
        }
        at += 1;
    }
    bits
};

/// The bytes that a text takes in this code.
pub fn coded_length(plain: &[u8]) -> usize {
    plain.iter().map(|byte| usize::from(BITS[usize::from(*byte)])).sum::<usize>().div_ceil(8)
}

/// The string is not valid Huffman code: an unassigned code, the end-of-string symbol, or wrong padding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid HPACK Huffman string")]
pub struct InvalidHuffman;

/// Appends the decoded `coded` to `out`.
///
/// # Errors
/// [`InvalidHuffman`], and then `out` holds what came before the fault.
pub fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), InvalidHuffman> {
    // The low `held` bits of `bits` are not decoded yet; the ones above them are spent.
    let (mut bits, mut held) = (0u64, 0u32);
    let mut rest = coded;
    out.reserve(coded.len() * 8 / 5 + 1);
    loop {
        // Four bytes at a time where possible: strings of a request are long, and this loop is its dearest part.
        if held <= 32
            && let Some((chunk, after)) = rest.split_first_chunk::<4>()
        {
            bits = bits << 32 | u64::from(u32::from_be_bytes(*chunk));
            held += 32;
            rest = after;
        } else {
            while held <= 56
                && let Some((byte, after)) = rest.split_first()
            {
                bits = bits << 8 | u64::from(*byte);
                held += 8;
                rest = after;
            }
        }
        while held >= 8 {
            let (symbol, length) = short(bits >> (held - 8));
            if length == 0 {
                break;
            }
            out.push(symbol);
            held -= u32::from(length);
        }
        if held < 8 {
            if rest.is_empty() {
                break;
            }
        } else if let Some((symbol, length)) = long(bits, held) {
            out.push(symbol);
            held -= length;
        } else if rest.is_empty() || held > 32 {
            // The code's end is missing, or there is no such code: the longest has thirty bits.
            break;
        }
    }
    // Fewer than eight bits, or no whole code, are left: perhaps one more short symbol, then the padding.
    while held > 0 {
        let left = bits & ((1 << held) - 1);
        if held < 8 {
            let (symbol, length) = short(left << (8 - held) | ((1 << (8 - held)) - 1));
            if length != 0 && u32::from(length) <= held {
                out.push(symbol);
                held -= u32::from(length);
                continue;
            }
        }
        // RFC 7541 section 5.2: padding is the top of the end-of-string code, all ones, and shorter than a byte.
        return if held < 8 && left == (1 << held) - 1 { Ok(()) } else { Err(InvalidHuffman) };
    }
    Ok(())
}

/// What the low eight of `bits` begin with, as [`SHORT`] has it.
#[expect(clippy::cast_possible_truncation, reason = "the low eight bits are meant")]
fn short(bits: u64) -> (u8, u8) {
    SHORT[usize::from(bits as u8)]
}

/// A symbol whose code is longer than eight bits, when `held` bits hold all of it.
fn long(bits: u64, held: u32) -> Option<(u8, u32)> {
    LENGTHS.iter().filter(|length| length.bits > 8 && length.bits <= held).find_map(|length| {
        let code = bits >> (held - length.bits) & ((1 << length.bits) - 1);
        let symbol = length.symbols.get(usize::try_from(code.checked_sub(length.first)?).ok()?)?;
        Some((*symbol, length.bits))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(plain: &[u8]) -> Vec<u8> {
        let mut text = String::new();
        for byte in plain {
            let (length, nth) = LENGTHS
                .iter()
                .find_map(|l| l.symbols.iter().position(|symbol| symbol == byte).map(|nth| (l, nth)))
                .unwrap();
            text += &format!("{:0width$b}", length.first + nth as u64, width = length.bits as usize);
        }
        while !text.len().is_multiple_of(8) {
            text.push('1');
        }
        text.as_bytes()
            .chunks(8)
            .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).unwrap(), 2).unwrap())
            .collect()
    }

    #[test]
    fn the_code_is_complete() {
        let symbols: std::collections::BTreeSet<u8> = LENGTHS.iter().flat_map(|l| l.symbols.iter().copied()).collect();
        assert_eq!(symbols.len(), 256);
        let last = LENGTHS.last().unwrap();
        assert_eq!(last.first + last.symbols.len() as u64, (1 << 30) - 1, "only the end-of-string code is left");
    }

    #[test]
    fn rfc_7541_appendix_c_strings() {
        for (coded, plain) in [
            ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),
            ("a8eb10649cbf", "no-cache"),
            ("25a849e95ba97d7f", "custom-key"),
            ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),
        ] {
            let mut out = Vec::new();
            decode(&hex::decode(coded).unwrap(), &mut out).unwrap();
            assert_eq!(out, plain.as_bytes());
        }
    }

    #[test]
    fn wrong_padding_and_end_of_string_are_refused() {
        for coded in [&[0x00][..], &[0xff], &[0xff, 0xff, 0xff, 0xff], &[0x1f, 0xff]] {
            assert_eq!(decode(coded, &mut Vec::new()), Err(InvalidHuffman), "{coded:x?}");
        }
    }

    proptest! {
        #[test]
        fn decodes_what_was_encoded(plain: Vec<u8>) {
            let mut out = Vec::new();
            prop_assert_eq!(encode(&plain).len(), coded_length(&plain));
            decode(&encode(&plain), &mut out).unwrap();
            prop_assert_eq!(out, plain);
        }

        #[test]
        fn never_fails_otherwise_on_noise(noise: Vec<u8>) {
            let mut out = Vec::new();
            prop_assert!(decode(&noise, &mut out).is_ok() || out.len() <= noise.len() * 8 / 5);
        }
    }
}
