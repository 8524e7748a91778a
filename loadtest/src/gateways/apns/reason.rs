//! The reasons that the simulated service gives by itself (push-services.md 1.5). Scripts can give any other.
use crate::gateways::answer::Answer;

/// Status and reason text.
pub(super) type Reason = (u16, &'static str);

pub(super) const BAD_COLLAPSE_ID: Reason = (400, "BadCollapseId");
pub(super) const BAD_DEVICE_TOKEN: Reason = (400, "BadDeviceToken");
pub(super) const BAD_EXPIRATION_DATE: Reason = (400, "BadExpirationDate");
pub(super) const BAD_MESSAGE_ID: Reason = (400, "BadMessageId");
pub(super) const BAD_PRIORITY: Reason = (400, "BadPriority");
pub(super) const BAD_TOPIC: Reason = (400, "BadTopic");
pub(super) const DUPLICATE_HEADERS: Reason = (400, "DuplicateHeaders");
pub(super) const INVALID_PUSH_TYPE: Reason = (400, "InvalidPushType");
pub(super) const MISSING_DEVICE_TOKEN: Reason = (400, "MissingDeviceToken");
pub(super) const MISSING_TOPIC: Reason = (400, "MissingTopic");
pub(super) const PAYLOAD_EMPTY: Reason = (400, "PayloadEmpty");
pub(super) const TOPIC_DISALLOWED: Reason = (400, "TopicDisallowed");
pub(super) const BAD_CERTIFICATE: Reason = (403, "BadCertificate");
pub(super) const BAD_ENVIRONMENT_KEY: Reason = (403, "BadEnvironmentKeyIdInToken");
pub(super) const EXPIRED_PROVIDER_TOKEN: Reason = (403, "ExpiredProviderToken");
pub(super) const INVALID_PROVIDER_TOKEN: Reason = (403, "InvalidProviderToken");
pub(super) const MISSING_PROVIDER_TOKEN: Reason = (403, "MissingProviderToken");
pub(super) const UNRELATED_KEY: Reason = (403, "UnrelatedKeyIdInToken");
pub(super) const BAD_PATH: Reason = (404, "BadPath");
pub(super) const METHOD_NOT_ALLOWED: Reason = (405, "MethodNotAllowed");
pub(super) const PAYLOAD_TOO_LARGE: Reason = (413, "PayloadTooLarge");
pub(super) const TOO_MANY_TOKEN_UPDATES: Reason = (429, "TooManyProviderTokenUpdates");

pub(super) fn answer((status, reason): Reason) -> Answer {
    Answer::refused(status, reason)
}
