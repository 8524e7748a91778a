//! The one place where what went wrong becomes an answer: `{"error":{"code":…,"message":…,"field":…}}`.
//!
//! Handlers return typed errors of the rooms below; the `From`s here say which status each is. What is our fault (5xx)
//! is logged once, past [`log_faults`], and its cause stays here: a caller learns that it was us, not what our disk is called.

use std::borrow::Cow;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::directory::ChangeError;
use crate::identity::keys::Denied;
use crate::identity::sas::SasError;
use crate::model::audience::AudienceError;
use crate::model::field::FieldError;
use crate::store::{AcceptError, ControlError, PatchError, ReportError, StoreError};
use crate::trouble::Trouble;

/// How long a caller should wait when the store is away or too much is under way, in seconds.
const RETRY_AFTER: u64 = 1;

/// The code of faults of a service behind this one.
const UPSTREAM: &str = "upstream";

/// An answer that says no.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: Cow<'static, str>,
    field: Option<Cow<'static, str>>,
    /// For the log; never answered.
    cause: Option<String>,
    /// How long to wait where waiting helps, in seconds.
    retry_after: u64,
}

#[derive(Serialize)]
struct Said<'a> {
    error: Inner<'a>,
}

/// What is wrong, as answers and lines of an import say it.
#[derive(Debug, Serialize)]
pub struct Inner<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
}

impl ApiError {
    const fn new(status: StatusCode, code: &'static str, message: Cow<'static, str>) -> Self {
        Self { status, code, message, field: None, cause: None, retry_after: RETRY_AFTER }
    }

    fn known(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self::new(status, code, Cow::Borrowed(message))
    }

    fn about(mut self, field: impl Into<Cow<'static, str>>) -> Self {
        self.field = Some(field.into());
        self
    }

    fn because(mut self, cause: impl ToString) -> Self {
        self.cause = Some(cause.to_string());
        self
    }

    /// 404 of a path that leads nowhere.
    pub fn no_route() -> Self {
        Self::known(StatusCode::NOT_FOUND, "no_route", "there is nothing at this path")
    }

    /// 405; the router adds `Allow`.
    pub fn method_not_allowed() -> Self {
        Self::known(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", "this path does not take this method")
    }

    /// 404 of everything but operations where a process only sends.
    pub fn only_sends() -> Self {
        let message = "this process only sends (--role worker); ask one that takes requests";
        Self::known(StatusCode::NOT_FOUND, "no_route", message)
    }

    /// 404 of a hub.
    pub fn no_hub() -> Self {
        Self::known(StatusCode::NOT_FOUND, "no_hub", "there is no such hub")
    }

    /// 404 of something in a hub.
    pub fn not_found(code: &'static str, message: &'static str) -> Self {
        Self::known(StatusCode::NOT_FOUND, code, message)
    }

    /// 404 of an installation.
    pub fn no_installation() -> Self {
        Self::not_found("no_installation", "there is no such installation in this hub")
    }

    /// 409: what is to be made is there already.
    pub fn exists(message: &'static str) -> Self {
        Self::known(StatusCode::CONFLICT, "exists", message)
    }

    /// The same of a known caller who lacks a right, with words before it that name the right.
    #[must_use]
    pub fn of_missing_right(self, words: &str) -> Self {
        match self.status {
            StatusCode::FORBIDDEN => Self { message: format!("{words}: {}", self.message).into(), ..self },
            _ => self,
        }
    }

    /// 409: what stands is in the way.
    pub fn conflict(code: &'static str, message: &'static str) -> Self {
        Self::known(StatusCode::CONFLICT, code, message)
    }

    /// 412: what stands is not what the caller has seen.
    pub fn precondition(message: &'static str) -> Self {
        Self::known(StatusCode::PRECONDITION_FAILED, "precondition_failed", message)
    }

    /// 401 without or with unknown credentials.
    pub fn unauthorised(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", message.into())
    }

    /// 413.
    pub fn too_large(limit: usize) -> Self {
        let message = format!("body must have at most {limit} bytes");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "too_large", message.into()).about("body")
    }

    /// 415: the header that says what the body is, and what it may say.
    pub fn unsupported(header: &'static str, rule: &'static str) -> Self {
        let message = format!("{header} {rule}");
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type", message.into()).about(header)
    }

    /// 400: the body ended early.
    pub fn broken_body() -> Self {
        Self::known(StatusCode::BAD_REQUEST, "broken_body", "the body ended before it was complete").about("body")
    }

    /// 408: the body came too slowly.
    pub fn slow_body(within: Duration) -> Self {
        let message = format!("body must arrive within {} seconds", within.as_secs_f32());
        Self::new(StatusCode::REQUEST_TIMEOUT, "slow_body", message.into()).about("body")
    }

    /// 429: when the caller may come again.
    pub fn too_many(message: &'static str, wait: Duration) -> Self {
        let mut error = Self::known(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", message);
        error.retry_after = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        error
    }

    /// 503: too much is under way.
    pub fn overloaded() -> Self {
        Self::known(StatusCode::SERVICE_UNAVAILABLE, "overloaded", "too many requests are under way; try again")
    }

    /// 502: whom a request was to be passed on to cannot be reached, or said nothing that could be passed back.
    pub fn upstream_away(cause: impl ToString) -> Self {
        let message = "the service behind this path cannot be reached";
        Self::known(StatusCode::BAD_GATEWAY, UPSTREAM, message).because(cause)
    }

    /// 504: it did not answer in time.
    pub fn upstream_slow(within: Duration) -> Self {
        let message = format!("the service behind this path did not answer within {} seconds", within.as_secs_f32());
        Self::new(StatusCode::GATEWAY_TIMEOUT, UPSTREAM, message.into())
    }

    /// 500 with a cause for the log.
    pub fn internal(cause: impl ToString) -> Self {
        let message = "something went wrong here; the service's log says what";
        Self::known(StatusCode::INTERNAL_SERVER_ERROR, "internal", message).because(cause)
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What is said of it.
    pub fn inner(&self) -> Inner<'_> {
        Inner { code: self.code, message: &self.message, field: self.field.as_deref() }
    }

    /// What is said of it, as text alone.
    #[cfg(test)]
    pub fn inner_text(&self) -> String {
        self.message.to_string()
    }

    /// The same for a face with a form of its own.
    pub fn refusal(&self) -> Refusal {
        let waits = matches!(self.status, StatusCode::SERVICE_UNAVAILABLE | StatusCode::TOO_MANY_REQUESTS);
        Refusal {
            status: self.status,
            code: self.code,
            message: self.message.clone(),
            retry_after: waits.then_some(self.retry_after),
        }
    }

    /// What of it belongs in the log, when it is our own fault.
    pub fn fault(&self) -> Option<Fault> {
        let passing = self.status == StatusCode::SERVICE_UNAVAILABLE || self.code == UPSTREAM;
        let cause = || self.cause.clone().unwrap_or_else(|| self.message.to_string());
        self.status.is_server_error().then(|| Fault { code: self.code, passing, cause: cause() })
    }
}

/// What a refusal says, on its way to a face that has a form of its own for it.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: Cow<'static, str>,
    /// Seconds, where waiting helps.
    pub retry_after: Option<u64>,
}

/// A fault of ours, on its way to the log: an answer carries it past whoever writes the log.
#[derive(Clone, Debug)]
pub struct Fault {
    code: &'static str,
    /// The store or an upstream is away, or too much is under way: every request says so meanwhile.
    passing: bool,
    cause: String,
}

impl Fault {
    /// Writes it to the log: a mistake at once, an outage now and then.
    pub fn log(&self, trouble: &Trouble) {
        match (self.passing, self.code) {
            (false, code) => tracing::error!(code, cause = self.cause, "request failed"),
            (true, UPSTREAM) => trouble.say("cannot pass requests on to mobile.api.upstream", &self.cause),
            (true, "unavailable") => trouble.say("cannot serve requests, which are told to come back", &self.cause),
            (true, _) => trouble.say("cannot take all requests, some are told to come back", &self.cause),
        }
    }
}

/// The middleware that logs what answers carry.
pub async fn log_faults(State(trouble): State<Trouble>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    if let Some(fault) = response.extensions().get::<Fault>() {
        fault.log(&trouble);
    }
    response
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(Said { error: self.inner() })).into_response();
        let refusal = self.refusal();
        let retry_after = refusal.retry_after;
        response.extensions_mut().insert(refusal);
        if let Some(fault) = self.fault() {
            response.extensions_mut().insert(fault);
        }
        let headers = response.headers_mut();
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}

impl From<FieldError> for ApiError {
    fn from(error: FieldError) -> Self {
        let message = error.to_string();
        Self::new(StatusCode::BAD_REQUEST, "invalid", message.into()).about(error.field)
    }
}

impl From<AudienceError> for ApiError {
    fn from(error: AudienceError) -> Self {
        FieldError::new("audience", format!("is not an audience: {error}")).into()
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoHub => Self::no_hub(),
            passing if passing.is_passing() => {
                let message = "the store cannot take this now; try again";
                Self::known(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message).because(passing)
            }
            lasting => Self::internal(lasting),
        }
    }
}

impl From<AcceptError> for ApiError {
    fn from(error: AcceptError) -> Self {
        match error {
            AcceptError::KeyReused(_) => Self::known(
                StatusCode::UNPROCESSABLE_ENTITY,
                "idempotency_key_reused",
                "this Idempotency-Key was used for another request within the last 24 hours",
            )
            .about("Idempotency-Key"),
            AcceptError::NoHub => Self::no_hub(),
            AcceptError::Store(error) => error.into(),
        }
    }
}

impl From<PatchError> for ApiError {
    fn from(error: PatchError) -> Self {
        match error {
            PatchError::NotFound => Self::no_installation(),
            PatchError::Field(error) => error.into(),
            PatchError::Store(error) => error.into(),
        }
    }
}

impl From<ReportError> for ApiError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::NotTheirs => {
                Self::known(StatusCode::FORBIDDEN, "forbidden", "the installation belongs to another user")
            }
            ReportError::Field(error) => error.into(),
            ReportError::Store(error) => error.into(),
        }
    }
}

impl From<ControlError> for ApiError {
    fn from(error: ControlError) -> Self {
        match error {
            ControlError::NotFound => Self::not_found("no_broadcast", "there is no such broadcast in this hub"),
            ControlError::Over => Self::known(StatusCode::CONFLICT, "over", "the broadcast is over"),
            ControlError::Store(error) => error.into(),
        }
    }
}

impl From<ChangeError> for ApiError {
    fn from(error: ChangeError) -> Self {
        match error {
            ChangeError::NoHub => Self::no_hub(),
            ChangeError::NoRule => Self::not_found("no_key", "the hub has no access rule of this name"),
            ChangeError::ReadOnly => Self::known(
                StatusCode::CONFLICT,
                "read_only",
                "the configuration decides this hub; change it there and restart",
            ),
            ChangeError::Contended => Self::known(
                StatusCode::SERVICE_UNAVAILABLE,
                "contended",
                "other requests keep changing this hub; try again",
            ),
            ChangeError::Field(error) => error.into(),
            ChangeError::Store(error) => error.into(),
            other @ (ChangeError::Seal(_) | ChangeError::NoRandomness(_)) => Self::internal(other),
        }
    }
}

impl From<Denied> for ApiError {
    fn from(error: Denied) -> Self {
        Self::new(StatusCode::FORBIDDEN, "forbidden", error.to_string().into())
    }
}

impl From<SasError> for ApiError {
    fn from(error: SasError) -> Self {
        Self::unauthorised(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_of_the_store_has_its_status() {
        for (error, status) in [
            (StoreError::NoHub, 404),
            (StoreError::Unavailable("x".into()), 503),
            (StoreError::Full("x".into()), 503),
            (StoreError::Corrupt("x".into()), 500),
            (StoreError::Engine("x".into()), 500),
        ] {
            let response = ApiError::from(error.clone()).into_response();
            assert_eq!(response.status().as_u16(), status, "{error}");
            assert_eq!(response.headers().contains_key(header::RETRY_AFTER), status == 503, "{error}");
        }
    }

    #[test]
    fn causes_are_not_answered() {
        let error = ApiError::internal("/var/lib/fanfare.db: disk I/O error");
        assert!(!serde_json::to_string(&error.inner()).unwrap().contains("/var"));
    }
}
