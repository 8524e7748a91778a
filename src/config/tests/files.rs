//! What certificates, keys and accounts must hold.
use super::*;
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384};

/// Key and self-signed certificate, PEM.
fn pair(names: &[&str]) -> (String, String) {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    (key.serialize_pem(), CertificateParams::new(names).unwrap().self_signed(&key).unwrap().pem())
}

fn rsa_pem() -> String {
    use aws_lc_rs::{
        encoding::{AsDer, Pkcs8V1Der},
        rsa::{KeyPair, KeySize},
    };
    use base64::Engine;
    let key = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der: Pkcs8V1Der<'_> = key.as_der().unwrap();
    let text = base64::engine::general_purpose::STANDARD.encode(der.as_ref());
    format!("-----BEGIN PRIVATE KEY-----\n{text}\n-----END PRIVATE KEY-----\n")
}

fn account(key: &str, token_uri: &str) -> String {
    serde_json::json!({"type": "service_account", "project_id": "p", "client_email": "e@p", "private_key": key, "token_uri": token_uri})
        .to_string()
}

/// A folder with one of each that is good.
pub(super) fn furnished() -> Place {
    let place = Place::new();
    let (key, cert) = pair(&["localhost"]);
    place
        .file("server.key", &key)
        .file("server.crt", &cert)
        .file("extra-root.pem", &cert)
        .file("AuthKey.p8", &key)
        .file("vapid.pem", &key)
        .file("service-account.json", &account(&rsa_pem(), "https://oauth2.googleapis.com/token"))
        .file("wns.secret", "wns\n")
        .file("adm.secret", "adm\n")
        .file("baidu.secret", "baidu\n")
        .file("xiaomi.secret", "xiaomi\n")
        .file("google.secret", "google\n")
        .file("auth.key", "0011\n")
        .file("user-id.key", "0022\n")
        .file("user-ids.json", r#"{"google": {"1": "sid:1"}}"#)
        .file("todo.json", r#"[{"text": "first"}]"#)
        .file("public/index.html", "");
    place
}

fn files_line(place: &Place, toml: &str) -> String {
    match place.load(toml, &[]).and_then(|config| config.check_files()) {
        Ok(()) => "good".into(),
        Err(e) => place.line(e),
    }
}

#[test]
fn own_key_files_may_be_missing_but_not_wrong() {
    let place = Place::new();
    assert_eq!(files_line(&place, ""), "good");
    assert!(!place.path("data").exists(), "checking makes no file");
    place.file("data/admin.key", "\n").file("short", "abc");
    for (toml, expected) in [
        ("", "config: admin.key_file: must name a file of text without white space (got data/admin.key)"),
        (
            "[admin]\nkey = 'k'\n[secrets]\nkey_file = 'short'",
            "config: secrets.key_file: must name a file of 64 hexadecimal digits (got short)",
        ),
        (
            "[admin]\nkey = 'k'\n[secrets]\nprevious_key_files = ['gone']",
            "config: secrets.previous_key_files: must name a readable file; No such file or directory (os error 2) (got gone)",
        ),
    ] {
        assert_eq!(files_line(&place, toml), expected);
    }
}

#[test]
fn a_certificate_belongs_to_its_key() {
    let place = furnished();
    let (other_key, _) = pair(&["localhost"]);
    place.file("other.key", &other_key).file("junk", "junk");
    let tls = |cert: &str, key: &str| {
        files_line(
            &place,
            &format!("[server.tls]\nlisten = '127.0.0.1:8443'\ncert_file = '{cert}'\nkey_file = '{key}'"),
        )
    };
    assert_eq!(tls("server.crt", "server.key"), "good");
    for (cert, key, expected) in [
        (
            "server.crt",
            "other.key",
            "key_file: must be the private key of the first certificate of server.crt (got other.key)",
        ),
        ("junk", "server.key", "cert_file: must hold certificates in PEM (got junk)"),
        ("server.key", "server.key", "cert_file: must hold certificates in PEM (got server.key)"),
        ("server.crt", "junk", "key_file: must be a private key in PEM (got junk)"),
        (
            "gone",
            "server.key",
            "cert_file: must name a readable file; No such file or directory (os error 2) (got gone)",
        ),
    ] {
        assert_eq!(tls(cert, key), format!("config: server.tls.{expected}"));
    }
}

#[test]
fn apns_takes_a_p8_key_or_a_certificate() {
    let place = furnished();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap().serialize_pem();
    place.file("p384.p8", &p384);
    let token = |key: &str| {
        let toml = format!("[hubs.demo.apns]\ntopic = 'a.b'\nteam_id = 'TEAM123456'\nkey_id = 'KEY1234567'\n{key}");
        files_line(&place, &toml)
    };
    const RULE: &str = "must be a P-256 private key in PKCS#8 PEM (.p8)";
    assert_eq!(token("key_file = 'AuthKey.p8'"), "good");
    assert_eq!(token("key_file = 'p384.p8'"), format!("config: hubs.demo.apns.key_file: {RULE} (got p384.p8)"));
    assert_eq!(token("key = 'hush'"), format!("config: hubs.demo.apns.key: {RULE} (got ***)"));
    assert_eq!(
        token("key_file = 'AuthKey.p8'\nca_file = 'AuthKey.p8'"),
        "config: hubs.demo.apns.ca_file: must hold certificates in PEM (got AuthKey.p8)"
    );
    assert_eq!(
        files_line(&place, "[hubs.demo.jobs]\nca_file = 'AuthKey.p8'"),
        "config: hubs.demo.jobs.ca_file: must hold certificates in PEM (got AuthKey.p8)"
    );
    let certificate = "[hubs.demo.apns]\ntopic = 'a.b'\ncert_file = 'server.crt'\n";
    assert_eq!(files_line(&place, &format!("{certificate}cert_key_file = 'server.key'")), "good");
    assert_eq!(
        files_line(&place, &format!("{certificate}cert_key = 'hush'")),
        "config: hubs.demo.apns.cert_key: must be a private key in PEM (got ***)"
    );
}

#[test]
fn xiaomis_secret_can_stand_in_a_field() {
    let place = furnished();
    place.file("odd.secret", "gehe\u{69}m\u{e9}\n");
    const RULE: &str = "must be visible ASCII characters";
    for (line, told) in [
        ("app_secret_file = 'xiaomi.secret'", "good".to_owned()),
        (
            "app_secret_file = 'odd.secret'",
            format!("config: hubs.demo.xiaomi.app_secret_file: {RULE} (got odd.secret)"),
        ),
        ("app_secret = '\u{e9}'", format!("config: hubs.demo.xiaomi.app_secret: {RULE} (got ***)")),
        (
            "app_secret = 's'\nca_file = 'AuthKey.p8'",
            "config: hubs.demo.xiaomi.ca_file: must hold certificates in PEM (got AuthKey.p8)".to_owned(),
        ),
    ] {
        assert_eq!(files_line(&place, &format!("[hubs.demo.xiaomi]\n{line}")), told);
    }
}

#[test]
fn a_service_account_is_whole() {
    let place = furnished();
    let (ec, _) = pair(&["x"]);
    let line = |text: &str| {
        place.file("account.json", text);
        files_line(&place, "[hubs.demo.fcm]\nservice_account_file = 'account.json'")
    };
    let good = fs::read_to_string(place.path("service-account.json")).unwrap();
    assert_eq!(line(&good), "good");
    const KEY: &str = "config: hubs.demo.fcm.service_account_file";
    for (text, rule) in [
        (
            "{}".to_owned(),
            "must be the JSON of a service account with project_id, client_email, private_key and token_uri",
        ),
        (good.replace("https:", "http:"), "must hold an https:// token_uri"),
        (account(&ec, "https://h/t"), "must hold an RSA private_key in PKCS#8 PEM"),
        (good.replace("\"p\"", "\"\""), "must hold a project_id and a client_email"),
    ] {
        assert_eq!(line(&text), format!("{KEY}: {rule} (got account.json)"));
    }
}

#[test]
fn a_vapid_key_is_pem_or_base64url() {
    let place = furnished();
    let line = |key: &str| files_line(&place, &format!("[hubs.demo.web_push]\nsubject = 'mailto:a@b.c'\n{key}"));
    assert_eq!(line("vapid_private_key_file = 'vapid.pem'"), "good");
    assert_eq!(line("vapid_private_key = 'q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94'"), "good");
    const RULE: &str = "must be a P-256 private key: PEM, or its 32 bytes in base64url";
    for key in ["q1dX", "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "hush!"] {
        assert_eq!(
            line(&format!("vapid_private_key = '{key}'")),
            format!("config: hubs.demo.web_push.vapid_private_key: {RULE} (got ***)")
        );
    }
}

#[test]
fn seeds_and_folders_are_looked_at() {
    let place = furnished();
    place.file("seed.json", "{}");
    assert_eq!(
        files_line(&place, "[mobile.tables.todo]\nseed_file = 'seed.json'"),
        "config: mobile.tables.todo.seed_file: must hold a JSON array of objects (got seed.json)"
    );
    place.file("junk", "junk");
    assert_eq!(
        files_line(&place, "[mobile.api]\nupstream = 'https://h'\nca_file = 'junk'"),
        "config: mobile.api.ca_file: must hold certificates in PEM (got junk)"
    );
    assert_eq!(files_line(&place, "[site]\ndir = 'gone'"), "config: site.dir: must be a folder (got gone)");
}
