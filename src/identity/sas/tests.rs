use super::*;
use crate::identity::{keys::Rights, secret::Secret};
use proptest::prelude::*;

/// Key, expiry and signatures of `specs/notification-hubs.md` 1.5.
const KEY: &str = "c2VjcmV0LWtleS1mb3ItdGVzdHMtb25seS0wMTIzNDU=";
const EXPIRY: i64 = 1_900_000_000;
const VECTORS: [(&str, &str); 2] = [
    ("https%3A%2F%2Fns1.example.test%2F", "t9WCLpIQwixQZ9K5RCVO6Ylaf5EVtNNSCQ0exUkjy4Q="),
    ("http%3a%2f%2fns1.example.test%2fhub1%2fmessages%2f", "0n9z08t1vLdwej19zztx+zQ5zMuLt52f7XO5yQk1NgQ="),
];

fn admin() -> AdminKey {
    AdminKey::from_text(Secret::new("admin-key")).unwrap()
}

fn rules() -> Vec<AccessRule> {
    let rule = |name: &str, rights, primary, secondary| AccessRule {
        name: String::from(name),
        rights,
        primary: Secret::new(primary),
        secondary: Some(Secret::new(secondary)),
    };
    vec![rule("Full", Rights::ALL, KEY, "second"), rule("listen", Rights::LISTEN, "third", KEY)]
}

fn signed(sr: &str, se: i64, skn: &str, key: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    let sig = STANDARD.encode(hmac::sign(&key, format!("{sr}\n{se}").as_bytes()));
    let sig = sig.replace('+', "%2B").replace('/', "%2F").replace('=', "%3D");
    format!("SharedAccessSignature sr={sr}&sig={sig}&se={se}&skn={skn}")
}

fn verify_at(header: &str, path: &str, now: i64) -> Result<Caller, SasError> {
    let to = Audience { hosts: &["ns1.example.test:8443", "alias.test"], path, hub: "hub1" };
    SasToken::parse(header)?.verify(to, &rules(), &admin(), now)
}

fn verify(header: &str, path: &str) -> Result<Caller, SasError> {
    verify_at(header, path, EXPIRY - 1)
}

fn hub(rule: &str, rights: Rights) -> Caller {
    Caller::Hub { hub: "hub1".into(), rule: rule.into(), rights }
}

#[test]
fn the_vectors_verify() {
    for (sr, sig) in VECTORS {
        let header = format!("SharedAccessSignature sr={sr}&sig={}&se={EXPIRY}&skn=Full", sig.replace('+', "%2B"));
        assert_eq!(verify(&header, "/hub1/messages/?api-version=2015-04"), Ok(hub("Full", Rights::ALL)), "{sr}");
    }
}

#[test]
fn the_signature_is_over_the_raw_text() {
    let (sr, sig) = VECTORS[1];
    for other in [sr.to_uppercase(), sr.replace("%3a", "%3A"), "http://ns1.example.test/hub1/messages/".into()] {
        let header = format!("SharedAccessSignature sr={other}&sig={sig}&se={EXPIRY}&skn=Full");
        assert_eq!(verify(&header, "/hub1/messages"), Err(SasError::InvalidSignature), "{other}");
    }
}

#[test]
fn order_case_and_a_raw_plus_do_not_matter() {
    let (sr, sig) = VECTORS[1];
    let header = format!("sharedaccesssignature SKN=full&se={EXPIRY}&Sig={sig}&SR={sr}");
    assert_eq!(verify(&header, "/HUB1/messages"), Ok(hub("Full", Rights::ALL)));
}

#[test]
fn both_keys_of_a_rule_sign() {
    let sr = VECTORS[0].0;
    assert_eq!(verify(&signed(sr, EXPIRY, "Full", "second"), "/hub1"), Ok(hub("Full", Rights::ALL)));
    assert_eq!(verify(&signed(sr, EXPIRY, "listen", KEY), "/hub1"), Ok(hub("listen", Rights::LISTEN)));
    assert_eq!(verify(&signed(sr, EXPIRY, "listen", "second"), "/hub1"), Err(SasError::InvalidSignature));
    assert_eq!(verify(&signed(sr, EXPIRY, "unknown", KEY), "/hub1"), Err(SasError::InvalidSignature));
}

#[test]
fn the_namespace_rule_is_signed_with_the_admin_key() {
    let sr = VECTORS[0].0;
    assert_eq!(verify(&signed(sr, EXPIRY, NAMESPACE_RULE, "admin-key"), "/hub1"), Ok(Caller::Admin));
    assert_eq!(verify(&signed(sr, EXPIRY, NAMESPACE_RULE, KEY), "/hub1"), Err(SasError::InvalidSignature));
}

#[test]
fn expiry_has_five_minutes_of_grace() {
    let header = signed(VECTORS[0].0, EXPIRY, "Full", KEY);
    assert!(verify_at(&header, "/hub1", EXPIRY + SKEW_SECONDS - 1).is_ok());
    assert_eq!(verify_at(&header, "/hub1", EXPIRY + SKEW_SECONDS), Err(SasError::Expired));
    assert_eq!(verify_at(&signed(VECTORS[0].0, i64::MAX, "Full", KEY), "/hub1", EXPIRY), Ok(hub("Full", Rights::ALL)));
}

#[test]
fn the_audience_is_a_segment_wise_prefix() {
    for (resource, path, fits) in [
        ("https://ns1.example.test", "/hub1/messages", true),
        ("sb://ns1.example.test/", "/hub1/messages", true),
        ("https://user@NS1.example.test:443/hub1?api-version=1#x", "/hub1/messages", true),
        ("https://alias.test/hub1/", "/hub1", true),
        ("ns1.example.test/hub1", "/Hub1/Messages", true),
        ("https://ns1.example.test/hub1/installations/a%20b", "/hub1/installations/A%20B", true),
        ("https://ns1.example.test/hub", "/hub1/messages", false),
        ("https://ns1.example.test/hub1/messages/5", "/hub1/messages", false),
        ("https://ns1.example.test/other", "/hub1/messages", false),
        ("https://ns2.example.test/", "/hub1/messages", false),
        ("https:///hub1", "/hub1/messages", false),
        ("https://[::1]:80/", "/hub1/messages", false),
    ] {
        let encoded: String = resource.bytes().map(|b| format!("%{b:02x}")).collect();
        let got = verify(&signed(&encoded, EXPIRY, "Full", KEY), path);
        let expected = if fits { Ok(hub("Full", Rights::ALL)) } else { Err(SasError::InvalidAudience) };
        assert_eq!(got, expected, "{resource} for {path}");
    }
}

#[test]
fn a_token_with_a_part_missing_or_twice_is_malformed() {
    let whole = signed(VECTORS[0].0, EXPIRY, "Full", KEY);
    for broken in [
        "",
        "Bearer abc",
        "SharedAccessSignature",
        "SharedAccessSignature sr=a&sig=b&se=1",
        "SharedAccessSignature sr=a&sig=b&skn=c",
        "SharedAccessSignature sr=a&sig=b&se=soon&skn=c",
        "SharedAccessSignature sr=a&sig=b&se=1&skn=%zz",
        &format!("{whole}&skn=Full"),
    ] {
        assert_eq!(SasToken::parse(broken).map(|_| ()), Err(SasError::Malformed), "{broken}");
    }
    assert!(SasToken::is_claimed(&whole) && !SasToken::is_claimed("Bearer abc"));
}

proptest! {
    #[test]
    fn no_header_is_believed_or_panics(header in ".{0,200}") {
        prop_assert!(verify(&header, "/hub1").is_err());
        let claimed = format!("SharedAccessSignature {header}");
        prop_assert!(verify(&claimed, "/hub1").is_err());
    }
}
