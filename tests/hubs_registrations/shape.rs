//! The shape of registrations: as they are written (checklist 8), and as they are taken (checklist 9).

use crate::atom::entry;
use crate::client::Client;
use crate::world::{TOKEN, World, text_of};

/// Type, elements of its handle, and those of its templates between the body and the end, of every platform: as they are
/// answered, in the order of 2.3.2.
fn types() -> [(&'static str, String, &'static str); 9] {
    let headers = "<WnsHeaders><WnsHeader><Header>X-WNS-Type</Header><Value>wns/raw</Value></WnsHeader></WnsHeaders>\
                   <TemplateName>greeting</TemplateName>";
    let mpns = "<MpnsHeaders><MpnsHeader><Header>X-NotificationClass</Header><Value>3</Value></MpnsHeader></MpnsHeaders>\
                <TemplateName>greeting</TemplateName>";
    let apple = "<Expiry>2999-01-01T00:00:00Z</Expiry><TemplateName>greeting</TemplateName><Priority>5</Priority><ApnsHeaders>\
                 <ApnsHeader><Header>apns-push-type</Header><Value>alert</Value></ApnsHeader></ApnsHeaders>";
    let uri = "<ChannelUri>https://w.example/?a=1&amp;b=2</ChannelUri><SecondaryTileName>tile1</SecondaryTileName>";
    let browser = "<Endpoint>https://p.example/x</Endpoint><P256DH>BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4</P256DH><Auth>BTBZMqHH6r4Tts7J_aSIgg</Auth>";
    let name = "<TemplateName>greeting</TemplateName>";
    [
        ("Apple", format!("<DeviceToken>{TOKEN}</DeviceToken>"), apple),
        ("FcmV1", "<FcmV1RegistrationId>f</FcmV1RegistrationId>".to_owned(), name),
        ("Gcm", "<GcmRegistrationId>g</GcmRegistrationId>".to_owned(), name),
        ("Windows", uri.to_owned(), headers),
        ("Mpns", uri.to_owned(), mpns),
        ("Adm", "<AdmRegistrationId>a</AdmRegistrationId>".to_owned(), name),
        (
            "Baidu",
            "<BaiduUserId>1</BaiduUserId><BaiduChannelId>2</BaiduChannelId>".to_owned(),
            "<TemplateName>greeting</TemplateName><MessageType>1</MessageType>",
        ),
        ("Browser", browser.to_owned(), name),
        ("Xiaomi", "<XiaomiRegistrationId>x</XiaomiRegistrationId>".to_owned(), name),
    ]
}

const BODY: &str = "<BodyTemplate><![CDATA[{\"a\":\"{$(b) + ' & <c>'}\"}]]></BodyTemplate>";
const PHONE: &str = "<Notification xmlns=\"WPNotification\"><Toast/></Notification>";
const PHONE_HEADERS: &str = "<MpnsHeaders><MpnsHeader><Header>X-NotificationClass</Header><Value>2</Value></MpnsHeader>\
                             <MpnsHeader><Header>X-WindowsPhone-Target</Header><Value>toast</Value></MpnsHeader></MpnsHeaders>";
const NAMESPACES: &str = "xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\" \
                          xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\"";
const OPTIONAL: &str = "<Tags>news,city.paris</Tags><PushVariables>{\"who\":\"Anna &amp; co\"}</PushVariables>";

/// A description as it is answered.
fn answered(kind: &str, etag: u32, elements: &str) -> String {
    format!(
        "<{kind}RegistrationDescription {NAMESPACES}><ETag>{etag}</ETag>\
         <ExpirationTime>9999-12-31T23:59:59.999Z</ExpirationTime><RegistrationId>1-2-3</RegistrationId>{elements}\
         </{kind}RegistrationDescription>"
    )
}

async fn put(client: &Client, document: &str) -> String {
    let path = "/demo/registrations/1-2-3?api-version=2020-06";
    client.send("PUT", path, &[], document.as_bytes()).await.expect(200).text().to_owned()
}

#[tokio::test]
async fn c08_entries_and_feeds_are_written_byte_for_byte() {
    let world = World::start().await;
    let mut etag = 0;
    for (kind, handle, template) in types() {
        for (kind, rest) in [(kind.to_owned(), String::new()), (format!("{kind}Template"), format!("{BODY}{template}"))]
        {
            etag += 1;
            let elements = format!("{OPTIONAL}{handle}{rest}");
            let text = put(&world.listen, &entry(&kind, &elements)).await;
            let (host, at) = (world.running.address(), text_of(&text, "updated"));
            let address = format!("https://{host}/demo/registrations/1-2-3?api-version=2020-06");
            let content = answered(&kind, etag, &elements);
            let expected = format!(
                "<entry a:etag=\"W/&quot;{etag}&quot;\" xmlns=\"http://www.w3.org/2005/Atom\" \
                 xmlns:a=\"http://schemas.microsoft.com/ado/2007/08/dataservices/metadata\"><id>{address}</id>\
                 <title type=\"text\">1-2-3</title><published>{at}</published><updated>{at}</updated>\
                 <link rel=\"self\" href=\"{address}\"/><content type=\"application/xml\">{content}</content></entry>"
            );
            assert_eq!(text, expected);
            assert!(at.len() == 20 && at.ends_with('Z'), "{at}");
            let path = "/demo/registrations?api-version=2020-06&$top=2";
            let feed = world.full.get(path).await.expect(200);
            let now = text_of(feed.text(), "updated");
            let own = format!("https://{host}/demo/registrations?api-version=2020-06&amp;%24top=2");
            let expected = format!(
                "<feed xmlns=\"http://www.w3.org/2005/Atom\"><title type=\"text\">Registrations</title><id>{own}</id>\
                 <updated>{now}</updated><link rel=\"self\" href=\"{own}\"/>{text}</feed>"
            );
            assert_eq!(feed.text(), expected);
        }
    }
    // What is not set is not there: nothing empty, nothing nil. The two lists that the .NET client requires stay.
    for (kind, handle, _) in types() {
        let handle = handle.split("<SecondaryTileName>").next().unwrap();
        let (body, lists) = match kind {
            "Windows" => (
                "<toast/>",
                "<WnsHeaders><WnsHeader><Header>X-WNS-Type</Header><Value>wns/toast</Value></WnsHeader></WnsHeaders>",
            ),
            "Mpns" => (PHONE, PHONE_HEADERS),
            _ => ("{}", ""),
        };
        let body = format!("<BodyTemplate><![CDATA[{body}]]></BodyTemplate>");
        for (kind, rest) in [(kind.to_owned(), String::new()), (format!("{kind}Template"), body + lists)] {
            etag += 1;
            let empty = "<Tags> , </Tags><PushVariables/><SecondaryTileName/><TemplateName/><Expiry/><Priority i:nil=\"true\"/>";
            let text = put(&world.listen, &entry(&kind, &format!("{empty}{handle}{}", rest.replace(lists, "")))).await;
            assert!(text.contains(&answered(&kind, etag, &format!("{handle}{rest}"))), "{text}");
        }
    }
    let none = world.full.get("/demo/tags/none/registrations").await.expect(200);
    assert!(none.text().ends_with("/></feed>") && !none.text().contains("<entry"), "{}", none.text());
}

/// Each form in which a client may write the same registration.
#[tokio::test]
async fn c09_both_roots_any_order_and_blanks_are_taken() {
    let world = World::start().await;
    let mut etag = 0;
    for (kind, handle, template) in types() {
        for (kind, rest) in [(kind.to_owned(), String::new()), (format!("{kind}Template"), format!("{BODY}{template}"))]
        {
            let elements = format!("{OPTIONAL}{handle}{rest}");
            let concrete = entry(&kind, &elements);
            let root = format!("{kind}RegistrationDescription");
            let typed = concrete
                .replace(&format!("<{root} "), &format!("<RegistrationDescription i:type=\"{root}\" "))
                .replace(&format!("</{root}>"), "</RegistrationDescription>");
            let loose = entry(&kind, &format!("{rest}{handle}{OPTIONAL}"))
                .replace("news,city.paris", "\n  news , city.paris,,news ")
                .replace("{\"a\"", " \n{\"a\"");
            let escaped = concrete
                .replace("<![CDATA[", "")
                .replace("]]>", "")
                .replace("{\"a\":\"{$(b) + ' & <c>'}\"}", "{&quot;a&quot;:&quot;{$(b) + ' &amp; &lt;c&gt;'}&quot;}");
            let repeated = concrete.replace(
                "<Tags>",
                "<ETag>77</ETag><ExpirationTime>9999-12-31T23:59:59.999</ExpirationTime><RegistrationId i:nil=\"true\"/><Tags>",
            );
            let plain = concrete.replace("application/xml", "text/xml").replacen(
                "<updated>",
                "<id>x</id><title>y</title><updated>",
                1,
            );
            // As one client writes every document: its line feeds are gone.
            let indented = concrete.replace("><", ">\n  <");
            for document in [&concrete, &typed, &loose, &escaped, &repeated, &plain, &indented] {
                etag += 1;
                let text = put(&world.listen, document).await;
                assert!(text.contains(&answered(&kind, etag, &elements)), "{document}\n{text}");
            }
        }
    }
    // An alias that two clients define.
    let fcm = entry("Fcm", "<FcmRegistrationId>f</FcmRegistrationId>");
    assert!(put(&world.listen, &fcm).await.contains("<GcmRegistrationId>f</GcmRegistrationId>"));
}
