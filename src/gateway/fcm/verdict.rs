//! What FCM's answers mean: the rows of `push-services.md` 2.3, and 0.4 for what stands in no row.
//!
//! An answer is read in this order: the service's own error code in `details`, else the `status` word of the error, else
//! the HTTP status alone. An answer without JSON is judged by its HTTP status, but for a 404, which then comes from
//! somebody who is not FCM.

use std::time::Duration;

use serde::Deserialize;

use crate::gateway::retry_after;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// Before the first repeat after a fault of the service's own: it asks for ten seconds at least (2.3).
const FAULT_REST: Duration = Duration::from_secs(10);
/// How long the project rests that is told it is too fast and not for how long.
const QUOTA_REST: Duration = Duration::from_secs(60);

const FIX: Verdict = Verdict::FixRequest { for_all: true };
const FIX_ONE: Verdict = Verdict::FixRequest { for_all: false };
const DROP: Verdict = Verdict::DropToken { since: None };

const OWN_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";
const QUOTA: &str = "type.googleapis.com/google.rpc.QuotaFailure";

/// What the message of an `INVALID_ARGUMENT` says when the token alone is at fault.
const NO_TOKEN: &str = "The registration token is not a valid FCM registration token";

#[derive(Debug, Default, Deserialize)]
struct Body {
    error: Option<Error>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Error {
    message: String,
    status: String,
    details: Vec<Detail>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Detail {
    #[serde(rename = "@type")]
    kind: String,
    error_code: String,
    field_violations: Vec<FieldViolation>,
    violations: Vec<QuotaViolation>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct FieldViolation {
    field: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct QuotaViolation {
    subject: String,
    description: String,
}

impl Error {
    fn detail(&self, kind: &str) -> Option<&Detail> {
        self.details.iter().find(|detail| detail.kind == kind)
    }

    /// The service's own code; words of other layers that only look like one do not count.
    fn code(&self) -> Option<&str> {
        self.detail(OWN_ERROR).map(|detail| detail.error_code.as_str()).filter(|code| !code.is_empty())
    }

    /// Whether the token or the installation id is what is wrong with the request.
    fn blames_target(&self) -> bool {
        let fields = self.detail(BAD_REQUEST).map(|detail| detail.field_violations.as_slice()).unwrap_or_default();
        self.code().is_some() && self.message.starts_with(NO_TOKEN)
            || !fields.is_empty() && fields.iter().all(|one| matches!(&*one.field, "message.token" | "message.fid"))
    }

    /// The quota that ran out; the project's unless a device or a topic is named.
    fn quota_scope(&self) -> ThrottleScope {
        let one = |violation: &QuotaViolation| {
            let text = format!("{} {}", violation.subject, violation.description).to_ascii_lowercase();
            text.contains("device") || text.contains("topic")
        };
        let violations = self.detail(QUOTA).map(|detail| detail.violations.as_slice()).unwrap_or_default();
        if violations.iter().any(one) { ThrottleScope::Target } else { ThrottleScope::Project }
    }
}

/// What an answer means for its target. The reason is the service's word, else `status NNN`; none when delivered.
/// `retry_after` is that header as it came, `now` the time for one that names a date.
pub fn judge(status: u16, retry_after: Option<&str>, body: &[u8], now: Timestamp) -> (Verdict, Option<Reason>) {
    if (200..300).contains(&status) {
        return (Verdict::Delivered, None);
    }
    let after = retry_after.and_then(|text| retry_after::parse(text, now));
    let Some(error) = serde_json::from_slice::<Body>(body).ok().and_then(|body| body.error) else {
        return (without_words(status, after), Some(Reason::foreign(&format!("status {status}"))));
    };
    let word = error.code().or(Some(error.status.as_str()).filter(|word| !word.is_empty()));
    let reason = word.map_or_else(|| Reason::foreign(&format!("status {status}")), Reason::foreign);
    (in_words(status, &error, after), Some(reason))
}

fn in_words(status: u16, error: &Error, after: Option<Duration>) -> Verdict {
    match (status, error.code(), error.status.as_str()) {
        (400, Some("INVALID_ARGUMENT"), _) | (400, None, "INVALID_ARGUMENT") => {
            if error.blames_target() {
                DROP
            } else {
                FIX
            }
        }
        (401, Some("THIRD_PARTY_AUTH_ERROR" | "APNS_AUTH_ERROR"), _) | (401, None, _) => Verdict::Credentials,
        (403, Some("SENDER_ID_MISMATCH"), _) => Verdict::EnvMismatch,
        (403, None, _) => Verdict::Credentials,
        (404, Some("UNREGISTERED"), _) | (404, None, _) => DROP,
        (429, Some("QUOTA_EXCEEDED"), _) | (429, None, _) => throttle(error.quota_scope(), after),
        (413, ..) => FIX,
        (500.., ..) | (_, Some("UNSPECIFIED_ERROR"), _) => fault(after),
        _ => FIX_ONE,
    }
}

/// The class that all rows of a status have in common.
fn without_words(status: u16, after: Option<Duration>) -> Verdict {
    match status {
        // No JSON: the path leads to somebody else, so the project or the endpoint is wrong.
        401 | 403 | 404 => Verdict::Credentials,
        413 => FIX,
        429 => throttle(ThrottleScope::Project, after),
        500.. => fault(after),
        _ => FIX_ONE,
    }
}

fn throttle(scope: ThrottleScope, after: Option<Duration>) -> Verdict {
    Verdict::Throttle { scope, after: Some(after.unwrap_or(QUOTA_REST)) }
}

/// The service's own delay, but never less than it asks of everybody.
fn fault(after: Option<Duration>) -> Verdict {
    Verdict::Retry { after: Some(after.unwrap_or(FAULT_REST)) }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
    const PROJECT: ThrottleScope = ThrottleScope::Project;

    fn own(code: &str) -> Value {
        json!({"@type": OWN_ERROR, "errorCode": code})
    }

    fn body(status: &str, message: &str, details: &[Value]) -> String {
        json!({"error": {"code": 1, "message": message, "status": status, "details": details}}).to_string()
    }

    fn told(status: u16, word: &str, details: &[Value]) -> Verdict {
        judge(status, None, body(word, "", details).as_bytes(), NOW).0
    }

    #[test]
    fn every_row_of_the_table() {
        let field =
            |name: &str| json!({"@type": BAD_REQUEST, "fieldViolations": [{"field": name, "description": "x"}]});
        let quota =
            |subject: &str| json!({"@type": QUOTA, "violations": [{"subject": subject, "description": "too fast"}]});
        let (minute, ten) = (Some(QUOTA_REST), Some(FAULT_REST));
        let rows = [
            (400, "INVALID_ARGUMENT", vec![own("INVALID_ARGUMENT")], FIX),
            (400, "INVALID_ARGUMENT", vec![field("message.token")], DROP),
            (400, "INVALID_ARGUMENT", vec![own("INVALID_ARGUMENT"), field("message.fid")], DROP),
            (400, "INVALID_ARGUMENT", vec![field("message.android.ttl")], FIX),
            (401, "UNAUTHENTICATED", vec![], Verdict::Credentials),
            (401, "UNAUTHENTICATED", vec![own("THIRD_PARTY_AUTH_ERROR")], Verdict::Credentials),
            (401, "UNAUTHENTICATED", vec![own("APNS_AUTH_ERROR")], Verdict::Credentials),
            (403, "PERMISSION_DENIED", vec![own("SENDER_ID_MISMATCH")], Verdict::EnvMismatch),
            (403, "PERMISSION_DENIED", vec![], Verdict::Credentials),
            (404, "NOT_FOUND", vec![own("UNREGISTERED")], DROP),
            (404, "NOT_FOUND", vec![], DROP),
            (413, "", vec![], FIX),
            (
                429,
                "RESOURCE_EXHAUSTED",
                vec![own("QUOTA_EXCEEDED")],
                Verdict::Throttle { scope: PROJECT, after: minute },
            ),
            (429, "RESOURCE_EXHAUSTED", vec![], Verdict::Throttle { scope: PROJECT, after: minute }),
            (
                429,
                "RESOURCE_EXHAUSTED",
                vec![own("QUOTA_EXCEEDED"), quota("device:abc")],
                Verdict::Throttle { scope: ThrottleScope::Target, after: minute },
            ),
            (500, "INTERNAL", vec![own("INTERNAL")], Verdict::Retry { after: ten }),
            (502, "", vec![], Verdict::Retry { after: ten }),
            (504, "", vec![], Verdict::Retry { after: ten }),
            (503, "UNAVAILABLE", vec![own("UNAVAILABLE")], Verdict::Retry { after: ten }),
            (400, "INTERNAL", vec![own("UNSPECIFIED_ERROR")], Verdict::Retry { after: ten }),
        ];
        for (status, word, details, expected) in rows {
            assert_eq!(told(status, word, &details), expected, "{status} {word} {details:?}");
        }
        assert_eq!(judge(200, None, br#"{"name":"projects/p/messages/1"}"#, NOW), (Verdict::Delivered, None));
    }

    #[test]
    fn a_token_is_blamed_by_the_service_s_own_words_alone() {
        let text = |details: &[Value]| body("INVALID_ARGUMENT", NO_TOKEN, details);
        assert_eq!(judge(400, None, text(&[own("INVALID_ARGUMENT")]).as_bytes(), NOW).0, DROP);
        assert_eq!(judge(400, None, text(&[]).as_bytes(), NOW).0, FIX);
    }

    #[test]
    fn the_service_s_own_delay_counts() {
        let after = |status, text| judge(status, Some(text), b"", NOW).0;
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(after(429, "7"), Verdict::Throttle { scope: PROJECT, after: seconds(7) });
        assert_eq!(after(503, "120"), Verdict::Retry { after: seconds(120) });
        assert_eq!(after(503, "soon"), Verdict::Retry { after: Some(FAULT_REST) });
    }

    #[test]
    fn what_is_no_json_is_judged_by_status() {
        for body in [&b""[..], b"<html>not here</html>", b"[]", b"\xff"] {
            let told = |status| judge(status, None, body, NOW);
            assert_eq!(told(404), (Verdict::Credentials, Some(Reason::foreign("status 404"))));
            assert_eq!(told(400).0, FIX_ONE);
            assert_eq!(told(413).0, FIX);
            assert_eq!(told(502).0, Verdict::Retry { after: Some(FAULT_REST) });
        }
    }

    #[test]
    fn unknown_words_cost_one_target_and_keep_their_text() {
        let (verdict, reason) = judge(400, None, body("ODD", "", &[own("NEW_WORD")]).as_bytes(), NOW);
        assert_eq!((verdict, reason), (FIX_ONE, Some(Reason::foreign("NEW_WORD"))));
        assert_eq!(told(409, "ABORTED", &[]), FIX_ONE);
    }
}
