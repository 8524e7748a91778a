//! A request as a gateway prepares it for a broadcast like any other.

use std::sync::Arc;
use std::time::Duration;

use fanfare::gateway::{Gateway, SharedRequest};
use fanfare::model::broadcast::{BroadcastRequest, Content, Lane, Notification, Payloads, Priority};
use fanfare::model::field::FieldError;
use fanfare::model::id::BroadcastId;
use fanfare::model::time::Timestamp;

/// What needs no payload of a platform.
pub(crate) fn hello() -> Content {
    let notification = Notification { title: Some("Hello".to_owned()), ..Notification::default() };
    Content::Notification { notification, payloads: Payloads::new() }
}

/// For an hour from `now` on.
pub(crate) fn prepared(
    gateway: &impl Gateway,
    content: Content,
    now: Timestamp,
) -> Result<Arc<SharedRequest>, FieldError> {
    let request = BroadcastRequest {
        audience: String::new(),
        content,
        ttl_seconds: 3_600,
        collapse_key: None,
        priority: Priority::High,
        lane: Lane::Bulk,
        weight: 1,
        rate_per_second: 0,
        schedule_at: None,
    };
    let id = BroadcastId::new(now.millis().unsigned_abs());
    gateway.prepare(id, &request, now.plus(Duration::from_hours(1))).map(Arc::new)
}
