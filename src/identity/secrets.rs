//! Credentials at rest: what the store keeps for a hub is sealed, and only this installation's key files open it.
//!
//! A sealed value is
//!
//! ```text
//! 1 byte   format, 1
//! 8 bytes  key id: the first bytes of SHA-256 over a fixed label and the key
//! 12 bytes nonce, random
//! rest     AES-256-GCM ciphertext with its tag of 16 bytes
//! ```
//!
//! and is bound, as associated data, to its format and key id and to the hub and field that it belongs to: a row copied
//! to another hub, or a client secret put where a signing key belongs, does not open.
//!
//! Rotation: the new key goes to `secrets.key_file`, the old file's path to `secrets.previous_key_files`. Everything is
//! sealed with the first key and opened with whichever key its header names; [`Vault::is_current`] tells which rows are
//! still to be sealed afresh before the old file may go.

use super::{
    key_file::{self, KeyFileError},
    secret::Secret,
};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey},
    digest, rand,
};
use std::{fmt, path::Path};

const FORMAT: u8 = 1;
const KEY_LEN: usize = 32;
const ID_LEN: usize = 8;
const HEADER_LEN: usize = 1 + ID_LEN + NONCE_LEN;

/// The keys cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error(transparent)]
    File(#[from] KeyFileError),
    #[error("a secrets key must be 64 hexadecimal digits")]
    Malformed,
    #[error("the random number generator gives nothing")]
    NoRandomness,
}

/// A value cannot be sealed or opened. None of these says anything about its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    #[error("sealed value is cut short or of an unknown format")]
    Format,
    #[error("sealed with a key that is neither secrets.key_file nor in secrets.previous_key_files")]
    UnknownKey,
    #[error("sealed value was changed, or belongs to another hub or field")]
    Refused,
}

/// Seals and opens credentials. The first key seals; every key opens.
pub struct Vault {
    current: Key,
    previous: Vec<Key>,
}

struct Key {
    id: [u8; ID_LEN],
    cipher: RandomizedNonceKey,
}

impl Vault {
    /// Opens the key file, making it when there is none, and the previous ones, which must exist.
    pub fn open(key_file: &Path, previous: &[impl AsRef<Path>]) -> Result<Self, VaultError> {
        let current = key_file::open_or_make(key_file, generate)?.text;
        let previous =
            previous.iter().map(|p| Ok(key_file::read(p.as_ref())?)).collect::<Result<Vec<_>, VaultError>>()?;
        Self::from_texts(&current, &previous)
    }

    /// From keys given as text, 64 hexadecimal digits each.
    pub fn from_texts(current: &Secret, previous: &[Secret]) -> Result<Self, VaultError> {
        Ok(Self { current: Key::parse(current)?, previous: previous.iter().map(Key::parse).collect::<Result<_, _>>()? })
    }

    /// Seals `plaintext` for this hub and field. Hub and field are compared byte for byte when it is opened, so they are
    /// names that never change, not names as a user typed them.
    pub fn seal(&self, hub: &str, field: &str, plaintext: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut body = plaintext.to_vec();
        let nonce = self
            .current
            .cipher
            .seal_in_place_append_tag(Aad::from(associated(&self.current.id, hub, field)), &mut body)
            .map_err(|_| SealError::Refused)?;
        let mut sealed = Vec::with_capacity(HEADER_LEN + body.len());
        sealed.push(FORMAT);
        sealed.extend_from_slice(&self.current.id);
        sealed.extend_from_slice(nonce.as_ref());
        sealed.extend_from_slice(&body);
        Ok(sealed)
    }

    /// Opens what [`Vault::seal`] made for the same hub and field.
    pub fn open_sealed(&self, hub: &str, field: &str, sealed: &[u8]) -> Result<Vec<u8>, SealError> {
        let (id, rest) = key_id(sealed)?;
        let (nonce, body) = rest.split_at_checked(NONCE_LEN).ok_or(SealError::Format)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Format)?;
        let key = self.keys().find(|key| key.id == id).ok_or(SealError::UnknownKey)?;
        let mut body = body.to_vec();
        let length = key
            .cipher
            .open_in_place(nonce, Aad::from(associated(&key.id, hub, field)), &mut body)
            .map_err(|_| SealError::Refused)?
            .len();
        body.truncate(length);
        Ok(body)
    }

    /// Whether this value was sealed with the current key, so that a previous key file is not needed for it.
    pub fn is_current(&self, sealed: &[u8]) -> Result<bool, SealError> {
        Ok(key_id(sealed)?.0 == self.current.id)
    }

    fn keys(&self) -> impl Iterator<Item = &Key> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("keys", &self.keys().map(|key| hex::encode(key.id)).collect::<Vec<_>>()).finish()
    }
}

impl Key {
    fn parse(text: &Secret) -> Result<Self, VaultError> {
        let mut bytes = [0; KEY_LEN];
        hex::decode_to_slice(text.expose().trim(), &mut bytes).map_err(|_| VaultError::Malformed)?;
        let mut named = digest::Context::new(&digest::SHA256);
        named.update(b"fanfare secrets key id\0");
        named.update(&bytes);
        let mut id = [0; ID_LEN];
        id.copy_from_slice(&named.finish().as_ref()[..ID_LEN]);
        let cipher = RandomizedNonceKey::new(&AES_256_GCM, &bytes).map_err(|_| VaultError::Malformed)?;
        Ok(Self { id, cipher })
    }
}

/// Whether `text` would do as a key.
pub fn check_key(text: &Secret) -> Result<(), VaultError> {
    Key::parse(text).map(|_| ())
}

fn generate() -> Result<Secret, VaultError> {
    let mut bytes = [0; KEY_LEN];
    rand::fill(&mut bytes).map_err(|_| VaultError::NoRandomness)?;
    Ok(Secret::new(hex::encode(bytes)))
}

fn key_id(sealed: &[u8]) -> Result<(&[u8], &[u8]), SealError> {
    match sealed.split_first() {
        Some((&FORMAT, rest)) => rest.split_at_checked(ID_LEN).ok_or(SealError::Format),
        _ => Err(SealError::Format),
    }
}

/// Every part stands behind its length, so that no two pairs of hub and field write the same bytes.
fn associated(id: &[u8; ID_LEN], hub: &str, field: &str) -> Vec<u8> {
    let mut bytes = vec![FORMAT];
    for part in [id.as_slice(), hub.as_bytes(), field.as_bytes()] {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn vault(key: u8, previous: &[u8]) -> Vault {
        let text = |byte: &u8| Secret::new(hex::encode([*byte; KEY_LEN]));
        Vault::from_texts(&text(&key), &previous.iter().map(text).collect::<Vec<_>>()).unwrap()
    }

    #[test]
    fn opens_only_for_its_hub_and_field() {
        let vault = vault(1, &[]);
        let sealed = vault.seal("demo", "wns.client_secret", b"s3cret").unwrap();
        assert_eq!(vault.open_sealed("demo", "wns.client_secret", &sealed).unwrap(), b"s3cret");
        for (hub, field) in
            [("other", "wns.client_secret"), ("demo", "apns.key"), ("demow", "ns.client_secret"), ("", "")]
        {
            assert_eq!(vault.open_sealed(hub, field, &sealed), Err(SealError::Refused), "{hub} {field}");
        }
    }

    #[test]
    fn rotation_opens_old_values_and_seals_with_the_new_key() {
        let old = vault(1, &[]).seal("demo", "f", b"x").unwrap();
        let rotated = vault(2, &[1]);
        assert_eq!(rotated.open_sealed("demo", "f", &old).unwrap(), b"x");
        assert!(!rotated.is_current(&old).unwrap());
        let fresh = rotated.seal("demo", "f", b"x").unwrap();
        assert!(rotated.is_current(&fresh).unwrap());
        assert_eq!(vault(2, &[]).open_sealed("demo", "f", &fresh).unwrap(), b"x");
        assert_eq!(vault(2, &[]).open_sealed("demo", "f", &old), Err(SealError::UnknownKey));
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let vault = vault(1, &[2]);
        let sealed = vault.seal("demo", "f", b"plaintext").unwrap();
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert!(vault.open_sealed("demo", "f", &bent).is_err(), "byte {at}");
        }
        for length in 0..sealed.len() {
            assert!(vault.open_sealed("demo", "f", &sealed[..length]).is_err(), "length {length}");
        }
    }

    #[test]
    fn equal_values_seal_differently() {
        let vault = vault(1, &[]);
        assert_ne!(vault.seal("demo", "f", b"x").unwrap(), vault.seal("demo", "f", b"x").unwrap());
    }

    #[test]
    fn makes_its_key_file_and_finds_it_again() {
        let dir = tempfile::tempdir().unwrap();
        let none: &[&Path] = &[];
        let (path, next) = (dir.path().join("data/secret.key"), dir.path().join("next.key"));
        let sealed = Vault::open(&path, none).unwrap().seal("demo", "f", b"x").unwrap();
        assert_eq!(Vault::open(&path, none).unwrap().open_sealed("demo", "f", &sealed).unwrap(), b"x");
        assert_eq!(Vault::open(&next, &[&path]).unwrap().open_sealed("demo", "f", &sealed).unwrap(), b"x");
        let missing = Vault::open(&path, &[dir.path().join("gone.key")]).unwrap_err().to_string();
        assert!(missing.contains("gone.key"), "{missing}");
    }

    #[test]
    fn a_malformed_key_file_is_refused_and_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret.key");
        for text in ["", "abc", &"zz".repeat(32), &"00".repeat(31), &"00".repeat(33)] {
            std::fs::write(&path, text).unwrap();
            let none: &[&Path] = &[];
            assert!(matches!(Vault::open(&path, none), Err(VaultError::Malformed)), "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sealed_opens(hub in ".{0,20}", field in ".{0,20}", text in proptest::collection::vec(any::<u8>(), 0..200)) {
            let vault = vault(7, &[]);
            let sealed = vault.seal(&hub, &field, &text).unwrap();
            prop_assert_eq!(vault.open_sealed(&hub, &field, &sealed).unwrap(), text);
        }

        #[test]
        fn arbitrary_bytes_never_open(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(vault(7, &[]).open_sealed("demo", "f", &bytes).is_err());
        }
    }
}
