use http::{HeaderName, HeaderValue};
use proptest::prelude::*;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_bytes(value.as_bytes()).unwrap())
    };
    pairs.iter().map(pair).collect()
}

fn asked(pairs: &[(&str, &str)], body: &str) -> Result<Asked, String> {
    let limits = AudienceLimits::default();
    read(&headers(pairs), body.as_bytes(), None, None, NOW, &limits).map_err(|error| error.inner_text())
}

fn raw(asked: Asked) -> Raw {
    match asked.request.content {
        Content::Raw(raw) => raw,
        other => panic!("{other:?}"),
    }
}

#[test]
fn each_word_is_a_platform() {
    for (word, platform, body) in [
        ("apple", Platform::Apns, "{\"aps\":{}}"),
        ("Apple", Platform::Apns, "{\"aps\":{}}"),
        ("fcmV1", Platform::Fcm, "{\"message\":{\"data\":{}}}"),
        ("gcm", Platform::Fcm, "{\"data\":{}}"),
        ("windows", Platform::Wns, "<toast/>"),
        ("windowsphone", Platform::Mpns, "<x/>"),
        ("adm", Platform::Adm, "{\"data\":{}}"),
        ("baidu", Platform::Baidu, "{\"description\":\"x\"}"),
        ("browser", Platform::WebPush, "{\"title\":\"x\"}"),
        ("xiaomi", Platform::Xiaomi, "{\"a\":1}"),
    ] {
        let raw = raw(asked(&[(FORMAT, word)], body).unwrap());
        assert_eq!((raw.platform, raw.format), (platform, word.to_ascii_lowercase()), "{word}");
    }
    for word in ["nokiax", "", "apns"] {
        assert!(asked(&[(FORMAT, word)], "{}").unwrap_err().starts_with(FORMAT), "{word}");
    }
}

#[test]
fn a_toast_does_not_claim_another_encoding_than_its_own() {
    let declared = "<?xml version=\"1.0\" encoding=\"utf-16\"?>\r\n<toast/>";
    let other = "<?xml version=\"1.0\" encoding=\"utf-8\"?><toast/>";
    for (kind, body, sent) in [
        (&[][..], declared, "<toast/>"),
        (&[("X-WNS-Type", "wns/toast")], declared, "<toast/>"),
        (&[("X-WNS-Type", "wns/raw")], declared, declared),
        (&[], other, other),
        (&[], "<toast/>", "<toast/>"),
    ] {
        let given = [&[(FORMAT, "windows")], kind].concat();
        assert_eq!(raw(asked(&given, body).unwrap()).body, sent);
    }
}

#[test]
fn without_a_format_it_is_a_template_send() {
    let asked = asked(&[(TAGS, "a && !b")], r#"{"msg":"x","n":7,"yes":true,"no":null}"#).unwrap();
    let properties = [("msg", "x"), ("n", "7"), ("yes", "true")].map(|(name, text)| (name.to_owned(), text.to_owned()));
    assert_eq!(asked.request.content, Content::Template(properties.into()));
    assert_eq!((asked.request.audience.as_str(), asked.request.lane), ("a && !b", Lane::Bulk));
}

#[test]
fn the_properties_of_a_template_send_keep_the_rules() {
    let named = |name: &str| format!("{{\"{name}\":\"x\"}}");
    for (body, rule) in [
        (named(""), "body must have names of 1 to 120"),
        (named(&"n".repeat(121)), "body must have names of 1 to 120"),
        (r#"{"MSG":"x","msg":"y"}"#.to_owned(), "body.msg must not stand twice"),
        (named(&"n".repeat(10)).replace('x', &"x".repeat(65_527)), "body must not have more than 65536 bytes"),
        (r#"{"a":[1]}"#.to_owned(), "body.a must be a string"),
    ] {
        let told = asked(&[], &body).unwrap_err();
        assert!(told.contains(rule), "{told}");
    }
    assert!(asked(&[], &named(&"n".repeat(120))).is_ok());
}

#[test]
fn who_gets_it_is_said_clearly_or_not_at_all() {
    assert_eq!(asked(&[], "{}").unwrap().audience, Audience::Everyone);
    for blank in ["", " ", "\t"] {
        assert!(asked(&[(TAGS, blank)], "{}").unwrap_err().contains("must not be blank"), "{blank:?}");
    }
    assert!(asked(&[(TAGS, "a ||")], "{}").unwrap_err().contains("is no tag expression"));
    assert!(asked(&[(TAGS, "größe || 日本")], "{}").is_ok());
    for (tags, lane) in [
        ("$UserId:{u1}", Lane::Transactional),
        ("$InstallationId:{d1} || $UserId:u2", Lane::Transactional),
        ("$UserId:{u1} || news", Lane::Bulk),
    ] {
        assert_eq!(asked(&[(TAGS, tags)], "{}").unwrap().request.lane, lane, "{tags}");
    }
}

#[test]
fn a_bad_body_is_refused_with_its_rule() {
    for (format, body, rule) in [
        ("apple", "", "body must not be empty"),
        ("apple", "[]", "body must be a JSON object"),
        ("apple", "{\"a\":", "body must be a JSON object"),
        ("fcmv1", "{\"data\":{}}", "body must have the member message"),
        ("windowsphone", "<a>", "body must be a well-formed XML document"),
        ("template", "{\"a\":{}}", "body.a must be a string"),
        ("template", "{\"a\":\"\"\"}", "body must be a JSON object"),
    ] {
        let told = asked(&[(FORMAT, format)], body).unwrap_err();
        assert!(told.starts_with(rule), "{format} {body}: {told}");
    }
    let limits = AudienceLimits::default();
    assert!(read(&headers(&[(FORMAT, "apple")]), b"\xff", None, None, NOW, &limits).is_err());
}

#[test]
fn a_message_loses_a_target_of_its_own() {
    let body = r#"{"message":{"token":"t","topic":"x","notification":{"title":"a"}}}"#;
    assert_eq!(raw(asked(&[(FORMAT, "fcmv1")], body).unwrap()).body, r#"{"notification":{"title":"a"}}"#);
}

#[test]
fn fields_of_the_service_pass_and_others_do_not() {
    let apple = [
        (FORMAT, "apple"),
        ("apns-push-type", "voip"),
        ("APNS-Priority", "5"),
        ("apns-id", "x"),
        ("x-wns-type", "wns/raw"),
        ("content-type", "application/json;charset=utf-8"),
    ];
    let passed = raw(asked(&apple, "{\"aps\":{}}").unwrap()).headers;
    let expected = [("apns-priority", "5"), ("apns-push-type", "voip")];
    assert_eq!(passed, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let windows = [(FORMAT, "windows"), ("X-WNS-Tag", "t"), ("apns-topic", "x"), ("X-Other", "y")];
    assert_eq!(raw(asked(&windows, "<toast/>").unwrap()).headers.into_keys().collect::<Vec<_>>(), ["x-wns-tag"]);
    let phone = [(FORMAT, "windowsphone"), ("X-WindowsPhone-Target", "tile"), ("X-NotificationClass", "1")];
    assert_eq!(raw(asked(&phone, "<a/>").unwrap()).headers["x-windowsphone-target"], "token");
    let old = [(FORMAT, "apple"), ("X-Apns-Priority", "10")];
    assert_eq!(raw(asked(&old, "{\"aps\":{}}").unwrap()).headers["apns-priority"], "10");
}

#[test]
fn every_form_of_an_expiry_is_one_moment() {
    for text in [
        "2027-01-15T20:00:00Z",
        "2027-01-15T20:00:00",
        "2027-01-15T21:00:00+01:00",
        "01/15/2027 20:00:00",
        "1/15/2027 8:00:00 PM",
    ] {
        let sent = asked(&[(FORMAT, "apple"), (APNS_EXPIRY, text)], "{\"aps\":{}}").unwrap();
        assert_eq!(raw(sent).headers[APNS_EXPIRATION], "1800043200", "{text}");
    }
    // A client that writes the hour of the afternoon as one of the morning gets what it wrote.
    assert_eq!(date("01/15/2027 08:00:00"), Timestamp::parse("2027-01-15T08:00:00Z"));
    assert_eq!(date("01/15/2027 12:00:00 AM"), Timestamp::parse("2027-01-15T00:00:00Z"));
    for bad in ["soon", "15/01/2027 08:00:00", "01/15/2027", "01/15/2027 08:00:00 XX", "01/15/2027 25:00:00"] {
        assert!(asked(&[(FORMAT, "apple"), (APNS_EXPIRY, bad)], "{\"aps\":{}}").is_err(), "{bad}");
    }
}

#[test]
fn a_life_is_what_the_service_is_told() {
    let life = |format: &str, name: &str, value: &str, body: &str| {
        asked(&[(FORMAT, format), (name, value)], body).unwrap().request.ttl_seconds
    };
    let end = (NOW.millis() / 1_000 + 600).to_string();
    assert_eq!(life("apple", APNS_EXPIRATION, &end, "{\"aps\":{}}"), 600);
    assert_eq!(life("apple", APNS_EXPIRATION, "0", "{\"aps\":{}}"), DAY);
    assert_eq!(life("windows", "X-WNS-TTL", "90", "<toast/>"), 90);
    assert_eq!(life("browser", "TTL", "99999999", "x"), LONGEST_TTL_SECONDS);
    assert_eq!(life("apple", "x-none", "1", "{\"aps\":{}}"), DAY);
}

#[test]
fn a_direct_send_has_no_audience_and_no_template() {
    let limits = AudienceLimits::default();
    let direct = |pairs: &[(&str, &str)]| {
        let handles = vec![Channel::handle(Platform::Apns, "aabb".into()).unwrap()];
        read(&headers(pairs), b"{\"aps\":{}}", Some(handles), None, NOW, &limits)
    };
    let sent = direct(&[(FORMAT, "apple")]).unwrap().request;
    assert_eq!((sent.lane, sent.content.handles().map(<[_]>::len)), (Lane::Transactional, Some(1)));
    assert!(direct(&[(FORMAT, "apple"), (TAGS, "a")]).is_err());
    assert!(direct(&[]).is_err());
}

proptest! {
    #[test]
    fn no_date_panics(text in "[0-9/: APMT-]{0,24}") {
        let _ = date(&text);
    }

    #[test]
    fn no_body_panics(word in prop::sample::select(vec!["apple", "fcmv1", "gcm", "windows", "windowsphone", "template"]), body in "\\PC{0,60}") {
        let _ = asked(&[(FORMAT, word)], &body);
    }
}
