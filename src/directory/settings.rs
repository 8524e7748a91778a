//! What a hub is told: its share, its access rules and its accounts with push services.

use std::time::Duration;

use aws_lc_rs::rand;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::identity::keys::{AccessRule, Rights};
use crate::identity::secret::Secret;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;

/// The rules that a new hub gets (`notification-hubs.md` 1.6).
const DEFAULT_RULES: [(&str, Rights); 2] =
    [("DefaultFullSharedAccessSignature", Rights::ALL), ("DefaultListenSharedAccessSignature", Rights::LISTEN)];

/// The weights that a hub may have.
pub const WEIGHTS: std::ops::RangeInclusive<u32> = 1..=1000;

/// One hub's settings, secrets in the clear: never logged, sealed where they rest (`sealed`).
#[derive(Clone, Debug)]
pub struct HubSettings {
    /// Share of the fleet beside other hubs.
    pub weight: u32,
    /// No two with names that differ in ASCII case alone.
    pub keys: Vec<AccessRule>,
    pub apns: Option<ApnsAccount>,
    pub fcm: Option<FcmAccount>,
    pub wns: Option<WnsAccount>,
    pub web_push: Option<WebPushAccount>,
    pub adm: Option<AdmAccount>,
    pub baidu: Option<BaiduAccount>,
    pub xiaomi: Option<XiaomiAccount>,
    pub described: Described,
}

/// What a hub's description says besides (`notification-hubs.md` 2.10).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Described {
    /// The longest life of a registration from when it is written, in seconds; `None`: none has an end of its own.
    pub registration_ttl_seconds: Option<u64>,
    /// Its owner's note.
    pub user_metadata: Option<String>,
}

/// How Fanfare speaks to APNs for a hub.
#[derive(Clone, Debug)]
pub struct ApnsAccount {
    /// `https://host[:port]`.
    pub endpoint: String,
    /// The app's bundle id.
    pub topic: String,
    pub auth: ApnsAuth,
    /// PEM roots that are trusted besides the public ones.
    pub ca: Option<String>,
    /// In each process.
    pub connections: u32,
    /// All nodes together; 0 is unpaced.
    pub rate_per_second: u32,
}

/// How Fanfare proves to Apple whose app it is (`push-services.md` 1.2).
#[derive(Clone, Debug)]
pub enum ApnsAuth {
    /// A provider token signed with a `.p8` key (PKCS#8 PEM).
    Token { team_id: String, key_id: String, key: Secret },
    /// A client certificate with its key, both PEM.
    Certificate { cert: String, key: Secret },
}

/// How Fanfare speaks to FCM for a hub.
#[derive(Clone, Debug)]
pub struct FcmAccount {
    /// `https://host[:port]`.
    pub endpoint: String,
    /// The JSON of a Google service account: project, key and token URI come from it.
    pub service_account: Secret,
    /// PEM roots that are trusted besides the public ones.
    pub ca: Option<String>,
    /// All nodes together; 0 is unpaced.
    pub rate_per_second: u32,
}

/// How Fanfare speaks to WNS for a hub.
#[derive(Clone, Debug)]
pub struct WnsAccount {
    pub auth: WnsAuth,
    /// The application's id, or with [`WnsAuth::Live`] the package SID.
    pub client_id: String,
    pub client_secret: Secret,
    /// `https://host[:port]/path`; `{tenant_id}` stands for the tenant.
    pub token_endpoint: String,
    /// `host`, `*.domain` or `host:port`: whose channels get the access token.
    pub allowed_hosts: Vec<String>,
    /// PEM roots that are trusted besides the public ones.
    pub ca: Option<String>,
    /// All nodes together; 0 is unpaced.
    pub rate_per_second: u32,
}

/// How Fanfare proves to Microsoft whose app it is (`push-services.md` 3.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WnsAuth {
    /// An Entra ID application, for apps of the Windows App SDK.
    Entra { tenant_id: String },
    /// A package of the Store.
    Live,
}

/// How Fanfare speaks to the push services of browsers for a hub.
#[derive(Clone, Debug)]
pub struct WebPushAccount {
    /// Whom a push service may write to: `mailto:` or `https:`.
    pub subject: String,
    /// PEM (PKCS#8 or SEC 1), or the 32 bytes in base64url.
    pub vapid_private_key: Secret,
    /// Whether subscriptions may lead to addresses of private networks, and to any port.
    pub allow_private_networks: bool,
    /// PEM roots that are trusted besides the public ones.
    pub ca: Option<String>,
    /// All nodes together; 0 is unpaced.
    pub rate_per_second: u32,
}

/// How Fanfare speaks to ADM for a hub.
#[derive(Clone, Debug)]
pub struct AdmAccount {
    /// Of the app's security profile.
    pub client_id: String,
    pub client_secret: Secret,
    /// `https://host[:port]`.
    pub endpoint: String,
    /// `https://host[:port]/path`.
    pub token_endpoint: String,
    /// PEM roots that are trusted besides the public ones.
    pub ca: Option<String>,
    /// All nodes together; 0 is unpaced.
    pub rate_per_second: u32,
}

/// How Fanfare speaks to Baidu for a hub.
#[derive(Clone, Debug)]
pub struct BaiduAccount {
    /// Of the app; no secret.
    pub api_key: String,
    /// Signs each request.
    pub secret_key: Secret,
    /// `https://host[:port]`.
    pub endpoint: String,
    /// PEM roots that are trusted besides the public ones.
    pub ca: Option<String>,
    /// All nodes together; 0 is unpaced.
    pub rate_per_second: u32,
}

/// How Fanfare speaks to Xiaomi for a hub.
#[derive(Clone, Debug)]
pub struct XiaomiAccount {
    pub app_secret: Secret,
    /// The app that alone shows the messages.
    pub package_name: Option<String>,
    /// `https://host[:port]`.
    pub endpoint: String,
    /// PEM roots that are trusted besides the public ones.
    pub ca: Option<String>,
    /// All nodes together; 0 is unpaced.
    pub rate_per_second: u32,
}

/// One of a hub's accounts.
#[derive(Clone, Copy, Debug)]
pub enum Account<'a> {
    Apns(&'a ApnsAccount),
    Fcm(&'a FcmAccount),
    Wns(&'a WnsAccount),
    WebPush(&'a WebPushAccount),
    Adm(&'a AdmAccount),
    Baidu(&'a BaiduAccount),
    Xiaomi(&'a XiaomiAccount),
}

/// The system gives no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the random number generator gives nothing")]
pub struct NoRandomness;

impl HubSettings {
    /// What a hub is when nothing is said: the default rules with fresh keys, and no way to any service.
    pub fn fresh() -> Result<Self, NoRandomness> {
        Ok(Self {
            weight: 1,
            keys: default_rules()?,
            apns: None,
            fcm: None,
            wns: None,
            web_push: None,
            adm: None,
            baidu: None,
            xiaomi: None,
            described: Described::default(),
        })
    }

    /// The end of what is registered now and asks for this one: no later than the hub says.
    pub fn latest_end(&self, asked: Option<Timestamp>, now: Timestamp) -> Option<Timestamp> {
        let latest = self.described.registration_ttl_seconds.map(|seconds| now.plus(Duration::from_secs(seconds)));
        asked.into_iter().chain(latest).min()
    }

    /// Its accounts, one for each platform that it can send to.
    pub fn accounts(&self) -> impl Iterator<Item = Account<'_>> {
        let all = [
            self.apns.as_ref().map(Account::Apns),
            self.fcm.as_ref().map(Account::Fcm),
            self.wns.as_ref().map(Account::Wns),
            self.web_push.as_ref().map(Account::WebPush),
            self.adm.as_ref().map(Account::Adm),
            self.baidu.as_ref().map(Account::Baidu),
            self.xiaomi.as_ref().map(Account::Xiaomi),
        ];
        all.into_iter().flatten()
    }

    /// Whether both say the same, secrets included.
    pub fn same_as(&self, other: &Self) -> bool {
        let same_accounts = self.accounts().count() == other.accounts().count()
            && self.accounts().all(|own| {
                other.accounts().any(|one| own.same_way(one) && own.rate_per_second() == one.rate_per_second())
            });
        let rules = || self.keys.iter().zip(&other.keys);
        self.weight == other.weight
            && self.keys.len() == other.keys.len()
            && rules().all(|(own, one)| same_rule(own, one))
            && self.described == other.described
            && same_accounts
    }
}

impl Account<'_> {
    /// The service that it is with.
    pub const fn platform(self) -> Platform {
        match self {
            Self::Apns(_) => Platform::Apns,
            Self::Fcm(_) => Platform::Fcm,
            Self::Wns(_) => Platform::Wns,
            Self::WebPush(_) => Platform::WebPush,
            Self::Adm(_) => Platform::Adm,
            Self::Baidu(_) => Platform::Baidu,
            Self::Xiaomi(_) => Platform::Xiaomi,
        }
    }

    /// All nodes together; 0 is unpaced.
    pub const fn rate_per_second(self) -> u32 {
        match self {
            Self::Apns(apns) => apns.rate_per_second,
            Self::Fcm(fcm) => fcm.rate_per_second,
            Self::Wns(wns) => wns.rate_per_second,
            Self::WebPush(web_push) => web_push.rate_per_second,
            Self::Adm(adm) => adm.rate_per_second,
            Self::Baidu(baidu) => baidu.rate_per_second,
            Self::Xiaomi(xiaomi) => xiaomi.rate_per_second,
        }
    }

    /// Whether a gateway that was opened for `other` does for this one too: everything but the pace is equal.
    pub fn same_way(self, other: Account<'_>) -> bool {
        match (self, other) {
            (Self::Apns(own), Account::Apns(other)) => own.same_way(other),
            (Self::Fcm(own), Account::Fcm(other)) => own.same_way(other),
            (Self::Wns(own), Account::Wns(other)) => own.same_way(other),
            (Self::WebPush(own), Account::WebPush(other)) => own.same_way(other),
            (Self::Adm(own), Account::Adm(other)) => own.same_way(other),
            (Self::Baidu(own), Account::Baidu(other)) => own.same_way(other),
            (Self::Xiaomi(own), Account::Xiaomi(other)) => own.same_way(other),
            _ => false,
        }
    }
}

impl ApnsAccount {
    fn same_way(&self, other: &Self) -> bool {
        let auth = match (&self.auth, &other.auth) {
            (
                ApnsAuth::Token { team_id, key_id, key },
                ApnsAuth::Token { team_id: other_team, key_id: other_id, key: other_key },
            ) => team_id == other_team && key_id == other_id && key.matches(other_key.expose()),
            (ApnsAuth::Certificate { cert, key }, ApnsAuth::Certificate { cert: other_cert, key: other_key }) => {
                cert == other_cert && key.matches(other_key.expose())
            }
            _ => false,
        };
        auth && self.endpoint == other.endpoint
            && self.topic == other.topic
            && self.ca == other.ca
            && self.connections == other.connections
    }
}

impl FcmAccount {
    fn same_way(&self, other: &Self) -> bool {
        self.endpoint == other.endpoint
            && self.ca == other.ca
            && self.service_account.matches(other.service_account.expose())
    }
}

impl WnsAccount {
    fn same_way(&self, other: &Self) -> bool {
        self.auth == other.auth
            && self.client_id == other.client_id
            && self.client_secret.matches(other.client_secret.expose())
            && self.token_endpoint == other.token_endpoint
            && self.allowed_hosts == other.allowed_hosts
            && self.ca == other.ca
    }
}

impl WebPushAccount {
    fn same_way(&self, other: &Self) -> bool {
        self.subject == other.subject
            && self.vapid_private_key.matches(other.vapid_private_key.expose())
            && self.allow_private_networks == other.allow_private_networks
            && self.ca == other.ca
    }
}

impl AdmAccount {
    fn same_way(&self, other: &Self) -> bool {
        self.client_id == other.client_id
            && self.client_secret.matches(other.client_secret.expose())
            && self.endpoint == other.endpoint
            && self.token_endpoint == other.token_endpoint
            && self.ca == other.ca
    }
}

impl BaiduAccount {
    fn same_way(&self, other: &Self) -> bool {
        self.api_key == other.api_key
            && self.secret_key.matches(other.secret_key.expose())
            && self.endpoint == other.endpoint
            && self.ca == other.ca
    }
}

impl XiaomiAccount {
    fn same_way(&self, other: &Self) -> bool {
        self.app_secret.matches(other.app_secret.expose())
            && self.package_name == other.package_name
            && self.endpoint == other.endpoint
            && self.ca == other.ca
    }
}

fn same_rule(one: &AccessRule, other: &AccessRule) -> bool {
    let same_secondary = match (&one.secondary, &other.secondary) {
        (Some(one), Some(other)) => one.matches(other.expose()),
        (None, None) => true,
        _ => false,
    };
    one.name == other.name
        && one.rights == other.rights
        && one.primary.matches(other.primary.expose())
        && same_secondary
}

/// The default rules with fresh keys.
pub fn default_rules() -> Result<Vec<AccessRule>, NoRandomness> {
    let rule = |(name, rights): (&str, Rights)| {
        Ok(AccessRule { name: name.to_owned(), rights, primary: fresh_key()?, secondary: Some(fresh_key()?) })
    };
    DEFAULT_RULES.into_iter().map(rule).collect()
}

/// A key as the field's portals make them: 32 random bytes in 44 characters of base64.
pub fn fresh_key() -> Result<Secret, NoRandomness> {
    let mut bytes = [0; 32];
    rand::fill(&mut bytes).map_err(|_| NoRandomness)?;
    Ok(Secret::new(STANDARD.encode(bytes)))
}

#[cfg(test)]
mod tests;
