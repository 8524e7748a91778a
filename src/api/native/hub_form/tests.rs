//! Bodies of hubs, good and bad.

use super::*;

fn read_text(body: &str, current: Option<&HubSettings>) -> Result<HubSettings, String> {
    let packed = certificate(body.as_bytes()).map_err(|error| error.to_string())?;
    let opened = packed.map(|packed| packed.open()).transpose().map_err(|error| error.to_string())?;
    let body = Object::of_body(body.as_bytes()).map_err(|error| error.to_string())?;
    read(body, opened.as_ref(), current).map_err(|error| error.to_string())
}

const TOKEN: &str = r#"{"apns":{"topic":"t","team_id":"T","key_id":"K","key":"secret"}}"#;

#[test]
fn a_secret_stays_with_what_it_belongs_to() {
    let hub = read_text(TOKEN, None).unwrap();
    let without = |team: &str| format!(r#"{{"apns":{{"topic":"t2","team_id":"{team}","key_id":"K"}}}}"#);
    let changed = read_text(&without("T"), Some(&hub)).unwrap();
    let apns = changed.apns.unwrap();
    assert!(matches!(&apns.auth, ApnsAuth::Token { key, .. } if key.matches("secret")));
    assert_eq!(apns.topic, "t2");
    assert_eq!(read_text(&without("other"), Some(&hub)).unwrap_err(), "apns.key is required");
    assert!(read_text("{}", Some(&hub)).unwrap().apns.is_none());
}

#[test]
fn keys_stay_unless_named_and_are_made_where_left_out() {
    let hub = read_text("{}", None).unwrap();
    assert_eq!(hub.keys.len(), 2);
    let again = read_text(r#"{"weight":2}"#, Some(&hub)).unwrap();
    assert!(again.keys[0].primary.matches(hub.keys[0].primary.expose()));
    let named = read_text(r#"{"keys":{"app":{"rights":["listen"],"primary":"p"}}}"#, Some(&hub)).unwrap();
    assert_eq!((named.keys.len(), named.keys[0].primary.expose()), (1, "p"));
    let made = read_text(r#"{"keys":{"app":{"rights":["send"]}}}"#, Some(&hub)).unwrap();
    assert_eq!(made.keys[0].primary.expose().len(), 44);
}

/// Of OpenSSL, as its own tests tell.
fn p12(members: &str) -> String {
    use base64::Engine;
    let file = include_bytes!("../../../gateway/pkcs12/files/legacy.p12");
    let file = base64::engine::general_purpose::STANDARD.encode(file);
    format!(r#"{{"apns":{{"cert_p12":"{file}","cert_password":"hush"{members}}}}}"#)
}

#[test]
fn a_certificate_comes_with_its_key_and_its_topic() {
    let token = read_text(TOKEN, None).unwrap();
    for current in [None, Some(&token)] {
        let hub = read_text(&p12(""), current).unwrap();
        let apns = hub.apns.as_ref().unwrap();
        assert_eq!(apns.topic, "com.example.app");
        assert!(matches!(&apns.auth, ApnsAuth::Certificate { key, .. } if key.expose().contains("PRIVATE KEY")));
        let again = read_text(r#"{"apns":{"topic":"com.example.app.voip"}}"#, Some(&hub)).unwrap().apns.unwrap();
        assert!(matches!(&again.auth, ApnsAuth::Certificate { .. }));
    }
    let other = read_text(&p12(r#","topic":"com.example.app.voip""#), None).unwrap();
    assert_eq!(other.apns.unwrap().topic, "com.example.app.voip");
    let wrong = p12("").replace("hush", "wrong");
    assert_eq!(read_text(&wrong, None).unwrap_err(), "apns.cert_password must be the file's password");
    for beside in ["key", "cert", "team_id"] {
        let told = read_text(&p12(&format!(r#","{beside}":"x""#)), None).unwrap_err();
        assert_eq!(told, format!("apns.cert_p12 must not stand beside {beside}"));
    }
}

#[test]
fn each_bad_member_is_named() {
    for (body, error) in [
        (r#"{"wieght":1}"#, "wieght is not known here"),
        (r#"{"weight":0}"#, "weight must be a whole number from 1 to 1000"),
        (r#"{"fcm":{}}"#, "fcm.service_account is required"),
        (r#"{"wns":{}}"#, "wns.tenant_id is required"),
        (r#"{"web_push":{}}"#, "web_push.subject is required"),
        (r#"{"adm":{}}"#, "adm.client_id is required"),
        (r#"{"baidu":{}}"#, "baidu.api_key is required"),
        (r#"{"xiaomi":{}}"#, "xiaomi.app_secret is required"),
        (r#"{"keys":{"a":{}}}"#, "keys.a.rights is required"),
        (r#"{"keys":{"a":{"rights":["own"]}}}"#, "keys.a.rights may hold only listen, send and manage"),
        (r#"{"keys":{"a b":{"rights":["send"]}}}"#, "keys.a b must have a name of letters"),
        (r#"{"keys":{"a":{"rights":["send"]},"A":{"rights":["send"]}}}"#, "keys.A must have a name that differs"),
        (r#"{"keys":{"a":{"rights":["send"],"primary":""}}}"#, "keys.a.primary must have 1 to 256 characters"),
        (r#"{"apns":{}}"#, "apns.topic is required"),
        (r#"{"apns":{"topic":"t"}}"#, "apns.key is required"),
        (r#"{"apns":{"topic":"t","key":"k"}}"#, "apns.team_id is required"),
        (r#"{"apns":{"topic":"t","key":"k","cert":"c"}}"#, "apns.cert must not stand beside"),
        (r#"{"apns":{"topic":"t","cert":"c"}}"#, "apns.cert_key is required"),
        (r#"{"apns":{"topic":"t","cert_password":"p"}}"#, "apns.cert_password must be absent"),
        (r#"{"apns":{"topic":"t","cert_p12":"c"}}"#, "apns.cert_p12 must be a PKCS#12 file"),
        (r#"{"apns":{"topic":"t","cert_p12":7}}"#, "apns.cert_p12 must be a string"),
        (r#"{"apns":{"topic":"t","cert":"c","cert_key":"k","x":1}}"#, "apns.x is not known here"),
    ] {
        let told = read_text(body, None).unwrap_err();
        assert!(told.starts_with(error), "{body}: {told}");
    }
}
