//! Browsers: subscriptions with real keys, and what only they can read (RFC 8291). A browser's keys follow from its token,
//! so that millions need no memory: whoever knows the token of a simulated one can read its messages.
use std::fmt;

use aws_lc_rs::{
    aead,
    agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey},
    digest,
    hkdf::{HKDF_SHA256, KeyType, Salt},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

/// Of an uncompressed point of P-256.
const POINT: usize = 65;

/// One browser's side of a subscription.
pub struct Browser {
    private: PrivateKey,
    public: [u8; POINT],
    secret: [u8; 16],
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Browser(***)")
    }
}

impl Browser {
    /// The browser whose endpoint names this token; `None` when its key cannot be made, which happens to none in 2^31.
    pub fn of(token: &[u8]) -> Option<Self> {
        let (private, secret) = Self::keys_of(token);
        Self::with_keys(&private, secret)
    }

    /// Its private key, and the secret of its subscription.
    pub fn keys_of(token: &[u8]) -> ([u8; 32], [u8; 16]) {
        let mut private = hash(b"key", token);
        // Below the order of the curve, so that it is a private key.
        private[0] &= 0x7f;
        let (mut secret, drawn) = ([0; 16], hash(b"secret", token));
        secret.copy_from_slice(&drawn[..16]);
        (private, secret)
    }

    /// The browser with these keys.
    pub fn with_keys(private: &[u8; 32], secret: [u8; 16]) -> Option<Self> {
        let private = PrivateKey::from_private_key(&ECDH_P256, private).ok()?;
        let public = private.compute_public_key().ok()?.as_ref().try_into().ok()?;
        Some(Self { private, public, secret })
    }

    /// `p256dh` of its subscription.
    pub fn p256dh(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.public)
    }

    /// `auth` of its subscription.
    pub fn auth(&self) -> String {
        URL_SAFE_NO_PAD.encode(self.secret)
    }

    /// Reads a message; `None` when it was not written for this browser, or not in one record of `aes128gcm`.
    pub fn read(&self, body: &[u8]) -> Option<Vec<u8>> {
        let (salt, rest) = body.split_first_chunk::<16>()?;
        let (size, rest) = rest.split_first_chunk::<4>()?;
        let (length, rest) = rest.split_first()?;
        let (sender, record) = rest.split_at_checked(usize::from(*length))?;
        // RFC 8291 section 4: larger than the record with its mark and tag.
        let fits = u32::from_be_bytes(*size) as usize > record.len();
        if sender.len() != POINT || !fits {
            return None;
        }
        let mut keying = [0; 32];
        agreement::agree(&self.private, UnparsedPublicKey::new(&ECDH_P256, sender), (), |shared| {
            let info = [b"WebPush: info\0".as_slice(), &self.public, sender];
            let extracted = Salt::new(HKDF_SHA256, &self.secret).extract(shared);
            extracted.expand(&info, Length(32)).and_then(|okm| okm.fill(&mut keying)).map_err(drop)
        })
        .ok()?;
        let extracted = Salt::new(HKDF_SHA256, salt).extract(&keying);
        let mut key = [0; 16];
        extracted.expand(&[b"Content-Encoding: aes128gcm\0"], Length(16)).ok()?.fill(&mut key).ok()?;
        let mut nonce = [0; 12];
        extracted.expand(&[b"Content-Encoding: nonce\0"], Length(12)).ok()?.fill(&mut nonce).ok()?;
        let key = aead::LessSafeKey::new(aead::UnboundKey::new(&aead::AES_128_GCM, &key).ok()?);
        let mut record = record.to_vec();
        let nonce = aead::Nonce::assume_unique_for_key(nonce);
        let clear = key.open_in_place(nonce, aead::Aad::empty(), &mut record).ok()?;
        // Padding is nought after the mark of the last record.
        let mark = clear.iter().rposition(|byte| *byte != 0).filter(|at| clear[*at] == 2)?;
        Some(clear[..mark].to_vec())
    }
}

fn hash(what: &[u8], token: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(b"simulated browser: ");
    context.update(what);
    context.update(token);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(context.finish().as_ref());
    bytes
}

struct Length(usize);

impl KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes<const LENGTH: usize>(text: &str) -> [u8; LENGTH] {
        URL_SAFE_NO_PAD.decode(text).unwrap().try_into().unwrap()
    }

    /// RFC 8291 section 5.
    #[test]
    fn the_message_of_the_rfc_is_read_and_a_changed_one_is_not() {
        let private = bytes("q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94");
        let browser = Browser::with_keys(&private, bytes("BTBZMqHH6r4Tts7J_aSIgg")).unwrap();
        let message = concat!(
            "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIg",
            "Dll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPTpK4Mqgkf1CXztLVB",
            "St2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN",
        );
        let message = URL_SAFE_NO_PAD.decode(message).unwrap();
        assert_eq!(browser.read(&message).unwrap(), b"When I grow up, I want to be a watermelon");
        for at in [0, 20, 40, 86, message.len() - 1] {
            let mut changed = message.clone();
            changed[at] ^= 1;
            assert_eq!(browser.read(&changed), None, "{at}");
        }
        assert_eq!(browser.read(&message[..message.len() - 1]), None);
        assert_eq!(Browser::of(b"other").unwrap().read(&message), None);
    }
}
