//! The files are of OpenSSL 3.0, for a key of RSA with 2,048 bits whose certificate is `UID=com.example.app`:
//!
//! | file | `openssl pkcs12 -export` |
//! |---|---|
//! | `legacy` | `-legacy`: RC2-40, 3DES, SHA-1; with its issuer and a name, as Keychain writes it |
//! | `once` | `-legacy -nomaciter -noiter`: one round, which is not written |
//! | `dotnet` | `-certpbe PBE-SHA1-3DES -keypbe PBE-SHA1-3DES -macalg sha1` |
//! | `modern` | AES-256 and SHA-256; with its issuer |
//! | `unnamed` | a P-256 key, no bundle id, an empty password |
//! | `unsealed` | `-nomac` |
//! | `keyless`, `certless` | `-nokeys`, `-nocerts` |
//! | `slow` | `-iter 1000001` |
//! | `rc4` | `-certpbe PBE-SHA1-RC4-128 -keypbe PBE-SHA1-RC4-128` |

use proptest::prelude::*;
use rustls::pki_types::pem::PemObject;

use super::*;
use crate::gateway::apns::ApnsAuth;

const LEGACY: &[u8] = include_bytes!("files/legacy.p12");
const ONCE: &[u8] = include_bytes!("files/once.p12");
const DOTNET: &[u8] = include_bytes!("files/dotnet.p12");
const MODERN: &[u8] = include_bytes!("files/modern.p12");
const UNNAMED: &[u8] = include_bytes!("files/unnamed.p12");
const UNSEALED: &[u8] = include_bytes!("files/unsealed.p12");
const KEYLESS: &[u8] = include_bytes!("files/keyless.p12");
const CERTLESS: &[u8] = include_bytes!("files/certless.p12");
const SLOW: &[u8] = include_bytes!("files/slow.p12");
const RC4: &[u8] = include_bytes!("files/rc4.p12");

fn open_file(file: &[u8], password: &str) -> Result<Opened, Fault> {
    open(&STANDARD.encode(file), password)
}

#[test]
fn files_of_every_age_open() {
    let first = open_file(MODERN, "hush").unwrap();
    for (file, password, bundle_id) in [
        (LEGACY, "hush", Some("com.example.app")),
        (ONCE, "hush", Some("com.example.app")),
        (DOTNET, "hush", Some("com.example.app")),
        (MODERN, "hush", Some("com.example.app")),
        (UNSEALED, "hush", Some("com.example.app")),
        (UNNAMED, "", None),
    ] {
        let opened = open_file(file, password).unwrap();
        assert_eq!(opened.bundle_id.as_deref(), bundle_id);
        assert!(ApnsAuth::certificate(&opened.cert, opened.key.expose()).is_ok());
        // Its issuer is its own, and no client sends such a one.
        assert_eq!(CertificateDer::pem_slice_iter(opened.cert.as_bytes()).count(), 1);
        if bundle_id.is_some() {
            assert_eq!((opened.cert.as_str(), opened.key.expose()), (first.cert.as_str(), first.key.expose()));
        }
        assert!(!format!("{opened:?}").contains("PRIVATE"));
    }
    let lines =
        STANDARD.encode(MODERN).as_bytes().chunks(76).map(|l| String::from_utf8_lossy(l) + "\r\n").collect::<String>();
    assert!(open(&lines, "hush").is_ok(), "base64 in lines");
}

#[test]
fn each_fault_is_told() {
    let truncated = &MODERN[..MODERN.len() - 1];
    for (file, password, fault) in [
        (LEGACY, "wrong", WRONG),
        (DOTNET, "", WRONG),
        (MODERN, "wrong", WRONG),
        (UNSEALED, "wrong", WRONG),
        (MODERN, "\u{1f600}", LETTERS),
        (truncated, "hush", FORM),
        (&MODERN[..200], "hush", FORM),
        (b"", "", FORM),
        (b"no such file", "", FORM),
        (&[0x30, 0x80, 2, 1, 3], "", BER),
        (KEYLESS, "hush", NO_KEY),
        (CERTLESS, "hush", NO_CERTIFICATE),
        (SLOW, "hush", ROUNDS),
        (RC4, "hush", METHOD),
        (&[0; LONGEST + 3], "", TOO_LONG),
    ] {
        assert_eq!(open_file(file, password).unwrap_err(), fault);
    }
    assert_eq!(open("no base64 !", "").unwrap_err(), FORM);
}

/// Whatever a file asks for, the answer comes: the library's bound holds before the first round.
#[test]
fn a_huge_count_of_rounds_is_refused_before_the_first() {
    // The seal's count is the last number of the file: 02 03 0F 42 41 says 1,000,001.
    let mut file = SLOW.to_vec();
    assert_eq!(file[file.len() - 5..], [2, 3, 0x0f, 0x42, 0x41]);
    let end = file.len();
    file[end - 3..].copy_from_slice(&[0x7f, 0xff, 0xff]);
    assert_eq!(open_file(&file, "hush").unwrap_err(), ROUNDS);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_spoilt_file_opens_or_is_refused(at in 0..UNNAMED.len(), byte: u8, cut in 0..UNNAMED.len()) {
        let mut file = UNNAMED.to_vec();
        file[at] = byte;
        let _ = open_file(&file, "");
        let _ = open_file(&UNNAMED[..cut], "");
    }
}
