//! Each hub's push services: are the credentials good, and is somebody there?

use std::sync::Arc;
use std::time::Duration;

use super::Finding;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::directory::settings::{Account, HubSettings};
use crate::directory::{GatewayFactory, survey};
use crate::gateway::{Gateway, Probe};
use crate::identity::key_file;
use crate::identity::secrets::Vault;
use crate::model::id::HubName;
use crate::service::Opener;
use crate::store::HubRecord;
use crate::telemetry::Metrics;

/// What one probe may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// What closing a gateway that holds nothing may take.
const CLOSING: Duration = Duration::from_secs(1);

pub(super) async fn probe(config: &Config, stored: &[HubRecord]) -> Vec<Finding> {
    let mut findings = Vec::new();
    let vault = match vault(config) {
        Ok(vault) => vault,
        Err(error) => {
            findings.push(Finding::fail("secrets", error));
            None
        }
    };
    let opener = match Opener::start(&config.worker, SystemClock::shared(), Metrics::new()) {
        Ok(opener) => opener,
        Err(error) => return vec![Finding::fail("hubs", format!("cannot start sending threads: {error}"))],
    };
    let hubs = survey(vault.as_ref(), stored, &config.hubs);
    if hubs.is_empty() {
        findings.push(Finding::ok("hubs", "there is none yet; `fanfare hub create` makes one"));
    }
    for (name, settings) in hubs {
        match settings {
            Ok((name, settings)) => findings.extend(hub(&opener, &name, &settings).await),
            Err(error) => {
                let text = format!("{error}; bring back the key as secrets.key_file or in secrets.previous_key_files");
                findings.push(Finding::fail(format!("hub {name}"), text));
            }
        }
    }
    findings
}

async fn hub(opener: &Opener, name: &HubName, settings: &HubSettings) -> Vec<Finding> {
    let mut findings = Vec::new();
    for account in settings.accounts() {
        findings.extend(self::account(opener, name, account).await);
    }
    if findings.is_empty() {
        let text = "has no push service; broadcasts to it end rejected with no_gateway until it gets one";
        findings.push(Finding::warn(format!("hub {name}"), text));
    }
    findings
}

async fn account(opener: &Opener, name: &HubName, account: Account<'_>) -> Vec<Finding> {
    let about = format!("hub {name} {}", account.platform().label());
    let gateway: Arc<dyn Gateway> = match opener.open(name, account) {
        Ok(gateway) => gateway,
        Err(error) => return vec![Finding::fail(about, format!("{error}; correct it in the hub's settings"))],
    };
    let probed = tokio::time::timeout(PATIENCE, gateway.probe()).await;
    let clock = gateway.clock_ahead().map(|ahead| super::clock::beside(&about, ahead));
    gateway.close(CLOSING).await;
    let probed = match probed {
        Ok(Probe::Works) if matches!(account, Account::WebPush(_)) => {
            let text = "the key signs; whether each browser's push service takes it shows with the first push";
            Finding::ok(about, text)
        }
        Ok(Probe::Works) if matches!(account, Account::Baidu(_) | Account::Xiaomi(_)) => {
            Finding::ok(about, "the service is there; whether it takes the key for sure shows with the first push")
        }
        Ok(Probe::Works) => Finding::ok(about, "the service is there and takes the credentials"),
        Ok(Probe::Refused(reason)) => {
            let text = match account {
                Account::Wns(_) => "check tenant_id, client_id and client_secret, and that the secret has not expired",
                Account::Baidu(_) => "check api_key and secret_key of the app, and the system's clock",
                Account::Xiaomi(_) => "check app_secret of the app",
                Account::Adm(_) => "check client_id and client_secret of the app's security profile",
                Account::WebPush(_) => "check the key: P-256 as PEM, or its 32 bytes in base64url",
                Account::Apns(_) | Account::Fcm(_) => {
                    "check the key, its ids and the topic, that the key was not revoked, and the system's clock"
                }
            };
            Finding::fail(about, format!("the service refuses the credentials ({}); {text}", reason.as_str()))
        }
        Ok(Probe::Unreachable(why)) => {
            let text = "check the endpoint, name resolution, the firewall and the trusted root (ca)";
            Finding::fail(about, format!("the service cannot be reached ({why}); {text}"))
        }
        Err(_) => {
            let text = "check the firewall: packets seem to be dropped";
            Finding::fail(about, format!("no answer within {} s; {text}", PATIENCE.as_secs()))
        }
    };
    std::iter::once(probed).chain(clock).collect()
}

/// The keys of the store's secrets; none where the first start has yet to make them.
fn vault(config: &Config) -> Result<Option<Vault>, String> {
    let secrets = &config.secrets;
    let current = match (&secrets.key, &secrets.key_file) {
        (Some(key), _) => key.clone(),
        (None, Some(file)) if file.exists() => key_file::read(file).map_err(|error| error.to_string())?,
        (None, _) => return Ok(None),
    };
    let previous: Result<Vec<_>, _> = secrets.previous_key_files.iter().map(|file| key_file::read(file)).collect();
    let previous = previous.map_err(|error| error.to_string())?;
    Vault::from_texts(&current, &previous).map(Some).map_err(|error| error.to_string())
}
