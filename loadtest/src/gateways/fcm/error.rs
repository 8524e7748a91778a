//! What FCM says, in Google's words (push-services.md 2.3).
use serde_json::{Value, json};

use crate::gateways::answer::Answer;

const FCM_ERROR: &str = "type.googleapis.com/google.firebase.fcm.v1.FcmError";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// Words of `google.rpc.Code` that are no error codes of FCM: an answer with one of them has no `FcmError`.
const PLAIN: [&str; 11] = [
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "ABORTED",
    "ALREADY_EXISTS",
    "CANCELLED",
    "DEADLINE_EXCEEDED",
    "UNIMPLEMENTED",
];

/// What a message breaks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No JSON object.
    Json,
    /// The target's value.
    Target,
    /// Another field, by its path.
    Field(String, &'static str),
}

impl Fault {
    pub(super) fn answer(&self) -> Answer {
        let own = json!({ "@type": FCM_ERROR, "errorCode": "INVALID_ARGUMENT" });
        let (message, details) = match self {
            Self::Json => ("Invalid JSON payload received.", json!([])),
            Self::Target => ("The registration token is not a valid FCM registration token", json!([own])),
            Self::Field(field, rule) => {
                let violations = json!([{ "field": field, "description": rule }]);
                (*rule, json!([{ "@type": BAD_REQUEST, "fieldViolations": violations }, own]))
            }
        };
        said(400, "INVALID_ARGUMENT", message, &details)
    }
}

pub(super) fn unauthenticated() -> Answer {
    said(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.", &json!([]))
}

/// A path behind which there is nothing: a page, no JSON.
pub(super) fn not_found() -> Answer {
    let page = "<!DOCTYPE html><html><title>Error 404 (Not Found)!!1</title></html>".to_owned();
    Answer { body: Some(page), ..Answer::refused(404, "NOT_FOUND") }
}

fn said(status: u16, word: &str, message: &str, details: &Value) -> Answer {
    Answer { body: Some(error(status, word, message, details)), ..Answer::refused(status, word) }
}

/// The body of an answer that a script gives.
pub(super) fn scripted(status: u16, reason: &str) -> String {
    if PLAIN.contains(&reason) {
        return error(status, reason, "Scripted.", &json!([]));
    }
    error(status, canonical(status), "Scripted.", &json!([{ "@type": FCM_ERROR, "errorCode": reason }]))
}

fn error(status: u16, word: &str, message: &str, details: &Value) -> String {
    json!({ "error": { "code": status, "message": message, "status": word, "details": details } }).to_string()
}

/// The word of `google.rpc.Code` for a status.
fn canonical(status: u16) -> &'static str {
    match status {
        400 => "INVALID_ARGUMENT",
        401 => "UNAUTHENTICATED",
        403 => "PERMISSION_DENIED",
        404 => "NOT_FOUND",
        429 => "RESOURCE_EXHAUSTED",
        500 => "INTERNAL",
        503 => "UNAVAILABLE",
        504 => "DEADLINE_EXCEEDED",
        _ => "UNKNOWN",
    }
}
