//! The .NET client (checklist 18): its requests in the shapes that the spec records of them (2.3.1, 2.5, Q19–Q30), and
//! its answers read as it reads them ([`crate::reading`]).

use std::time::Duration;

use fanfare::clock::{Clock, SystemClock};

use crate::client::{Answer, Client};
use crate::reading::{self, Node, described, document};
use crate::world::{FULL, World, apple_token, encoded, token_over, windows_channel};

mod management;
mod registrations;
mod sends;

const ENTRY: (&str, &str) = ("Content-Type", "application/atom+xml; charset=utf-8; type=entry");
const VERSION: &str = "api-version=2020-06";

/// The client with the key of one rule.
struct Dotnet<'a> {
    world: &'a World,
    key: String,
}

impl<'a> Dotnet<'a> {
    async fn new(world: &'a World) -> Self {
        Self { world, key: world.key(FULL).await }
    }

    /// One attempt: a tracking id of its own, and a token for twenty minutes over the request's own address, made lower
    /// case, plain http, without port and query, with a slash at its end (1.5).
    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let bare = path.split('?').next().unwrap().trim_end_matches('/');
        let resource = format!("http://127.0.0.1{bare}/").to_lowercase();
        let resource = resource.bytes().map(encoded).collect::<String>().to_lowercase();
        let until = SystemClock.now().plus(Duration::from_secs(1_200)).millis().unsigned_abs() / 1_000;
        let token = token_over(&resource, until, FULL, &self.key);
        let tracking = uuid::Uuid::now_v7().to_string();
        let own = [
            ("TrackingId", tracking.as_str()),
            ("User-Agent", "NHub/2020-06 (api-origin=DotNetSdk;os=Unix;os-version=5.15)"),
        ];
        let client = Client::new(self.world.address(), Some(token));
        let answer = client.send(method, path, &[&own, headers].concat(), body).await;
        if answer.status >= 400 {
            // Q27: it reports the id that it made.
            let (code, detail) = reading::error(answer.text());
            assert!(code == answer.status && detail.contains(&format!(".TrackingId:{tracking}_")), "{detail}");
        }
        answer
    }

    /// Writes a registration and reads what comes back.
    async fn write(&self, method: &str, path: &str, headers: &[(&str, &str)], entry: &str) -> Read {
        let answer = self.ask(method, path, &[&[ENTRY], headers].concat(), entry.as_bytes()).await;
        assert!(answer.status == 200 || answer.status == 201, "{}: {}", answer.status, answer.text());
        Read::of(&document(answer.text()))
    }

    /// All pages of a list; a token is put into the next address as it came.
    async fn list(&self, path: &str) -> Vec<Read> {
        let mut read = Vec::new();
        let mut token = String::new();
        loop {
            let separator = if path.contains('?') { "&" } else { "?" };
            let page = self.ask("GET", &format!("{path}{separator}{VERSION}{token}"), &[], b"").await.expect(200);
            read.extend(document(page.text()).all("entry").map(Read::of));
            match page.header("x-ms-continuationtoken") {
                Some(next) => token = format!("&continuationtoken={next}"),
                None => return read,
            }
        }
    }
}

/// A registration as the client has it.
#[derive(Debug, PartialEq, Eq)]
struct Read {
    root: String,
    members: Vec<(String, String)>,
}

impl Read {
    fn of(entry: &Node) -> Self {
        let (root, members) = described(entry);
        let text =
            |node: &Node| if node.children.is_empty() { node.text.clone() } else { format!("{:?}", node.names()) };
        let members = members.into_iter().map(|(name, node)| (name.to_owned(), text(node))).collect();
        Self { root: root.to_owned(), members }
    }

    fn get(&self, name: &str) -> &str {
        self.members.iter().find(|(known, _)| known == name).map_or("", |(_, text)| text)
    }
}

/// A description as the contract serializer writes it: the base class's name with the type in an attribute, members in the
/// contract's order, those without a value as nil.
fn typed(kind: &str, members: &str) -> String {
    format!(
        "<RegistrationDescription i:type=\"{kind}RegistrationDescription\" \
         xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\" \
         xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\">{members}</RegistrationDescription>"
    )
}

fn entry(kind: &str, members: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?><entry xmlns=\"http://www.w3.org/2005/Atom\">\
         <content type=\"application/xml\">{}</content></entry>",
        typed(kind, members)
    )
}

/// Type, handle and, of its templates, the members besides the body, of every type that the client has a class for.
fn types(world: &World) -> [(&'static str, String, &'static str); 7] {
    let uri = format!("<ChannelUri>{}</ChannelUri>", windows_channel(world, 1).replace('&', "&amp;"));
    [
        (
            "Apple",
            format!("<DeviceToken>{}</DeviceToken>", apple_token(1).to_uppercase()),
            "<Expiry i:nil=\"true\"/><TemplateName>greeting</TemplateName><Priority i:nil=\"true\"/><ApnsHeaders/>",
        ),
        (
            "FcmV1",
            "<FcmV1RegistrationId>new:1</FcmV1RegistrationId>".to_owned(),
            "<TemplateName>greeting</TemplateName>",
        ),
        ("Gcm", "<GcmRegistrationId>old:1</GcmRegistrationId>".to_owned(), "<TemplateName>greeting</TemplateName>"),
        (
            "Windows",
            format!("{uri}<SecondaryTileName i:nil=\"true\"/>"),
            "<WnsHeaders><WnsHeader><Header>X-WNS-Type</Header><Value>wns/raw</Value></WnsHeader></WnsHeaders>\
             <TemplateName>greeting</TemplateName>",
        ),
        (
            "Mpns",
            format!("{uri}<SecondaryTileName i:nil=\"true\"/>"),
            "<MpnsHeaders><MpnsHeader><Header>X-NotificationClass</Header><Value>3</Value></MpnsHeader></MpnsHeaders>\
             <TemplateName>greeting</TemplateName>",
        ),
        ("Adm", "<AdmRegistrationId>a1</AdmRegistrationId>".to_owned(), "<TemplateName>greeting</TemplateName>"),
        (
            "Baidu",
            "<BaiduUserId>1</BaiduUserId><BaiduChannelId>2</BaiduChannelId>".to_owned(),
            "<TemplateName>greeting</TemplateName><MessageType>1</MessageType>",
        ),
    ]
}
