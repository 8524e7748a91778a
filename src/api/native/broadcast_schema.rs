//! Broadcasts as the API's description shows them; [`super::broadcast_form`] reads and writes them.
#![expect(dead_code, reason = "shapes for the description: `broadcast_form` handles the documents member by member")]

use std::collections::BTreeMap;

use serde_json::Value;
use utoipa::ToSchema;

/// What to send to whom: a `notification`, or `payloads`, or a notification with payloads that override platforms; or
/// `template`, the installations' own templates.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BroadcastRequest {
    /// A tag expression such as `news && !muted`; everybody when left out.
    audience: Option<String>,
    notification: Option<Notification>,
    payloads: Option<Payloads>,
    /// Properties that templates are filled with. Names are the same in capitals or not.
    template: Option<BTreeMap<String, Property>>,
    /// From when the broadcast becomes due.
    #[schema(minimum = 0, maximum = 2_592_000, default = 86_400)]
    ttl_seconds: Option<u32>,
    #[schema(min_length = 1, max_length = 256)]
    collapse_key: Option<String>,
    priority: Option<Priority>,
    lane: Option<Lane>,
    /// The share beside other broadcasts of the hub.
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    weight: Option<u32>,
    /// The whole broadcast, all platforms and nodes together; 0 is unpaced.
    #[schema(minimum = 0, maximum = 100_000_000, default = 0)]
    rate_per_second: Option<u32>,
    #[schema(format = DateTime)]
    schedule_at: Option<String>,
    /// Tell what it would reach, and create nothing.
    #[schema(default = false)]
    dry_run: Option<bool>,
}

/// Rendered for each platform. At least one member.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Notification {
    title: Option<String>,
    body: Option<String>,
    data: Option<BTreeMap<String, String>>,
}

/// Raw messages by platform. Each needs the hub's credentials for it.
#[derive(ToSchema)]
pub(super) struct Payloads {
    apns: Option<BTreeMap<String, Value>>,
    /// Platforms fcmv1 and gcm.
    fcm: Option<BTreeMap<String, Value>>,
    /// XML, or any text.
    wns: Option<String>,
    web_push: Option<WebPushPayload>,
    /// The message with its `data`.
    adm: Option<BTreeMap<String, Value>>,
    /// The `msg`: shown when it has a `description`.
    baidu: Option<BTreeMap<String, Value>>,
    /// The fields of the form, `extra` as an object.
    xiaomi: Option<BTreeMap<String, Value>>,
}

#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum WebPushPayload {
    Object(BTreeMap<String, Value>),
    Text(String),
}

/// A number or a boolean counts as its text.
#[derive(ToSchema)]
#[serde(untagged)]
pub(super) enum Property {
    Text(String),
    Number(f64),
    Boolean(bool),
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Priority {
    High,
    Normal,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum Lane {
    Transactional,
    Bulk,
}

/// Where an accepted broadcast is found.
#[derive(ToSchema)]
pub(super) struct Accepted {
    #[schema(format = "uuid")]
    id: String,
}

/// A broadcast: what was asked for and how far it is.
#[derive(ToSchema)]
pub(super) struct Broadcast {
    #[schema(format = "uuid")]
    id: String,
    state: State,
    lane: Lane,
    audience: String,
    priority: Priority,
    weight: u32,
    rate_per_second: u32,
    ttl_seconds: u32,
    #[schema(required)]
    collapse_key: Option<String>,
    #[schema(required, format = DateTime)]
    schedule_at: Option<String>,
    #[schema(format = DateTime)]
    accepted_at: String,
    /// Until it is set, `targeted` still grows.
    #[schema(required, format = DateTime)]
    planned_at: Option<String>,
    #[schema(required, format = DateTime)]
    started_at: Option<String>,
    /// The broadcast is over when this is set, and then `pending` is 0.
    #[schema(required, format = DateTime)]
    finished_at: Option<String>,
    #[schema(format = DateTime)]
    expires_at: String,
    /// Why no plan could be made.
    #[schema(nullable = false)]
    failure: Option<String>,
    counters: Counters,
    /// The same counters by platform.
    platforms: BTreeMap<String, Counters>,
    waiting: Vec<Waiting>,
}

/// Shows a wish (pause, cancel) at once.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum State {
    Scheduled,
    Queued,
    Running,
    Paused,
    Completed,
    Cancelled,
    Expired,
    Failed,
}

/// `targeted` is the sum of the seven that follow; `retries` stands outside it.
#[derive(ToSchema)]
pub(super) struct Counters {
    targeted: u64,
    pending: u64,
    delivered: u64,
    rejected: u64,
    dropped: u64,
    expired: u64,
    cancelled: u64,
    skipped: u64,
    /// Repeated attempts.
    retries: u64,
}

/// A sender that this broadcast waits for.
#[derive(ToSchema)]
pub(super) struct Waiting {
    platform: String,
    reason: String,
    #[schema(format = DateTime)]
    until: String,
}

#[derive(ToSchema)]
pub(super) struct BroadcastPage {
    /// Newest first.
    items: Vec<Broadcast>,
    /// Null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// A pace for a broadcast.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Pace {
    /// The whole broadcast, all platforms and nodes together; 0 is unpaced.
    #[schema(minimum = 0, maximum = 100_000_000)]
    rate_per_second: u32,
}

/// Whom to count.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AudienceQuestion {
    /// A tag expression; everybody when left out.
    audience: Option<String>,
    kind: Option<AudienceKind>,
}

/// Which targets of an installation are meant; native unless told.
#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum AudienceKind {
    Native,
    Template,
}

/// Targets of an audience.
#[derive(ToSchema)]
pub(super) struct AudienceCount {
    count: u64,
    /// By platform.
    platforms: BTreeMap<String, u64>,
}

/// What a dry run tells.
#[derive(ToSchema)]
pub(super) struct DryRun {
    count: u64,
    /// Targets by platform.
    platforms: BTreeMap<String, u64>,
    /// Bytes of one message by platform; of templates the longest among the audience's first thousand targets.
    payload_bytes: BTreeMap<String, u64>,
}

#[derive(ToSchema)]
pub(super) struct OutcomesPage {
    items: Vec<OutcomeItem>,
    /// Null on the last page.
    #[schema(required)]
    next_cursor: Option<String>,
}

/// What became of one target.
#[derive(ToSchema)]
pub(super) struct OutcomeItem {
    /// Null when nothing is known of whose target it was; absent for a registration and for a direct send.
    installation: Option<String>,
    /// Of a registration, instead.
    #[schema(nullable = false)]
    registration: Option<String>,
    /// Of a direct send: the handle as it was written.
    #[schema(nullable = false)]
    handle: Option<String>,
    /// `native`, `template:NAME`, `tile:ID` or `tile:ID/template:NAME`.
    target: String,
    platform: String,
    outcome: OutcomeWord,
    #[schema(nullable = false)]
    reason: Option<String>,
    /// When the outcome set that it stands in was last written.
    #[schema(format = DateTime)]
    at: String,
}

#[derive(ToSchema)]
#[schema(rename_all = "lowercase")]
pub(super) enum OutcomeWord {
    Pending,
    Delivered,
    Rejected,
    Dropped,
    Expired,
    Cancelled,
    Skipped,
}
