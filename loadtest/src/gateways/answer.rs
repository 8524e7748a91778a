//! What a simulated service says to one request.
use serde::{Deserialize, Serialize};

/// A final answer. Scripts write it as `{ status = 410, reason = "Unregistered", timestamp = 1700000000000 }`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// APNs: `reason` of the JSON body. FCM: `errorCode` of its `FcmError`, or a word of `google.rpc.Code`. WNS: with 200 the word of `X-WNS-Status`, else `X-WNS-Error-Description`. Web Push: see `WebPushConfig`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// APNs: `timestamp` of the JSON body, milliseconds since 1970; the documented place is a 410.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// FCM, WNS, Web Push: the `Retry-After` field, seconds or a date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<String>,
    /// APNs: a `date` field with this text; absent = none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub date: Option<String>,
    /// Milliseconds until it is sent; absent = the script's latency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_ms: Option<u64>,
    /// Sent as the body instead of the JSON made from reason and timestamp: for answers that are no JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<String>,
}

impl Answer {
    /// Status 200.
    pub fn accepted() -> Self {
        Self { status: 200, reason: None, timestamp: None, retry_after: None, date: None, delay_ms: None, body: None }
    }

    pub fn refused(status: u16, reason: &str) -> Self {
        Self { status, reason: Some(reason.to_owned()), ..Self::accepted() }
    }

    /// With a `Retry-After` field.
    #[must_use]
    pub fn with_retry_after(self, text: &str) -> Self {
        Self { retry_after: Some(text.to_owned()), ..self }
    }

    /// With a `date` field.
    #[must_use]
    pub fn with_date(self, text: &str) -> Self {
        Self { date: Some(text.to_owned()), ..self }
    }

    /// 410 `Unregistered` with the time since which the token is dead, milliseconds since 1970.
    pub fn unregistered(since_millis: i64) -> Self {
        Self { timestamp: Some(since_millis), ..Self::refused(410, "Unregistered") }
    }

    #[must_use]
    pub fn after_millis(self, delay_ms: u64) -> Self {
        Self { delay_ms: Some(delay_ms), ..self }
    }

    pub fn is_accepted(&self) -> bool {
        self.status == 200
    }

    /// The JSON body that APNs gives errors; empty without reason and text.
    pub fn body(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            reason: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            timestamp: Option<i64>,
        }
        if let Some(body) = &self.body {
            return body.clone().into_bytes();
        }
        let body = self.reason.as_deref().map(|reason| Body { reason, timestamp: self.timestamp });
        body.and_then(|body| serde_json::to_vec(&body).ok()).unwrap_or_default()
    }
}
