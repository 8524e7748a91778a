//! All simulated services together, as the command `gateways` and the demo start them: one authority, credentials in
//! files, a control port.
use std::{
    collections::BTreeMap,
    fs::OpenOptions,
    io::{self, Write},
    net::{Ipv4Addr, SocketAddr},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::{Deserialize, Serialize};

use super::{
    Simulated,
    apns::{ApnsConfig, ApnsSim, KeyError, StartError},
    authority::{Authority, AuthorityError},
    control::Control,
    fcm::{FcmConfig, FcmSim},
    listener::ListenError,
    web_push::{WebPushConfig, WebPushSim},
    wns::{WnsConfig, WnsSim},
};

pub(crate) const APNS_PORT: u16 = 2197;
const FCM_PORT: u16 = 8444;
const WNS_PORT: u16 = 8445;
const WEB_PUSH_PORT: u16 = 8446;
pub(crate) const CONTROL_PORT: u16 = 8449;
pub(super) const TEAM_ID: &str = "TEAM123456";
/// The app of the credentials when the configuration names none.
pub(super) const TOPIC: &str = "com.example.app";

/// The configuration file of `loadtest gateways`. Ports that are not given are the ones of the contract.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FleetConfig {
    pub apns: ApnsConfig,
    pub fcm: FcmConfig,
    pub wns: WnsConfig,
    pub web_push: WebPushConfig,
    pub control: ControlConfig,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ControlConfig {
    /// A loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
}

impl Default for ControlConfig {
    fn default() -> Self {
        Self { listen: (Ipv4Addr::LOCALHOST, CONTROL_PORT).into() }
    }
}

impl Default for FleetConfig {
    fn default() -> Self {
        Self {
            apns: ApnsConfig::default(),
            fcm: FcmConfig::default(),
            wns: WnsConfig::default(),
            web_push: WebPushConfig::default(),
            control: ControlConfig::default(),
        }
        .with_ports()
    }
}

impl FleetConfig {
    /// Fills in the ports that were left out.
    #[must_use]
    pub fn with_ports(mut self) -> Self {
        self.apns.listen.get_or_insert((Ipv4Addr::LOCALHOST, APNS_PORT).into());
        self.fcm.listen.get_or_insert((Ipv4Addr::LOCALHOST, FCM_PORT).into());
        self.wns.listen.get_or_insert((Ipv4Addr::LOCALHOST, WNS_PORT).into());
        self.web_push.listen.get_or_insert((Ipv4Addr::LOCALHOST, WEB_PUSH_PORT).into());
        self
    }

    /// Everything on free ports.
    pub fn on_free_ports() -> Self {
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let apns = ApnsConfig { listen: Some(free), ..ApnsConfig::default() };
        let fcm = FcmConfig { listen: Some(free), ..FcmConfig::default() };
        let wns = WnsConfig { listen: Some(free), ..WnsConfig::default() };
        let web_push = WebPushConfig { listen: Some(free), ..WebPushConfig::default() };
        Self { apns, fcm, wns, web_push, control: ControlConfig { listen: free } }
    }
}

/// Where the credentials of a fleet lie; the keys are those of a hub's configuration.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Credentials {
    pub dir: PathBuf,
    pub ca_file: PathBuf,
    pub apns: ApnsCredentials,
    pub fcm: FcmCredentials,
    pub wns: WnsCredentials,
    pub web_push: WebPushCredentials,
}

/// The service account names project and token endpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct FcmCredentials {
    pub endpoint: String,
    pub service_account_file: PathBuf,
}

/// The account by Entra ID; channels are of the allowed host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WnsCredentials {
    pub tenant_id: String,
    pub client_id: String,
    pub client_secret_file: PathBuf,
    pub token_endpoint: String,
    pub allowed_hosts: Vec<String>,
}

/// The key that subscriptions are bound to; they lead to this machine, so private networks are allowed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WebPushCredentials {
    pub subject: String,
    pub vapid_private_key_file: PathBuf,
    pub allow_private_networks: bool,
}

/// Key and certificate: each is enough.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApnsCredentials {
    pub endpoint: String,
    pub topic: String,
    pub team_id: String,
    pub key_id: String,
    pub key_file: PathBuf,
    pub cert_file: PathBuf,
    pub cert_key_file: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum FleetError {
    #[error(transparent)]
    Start(#[from] StartError),
    #[error(transparent)]
    Control(#[from] ListenError),
    #[error(transparent)]
    Authority(#[from] AuthorityError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot write credentials to {0}: {1}")]
    Write(PathBuf, io::Error),
}

/// Running services. Dropping it ends them.
#[derive(Debug)]
pub struct Fleet {
    pub apns: Arc<ApnsSim>,
    pub fcm: Arc<FcmSim>,
    pub wns: Arc<WnsSim>,
    pub web_push: Arc<WebPushSim>,
    pub control: Control,
    pub credentials: Credentials,
}

impl Fleet {
    /// Starts everything and writes the credentials into `dir`, which is made when missing.
    ///
    /// # Errors
    /// [`FleetError`]; nothing keeps running.
    pub async fn start(config: FleetConfig, dir: &Path) -> Result<Self, FleetError> {
        let authority = Arc::new(Authority::new()?);
        let topic = config.apns.topics.first().map_or(TOPIC, String::as_str).to_owned();
        let apns = Arc::new(ApnsSim::start_under(config.apns, Arc::clone(&authority)).await?);
        let fcm = Arc::new(FcmSim::start_under(config.fcm, &authority).await?);
        let secret = config.wns.client_secret.clone();
        let wns = Arc::new(WnsSim::start_under(config.wns, &authority).await?);
        let web_push = Arc::new(WebPushSim::start_under(config.web_push, &authority).await?);
        let key = apns.issue_key(TEAM_ID)?;
        let client = authority.client_certificate(&[&topic])?;
        let credentials = Credentials {
            dir: dir.to_owned(),
            ca_file: dir.join("ca.pem"),
            apns: ApnsCredentials {
                endpoint: apns.endpoint(),
                topic,
                team_id: key.team_id.clone(),
                key_id: key.key_id.clone(),
                key_file: dir.join(format!("AuthKey_{}.p8", key.key_id)),
                cert_file: dir.join("apns-client.pem"),
                cert_key_file: dir.join("apns-client.key"),
            },
            fcm: FcmCredentials {
                endpoint: fcm.endpoint(),
                service_account_file: dir.join("fcm-service-account.json"),
            },
            wns: WnsCredentials {
                tenant_id: wns.tenant_id().to_owned(),
                client_id: wns.client_id().to_owned(),
                client_secret_file: dir.join("wns.secret"),
                token_endpoint: wns.entra_endpoint(),
                allowed_hosts: vec![wns.allowed_host()],
            },
            web_push: WebPushCredentials {
                subject: "mailto:ops@example.com".to_owned(),
                vapid_private_key_file: dir.join("vapid.pem"),
                allow_private_networks: true,
            },
        };
        let files: [(&Path, &str); 7] = [
            (&credentials.ca_file, &authority.ca_pem()),
            (&credentials.apns.key_file, key.p8()),
            (&credentials.apns.cert_file, &client.certificate_pem),
            (&credentials.apns.cert_key_file, &client.key_pem),
            (&credentials.fcm.service_account_file, &fcm.account().json()),
            (&credentials.wns.client_secret_file, &secret),
            (&credentials.web_push.vapid_private_key_file, &web_push.vapid_private_key()),
        ];
        std::fs::create_dir_all(dir).map_err(|error| FleetError::Write(dir.to_owned(), error))?;
        for (path, text) in files {
            write_private(path, text).map_err(|error| FleetError::Write(path.to_owned(), error))?;
        }
        let services: BTreeMap<_, Arc<dyn Simulated>> = BTreeMap::from([
            ("apns", Arc::clone(&apns) as _),
            ("fcm", Arc::clone(&fcm) as _),
            ("wns", Arc::clone(&wns) as _),
            ("web_push", Arc::clone(&web_push) as _),
        ]);
        let control = Control::start(config.control.listen, services, credentials.clone()).await?;
        Ok(Self { apns, fcm, wns, web_push, control, credentials })
    }
}

/// Readable by the owner alone, and replaced when it exists.
pub(super) fn write_private(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}
