use super::*;

fn vault(key: &str, previous: &[&str]) -> Vault {
    let text = |digits: &&str| Secret::new(digits.repeat(32));
    Vault::from_texts(&text(&key), &previous.iter().map(text).collect::<Vec<_>>()).unwrap()
}

fn settings() -> HubSettings {
    let mut settings = HubSettings::fresh().unwrap();
    settings.apns = Some(ApnsAccount {
        endpoint: "https://api.push.apple.com".into(),
        topic: "com.example.app".into(),
        auth: ApnsAuth::Certificate { cert: "CERT".into(), key: Secret::new("very private") },
        ca: Some("CA".into()),
        connections: 3,
        rate_per_second: 9,
    });
    settings.fcm = Some(FcmAccount {
        endpoint: "https://fcm.googleapis.com".into(),
        service_account: Secret::new("very private too"),
        ca: None,
        rate_per_second: 7,
    });
    settings.wns = Some(wns(WnsAuth::Entra { tenant_id: "contoso.com".into() }));
    settings.adm = Some(AdmAccount {
        client_id: "app".into(),
        client_secret: Secret::new("very private in the end"),
        endpoint: "https://api.amazon.com".into(),
        token_endpoint: "https://api.amazon.com/auth/O2/token".into(),
        ca: None,
        rate_per_second: 2,
    });
    settings.baidu = Some(BaiduAccount {
        api_key: "app".into(),
        secret_key: Secret::new("very private in China"),
        endpoint: "https://api.tuisong.baidu.com".into(),
        ca: None,
        rate_per_second: 4,
    });
    settings.xiaomi = Some(XiaomiAccount {
        app_secret: Secret::new("very private there too"),
        package_name: Some("com.example.app".into()),
        endpoint: "https://api.xmpush.xiaomi.com".into(),
        ca: Some("CA".into()),
        rate_per_second: 6,
    });
    settings.web_push = Some(WebPushAccount {
        subject: "mailto:a@b.example".into(),
        vapid_private_key: Secret::new("very private again"),
        allow_private_networks: true,
        ca: Some("CA".into()),
        rate_per_second: 3,
    });
    settings
}

fn wns(auth: WnsAuth) -> WnsAccount {
    WnsAccount {
        auth,
        client_id: "app".into(),
        client_secret: Secret::new("very private as well"),
        token_endpoint: "https://login.example/{tenant_id}".into(),
        allowed_hosts: vec!["*.notify.windows.com".into(), "localhost:8445".into()],
        ca: Some("CA".into()),
        rate_per_second: 5,
    }
}

#[test]
fn settings_read_back_and_no_secret_rests_in_the_clear() {
    let (vault, demo) = (vault("01", &[]), HubName::parse("demo").unwrap());
    let settings = settings();
    let live = HubSettings { wns: Some(wns(WnsAuth::Live)), ..settings.clone() };
    let stored = write(&vault, &demo, &live).unwrap();
    assert!(read(&vault, &demo, &stored).unwrap().0.same_as(&live));
    let stored = write(&vault, &demo, &settings).unwrap();
    let text = String::from_utf8(stored.clone()).unwrap();
    assert!(!text.contains("very private"));
    assert!(settings.keys.iter().flat_map(AccessRule::keys).all(|key| !text.contains(key.expose())));
    let (read_back, stale) = read(&vault, &demo, &stored).unwrap();
    assert!(read_back.same_as(&settings) && !stale);
}

#[test]
fn another_hub_or_key_opens_nothing_and_a_previous_key_is_stale() {
    let demo = HubName::parse("demo").unwrap();
    let stored = write(&vault("01", &[]), &demo, &settings()).unwrap();
    let error = read(&vault("01", &[]), &HubName::parse("Demo").unwrap(), &stored).unwrap_err();
    assert!(matches!(error, UnreadableHub::Sealed { source: SealError::Refused, .. }), "{error}");
    let error = read(&vault("02", &[]), &demo, &stored).unwrap_err();
    assert!(matches!(error, UnreadableHub::Sealed { source: SealError::UnknownKey, .. }), "{error}");
    assert!(read(&vault("02", &["01"]), &demo, &stored).unwrap().1);
    assert!(read(&vault("01", &[]), &demo, b"{").is_err());
}
