//! Service accounts: what is read of them, what is refused, and what never shows.

use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{KeyPair, KeySize};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::settings::{FcmSettings, ServiceAccount};

fn written() -> (Value, Vec<u8>) {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let public = pair.public_key().as_ref().to_vec();
    let der = AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).unwrap();
    let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", STANDARD.encode(der.as_ref()));
    let account = json!({
        "project_id": "demo", "client_email": "push@demo", "private_key": pem, "private_key_id": "k1",
        "token_uri": "https://127.0.0.1:9/token",
    });
    (account, public)
}

pub fn account() -> Arc<ServiceAccount> {
    Arc::new(ServiceAccount::read(&written().0.to_string()).unwrap())
}

#[test]
fn an_assertion_says_who_asks_whom_for_what_and_is_signed() {
    let (account, public) = written();
    let text = ServiceAccount::read(&account.to_string()).unwrap().assertion(1_000).unwrap();
    let (signed, signature) = text.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, public).verify(signed.as_bytes(), &signature).unwrap();
    let parts: Vec<Value> =
        signed.split('.').map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()).collect();
    assert_eq!(parts[0], json!({"alg": "RS256", "typ": "JWT", "kid": "k1"}));
    assert_eq!((&parts[1]["iss"], &parts[1]["exp"]), (&json!("push@demo"), &json!(4_600)));
    assert_eq!(parts[1]["aud"], "https://127.0.0.1:9/token");
}

#[test]
fn each_bad_account_is_refused_and_no_key_shows() {
    let (good, _) = written();
    for (member, value) in
        [("project_id", "a/b"), ("client_email", ""), ("private_key", "x"), ("token_uri", "http://a/token")]
    {
        let mut bad = good.clone();
        bad[member] = value.into();
        let error = FcmSettings::new("https://a", &bad.to_string()).unwrap_err();
        assert!(error.field == "service_account" && error.to_string().contains(member), "{error}");
    }
    assert_eq!(FcmSettings::new("http://a", &good.to_string()).unwrap_err().field, "endpoint");
    let shown = format!("{:?}", FcmSettings::new("https://a", &good.to_string()).unwrap());
    assert!(shown.contains("***") && !shown.contains("PRIVATE"), "{shown}");
}
