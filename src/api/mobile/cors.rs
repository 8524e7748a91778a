//! Pages of other hosts may call (`mobile-apps.md` 6.3): those whose host is listed, whatever their port.

use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

/// The schemes of pages; the last is that of packaged apps on Windows.
const SCHEMES: [&str; 3] = ["http", "https", "ms-appx-web"];
const METHODS: HeaderValue = HeaderValue::from_static("GET, PUT, PATCH, POST, DELETE, OPTIONS");
const EXPOSED: HeaderValue = HeaderValue::from_static("Link, ETag, x-zumo-server-version, x-fanfare-conflict");
/// What a preflight that names no headers is told.
const HEADERS: HeaderValue = HeaderValue::from_static(
    "zumo-api-version, x-zumo-auth, x-zumo-installation-id, x-zumo-version, x-zumo-features, x-zumo-options, \
     authorization, content-type, accept, if-match, if-none-match, if-modified-since, if-unmodified-since",
);
const MAX_AGE: HeaderValue = HeaderValue::from_static("300");
const ORIGIN: HeaderValue = HeaderValue::from_static("Origin");
/// As the original server says it of every path (OBS 7).
const VERBS: &str = "GET,HEAD,POST,PATCH,DELETE";

/// Hosts whose pages may call.
#[derive(Debug)]
pub(super) struct Cors {
    /// Small letters; `*.domain` for every host below it, `*` for all, `null` for pages without an origin.
    hosts: Vec<String>,
    /// Whether the operator named them.
    is_named: bool,
}

impl Cors {
    pub(super) fn new(hosts: &[String]) -> Self {
        Self { hosts: hosts.iter().map(|host| host.to_ascii_lowercase()).collect(), is_named: true }
    }

    /// The same hosts where nobody named them: their pages may call and are handed nothing.
    pub(super) fn unnamed(self) -> Self {
        Self { is_named: false, ..self }
    }

    /// The origin of a request when its pages may call.
    pub(super) fn origin(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let origin = headers.get(header::ORIGIN)?;
        self.allows(origin.to_str().ok()?).then(|| origin.clone())
    }

    /// Whether the host of an origin is named, itself or by its domain: everybody being let in names nobody.
    pub(super) fn names(&self, origin: &str) -> bool {
        let named = |host: &String| self.hosts.iter().any(|listed| listed != "*" && matches(listed, host));
        self.is_named && host(origin).is_some_and(|host| named(&host))
    }

    fn allows(&self, origin: &str) -> bool {
        if origin == "null" {
            return self.hosts.iter().any(|listed| listed == "null");
        }
        host(origin).is_some_and(|host| self.hosts.iter().any(|listed| matches(listed, &host)))
    }
}

fn matches(listed: &str, host: &str) -> bool {
    match listed.strip_prefix('*') {
        Some("") => true,
        Some(domain) => host.len() > domain.len() && host.ends_with(domain),
        None => listed == host,
    }
}

/// The host of a page's origin, in small letters.
fn host(origin: &str) -> Option<String> {
    let (scheme, authority) = origin.split_once("://")?;
    let authority: http::uri::Authority = authority.parse().ok()?;
    let known = SCHEMES.iter().any(|known| scheme.eq_ignore_ascii_case(known)) && !authority.as_str().contains('@');
    known.then(|| authority.host().to_ascii_lowercase())
}

/// What every answer says to pages.
pub(super) fn allow(headers: &mut HeaderMap, origin: Option<&HeaderValue>) {
    headers.append(header::VARY, ORIGIN);
    let Some(origin) = origin else { return };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
}

/// The answer to OPTIONS: 200 for everybody, with permissions for pages that have them.
pub(super) fn preflight(asked: &HeaderMap, origin: Option<&HeaderValue>) -> Response {
    let mut response = (StatusCode::OK, [(header::ALLOW, VERBS)], VERBS).into_response();
    let headers = response.headers_mut();
    allow(headers, origin);
    if origin.is_some() {
        headers.insert(header::ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(header::ACCESS_CONTROL_MAX_AGE, MAX_AGE);
        let wanted = asked.get(header::ACCESS_CONTROL_REQUEST_HEADERS).filter(|wanted| is_list(wanted.as_bytes()));
        headers.insert(header::ACCESS_CONTROL_ALLOW_HEADERS, wanted.cloned().unwrap_or(HEADERS));
    }
    response
}

/// A list of field names, not too long.
fn is_list(wanted: &[u8]) -> bool {
    let letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b',' | b' ' | b'\t');
    (1..=500).contains(&wanted.len()) && wanted.iter().all(letter)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_known_by_its_host() {
        let cors = Cors::new(&["localhost".into(), "*.Example.com".into()]);
        for (origin, allowed) in [
            ("http://localhost:3000", true),
            ("https://LOCALHOST", true),
            ("https://app.example.com", true),
            ("https://a.b.example.com:8443", true),
            ("ms-appx-web://localhost", true),
            ("https://example.com", false),
            ("https://evilexample.com", false),
            ("https://example.com.evil.net", false),
            ("https://app.example.com@evil.net", false),
            ("ftp://localhost", false),
            ("localhost", false),
            ("null", false),
            ("", false),
        ] {
            assert_eq!(cors.allows(origin), allowed, "{origin}");
        }
        assert!(Cors::new(&["null".into()]).allows("null") && Cors::new(&["*".into()]).allows("https://any.net"));
        assert!(!Cors::new(&["*".into()]).allows("null"));
        assert!(cors.names("https://app.example.com") && !cors.names("https://evil.net") && !cors.names("null"));
        let usual = Cors::new(&["localhost".into()]).unnamed();
        assert!(usual.allows("http://localhost") && !usual.names("http://localhost"), "the default names nobody");
        assert!(!Cors::new(&["*".into()]).names("https://any.net"), "everybody is nobody in particular");
    }

    #[test]
    fn a_preflight_gets_the_headers_that_it_asks_for() {
        let asked = |wanted: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ACCESS_CONTROL_REQUEST_HEADERS, HeaderValue::from_static(wanted));
            let origin = HeaderValue::from_static("http://localhost");
            preflight(&headers, Some(&origin)).headers()[header::ACCESS_CONTROL_ALLOW_HEADERS].clone()
        };
        assert_eq!(asked("if-match,zumo-api-version,x-zumo-auth"), "if-match,zumo-api-version,x-zumo-auth");
        assert_eq!(asked("a:b"), HEADERS);
    }
}
