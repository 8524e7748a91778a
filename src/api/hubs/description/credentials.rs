//! Credentials of push services in a description's words, as accounts of the native form.

use aws_lc_rs::digest;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use serde_json::{Map, Value, json};

use super::Beside;
use crate::directory::settings::{FcmAccount, WebPushAccount};
use crate::gateway::pkcs12::Packed;
use crate::gateway::web_push::VapidKey;
use crate::identity::secret::Secret;
use crate::model::field::FieldError;
use crate::model::xml::Element;

pub(super) type Properties<'a> = Vec<(&'a str, &'a str)>;
pub(super) type Translate =
    fn(&Properties<'_>, Map<String, Value>, &Beside<'_>) -> Result<Map<String, Value>, FieldError>;

pub(super) const TRANSLATED: [(&str, &str, Translate); 7] = [
    ("ApnsCredential", "apns", apns),
    ("FcmV1Credential", "fcm", fcm),
    ("WnsCredential", "wns", wns),
    ("BrowserCredential", "web_push", web_push),
    ("AdmCredential", "adm", adm),
    ("BaiduCredential", "baidu", baidu),
    (XIAOMI, "xiaomi", xiaomi),
];

/// No client of the field has this one; its properties are those of the service's portal.
pub(super) const XIAOMI: &str = "XiaomiCredential";

/// Where ADM takes a message; the portal writes the registration as `{0}`.
pub(super) const ADM_PATH: &str = "/messaging/registrations/{0}/messages";
/// Below this lies all of Baidu's API.
const BAIDU_PATH: &str = "/rest/3.0";

/// The named values of a credential, those without a value left out.
pub(super) fn properties(credential: &Element) -> Properties<'_> {
    let list = credential.child("Properties").map_or(&[][..], |list| &list.children[..]);
    let mut pairs = Vec::new();
    for property in list {
        if let (Some(name), Some(value)) = (property.text_of("Name"), property.text_of("Value"))
            && !value.is_empty()
        {
            pairs.push((name, value));
        }
    }
    pairs
}

fn value<'a>(properties: &Properties<'a>, name: &str) -> Option<&'a str> {
    properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

pub(super) fn set(form: &mut Map<String, Value>, member: &str, value: Option<&str>) {
    if let Some(value) = value {
        form.insert(member.to_owned(), value.into());
    }
}

fn apns(
    properties: &Properties<'_>,
    mut form: Map<String, Value>,
    beside: &Beside<'_>,
) -> Result<Map<String, Value>, FieldError> {
    let topic = value(properties, "AppName");
    if let Some(opened) = beside.certificate {
        if let Some(name) = TOKEN.into_iter().find(|name| value(properties, name).is_some()) {
            let rule = "must not stand beside ApnsCertificate: a certificate or a signing key";
            return Err(FieldError::new(format!("ApnsCredential.{name}"), rule));
        }
        for member in ["team_id", "key_id"] {
            form.remove(member);
        }
        let topic = topic.or(opened.bundle_id.as_deref()).ok_or_else(|| {
            FieldError::new("ApnsCredential.AppName", "is required: the certificate names no bundle id")
        })?;
        set(&mut form, "topic", Some(topic));
        set(&mut form, "cert", Some(&opened.cert));
        set(&mut form, "cert_key", Some(opened.key.expose()));
    } else {
        set(&mut form, "topic", topic);
        set(&mut form, "team_id", value(properties, "AppId"));
        set(&mut form, "key_id", value(properties, "KeyId"));
        let key = value(properties, "Token").map(|key| pem("PRIVATE KEY", key));
        set(&mut form, "key", key.as_deref());
    }
    let endpoint = value(properties, "Endpoint").map(apns_endpoint);
    set(&mut form, "endpoint", endpoint.as_deref());
    Ok(form)
}

/// What a signing key comes with.
const TOKEN: [&str; 3] = ["Token", "KeyId", "AppId"];

/// The certificate that a description's `ApnsCredential` holds: PKCS#12 in base64, its password in `CertificateKey`, which
/// many files leave empty.
pub fn certificate(description: &Element) -> Result<Option<Packed>, FieldError> {
    const PASSWORD: &str = "ApnsCredential.CertificateKey";
    let named = description.child("ApnsCredential").map(properties).unwrap_or_default();
    match (value(&named, "ApnsCertificate"), value(&named, "CertificateKey")) {
        (Some(file), password) => Ok(Some(Packed {
            file: Secret::new(file),
            password: Secret::new(password.unwrap_or_default()),
            file_field: "ApnsCredential.ApnsCertificate",
            password_field: PASSWORD,
        })),
        (None, Some(_)) => {
            let rule = "must be absent: it is the password of ApnsCertificate, which is not there";
            Err(FieldError::new(PASSWORD, rule))
        }
        (None, None) => Ok(None),
    }
}

/// SHA-1 of the certificate in capital hexadecimal digits, as portals name one.
pub(super) fn thumbprint(cert: &str) -> Option<String> {
    let der = CertificateDer::from_pem_slice(cert.as_bytes()).ok()?;
    Some(hex::encode_upper(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, &der)))
}

/// The service's origin. Of the binary interface, long gone, only the environment counts.
fn apns_endpoint(written: &str) -> String {
    let written = written.trim();
    let bare = written.strip_prefix("https://").unwrap_or(written);
    let authority = bare.split('/').next().unwrap_or_default().trim_end();
    let authority = authority.strip_suffix(":443").unwrap_or(authority).trim();
    let host = match authority {
        "gateway.push.apple.com" => "api.push.apple.com",
        "gateway.sandbox.push.apple.com" => "api.sandbox.push.apple.com",
        own => own,
    };
    format!("https://{host}")
}

/// A key as PEM: portals show it without its frame.
fn pem(label: &str, key: &str) -> String {
    let key = key.replace("\\n", "\n");
    if key.contains("-----BEGIN") {
        key
    } else {
        format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", key.trim())
    }
}

fn fcm(
    properties: &Properties<'_>,
    mut form: Map<String, Value>,
    beside: &Beside<'_>,
) -> Result<Map<String, Value>, FieldError> {
    let present = beside.current.and_then(|hub| hub.fcm.as_ref()).map(Google::of);
    let own = |name: &'static str| value(properties, name);
    let required =
        |name: &'static str| own(name).ok_or_else(|| FieldError::new(format!("FcmV1Credential.{name}"), "is required"));
    let (project, email) = (required("ProjectId")?, required("ClientEmail")?);
    let same = present.filter(|present| present.project == project && present.email == email);
    match (own("PrivateKey"), same) {
        (Some(key), same) => {
            let token_uri = same.map_or_else(|| GOOGLE_TOKENS.to_owned(), |same| same.token_uri);
            let account = json!({
                "type": "service_account",
                "project_id": project,
                "client_email": email,
                "private_key": pem("PRIVATE KEY", key),
                "token_uri": token_uri,
            });
            form.insert("service_account".to_owned(), account.to_string().into());
            Ok(form)
        }
        // What was read back is written back: the present account stays.
        (None, Some(_)) => Ok(form),
        (None, None) => Err(FieldError::new("FcmV1Credential.PrivateKey", "is required")),
    }
}

/// Where Google gives access tokens.
const GOOGLE_TOKENS: &str = "https://oauth2.googleapis.com/token";

/// What of a service account is no secret.
pub(super) struct Google {
    pub(super) project: String,
    pub(super) email: String,
    pub(super) token_uri: String,
}

impl Google {
    pub(super) fn of(account: &FcmAccount) -> Self {
        let json: Value = serde_json::from_str(account.service_account.expose()).unwrap_or_default();
        let text = |name: &str| json[name].as_str().unwrap_or_default().to_owned();
        Self { project: text("project_id"), email: text("client_email"), token_uri: text("token_uri") }
    }
}

fn wns(
    properties: &Properties<'_>,
    mut form: Map<String, Value>,
    _: &Beside<'_>,
) -> Result<Map<String, Value>, FieldError> {
    let client_id = value(properties, "PackageSid");
    if client_id.is_some() && form.get("client_id").and_then(Value::as_str) != client_id {
        form.insert("auth".to_owned(), "live".into());
        form.remove("tenant_id");
        form.remove("token_endpoint");
    }
    set(&mut form, "client_id", client_id);
    set(&mut form, "client_secret", value(properties, "SecretKey"));
    set(&mut form, "token_endpoint", value(properties, "WindowsLiveEndpoint"));
    Ok(form)
}

fn web_push(
    properties: &Properties<'_>,
    mut form: Map<String, Value>,
    beside: &Beside<'_>,
) -> Result<Map<String, Value>, FieldError> {
    let key = value(properties, "VapidPrivateKey");
    set(&mut form, "subject", value(properties, "Subject"));
    set(&mut form, "vapid_private_key", key);
    if let Some(public) = value(properties, "VapidPublicKey") {
        let present = || beside.current.and_then(|hub| hub.web_push.as_ref()).map(|own| own.vapid_private_key.expose());
        // A private key that cannot be read is refused by that name, where the account is made.
        let pair = key.or_else(present).and_then(|key| VapidKey::read(key).ok());
        let plain = public.trim_end_matches('=').replace('+', "-").replace('/', "_");
        if pair.is_some_and(|pair| pair.public() != plain) {
            let rule = "must be the public half of VapidPrivateKey, or of the hub's own key where that is left out";
            return Err(FieldError::new("BrowserCredential.VapidPublicKey", rule));
        }
    }
    Ok(form)
}

/// What pages subscribe with.
pub(super) fn public_key(web_push: &WebPushAccount) -> Option<String> {
    Some(VapidKey::read(web_push.vapid_private_key.expose()).ok()?.public().to_owned())
}

fn adm(
    properties: &Properties<'_>,
    mut form: Map<String, Value>,
    _: &Beside<'_>,
) -> Result<Map<String, Value>, FieldError> {
    set(&mut form, "client_id", value(properties, "ClientId"));
    set(&mut form, "client_secret", value(properties, "ClientSecret"));
    set(&mut form, "token_endpoint", value(properties, "AuthTokenUrl"));
    let endpoint = value(properties, "SendUrlTemplate").map(|url| {
        let rule = || FieldError::new("AdmCredential.SendUrlTemplate", format!("must be https://HOST{ADM_PATH}"));
        url.strip_suffix(ADM_PATH).ok_or_else(rule)
    });
    set(&mut form, "endpoint", endpoint.transpose()?);
    Ok(form)
}

fn baidu(
    properties: &Properties<'_>,
    mut form: Map<String, Value>,
    _: &Beside<'_>,
) -> Result<Map<String, Value>, FieldError> {
    set(&mut form, "api_key", value(properties, "BaiduApiKey"));
    set(&mut form, "secret_key", value(properties, "BaiduSecretKey"));
    let endpoint = value(properties, "BaiduEndPoint").map(|url| {
        let (origin, path) = match url.find(BAIDU_PATH) {
            Some(at) => url.split_at(at),
            None => (url, ""),
        };
        let is_other = origin.strip_prefix("https://").is_none_or(|host| host.trim_end_matches('/').contains('/'));
        let is_below = path.strip_prefix(BAIDU_PATH).is_none_or(|rest| rest.is_empty() || rest.starts_with('/'));
        let rule = || FieldError::new("BaiduCredential.BaiduEndPoint", "must be https://HOST of the REST API 3.0");
        if is_other || !is_below { Err(rule()) } else { Ok(origin) }
    });
    set(&mut form, "endpoint", endpoint.transpose()?);
    Ok(form)
}

fn xiaomi(
    properties: &Properties<'_>,
    mut form: Map<String, Value>,
    _: &Beside<'_>,
) -> Result<Map<String, Value>, FieldError> {
    set(&mut form, "app_secret", value(properties, "AppSecret"));
    set(&mut form, "endpoint", value(properties, "Endpoint"));
    Ok(form)
}
