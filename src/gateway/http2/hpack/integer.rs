//! Integers with a prefix (RFC 7541 section 5.1).

use super::decoder::HpackError;

/// Reads an integer whose prefix has `bits` bits. At most 32 bits are taken.
pub(super) fn read(rest: &mut &[u8], bits: u32) -> Result<usize, HpackError> {
    let (first, mut tail) = rest.split_first().ok_or(HpackError::Truncated)?;
    let mask = (1_u64 << bits) - 1;
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

/// Appends an integer behind the bits of `pattern`, which are above its prefix.
#[expect(clippy::cast_possible_truncation, reason = "each byte is compared or masked first")]
pub(super) fn write(out: &mut Vec<u8>, pattern: u8, bits: u32, value: usize) {
    let mask = (1_usize << bits) - 1;
    if value < mask {
        return out.push(pattern | value as u8);
    }
    out.push(pattern | mask as u8);
    let mut rest = value - mask;
    while rest >= 0x80 {
        out.push((rest & 0x7f) as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn rfc_7541_c_1() {
        for (value, bits, expected) in [(10, 5, &[10][..]), (1_337, 5, &[31, 154, 10]), (42, 8, &[42])] {
            let mut out = Vec::new();
            write(&mut out, 0, bits, value);
            assert_eq!(out, expected);
        }
    }

    proptest! {
        #[test]
        fn is_read_as_written(value: u32, bits in 1_u32..=8) {
            let mut out = Vec::new();
            write(&mut out, 0, bits, value as usize);
            out.push(7);
            let mut rest = &out[..];
            prop_assert_eq!(read(&mut rest, bits), Ok(value as usize));
            prop_assert_eq!(rest, &[7]);
        }
    }
}
