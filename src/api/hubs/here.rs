//! What handlers of this face extract: the query, the body, who may do it, and where the service was reached.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderValue, Uri, header};

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::request::{Visit, read_whole};
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::field::FieldError;

const API_VERSION: &str = "api-version";

/// The version that addresses carry when the caller named none.
const OWN_VERSION: &str = "2020-06";

/// The members of a query: names without case, unknown ones ignored (`notification-hubs.md` 1.3).
#[derive(Debug)]
pub struct Query(Vec<(String, String)>);

impl Query {
    pub fn of(uri: &Uri) -> Self {
        let pairs = form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
        Self(pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.into_owned())).collect())
    }

    /// The value of a parameter; `None` when it is absent or empty.
    pub fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }
}

impl FromRequestParts<Arc<App>> for Query {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.uri))
    }
}

/// How the caller reached the service: addresses in answers are made of it, absolute and https (1.8).
#[derive(Debug)]
pub struct Here {
    /// `host` or `host:port`.
    pub authority: String,
    pub version: String,
}

impl Here {
    /// An address on this service without a query.
    pub fn bare(&self, path: &str) -> String {
        format!("https://{}{path}", self.authority)
    }

    /// An address on this service, with the caller's API version.
    pub fn address(&self, path: &str) -> String {
        format!("https://{}{path}?{API_VERSION}={}", self.authority, self.version)
    }

    /// The same for a header.
    pub fn location(&self, path: &str) -> Result<HeaderValue, ApiError> {
        HeaderValue::try_from(self.address(path)).map_err(ApiError::internal)
    }

    /// The host without its port: what Azure calls the namespace.
    pub fn host(&self) -> &str {
        self.authority.rsplit_once(':').map_or(&self.authority, |(host, _)| host)
    }
}

impl FromRequestParts<Arc<App>> for Here {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &Arc<App>) -> Result<Self, ApiError> {
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let authority = host.filter(|host| !host.is_empty()).ok_or_else(|| FieldError::new("Host", "is required"))?;
        let version = Query::of(&parts.uri).get(API_VERSION).unwrap_or(OWN_VERSION).to_owned();
        Ok(Self { authority: authority.to_owned(), version })
    }
}

/// A whole body of whatever type: clients put one on requests without a body, and the wrong one on others.
#[derive(Debug)]
pub struct Whole(pub Bytes);

impl FromRequest<Arc<App>> for Whole {
    type Rejection = ApiError;

    async fn from_request(request: Request, app: &Arc<App>) -> Result<Self, ApiError> {
        read_whole(request, app.limits.body_bytes, app.patience).await.map(Self)
    }
}

/// The hub of the path, when the caller may do there what needs this right (1.6).
pub fn on(visit: &Visit, needed: Rights) -> Result<&Arc<Hub>, ApiError> {
    visit.hub(needed)
}
