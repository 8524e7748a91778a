//! What the files hold: certificates, keys, accounts. A wrong one is found here, not at the first broadcast.
//!
//! Nobody is contacted and nothing is written; whether a push service likes a key is `doctor`'s question.

use super::{ApnsAuth, Config, ConfigError, StoreUrl, section::dotted};
use crate::identity::{
    key_file,
    secret::{MASK, Secret},
    secrets,
    user_id::KnownIds,
};
use crate::store::StoreError;
use aws_lc_rs::{
    agreement::{self, ECDH_P256},
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RsaKeyPair},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rustls::{
    RootCertStore,
    crypto::aws_lc_rs as provider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use serde::Deserialize;
use std::{fs, path::Path};

pub(super) fn check(config: &Config) -> Result<(), ConfigError> {
    if let Some(tls) = &config.server.tls {
        let key = read("server.tls.key_file", &tls.key_file)?;
        certified(("server.tls.cert_file", &tls.cert_file), ("server.tls.key_file", Some(&tls.key_file)), &key)?;
    }
    if let (StoreUrl::Postgres(url), Some(Err(error))) =
        (&config.store.url, config.store.postgres().map(|options| options.check()))
    {
        let why = match error {
            StoreError::Engine(words) => words,
            other => other.to_string(),
        };
        return Err(ConfigError::new("store.url", format!("must be usable; {why}"), &url.to_string()));
    }
    own_keys(config)?;
    for (name, hub) in &config.hubs {
        gateways(name, hub)?;
    }
    if let Some(mobile) = &config.mobile {
        for (name, table) in &mobile.tables {
            if let Some(file) = &table.seed_file {
                seed(&dotted(&["mobile", "tables", name, "seed_file"]), file)?;
            }
        }
        roots("mobile.api.ca_file", mobile.api.as_ref().and_then(|api| api.ca_file.as_deref()))?;
        if let Some(file) = mobile.auth.as_ref().and_then(|auth| auth.user_ids_file.as_deref()) {
            let key = "mobile.auth.user_ids_file";
            let text = fs::read_to_string(file)
                .map_err(|e| bad(key, Some(file), &format!("must name a readable file; {e}")))?;
            KnownIds::parse(&text)
                .map_err(|why| bad(key, Some(file), &format!("must hold ids by provider and subject; {why}")))?;
        }
        for (name, provider) in mobile.auth.iter().flat_map(|auth| &auth.providers) {
            let at = |key: &str| dotted(&["mobile", "auth", "providers", name, key]);
            roots(&at("ca_file"), provider.ca_file.as_deref())?;
            if let (Some(_), Some(key)) = (&provider.key_id, &provider.client_secret) {
                let file = provider.client_secret_file.as_deref();
                let spot = at(secret_key("client_secret", file));
                p256(key).ok_or_else(|| bad(&spot, file, "must be a P-256 private key in PKCS#8 PEM (.p8)"))?;
            }
        }
    }
    match &config.site {
        Some(site) if !site.dir.is_dir() => {
            Err(ConfigError::new("site.dir", "must be a folder", &site.dir.display().to_string()))
        }
        _ => Ok(()),
    }
}

/// Fanfare's own key files, where they exist; it makes the missing ones at start.
fn own_keys(config: &Config) -> Result<(), ConfigError> {
    if let Some(file) = config.admin.key_file.as_deref().filter(|file| file.exists()) {
        let key = read("admin.key_file", file)?;
        if key.expose().is_empty() || key.expose().contains(char::is_whitespace) {
            return Err(bad("admin.key_file", Some(file), "must name a file of text without white space"));
        }
    }
    let current = config.secrets.key_file.iter().filter(|file| file.exists()).map(|file| ("secrets.key_file", file));
    let previous = config.secrets.previous_key_files.iter().map(|file| ("secrets.previous_key_files", file));
    for (key, file) in current.chain(previous) {
        secrets::check_key(&read(key, file)?)
            .map_err(|_| bad(key, Some(file), "must name a file of 64 hexadecimal digits"))?;
    }
    Ok(())
}

fn gateways(name: &str, hub: &super::HubConfig) -> Result<(), ConfigError> {
    let at = |gateway: &str, key: &str| dotted(&["hubs", name, gateway, key]);
    if let Some(apns) = &hub.apns {
        match &apns.auth {
            ApnsAuth::Token { key, key_file, .. } => {
                let spot = at("apns", secret_key("key", key_file.as_deref()));
                p256(key).ok_or_else(|| {
                    bad(&spot, key_file.as_deref(), "must be a P-256 private key in PKCS#8 PEM (.p8)")
                })?;
            }
            ApnsAuth::Certificate { cert_file, cert_key, cert_key_file } => {
                let key_spot = at("apns", secret_key("cert_key", cert_key_file.as_deref()));
                certified((&at("apns", "cert_file"), cert_file), (&key_spot, cert_key_file.as_deref()), cert_key)?;
            }
        }
        roots(&at("apns", "ca_file"), apns.gateway.ca_file.as_deref())?;
    }
    if let Some(fcm) = &hub.fcm {
        let file = fcm.service_account_file.as_deref();
        let spot = at("fcm", secret_key("service_account", file));
        service_account(&fcm.service_account).map_err(|rule| bad(&spot, file, rule))?;
        roots(&at("fcm", "ca_file"), fcm.gateway.ca_file.as_deref())?;
    }
    if let Some(wns) = &hub.wns {
        roots(&at("wns", "ca_file"), wns.gateway.ca_file.as_deref())?;
    }
    if let Some(web_push) = &hub.web_push {
        let file = web_push.vapid_private_key_file.as_deref();
        let spot = at("web_push", secret_key("vapid_private_key", file));
        vapid(&web_push.vapid_private_key)
            .ok_or_else(|| bad(&spot, file, "must be a P-256 private key: PEM, or its 32 bytes in base64url"))?;
        roots(&at("web_push", "ca_file"), web_push.gateway.ca_file.as_deref())?;
    }
    if let Some(adm) = &hub.adm {
        roots(&at("adm", "ca_file"), adm.gateway.ca_file.as_deref())?;
    }
    if let Some(baidu) = &hub.baidu {
        roots(&at("baidu", "ca_file"), baidu.gateway.ca_file.as_deref())?;
    }
    if let Some(xiaomi) = &hub.xiaomi {
        let file = xiaomi.app_secret_file.as_deref();
        if !xiaomi.app_secret.expose().bytes().all(|byte| byte.is_ascii_graphic()) {
            let spot = at("xiaomi", secret_key("app_secret", file));
            return Err(bad(&spot, file, "must be visible ASCII characters"));
        }
        roots(&at("xiaomi", "ca_file"), xiaomi.gateway.ca_file.as_deref())?;
    }
    roots(&at("jobs", "ca_file"), hub.jobs.ca_file.as_deref())
}

/// The key that an operator wrote: `x` or `x_file`.
fn secret_key(key: &'static str, file: Option<&Path>) -> &'static str {
    match (key, file) {
        (key, None) => key,
        ("key", _) => "key_file",
        ("cert_key", _) => "cert_key_file",
        ("service_account", _) => "service_account_file",
        ("app_secret", _) => "app_secret_file",
        ("client_secret", _) => "client_secret_file",
        _ => "vapid_private_key_file",
    }
}

fn bad(key: &str, file: Option<&Path>, rule: &str) -> ConfigError {
    ConfigError::new(key, rule, &file.map_or(MASK.into(), |file| file.display().to_string()))
}

fn read(key: &str, file: &Path) -> Result<Secret, ConfigError> {
    key_file::read(file).map_err(|e| bad(key, Some(file), &format!("must name a readable file; {}", e.source)))
}

fn p256(key: &Secret) -> Option<EcdsaKeyPair> {
    match PrivateKeyDer::from_pem_slice(key.expose().as_bytes()).ok()? {
        PrivateKeyDer::Pkcs8(der) => {
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_pkcs8_der()).ok()
        }
        _ => None,
    }
}

fn vapid(key: &Secret) -> Option<()> {
    if let Ok(der) = PrivateKeyDer::from_pem_slice(key.expose().as_bytes()) {
        return EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_FIXED_SIGNING, der.secret_der()).ok().map(|_| ());
    }
    let bytes = URL_SAFE_NO_PAD.decode(key.expose().trim().trim_end_matches('=')).ok()?;
    agreement::PrivateKey::from_private_key(&ECDH_P256, &bytes).ok().map(|_| ())
}

/// What Fanfare needs of a service account's JSON.
#[derive(Deserialize)]
struct ServiceAccount {
    project_id: String,
    client_email: String,
    private_key: String,
    token_uri: String,
}

fn service_account(json: &Secret) -> Result<(), &'static str> {
    let account: ServiceAccount = serde_json::from_str(json.expose()).map_err(
        |_| "must be the JSON of a service account with project_id, client_email, private_key and token_uri",
    )?;
    if account.project_id.is_empty() || account.client_email.is_empty() {
        return Err("must hold a project_id and a client_email");
    }
    super::url::https(&account.token_uri).ok_or("must hold an https:// token_uri")?;
    match PrivateKeyDer::from_pem_slice(account.private_key.as_bytes()) {
        Ok(PrivateKeyDer::Pkcs8(der)) if RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).is_ok() => Ok(()),
        _ => Err("must hold an RSA private_key in PKCS#8 PEM"),
    }
}

/// A chain of certificates whose first one belongs to the key.
fn certified(
    (key, file): (&str, &Path),
    (key_key, key_file): (&str, Option<&Path>),
    private: &Secret,
) -> Result<(), ConfigError> {
    let chain = certificates(key, file)?;
    let private = PrivateKeyDer::from_pem_slice(private.expose().as_bytes())
        .map_err(|_| bad(key_key, key_file, "must be a private key in PEM"))?;
    let supported = provider::sign::any_supported_type(&private);
    supported.map_err(|_| bad(key_key, key_file, "must be an RSA, ECDSA or Ed25519 private key"))?;
    CertifiedKey::from_der(chain, private, &provider::default_provider()).map(|_| ()).map_err(|_| {
        bad(key_key, key_file, &format!("must be the private key of the first certificate of {}", file.display()))
    })
}

fn roots(key: &str, file: Option<&Path>) -> Result<(), ConfigError> {
    let Some(file) = file else { return Ok(()) };
    let mut store = RootCertStore::empty();
    for certificate in certificates(key, file)? {
        store.add(certificate).map_err(|_| bad(key, Some(file), "must hold certificates that can be trusted roots"))?;
    }
    Ok(())
}

fn certificates(key: &str, file: &Path) -> Result<Vec<CertificateDer<'static>>, ConfigError> {
    let pem = read(key, file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.expose().as_bytes()).collect();
    match certificates {
        Ok(certificates) if !certificates.is_empty() => Ok(certificates),
        _ => Err(bad(key, Some(file), "must hold certificates in PEM")),
    }
}

fn seed(key: &str, file: &Path) -> Result<(), ConfigError> {
    let text =
        fs::read_to_string(file).map_err(|e| bad(key, Some(file), &format!("must name a readable file; {e}")))?;
    serde_json::from_str::<Vec<serde_json::Map<String, serde_json::Value>>>(&text)
        .map(|_| ())
        .map_err(|_| bad(key, Some(file), "must hold a JSON array of objects"))
}
