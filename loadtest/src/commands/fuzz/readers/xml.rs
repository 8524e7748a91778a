//! XML: any document, and the three that the Notification Hubs face reads.
use fanfare::{
    api::hubs::fuzz,
    model::{
        installation::InstallationLimits,
        job::{JobRequest, JobStatus, ShownJob},
        registration::{self, Links, Registration, RegistrationId},
        time::Timestamp,
        xml::{self, Element},
    },
};

use super::texts;
use crate::commands::fuzz::{mutation::Seeds, reading::Reader};

/// What of XML could be more than it looks.
const WORDS: &[&str] = &[
    "<!DOCTYPE r [<!ENTITY a \"aaaaaaaaaa\"><!ENTITY b \"&a;&a;&a;\">]>",
    "<!DOCTYPE r SYSTEM \"file:///etc/passwd\">",
    "<!ENTITY % p SYSTEM \"http://localhost/\">",
    "&a;",
    "&b;",
    "%p;",
    "&amp;",
    "&lt;",
    "&quot;",
    "&#0;",
    "&#x41;",
    "&#xD800;",
    "&#xFFFE;",
    "&#1114112;",
    "&#99999999999999999999;",
    "&#13;",
    "&#9;",
    "<![CDATA[",
    "]]>",
    "<!--",
    "-->",
    "<?xml version=\"1.1\" encoding=\"UTF-16\"?>",
    "<?x ?>",
    "<a/>",
    "<a>",
    "</a>",
    "<b:a xmlns:b=\"x\">",
    " a=\"b\"",
    " i:nil=\"true\"",
    " i:type=\"AppleRegistrationDescription\"",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "\u{fffe}",
    "\r\n",
    "9999-12-31T23:59:59Z",
    "2030-01-01T00:00:00Z",
    "P10675199DT2H48M5.4775807S",
    "P1D",
    "<Tags>a,b,$c</Tags>",
    "<TemplateName>t</TemplateName>",
    "<BodyTemplate>$(a)</BodyTemplate>",
    "<SecondaryTileName>t</SecondaryTileName>",
    "<PushVariables>{\"a\":\"b\\u0001\"}</PushVariables>",
    "{\"a\":\"b\"}",
];

const ENTRY: (&str, &str) = (
    "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<entry xmlns=\"http://www.w3.org/2005/Atom\">\n  <title>x</title>\
     <content type=\"application/xml\">\n",
    "\n</content></entry>",
);
const NAMESPACES: &str = "xmlns:i=\"http://www.w3.org/2001/XMLSchema-instance\" \
                          xmlns=\"http://schemas.microsoft.com/netservices/2010/10/servicebus/connect\"";

/// Each description within an entry.
fn entries<const N: usize>(descriptions: [&str; N]) -> Vec<Vec<u8>> {
    let (before, after) = ENTRY;
    let whole = descriptions.map(|text| [before, &text.replacen(" @", &format!(" {NAMESPACES}"), 1), after].concat());
    whole.map(String::into_bytes).to_vec()
}

const REGISTRATIONS: [&str; 8] = [
    "<AppleRegistrationDescription @><Tags>news, city:oslo</Tags><DeviceToken>00FC13ADFF785122B4AD28809A3420982341241421348097878E577C991DE8F0</DeviceToken></AppleRegistrationDescription>",
    "<RegistrationDescription @ i:type=\"AppleTemplateRegistrationDescription\"><ETag>1</ETag><ExpirationTime>2031-01-01T00:00:00.0000000Z</ExpirationTime><RegistrationId>11-22-1</RegistrationId><DeviceToken>AABB</DeviceToken><BodyTemplate><![CDATA[{\"aps\":{\"alert\":\"$(msg)\"}}]]></BodyTemplate><Expiry>$(exp)</Expiry><TemplateName>t1</TemplateName><Priority>10</Priority><ApnsHeaders><ApnsHeader><Header>apns-push-type</Header><Value>alert</Value></ApnsHeader></ApnsHeaders></RegistrationDescription>",
    "<GcmTemplateRegistrationDescription @><Tags>a</Tags><PushVariables>{\"name\":\"x\"}</PushVariables><GcmRegistrationId>abc:def</GcmRegistrationId><BodyTemplate>{\"data\":{\"m\":\"$(m)\"}}</BodyTemplate></GcmTemplateRegistrationDescription>",
    "<FcmV1RegistrationDescription @><FcmV1RegistrationId>abc:def</FcmV1RegistrationId></FcmV1RegistrationDescription>",
    "<WindowsTemplateRegistrationDescription @><ChannelUri>https://w.example/?token=x</ChannelUri><SecondaryTileName>tile</SecondaryTileName><BodyTemplate>&lt;toast&gt;&lt;visual&gt;&lt;binding template=\"ToastText01\"&gt;&lt;text id=\"1\"&gt;$(msg)&lt;/text&gt;&lt;/binding&gt;&lt;/visual&gt;&lt;/toast&gt;</BodyTemplate><WnsHeaders><WnsHeader><Header>X-WNS-Type</Header><Value>wns/toast</Value></WnsHeader></WnsHeaders></WindowsTemplateRegistrationDescription>",
    "<BaiduRegistrationDescription @><BaiduUserId>1234</BaiduUserId><BaiduChannelId>5678</BaiduChannelId></BaiduRegistrationDescription>",
    "<BrowserRegistrationDescription @><Endpoint>https://push.example/x</Endpoint><P256DH>BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4</P256DH><Auth>BTBZMqHH6r4Tts7J_aSIgg</Auth></BrowserRegistrationDescription>",
    "<AdmRegistrationDescription @><Tags i:nil=\"true\"/><AdmRegistrationId>amzn1.adm</AdmRegistrationId></AdmRegistrationDescription>",
];

const JOBS: [&str; 2] = [
    "<NotificationHubJob @><Type>ImportUpsertRegistrations</Type><OutputContainerUri><![CDATA[https://acct.example/out?sv=1&sig=2]]></OutputContainerUri><ImportFileUri>https://acct.example/in.txt?sv=1&amp;sig=2</ImportFileUri></NotificationHubJob>",
    "<NotificationHubJob @><JobId/><Progress>0</Progress><Type>ExportRegistrations</Type><OutputContainerUri>https://acct.example/out</OutputContainerUri></NotificationHubJob>",
];

const HUBS: [&str; 3] = [
    "<NotificationHubDescription @><ApnsCredential><Properties><Property><Name>Endpoint</Name><Value>https://api.push.apple.com:443/3/device</Value></Property><Property><Name>AppName</Name><Value>com.example.app</Value></Property><Property><Name>AppId</Name><Value>TEAM123456</Value></Property><Property><Name>KeyId</Name><Value>KEY1234567</Value></Property><Property><Name>Token</Name><Value>MIGHAgEA</Value></Property></Properties></ApnsCredential><RegistrationTtl>P90D</RegistrationTtl></NotificationHubDescription>",
    "<NotificationHubDescription @><WnsCredential><Properties><Property><Name>PackageSid</Name><Value>ms-app://x</Value></Property><Property><Name>SecretKey</Name><Value>hush</Value></Property><Property><Name>WindowsLiveEndpoint</Name><Value>https://login.live.com/accesstoken.srf</Value></Property></Properties></WnsCredential><UserMetadata>note</UserMetadata><AuthorizationRules><AuthorizationRule i:type=\"SharedAccessAuthorizationRule\"><ClaimType>SharedAccessKey</ClaimType><ClaimValue>None</ClaimValue><Rights><AccessRights>Listen</AccessRights><AccessRights>Send</AccessRights></Rights><KeyName>app</KeyName><PrimaryKey>one</PrimaryKey><SecondaryKey>two</SecondaryKey></AuthorizationRule></AuthorizationRules></NotificationHubDescription>",
    "<NotificationHubDescription @><FcmV1Credential><Properties><Property><Name>ProjectId</Name><Value>p</Value></Property><Property><Name>PrivateKey</Name><Value>line\\nline</Value></Property><Property><Name>ClientEmail</Name><Value>e@p</Value></Property></Properties></FcmV1Credential><RegistrationTtl>P10675199DT2H48M5.4775807S</RegistrationTtl></NotificationHubDescription>",
];

pub(crate) fn documents() -> Reader {
    let mut samples = texts([
        "<a:r xmlns:a='x' i:type='a:Kind'>1 &lt;&#x41;<![CDATA[<b>&]]><c i:nil=\"true\"/><a:d>&quot;</a:d></a:r>",
        "\u{feff}<?xml version=\"1.0\"?><!-- c --><r a=\"1\" b='2'><s/>text</r>",
    ]);
    samples.extend(entries(REGISTRATIONS).into_iter().chain(entries(HUBS)));
    Reader { name: "xml", seeds: Seeds { samples, words: WORDS }, read: document }
}

/// A tree holds nothing that its document did not, and keeps the bounds.
fn document(bytes: &[u8]) -> Result<(), String> {
    let Ok(root) = xml::parse(bytes) else { return Ok(()) };
    let (mut elements, mut text, mut deepest) = (0, 0, 0);
    let mut open: Vec<(&Element, usize)> = vec![(&root, 1)];
    while let Some((element, depth)) = open.pop() {
        elements += 1;
        deepest = deepest.max(depth);
        text += element.name.len() + element.text.len() + element.kind.as_ref().map_or(0, String::len);
        open.extend(element.children.iter().map(|child| (child, depth + 1)));
    }
    if text > bytes.len() || elements > 8_192 || deepest > 32 {
        return Err(format!("{elements} elements, {deepest} deep, with {text} bytes, of {}", bytes.len()));
    }
    Ok(())
}

pub(crate) fn registrations() -> Reader {
    let mut samples = entries(REGISTRATIONS);
    samples.extend(REGISTRATIONS.iter().map(|text| text.replacen(" @", &format!(" {NAMESPACES}"), 1).into_bytes()));
    Reader { name: "registration", seeds: Seeds { samples, words: WORDS }, read: registration }
}

/// What is taken reads back the same from each form in which it is written.
fn registration(bytes: &[u8]) -> Result<(), String> {
    let (now, limits) = (Timestamp::from_millis(1_769_941_800_000), InstallationLimits::default());
    let id = RegistrationId::parse("11-22-1").map_err(|error| error.to_string())?;
    let named = registration::id_of(bytes);
    let Ok(draft) = registration::read(bytes, &limits, now) else { return Ok(()) };
    if named != Ok(draft.id.clone()) {
        return Err(format!("its id is {:?} or {named:?}", draft.id));
    }
    let taken = draft.named(id.clone());
    let links = Links { hub: "https://h.example/hub".to_owned(), version: "2020-06".to_owned() };
    for written in [registration::document(&taken, 7, now, &links), registration::line(&taken, 7)] {
        let again =
            registration::read(written.as_bytes(), &limits, now).map_err(|error| format!("{error}: {written}"))?;
        if again.id.as_deref() != Some(id.as_str()) || again.named(id.clone()) != taken {
            return Err(format!("{taken:?} reads otherwise from {written}"));
        }
    }
    let (stored, etag) =
        Registration::from_stored(&taken.stored_form(7), taken.expires).map_err(|error| error.to_string())?;
    if stored == taken && etag == 7 { Ok(()) } else { Err(format!("{taken:?} is stored as {stored:?}")) }
}

pub(crate) fn jobs() -> Reader {
    Reader { name: "job", seeds: Seeds { samples: entries(JOBS), words: WORDS }, read: job }
}

fn job(bytes: &[u8]) -> Result<(), String> {
    let Ok(request) = JobRequest::read(bytes) else { return Ok(()) };
    let now = Timestamp::from_millis(1_769_941_800_000);
    let shown = ShownJob {
        id: "1",
        request: &request,
        status: JobStatus::Running,
        progress: 50.0,
        failure: None,
        output_path: None,
        failed_path: None,
        created: now,
        updated: now,
    };
    let mut entry = String::new();
    shown.entry(&mut entry, "https://h.example/hub/jobs/1");
    match JobRequest::read(entry.as_bytes()) {
        Ok(again) if again == request => Ok(()),
        _ => Err(format!("it reads otherwise from {entry}")),
    }
}

pub(crate) fn hubs() -> Reader {
    Reader { name: "hub", seeds: Seeds { samples: entries(HUBS), words: WORDS }, read: fuzz::exercise_description }
}
