//! `[hubs.*.apns]`, `fcm`, `wns`, `web_push`, `adm`, `baidu` and `xiaomi`: where each push service is and how Fanfare proves who it is there.
//!
//! Only `https`: a gateway's credentials travel with each request, and simulated gateways speak TLS as well (`ca_file`).

use super::{
    error::ConfigError,
    host::{self, HostPattern},
    section::Section,
    url::{self, ServiceUrl},
};
use crate::identity::secret::Secret;
use crate::model::percent::encoded;
use serde::Serialize;
use std::path::PathBuf;

/// What every gateway has.
#[derive(Debug, Clone, Serialize)]
pub struct GatewayConfig {
    /// PEM roots that are trusted besides the public ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// All nodes together; 0 = as fast as the service takes it.
    pub rate_per_second: u32,
}

impl GatewayConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        Ok(Self { ca_file: s.path("ca_file")?, rate_per_second: s.integer("rate_per_second", 0, 0..=100_000_000)? })
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct ApnsConfig {
    pub endpoint: ServiceUrl,
    /// The app's bundle id.
    pub topic: String,
    #[serde(flatten)]
    pub auth: ApnsAuth,
    /// In each process.
    pub connections: u32,
    #[serde(flatten)]
    pub gateway: GatewayConfig,
}

/// How Fanfare proves to Apple whose app it is (`specs/push-services.md` 1.2).
#[derive(Debug, Clone, Serialize)]
#[serde(untagged)]
pub enum ApnsAuth {
    /// A provider token signed with a `.p8` key.
    Token {
        team_id: String,
        key_id: String,
        /// PKCS#8 in PEM, P-256.
        key: Secret,
        #[serde(skip_serializing_if = "Option::is_none")]
        key_file: Option<PathBuf>,
    },
    /// A client certificate of one app.
    Certificate {
        cert_file: PathBuf,
        /// PEM.
        cert_key: Secret,
        #[serde(skip_serializing_if = "Option::is_none")]
        cert_key_file: Option<PathBuf>,
    },
}

const ENDPOINT: &str = "must be an https:// URL of one host, without user and query";

impl ApnsConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&[
            "endpoint",
            "topic",
            "team_id",
            "key_id",
            "key",
            "key_file",
            "cert_file",
            "cert_key",
            "cert_key_file",
            "ca_file",
            "connections",
            "rate_per_second",
        ])?;
        Ok(Self {
            endpoint: endpoint(s, "https://api.push.apple.com")?,
            topic: s.required("topic", "must be a bundle id: letters, digits, '.', '-' or '_', at most 255", |t| {
                let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_');
                ((1..=255).contains(&t.len()) && t.bytes().all(letter)).then(|| t.to_owned())
            })?,
            auth: ApnsAuth::read(s)?,
            connections: s.integer("connections", 4, 1..=1000)?,
            gateway: GatewayConfig::read(s)?,
        })
    }
}

impl ApnsAuth {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        let first_of = |keys: &[&'static str]| keys.iter().copied().find(|key| s.has(key));
        let certificate = first_of(&["cert_file", "cert_key", "cert_key_file"]);
        let token = first_of(&["key", "key_file", "team_id", "key_id"]);
        match (token, certificate) {
            (Some(token), Some(certificate)) => {
                Err(s.fail(certificate, format!("must not stand beside {token}: a key or a certificate")))
            }
            (None, None) => Err(s.fail("key_file", "must be given, or cert_file and cert_key_file")),
            (_, None) => {
                let ten = "must be 10 capital letters or digits";
                let team_id = s.required("team_id", ten, ten_characters)?;
                let key_id = s.required("key_id", ten, ten_characters)?;
                let key = s.required_secret("key")?;
                Ok(Self::Token { team_id, key_id, key: key.text, key_file: key.file })
            }
            (None, Some(_)) => {
                let cert_file = s.required_path("cert_file")?;
                let key = s.required_secret("cert_key")?;
                Ok(Self::Certificate { cert_file, cert_key: key.text, cert_key_file: key.file })
            }
        }
    }
}

fn ten_characters(text: &str) -> Option<String> {
    let fits = text.len() == 10 && text.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    fits.then(|| text.to_owned())
}

fn endpoint(s: &Section<'_>, default: &str) -> Result<ServiceUrl, ConfigError> {
    // Paths are the protocols' own, so an endpoint is an origin.
    let origin = |text: &str| url::https(text).filter(|url| matches!(url.path(), "" | "/"));
    let given = s.parsed("endpoint", "must be an https:// URL of one host, without user, path and query", origin)?;
    given.or_else(|| origin(default)).ok_or_else(|| s.fail("endpoint", ENDPOINT))
}

#[derive(Debug, Clone, Serialize)]
pub struct FcmConfig {
    pub endpoint: ServiceUrl,
    /// The JSON of a Google service account: project, key and token URI come from it.
    pub service_account: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account_file: Option<PathBuf>,
    #[serde(flatten)]
    pub gateway: GatewayConfig,
}

impl FcmConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["endpoint", "service_account", "service_account_file", "ca_file", "rate_per_second"])?;
        let endpoint = endpoint(s, "https://fcm.googleapis.com")?;
        let account = s.required_secret("service_account")?;
        Ok(Self {
            endpoint,
            service_account: account.text,
            service_account_file: account.file,
            gateway: GatewayConfig::read(s)?,
        })
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct WnsConfig {
    #[serde(flatten)]
    pub auth: WnsAuth,
    pub client_id: String,
    pub client_secret: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    /// With the tenant put in.
    pub token_endpoint: ServiceUrl,
    /// Channels of other hosts are refused.
    pub allowed_hosts: Vec<HostPattern>,
    #[serde(flatten)]
    pub gateway: GatewayConfig,
}

/// The two ways to a WNS access token (`specs/push-services.md` 3.1).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "auth", rename_all = "lowercase")]
pub enum WnsAuth {
    Entra { tenant_id: String },
    Live,
}

impl WnsConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&[
            "auth",
            "tenant_id",
            "client_id",
            "client_secret",
            "client_secret_file",
            "token_endpoint",
            "allowed_hosts",
            "ca_file",
            "rate_per_second",
        ])?;
        let is_entra = s.choice("auth", true, &[("entra", true), ("live", false)])?;
        let (auth, default) = if is_entra {
            let tenant_id = s.required("tenant_id", "must be a tenant's id or domain", |t| {
                word(t).filter(|tenant| tenant.is_ascii() && !tenant.contains(['/', '?', '#', '%', '{', '}']))
            })?;
            (WnsAuth::Entra { tenant_id }, "https://login.microsoftonline.com/{tenant_id}/oauth2/v2.0/token")
        } else if s.has("tenant_id") {
            return Err(s.fail("tenant_id", "must not be given with auth = \"live\""));
        } else {
            (WnsAuth::Live, "https://login.live.com/accesstoken.srf")
        };
        let client_id = match &auth {
            WnsAuth::Entra { .. } => {
                s.required("client_id", "must be an application id", |t| word(t).filter(|id| id.is_ascii()))?
            }
            WnsAuth::Live => s.required("client_id", "must be a package SID: ms-app://S-1-15-2-…", |t| {
                word(t).filter(|sid| sid.is_ascii() && sid.starts_with("ms-app://S-1-15-2-"))
            })?,
        };
        let secret = s.required_secret("client_secret")?;
        let with_tenant = |text: &str| match &auth {
            WnsAuth::Entra { tenant_id } => url::https(&text.replace("{tenant_id}", &encoded(tenant_id))),
            WnsAuth::Live => url::https(text),
        };
        let token_rule =
            "must be an https:// URL of one host, without user and query; {tenant_id} stands for the tenant";
        let token_endpoint =
            s.parsed("token_endpoint", token_rule, |t| with_tenant(t).filter(|u| !u.path().contains(['{', '}'])))?;
        Ok(Self {
            token_endpoint: token_endpoint
                .or_else(|| with_tenant(default))
                .ok_or_else(|| s.fail("token_endpoint", token_rule))?,
            auth,
            client_id,
            client_secret: secret.text,
            client_secret_file: secret.file,
            allowed_hosts: host::allowed(s, &["*.notify.windows.com"])?,
            gateway: GatewayConfig::read(s)?,
        })
    }
}

fn word(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= 255 && !text.contains(|c: char| c.is_whitespace() || c.is_control());
    fits.then(|| text.to_owned())
}

#[derive(Debug, Clone, Serialize)]
pub struct WebPushConfig {
    /// `mailto:` or `https:` contact, shown to the push services.
    pub subject: String,
    /// PEM (PKCS#8 or SEC 1, P-256) or the 32 bytes in base64url.
    pub vapid_private_key: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vapid_private_key_file: Option<PathBuf>,
    /// Subscriptions name their own endpoint, so by default none may lead into the operator's network.
    pub allow_private_networks: bool,
    #[serde(flatten)]
    pub gateway: GatewayConfig,
}

impl WebPushConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&[
            "subject",
            "vapid_private_key",
            "vapid_private_key_file",
            "allow_private_networks",
            "ca_file",
            "rate_per_second",
        ])?;
        let subject = s.required("subject", "must be a mailto: or https: contact", |text| {
            let mail = text.strip_prefix("mailto:").is_some_and(|to| {
                to.split_once('@')
                    .is_some_and(|(name, host)| !name.is_empty() && url::is_host(host) && word(to).is_some())
            });
            (mail || ServiceUrl::parse(text).is_some_and(|url| url.scheme() == "https")).then(|| text.to_owned())
        })?;
        let key = s.required_secret("vapid_private_key")?;
        Ok(Self {
            subject,
            vapid_private_key: key.text,
            vapid_private_key_file: key.file,
            allow_private_networks: s.boolean("allow_private_networks", false)?,
            gateway: GatewayConfig::read(s)?,
        })
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct AdmConfig {
    pub client_id: String,
    pub client_secret: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    pub endpoint: ServiceUrl,
    pub token_endpoint: ServiceUrl,
    #[serde(flatten)]
    pub gateway: GatewayConfig,
}

impl AdmConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&[
            "client_id",
            "client_secret",
            "client_secret_file",
            "endpoint",
            "token_endpoint",
            "ca_file",
            "rate_per_second",
        ])?;
        let client_id = s.required("client_id", "must be the client id of a security profile", |t| {
            word(t).filter(|id| id.is_ascii())
        })?;
        let secret = s.required_secret("client_secret")?;
        let token_endpoint = s.parsed("token_endpoint", ENDPOINT, url::https)?;
        Ok(Self {
            client_id,
            client_secret: secret.text,
            client_secret_file: secret.file,
            endpoint: endpoint(s, "https://api.amazon.com")?,
            token_endpoint: token_endpoint
                .or_else(|| url::https("https://api.amazon.com/auth/O2/token"))
                .ok_or_else(|| s.fail("token_endpoint", ENDPOINT))?,
            gateway: GatewayConfig::read(s)?,
        })
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct BaiduConfig {
    pub api_key: String,
    pub secret_key: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret_key_file: Option<PathBuf>,
    pub endpoint: ServiceUrl,
    #[serde(flatten)]
    pub gateway: GatewayConfig,
}

impl BaiduConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["api_key", "secret_key", "secret_key_file", "endpoint", "ca_file", "rate_per_second"])?;
        let api_key =
            s.required("api_key", "must be the API key of an app", |t| word(t).filter(|key| key.is_ascii()))?;
        let secret = s.required_secret("secret_key")?;
        Ok(Self {
            api_key,
            secret_key: secret.text,
            secret_key_file: secret.file,
            endpoint: endpoint(s, "https://api.tuisong.baidu.com")?,
            gateway: GatewayConfig::read(s)?,
        })
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct XiaomiConfig {
    pub app_secret: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_secret_file: Option<PathBuf>,
    /// The app that alone shows the messages.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub package_name: Option<String>,
    pub endpoint: ServiceUrl,
    #[serde(flatten)]
    pub gateway: GatewayConfig,
}

impl XiaomiConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["app_secret", "app_secret_file", "package_name", "endpoint", "ca_file", "rate_per_second"])?;
        let secret = s.required_secret("app_secret")?;
        let rule = "must be an app's package name: letters, digits, '.' or '_', at most 255";
        let package_name = s.parsed("package_name", rule, |t| {
            let letter = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_');
            ((1..=255).contains(&t.len()) && t.bytes().all(letter)).then(|| t.to_owned())
        })?;
        Ok(Self {
            app_secret: secret.text,
            app_secret_file: secret.file,
            package_name,
            endpoint: endpoint(s, "https://api.xmpush.xiaomi.com")?,
            gateway: GatewayConfig::read(s)?,
        })
    }
}
