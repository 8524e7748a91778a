//! Numbers in as few bytes as they need (LEB128: seven bits a byte, the lowest first).

/// Appends `value`: 1 byte below 128, at most 10.
pub(super) fn put(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

/// Takes a number off the front; `None` when the bytes end before it or it needs more than 64 bits.
pub(super) fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for (at, &byte) in bytes.iter().enumerate().take(10) {
        let part = u64::from(byte & 0x7f);
        if at == 9 && part > 1 {
            return None;
        }
        value |= part << (7 * at);
        if byte < 0x80 {
            *bytes = &bytes[at + 1..];
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_come_back_and_broken_ones_do_not() {
        for value in [0, 1, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX] {
            let mut bytes = Vec::new();
            super::put(&mut bytes, value);
            let whole = bytes.clone();
            bytes.push(7);
            let mut rest = &bytes[..];
            assert_eq!(super::take(&mut rest), Some(value));
            assert_eq!(rest, [7]);
            assert_eq!(super::take(&mut &whole[..whole.len() - 1]), None, "{value} cut short");
        }
        assert_eq!(super::take(&mut &[0xff; 9].iter().copied().chain([2]).collect::<Vec<_>>()[..]), None);
    }
}
