//! Devices that are computed, not kept: everything about device n follows from n and a seed.
//!
//! The token can be computed backwards, so that what a simulated gateway received names its device without a map; ten
//! million devices cost nothing to know. Each device has an installation of platform `apns` with eight tags (see
//! [`Traits`]) and shares its user with its neighbour.
mod traits;

use std::io::Write;

pub use traits::{CITIES, LANGUAGES, TEAMS, Traits};

/// Bytes of a token.
pub const TOKEN_LENGTH: usize = 32;

/// The devices of one seed, numbered from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Devices {
    token_key: u64,
    id_key: u64,
    trait_key: u64,
}

impl Devices {
    pub fn new(seed: u64) -> Self {
        let root = mix(seed);
        Self { token_key: mix(root ^ 1), id_key: mix(root ^ 2), trait_key: mix(root ^ 3) }
    }

    /// The APNs token of device `n`. Its first eight bytes are `n` under a permutation, the rest follows from them.
    pub fn token(&self, n: u64) -> [u8; TOKEN_LENGTH] {
        let first = mix(n ^ self.token_key);
        let further = |turn| mix(first ^ self.token_key.rotate_left(turn));
        let mut token = [0; TOKEN_LENGTH];
        for (bytes, word) in token.chunks_exact_mut(8).zip([first, further(16), further(32), further(48)]) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        token
    }

    /// The device that has this token; `None` when no device of this seed can have it.
    pub fn of_token(&self, token: &[u8]) -> Option<u64> {
        let first = u64::from_be_bytes(token.first_chunk().copied()?);
        let n = unmix(first) ^ self.token_key;
        (self.token(n) == *token).then_some(n)
    }

    /// The installation's id: random to look at, as apps' own are, so that look-ups by it find no order to profit from.
    pub fn id(&self, n: u64) -> uuid::Uuid {
        let high = mix(n ^ self.id_key);
        uuid::Uuid::from_u64_pair(high, mix(high ^ self.id_key))
    }

    /// Of every two neighbours the same.
    pub fn user(&self, n: u64) -> String {
        format!("user-{}", n / 2)
    }

    pub fn traits(&self, n: u64) -> Traits {
        Traits::draw(mix(n ^ self.trait_key))
    }

    /// Appends the installation as one JSON document, without a line end.
    pub fn write_document(&self, n: u64, out: &mut Vec<u8>) {
        let traits = self.traits(n);
        let mut token = [0; 2 * TOKEN_LENGTH];
        // The lengths fit by construction, and writing into memory cannot fail.
        let _ = hex::encode_to_slice(self.token(n), &mut token);
        drop(write!(out, r#"{{"installationId":"{}","platform":"apns","pushChannel":""#, self.id(n)));
        out.extend_from_slice(&token);
        drop(write!(out, r#"","userId":"user-{}","tags":["u:{n}""#, n / 2));
        for tag in traits.shared_tags() {
            drop(write!(out, r#","{tag}""#));
        }
        out.extend_from_slice(b"]}");
    }
}

/// The finaliser of splitmix64: a permutation of 64-bit numbers whose results look drawn.
pub(crate) const fn mix(number: u64) -> u64 {
    let mut bits = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ bits >> 31
}

/// The inverse of [`mix`]: the inverses of its two odd factors modulo 2^64, and of its shifts.
const fn unmix(mixed: u64) -> u64 {
    let mut bits = mixed ^ mixed >> 31 ^ mixed >> 62;
    bits = bits.wrapping_mul(0x3196_42b2_d24d_8ec3);
    bits = bits ^ bits >> 27 ^ bits >> 54;
    bits = bits.wrapping_mul(0x96de_1b17_3f11_9089);
    bits = bits ^ bits >> 30 ^ bits >> 60;
    bits.wrapping_sub(0x9e37_79b9_7f4a_7c15)
}

#[cfg(test)]
mod tests {
    use fanfare::model::installation::{Installation, InstallationLimits};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn mixing_is_undone(number: u64) {
            prop_assert_eq!(unmix(mix(number)), number);
        }

        #[test]
        fn a_token_names_its_device_and_no_other_seeds(seed: u64, n: u64) {
            let devices = Devices::new(seed);
            prop_assert_eq!(devices.of_token(&devices.token(n)), Some(n));
            prop_assert_eq!(Devices::new(seed ^ 1).of_token(&devices.token(n)), None);
        }
    }

    #[test]
    fn what_is_no_token_is_no_device() {
        let devices = Devices::new(1);
        let token = devices.token(5);
        assert_eq!(devices.of_token(&token[..31]), None);
        assert_eq!(devices.of_token(&[&token[..], &[0]].concat()), None);
        assert_eq!(devices.of_token(&[]), None);
    }

    #[test]
    fn documents_are_installations_with_eight_tags() {
        let devices = Devices::new(1);
        for n in 0..200 {
            let mut json = Vec::new();
            devices.write_document(n, &mut json);
            let read = Installation::parse(&json, None, &InstallationLimits::default()).unwrap();
            assert_eq!(read.id.as_str(), devices.id(n).to_string());
            assert_eq!(read.channel.bytes(), devices.token(n));
            assert_eq!(read.user.as_ref().map(|user| user.as_str()), Some(devices.user(n).as_str()));
            let mut tags: Vec<_> = read.tags.iter().map(|tag| tag.as_str().to_owned()).collect();
            assert_eq!(tags.remove(0), format!("u:{n}"));
            assert_eq!(tags, devices.traits(n).shared_tags().map(|tag| tag.to_string()));
            assert_eq!(tags.len(), 7);
        }
    }
}
