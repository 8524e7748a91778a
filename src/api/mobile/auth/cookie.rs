//! Cookies: the sign-in that is under way in this browser, and the session of a browser that wants none in its hands.
//!
//! Scripts cannot read them (`HttpOnly`), other sites' requests do not carry them (`SameSite=Lax`; a provider that comes
//! back by a POST needs `None` for the first), and over https their names bear `__Host-`: no other host of the domain can
//! set them, so nobody can put their own session into somebody else's browser.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, HeaderValue, Method, header};

use crate::api::mobile::here::Here;
use crate::identity::flow::AT_PROVIDER;
use crate::identity::pkce::sha256;

const UNDER_WAY: &str = "fanfare-sign-in";
/// As the original server calls it.
const SESSION: &str = "AppServiceAuthSession";
/// Sign-ins that may be under way in one browser; a further one takes another's place.
const SLOTS: u8 = 3;

fn is_secure(here: &Here) -> bool {
    here.0.starts_with("https://")
}

fn name(here: &Here, base: &str) -> String {
    if is_secure(here) { format!("__Host-{base}") } else { base.to_owned() }
}

/// Two windows that sign in at once mostly do not meet.
fn slot(state: &str) -> u8 {
    sha256(state.as_bytes())[0] % SLOTS
}

fn set(here: &Here, base: &str, value: &str, life: Duration, crosses_sites: bool) -> Option<HeaderValue> {
    let (secure, site) = match (is_secure(here), crosses_sites) {
        (true, true) => ("; Secure", "None"),
        (true, false) => ("; Secure", "Lax"),
        (false, _) => ("", "Lax"),
    };
    let (name, age) = (name(here, base), life.as_secs());
    let cookie = format!("{name}={value}; Path=/; Max-Age={age}; HttpOnly{secure}; SameSite={site}");
    HeaderValue::from_str(&cookie).ok()
}

/// The value of the only cookie of that name; one that comes twice was put there by somebody.
fn get<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut found = pairs.filter(|(known, _)| *known == name).map(|(_, value)| value);
    let only = found.next()?;
    found.next().is_none().then_some(only)
}

/// Keeps a sealed flow with the browser.
pub(super) fn keep_flow(here: &Here, state: &str, sealed: &[u8], posts_back: bool) -> Option<HeaderValue> {
    let value = URL_SAFE_NO_PAD.encode(sealed);
    set(here, &format!("{UNDER_WAY}-{}", slot(state)), &value, AT_PROVIDER, posts_back)
}

/// The sealed flow that this browser began with this state.
pub(super) fn flow(headers: &HeaderMap, here: &Here, state: &str) -> Option<Vec<u8>> {
    let value = get(headers, &name(here, &format!("{UNDER_WAY}-{}", slot(state))))?;
    URL_SAFE_NO_PAD.decode(value).ok()
}

/// Takes it away.
pub(super) fn forget_flow(here: &Here, state: &str, posts_back: bool) -> Option<HeaderValue> {
    set(here, &format!("{UNDER_WAY}-{}", slot(state)), "", Duration::ZERO, posts_back)
}

/// Gives the browser a session, or takes it away.
pub(super) fn session(here: &Here, token: Option<&str>, life: Duration) -> Option<HeaderValue> {
    let life = if token.is_some() { life } else { Duration::ZERO };
    set(here, SESSION, token.unwrap_or_default(), life, false)
}

/// The session token of a request's cookie, where the request comes from a page of this service: another page of the same
/// site, or one that found a way to have the cookie sent, gets nothing by it. Browsers say where requests come from.
pub(in crate::api::mobile) fn session_of<'a>(headers: &'a HeaderMap, method: &Method, here: &Here) -> Option<&'a str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let reads = matches!(*method, Method::GET | Method::HEAD);
    let is_own = match (text("sec-fetch-site"), text("origin")) {
        (Some("same-origin"), _) => true,
        // Typed in, or a bookmark.
        (Some("none"), _) => reads,
        // A link from elsewhere that leads a person here: what is answered is seen by them alone.
        (Some(_), _) => {
            reads && text("sec-fetch-mode") == Some("navigate") && text("sec-fetch-dest") == Some("document")
        }
        (None, Some(origin)) => origin == here.0,
        (None, None) => reads,
    };
    get(headers, &name(here, SESSION)).filter(|token| is_own && !token.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn here(url: &str) -> Here {
        Here(url.to_owned())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn cookies_are_for_this_host_and_for_no_script() {
        let secure = here("https://api.example.com");
        let text = |value: Option<HeaderValue>| value.unwrap().to_str().unwrap().to_owned();
        let session = text(super::session(&secure, Some("a.b.c"), Duration::from_secs(60)));
        assert_eq!(session, "__Host-AppServiceAuthSession=a.b.c; Path=/; Max-Age=60; HttpOnly; Secure; SameSite=Lax");
        let plain = text(super::session(&here("http://localhost"), None, Duration::from_secs(60)));
        assert_eq!(plain, "AppServiceAuthSession=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
        let posted = text(keep_flow(&secure, "state", b"sealed", true));
        assert!(posted.starts_with("__Host-fanfare-sign-in-") && posted.ends_with("HttpOnly; Secure; SameSite=None"));
    }

    #[test]
    fn a_flow_is_found_by_its_state_and_one_that_comes_twice_is_not() {
        let here = here("https://api.example.com");
        let cookie = keep_flow(&here, "state", b"sealed", false).unwrap();
        let pair = cookie.to_str().unwrap().split(';').next().unwrap().to_owned();
        let once = headers(&[("cookie", &format!("a=b; {pair}"))]);
        assert_eq!(flow(&once, &here, "state").as_deref(), Some(&b"sealed"[..]));
        let twice = headers(&[("cookie", &pair), ("cookie", &pair)]);
        assert_eq!(flow(&twice, &here, "state"), None);
        assert_eq!(flow(&HeaderMap::new(), &here, "state"), None);
        let plain = pair.trim_start_matches("__Host-").to_owned();
        assert_eq!(
            flow(&headers(&[("cookie", &plain)]), &here, "state"),
            None,
            "over https only the guarded name counts"
        );
    }

    #[test]
    fn a_session_cookie_counts_for_requests_of_its_own_pages() {
        let here = here("https://api.example.com");
        let cookie = "__Host-AppServiceAuthSession=a.b.c";
        let counts = |method: Method, pairs: &[(&'static str, &str)]| {
            let mut headers = headers(pairs);
            headers.append("cookie", cookie.parse().unwrap());
            session_of(&headers, &method, &here).is_some()
        };
        for (method, pairs) in [
            (Method::POST, &[("sec-fetch-site", "same-origin")][..]),
            (Method::GET, &[("sec-fetch-site", "none")]),
            (Method::DELETE, &[("origin", "https://api.example.com")]),
            (Method::GET, &[]),
            (
                Method::GET,
                &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
            ),
        ] {
            assert!(counts(method.clone(), pairs), "{method} {pairs:?}");
        }
        for (method, pairs) in [
            (Method::POST, &[][..]),
            (Method::POST, &[("sec-fetch-site", "cross-site")]),
            (Method::POST, &[("sec-fetch-site", "same-site"), ("origin", "https://api.example.com")]),
            (Method::GET, &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")]),
            (
                Method::GET,
                &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            ),
            (
                Method::POST,
                &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
            ),
            (Method::POST, &[("origin", "https://evil.example.com")]),
            (Method::POST, &[("origin", "null")]),
        ] {
            assert!(!counts(method.clone(), pairs), "{method} {pairs:?}");
        }
    }
}
