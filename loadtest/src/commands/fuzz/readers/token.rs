//! Shared access signatures: whoever has no key gets in with nothing but what was signed.
use fanfare::identity::{
    keys::{AccessRule, AdminKey, Rights},
    sas::{Audience, SasToken},
    secret::Secret,
};

use crate::{
    client::signature::signed,
    commands::fuzz::{mutation::Seeds, reading::Reader},
};

const NOW: i64 = 1_800_000_000;
const KEY: &str = "c2VjcmV0LWtleS1mb3ItdGVzdHMtb25seS0wMTIzNDU=";
const ADMIN: &str = "the-key-of-the-namespace";
const PATH: &str = "/hub1/messages/?api-version=2015-04";

/// What was signed: resource and expiry as they stand in the token, and with which rule's key.
const SIGNED: [(&str, i64, &str, &str); 5] = [
    ("https%3A%2F%2Fns1.example.test%2F", 1_900_000_000, "Full", KEY),
    ("http%3a%2f%2fns1.example.test%2fhub1%2fmessages%2f", 1_900_000_001, "full", KEY),
    ("sb%3A%2F%2Fns1.example.test%3A443%2Fhub1", 1_900_000_002, "listen", "third"),
    ("https://ns1.example.test/hub1", 1_900_000_003, "RootManageSharedAccessKey", ADMIN),
    ("https%3A%2F%2Fother.example.test%2F", 1_900_000_004, "Full", KEY),
];

const WORDS: &[&str] = &[
    "SharedAccessSignature ",
    "sharedaccesssignature ",
    "sr=",
    "&sig=",
    "&se=",
    "&skn=",
    "&",
    "=",
    "%",
    "%2",
    "%zz",
    "%00",
    "%2B",
    "%2F",
    "%3D",
    "%25",
    "1900000000",
    "9223372036854775807",
    "-9223372036854775808",
    "99999999999999999999",
    "Full",
    "listen",
    "RootManageSharedAccessKey",
    "https%3A%2F%2Fns1.example.test%2F",
    "ns1.example.test",
    "other.example.test",
    "@",
    ":",
    "[::1]",
    "?",
    "#",
    "/",
    "//",
    "..",
    "+",
    " ",
    "\t",
    "\u{130}",
];

pub(crate) fn reader() -> Reader {
    let samples = SIGNED.map(|(resource, expiry, rule, key)| signed(resource, expiry, rule, key).into_bytes());
    Reader { name: "token", seeds: Seeds { samples: samples.to_vec(), words: WORDS }, read }
}

fn read(bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let Ok(token) = SasToken::parse(&text) else { return Ok(()) };
    let rule = |name: &str, rights, primary, secondary: &str| AccessRule {
        name: name.to_owned(),
        rights,
        primary: Secret::new(primary),
        secondary: Some(Secret::new(secondary)),
    };
    let rules = [rule("Full", Rights::ALL, KEY, "second"), rule("listen", Rights::LISTEN, "third", "fourth")];
    let admin = AdminKey::from_text(Secret::new(ADMIN)).ok_or("no key")?;
    let to = Audience { hosts: &["ns1.example.test"], path: PATH, hub: "hub1" };
    let Ok(caller) = token.verify(to, &rules, &admin, NOW) else { return Ok(()) };
    let stands = |part: &str| text.contains(part);
    let was_signed = |(resource, expiry, ..): &(&str, i64, &str, &str)| {
        !resource.contains("other") && stands(resource) && stands(&expiry.to_string())
    };
    if SIGNED.iter().any(was_signed) { Ok(()) } else { Err(format!("{caller:?} was let in by {text}")) }
}
