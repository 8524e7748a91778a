//! Hubs as JSON: what PUT takes and what GET shows. Gateway credentials go in and never come out; access keys come out
//! for the admin key alone.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::api::document::Object;
use crate::directory::settings::{
    Account, ApnsAccount, ApnsAuth, FcmAccount, HubSettings, WEIGHTS, default_rules, fresh_key,
};
use crate::directory::{ChangeError, Hub};
use crate::gateway::pkcs12::{Opened, Packed};
use crate::identity::keys::{AccessRule, Rights};
use crate::identity::secret::Secret;
use crate::model::field::FieldError;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::Hold;

mod adm;
mod baidu;
mod web_push;
mod wns;
mod xiaomi;

/// What GET adds and PUT takes back without a word, so that an answer can be edited and sent again.
const READ_ONLY: [&str; 3] = ["name", "read_only", "senders"];

/// Where Apple takes pushes for apps from its store.
const APNS: &str = "https://api.push.apple.com";

/// Where Google takes messages.
const FCM: &str = "https://fcm.googleapis.com";

const RATES: std::ops::RangeInclusive<u32> = 0..=100_000_000;

/// Settings that a body states. Keys that it does not name stay (a new hub gets the default rules); a service that it
/// does not name is gone; a service that it names without the secret keeps the secret that belongs to it.
/// `opened`: what [`certificate`] found, opened.
pub(in crate::api) fn read(
    mut body: Object<'_>,
    opened: Option<&Opened>,
    current: Option<&HubSettings>,
) -> Result<HubSettings, ChangeError> {
    body.ignore(&READ_ONLY);
    let weight = body.integer("weight", WEIGHTS)?.unwrap_or(1);
    let keys = match (body.object("keys")?, current) {
        (Some(rules), _) => keys(rules, current.map_or(&[], |hub| &hub.keys))?,
        (None, Some(current)) => current.keys.clone(),
        (None, None) => default_rules()?,
    };
    let apns = body.object("apns")?;
    let apns = apns.map(|form| self::apns(form, opened, current.and_then(|hub| hub.apns.as_ref()))).transpose()?;
    let fcm = body.object("fcm")?;
    let fcm = fcm.map(|form| self::fcm(form, current.and_then(|hub| hub.fcm.as_ref()))).transpose()?;
    let wns = body.object("wns")?;
    let wns = wns.map(|form| wns::read(form, current.and_then(|hub| hub.wns.as_ref()))).transpose()?;
    let web_push = body.object("web_push")?;
    let web_push =
        web_push.map(|form| web_push::read(form, current.and_then(|hub| hub.web_push.as_ref()))).transpose()?;
    let adm = body.object("adm")?;
    let adm = adm.map(|form| adm::read(form, current.and_then(|hub| hub.adm.as_ref()))).transpose()?;
    let baidu = body.object("baidu")?;
    let baidu = baidu.map(|form| baidu::read(form, current.and_then(|hub| hub.baidu.as_ref()))).transpose()?;
    let xiaomi = body.object("xiaomi")?;
    let xiaomi = xiaomi.map(|form| xiaomi::read(form, current.and_then(|hub| hub.xiaomi.as_ref()))).transpose()?;
    body.finish()?;
    let described = current.map(|hub| hub.described.clone()).unwrap_or_default();
    Ok(HubSettings { weight, keys, apns, fcm, wns, web_push, adm, baidu, xiaomi, described })
}

fn keys(rules: Object<'_>, current: &[AccessRule]) -> Result<Vec<AccessRule>, ChangeError> {
    let mut keys: Vec<AccessRule> = Vec::new();
    for (name, mut form) in rules.objects()? {
        let fault = |rule: &'static str| FieldError::new(format!("keys.{name}"), rule);
        let url_safe = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'~');
        if !(1..=256).contains(&name.len()) || !name.bytes().all(url_safe) {
            return Err(fault("must have a name of letters, digits, '.', '-', '_' or '~', at most 256").into());
        }
        if keys.iter().any(|known| known.name.eq_ignore_ascii_case(&name)) {
            return Err(fault("must have a name that differs from the others' in more than case").into());
        }
        let known = current.iter().find(|known| known.name == name);
        let rights = rights(&mut form)?;
        let primary = match (key(&mut form, "primary")?, known) {
            (Some(key), _) => key,
            (None, Some(known)) => known.primary.clone(),
            (None, None) => fresh_key()?,
        };
        let secondary = key(&mut form, "secondary")?.or_else(|| known.and_then(|known| known.secondary.clone()));
        form.finish()?;
        keys.push(AccessRule { name, rights, primary, secondary });
    }
    Ok(keys)
}

fn rights(form: &mut Object<'_>) -> Result<Rights, FieldError> {
    let named = form.texts("rights")?.ok_or_else(|| form.fault("rights", "is required"))?;
    let mut rights = Rights::NONE;
    for name in &named {
        let right = Rights::parse(name).ok_or_else(|| form.fault("rights", "may hold only listen, send and manage"))?;
        rights = rights | right;
    }
    match rights {
        Rights::NONE => Err(form.fault("rights", "must name at least one of listen, send and manage")),
        rights if !rights.is_closed() => {
            Err(form.fault("rights", "must include listen and send where it includes manage"))
        }
        rights => Ok(rights),
    }
}

fn key(form: &mut Object<'_>, name: &str) -> Result<Option<Secret>, FieldError> {
    let Some(text) = form.bounded_text(name, 256)? else { return Ok(None) };
    if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(form.fault(name, "may hold only visible ASCII characters"));
    }
    Ok(Some(Secret::new(text)))
}

/// The PKCS#12 file that a body gives for APNs. The rest of the body is not looked at.
pub(super) fn certificate(body: &[u8]) -> Result<Option<Packed>, FieldError> {
    let Some(mut form) = Object::of_body(body)?.object("apns")? else { return Ok(None) };
    match (form.text("cert_p12")?, form.text("cert_password")?) {
        (Some(file), password) => Ok(Some(Packed {
            file: Secret::new(file),
            password: Secret::new(password.unwrap_or_default()),
            file_field: "apns.cert_p12",
            password_field: "apns.cert_password",
        })),
        (None, Some(_)) => Err(form.fault("cert_password", "must be absent: it is the password of cert_p12")),
        (None, None) => Ok(None),
    }
}

fn apns(
    mut form: Object<'_>,
    certificate: Option<&Opened>,
    current: Option<&ApnsAccount>,
) -> Result<ApnsAccount, FieldError> {
    form.ignore(&["auth", "cert_password"]);
    let endpoint = form.text("endpoint")?.unwrap_or_else(|| APNS.to_owned());
    let is_packed = form.raw("cert_p12").is_some();
    let certificate = certificate.filter(|_| is_packed);
    let own_topic = certificate.and_then(|opened| opened.bundle_id.clone());
    let topic = form.text("topic")?.or(own_topic).ok_or_else(|| form.fault("topic", "is required"))?;
    let auth = match certificate {
        Some(opened) => packed(&mut form, opened)?,
        None => apns_auth(&mut form, current.map(|apns| &apns.auth))?,
    };
    let account = ApnsAccount {
        endpoint,
        topic,
        auth,
        ca: form.text("ca")?,
        connections: form.integer("connections", 1..=1000)?.unwrap_or(4),
        rate_per_second: form.integer("rate_per_second", RATES)?.unwrap_or(0),
    };
    form.finish()?;
    Ok(account)
}

/// A certificate that came with its key in one file.
fn packed(form: &mut Object<'_>, opened: &Opened) -> Result<ApnsAuth, FieldError> {
    for other in ["team_id", "key_id", "key", "cert", "cert_key"] {
        if form.raw(other).is_some() {
            return Err(form.fault("cert_p12", format!("must not stand beside {other}")));
        }
    }
    Ok(ApnsAuth::Certificate { cert: opened.cert.clone(), key: opened.key.clone() })
}

/// A key or a certificate. A secret that is left out is the present one, if it belongs to the same key id or
/// certificate.
fn apns_auth(form: &mut Object<'_>, current: Option<&ApnsAuth>) -> Result<ApnsAuth, FieldError> {
    let (team_id, key_id, key) = (form.text("team_id")?, form.text("key_id")?, form.text("key")?);
    let (cert, cert_key) = (form.text("cert")?, form.text("cert_key")?);
    let by_token = team_id.is_some() || key_id.is_some() || key.is_some();
    let by_certificate = cert.is_some() || cert_key.is_some();
    match (by_token, by_certificate, current) {
        (true, true, _) => Err(form.fault("cert", "must not stand beside team_id, key_id or key")),
        (true, false, _) => {
            let team_id = team_id.ok_or_else(|| form.fault("team_id", "is required with key_id"))?;
            let key_id = key_id.ok_or_else(|| form.fault("key_id", "is required with team_id"))?;
            let kept = match current {
                Some(ApnsAuth::Token { team_id: team, key_id: id, key }) if *team == team_id && *id == key_id => {
                    Some(key.clone())
                }
                _ => None,
            };
            let key = key.map(Secret::new).or(kept).ok_or_else(|| form.fault("key", "is required"))?;
            Ok(ApnsAuth::Token { team_id, key_id, key })
        }
        (false, true, _) => {
            let cert = cert.ok_or_else(|| form.fault("cert", "is required with cert_key"))?;
            let kept = match current {
                Some(ApnsAuth::Certificate { cert: known, key }) if *known == cert => Some(key.clone()),
                _ => None,
            };
            let key = cert_key.map(Secret::new).or(kept).ok_or_else(|| form.fault("cert_key", "is required"))?;
            Ok(ApnsAuth::Certificate { cert, key })
        }
        (false, false, Some(kept @ ApnsAuth::Certificate { .. })) => Ok(kept.clone()),
        (false, false, _) => {
            Err(form.fault("key", "is required with team_id and key_id, or cert with cert_key, or cert_p12"))
        }
    }
}

/// The service account as its JSON text or as the object itself; left out, it is the present one.
fn fcm(mut form: Object<'_>, current: Option<&FcmAccount>) -> Result<FcmAccount, FieldError> {
    let given = form.raw("service_account").map(|value| {
        let text = serde_json::from_str::<String>(value.get()).unwrap_or_else(|_| value.get().to_owned());
        Secret::new(text)
    });
    let service_account = given
        .or_else(|| current.map(|fcm| fcm.service_account.clone()))
        .ok_or_else(|| form.fault("service_account", "is required"))?;
    let account = FcmAccount {
        endpoint: form.text("endpoint")?.unwrap_or_else(|| FCM.to_owned()),
        service_account,
        ca: form.text("ca")?,
        rate_per_second: form.integer("rate_per_second", RATES)?.unwrap_or(0),
    };
    form.finish()?;
    Ok(account)
}

/// A hub as it is shown. `keys`: with their texts, or only what they allow.
pub(super) fn show(hub: &Hub, blocked: &BTreeMap<Platform, Hold>, with_keys: bool) -> Value {
    let keys: Map<String, Value> =
        hub.settings.keys.iter().map(|rule| (rule.name.clone(), show_rule(rule, with_keys))).collect();
    let mut shown = json!({
        "name": hub.name,
        "weight": hub.settings.weight,
        "read_only": hub.fixed.is_some(),
        "keys": keys,
        "senders": senders(hub, blocked),
    });
    for (service, account) in accounts(&hub.settings) {
        shown[service] = account;
    }
    shown
}

/// A hub's accounts with push services, each under its name and without its secrets.
pub(in crate::api) fn accounts(settings: &HubSettings) -> Map<String, Value> {
    let shown = |account: Account<'_>| match account {
        Account::Apns(apns) => show_apns(apns),
        Account::Fcm(fcm) => show_fcm(fcm),
        Account::Wns(wns) => wns::show(wns),
        Account::WebPush(web_push) => web_push::show(web_push),
        Account::Adm(adm) => adm::show(adm),
        Account::Baidu(baidu) => baidu::show(baidu),
        Account::Xiaomi(xiaomi) => xiaomi::show(xiaomi),
    };
    settings.accounts().map(|own| (own.platform().label().to_owned(), shown(own))).collect()
}

/// A rule, with or without its keys.
pub(super) fn show_rule(rule: &AccessRule, with_keys: bool) -> Value {
    let mut shown = json!({ "rights": rule.rights });
    if with_keys {
        shown["primary"] = rule.primary.expose().into();
        shown["secondary"] = rule.secondary.as_ref().map(Secret::expose).into();
    }
    shown
}

fn show_apns(apns: &ApnsAccount) -> Value {
    let mut shown = json!({
        "endpoint": apns.endpoint,
        "topic": apns.topic,
        "connections": apns.connections,
        "rate_per_second": apns.rate_per_second,
    });
    match &apns.auth {
        ApnsAuth::Token { team_id, key_id, .. } => {
            shown["auth"] = "token".into();
            shown["team_id"] = team_id.as_str().into();
            shown["key_id"] = key_id.as_str().into();
        }
        ApnsAuth::Certificate { .. } => shown["auth"] = "certificate".into(),
    }
    if let Some(ca) = &apns.ca {
        shown["ca"] = ca.as_str().into();
    }
    shown
}

fn show_fcm(fcm: &FcmAccount) -> Value {
    let mut shown = json!({ "endpoint": fcm.endpoint, "rate_per_second": fcm.rate_per_second });
    if let Some(ca) = &fcm.ca {
        shown["ca"] = ca.as_str().into();
    }
    shown
}

#[derive(Serialize)]
struct SenderForm<'a> {
    state: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    since: Option<Timestamp>,
}

/// A throttled sender goes on by itself, so it is `ok`; a broadcast that waits for it says so in `waiting`.
fn senders<'a>(hub: &Hub, blocked: &'a BTreeMap<Platform, Hold>) -> BTreeMap<&'static str, SenderForm<'a>> {
    let form = |platform| match blocked.get(&platform).filter(|hold| hold.is_paused()) {
        Some(paused) => SenderForm { state: "paused", reason: Some(paused.reason.as_str()), since: Some(paused.since) },
        None => SenderForm { state: "ok", reason: None, since: None },
    };
    hub.settings.accounts().map(|account| account.platform()).map(|own| (own.label(), form(own))).collect()
}

#[cfg(test)]
mod tests;
