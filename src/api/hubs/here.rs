//! What handlers of this face extract: the query, the body, who may do it, and where the service was reached.

use std::sync::Arc;

use axum::extract::{FromRequest, FromRequestParts, Request};
use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Uri, header};

use crate::api::App;
use crate::api::error::ApiError;
use crate::api::request::{Visit, read_whole};
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::field::FieldError;

pub const API_VERSION: &str = "api-version";

/// The version that addresses carry when the caller named none.
const OWN_VERSION: &str = "2020-06";

/// The members of a query: names without case, flags with and without a value, unknown ones ignored
/// (`notification-hubs.md` 1.3).
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

    /// Whether a flag stands there, unless it says `false`.
    pub fn has(&self, flag: &str) -> bool {
        self.0.iter().any(|(known, value)| known == flag && !value.eq_ignore_ascii_case("false"))
    }

    /// The API version: none, or a year and a month (1.4). No behaviour hangs on which.
    pub fn version(&self) -> Result<Option<&str>, ApiError> {
        let Some(version) = self.get(API_VERSION) else { return Ok(None) };
        let is_one = version.len() == 7
            && version.bytes().enumerate().all(|(at, byte)| if at == 4 { byte == b'-' } else { byte.is_ascii_digit() });
        let rule = "must be absent or a supported version of the form YYYY-MM, such as 2020-06";
        if is_one { Ok(Some(version)) } else { Err(FieldError::new(API_VERSION, rule).into()) }
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
        let query = Query::of(&parts.uri);
        let version = query.version()?.unwrap_or(OWN_VERSION);
        Ok(Self { authority: authority.to_owned(), version: version.to_owned() })
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
    let claim = match needed {
        Rights::LISTEN => "Listen claim is required for this operation",
        Rights::SEND => "Send claim is required for this operation",
        _ => MANAGE,
    };
    visit.hub(needed).map_err(|error| error.of_missing_right(claim))
}

const MANAGE: &str = "Manage claim is required for this operation";

/// Only with the namespace's key.
pub fn on_namespace(visit: &Visit) -> Result<(), ApiError> {
    visit.admin().map_err(|error| error.of_missing_right(MANAGE))
}

/// A whole number of a query.
pub fn number(query: &Query, name: &'static str) -> Result<Option<usize>, FieldError> {
    let Some(text) = query.get(name) else { return Ok(None) };
    // More than fits is more than there are.
    let number = text.parse::<u128>().map_err(|_| FieldError::new(name, "must be a whole number"))?;
    Ok(Some(usize::try_from(number).unwrap_or(usize::MAX)))
}

/// A header's text. Header fields may hold UTF-8 here: tags are letters of any script.
pub fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, FieldError> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    let rule = || FieldError::new(name, "must be text in UTF-8");
    std::str::from_utf8(value.as_bytes()).map(|text| Some(text.trim())).map_err(|_| rule())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_flags_and_versions() {
        let query = |text: &str| Query::of(&format!("/h?{text}").parse().unwrap());
        let one = query("API-Version=2015-04&direct&Test=true&%24Top=2&x=&off=false");
        assert_eq!((one.get("$top"), one.get("x"), one.get("y")), (Some("2"), None, None));
        assert!(one.has("direct") && one.has("test") && !one.has("off") && !one.has("top"));
        assert_eq!(one.version().unwrap(), Some("2015-04"));
        assert_eq!(query("").version().unwrap(), None);
        for bad in ["2015", "2015-4", "latest", "2015/04", "2015-04-01"] {
            assert!(query(&format!("api-version={bad}")).version().is_err(), "{bad}");
        }
    }

    #[test]
    fn addresses_are_absolute_and_https() {
        let here = Here { authority: "push.example.net:8443".into(), version: "2016-07".into() };
        assert_eq!(
            here.address("/hub1/messages/7"),
            "https://push.example.net:8443/hub1/messages/7?api-version=2016-07"
        );
        assert_eq!(here.host(), "push.example.net");
    }
}
