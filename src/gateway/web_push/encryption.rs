//! Message encryption for Web Push (RFC 8291 over RFC 8188, content coding `aes128gcm`): one record, a fresh key pair for
//! each message, everything in one buffer of the right size.

use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hkdf::{HKDF_SHA256, KeyType, Salt};
use aws_lc_rs::{aead, rand};

use crate::model::subscription::{POINT, Subscription};

/// What every push service takes (RFC 8291 section 4), as the body of a request.
const LONGEST_BODY: usize = 4_096;
/// Salt, record size, length of the key's name, and the key.
const HEADER: usize = SALT + 4 + 1 + POINT;
const SALT: usize = 16;
const TAG: usize = 16;
/// Bytes that encryption adds: the header, the mark after the last byte, and the tag.
pub const OVERHEAD: usize = HEADER + 1 + TAG;
/// Longest message in the clear, in bytes.
pub const LONGEST: usize = LONGEST_BODY - OVERHEAD;
/// Larger than the one record of any message, as RFC 8291 section 4 asks.
const RECORD: u32 = 4_096;
/// Ends the last record (RFC 8188 section 2).
const LAST: u8 = 2;

/// Encrypts a message for a subscription.
///
/// # Errors
/// When the subscription's key is none, or the system gives no random bytes.
pub fn seal(message: &[u8], subscription: &Subscription<'_>) -> Result<Vec<u8>, Unspecified> {
    let mut salt = [0; SALT];
    rand::fill(&mut salt)?;
    seal_with(message, subscription, &PrivateKey::generate(&ECDH_P256)?, salt)
}

fn seal_with(
    message: &[u8],
    subscription: &Subscription<'_>,
    own: &PrivateKey,
    salt: [u8; SALT],
) -> Result<Vec<u8>, Unspecified> {
    let public = own.compute_public_key()?;
    let theirs = UnparsedPublicKey::new(&ECDH_P256, &subscription.public[..]);
    let mut keying = [0; 32];
    agreement::agree(own, theirs, Unspecified, |shared| {
        let extracted = Salt::new(HKDF_SHA256, &subscription.secret).extract(shared);
        let info = [b"WebPush: info\0".as_slice(), &subscription.public, public.as_ref()];
        extracted.expand(&info, Bytes(keying.len()))?.fill(&mut keying)
    })?;
    let extracted = Salt::new(HKDF_SHA256, &salt).extract(&keying);
    let key = extracted.expand(&[b"Content-Encoding: aes128gcm\0"], &aead::AES_128_GCM)?;
    let key = aead::LessSafeKey::new(aead::UnboundKey::from(key));
    let mut nonce = [0; aead::NONCE_LEN];
    extracted.expand(&[b"Content-Encoding: nonce\0"], Bytes(nonce.len()))?.fill(&mut nonce)?;

    let mut body = Vec::with_capacity(OVERHEAD + message.len());
    body.extend_from_slice(&salt);
    body.extend_from_slice(&RECORD.to_be_bytes());
    body.push(u8::try_from(POINT).unwrap_or(u8::MAX));
    body.extend_from_slice(public.as_ref());
    body.extend_from_slice(message);
    body.push(LAST);
    let nonce = aead::Nonce::assume_unique_for_key(nonce);
    let tag = key.seal_in_place_separate_tag(nonce, aead::Aad::empty(), &mut body[HEADER..])?;
    body.extend_from_slice(tag.as_ref());
    Ok(body)
}

/// So many bytes of keying material.
struct Bytes(usize);

impl KeyType for Bytes {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;

    use super::*;

    fn bytes<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    /// RFC 8291 section 5 and appendix A.
    #[test]
    fn the_example_of_the_rfc_comes_out_byte_for_byte() {
        let subscription = Subscription {
            endpoint: "https://push.example.net/push/JzLQ3raZJfFBR0aqvOMsLrt54w4rJUsV".into(),
            public: bytes("BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"),
            secret: bytes("BTBZMqHH6r4Tts7J_aSIgg"),
        };
        let own: [u8; 32] = bytes("yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw");
        let own = PrivateKey::from_private_key(&ECDH_P256, &own).unwrap();
        let salt = bytes("DGv6ra1nlYgDCS1FRnbzlw");
        let sealed = seal_with(b"When I grow up, I want to be a watermelon", &subscription, &own, salt).unwrap();
        let expected = concat!(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIg",
            "Dll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVB",
            "St2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
        );
        assert_eq!(URL_SAFE_NO_PAD.encode(sealed), expected);
    }

    #[test]
    fn the_longest_message_fills_what_services_take() {
        assert_eq!((OVERHEAD, LONGEST), (103, 3_993));
        let own = PrivateKey::generate(&ECDH_P256).unwrap().compute_public_key().unwrap();
        let public = own.as_ref().try_into().unwrap();
        let subscription = Subscription { endpoint: "https://h".into(), public, secret: [7; 16] };
        assert_eq!(seal(&[b'x'; LONGEST], &subscription).unwrap().len(), 4_096);
        assert_eq!(seal(b"", &subscription).unwrap().len(), OVERHEAD);
        assert!(seal(b"", &Subscription { public: [4; POINT], ..subscription }).is_err());
    }
}
