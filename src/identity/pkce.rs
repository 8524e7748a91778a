//! Proof of who began a sign-in (RFC 7636), on both sides: towards apps, whose libraries write the challenge in more than
//! one alphabet (`mobile-apps.md` 4.6), and towards providers. And the random words that both need.

use aws_lc_rs::{digest, rand};
use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, general_purpose};
use subtle::ConstantTimeEq as _;

const HASH: usize = 32;
/// Bytes of a random word: beyond guessing.
const WORD: usize = 32;
/// The longest verifier that is looked at; RFC 7636 has 128, apps send base64 of random bytes.
const LONGEST: usize = 512;

/// SHA-256, as everything here hashes.
pub fn sha256(bytes: &[u8]) -> [u8; HASH] {
    let mut hash = [0; HASH];
    hash.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    hash
}

/// A word of 43 letters, digits, `-` and `_` that nobody can guess; `None` when the machine has no randomness.
pub fn random_word() -> Option<String> {
    let mut bytes = [0; WORD];
    rand::fill(&mut bytes).ok()?;
    Some(URL_SAFE_NO_PAD.encode(bytes))
}

/// The challenge of our own verifier, as providers take it.
pub fn challenge_of(verifier: &str) -> String {
    URL_SAFE_NO_PAD.encode(sha256(verifier.as_bytes()))
}

/// What an app that begins a sign-in shows the hash of, and later itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Challenge([u8; HASH]);

impl Challenge {
    /// Reads SHA-256 of a verifier in standard or URL-safe base64, with padding or without. A space is a `+` that the
    /// caller did not encode.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace(' ', "+");
        let indifferent = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
        let standard = GeneralPurpose::new(&alphabet::STANDARD, indifferent);
        let url_safe = GeneralPurpose::new(&alphabet::URL_SAFE, indifferent);
        let bytes = standard.decode(&text).or_else(|_| url_safe.decode(&text)).ok()?;
        bytes.try_into().ok().map(Self)
    }

    /// Whether the verifier is the one. Some callers do not encode a `+`, which reads as a space then.
    pub fn is_met_by(&self, verifier: &str) -> bool {
        if verifier.is_empty() || verifier.len() > LONGEST {
            return false;
        }
        let is_its = |verifier: &str| bool::from(sha256(verifier.as_bytes()).ct_eq(&self.0));
        is_its(verifier) || is_its(&verifier.replace(' ', "+"))
    }

    /// In URL-safe base64 without padding.
    pub fn text(&self) -> String {
        general_purpose::URL_SAFE_NO_PAD.encode(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE};

    /// RFC 7636 appendix B.
    #[test]
    fn our_challenges_are_those_of_the_standard() {
        let challenge = challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
        assert_eq!(challenge, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        let word = random_word().unwrap();
        assert!(word.len() == 43 && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)));
        assert_ne!(word, random_word().unwrap());
    }

    #[test]
    fn every_way_of_writing_a_challenge_is_read() {
        // One whose hash has both letters in which the alphabets differ.
        let verifier = (0..).map(|n| format!("v{n}+/=")).find(|text| {
            let standard = STANDARD.encode(sha256(text.as_bytes()));
            standard.contains('+') && standard.contains('/')
        });
        let verifier = verifier.unwrap();
        let hash = sha256(verifier.as_bytes());
        let standard = STANDARD.encode(hash);
        for text in [
            standard.clone(),
            standard.replace('+', " "),
            STANDARD_NO_PAD.encode(hash),
            URL_SAFE.encode(hash),
            URL_SAFE_NO_PAD.encode(hash),
        ] {
            let challenge = Challenge::parse(&text).unwrap_or_else(|| panic!("{text}"));
            assert!(challenge.is_met_by(&verifier) && challenge.is_met_by(&verifier.replace('+', " ")), "{text}");
            assert!(!challenge.is_met_by("other") && !challenge.is_met_by(&text));
            assert_eq!(Challenge::parse(&challenge.text()), Some(challenge));
        }
    }

    #[test]
    fn what_is_no_hash_is_no_challenge() {
        for text in ["", "abc", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-c", "%%", &URL_SAFE_NO_PAD.encode([0; 33])] {
            assert_eq!(Challenge::parse(text), None, "{text}");
        }
        let challenge = Challenge(sha256(b""));
        assert!(!challenge.is_met_by(""), "an empty verifier is none");
        assert!(Challenge(sha256(b"a word")).is_met_by("a word"));
        assert!(!Challenge(sha256(&[b'a'; 600])).is_met_by(&"a".repeat(600)));
    }
}
