//! How the face says no (`mobile-apps.md` 7): a status and `{"error":"…","message":"…"}`, always JSON: clients show the
//! text of `error`, those of the .NET era that of `message`, and one parses every body.

use std::borrow::Cow;

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use serde::Serialize;

use crate::api::error::{ApiError, Fault, Refusal};
use crate::identity::session::SessionError;
use crate::model::field::FieldError;
use crate::store::StoreError;

pub const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// How long to wait for somebody else, in seconds.
const AWAY: u64 = 5;

/// An answer that says no.
#[derive(Debug)]
pub struct Refused {
    status: StatusCode,
    message: Cow<'static, str>,
    retry_after: Option<u64>,
    /// Without `message`, as the newest clients want it.
    brief: bool,
    fault: Option<Fault>,
}

#[derive(Serialize)]
struct Said<'a> {
    error: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

impl Refused {
    /// Any status, with words for a person.
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self { status, message: message.into(), retry_after: None, brief: false, fault: None }
    }

    /// 400.
    pub fn bad(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message)
    }

    /// 401: nobody is signed in where somebody must be.
    pub fn sign_in() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "You must be logged in to use this application")
    }

    /// 401 for another reason.
    pub fn unauthorised(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, message)
    }

    /// 403.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::FORBIDDEN, message)
    }

    /// 404 of something that the face knows by name.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, message)
    }

    /// 404 of a path that leads nowhere.
    pub fn no_route() -> Self {
        Self::not_found("there is nothing at this path")
    }

    /// 405: what is switched off for everybody.
    pub fn disabled(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, message)
    }

    /// 500: what should always work did not. The caller can do nothing about it.
    pub fn unable() -> Self {
        Self::from(ApiError::internal("a token or a header could not be made"))
    }

    /// 503: somebody else is away whom we need.
    pub fn away(message: impl Into<Cow<'static, str>>) -> Self {
        Self { retry_after: Some(AWAY), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, message) }
    }

    /// The words for a person.
    pub fn words(&self) -> &str {
        &self.message
    }

    /// Whether it is our fault, and logged.
    pub fn is_fault(&self) -> bool {
        self.fault.is_some()
    }

    /// With `error` alone.
    #[must_use]
    pub fn brief(self) -> Self {
        Self { brief: true, ..self }
    }

    pub fn status(&self) -> StatusCode {
        self.status
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let message = (!self.brief).then_some(&*self.message);
        // Two texts can always be written.
        let body = serde_json::to_vec(&Said { error: &self.message, message }).unwrap_or_default();
        let mut response = (self.status, [(header::CONTENT_TYPE, JSON)], body).into_response();
        let headers = response.headers_mut();
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if let Some(fault) = self.fault {
            response.extensions_mut().insert(fault);
        }
        response
    }
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self { retry_after: refusal.retry_after, ..Self::new(refusal.status, refusal.message) }
    }
}

/// The refusals of the rooms that all faces share: their status and words.
impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        let fault = error.fault();
        Self { fault, ..Self::from(error.refusal()) }
    }
}

impl From<FieldError> for Refused {
    fn from(error: FieldError) -> Self {
        Self::bad(error.to_string())
    }
}

impl From<StoreError> for Refused {
    fn from(error: StoreError) -> Self {
        ApiError::from(error).into()
    }
}

impl From<SessionError> for Refused {
    fn from(error: SessionError) -> Self {
        Self::unauthorised(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn text(refused: Refused) -> String {
        let body = axum::body::to_bytes(refused.into_response().into_body(), 10_000).await.unwrap();
        String::from_utf8(body.to_vec()).unwrap()
    }

    #[tokio::test]
    async fn every_refusal_is_json_that_all_clients_read() {
        let said = text(Refused::not_found("The item does not exist")).await;
        assert_eq!(said, r#"{"error":"The item does not exist","message":"The item does not exist"}"#);
        assert_eq!(text(Refused::bad("no").brief()).await, r#"{"error":"no"}"#);
        let field = Refused::from(FieldError::new("pushChannel", "is required"));
        assert_eq!(text(field).await, r#"{"error":"pushChannel is required","message":"pushChannel is required"}"#);
    }

    #[test]
    fn a_401_says_how_to_sign_in_and_an_outage_when_to_come_back() {
        let response = Refused::from(SessionError::Audience).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::WWW_AUTHENTICATE]),
            (401, &"Bearer".parse().unwrap())
        );
        let response = Refused::from(StoreError::Unavailable("the disk".into())).into_response();
        assert_eq!(
            (response.status().as_u16(), &response.headers()[header::RETRY_AFTER]),
            (503, &"1".parse().unwrap())
        );
        assert!(response.extensions().get::<Fault>().is_some(), "for the log");
    }
}
