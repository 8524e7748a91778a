//! A hub as `NotificationHubDescription` (`notification-hubs.md` 2.10): read into the native API's form, so that one place
//! decides what a hub may be, and written.
//!
//! | description | native form |
//! |---|---|
//! | `ApnsCredential`: `AppName`, `AppId`, `KeyId`, `Token`, `Endpoint` | `apns`: `topic`, `team_id`, `key_id`, `key`, `endpoint` |
//! | `FcmV1Credential`: `ProjectId`, `ClientEmail`, `PrivateKey` | `fcm.service_account` |
//! | `WnsCredential`: `PackageSid`, `SecretKey`, `WindowsLiveEndpoint` | `wns` with `auth` `live` |
//! | `AuthorizationRules` | `keys` |
//! | `RegistrationTtl`, `UserMetadata` | the hub's own |
//! | other credentials | refused, unless they are empty |
//!
//! As in the native API a service that is not named is gone, and one that is named without its secret keeps the secret
//! that belongs to it, so that a description can be read, changed and written back: secrets are never read back. What a
//! description cannot say of an account (roots, connections, paces) stays as it is, and so do the accounts with Web Push
//! and ADM, of which it says nothing.

use serde_json::{Map, Value, json};

use credentials::{Google, TRANSLATED, properties, set};

use super::xml::{CONNECT, INSTANCE, Xml};
use crate::api::document::Object;
use crate::api::native::hub_form;
use crate::directory::ChangeError;
use crate::directory::settings::{ApnsAuth, Described, HubSettings, WnsAuth};
use crate::identity::keys::{AccessRule, Rights};
use crate::identity::secret::Secret;
use crate::model::field::FieldError;
use crate::model::xml::{self, Element};

mod credentials;

const ROOT: &str = "NotificationHubDescription";

/// How a life without an end reads back.
const NEVER: &str = "P10675199DT2H48M5.4775807S";
const DAY: u64 = 86_400;
/// Days beyond which a life has no end.
const ENDLESS_DAYS: u64 = 10_675_199;

const LONGEST_METADATA: usize = 1_024;

/// Credentials that are not taken, with what to do instead.
const UNSENT: [(&str, &str); 5] = [
    ("GcmCredential", "must be absent: the legacy service is gone, give FcmV1Credential instead"),
    ("MpnsCredential", "must be absent: the service is gone"),
    ("AdmCredential", "must be absent: give adm through the native API"),
    ("BaiduCredential", "must be absent: this build has no sender for it"),
    ("BrowserCredential", "must be absent: give web_push through the native API"),
];

/// The description within a body: the root itself, or within an Atom entry.
pub fn of_body(body: &[u8]) -> Result<Element, FieldError> {
    let mut element = xml::parse(body)?;
    for name in ["content", ROOT] {
        if element.name == ROOT {
            break;
        }
        let children = std::mem::take(&mut element.children);
        let missing = || FieldError::new("body", "must be an entry with a NotificationHubDescription");
        element = children.into_iter().find(|child| child.name == name).ok_or_else(missing)?;
    }
    Ok(element)
}

/// The settings that a description states, over the present ones.
pub fn read(description: &Element, current: Option<&HubSettings>) -> Result<HubSettings, ChangeError> {
    let mut body = current.map(hub_form::accounts).unwrap_or_default();
    for (element, rule) in UNSENT {
        let named = description.child(element);
        if named.is_some_and(|child| !properties(child).is_empty()) {
            return Err(FieldError::new(element, rule).into());
        }
    }
    for (element, member, translate) in TRANSLATED {
        let named = description.child(element).map(properties);
        let present = body.remove(member).and_then(|value| value.as_object().cloned());
        if let Some(properties) = named.filter(|properties| !properties.is_empty()) {
            body.insert(member.to_owned(), translate(&properties, present.unwrap_or_default(), current)?.into());
        }
    }
    if let Some(current) = current {
        body.insert("weight".to_owned(), current.weight.into());
    }
    if let Some(rules) = description.child("AuthorizationRules") {
        body.insert("keys".to_owned(), keys(rules)?.into());
    }
    let body = Value::Object(body).to_string();
    let mut settings = hub_form::read(Object::of_body(body.as_bytes())?, current)?;
    settings.described = described(description, current)?;
    // A description says nothing of these: they are given through the native API.
    settings.web_push = current.and_then(|current| current.web_push.clone());
    settings.adm = current.and_then(|current| current.adm.clone());
    Ok(settings)
}

fn keys(rules: &Element) -> Result<Map<String, Value>, FieldError> {
    let mut keys = Map::new();
    for rule in &rules.children {
        let required = || FieldError::new("AuthorizationRule.KeyName", "is required");
        let name = rule.text_of("KeyName").filter(|name| !name.is_empty()).ok_or_else(required)?;
        let rights = rule.child("Rights").map_or(&[][..], |rights| &rights.children[..]);
        let rights: Vec<&str> = rights.iter().map(|right| right.text.trim()).collect();
        let mut form = Map::new();
        form.insert("rights".to_owned(), json!(rights));
        set(&mut form, "primary", rule.text_of("PrimaryKey").filter(|key| !key.is_empty()));
        set(&mut form, "secondary", rule.text_of("SecondaryKey").filter(|key| !key.is_empty()));
        if keys.insert(name.to_owned(), form.into()).is_some() {
            return Err(FieldError::new("AuthorizationRule.KeyName", format!("must not stand twice ({name})")));
        }
    }
    Ok(keys)
}

fn described(description: &Element, current: Option<&HubSettings>) -> Result<Described, FieldError> {
    let present = current.map(|hub| hub.described.clone()).unwrap_or_default();
    let registration_ttl_seconds = match description.text_of("RegistrationTtl").filter(|text| !text.is_empty()) {
        None => present.registration_ttl_seconds,
        Some(text) => life(text)?,
    };
    let user_metadata = match description.child("UserMetadata") {
        None => present.user_metadata,
        Some(note) if note.text.chars().count() > LONGEST_METADATA => {
            return Err(FieldError::new("UserMetadata", "must have at most 1024 characters"));
        }
        Some(note) => Some(note.text.clone()).filter(|text| !text.is_empty()),
    };
    Ok(Described { registration_ttl_seconds, user_metadata })
}

/// A duration of XML Schema, in whole seconds; `None` for one without an end.
fn life(text: &str) -> Result<Option<u64>, FieldError> {
    let rule = || FieldError::new("RegistrationTtl", "must be a duration of at least a day, such as P90D");
    let rest = text.strip_prefix('P').ok_or_else(rule)?;
    let (days, time) = rest.split_once('T').unwrap_or((rest, ""));
    let mut seconds = 0_u64;
    for (part, units) in [(days, &[('D', DAY)][..]), (time, &[('H', 3_600), ('M', 60), ('S', 1)][..])] {
        let (mut rest, mut units) = (part, units.iter());
        while !rest.is_empty() {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(rule)?;
            let unit = rest[end..].chars().next().ok_or_else(rule)?;
            let (_, worth) = units.find(|(known, _)| *known == unit).ok_or_else(rule)?;
            let whole = rest[..end].split('.').next().unwrap_or_default();
            let number: u64 = whole.parse().map_err(|_| rule())?;
            seconds = number.checked_mul(*worth).and_then(|more| seconds.checked_add(more)).ok_or_else(rule)?;
            rest = &rest[end + unit.len_utf8()..];
        }
    }
    match seconds {
        ..DAY => Err(rule()),
        seconds if seconds / DAY >= ENDLESS_DAYS => Ok(None),
        seconds => Ok(Some(seconds)),
    }
}

/// Writes a hub, its access keys only for the namespace's own key.
pub fn write(xml: &mut Xml, settings: &HubSettings, with_keys: bool) {
    xml.open_with(ROOT, &[("xmlns", CONNECT), ("xmlns:i", INSTANCE)]);
    if let Some(apns) = &settings.apns {
        let mut properties = vec![("Endpoint", apns.endpoint.clone()), ("AppName", apns.topic.clone())];
        if let ApnsAuth::Token { team_id, key_id, .. } = &apns.auth {
            properties.extend([("AppId", team_id.clone()), ("KeyId", key_id.clone())]);
        }
        credential(xml, "ApnsCredential", &properties);
    }
    let ttl = settings.described.registration_ttl_seconds.map(duration);
    xml.leaf("RegistrationTtl", ttl.as_deref().unwrap_or(NEVER));
    if let Some(wns) = &settings.wns {
        let sid = if wns.auth == WnsAuth::Live { "PackageSid" } else { "ClientId" };
        let properties = [(sid, wns.client_id.clone()), ("WindowsLiveEndpoint", wns.token_endpoint.clone())];
        credential(xml, "WnsCredential", &properties);
    }
    xml.open("AuthorizationRules");
    for rule in &settings.keys {
        write_rule(xml, rule, with_keys);
    }
    xml.close("AuthorizationRules").leaf_if("UserMetadata", settings.described.user_metadata.as_deref());
    if let Some(fcm) = settings.fcm.as_ref().map(Google::of) {
        credential(xml, "FcmV1Credential", &[("ProjectId", fcm.project), ("ClientEmail", fcm.email)]);
    }
    xml.close(ROOT);
}

fn credential(xml: &mut Xml, element: &str, properties: &[(&str, String)]) {
    xml.open(element).open("Properties");
    for (name, value) in properties {
        xml.open("Property").leaf("Name", name).leaf("Value", value).close("Property");
    }
    xml.close("Properties").close(element);
}

fn write_rule(xml: &mut Xml, rule: &AccessRule, with_keys: bool) {
    xml.open_with("AuthorizationRule", &[("i:type", "SharedAccessAuthorizationRule")])
        .leaf("ClaimType", "SharedAccessKey")
        .leaf("ClaimValue", "None")
        .open("Rights");
    for (right, name) in [(Rights::LISTEN, "Listen"), (Rights::MANAGE, "Manage"), (Rights::SEND, "Send")] {
        if rule.rights.contains(right) {
            xml.leaf("AccessRights", name);
        }
    }
    xml.close("Rights").leaf("KeyName", &rule.name);
    if with_keys {
        xml.leaf("PrimaryKey", rule.primary.expose());
        xml.leaf_if("SecondaryKey", rule.secondary.as_ref().map(Secret::expose));
    }
    xml.close("AuthorizationRule");
}

fn duration(seconds: u64) -> String {
    let (days, rest) = (seconds / DAY, seconds % DAY);
    match rest {
        0 => format!("P{days}D"),
        rest => format!("P{days}DT{}H{}M{}S", rest / 3_600, rest / 60 % 60, rest % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(inner: &str) -> Element {
        let text = format!(
            "<entry xmlns = \"http://www.w3.org/2005/Atom\"><content type=\"application/xml\">\
             <NotificationHubDescription xmlns = \"x\">{inner}</NotificationHubDescription></content></entry>"
        );
        of_body(text.as_bytes()).unwrap()
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
        let back =
            format!("{}{}", properties("ApnsCredential", &apns), properties("FcmV1Credential", &[fcm[0], fcm[2]]));
        let again = read(&description(&back), Some(&made)).unwrap();
        assert!(
            matches!(&again.apns.as_ref().unwrap().auth, ApnsAuth::Token { key, .. } if key.expose().contains("MIGHAgEA"))
        );
        assert!(again.fcm.is_some() && again.wns.is_none());
        assert!(again.keys[0].primary.matches(made.keys[0].primary.expose()));
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
            (properties("ApnsCredential", &[("ApnsCertificate", "x")]), "ApnsCredential.ApnsCertificate must be absent"),
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
}
