//! Settings as the store keeps them: JSON whose secrets are sealed, each bound to its hub and field.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::settings::{
    AdmAccount, ApnsAccount, ApnsAuth, BaiduAccount, Described, FcmAccount, HubSettings, WebPushAccount, WnsAccount,
    WnsAuth, XiaomiAccount,
};
use crate::identity::keys::{AccessRule, Rights};
use crate::identity::secret::Secret;
use crate::identity::secrets::{SealError, Vault};
use crate::model::id::HubName;

/// A hub's stored settings cannot be read. Says nothing about their content.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UnreadableHub {
    #[error("hub {hub}: {field}: {source}")]
    Sealed { hub: HubName, field: String, source: SealError },
    #[error("hub {hub}: its stored settings are broken: {why}")]
    Broken { hub: HubName, why: String },
}

#[derive(Serialize, Deserialize)]
struct StoredHub {
    weight: u32,
    keys: Vec<StoredRule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    apns: Option<StoredApns>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fcm: Option<StoredFcm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wns: Option<StoredWns>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registration_ttl_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    user_metadata: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    web_push: Option<StoredWebPush>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    adm: Option<StoredAdm>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    baidu: Option<StoredBaidu>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    xiaomi: Option<StoredXiaomi>,
}

#[derive(Serialize, Deserialize)]
struct StoredRule {
    name: String,
    rights: Vec<String>,
    primary: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    secondary: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoredApns {
    endpoint: String,
    topic: String,
    auth: StoredApnsAuth,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    connections: u32,
    rate_per_second: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StoredApnsAuth {
    Token { team_id: String, key_id: String, key: String },
    Certificate { cert: String, key: String },
}

#[derive(Serialize, Deserialize)]
struct StoredFcm {
    endpoint: String,
    service_account: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    rate_per_second: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredWns {
    /// Absent: the flow of the Store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tenant_id: Option<String>,
    client_id: String,
    client_secret: String,
    token_endpoint: String,
    allowed_hosts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    rate_per_second: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredWebPush {
    subject: String,
    vapid_private_key: String,
    allow_private_networks: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    rate_per_second: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredAdm {
    client_id: String,
    client_secret: String,
    endpoint: String,
    token_endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    rate_per_second: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredBaidu {
    api_key: String,
    secret_key: String,
    endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    rate_per_second: u32,
}

#[derive(Serialize, Deserialize)]
struct StoredXiaomi {
    app_secret: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    package_name: Option<String>,
    endpoint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ca: Option<String>,
    rate_per_second: u32,
}

/// Fields that secrets are bound to. They never change: what is sealed under one opens under no other.
const APNS_KEY: &str = "apns.key";
const APNS_CERT_KEY: &str = "apns.cert_key";
const FCM_SERVICE_ACCOUNT: &str = "fcm.service_account";
const WNS_CLIENT_SECRET: &str = "wns.client_secret";
const WEB_PUSH_KEY: &str = "web_push.vapid_private_key";
const ADM_CLIENT_SECRET: &str = "adm.client_secret";
const BAIDU_SECRET_KEY: &str = "baidu.secret_key";
const XIAOMI_APP_SECRET: &str = "xiaomi.app_secret";

fn rule_field(rule: &str, which: &str) -> String {
    format!("keys.{rule}.{which}")
}

/// The stored form of a hub's settings.
pub(super) fn write(vault: &Vault, hub: &HubName, settings: &HubSettings) -> Result<Vec<u8>, SealError> {
    let seal = |field: &str, secret: &Secret| -> Result<String, SealError> {
        Ok(STANDARD.encode(vault.seal(hub.as_str(), field, secret.expose().as_bytes())?))
    };
    let rule = |rule: &AccessRule| {
        let secondary = rule.secondary.as_ref().map(|key| seal(&rule_field(&rule.name, "secondary"), key));
        Ok(StoredRule {
            name: rule.name.clone(),
            rights: rule.rights.names().map(str::to_owned).collect(),
            primary: seal(&rule_field(&rule.name, "primary"), &rule.primary)?,
            secondary: secondary.transpose()?,
        })
    };
    let apns = |apns: &ApnsAccount| {
        let auth = match &apns.auth {
            ApnsAuth::Token { team_id, key_id, key } => {
                StoredApnsAuth::Token { team_id: team_id.clone(), key_id: key_id.clone(), key: seal(APNS_KEY, key)? }
            }
            ApnsAuth::Certificate { cert, key } => {
                StoredApnsAuth::Certificate { cert: cert.clone(), key: seal(APNS_CERT_KEY, key)? }
            }
        };
        Ok(StoredApns {
            endpoint: apns.endpoint.clone(),
            topic: apns.topic.clone(),
            auth,
            ca: apns.ca.clone(),
            connections: apns.connections,
            rate_per_second: apns.rate_per_second,
        })
    };
    let fcm = |fcm: &FcmAccount| {
        Ok(StoredFcm {
            endpoint: fcm.endpoint.clone(),
            service_account: seal(FCM_SERVICE_ACCOUNT, &fcm.service_account)?,
            ca: fcm.ca.clone(),
            rate_per_second: fcm.rate_per_second,
        })
    };
    let wns = |wns: &WnsAccount| {
        let tenant_id = match &wns.auth {
            WnsAuth::Entra { tenant_id } => Some(tenant_id.clone()),
            WnsAuth::Live => None,
        };
        Ok(StoredWns {
            tenant_id,
            client_id: wns.client_id.clone(),
            client_secret: seal(WNS_CLIENT_SECRET, &wns.client_secret)?,
            token_endpoint: wns.token_endpoint.clone(),
            allowed_hosts: wns.allowed_hosts.clone(),
            ca: wns.ca.clone(),
            rate_per_second: wns.rate_per_second,
        })
    };
    let web_push = |web_push: &WebPushAccount| {
        Ok(StoredWebPush {
            subject: web_push.subject.clone(),
            vapid_private_key: seal(WEB_PUSH_KEY, &web_push.vapid_private_key)?,
            allow_private_networks: web_push.allow_private_networks,
            ca: web_push.ca.clone(),
            rate_per_second: web_push.rate_per_second,
        })
    };
    let adm = |adm: &AdmAccount| {
        Ok(StoredAdm {
            client_id: adm.client_id.clone(),
            client_secret: seal(ADM_CLIENT_SECRET, &adm.client_secret)?,
            endpoint: adm.endpoint.clone(),
            token_endpoint: adm.token_endpoint.clone(),
            ca: adm.ca.clone(),
            rate_per_second: adm.rate_per_second,
        })
    };
    let baidu = |baidu: &BaiduAccount| {
        Ok(StoredBaidu {
            api_key: baidu.api_key.clone(),
            secret_key: seal(BAIDU_SECRET_KEY, &baidu.secret_key)?,
            endpoint: baidu.endpoint.clone(),
            ca: baidu.ca.clone(),
            rate_per_second: baidu.rate_per_second,
        })
    };
    let xiaomi = |xiaomi: &XiaomiAccount| {
        Ok(StoredXiaomi {
            app_secret: seal(XIAOMI_APP_SECRET, &xiaomi.app_secret)?,
            package_name: xiaomi.package_name.clone(),
            endpoint: xiaomi.endpoint.clone(),
            ca: xiaomi.ca.clone(),
            rate_per_second: xiaomi.rate_per_second,
        })
    };
    let stored = StoredHub {
        weight: settings.weight,
        keys: settings.keys.iter().map(rule).collect::<Result<_, SealError>>()?,
        apns: settings.apns.as_ref().map(apns).transpose()?,
        fcm: settings.fcm.as_ref().map(fcm).transpose()?,
        wns: settings.wns.as_ref().map(wns).transpose()?,
        registration_ttl_seconds: settings.described.registration_ttl_seconds,
        user_metadata: settings.described.user_metadata.clone(),
        web_push: settings.web_push.as_ref().map(web_push).transpose()?,
        adm: settings.adm.as_ref().map(adm).transpose()?,
        baidu: settings.baidu.as_ref().map(baidu).transpose()?,
        xiaomi: settings.xiaomi.as_ref().map(xiaomi).transpose()?,
    };
    serde_json::to_vec(&stored).map_err(|_| SealError::Format)
}

/// Settings, and whether a secret among them is still sealed with a previous key.
pub(super) fn read(vault: &Vault, hub: &HubName, stored: &[u8]) -> Result<(HubSettings, bool), UnreadableHub> {
    let broken = |why: String| UnreadableHub::Broken { hub: hub.clone(), why };
    // serde_json's messages name members and positions, never values of texts.
    let stored: StoredHub = serde_json::from_slice(stored).map_err(|error| broken(error.to_string()))?;
    let mut stale = false;
    let mut open = |field: &str, sealed: &str| -> Result<Secret, UnreadableHub> {
        let sealed_as = |source| UnreadableHub::Sealed { hub: hub.clone(), field: field.to_owned(), source };
        let sealed = STANDARD.decode(sealed).map_err(|_| sealed_as(SealError::Format))?;
        let opened = vault.open_sealed(hub.as_str(), field, &sealed).map_err(sealed_as)?;
        stale |= !vault.is_current(&sealed).map_err(sealed_as)?;
        Ok(Secret::new(String::from_utf8(opened).map_err(|_| sealed_as(SealError::Format))?))
    };
    let mut keys = Vec::with_capacity(stored.keys.len());
    for rule in stored.keys {
        let mut rights = Rights::NONE;
        for name in &rule.rights {
            rights = rights | Rights::parse(name).ok_or_else(|| broken("a right has an unknown name".to_owned()))?;
        }
        let primary = open(&rule_field(&rule.name, "primary"), &rule.primary)?;
        let secondary = rule.secondary.map(|key| open(&rule_field(&rule.name, "secondary"), &key)).transpose()?;
        keys.push(AccessRule { name: rule.name, rights, primary, secondary });
    }
    let apns = match stored.apns {
        None => None,
        Some(apns) => Some(ApnsAccount {
            auth: match apns.auth {
                StoredApnsAuth::Token { team_id, key_id, key } => {
                    ApnsAuth::Token { team_id, key_id, key: open(APNS_KEY, &key)? }
                }
                StoredApnsAuth::Certificate { cert, key } => {
                    ApnsAuth::Certificate { cert, key: open(APNS_CERT_KEY, &key)? }
                }
            },
            endpoint: apns.endpoint,
            topic: apns.topic,
            ca: apns.ca,
            connections: apns.connections,
            rate_per_second: apns.rate_per_second,
        }),
    };
    let fcm = match stored.fcm {
        None => None,
        Some(fcm) => Some(FcmAccount {
            service_account: open(FCM_SERVICE_ACCOUNT, &fcm.service_account)?,
            endpoint: fcm.endpoint,
            ca: fcm.ca,
            rate_per_second: fcm.rate_per_second,
        }),
    };
    let wns = match stored.wns {
        None => None,
        Some(wns) => Some(WnsAccount {
            auth: wns.tenant_id.map_or(WnsAuth::Live, |tenant_id| WnsAuth::Entra { tenant_id }),
            client_id: wns.client_id,
            client_secret: open(WNS_CLIENT_SECRET, &wns.client_secret)?,
            token_endpoint: wns.token_endpoint,
            allowed_hosts: wns.allowed_hosts,
            ca: wns.ca,
            rate_per_second: wns.rate_per_second,
        }),
    };
    let web_push = match stored.web_push {
        None => None,
        Some(web_push) => Some(WebPushAccount {
            vapid_private_key: open(WEB_PUSH_KEY, &web_push.vapid_private_key)?,
            subject: web_push.subject,
            allow_private_networks: web_push.allow_private_networks,
            ca: web_push.ca,
            rate_per_second: web_push.rate_per_second,
        }),
    };
    let adm = match stored.adm {
        None => None,
        Some(adm) => Some(AdmAccount {
            client_id: adm.client_id,
            client_secret: open(ADM_CLIENT_SECRET, &adm.client_secret)?,
            endpoint: adm.endpoint,
            token_endpoint: adm.token_endpoint,
            ca: adm.ca,
            rate_per_second: adm.rate_per_second,
        }),
    };
    let baidu = match stored.baidu {
        None => None,
        Some(baidu) => Some(BaiduAccount {
            api_key: baidu.api_key,
            secret_key: open(BAIDU_SECRET_KEY, &baidu.secret_key)?,
            endpoint: baidu.endpoint,
            ca: baidu.ca,
            rate_per_second: baidu.rate_per_second,
        }),
    };
    let xiaomi = match stored.xiaomi {
        None => None,
        Some(xiaomi) => Some(XiaomiAccount {
            app_secret: open(XIAOMI_APP_SECRET, &xiaomi.app_secret)?,
            package_name: xiaomi.package_name,
            endpoint: xiaomi.endpoint,
            ca: xiaomi.ca,
            rate_per_second: xiaomi.rate_per_second,
        }),
    };
    let described =
        Described { registration_ttl_seconds: stored.registration_ttl_seconds, user_metadata: stored.user_metadata };
    let weight = stored.weight;
    Ok((HubSettings { weight, keys, apns, fcm, wns, web_push, adm, baidu, xiaomi, described }, stale))
}

#[cfg(test)]
mod tests;
