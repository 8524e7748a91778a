use proptest::prelude::*;
use serde_json::json;

use super::filter::{self, Handle};
use super::*;
use crate::model::id::{InstallationId, Seq};
use crate::model::installation::InstallationLimits;
use crate::model::platform::Platform;
use crate::model::xml;

const NOW: Timestamp = Timestamp::from_millis(1_769_941_800_000);
const TOKEN: &str = "00FC13ADFF785122B4AD28809A3420982341241421348097878E577C991DE8F0";

fn try_read(document: &str) -> Result<Draft, FieldError> {
    read(document.as_bytes(), &InstallationLimits { tags: 3, tag_length: 10, templates: 1 }, NOW)
}

fn id() -> RegistrationId {
    RegistrationId::parse("11-22-1").unwrap()
}

fn read_one(document: &str) -> Registration {
    try_read(document).unwrap_or_else(|error| panic!("{error}: {document}")).named(id())
}

fn described(root: &str, elements: &str) -> String {
    format!(
        "<{root} xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" \
         xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\">{elements}</{root}>"
    )
}

fn entry_of(description: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<entry xmlns=\"http://www.w3.org/2005/Atom\">\n  \
         <updated>2026-01-05T10:00:00Z</updated><title>x</title><content type=\"text/xml\">\n{description}\n</content></entry>"
    )
}

/// What stands between the header of the description and its end.
fn elements(registration: &Registration) -> String {
    let line = line(registration, 7);
    let (_, inner) = line.split_once('>').unwrap();
    let (inner, _) = inner.rsplit_once("</").unwrap();
    inner.to_owned()
}

/// One row of table 2.3.2 each: what a client may write, and what it reads.
#[test]
fn every_platform_reads_and_writes_its_elements_in_their_order() {
    let json = r#"{"a":"$(b)"}"#;
    let body = format!("<BodyTemplate>{}</BodyTemplate>", xml::escaped(json));
    let named = "<TemplateName>t</TemplateName>";
    let headers = |list: &str, one: &str, name: &str, value: &str| {
        format!("<{list}><{one}><Header>{name}</Header><Value>{value}</Value></{one}></{list}>")
    };
    let wns = headers("WnsHeaders", "WnsHeader", "X-WNS-Type", "wns/raw");
    let mpns = headers("MpnsHeaders", "MpnsHeader", "X-NotificationClass", "3");
    let apns = headers("ApnsHeaders", "ApnsHeader", "apns-push-type", "alert");
    let uri = "<ChannelUri>https://w.example/x</ChannelUri>";
    let tile = "<SecondaryTileName>t1</SecondaryTileName>";
    let browser = "<Endpoint>https://p.example/x</Endpoint><P256DH>BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4</P256DH><Auth>BTBZMqHH6r4Tts7J_aSIgg</Auth>";
    let baidu = "<BaiduUserId>12</BaiduUserId><BaiduChannelId>34</BaiduChannelId>";
    for (stem, word, handles, additional) in [
        (
            "Apple",
            "apns",
            format!("<DeviceToken>{TOKEN}</DeviceToken>"),
            format!("{body}<Expiry>2027-01-01T00:00:00Z</Expiry>{named}<Priority>10</Priority>{apns}"),
        ),
        ("FcmV1", "fcmv1", "<FcmV1RegistrationId>f</FcmV1RegistrationId>".to_owned(), format!("{body}{named}")),
        ("Gcm", "gcm", "<GcmRegistrationId>g</GcmRegistrationId>".to_owned(), format!("{body}{named}")),
        ("Windows", "wns", format!("{uri}{tile}"), format!("{body}{wns}{named}")),
        ("Mpns", "mpns", format!("{uri}{tile}"), format!("{body}{mpns}{named}")),
        ("Adm", "adm", "<AdmRegistrationId>a</AdmRegistrationId>".to_owned(), format!("{body}{named}")),
        ("Baidu", "baidu", baidu.to_owned(), format!("{body}{named}<MessageType>1</MessageType>")),
        ("Browser", "browser", browser.to_owned(), format!("{body}{named}")),
        ("Xiaomi", "xiaomi", "<XiaomiRegistrationId>x</XiaomiRegistrationId>".to_owned(), format!("{body}{named}")),
    ] {
        let base = "<ETag>7</ETag><ExpirationTime>9999-12-31T23:59:59.999Z</ExpirationTime>\
                    <RegistrationId>11-22-1</RegistrationId><Tags>b,a</Tags>\
                    <PushVariables>{\"v\":\"1\"}</PushVariables>";
        for (root, rest) in [
            (format!("{stem}RegistrationDescription"), handles.clone()),
            (format!("{stem}TemplateRegistrationDescription"), format!("{handles}{additional}")),
        ] {
            let written = format!("{base}{rest}");
            // As it is written it is read, alone and in an entry, with its own root and with `i:type`, in any order.
            let plain = described(&root, &written);
            let typed = plain
                .replacen(&format!("<{root}"), &format!("<RegistrationDescription i:type=\"{root}\""), 1)
                .replace(&format!("</{root}>"), "</RegistrationDescription>");
            let backwards: String = {
                let tree = xml::parse_text(&plain).unwrap();
                tree.children.iter().rev().fold(String::new(), |mut out, child| {
                    let start = written.find(&format!("<{}>", child.name)).unwrap();
                    let end = written.find(&format!("</{}>", child.name)).unwrap() + child.name.len() + 3;
                    out.push_str(&written[start..end]);
                    out
                })
            };
            for document in
                [plain.clone(), typed.clone(), entry_of(&plain), entry_of(&typed), described(&root, &backwards)]
            {
                let registration = read_one(&document);
                assert_eq!(registration.platform.as_str(), word, "{root}");
                assert_eq!(elements(&registration), written, "{document}");
            }
        }
    }
}

#[test]
fn the_entry_has_the_shape_of_the_field() {
    let document_ = described(
        "AppleRegistrationDescription",
        &format!("<Tags>news, city.paris ,,news</Tags><DeviceToken>{}</DeviceToken>", TOKEN.to_lowercase()),
    );
    let registration = read_one(&document_);
    let links = Links { hub: "https://push.example.net/hub1".to_owned(), version: "2020-06".to_owned() };
    let at = Timestamp::parse("2026-01-05T10:00:00.123Z").unwrap();
    let expected = format!(
        "<entry a:etag=\"W/&quot;1&quot;\" xmlns=\"http://www.w3.org/2005/Atom\" \
         xmlns:a=\"http://schemas.microsoft.com/ado/2007/08/dataservices/metadata\">\
         <id>https://push.example.net/hub1/registrations/11-22-1?api-version=2020-06</id>\
         <title type=\"text\">11-22-1</title><published>2026-01-05T10:00:00Z</published>\
         <updated>2026-01-05T10:00:00Z</updated>\
         <link rel=\"self\" href=\"https://push.example.net/hub1/registrations/11-22-1?api-version=2020-06\"/>\
         <content type=\"application/xml\"><AppleRegistrationDescription \
         xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\" \
         xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\"><ETag>1</ETag>\
         <ExpirationTime>9999-12-31T23:59:59.999Z</ExpirationTime><RegistrationId>11-22-1</RegistrationId>\
         <Tags>news,city.paris</Tags><DeviceToken>{TOKEN}</DeviceToken></AppleRegistrationDescription></content></entry>"
    );
    assert_eq!(document(&registration, 1, at, &links), expected);
    let fed = feed("Registrations", &links.to("registrations"), Some("https://x/?a=1&b=2"), at, &expected);
    assert!(
        fed.starts_with("<feed xmlns=\"http://www.w3.org/2005/Atom\"><title type=\"text\">Registrations</title><id>")
    );
    assert!(
        fed.contains("<link rel=\"next\" href=\"https://x/?a=1&amp;b=2\"/><entry ") && fed.ends_with("</entry></feed>")
    );
    assert_eq!(xml::parse_text(&fed).unwrap().children.len(), 6);
}

#[test]
fn nothing_empty_and_nothing_nil_is_written() {
    let windows = "<ChannelUri>https://w.example/x</ChannelUri>\
                   <BodyTemplate> <![CDATA[<toast><a>$(b)</a>]]]]><![CDATA[></toast>]]> </BodyTemplate>";
    let document_ = described(
        "WindowsTemplateRegistrationDescription",
        &format!(
            "<Tags/><RegistrationId i:nil=\"true\"/><ETag>5</ETag><ExpirationTime>2020-01-01T00:00:00.000Z</ExpirationTime>{windows}"
        ),
    );
    let registration = read_one(&document_);
    assert_eq!(registration.expires, None, "one that is over means nothing");
    let template = registration.template.as_ref().unwrap();
    assert_eq!(template.template.headers["X-WNS-Type"], "wns/toast", "told by the root element");
    let written = elements(&registration);
    assert!(!written.contains("<Tags") && !written.contains("nil") && !written.contains("TemplateName"), "{written}");
    let toast = described(
        "WindowsTemplateRegistrationDescription",
        "<ExpirationTime>2027-01-01T00:00:00.000Z</ExpirationTime><ChannelUri>https://w.example/x</ChannelUri>\
         <BodyTemplate>{\"a\":1}\n</BodyTemplate><WnsHeaders><WnsHeader><Header>x-wns-type</Header><Value>wns/raw</Value></WnsHeader></WnsHeaders>",
    );
    let registration = read_one(&toast);
    assert_eq!(registration.expires, Timestamp::parse("2027-01-01T00:00:00Z"));
    assert!(!line(&registration, 1).contains('\n'));
}

/// The rules of 2.3 and 4.5 that a document may break, each with the element that is named.
#[test]
fn every_broken_document_names_its_element() {
    let apple =
        |rest: &str| described("AppleRegistrationDescription", &format!("<DeviceToken>{TOKEN}</DeviceToken>{rest}"));
    let template = |stem: &str, rest: &str| described(&format!("{stem}TemplateRegistrationDescription"), rest);
    let uri = "<ChannelUri>https://w.example/x</ChannelUri>";
    for (document, field) in [
        ("<x/>".to_owned(), "content"),
        ("<entry/>".to_owned(), "content"),
        ("<entry><content/></entry>".to_owned(), "content"),
        ("<RegistrationDescription i:type=\"Pager\"/>".to_owned(), "content"),
        ("junk".to_owned(), "body"),
        (described("AppleRegistrationDescription", ""), "DeviceToken"),
        (described("AppleRegistrationDescription", "<DeviceToken>zz</DeviceToken>"), "DeviceToken"),
        (described("WindowsRegistrationDescription", "<ChannelUri>http://w.example/</ChannelUri>"), "ChannelUri"),
        (
            described("BrowserRegistrationDescription", "<Endpoint>https://p.example/</Endpoint><Auth>A</Auth>"),
            "P256DH",
        ),
        (described("BaiduRegistrationDescription", "<BaiduUserId>1</BaiduUserId>"), "BaiduChannelId"),
        (
            described(
                "BaiduRegistrationDescription",
                "<BaiduUserId>1-2</BaiduUserId><BaiduChannelId>3</BaiduChannelId>",
            ),
            "BaiduUserId",
        ),
        (apple("<Tags>$UserId:{a}</Tags>"), "Tags"),
        (apple("<Tags>a b</Tags>"), "Tags"),
        (apple("<Tags>a,b,c,d</Tags>"), "Tags"),
        (apple("<Tags>12345678901</Tags>"), "Tags"),
        (apple("<Tags>a</Tags><Tags>b</Tags>"), "Tags"),
        (apple("<PushVariables>{\"a\":1}</PushVariables>"), "PushVariables"),
        (apple("<SecondaryTileName>t</SecondaryTileName>"), "SecondaryTileName"),
        (apple("<BodyTemplate>{}</BodyTemplate>"), "BodyTemplate"),
        (template("Apple", &format!("<DeviceToken>{TOKEN}</DeviceToken>")), "BodyTemplate"),
        (template("Gcm", "<GcmRegistrationId>g</GcmRegistrationId><BodyTemplate>[]</BodyTemplate>"), "BodyTemplate"),
        (template("Gcm", "<GcmRegistrationId>g</GcmRegistrationId><BodyTemplate>{</BodyTemplate>"), "BodyTemplate"),
        (
            template(
                "Gcm",
                &format!(
                    "<GcmRegistrationId>g</GcmRegistrationId><BodyTemplate>{{}}</BodyTemplate><TemplateName>{}</TemplateName>",
                    "x".repeat(201)
                ),
            ),
            "TemplateName",
        ),
        (template("Windows", &format!("{uri}<BodyTemplate>&lt;other/&gt;</BodyTemplate>")), "WnsHeaders"),
        (template("Windows", &format!("{uri}<BodyTemplate>&lt;toast&gt;</BodyTemplate>")), "BodyTemplate"),
        (template("Mpns", &format!("{uri}<BodyTemplate>&lt;other/&gt;</BodyTemplate>")), "MpnsHeaders"),
        (
            template(
                "Apple",
                &format!("<DeviceToken>{TOKEN}</DeviceToken><BodyTemplate>{{}}</BodyTemplate><Expiry>soon</Expiry>"),
            ),
            "Expiry",
        ),
        (
            template(
                "Apple",
                &format!(
                    "<DeviceToken>{TOKEN}</DeviceToken><BodyTemplate>{{}}</BodyTemplate><ApnsHeaders><ApnsHeader><Header>other</Header><Value>1</Value></ApnsHeader></ApnsHeaders>"
                ),
            ),
            "ApnsHeaders",
        ),
        (
            template(
                "Apple",
                &format!(
                    "<DeviceToken>{TOKEN}</DeviceToken><BodyTemplate>{{}}</BodyTemplate><ApnsHeaders><ApnsHeader><Header>apns-expiration</Header><Value>x</Value></ApnsHeader></ApnsHeaders>"
                ),
            ),
            "ApnsHeaders",
        ),
        (
            template(
                "Baidu",
                "<BaiduUserId>1</BaiduUserId><BaiduChannelId>2</BaiduChannelId><BodyTemplate>{}</BodyTemplate><MessageType>x</MessageType>",
            ),
            "MessageType",
        ),
    ] {
        assert_eq!(try_read(&document).unwrap_err().field, field, "{document}");
    }
    let reserved = try_read(&apple("<Tags>$InstallationId:{a}</Tags>")).unwrap_err();
    assert_eq!(reserved.to_string(), "Tags can not start with $");
}

#[test]
fn an_fcm_registration_is_a_gcm_one() {
    let document = described(
        "FcmTemplateRegistrationDescription",
        "<FcmRegistrationId>f</FcmRegistrationId><BodyTemplate>{}</BodyTemplate>",
    );
    let registration = read_one(&document);
    assert_eq!(registration.platform, PlatformWord::Gcm);
    assert!(line(&registration, 1).contains("<GcmRegistrationId>f</GcmRegistrationId>"));
}

#[test]
fn ids_have_an_alphabet_and_those_of_targets_a_form() {
    assert!(RegistrationId::parse("123-234-1").is_ok() && RegistrationId::parse("a.B_9").is_ok());
    for bad in ["", "a/b", "a b", "ä", &"x".repeat(129)] {
        assert!(RegistrationId::parse(bad).is_err(), "{bad}");
    }
    let made = RegistrationId::random();
    assert_eq!((made.target(), RegistrationId::parse(made.as_str())), (None, Ok(made.clone())));
    assert_ne!(made, RegistrationId::random());
    for seq in [0, 7, Seq::END - 1] {
        assert_eq!(RegistrationId::of_target(Seq(seq)).target(), Some(Seq(seq)));
    }
    for other in ["0-07-0", "0--0", "1-7-0", "0-7-1", &format!("0-{}-0", Seq::END)] {
        assert_eq!(RegistrationId::parse(other).unwrap().target(), None, "{other}");
    }
    let installation = Registrant::Installation(InstallationId::parse("1-2-1").unwrap());
    let registration = Registrant::Registration(RegistrationId::parse("1-2-1").unwrap());
    for registrant in [installation, registration] {
        assert_eq!(Registrant::of_key(&registrant.key()), Some(registrant));
    }
}

#[test]
fn targets_of_an_installation_look_as_the_field_shows_them() {
    let document = json!({
        "installationId": "dev-1", "userId": "u42", "platform": "apns", "pushChannel": TOKEN, "tags": ["news"],
        "pushVariables": {"v": "1"}, "templates": {"My Alert": {"body": "{}", "tags": ["x"]}},
    });
    let installation =
        Installation::parse(document.to_string().as_bytes(), None, &InstallationLimits::default()).unwrap();
    let targets = installation.targets();
    let shown = |at: usize| {
        elements(&Registration::of_installation(&installation, &targets[at], RegistrationId::of_target(Seq(5))))
    };
    assert!(shown(0).contains("<Tags>$InstallationId:{dev-1},$UserId:{u42},news</Tags>"), "{}", shown(0));
    assert!(shown(1).contains("<Tags>$InstallationId:{dev-1},$UserId:{u42},news,x,My Alert</Tags>"), "{}", shown(1));
    assert!(shown(1).contains("<TemplateName>My Alert</TemplateName>") && shown(1).contains("<RegistrationId>0-5-0<"));
}

#[test]
fn the_stored_form_comes_back() {
    let documents = [
        described(
            "BrowserRegistrationDescription",
            "<Tags>a</Tags><Endpoint>https://p.example/x</Endpoint><P256DH>BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4</P256DH><Auth>BTBZMqHH6r4Tts7J_aSIgg</Auth>",
        ),
        described(
            "BaiduTemplateRegistrationDescription",
            "<BaiduUserId>1</BaiduUserId><BaiduChannelId>2</BaiduChannelId><BodyTemplate>{}</BodyTemplate><MessageType>1</MessageType>",
        ),
        described(
            "MpnsRegistrationDescription",
            "<ChannelUri>https://w.example/x</ChannelUri><SecondaryTileName>t</SecondaryTileName>",
        ),
    ];
    for document in &documents {
        let written = read_one(document);
        let bytes = written.stored_form(3);
        assert!(is_stored(&bytes));
        assert_eq!(Registration::from_stored(&bytes, None).unwrap(), (written, 3));
    }
    assert!(!is_stored(br#"{"installationId":"a"}"#));
    // The kind of Baidu's messages was kept apart once.
    let baidu = read_one(&documents[1]).stored_form(3);
    let header = br#""headers":{"x-baidu-message-type":"1"}"#;
    let text = String::from_utf8(baidu).unwrap();
    let once = text.replace(std::str::from_utf8(header).unwrap(), r#""messageType":"1""#);
    assert_ne!(once, text);
    assert_eq!(Registration::from_stored(once.as_bytes(), None).unwrap().0, read_one(&documents[1]));
}

/// Every row of the table of filters in 2.4.
#[test]
fn every_client_is_understood_when_it_asks_for_a_channel() {
    let apns: Box<[u8]> = hex::decode(TOKEN).unwrap().into();
    let is = |platform, channel: &[u8]| Handle { platform, channel: channel.into() };
    let browser = json!({"auth": "BTBZMqHH6r4Tts7J_aSIgg", "endpoint": "https://p.example/x?a=1", "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"}).to_string();
    let all = |channel: &str| {
        let platforms =
            [Platform::Fcm, Platform::Wns, Platform::Adm, Platform::Baidu, Platform::Xiaomi, Platform::Mpns];
        let kept = platforms
            .into_iter()
            .filter(|it| channel.starts_with("https") || !matches!(it, Platform::Wns | Platform::Mpns));
        kept.map(|platform| is(platform, channel.as_bytes())).collect::<Vec<_>>()
    };
    for (filter, expected) in [
        ("ChannelUri eq 'https://w.example/x'".to_owned(), all("https://w.example/x")),
        ("channeluri eq 'it''s'".to_owned(), all("it's")),
        (format!("DeviceToken eq '{TOKEN}'"), vec![is(Platform::Apns, &apns)]),
        (format!("deviceToken eq '{}'", TOKEN.to_lowercase()), vec![is(Platform::Apns, &apns)]),
        ("GcmRegistrationId eq 'g'".to_owned(), vec![is(Platform::Fcm, b"g")]),
        ("FcmV1RegistrationId eq 'f'".to_owned(), vec![is(Platform::Fcm, b"f")]),
        ("AdmRegistrationId eq 'a'".to_owned(), vec![is(Platform::Adm, b"a")]),
        (
            "Endpoint eq 'https%3A%2F%2Fp.example%2Fx%3Fa%3D1' and P256DH eq 'BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4' and Auth eq 'BTBZMqHH6r4Tts7J_aSIgg'".to_owned(),
            vec![is(Platform::WebPush, browser.as_bytes())],
        ),
        ("BaiduChannelId eq c' and BaiduUserId eq 'u'".to_owned(), vec![is(Platform::Baidu, b"u-c")]),
        ("BaiduUserId-BaiduChannelId eq 'u-c'".to_owned(), vec![is(Platform::Baidu, b"u-c")]),
    ] {
        assert_eq!(filter::parse(&filter).unwrap(), expected, "{filter}");
    }
    let any = filter::parse(&format!("ChannelUri eq '{TOKEN}'")).unwrap();
    assert!(any.contains(&is(Platform::Apns, &apns)) && any.len() == 5, "{any:?}");
    // As it is, and decoded once more.
    let both = filter::parse("ChannelUri eq 'https%3A%2F%2Fw.example%2Fx'").unwrap();
    assert!(both.contains(&is(Platform::Wns, b"https://w.example/x")), "{both:?}");
    for other in [
        "",
        "x",
        "Tags eq 'a'",
        "DeviceToken ne 'a'",
        "DeviceToken eq 'a",
        "GcmRegistrationId eq 'a' or x eq 'b'",
        "P256DH eq 'B'",
    ] {
        assert_eq!(filter::parse(other).unwrap_err().field, "$filter", "{other}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = read(&bytes, &InstallationLimits::default(), NOW);
        let _ = filter::parse(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_filter_gives_an_answer(text in "(DeviceToken|ChannelUri|Endpoint|and|eq|'| |%|a){0,12}") {
        let _ = filter::parse(&text);
    }

    #[test]
    fn what_is_written_is_read(
        tags in proptest::collection::vec("[a-z0-9_@#.:-]{1,8}", 0..3),
        name in "[^/\\p{C}]{0,12}",
        text in "\\PC{0,20}",
        variables in proptest::collection::btree_map("[a-z]{1,5}", "\\PC{0,5}", 0..3),
        etag in 1_u64..,
    ) {
        let registration = Registration {
            id: id(),
            platform: PlatformWord::FcmV1,
            channel: Channel::parse(Platform::Fcm, json!("t")).unwrap(),
            tile: None,
            tags: Vec::new(),
            push_variables: variables,
            expires: None,
            template: Some(OneTemplate {
                name: name.trim().to_owned(),
                // Not as an expression begins: those are looked at.
                template: Template { body: json!({"a": format!("={text}")}).to_string(), ..Template::default() },
                priority: None,
            }),
        };
        let mut kept: Vec<Tag> = Vec::new();
        for tag in tags.iter().map(|tag| Tag::from_template_name(tag)) {
            if !kept.contains(&tag) {
                kept.push(tag);
            }
        }
        let registration = Registration { tags: kept, ..registration };
        let draft = try_read(&line(&registration, etag)).unwrap();
        prop_assert_eq!(draft.id.as_deref(), Some("11-22-1"));
        prop_assert_eq!(draft.named(id()), registration.clone());
        prop_assert_eq!(Registration::from_stored(&registration.stored_form(etag), None).unwrap(), (registration, etag));
    }
}
