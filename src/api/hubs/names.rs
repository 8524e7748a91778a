//! What outcomes and platforms are called on this face (`notification-hubs.md` 2.5.7, 2.7, 2.8).

use crate::model::outcome::Outcome;
use crate::model::platform::Platform;

/// The name of an outcome with its reason, as telemetry counts it.
///
/// A reason is the push service's own word or one of ours (`model::outcome::reason`); one that stands in no row is
/// `UnknownError`.
pub fn outcome(outcome: Outcome, reason: Option<&str>) -> &'static str {
    match outcome {
        Outcome::Delivered => "Success",
        Outcome::Dropped => EXPIRED_CHANNEL,
        Outcome::Expired | Outcome::Cancelled => "AbandonedNotificationMessages",
        Outcome::Skipped => "Skipped",
        Outcome::Rejected => rejected(reason.unwrap_or_default()),
    }
}

pub const EXPIRED_CHANNEL: &str = "ExpiredChannel";
pub const BAD_CHANNEL: &str = "BadChannel";

fn rejected(reason: &str) -> &'static str {
    let known = REASONS.iter().find(|(words, _)| words.iter().any(|word| word.eq_ignore_ascii_case(reason)));
    match known {
        Some((_, name)) => name,
        // Rules that a payload broke when it was to be sent: `FIELD must …`.
        None if reason.contains(" must have at most ") || reason.contains(" must have fewer than ") => {
            "InvalidNotificationSize"
        }
        None if reason.contains(" must ") => "InvalidNotificationFormat",
        None => "UnknownError",
    }
}

const REASONS: [(&[&str], &str); 10] = [
    (
        &[
            "no_gateway",
            "service_retired",
            "BadTopic",
            "MissingTopic",
            "TopicDisallowed",
            "InvalidProviderToken",
            "ExpiredProviderToken",
            "Forbidden",
            "BadCertificate",
            "BadCertificateEnvironment",
            "THIRD_PARTY_AUTH_ERROR",
            "APNS_AUTH_ERROR",
            "PERMISSION_DENIED",
            "UNAUTHENTICATED",
            "AccessTokenExpired",
            "invalid_client",
            "error_code 30603",
            "error_code 30612",
            "status 401",
        ],
        "InvalidCredentials",
    ),
    (
        &["BadDeviceToken", "BadPath", "MissingDeviceToken", "channel is of no allowed host", "InvalidRegistrationId"],
        BAD_CHANNEL,
    ),
    (
        &[
            "Unregistered",
            "ExpiredToken",
            "UNREGISTERED",
            "NOT_FOUND",
            "error_code 30607",
            "error_code 30608",
            "bad_regids",
            "status 404",
            "status 410",
        ],
        EXPIRED_CHANNEL,
    ),
    (&["DeviceTokenNotForTopic", "SENDER_ID_MISMATCH", "status 403"], "WrongToken"),
    (&["PayloadTooLarge", "MessageTooLarge", "code 65015", "status 413"], "InvalidNotificationSize"),
    (
        &[
            "PayloadEmpty",
            "BadPriority",
            "BadExpirationDate",
            "BadCollapseId",
            "BadMessageId",
            "InvalidPushType",
            "DuplicateHeaders",
            "INVALID_ARGUMENT",
            "InvalidData",
            "InvalidConsolidationKey",
            "InvalidExpiration",
            "InvalidChecksum",
            "InvalidType",
            "error_code 30601",
            "error_code 30602",
            "status 400",
        ],
        "InvalidNotificationFormat",
    ),
    (&["dropped"], "Dropped"),
    (&["channelthrottled"], "ChannelThrottled"),
    (
        &[
            "TooManyRequests",
            "QUOTA_EXCEEDED",
            "RESOURCE_EXHAUSTED",
            "MaxRateExceeded",
            "error_code 30604",
            "status 429",
            "status 406",
        ],
        "Throttled",
    ),
    (&["gave_up", "status 500", "status 502", "status 503", "INTERNAL", "UNAVAILABLE"], "PnsServerError"),
];

/// What a test send says of one device. The texts are the field's own, which clients show to people.
pub fn told(outcome: Option<Outcome>, reason: Option<&str>) -> String {
    let Some(outcome) = outcome else { return "The Push Notification System did not answer in time".to_owned() };
    match self::outcome(outcome, reason) {
        "Success" => "The Notification was successfully sent to the Push Notification System".to_owned(),
        EXPIRED_CHANNEL => "The Push Notification System handle for the registration is no longer valid".to_owned(),
        BAD_CHANNEL => "The Push Notification System handle for the registration is invalid".to_owned(),
        "InvalidCredentials" | "WrongToken" => "The Token obtained from the Token Provider is wrong".to_owned(),
        "InvalidNotificationFormat" | "InvalidNotificationSize" => match reason {
            Some(reason) => format!("The Notification payload is invalid ({reason})"),
            None => "The Notification payload is invalid".to_owned(),
        },
        "AbandonedNotificationMessages" => "The Push Notification System did not answer in time".to_owned(),
        name => match reason {
            Some(reason) => format!("{name}: {reason}"),
            None => name.to_owned(),
        },
    }
}

/// The element that counts a platform's outcomes, in the order in which they are written.
pub const COUNTS: [(Platform, &str); 8] = [
    (Platform::Apns, "ApnsOutcomeCounts"),
    (Platform::Mpns, "MpnsOutcomeCounts"),
    (Platform::Wns, "WnsOutcomeCounts"),
    (Platform::Adm, "AdmOutcomeCounts"),
    (Platform::Fcm, "FcmV1OutcomeCounts"),
    (Platform::Baidu, "BaiduOutcomeCounts"),
    (Platform::WebPush, "BrowserOutcomeCounts"),
    (Platform::Xiaomi, "XiaomiOutcomeCounts"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outcomes_have_the_names_of_the_field() {
        for (done, reason, name) in [
            (Outcome::Delivered, None, "Success"),
            (Outcome::Dropped, Some("Unregistered"), "ExpiredChannel"),
            (Outcome::Expired, Some("ttl"), "AbandonedNotificationMessages"),
            (Outcome::Cancelled, Some("cancelled"), "AbandonedNotificationMessages"),
            (Outcome::Skipped, Some("duplicate_handle"), "Skipped"),
            (Outcome::Rejected, Some("no_gateway"), "InvalidCredentials"),
            (Outcome::Rejected, Some("service_retired"), "InvalidCredentials"),
            (Outcome::Rejected, Some("BadDeviceToken"), "BadChannel"),
            (Outcome::Rejected, Some("UNREGISTERED"), "ExpiredChannel"),
            (Outcome::Rejected, Some("SENDER_ID_MISMATCH"), "WrongToken"),
            (Outcome::Rejected, Some("PayloadTooLarge"), "InvalidNotificationSize"),
            (Outcome::Rejected, Some("INVALID_ARGUMENT"), "InvalidNotificationFormat"),
            (
                Outcome::Rejected,
                Some("payloads.apns must have at most 4096 bytes for APNs (has 9)"),
                "InvalidNotificationSize",
            ),
            (Outcome::Rejected, Some("template must be rendered"), "InvalidNotificationFormat"),
            (Outcome::Rejected, Some("dropped"), "Dropped"),
            (Outcome::Rejected, Some("gave_up"), "PnsServerError"),
            (Outcome::Rejected, Some("error_code 30608"), "ExpiredChannel"),
            (Outcome::Rejected, Some("error_code 30603"), "InvalidCredentials"),
            (Outcome::Rejected, Some("code 65015"), "InvalidNotificationSize"),
            (Outcome::Rejected, Some("bad_regids"), "ExpiredChannel"),
            (Outcome::Rejected, Some("InvalidRegistrationId"), "BadChannel"),
            (Outcome::Rejected, Some("a word that nobody knows"), "UnknownError"),
            (Outcome::Rejected, None, "UnknownError"),
        ] {
            assert_eq!(outcome(done, reason), name, "{reason:?}");
        }
    }

    #[test]
    fn a_test_send_tells_in_the_words_of_the_field() {
        assert!(told(Some(Outcome::Delivered), None).contains("successfully sent"));
        assert!(told(Some(Outcome::Rejected), Some("BadDeviceToken")).ends_with("is invalid"));
        assert!(told(Some(Outcome::Rejected), Some("INVALID_ARGUMENT")).contains("payload is invalid (INVALID"));
        assert!(told(None, None).contains("in time"));
    }
}
