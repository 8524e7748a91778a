//! Hubs as the API's description shows them; [`super::hub_form`] reads and writes them.
#![expect(dead_code, reason = "shapes for the description: `hub_form` handles the documents member by member")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

/// Settings of a hub. A service that is not named is gone; a secret that is left out stays as it is when it belongs to
/// the same key id or certificate.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct HubSettings {
    /// When given, it must equal the hub in the path, without case.
    name: Option<String>,
    /// The share of the fleet beside other hubs.
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    weight: Option<u32>,
    /// Access rules by name; only with the admin key. When left out they stay as they are, and a new hub gets default ones.
    keys: Option<BTreeMap<String, AccessRuleSettings>>,
    apns: Option<ApnsSettings>,
    fcm: Option<FcmSettings>,
    wns: Option<WnsSettings>,
    web_push: Option<WebPushSettings>,
    adm: Option<AdmSettings>,
    baidu: Option<BaiduSettings>,
    xiaomi: Option<XiaomiSettings>,
    /// Taken back and ignored, so that an answer can be edited and sent again.
    read_only: Option<bool>,
    /// Taken back and ignored.
    senders: Option<BTreeMap<String, SenderState>>,
}

/// What a key may do.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Right {
    Listen,
    Send,
    Manage,
}

/// An access rule: what its two keys may do.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AccessRuleSettings {
    /// `manage` needs the other two beside it.
    #[schema(min_items = 1)]
    rights: Vec<Right>,
    /// Visible ASCII, used as text; made when left out for a new rule.
    #[schema(min_length = 1, max_length = 256)]
    primary: Option<String>,
    #[schema(min_length = 1, max_length = 256)]
    secondary: Option<String>,
}

/// How to reach Apple's service: `team_id`, `key_id` and `key`, or `cert` and `cert_key`, or `cert_p12`.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ApnsSettings {
    #[schema(default = "https://api.push.apple.com")]
    endpoint: Option<String>,
    /// The app's bundle id. Required, unless `cert_p12` holds it.
    topic: Option<String>,
    team_id: Option<String>,
    key_id: Option<String>,
    /// The signing key as PEM. Never read back.
    #[schema(write_only)]
    key: Option<String>,
    /// A certificate as PEM, in place of the signing key. Never read back.
    #[schema(write_only)]
    cert: Option<String>,
    /// Its key as PEM. Never read back.
    #[schema(write_only)]
    cert_key: Option<String>,
    /// Certificate and key in one PKCS#12 file (.p12, .pfx), as base64. Never read back.
    #[schema(write_only)]
    cert_p12: Option<String>,
    /// The file's password; empty unless given. Never read back.
    #[schema(write_only)]
    cert_password: Option<String>,
    /// Roots that are trusted besides the public ones, as PEM.
    ca: Option<String>,
    /// In each process.
    #[schema(minimum = 1, maximum = 1000, default = 4)]
    connections: Option<u32>,
    /// All nodes together; 0 is as fast as the service takes it.
    #[schema(minimum = 0, maximum = 100_000_000, default = 0)]
    rate_per_second: Option<u32>,
    /// Taken back and ignored.
    auth: Option<ApnsAuth>,
}

/// How to reach Google's service.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct FcmSettings {
    #[schema(default = "https://fcm.googleapis.com")]
    endpoint: Option<String>,
    /// The service account's JSON, as text or as the object itself. Never read back; left out, it stays as it is.
    #[schema(write_only)]
    service_account: Option<ServiceAccount>,
    /// Roots that are trusted besides the public ones, as PEM.
    ca: Option<String>,
    /// All nodes together; 0 is as fast as the service takes it.
    #[schema(minimum = 0, maximum = 100_000_000, default = 0)]
    rate_per_second: Option<u32>,
}

/// How to reach the push service of Windows: as an application of Entra ID or, with `auth` live, as a package of the Store.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WnsSettings {
    #[schema(default = "entra")]
    auth: Option<WnsAuth>,
    /// The tenant's id or domain; only with `auth` entra, and required there.
    tenant_id: Option<String>,
    /// The application's id, or with `auth` live the package SID `ms-app://S-1-15-2-…`.
    client_id: String,
    /// Never read back. Left out, it stays as long as `auth`, `tenant_id`, `client_id` and `token_endpoint` do.
    #[schema(write_only)]
    client_secret: Option<String>,
    /// `{tenant_id}` in it stands for the tenant. Microsoft's address of the flow unless given.
    token_endpoint: Option<String>,
    /// Whose channels get the access token: `host`, `*.domain` or `host:port`, port 443 unless given.
    #[schema(default = json!(["*.notify.windows.com"]))]
    allowed_hosts: Option<Vec<String>>,
    /// Roots that are trusted besides the public ones, as PEM.
    ca: Option<String>,
    /// All nodes together; 0 is as fast as the service takes it.
    #[schema(minimum = 0, maximum = 100_000_000, default = 0)]
    rate_per_second: Option<u32>,
}

/// How to appear before the push services of browsers.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct WebPushSettings {
    /// Whom a push service may write to when something is wrong: `mailto:` or `https:`.
    subject: String,
    /// The VAPID key: P-256 as PEM (PKCS#8 or SEC 1), or its 32 bytes in base64url. Subscriptions are bound to it. Never
    /// read back; left out, it stays as it is.
    #[schema(write_only)]
    vapid_private_key: Option<String>,
    /// Whether subscriptions may lead to addresses of private networks, and to other ports than 443.
    #[schema(default = false)]
    allow_private_networks: Option<bool>,
    /// Roots that are trusted besides the public ones, as PEM.
    ca: Option<String>,
    /// All nodes together; 0 is as fast as the services take it.
    #[schema(minimum = 0, maximum = 100_000_000, default = 0)]
    rate_per_second: Option<u32>,
    /// Taken back and ignored.
    vapid_public_key: Option<String>,
}

/// How to reach Amazon's devices: the security profile of the app.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AdmSettings {
    client_id: String,
    /// Never read back. Left out, it stays as long as `client_id` and `token_endpoint` do.
    #[schema(write_only)]
    client_secret: Option<String>,
    #[schema(default = "https://api.amazon.com")]
    endpoint: Option<String>,
    #[schema(default = "https://api.amazon.com/auth/O2/token")]
    token_endpoint: Option<String>,
    /// Roots that are trusted besides the public ones, as PEM.
    ca: Option<String>,
    /// All nodes together; 0 is as fast as the service takes it.
    #[schema(minimum = 0, maximum = 100_000_000, default = 0)]
    rate_per_second: Option<u32>,
}

/// How to reach Baidu's phones: the keys of the app.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BaiduSettings {
    api_key: String,
    /// Never read back. Left out, it stays as long as `api_key` does.
    #[schema(write_only)]
    secret_key: Option<String>,
    #[schema(default = "https://api.tuisong.baidu.com")]
    endpoint: Option<String>,
    /// Roots that are trusted besides the public ones, as PEM.
    ca: Option<String>,
    /// All nodes together; 0 is as fast as the service takes it.
    #[schema(minimum = 0, maximum = 100_000_000, default = 0)]
    rate_per_second: Option<u32>,
}

/// How to reach Xiaomi's phones.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct XiaomiSettings {
    /// Never read back. Left out, it stays as long as `endpoint` does.
    #[schema(write_only)]
    app_secret: Option<String>,
    /// The app that alone shows the messages, unless a payload names others.
    package_name: Option<String>,
    #[schema(default = "https://api.xmpush.xiaomi.com")]
    endpoint: Option<String>,
    /// Roots that are trusted besides the public ones, as PEM.
    ca: Option<String>,
    /// All nodes together; 0 is as fast as the service takes it.
    #[schema(minimum = 0, maximum = 100_000_000, default = 0)]
    rate_per_second: Option<u32>,
}

#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum ServiceAccount {
    Text(String),
    Object(BTreeMap<String, String>),
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum WnsAuth {
    Entra,
    Live,
}

/// A hub as it is shown.
#[derive(ToSchema)]
pub(super) struct Hub {
    name: String,
    weight: u32,
    /// The configuration decides this hub, so the API does not change it.
    read_only: bool,
    /// By name; with the keys themselves only for the admin key.
    keys: BTreeMap<String, AccessRule>,
    /// By platform: those that the hub has credentials for.
    senders: BTreeMap<String, SenderState>,
    #[schema(nullable = false)]
    apns: Option<ApnsShown>,
    #[schema(nullable = false)]
    fcm: Option<FcmShown>,
    #[schema(nullable = false)]
    wns: Option<WnsShown>,
    #[schema(nullable = false)]
    web_push: Option<WebPushShown>,
    #[schema(nullable = false)]
    adm: Option<AdmShown>,
    #[schema(nullable = false)]
    baidu: Option<BaiduShown>,
    #[schema(nullable = false)]
    xiaomi: Option<XiaomiShown>,
}

/// An access rule as it is shown.
#[derive(ToSchema)]
pub(super) struct AccessRule {
    rights: Vec<Right>,
    /// Only for the admin key.
    #[schema(nullable = false)]
    primary: Option<String>,
    /// Only for the admin key; null when the rule has none.
    secondary: Option<String>,
}

/// An access rule after its rotation: the old primary key is the secondary one.
#[derive(ToSchema)]
pub(super) struct RotatedRule {
    name: String,
    rights: Vec<Right>,
    primary: String,
    secondary: String,
}

/// Whether a sender sends.
#[derive(ToSchema)]
pub(super) struct SenderState {
    state: SenderWord,
    /// Why it is paused.
    #[schema(nullable = false)]
    reason: Option<String>,
    #[schema(nullable = false, format = DateTime)]
    since: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum SenderWord {
    Ok,
    Paused,
}

/// A sender after `:resume`.
#[derive(ToSchema)]
pub(super) struct ResumedSender {
    platform: String,
    state: SenderWord,
    was_paused: bool,
}

/// APNs' settings as they are shown: without a secret.
#[derive(ToSchema)]
pub(super) struct ApnsShown {
    endpoint: String,
    topic: String,
    connections: u32,
    rate_per_second: u32,
    auth: ApnsAuth,
    /// With `auth` token.
    #[schema(nullable = false)]
    team_id: Option<String>,
    /// With `auth` token.
    #[schema(nullable = false)]
    key_id: Option<String>,
    #[schema(nullable = false)]
    ca: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum ApnsAuth {
    Token,
    Certificate,
}

/// FCM's settings as they are shown: without a secret.
#[derive(ToSchema)]
pub(super) struct FcmShown {
    endpoint: String,
    rate_per_second: u32,
    #[schema(nullable = false)]
    ca: Option<String>,
}

/// WNS's settings as they are shown: without the secret.
#[derive(ToSchema)]
pub(super) struct WnsShown {
    auth: WnsAuth,
    /// With `auth` entra.
    #[schema(nullable = false)]
    tenant_id: Option<String>,
    client_id: String,
    token_endpoint: String,
    allowed_hosts: Vec<String>,
    rate_per_second: u32,
    #[schema(nullable = false)]
    ca: Option<String>,
}

/// Web Push's settings as they are shown: without the private key.
#[derive(ToSchema)]
pub(super) struct WebPushShown {
    subject: String,
    allow_private_networks: bool,
    rate_per_second: u32,
    /// What pages give to `pushManager.subscribe` as `applicationServerKey`.
    vapid_public_key: String,
    #[schema(nullable = false)]
    ca: Option<String>,
}

/// ADM's settings as they are shown: without the secret.
#[derive(ToSchema)]
pub(super) struct AdmShown {
    client_id: String,
    endpoint: String,
    token_endpoint: String,
    rate_per_second: u32,
    #[schema(nullable = false)]
    ca: Option<String>,
}

/// Baidu's settings as they are shown: without the secret.
#[derive(ToSchema)]
pub(super) struct BaiduShown {
    api_key: String,
    endpoint: String,
    rate_per_second: u32,
    #[schema(nullable = false)]
    ca: Option<String>,
}

/// Xiaomi's settings as they are shown: without the secret.
#[derive(ToSchema)]
pub(super) struct XiaomiShown {
    #[schema(nullable = false)]
    package_name: Option<String>,
    endpoint: String,
    rate_per_second: u32,
    #[schema(nullable = false)]
    ca: Option<String>,
}

/// Every hub, by name; `next_cursor` is always null.
#[derive(ToSchema)]
pub(super) struct HubPage {
    items: Vec<Hub>,
    #[schema(required)]
    next_cursor: Option<String>,
}
