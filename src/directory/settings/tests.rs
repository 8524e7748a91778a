use super::*;

fn account() -> ApnsAccount {
    ApnsAccount {
        endpoint: "https://api.push.apple.com".into(),
        topic: "com.example.app".into(),
        auth: ApnsAuth::Token { team_id: "T".into(), key_id: "K".into(), key: Secret::new("one") },
        ca: None,
        connections: 4,
        rate_per_second: 0,
    }
}

#[test]
fn a_pace_needs_no_new_gateway_and_a_key_does() {
    let (own, mut paced, mut rekeyed) = (account(), account(), account());
    paced.rate_per_second = 100;
    rekeyed.auth = ApnsAuth::Token { team_id: "T".into(), key_id: "K".into(), key: Secret::new("two") };
    assert!(Account::Apns(&own).same_way(Account::Apns(&paced)));
    assert!(!Account::Apns(&own).same_way(Account::Apns(&rekeyed)));
    let hub = |apns| HubSettings { apns, keys: Vec::new(), ..HubSettings::fresh().unwrap() };
    assert!(hub(Some(own.clone())).same_as(&hub(Some(account()))));
    assert!(!hub(Some(own.clone())).same_as(&hub(Some(paced))));
    assert!(!hub(Some(own)).same_as(&hub(None)));
}

#[test]
fn whatever_wns_is_told_but_the_pace_needs_a_new_gateway() {
    let own = WnsAccount {
        auth: WnsAuth::Entra { tenant_id: "contoso.com".into() },
        client_id: "app".into(),
        client_secret: Secret::new("one"),
        token_endpoint: "https://login.example/t".into(),
        allowed_hosts: vec!["*.notify.windows.com".into()],
        ca: None,
        rate_per_second: 0,
    };
    let same = |change: fn(&mut WnsAccount)| {
        let mut other = own.clone();
        change(&mut other);
        Account::Wns(&own).same_way(Account::Wns(&other))
    };
    assert!(same(|wns| wns.rate_per_second = 9));
    let changes: [fn(&mut WnsAccount); 6] = [
        |wns| wns.auth = WnsAuth::Live,
        |wns| wns.client_id.push('2'),
        |wns| wns.client_secret = Secret::new("two"),
        |wns| wns.token_endpoint.push('2'),
        |wns| wns.allowed_hosts.clear(),
        |wns| wns.ca = Some("CA".into()),
    ];
    assert!(changes.into_iter().all(|change| !same(change)));
}

#[test]
fn whatever_web_push_is_told_but_the_pace_needs_a_new_gateway() {
    let own = WebPushAccount {
        subject: "mailto:a@b.example".into(),
        vapid_private_key: Secret::new("one"),
        allow_private_networks: false,
        ca: None,
        rate_per_second: 0,
    };
    let same = |change: fn(&mut WebPushAccount)| {
        let mut other = own.clone();
        change(&mut other);
        Account::WebPush(&own).same_way(Account::WebPush(&other))
    };
    assert!(same(|web_push| web_push.rate_per_second = 9));
    let changes: [fn(&mut WebPushAccount); 4] = [
        |web_push| web_push.subject.push('2'),
        |web_push| web_push.vapid_private_key = Secret::new("two"),
        |web_push| web_push.allow_private_networks = true,
        |web_push| web_push.ca = Some("CA".into()),
    ];
    assert!(changes.into_iter().all(|change| !same(change)));
}

#[test]
fn whatever_adm_is_told_but_the_pace_needs_a_new_gateway() {
    let own = AdmAccount {
        client_id: "app".into(),
        client_secret: Secret::new("one"),
        endpoint: "https://api.amazon.com".into(),
        token_endpoint: "https://api.amazon.com/t".into(),
        ca: None,
        rate_per_second: 0,
    };
    let same = |change: fn(&mut AdmAccount)| {
        let mut other = own.clone();
        change(&mut other);
        Account::Adm(&own).same_way(Account::Adm(&other))
    };
    assert!(same(|adm| adm.rate_per_second = 9));
    let changes: [fn(&mut AdmAccount); 5] = [
        |adm| adm.client_id.push('2'),
        |adm| adm.client_secret = Secret::new("two"),
        |adm| adm.endpoint.push('2'),
        |adm| adm.token_endpoint.push('2'),
        |adm| adm.ca = Some("CA".into()),
    ];
    assert!(changes.into_iter().all(|change| !same(change)));
}

#[test]
fn whatever_baidu_is_told_but_the_pace_needs_a_new_gateway() {
    let own = BaiduAccount {
        api_key: "app".into(),
        secret_key: Secret::new("one"),
        endpoint: "https://api.tuisong.baidu.com".into(),
        ca: None,
        rate_per_second: 0,
    };
    let same = |change: fn(&mut BaiduAccount)| {
        let mut other = own.clone();
        change(&mut other);
        Account::Baidu(&own).same_way(Account::Baidu(&other))
    };
    assert!(same(|baidu| baidu.rate_per_second = 9));
    let changes: [fn(&mut BaiduAccount); 4] = [
        |baidu| baidu.api_key.push('2'),
        |baidu| baidu.secret_key = Secret::new("two"),
        |baidu| baidu.endpoint.push('2'),
        |baidu| baidu.ca = Some("CA".into()),
    ];
    assert!(changes.into_iter().all(|change| !same(change)));
}

#[test]
fn whatever_xiaomi_is_told_but_the_pace_needs_a_new_gateway() {
    let own = XiaomiAccount {
        app_secret: Secret::new("one"),
        package_name: None,
        endpoint: "https://api.xmpush.xiaomi.com".into(),
        ca: None,
        rate_per_second: 0,
    };
    let same = |change: fn(&mut XiaomiAccount)| {
        let mut other = own.clone();
        change(&mut other);
        Account::Xiaomi(&own).same_way(Account::Xiaomi(&other))
    };
    assert!(same(|xiaomi| xiaomi.rate_per_second = 9));
    let changes: [fn(&mut XiaomiAccount); 4] = [
        |xiaomi| xiaomi.app_secret = Secret::new("two"),
        |xiaomi| xiaomi.package_name = Some("com.example".into()),
        |xiaomi| xiaomi.endpoint.push('2'),
        |xiaomi| xiaomi.ca = Some("CA".into()),
    ];
    assert!(changes.into_iter().all(|change| !same(change)));
}

#[test]
fn a_fresh_hub_has_two_rules_with_four_distinct_keys() {
    let hub = HubSettings::fresh().unwrap();
    let mut keys: Vec<_> = hub.keys.iter().flat_map(AccessRule::keys).map(|key| key.expose().to_owned()).collect();
    assert!(keys.iter().all(|key| key.len() == 44));
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 4);
    assert_eq!(hub.keys[1].rights, Rights::LISTEN);
}
