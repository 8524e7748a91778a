//! What FCM's answers mean: the rows of `push-services.md` 2.3, and 0.4 for what stands in no row.
//!
//! Decided by the `errorCode` of a detail of type `FcmError`, else by `error.status`, else by the HTTP status. What
//! depends on our own state (was the access token just renewed?) is judged in [`super::service`].

use std::time::Duration;

use serde_json::Value;

use crate::gateway::retry_after;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const QUOTA_FAILURE: &str = "type.googleapis.com/google.rpc.QuotaFailure";
const BAD_TOKEN: &str = "The registration token is not a valid FCM registration token";

/// 401: the access token is expired or was never good.
pub const UNAUTHENTICATED: &str = "UNAUTHENTICATED";

/// The service asks for this before a first repeat after a fault of its own.
const LEAST_RETRY: Duration = Duration::from_secs(10);
/// A quota that names no time.
const QUOTA_WAIT: Duration = Duration::from_mins(1);

/// The words of the table, and those of `google.rpc.Code` whose meaning is plain from their status.
const KNOWN: [&str; 18] = [
    "INVALID_ARGUMENT",
    UNAUTHENTICATED,
    "THIRD_PARTY_AUTH_ERROR",
    "APNS_AUTH_ERROR",
    "SENDER_ID_MISMATCH",
    "PERMISSION_DENIED",
    "UNREGISTERED",
    "NOT_FOUND",
    "QUOTA_EXCEEDED",
    "RESOURCE_EXHAUSTED",
    "INTERNAL",
    "UNAVAILABLE",
    "UNSPECIFIED_ERROR",
    "DEADLINE_EXCEEDED",
    "ABORTED",
    "CANCELLED",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
];

/// Whether a reason is one of the table, or no word of the service at all.
pub fn is_known(word: &str) -> bool {
    KNOWN.contains(&word) || word.starts_with("status ")
}

const FIX_ONE: Verdict = Verdict::FixRequest { for_all: false };

/// What an answer means for its target. The reason is the service's word, else `status NNN`; none when delivered.
pub fn judge(status: u16, retry_after: Option<&str>, body: &[u8], now: Timestamp) -> (Verdict, Option<Reason>) {
    if (200..300).contains(&status) {
        return (Verdict::Delivered, None);
    }
    let after = retry_after.and_then(|text| retry_after::parse(text, now));
    let read = serde_json::from_slice::<Value>(body).ok();
    let Some(error) = read.as_ref().and_then(|body| body.get("error")) else {
        return (by_status(status, after), Some(Reason::foreign(&format!("status {status}"))));
    };
    let code = detail(error, FCM_ERROR).and_then(|found| found.get("errorCode")).and_then(Value::as_str);
    let word = code.or_else(|| error.get("status").and_then(Value::as_str)).filter(|word| !word.is_empty());
    let Some(word) = word else {
        return (by_status(status, after), Some(Reason::foreign(&format!("status {status}"))));
    };
    (by_word(status, word, code.is_some(), error, after), Some(Reason::foreign(word)))
}

fn by_word(status: u16, word: &str, own_code: bool, error: &Value, after: Option<Duration>) -> Verdict {
    match (status, word) {
        (400, "INVALID_ARGUMENT") if is_about_the_token(error, own_code) => Verdict::DropToken { since: None },
        (400, "INVALID_ARGUMENT") => Verdict::FixRequest { for_all: true },
        // The key of one leg (iOS or web) is missing at Google. Android targets are unaffected, so the sender goes on
        // and only the targets of that leg are rejected.
        (401, "THIRD_PARTY_AUTH_ERROR" | "APNS_AUTH_ERROR") => FIX_ONE,
        (401, UNAUTHENTICATED) => Verdict::Credentials,
        (403, "SENDER_ID_MISMATCH") => Verdict::EnvMismatch,
        (403, "PERMISSION_DENIED") => Verdict::Credentials,
        (404, "UNREGISTERED" | "NOT_FOUND") => Verdict::DropToken { since: None },
        (429, _) => Verdict::Throttle { scope: quota_scope(error), after: Some(after.unwrap_or(QUOTA_WAIT)) },
        (_, "UNSPECIFIED_ERROR") => retry(after),
        (413, _) => Verdict::FixRequest { for_all: true },
        (500.., _) => retry(after),
        // A word that stands in no row costs one target and pauses nobody (0.4).
        _ => FIX_ONE,
    }
}

/// An answer without a word.
fn by_status(status: u16, after: Option<Duration>) -> Verdict {
    match status {
        401 | 403 => Verdict::Credentials,
        // No JSON: a path that nothing answers, so endpoint or project are wrong.
        404 => Verdict::Credentials,
        413 => Verdict::FixRequest { for_all: true },
        429 => Verdict::Throttle { scope: ThrottleScope::Project, after: Some(after.unwrap_or(QUOTA_WAIT)) },
        500.. => retry(after),
        _ => FIX_ONE,
    }
}

fn retry(after: Option<Duration>) -> Verdict {
    Verdict::Retry { after: Some(after.unwrap_or(LEAST_RETRY)) }
}

fn details(error: &Value) -> impl Iterator<Item = &Value> {
    error.get("details").and_then(Value::as_array).into_iter().flatten()
}

fn detail<'a>(error: &'a Value, kind: &str) -> Option<&'a Value> {
    details(error).find(|detail| detail.get("@type").and_then(Value::as_str) == Some(kind))
}

/// Only what surely speaks of the address: the same code also means a bad payload.
fn is_about_the_token(error: &Value, own_code: bool) -> bool {
    let message = error.get("message").and_then(Value::as_str).unwrap_or_default();
    let violations =
        detail(error, BAD_REQUEST).and_then(|found| found.get("fieldViolations")).and_then(Value::as_array);
    let named = violations.into_iter().flatten().filter_map(|violation| violation.get("field").and_then(Value::as_str));
    (own_code && message.starts_with(BAD_TOKEN)) || is_only_the_target(named)
}

/// Another field beside the target's leaves open which of them is wrong, and an address is not dropped on that.
fn is_only_the_target<'a>(fields: impl Iterator<Item = &'a str>) -> bool {
    let mut fields = fields.peekable();
    fields.peek().is_some() && fields.all(|field| matches!(field, "message.token" | "message.fid"))
}

/// The project's quota, unless the failure names a device or a topic.
fn quota_scope(error: &Value) -> ThrottleScope {
    let narrow = detail(error, QUOTA_FAILURE).is_some_and(|failure| {
        let text = failure.to_string().to_ascii_lowercase();
        text.contains("device") || text.contains("topic")
    });
    if narrow { ThrottleScope::Target } else { ThrottleScope::Project }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(status: u16, retry_after: Option<&str>, body: &str) -> Verdict {
        judge(status, retry_after, body.as_bytes(), Timestamp::from_millis(1_792_567_680_000)).0
    }

    fn coded(code: &str, message: &str) -> String {
        format!(
            r#"{{"error":{{"message":"{message}","status":"X","details":[{{"@type":"{FCM_ERROR}","errorCode":"{code}"}}]}}}}"#
        )
    }

    fn plain(status: &str) -> String {
        format!(r#"{{"error":{{"message":"m","status":"{status}"}}}}"#)
    }

    const DROP: Verdict = Verdict::DropToken { since: None };
    const FIX_ALL: Verdict = Verdict::FixRequest { for_all: true };

    #[test]
    fn each_row_has_its_verdict() {
        let field = |name: &str| {
            format!(
                r#"{{"error":{{"status":"INVALID_ARGUMENT","details":[{{"@type":"{BAD_REQUEST}","fieldViolations":[{{"field":"{name}"}}]}}]}}}}"#
            )
        };
        let again = || Verdict::Retry { after: Some(LEAST_RETRY) };
        for (status, body, verdict) in [
            (200, r#"{"name":"projects/p/messages/1"}"#.to_owned(), Verdict::Delivered),
            (400, coded("INVALID_ARGUMENT", BAD_TOKEN), DROP),
            (400, field("message.token"), DROP),
            (400, field("message.fid"), DROP),
            (400, field("message.android.ttl"), FIX_ALL),
            (400, coded("INVALID_ARGUMENT", "too big"), FIX_ALL),
            (400, plain("FAILED_PRECONDITION"), FIX_ONE),
            (401, plain(UNAUTHENTICATED), Verdict::Credentials),
            (401, coded("THIRD_PARTY_AUTH_ERROR", "m"), FIX_ONE),
            (401, coded("APNS_AUTH_ERROR", "m"), FIX_ONE),
            (403, coded("SENDER_ID_MISMATCH", "m"), Verdict::EnvMismatch),
            (403, plain("PERMISSION_DENIED"), Verdict::Credentials),
            (404, coded("UNREGISTERED", "m"), DROP),
            (404, plain("NOT_FOUND"), DROP),
            (404, "<html>".to_owned(), Verdict::Credentials),
            (413, String::new(), FIX_ALL),
            (500, coded("INTERNAL", "m"), again()),
            (502, String::new(), again()),
            (504, String::new(), again()),
            (503, coded("UNAVAILABLE", "m"), again()),
            (400, coded("UNSPECIFIED_ERROR", "m"), again()),
        ] {
            assert_eq!(told(status, None, &body), verdict, "{status} {body}");
        }
    }

    #[test]
    fn delays_are_the_services_own_where_it_names_one() {
        let after = |seconds| Verdict::Retry { after: Some(Duration::from_secs(seconds)) };
        assert_eq!(told(503, Some("120"), &coded("UNAVAILABLE", "m")), after(120));
        assert_eq!(told(503, Some("99999999"), ""), after(3_600));
        let quota = |seconds, scope| Verdict::Throttle { scope, after: Some(Duration::from_secs(seconds)) };
        assert_eq!(told(429, None, &coded("QUOTA_EXCEEDED", "m")), quota(60, ThrottleScope::Project));
        assert_eq!(told(429, Some("7"), &plain("RESOURCE_EXHAUSTED")), quota(7, ThrottleScope::Project));
        let device = format!(
            r#"{{"error":{{"status":"RESOURCE_EXHAUSTED","details":[{{"@type":"{QUOTA_FAILURE}","violations":[{{"subject":"device:1"}}]}}]}}}}"#
        );
        assert_eq!(told(429, Some("7"), &device), quota(7, ThrottleScope::Target));
    }

    #[test]
    fn unknown_words_cost_one_target_and_pause_nobody() {
        for status in [400, 401, 403, 404, 409] {
            let (verdict, reason) = judge(status, None, coded("NEW_WORD", "m").as_bytes(), Timestamp::from_millis(0));
            assert_eq!((verdict, reason), (FIX_ONE, Some(Reason::foreign("NEW_WORD"))), "{status}");
        }
        assert_eq!(told(503, None, &coded("NEW_WORD", "m")), retry(None));
    }

    #[test]
    fn a_target_named_beside_another_field_is_not_dropped() {
        let naming = |fields: &[&str]| {
            let violations: Vec<_> = fields.iter().map(|field| serde_json::json!({"field": field})).collect();
            let detail = serde_json::json!({"@type": BAD_REQUEST, "fieldViolations": violations});
            serde_json::json!({"error": {"status": "INVALID_ARGUMENT", "details": [detail]}}).to_string()
        };
        assert_eq!(told(400, None, &naming(&["message.token"])), Verdict::DropToken { since: None });
        for fields in [&["message.token", "message.data"][..], &["message.data"], &[]] {
            assert_eq!(told(400, None, &naming(fields)), Verdict::FixRequest { for_all: true }, "{fields:?}");
        }
    }
}
