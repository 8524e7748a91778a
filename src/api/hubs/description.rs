//! A hub as `NotificationHubDescription` (`notification-hubs.md` 2.10): read into the native API's form, so that one place
//! decides what a hub may be, and written.
//!
//! | description | native form |
//! |---|---|
//! | `ApnsCredential`: `AppName`, `AppId`, `KeyId`, `Token`, `Endpoint` | `apns`: `topic`, `team_id`, `key_id`, `key`, `endpoint` |
//! | `ApnsCredential`: `ApnsCertificate`, `CertificateKey`, `Endpoint` | `apns`: `cert`, `cert_key`, `endpoint`; `topic` is the certificate's own unless `AppName` says another |
//! | `FcmV1Credential`: `ProjectId`, `ClientEmail`, `PrivateKey` | `fcm.service_account` |
//! | `WnsCredential`: `PackageSid`, `SecretKey`, `WindowsLiveEndpoint` | `wns` with `auth` `live` |
//! | `BrowserCredential`: `Subject`, `VapidPrivateKey`; `VapidPublicKey` is checked | `web_push`: `subject`, `vapid_private_key` |
//! | `AdmCredential`: `ClientId`, `ClientSecret`, `AuthTokenUrl`, `SendUrlTemplate` | `adm`: `client_id`, `client_secret`, `token_endpoint`, `endpoint` |
//! | `BaiduCredential`: `BaiduApiKey`, `BaiduSecretKey`, `BaiduEndPoint` | `baidu`: `api_key`, `secret_key`, `endpoint` |
//! | `XiaomiCredential`: `AppSecret`, `Endpoint` | `xiaomi`: `app_secret`, `endpoint` |
//! | `AuthorizationRules` | `keys` |
//! | `RegistrationTtl`, `UserMetadata` | the hub's own |
//! | other credentials | refused, unless they are empty |
//!
//! As in the native API a service that is not named is gone, and one that is named without its secret keeps the secret
//! that belongs to it, so that a description can be read, changed and written back: secrets are never read back. What a
//! description cannot say of an account (roots, connections, paces) stays as it is. Of Xiaomi no client of the field knows:
//! its account stays where it is not named, and is gone where it is named without any property.

use serde_json::{Map, Value, json};

use credentials::{Google, TRANSLATED, properties, set};

use super::xml::{CONNECT, INSTANCE, Xml};
use crate::api::document::Object;
use crate::api::native::hub_form;
use crate::directory::ChangeError;
use crate::directory::settings::{ApnsAuth, Described, HubSettings, WnsAuth};
use crate::gateway::pkcs12::Opened;
use crate::identity::keys::{AccessRule, Rights};
use crate::identity::secret::Secret;
use crate::model::field::FieldError;
use crate::model::xml::{self, Element};

mod credentials;

pub use credentials::certificate;

const ROOT: &str = "NotificationHubDescription";

/// How a life without an end reads back.
const NEVER: &str = "P10675199DT2H48M5.4775807S";
const DAY: u64 = 86_400;
/// Days beyond which a life has no end.
const ENDLESS_DAYS: u64 = 10_675_199;

const LONGEST_METADATA: usize = 1_024;

/// Credentials that are not taken, with what to do instead.
const UNSENT: [(&str, &str); 2] = [
    ("GcmCredential", "must be absent: the legacy service is gone, give FcmV1Credential instead"),
    ("MpnsCredential", "must be absent: the service is gone"),
];

/// What an account is made of besides its own properties.
struct Beside<'a> {
    current: Option<&'a HubSettings>,
    certificate: Option<&'a Opened>,
}

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

/// The settings that a description states, over the present ones. `opened`: what [`certificate`] found, opened.
pub fn read(
    description: &Element,
    opened: Option<&Opened>,
    current: Option<&HubSettings>,
) -> Result<HubSettings, ChangeError> {
    let beside = Beside { current, certificate: opened };
    let mut body = current.map(hub_form::accounts).unwrap_or_default();
    for (element, rule) in UNSENT {
        let named = description.child(element);
        if named.is_some_and(|child| !properties(child).is_empty()) {
            return Err(FieldError::new(element, rule).into());
        }
    }
    for (element, member, translate) in TRANSLATED {
        let named = description.child(element).map(properties);
        if named.is_none() && element == credentials::XIAOMI {
            continue;
        }
        let present = body.remove(member).and_then(|value| value.as_object().cloned());
        if let Some(properties) = named.filter(|properties| !properties.is_empty()) {
            body.insert(member.to_owned(), translate(&properties, present.unwrap_or_default(), &beside)?.into());
        }
    }
    if let Some(current) = current {
        body.insert("weight".to_owned(), current.weight.into());
    }
    if let Some(rules) = description.child("AuthorizationRules") {
        body.insert("keys".to_owned(), keys(rules)?.into());
    }
    let body = Value::Object(body).to_string();
    let mut settings = hub_form::read(Object::of_body(body.as_bytes())?, None, current)?;
    settings.described = described(description, current)?;
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
        match &apns.auth {
            ApnsAuth::Token { team_id, key_id, .. } => {
                properties.extend([("AppId", team_id.clone()), ("KeyId", key_id.clone())]);
            }
            ApnsAuth::Certificate { cert, .. } => {
                properties.extend(credentials::thumbprint(cert).map(|print| ("Thumbprint", print)));
            }
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
    if let Some(adm) = &settings.adm {
        let properties = [
            ("AuthTokenUrl", adm.token_endpoint.clone()),
            ("ClientId", adm.client_id.clone()),
            ("SendUrlTemplate", format!("{}{}", adm.endpoint.trim_end_matches('/'), credentials::ADM_PATH)),
        ];
        credential(xml, "AdmCredential", &properties);
    }
    if let Some(baidu) = &settings.baidu {
        let properties = [("BaiduApiKey", baidu.api_key.clone()), ("BaiduEndPoint", baidu.endpoint.clone())];
        credential(xml, "BaiduCredential", &properties);
    }
    if let Some(fcm) = settings.fcm.as_ref().map(Google::of) {
        credential(xml, "FcmV1Credential", &[("ProjectId", fcm.project), ("ClientEmail", fcm.email)]);
    }
    if let Some(web_push) = &settings.web_push {
        let mut properties = vec![("Subject", web_push.subject.clone())];
        properties.extend(credentials::public_key(web_push).map(|key| ("VapidPublicKey", key)));
        credential(xml, "BrowserCredential", &properties);
    }
    if let Some(xiaomi) = &settings.xiaomi {
        credential(xml, credentials::XIAOMI, &[("Endpoint", xiaomi.endpoint.clone())]);
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
mod tests;
