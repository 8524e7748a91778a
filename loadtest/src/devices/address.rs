//! The addresses of generated devices: what each platform's push service knows a device by, computed from the device's
//! number and back.
//!
//! | platform | address | the number is in |
//! |---|---|---|
//! | APNs | 32 bytes | the first eight |
//! | FCM | a registration token in its present form, 157 characters (push-services.md 2.6) | the first twelve characters |
//! | WNS | a channel URI of the simulated service, whose token has 32 bytes in hex | the token's first eight bytes |
//! | Web Push | a subscription at the simulated service: an endpoint with such a token, and the keys of its browser | as with WNS |
use std::io::Write;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

use super::{mix, unmix};
use crate::gateways::web_push::Browser;

/// Bytes of an APNs token, and of the one in a WNS channel or an endpoint of Web Push.
pub const TOKEN_LENGTH: usize = 32;
/// Characters of an FCM registration token.
pub const REGISTRATION_LENGTH: usize = FID + MARK.len() + 4 * TAIL / 3;

/// Characters of a Firebase installation id.
const FID: usize = 22;
/// Bytes that an installation id is written from; half of the last one is cut off.
const FID_BYTES: usize = 17;
/// Between the installation id and the rest.
const MARK: &[u8; 7] = b":APA91b";
/// Bytes of the rest.
const TAIL: usize = 96;
/// Characters that hold the number: nine bytes, the installation id's mark and the number.
const NUMBERED: usize = 12;

/// A permutation of the numbers, and words that follow from the permuted number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Addresses {
    pub(super) key: u64,
}

impl Addresses {
    fn words(self, n: u64) -> impl Iterator<Item = u64> {
        let first = mix(n ^ self.key);
        let further = move |turn: u32| mix(first ^ self.key.rotate_left(16 * (turn % 4)) ^ u64::from(turn / 4));
        std::iter::once(first).chain((1..).map(further))
    }

    fn number(self, first: u64) -> u64 {
        unmix(first) ^ self.key
    }

    pub(super) fn token(self, n: u64) -> [u8; TOKEN_LENGTH] {
        let mut token = [0; TOKEN_LENGTH];
        fill(&mut token, self.words(n));
        token
    }

    pub(super) fn of_token(self, token: &[u8]) -> Option<u64> {
        let n = self.number(u64::from_be_bytes(*token.first_chunk()?));
        (self.token(n) == *token).then_some(n)
    }

    pub(super) fn registration(self, n: u64) -> [u8; REGISTRATION_LENGTH] {
        let mut bytes = [0; FID_BYTES + TAIL];
        fill(&mut bytes[1..], self.words(n));
        // The top half of the first byte says that it is an installation id; the rest of it is drawn as well.
        bytes[0] = 0x70 | bytes[FID_BYTES] & 0x0f;
        let (fid, tail) = bytes.split_at(FID_BYTES);
        let mut written = [0; FID + 1];
        let mut text = [0; REGISTRATION_LENGTH];
        // The lengths are those of the encoding, so both fit.
        let _ = URL_SAFE_NO_PAD.encode_slice(fid, &mut written);
        let (head, rest) = text.split_at_mut(FID);
        head.copy_from_slice(&written[..FID]);
        let (mark, rest) = rest.split_at_mut(MARK.len());
        mark.copy_from_slice(MARK);
        let _ = URL_SAFE_NO_PAD.encode_slice(tail, rest);
        text
    }

    pub(super) fn of_registration(self, text: &[u8]) -> Option<u64> {
        let mut bytes = [0; NUMBERED / 4 * 3];
        URL_SAFE_NO_PAD.decode_slice(text.get(..NUMBERED)?, &mut bytes).ok()?;
        let n = self.number(u64::from_be_bytes(*bytes[1..].first_chunk()?));
        (self.registration(n) == *text).then_some(n)
    }
}

/// Fills the bytes with the words, as far as they reach.
fn fill(bytes: &mut [u8], words: impl Iterator<Item = u64>) {
    for (bytes, word) in bytes.chunks_mut(8).zip(words) {
        bytes.copy_from_slice(&word.to_be_bytes()[..bytes.len()]);
    }
}

/// Appends the digits of a token.
pub(super) fn write_hex(token: &[u8; TOKEN_LENGTH], out: &mut Vec<u8>) {
    let mut digits = [0; 2 * TOKEN_LENGTH];
    // The lengths fit by construction.
    let _ = hex::encode_to_slice(token, &mut digits);
    out.extend_from_slice(&digits);
}

/// Appends the channel URI of a token at the simulated service on that port.
pub(super) fn write_channel(port: u16, token: &[u8; TOKEN_LENGTH], out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    drop(write!(out, "https://localhost:{port}/?token="));
    write_hex(token, out);
}

/// Appends the subscription of a token at the simulated service on that port.
pub(super) fn write_subscription(port: u16, token: &[u8; TOKEN_LENGTH], out: &mut Vec<u8>) {
    // Writing into memory cannot fail.
    drop(write!(out, r#"{{"endpoint":"https://localhost:{port}/wp/"#));
    write_hex(token, out);
    let keys = Browser::of(token).map(|browser| (browser.p256dh(), browser.auth()));
    let (p256dh, auth) = keys.unwrap_or_default();
    drop(write!(out, r#"","p256dh":"{p256dh}","auth":"{auth}"}}"#));
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_address_names_its_number_and_no_other_keys(key: u64, n: u64) {
            let (own, other) = (Addresses { key }, Addresses { key: key ^ 1 });
            prop_assert_eq!(own.of_token(&own.token(n)), Some(n));
            prop_assert_eq!(other.of_token(&own.token(n)), None);
            prop_assert_eq!(own.of_registration(&own.registration(n)), Some(n));
            prop_assert_eq!(other.of_registration(&own.registration(n)), None);
        }

        #[test]
        fn a_registration_token_has_the_form_of_a_real_one(key: u64, n: u64) {
            let text = Addresses { key }.registration(n);
            let (fid, rest) = text.split_at(FID);
            prop_assert!(matches!(fid[0], b'c'..=b'f'));
            prop_assert!(rest.starts_with(b":APA91b"));
            prop_assert!((140..=170).contains(&text.len()));
            let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
            prop_assert!(fid.iter().all(letter) && rest[1..].iter().all(letter));
        }

        #[test]
        fn a_changed_registration_token_names_nobody(n: u64, at in 0..REGISTRATION_LENGTH, by in 1u8..=255) {
            let addresses = Addresses { key: 7 };
            let mut text = addresses.registration(n);
            text[at] ^= by;
            prop_assert_eq!(addresses.of_registration(&text), None);
        }
    }

    #[test]
    fn what_is_no_address_names_nobody() {
        let addresses = Addresses { key: 1 };
        let (token, text) = (addresses.token(5), addresses.registration(5));
        for wrong in [&token[..31], &[&token[..], &[0]].concat(), &[], &text] {
            assert_eq!(addresses.of_token(wrong), None);
        }
        for wrong in [&text[..156], &[&text[..], b"a"].concat(), b"", &text[..11], &token] {
            assert_eq!(addresses.of_registration(wrong), None);
        }
    }

    /// Published figures were measured with these; a change would make later ones incomparable.
    #[test]
    fn apns_tokens_stay_what_they_were() {
        let addresses = Addresses { key: mix(mix(1) ^ 1) };
        let first = mix(addresses.key);
        let further = |turn| mix(first ^ addresses.key.rotate_left(turn));
        let words = [first, further(16), further(32), further(48)];
        assert_eq!(addresses.token(0)[..], words.map(u64::to_be_bytes).concat());
    }
}
