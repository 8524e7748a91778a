//! Certificates as apps that move over have them: PKCS#12 files (RFC 7292; `.p12`, `.pfx`) of a certificate, its issuers
//! and its key, under a password.
//!
//! | written by | encryption | seal |
//! |---|---|---|
//! | Keychain, .NET, `openssl pkcs12 -legacy` | RC2-40 or 3DES | HMAC of SHA-1 |
//! | OpenSSL 3, newer .NET | PBES2 with AES | HMAC of SHA-2 |
//!
//! The file decides how much work its password takes: its length is bounded here, the rounds of each derivation by the
//! library.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use p12_keystore::error::Error;
use p12_keystore::{Pkcs12Archive, PrivateKey};
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::identity::secret::Secret;
use crate::model::field::FieldError;

/// The longest file, in bytes: a key and a chain of certificates are some thousands.
const LONGEST: usize = 32 * 1024;

/// Userid (RFC 4519 2.39): Apple writes the app's bundle id there (`push-services.md` 1.2).
const USER_ID: &str = "0.9.2342.19200300.100.1.1";

/// What a file holds.
#[derive(Clone, Debug)]
pub struct Opened {
    /// The certificate and its issuers as PEM, the certificate first.
    pub cert: String,
    /// PKCS#8 as PEM.
    pub key: Secret,
    /// Whose certificate it is: the topic that it may push to.
    pub bundle_id: Option<String>,
}

/// A file with its password, and what a caller knows both by.
#[derive(Clone, Debug)]
pub struct Packed {
    /// In base64.
    pub file: Secret,
    pub password: Secret,
    pub file_field: &'static str,
    pub password_field: &'static str,
}

impl Packed {
    /// Opens it, which may take a second of work and more: whoever answers requests does it on a thread for that.
    ///
    /// # Errors
    /// Names the field and the rule.
    pub fn open(&self) -> Result<Opened, FieldError> {
        open(self.file.expose(), self.password.expose()).map_err(|fault| match fault {
            Fault::File(rule) => FieldError::new(self.file_field, rule),
            Fault::Password(rule) => FieldError::new(self.password_field, rule),
        })
    }
}

/// Why a file does not open: which of the two is wrong, and the rule that it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    File(&'static str),
    Password(&'static str),
}

const FORM: Fault = Fault::File("must be a PKCS#12 file (.p12, .pfx) in base64, whole");
const TOO_LONG: Fault = Fault::File("must be a PKCS#12 file of at most 32 KiB");
const BER: Fault =
    Fault::File("must be PKCS#12 in DER, and is in BER: let `openssl pkcs12` read it and export it again");
const METHOD: Fault = Fault::File("must be encrypted with AES (PBES2), 3DES or RC2-40, and sealed with SHA-1 or SHA-2");
const ROUNDS: Fault = Fault::File("must ask for at most 1,000,000 rounds to derive a key from its password");
const NO_KEY: Fault = Fault::File("must hold the certificate's private key: export both together");
const NO_CERTIFICATE: Fault = Fault::File("must hold the certificate of its private key");
const SEVERAL: Fault = Fault::File("must hold one certificate with its key, not several");
const WRONG: Fault = Fault::Password("must be the file's password");
const LETTERS: Fault = Fault::Password("must have no characters beyond Unicode's basic plane");

fn open(base64: &str, password: &str) -> Result<Opened, Fault> {
    let base64: String = base64.split_ascii_whitespace().collect();
    if base64.len() > LONGEST.div_ceil(3) * 4 {
        return Err(TOO_LONG);
    }
    let file = STANDARD.decode(base64).map_err(|_| FORM)?;
    if file.starts_with(&[0x30, 0x80]) {
        return Err(BER);
    }
    if password.chars().any(|letter| letter > '\u{ffff}') {
        return Err(LETTERS);
    }
    let archive = Pkcs12Archive::from_pkcs12(&file, password).map_err(fault)?;
    let certs: Vec<CertificateDer<'static>> =
        archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
    let mut pairs = Vec::new();
    for bag in &archive.keys {
        pairs.extend(certs.iter().find(|cert| is_of(cert, &bag.key)).map(|cert| (cert, &bag.key)));
    }
    match pairs[..] {
        [(cert, key)] => Ok(Opened {
            cert: chain(cert, &certs).map(|cert| pem("CERTIFICATE", cert)).collect(),
            key: Secret::new(pem("PRIVATE KEY", key.as_der())),
            bundle_id: bundle_id(cert),
        }),
        [] if archive.keys.is_empty() => Err(NO_KEY),
        [] => Err(NO_CERTIFICATE),
        _ => Err(SEVERAL),
    }
}

/// A file without a seal shows a wrong password only by what it decrypts to.
fn fault(error: Error) -> Fault {
    match error {
        Error::MacError(_) | Error::UnpadError | Error::Pkcs5Error(_) => WRONG,
        Error::UnsupportedEncryptionScheme | Error::UnsupportedMacAlgorithm => METHOD,
        Error::InvalidParameters => ROUNDS,
        _ => FORM,
    }
}

fn is_of(cert: &CertificateDer<'static>, key: &PrivateKey) -> bool {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_der().to_vec()));
    CertifiedKey::from_der(vec![cert.clone()], key, &provider::default_provider()).is_ok()
}

/// A certificate and those above it that are not their own issuers, each at most once.
fn chain<'a>(
    first: &'a CertificateDer<'static>,
    certs: &'a [CertificateDer<'static>],
) -> impl Iterator<Item = &'a CertificateDer<'static>> {
    let above = |cert: &&'a CertificateDer<'static>| {
        let issuer = parsed(cert)?.issuer().as_raw().to_vec();
        certs.iter().find(|other| {
            parsed(other).is_some_and(|other| other.subject().as_raw() == issuer && other.issuer().as_raw() != issuer)
        })
    };
    std::iter::successors(Some(first), above).take(certs.len())
}

fn parsed<'a>(cert: &'a CertificateDer<'_>) -> Option<X509Certificate<'a>> {
    X509Certificate::from_der(cert).ok().map(|(_, cert)| cert)
}

fn bundle_id(cert: &CertificateDer<'_>) -> Option<String> {
    let cert = parsed(cert)?;
    let mut names = cert.subject().iter_attributes();
    let own = names.find(|name| name.attr_type().to_id_string() == USER_ID)?;
    own.as_str().ok().map(str::to_owned)
}

/// RFC 7468.
fn pem(label: &str, der: &[u8]) -> String {
    let mut rest = &*STANDARD.encode(der);
    let mut text = format!("-----BEGIN {label}-----\n");
    while !rest.is_empty() {
        let (line, after) = rest.split_at(rest.len().min(64));
        text.push_str(line);
        text.push('\n');
        rest = after;
    }
    text + &format!("-----END {label}-----\n")
}

#[cfg(test)]
mod tests;
