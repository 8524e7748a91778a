use super::*;

fn body(inner: &str) -> Vec<u8> {
    let text = format!(
        "<entry xmlns = \"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">\
         <NotificationHubDescription xmlns = \"x\">{inner}</NotificationHubDescription></content></entry>"
    );
    text.into_bytes()
}

fn description(inner: &str) -> Element {
    of_body(&body(inner)).unwrap()
}

/// The settings that a description states, its certificate opened on the way.
fn read(description: &Element, current: Option<&HubSettings>) -> Result<HubSettings, ChangeError> {
    let opened = certificate(description)?.map(|packed| packed.open()).transpose()?;
    super::read(description, opened.as_ref(), current)
}

fn properties(element: &str, pairs: &[(&str, &str)]) -> String {
    let pairs =
        pairs.iter().map(|(name, value)| format!("<Property><Name>{name}</Name><Value>{value}</Value></Property>"));
    format!("<{element}><Properties>{}</Properties></{element}>", pairs.collect::<String>())
}

#[test]
fn credentials_become_accounts_and_keep_their_secrets() {
    let apns = [
        ("Endpoint", "https://api.push.apple.com:443/3/device"),
        ("AppName", "com.example.app"),
        ("AppId", "TEAM123456"),
        ("KeyId", "KEY1234567"),
    ];
    let with_token = [&apns[..], &[("Token", "MIGHAgEA")]].concat();
    let fcm = [("ProjectId", "p"), ("PrivateKey", "line\\nline"), ("ClientEmail", "e@p")];
    let wns = [
        ("PackageSid", "ms-app://x"),
        ("SecretKey", "hush"),
        ("WindowsLiveEndpoint", "https://login.live.com/accesstoken.srf"),
    ];
    let all = format!(
        "{}{}{}",
        properties("ApnsCredential", &with_token),
        properties("FcmV1Credential", &fcm),
        properties("WnsCredential", &wns)
    );
    let made = read(&description(&all), None).unwrap();
    let own = made.apns.as_ref().unwrap();
    assert_eq!((own.endpoint.as_str(), own.topic.as_str()), ("https://api.push.apple.com", "com.example.app"));
    assert!(
        matches!(&own.auth, ApnsAuth::Token { key, .. } if key.expose().starts_with("-----BEGIN PRIVATE KEY-----\nMIGHAgEA\n"))
    );
    let account: Value = serde_json::from_str(made.fcm.as_ref().unwrap().service_account.expose()).unwrap();
    assert!(account["private_key"].as_str().unwrap().contains("\nline\nline\n"));
    assert_eq!(made.wns.as_ref().unwrap().auth, WnsAuth::Live);
    assert_eq!(made.keys.len(), 2);
    // What was read back has no secrets; they stay. What is not named is gone.
    let back = format!("{}{}", properties("ApnsCredential", &apns), properties("FcmV1Credential", &[fcm[0], fcm[2]]));
    let again = read(&description(&back), Some(&made)).unwrap();
    assert!(
        matches!(&again.apns.as_ref().unwrap().auth, ApnsAuth::Token { key, .. } if key.expose().contains("MIGHAgEA"))
    );
    assert!(again.fcm.is_some() && again.wns.is_none());
    assert!(again.keys[0].primary.matches(made.keys[0].primary.expose()));
}

/// Of OpenSSL, as `gateway::pkcs12` tells.
fn p12(name: &[u8]) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(name)
}

#[test]
fn a_certificate_is_opened_and_brings_its_topic() {
    let legacy = p12(include_bytes!("../../../gateway/pkcs12/files/legacy.p12"));
    let apns =
        [("Endpoint", "gateway.sandbox.push.apple.com"), ("ApnsCertificate", &legacy), ("CertificateKey", "hush")];
    let token = [("AppName", "com.example.other"), ("AppId", "TEAM123456"), ("KeyId", "KEY1234567"), ("Token", "MIGH")];
    let before = read(&description(&properties("ApnsCredential", &token)), None).unwrap();
    for current in [None, Some(&before)] {
        let made = read(&description(&properties("ApnsCredential", &apns)), current).unwrap();
        let own = made.apns.as_ref().unwrap();
        assert_eq!(
            (own.endpoint.as_str(), own.topic.as_str()),
            ("https://api.sandbox.push.apple.com", "com.example.app")
        );
        assert!(matches!(&own.auth, ApnsAuth::Certificate { key, .. } if key.expose().contains("PRIVATE KEY")));
        // Read back it has a name and no secret, and written back it stays.
        let mut xml = Xml::new();
        write(&mut xml, &made, true);
        let written = xml.into_string();
        let print = written.split("<Name>Thumbprint</Name><Value>").nth(1).unwrap().split('<').next().unwrap();
        assert!(print.len() == 40 && print.bytes().all(|b| b.is_ascii_digit() || b.is_ascii_uppercase()), "{print}");
        assert!(!written.contains("CertificateKey") && !written.contains("PRIVATE"), "{written}");
        let again = read(&of_body(written.as_bytes()).unwrap(), Some(&made)).unwrap();
        assert!(again.same_as(&made));
        // A signing key takes its place.
        let by_token = read(&description(&properties("ApnsCredential", &token)), Some(&made)).unwrap();
        assert!(matches!(by_token.apns.unwrap().auth, ApnsAuth::Token { .. }));
    }
    let named = [&apns[..], &[("AppName", "com.example.app.voip")]].concat();
    let named = read(&description(&properties("ApnsCredential", &named)), None).unwrap();
    assert_eq!(named.apns.unwrap().topic, "com.example.app.voip");
}

#[test]
fn what_is_wrong_with_a_certificate_is_told() {
    let file = |name: &[u8]| ("ApnsCertificate", p12(name));
    let modern: &[u8] = include_bytes!("../../../gateway/pkcs12/files/modern.p12");
    let keyless = include_bytes!("../../../gateway/pkcs12/files/keyless.p12");
    let unnamed = include_bytes!("../../../gateway/pkcs12/files/unnamed.p12");
    let slow = include_bytes!("../../../gateway/pkcs12/files/slow.p12");
    let with = |name: &'static str, value: &str| (name, value.to_owned());
    for (pairs, rule) in [
        (vec![file(modern), with("CertificateKey", "x")], "ApnsCredential.CertificateKey must be the file's password"),
        (vec![file(modern)], "ApnsCredential.CertificateKey must be the file's password"),
        (vec![with("CertificateKey", "x")], "ApnsCredential.CertificateKey must be absent"),
        (vec![file(&modern[..999])], "ApnsCredential.ApnsCertificate must be a PKCS#12 file"),
        (vec![with("ApnsCertificate", "MIIK")], "ApnsCredential.ApnsCertificate must be a PKCS#12 file"),
        (
            vec![file(keyless), with("CertificateKey", "hush")],
            "ApnsCredential.ApnsCertificate must hold the certificate's",
        ),
        (vec![file(slow), with("CertificateKey", "hush")], "ApnsCredential.ApnsCertificate must ask for at most"),
        (vec![file(unnamed)], "ApnsCredential.AppName is required"),
        (vec![file(unnamed), with("Token", "x")], "ApnsCredential.Token must not stand beside ApnsCertificate"),
    ] {
        let pairs: Vec<_> = pairs.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let told = read(&description(&properties("ApnsCredential", &pairs)), None).unwrap_err().to_string();
        assert!(told.starts_with(rule), "{told}");
    }
}

#[test]
fn blanks_around_the_parts_of_an_endpoint_are_no_part_of_it() {
    for written in ["https://push.example", " https://push.example/3/device ", "https:// push.example\t\t:443 "] {
        let given = [("Endpoint", written), ("AppName", "a"), ("AppId", "b"), ("KeyId", "c"), ("Token", "MIGH")];
        let made = read(&description(&properties("ApnsCredential", &given)), None).unwrap();
        assert_eq!(made.apns.unwrap().endpoint, "https://push.example", "{written:?}");
    }
}

/// A scalar of P-256 and the point that belongs to it.
const VAPID: &str = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw";
const VAPID_PUBLIC: &str = "BP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A8";

#[test]
fn the_smaller_services_are_told_of_in_the_words_of_the_field() {
    let adm = [
        ("ClientId", "app"),
        ("ClientSecret", "hush"),
        ("AuthTokenUrl", "https://api.amazon.com/auth/O2/token"),
        ("SendUrlTemplate", "https://api.amazon.com/messaging/registrations/{0}/messages"),
    ];
    let baidu =
        [("BaiduApiKey", "app"), ("BaiduSecretKey", "hush"), ("BaiduEndPoint", "https://api.tuisong.baidu.com")];
    let browser = [("Subject", "mailto:a@b.example"), ("VapidPublicKey", VAPID_PUBLIC), ("VapidPrivateKey", VAPID)];
    let xiaomi = [("appSecret", "hush"), ("endpoint", "https://api.xmpush.xiaomi.com")];
    let all = |left_out: &[&str]| {
        let named = [
            ("AdmCredential", &adm[..]),
            ("BaiduCredential", &baidu[..]),
            ("BrowserCredential", &browser[..]),
            ("XiaomiCredential", &xiaomi[..]),
        ];
        let element = |(element, pairs): (&str, &[(&str, &str)])| {
            let kept: Vec<_> = pairs.iter().copied().filter(|(name, _)| !left_out.contains(name)).collect();
            properties(element, &kept)
        };
        named.map(element).concat()
    };
    let made = read(&description(&all(&[])), None).unwrap();
    let own = made.adm.as_ref().unwrap();
    assert_eq!(
        (own.endpoint.as_str(), own.token_endpoint.as_str()),
        ("https://api.amazon.com", "https://api.amazon.com/auth/O2/token")
    );
    assert!(own.client_secret.matches("hush") && made.baidu.as_ref().unwrap().secret_key.matches("hush"));
    assert!(made.web_push.as_ref().unwrap().vapid_private_key.matches(VAPID));
    assert!(made.xiaomi.as_ref().unwrap().app_secret.matches("hush"));
    // Without their secrets they are as they were.
    let secrets = ["ClientSecret", "BaiduSecretKey", "VapidPrivateKey", "appSecret"];
    assert!(read(&description(&all(&secrets)), Some(&made)).unwrap().same_as(&made));
    // What is not named is gone, but for the one that clients do not know, which must be named to go.
    let gone = read(&description(""), Some(&made)).unwrap();
    assert!(gone.adm.is_none() && gone.baidu.is_none() && gone.web_push.is_none());
    assert!(gone.xiaomi.is_some_and(|kept| kept.app_secret.matches("hush")));
    let named = "<XiaomiCredential><Properties/></XiaomiCredential>";
    assert!(read(&description(named), Some(&made)).unwrap().xiaomi.is_none());
    let refused = |inner: String| read(&description(&inner), Some(&made)).unwrap_err().to_string();
    for (inner, rule) in [
        (properties("AdmCredential", &[("ClientId", "other")]), "adm.client_secret is required"),
        (properties("AdmCredential", &[("SendUrlTemplate", "https://h/x")]), "AdmCredential.SendUrlTemplate must be"),
        (properties("BaiduCredential", &[("BaiduApiKey", "other")]), "baidu.secret_key is required"),
        (
            properties("BaiduCredential", &[("BaiduEndPoint", "https://h/rest/2.0/x")]),
            "BaiduCredential.BaiduEndPoint must be",
        ),
        (properties("XiaomiCredential", &[("Endpoint", "https://h")]), "xiaomi.app_secret is required"),
        (
            properties("BrowserCredential", &[("VapidPublicKey", "BP4z")]),
            "BrowserCredential.VapidPublicKey must be the public half",
        ),
    ] {
        let told = refused(inner);
        assert!(told.starts_with(rule), "{told}");
    }
}

#[test]
fn rules_lives_and_notes_are_read() {
    let rule = "<AuthorizationRules><AuthorizationRule i:type=\"SharedAccessAuthorizationRule\" xmlns:i=\"i\"><Rights>\
                <AccessRights>Listen</AccessRights><AccessRights>Send</AccessRights></Rights><KeyName>app</KeyName>\
                <PrimaryKey>one</PrimaryKey></AuthorizationRule></AuthorizationRules>";
    let text = format!("<UserMetadata>note</UserMetadata>{rule}<RegistrationTtl>P90D</RegistrationTtl>");
    let made = read(&description(&text), None).unwrap();
    assert_eq!((made.keys.len(), made.keys[0].rights), (1, Rights::LISTEN | Rights::SEND));
    assert_eq!(made.described.registration_ttl_seconds, Some(90 * DAY));
    assert_eq!(made.described.user_metadata.as_deref(), Some("note"));
    let kept = read(&description(""), Some(&made)).unwrap();
    assert_eq!((kept.described, kept.keys.len()), (made.described, 1));
}

#[test]
fn each_bad_part_is_named() {
    let metadata = format!("<UserMetadata>{}</UserMetadata>", "x".repeat(1_025));
    for (text, rule) in [
        (properties("GcmCredential", &[("GoogleApiKey", "x")]), "GcmCredential must be absent: the legacy"),
        (properties("ApnsCredential", &[("AppName", "t")]), "apns.key is required"),
        (properties("FcmV1Credential", &[("ProjectId", "p")]), "FcmV1Credential.ClientEmail is required"),
        (properties("WnsCredential", &[("PackageSid", "p")]), "wns.client_secret is required"),
        ("<RegistrationTtl>PT5M</RegistrationTtl>".to_owned(), "RegistrationTtl must be a duration"),
        (metadata, "UserMetadata must have at most"),
        ("<AuthorizationRules><AuthorizationRule/></AuthorizationRules>".to_owned(), "AuthorizationRule.KeyName is required"),
        (
            "<AuthorizationRules><AuthorizationRule><KeyName>a</KeyName><Rights><AccessRights>Manage</AccessRights></Rights></AuthorizationRule></AuthorizationRules>".to_owned(),
            "keys.a.rights must include",
        ),
    ] {
        let told = read(&description(&text), None).unwrap_err().to_string();
        assert!(told.starts_with(rule), "{text}: {told}");
    }
    assert!(read(&description("<GcmCredential><Properties/></GcmCredential>"), None).is_ok());
    assert!(of_body(b"<entry><content/></entry>").is_err());
}

#[test]
fn lives_are_durations() {
    for (text, seconds) in
        [("P90D", Some(90 * DAY)), ("P1DT1H1M1.5S", Some(DAY + 3_661)), ("PT48H", Some(2 * DAY)), (NEVER, None)]
    {
        assert_eq!(life(text).unwrap(), seconds, "{text}");
    }
    for text in ["", "P", "90", "P1M", "PT1D", "P1DT", "P-1D", "P23H", "P99999999999999999999D", "PT1S1H"] {
        assert!(life(text).is_err() || text == "P1DT", "{text}");
    }
    assert_eq!((duration(90 * DAY), duration(DAY + 3_661)), ("P90D".to_owned(), "P1DT1H1M1S".to_owned()));
}
