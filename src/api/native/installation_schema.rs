//! Installations as the API's description shows them; [`crate::model::installation`] reads and writes them.
#![expect(dead_code, reason = "shapes for the description: the model reads and writes the documents")]

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::super::refusals::ErrorDetail;

/// A device with an app. Member names match without case, null is absent, unknown members are ignored.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct Installation {
    /// In the path or here; both must be equal. Lines of an import need it.
    installation_id: Option<String>,
    platform: PlatformWord,
    push_channel: PushChannel,
    /// Without one it never expires.
    #[schema(format = DateTime)]
    expiration_time: Option<String>,
    tags: Option<Vec<String>>,
    push_variables: Option<BTreeMap<String, String>>,
    /// By name.
    templates: Option<BTreeMap<String, Template>>,
    /// By id; only on platform wns.
    secondary_tiles: Option<BTreeMap<String, SecondaryTile>>,
    user_id: Option<String>,
}

/// An installation as it is shown; what is empty is left out.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct ShownInstallation {
    installation_id: String,
    push_channel: PushChannel,
    /// The push service said that the handle is gone.
    push_channel_expired: bool,
    platform: PlatformWord,
    /// The year 9999 when it never expires.
    #[schema(format = DateTime)]
    expiration_time: String,
    #[schema(nullable = false)]
    tags: Option<Vec<String>>,
    #[schema(nullable = false)]
    push_variables: Option<BTreeMap<String, String>>,
    #[schema(nullable = false)]
    templates: Option<BTreeMap<String, Template>>,
    #[schema(nullable = false)]
    secondary_tiles: Option<BTreeMap<String, SecondaryTile>>,
    #[schema(nullable = false)]
    user_id: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum PlatformWord {
    Apns,
    FcmV1,
    Gcm,
    Wns,
    Browser,
    Adm,
    Baidu,
    Xiaomi,
    Mpns,
}

/// The handle that the push service gave the app.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum PushChannel {
    /// A token or a channel address.
    Handle(String),
    /// A browser's subscription.
    Subscription(Subscription),
}

/// A browser's subscription; `p256dh` and `auth` may also stand in an object `keys`.
#[derive(ToSchema)]
pub(super) struct Subscription {
    endpoint: String,
    #[schema(nullable = false)]
    p256dh: Option<String>,
    #[schema(nullable = false)]
    auth: Option<String>,
    #[schema(nullable = false)]
    keys: Option<SubscriptionKeys>,
}

#[derive(ToSchema)]
pub(super) struct SubscriptionKeys {
    p256dh: String,
    auth: String,
}

#[derive(ToSchema)]
pub(super) struct Template {
    /// Text of a JSON or XML document. A value that begins with `$`, `.`, `%`, `#` or `{` is an expression as a whole:
    /// `$(name)`, `$(name, 10)`, `.(name, 10)`, `%(name)`, `#(number)`, `{'Hello ' + $(name)}`.
    body: String,
    /// For apns, wns and mpns. Values may be expressions.
    headers: Option<BTreeMap<String, String>>,
    /// For apns: a date, or an expression.
    expiry: Option<String>,
    /// Besides the installation's own.
    tags: Option<Vec<String>>,
}

#[derive(ToSchema)]
#[schema(rename_all = "camelCase")]
pub(super) struct SecondaryTile {
    push_channel: String,
    tags: Option<Vec<String>>,
    templates: Option<BTreeMap<String, Template>>,
}

/// What a PUT did.
#[derive(ToSchema)]
pub(super) struct Registered {
    result: Registration,
}

/// `touched`: the document was the same already.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Registration {
    Created,
    Updated,
    Touched,
}

#[derive(ToSchema)]
pub(super) struct InstallationPage {
    items: Vec<ShownInstallation>,
    /// Null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A line of an import's answer: one for each bad line, the sum last.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum ImportLine {
    Bad(BadLine),
    Sum(ImportSum),
}

#[derive(ToSchema)]
pub(super) struct BadLine {
    /// Counted from 1.
    line: u64,
    error: ErrorDetail,
}

#[derive(ToSchema)]
pub(super) struct ImportSum {
    imported: u64,
    failed: u64,
}
