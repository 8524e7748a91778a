//! Where the caller reached the service: links in answers are made of it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::header;
use http::request::Parts;

use super::refusal::Refused;
use crate::api::App;
use crate::model::field::FieldError;

/// Marks requests that came over the service's own TLS.
#[derive(Clone, Copy, Debug)]
pub struct OverTls;

/// The public address without a slash at its end: `https://api.example.com`, or `http://localhost:8080`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Here(pub String);

impl Here {
    /// `mobile.public_url` where it is set. Else the `Host` of the request; over https unless a caller on this machine
    /// came without it, or a proxy says so.
    fn of(parts: &Parts, configured: Option<&str>) -> Result<Self, FieldError> {
        if let Some(url) = configured {
            return Ok(Self(url.trim_end_matches('/').to_owned()));
        }
        let host = parts.headers.get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.or_else(|| parts.uri.authority().map(http::uri::Authority::as_str));
        let host: http::uri::Authority = host
            .and_then(|host| host.parse().ok())
            .filter(|host: &http::uri::Authority| !host.as_str().contains('@'))
            .ok_or_else(|| FieldError::new("Host", "must be a host, with a port where it is not the usual one"))?;
        // Of several proxies the first stands before the caller.
        let told = parts.headers.get("x-forwarded-proto").and_then(|proto| proto.to_str().ok());
        let told = told.and_then(|protos| protos.split(',').next()).map(str::trim);
        let is_plain = match told {
            _ if parts.extensions.get::<OverTls>().is_some() => false,
            Some(proto) => proto.eq_ignore_ascii_case("http"),
            None => is_loopback(host.host()),
        };
        Ok(Self(format!("{}://{host}", if is_plain { "http" } else { "https" })))
    }

    /// The address of a path here.
    pub fn address(&self, path: &str) -> String {
        format!("{}{path}", self.0)
    }
}

/// Whether a host is this machine.
pub(super) fn is_loopback(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare.eq_ignore_ascii_case("localhost") || bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

impl FromRequestParts<Arc<App>> for Here {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let configured = app.mobile.as_ref().and_then(|mobile| mobile.config.public_url.as_ref());
        Ok(Self::of(parts, configured.map(|url| url.expose()))?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_what_the_caller_used() {
        let here = |host: &str, proto: Option<&str>, tls: bool, configured: Option<&str>| {
            let mut request = http::Request::get("/tables/t").header(header::HOST, host);
            if let Some(proto) = proto {
                request = request.header("x-forwarded-proto", proto);
            }
            let (mut parts, ()) = request.body(()).unwrap().into_parts();
            if tls {
                parts.extensions.insert(OverTls);
            }
            Here::of(&parts, configured).map(|here| here.0).ok()
        };
        for (host, proto, tls, configured, expected) in [
            ("api.example.com", None, false, None, Some("https://api.example.com")),
            ("localhost:8080", None, false, None, Some("http://localhost:8080")),
            ("[::1]:8080", None, false, None, Some("http://[::1]:8080")),
            ("localhost:8443", None, true, None, Some("https://localhost:8443")),
            ("localhost", Some("https"), false, None, Some("https://localhost")),
            ("api.example.com", Some("http"), false, None, Some("http://api.example.com")),
            ("api.example.com", Some("http, https"), false, None, Some("http://api.example.com")),
            ("inner", None, false, Some("https://api.example.com/app/"), Some("https://api.example.com/app")),
            ("a b", None, false, None, None),
            ("x@y", None, false, None, None),
        ] {
            assert_eq!(here(host, proto, tls, configured).as_deref(), expected, "{host} {proto:?} {tls}");
        }
    }
}
