//! Hubs that the configuration names, as settings: what files hold is read in.

use std::path::Path;

use super::settings::{
    AdmAccount, ApnsAccount, ApnsAuth, BaiduAccount, Described, FcmAccount, HubSettings, NoRandomness, WebPushAccount,
    WnsAccount, WnsAuth, XiaomiAccount, default_rules,
};
use crate::config::{self, ConfigError, HubConfig};
use crate::identity::keys::AccessRule;

/// A configured hub cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ConfiguredHubError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

/// The settings that the configuration states. Where it names no keys, the hub keeps `current` ones or gets the
/// defaults.
pub(super) fn settings(
    name: &str,
    hub: &HubConfig,
    current: Option<&[AccessRule]>,
) -> Result<HubSettings, ConfiguredHubError> {
    let keys = match (hub.keys.is_empty(), current) {
        (false, _) => hub.keys.clone(),
        (true, Some(current)) => current.to_vec(),
        (true, None) => default_rules()?,
    };
    let apns = hub.apns.as_ref().map(|apns| self::apns(name, apns)).transpose()?;
    let fcm = hub.fcm.as_ref().map(|fcm| self::fcm(name, fcm)).transpose()?;
    let wns = hub.wns.as_ref().map(|wns| self::wns(name, wns)).transpose()?;
    let web_push = hub.web_push.as_ref().map(|web_push| self::web_push(name, web_push)).transpose()?;
    let adm = hub.adm.as_ref().map(|adm| self::adm(name, adm)).transpose()?;
    let baidu = hub.baidu.as_ref().map(|baidu| self::baidu(name, baidu)).transpose()?;
    let xiaomi = hub.xiaomi.as_ref().map(|xiaomi| self::xiaomi(name, xiaomi)).transpose()?;
    let described = Described::default();
    Ok(HubSettings { weight: hub.weight, keys, apns, fcm, wns, web_push, adm, baidu, xiaomi, described })
}

fn apns(hub: &str, apns: &config::ApnsConfig) -> Result<ApnsAccount, ConfigError> {
    let read = |key: &str, path: &Path| text_of(&format!("hubs.{hub}.apns.{key}"), path);
    let auth = match &apns.auth {
        config::ApnsAuth::Token { team_id, key_id, key, .. } => {
            ApnsAuth::Token { team_id: team_id.clone(), key_id: key_id.clone(), key: key.clone() }
        }
        config::ApnsAuth::Certificate { cert_file, cert_key, .. } => {
            ApnsAuth::Certificate { cert: read("cert_file", cert_file)?, key: cert_key.clone() }
        }
    };
    Ok(ApnsAccount {
        endpoint: apns.endpoint.expose().to_owned(),
        topic: apns.topic.clone(),
        auth,
        ca: apns.gateway.ca_file.as_deref().map(|path| read("ca_file", path)).transpose()?,
        connections: apns.connections,
        rate_per_second: apns.gateway.rate_per_second,
    })
}

fn fcm(hub: &str, fcm: &config::FcmConfig) -> Result<FcmAccount, ConfigError> {
    let ca = fcm.gateway.ca_file.as_deref().map(|path| text_of(&format!("hubs.{hub}.fcm.ca_file"), path));
    Ok(FcmAccount {
        endpoint: fcm.endpoint.expose().to_owned(),
        service_account: fcm.service_account.clone(),
        ca: ca.transpose()?,
        rate_per_second: fcm.gateway.rate_per_second,
    })
}

fn wns(hub: &str, wns: &config::WnsConfig) -> Result<WnsAccount, ConfigError> {
    let ca = wns.gateway.ca_file.as_deref().map(|path| text_of(&format!("hubs.{hub}.wns.ca_file"), path));
    Ok(WnsAccount {
        auth: match &wns.auth {
            config::WnsAuth::Entra { tenant_id } => WnsAuth::Entra { tenant_id: tenant_id.clone() },
            config::WnsAuth::Live => WnsAuth::Live,
        },
        client_id: wns.client_id.clone(),
        client_secret: wns.client_secret.clone(),
        token_endpoint: wns.token_endpoint.expose().to_owned(),
        allowed_hosts: wns.allowed_hosts.iter().map(ToString::to_string).collect(),
        ca: ca.transpose()?,
        rate_per_second: wns.gateway.rate_per_second,
    })
}

fn web_push(hub: &str, web_push: &config::WebPushConfig) -> Result<WebPushAccount, ConfigError> {
    let ca = web_push.gateway.ca_file.as_deref().map(|path| text_of(&format!("hubs.{hub}.web_push.ca_file"), path));
    Ok(WebPushAccount {
        subject: web_push.subject.clone(),
        vapid_private_key: web_push.vapid_private_key.clone(),
        allow_private_networks: web_push.allow_private_networks,
        ca: ca.transpose()?,
        rate_per_second: web_push.gateway.rate_per_second,
    })
}

fn adm(hub: &str, adm: &config::AdmConfig) -> Result<AdmAccount, ConfigError> {
    let ca = adm.gateway.ca_file.as_deref().map(|path| text_of(&format!("hubs.{hub}.adm.ca_file"), path));
    Ok(AdmAccount {
        client_id: adm.client_id.clone(),
        client_secret: adm.client_secret.clone(),
        endpoint: adm.endpoint.expose().to_owned(),
        token_endpoint: adm.token_endpoint.expose().to_owned(),
        ca: ca.transpose()?,
        rate_per_second: adm.gateway.rate_per_second,
    })
}

fn baidu(hub: &str, baidu: &config::BaiduConfig) -> Result<BaiduAccount, ConfigError> {
    let ca = baidu.gateway.ca_file.as_deref().map(|path| text_of(&format!("hubs.{hub}.baidu.ca_file"), path));
    Ok(BaiduAccount {
        api_key: baidu.api_key.clone(),
        secret_key: baidu.secret_key.clone(),
        endpoint: baidu.endpoint.expose().to_owned(),
        ca: ca.transpose()?,
        rate_per_second: baidu.gateway.rate_per_second,
    })
}

fn xiaomi(hub: &str, xiaomi: &config::XiaomiConfig) -> Result<XiaomiAccount, ConfigError> {
    let ca = xiaomi.gateway.ca_file.as_deref().map(|path| text_of(&format!("hubs.{hub}.xiaomi.ca_file"), path));
    Ok(XiaomiAccount {
        app_secret: xiaomi.app_secret.clone(),
        package_name: xiaomi.package_name.clone(),
        endpoint: xiaomi.endpoint.expose().to_owned(),
        ca: ca.transpose()?,
        rate_per_second: xiaomi.gateway.rate_per_second,
    })
}

fn text_of(key: &str, path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|error| ConfigError {
        key: key.to_owned(),
        rule: format!("must name a readable file; {error}"),
        got: path.display().to_string(),
    })
}
