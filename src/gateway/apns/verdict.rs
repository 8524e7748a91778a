//! What APNs' answers mean: the rows of `push-services.md` 1.5, and 0.4 for what stands in no row.
//!
//! What depends on our own state (the age of a token, which connection) is judged in [`super::service`]; here an answer
//! means the same at any time.

use std::borrow::Cow;

use serde_json::Value;

use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// The body of an answer that is not 200: `{"reason":"…","timestamp":…}`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct ErrorBody<'a> {
    pub reason: Option<Cow<'a, str>>,
    /// Since when the service knows a token to be dead; only with 410.
    pub timestamp: Option<Timestamp>,
}

impl<'a> ErrorBody<'a> {
    /// Reads what it can: a body that is no JSON object, or members of another type, count as absent.
    pub fn read(body: &'a [u8]) -> Self {
        let Ok(Value::Object(mut members)) = serde_json::from_slice::<Value>(body) else { return Self::default() };
        let reason = match members.remove("reason") {
            Some(Value::String(text)) if !text.is_empty() => Some(Cow::Owned(text)),
            _ => None,
        };
        let millis = match members.get("timestamp") {
            Some(Value::String(text)) => text.parse().ok(),
            Some(number) => number.as_i64(),
            None => None,
        };
        Self { reason, timestamp: millis.filter(|millis| *millis > 0).map(Timestamp::from_millis) }
    }
}

/// A row of the table: status, reason, verdict. A reason is looked up with its status, because the service uses
/// `BadPath`-like words for nothing else, and what it says under another status is unknown (0.4).
const ROWS: &[(u16, &str, Verdict)] = &[
    (400, "BadCollapseId", FIX),
    (400, "BadDeviceToken", Verdict::EnvMismatch),
    (400, "BadExpirationDate", FIX),
    (400, "BadMessageId", FIX),
    (400, "BadPriority", FIX),
    (400, "BadTopic", Verdict::Credentials),
    (400, "DeviceTokenNotForTopic", Verdict::EnvMismatch),
    (400, "DuplicateHeaders", FIX),
    (400, "IdleTimeout", Verdict::ConnSafe),
    (400, "InvalidPushType", FIX),
    (400, "MissingDeviceToken", FIX),
    (400, "MissingTopic", Verdict::Credentials),
    (400, "PayloadEmpty", FIX),
    (400, "TopicDisallowed", Verdict::Credentials),
    (403, "BadCertificate", Verdict::Credentials),
    (403, "BadCertificateEnvironment", Verdict::Credentials),
    (403, EXPIRED_TOKEN, Verdict::Credentials),
    (403, "Forbidden", Verdict::Credentials),
    (403, "InvalidProviderToken", Verdict::Credentials),
    (403, "MissingProviderToken", Verdict::Credentials),
    (403, "UnrelatedKeyIdInToken", Verdict::ConnSafe),
    (403, "BadEnvironmentKeyIdInToken", Verdict::Credentials),
    // Live servers spell it this way too (observed).
    (403, "BadEnvironmentKeyInToken", Verdict::Credentials),
    (404, "BadPath", FIX_ONE),
    (405, "MethodNotAllowed", FIX),
    (410, "Unregistered", Verdict::DropToken { since: None }),
    (410, "ExpiredToken", Verdict::DropToken { since: None }),
    (413, "PayloadTooLarge", FIX),
    (429, TOO_MANY_UPDATES, Verdict::Throttle { scope: ThrottleScope::Connection, after: None }),
    (429, "TooManyRequests", Verdict::Throttle { scope: ThrottleScope::Target, after: None }),
    (500, "InternalServerError", Verdict::Retry { after: None }),
    (503, "ServiceUnavailable", Verdict::Retry { after: None }),
    (503, "Shutdown", Verdict::ConnSafe),
];

/// 403: the provider token is older than an hour.
pub const EXPIRED_TOKEN: &str = "ExpiredProviderToken";
/// 429: provider tokens change too often.
pub const TOO_MANY_UPDATES: &str = "TooManyProviderTokenUpdates";

const FIX: Verdict = Verdict::FixRequest { for_all: true };
const FIX_ONE: Verdict = Verdict::FixRequest { for_all: false };

/// What an answer means for its target. The reason is the service's word, else `status NNN`; none when delivered.
pub fn judge(status: u16, body: &[u8]) -> (Verdict, Option<Reason>) {
    if (200..300).contains(&status) {
        return (Verdict::Delivered, None);
    }
    let error = ErrorBody::read(body);
    let Some(word) = error.reason else {
        return (by_status(status, error.timestamp), Some(Reason::foreign(&format!("status {status}"))));
    };
    match ROWS.iter().find(|(of, known, _)| *of == status && *known == word) {
        Some((_, known, Verdict::DropToken { .. })) => {
            (Verdict::DropToken { since: error.timestamp }, Some(Reason::known(known)))
        }
        Some((_, known, verdict)) => (verdict.clone(), Some(Reason::known(known))),
        None => (unknown(status), Some(Reason::foreign(&word))),
    }
}

/// Whether the table has a row for this answer.
pub fn is_known(status: u16, reason: &str) -> bool {
    ROWS.iter().any(|(of, known, _)| *of == status && *known == reason)
}

/// A word that stands in no row (0.4): the target alone suffers, and only for good when the fault is ours.
const fn unknown(status: u16) -> Verdict {
    if status >= 500 { Verdict::Retry { after: None } } else { FIX_ONE }
}

/// An answer without a word: the class that all rows of its status have in common.
const fn by_status(status: u16, since: Option<Timestamp>) -> Verdict {
    match status {
        403 => Verdict::Credentials,
        405 | 413 => FIX,
        410 => Verdict::DropToken { since },
        429 => Verdict::Throttle { scope: ThrottleScope::Target, after: None },
        _ => unknown(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, reason: &str) -> (Verdict, Option<Reason>) {
        judge(status, format!(r#"{{"reason":"{reason}"}}"#).as_bytes())
    }

    /// Every row of the specification's table, written out a second time so that the table above is checked and not
    /// repeated.
    #[test]
    fn every_row_of_the_table() {
        let connection = Verdict::Throttle { scope: ThrottleScope::Connection, after: None };
        let device = Verdict::Throttle { scope: ThrottleScope::Target, after: None };
        let rows: &[(&str, &[&str], Verdict)] = &[
            (
                "our request is wrong for every target",
                &[
                    "400 BadCollapseId",
                    "400 BadExpirationDate",
                    "400 BadMessageId",
                    "400 BadPriority",
                    "400 DuplicateHeaders",
                    "400 InvalidPushType",
                    "400 MissingDeviceToken",
                    "400 PayloadEmpty",
                    "405 MethodNotAllowed",
                    "413 PayloadTooLarge",
                ],
                Verdict::FixRequest { for_all: true },
            ),
            ("our request is wrong for this target", &["404 BadPath"], Verdict::FixRequest { for_all: false }),
            ("another environment", &["400 BadDeviceToken", "400 DeviceTokenNotForTopic"], Verdict::EnvMismatch),
            (
                "the hub's set-up",
                &[
                    "400 BadTopic",
                    "400 MissingTopic",
                    "400 TopicDisallowed",
                    "403 BadCertificate",
                    "403 BadCertificateEnvironment",
                    "403 ExpiredProviderToken",
                    "403 Forbidden",
                    "403 InvalidProviderToken",
                    "403 MissingProviderToken",
                    "403 BadEnvironmentKeyIdInToken",
                    "403 BadEnvironmentKeyInToken",
                ],
                Verdict::Credentials,
            ),
            (
                "the connection is at fault",
                &["400 IdleTimeout", "403 UnrelatedKeyIdInToken", "503 Shutdown"],
                Verdict::ConnSafe,
            ),
            ("the address is dead", &["410 Unregistered", "410 ExpiredToken"], Verdict::DropToken { since: None }),
            ("tokens change too often", &["429 TooManyProviderTokenUpdates"], connection),
            ("too many to one device", &["429 TooManyRequests"], device),
            ("a passing fault", &["500 InternalServerError", "503 ServiceUnavailable"], Verdict::Retry { after: None }),
        ];
        let mut checked = 0;
        for (name, answers, verdict) in rows {
            for answer in *answers {
                let (status, reason) = answer.split_once(' ').unwrap();
                let expected = (verdict.clone(), Some(Reason::known(reason.to_owned().leak())));
                assert_eq!(told(status.parse().unwrap(), reason), expected, "{name}: {answer}");
                checked += 1;
            }
        }
        assert_eq!(checked, ROWS.len());
        assert_eq!(judge(200, b""), (Verdict::Delivered, None));
    }

    #[test]
    fn a_dead_token_carries_the_service_s_time() {
        let since = Some(Timestamp::from_millis(1_700_000_000_123));
        let (verdict, _) = judge(410, br#"{"reason":"Unregistered","timestamp":1700000000123}"#);
        assert_eq!(verdict, Verdict::DropToken { since });
        let (verdict, _) = judge(410, br#"{"reason":"ExpiredToken","timestamp":"1700000000123"}"#);
        assert_eq!(verdict, Verdict::DropToken { since });
        let (verdict, _) = judge(410, br#"{"reason":"Unregistered","timestamp":{}}"#);
        assert_eq!(verdict, Verdict::DropToken { since: None });
    }

    /// T13.
    #[test]
    fn unknown_words_cost_one_target_below_500_and_are_retried_above() {
        assert_eq!(told(400, "FooBar"), (FIX_ONE, Some(Reason::foreign("FooBar"))));
        assert_eq!(told(403, "FooBar").0, FIX_ONE);
        assert_eq!(told(410, "FooBar").0, FIX_ONE);
        assert_eq!(told(503, "FooBar").0, Verdict::Retry { after: None });
        assert_eq!(told(500, "BadDeviceToken").0, Verdict::Retry { after: None }, "known only under its own status");
        assert!(!is_known(400, "FooBar") && is_known(400, "BadTopic"));
    }

    #[test]
    fn a_body_that_says_nothing_is_judged_by_status() {
        for body in [&b""[..], b"<html>", b"[]", br#"{"reason":7}"#, b"{\"reason\":\"\"}", b"\xff\xfe"] {
            assert_eq!(judge(503, body), (Verdict::Retry { after: None }, Some(Reason::foreign("status 503"))));
            assert_eq!(judge(400, body).0, FIX_ONE);
            assert_eq!(judge(403, body).0, Verdict::Credentials);
            assert_eq!(judge(410, body).0, Verdict::DropToken { since: None });
            assert_eq!(judge(413, body).0, FIX);
            assert_eq!(judge(302, body).0, FIX_ONE);
        }
    }
}
