//! Where a browser may be sent with a session in its hands, and which pages may be handed one (`mobile-apps.md` 4.4, 4.5).
//! Everything that is not allowed is refused: a redirect to a stranger gives the stranger the user's session.
//!
//! Allowed are paths of this service, and what `mobile.auth.allowed_redirects` names:
//!
//! ```text
//! https://app.example.com          every path of that host and port
//! https://app.example.com/signed   that path and those below it
//! com.example.app://easyauth.callback   an app's own scheme
//! ```
//!
//! Of the paths of `/.auth`, wherever a service has them, only the pages at the end of a sign-in or sign-out are allowed:
//! from the others a browser is sent on, and takes along what stands in the fragment (RFC 9110 section 10.2.2).
//!
//! Scheme and host are compared without regard to case, the path with it; a query is the caller's own. Plain http is
//! allowed for this machine alone.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::model::registration::filter::percent_decoded;

/// The longest redirect, in bytes: it travels in a cookie.
pub const LONGEST: usize = 1_024;

/// The pages of `/.auth` where a browser stays.
const LAST: [&str; 4] = ["login/done", "login/complete", "logout/done", "logout/complete"];

/// Schemes that a browser runs or reads instead of going somewhere.
const NEVER: [&str; 8] = ["javascript", "data", "vbscript", "file", "blob", "about", "filesystem", "view-source"];

/// Text of an absolute address, taken apart. Nothing in it can be read in two ways.
#[derive(Clone, Copy, Debug)]
struct Address<'a> {
    scheme: &'a str,
    /// Host and port.
    authority: &'a str,
    path: &'a str,
}

impl<'a> Address<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let is_safe =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'#');
        if text.len() > LONGEST || !text.bytes().all(is_safe) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let letter = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(letter) {
            return None;
        }
        if NEVER.iter().any(|never| scheme.eq_ignore_ascii_case(never)) {
            return None;
        }
        let (authority, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let path = rest.split('?').next().unwrap_or_default();
        let host = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b':' | b'[' | b']');
        if authority.is_empty() || !authority.bytes().all(host) {
            return None;
        }
        let dots = |segment: &str| {
            let plain = segment.to_ascii_lowercase().replace("%2e", ".");
            plain == "." || plain == ".."
        };
        if path.split('/').any(dots) {
            return None;
        }
        let address = Self { scheme, authority, path };
        (!address.is("http") || is_loopback(authority)).then_some(address)
    }

    fn is(&self, scheme: &str) -> bool {
        self.scheme.eq_ignore_ascii_case(scheme)
    }

    /// The port that the scheme means need not be said.
    fn authority(&self) -> String {
        let usual = if self.is("https") {
            ":443"
        } else if self.is("http") {
            ":80"
        } else {
            ""
        };
        let authority = self.authority.to_ascii_lowercase();
        authority.strip_suffix(usual).filter(|_| !usual.is_empty()).unwrap_or(&authority).to_owned()
    }

    /// Whether the path is one from which our own service may send the browser on, however a proxy on the way reads it.
    fn leads_on(&self) -> bool {
        // What cannot be decoded could be anything.
        let Some(read) = percent_decoded(self.path) else { return true };
        if !read.to_ascii_lowercase().split(['/', '\\', ';']).any(|segment| segment == ".auth") {
            return false;
        }
        !LAST.iter().any(|last| {
            let before = self.path.strip_suffix(last).and_then(|before| before.strip_suffix("/.auth/"));
            before.is_some_and(|before| !before.to_ascii_lowercase().contains(".auth") && !before.contains('%'))
        })
    }

    fn has_origin_of(&self, other: &Self) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme) && self.authority() == other.authority()
    }
}

fn is_loopback(authority: &str) -> bool {
    let host = match authority.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => authority.split(':').next().unwrap_or_default(),
    };
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// An entry of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Allowed(String);

impl Allowed {
    /// An absolute address without query and fragment.
    pub fn parse(text: &str) -> Option<Self> {
        let is_whole = Address::parse(text).is_some() && !text.contains('?');
        is_whole.then(|| Self(text.to_owned()))
    }

    fn covers(&self, asked: &Address<'_>) -> bool {
        let Some(own) = Address::parse(&self.0).filter(|own| own.has_origin_of(asked)) else { return false };
        let path = own.path.trim_end_matches('/');
        let below = asked.path.strip_prefix(path);
        below.is_some_and(|below| below.is_empty() || below.starts_with('/'))
    }
}

impl fmt::Display for Allowed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Allowed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

/// Whether a browser may be sent to `target`, of a service that was reached at `here` (`https://api.example.com`).
pub fn is_allowed(target: &str, here: &str, list: &[Allowed]) -> bool {
    // Relative: of this host, and nothing that a browser takes for another one.
    if let Some(rest) = target.strip_prefix('/') {
        let whole = format!("https://here{target}");
        return !rest.starts_with('/') && Address::parse(&whole).is_some_and(|asked| !asked.leads_on());
    }
    let Some(asked) = Address::parse(target) else { return false };
    if (asked.is("https") || asked.is("http")) && asked.leads_on() {
        return false;
    }
    let is_here = Address::parse(here).is_some_and(|here| here.has_origin_of(&asked));
    is_here || list.iter().any(|allowed| allowed.covers(&asked))
}

/// Whether the text is the origin of a page that a session may be handed to at all: of https, or of this machine. Which
/// hosts is decided beside.
pub fn is_page_origin(origin: &str) -> bool {
    let is_one = |address: Address<'_>| address.path.is_empty() && (address.is("https") || address.is("http"));
    !origin.contains('?') && Address::parse(origin).is_some_and(is_one)
}

/// Whether the list names an address of that origin.
pub fn names_origin(origin: &str, list: &[Allowed]) -> bool {
    let Some(asked) = Address::parse(origin) else { return false };
    list.iter().any(|allowed| Address::parse(&allowed.0).is_some_and(|own| own.has_origin_of(&asked)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list() -> Vec<Allowed> {
        [
            "https://app.example.com",
            "https://other.example.com/signed/",
            "MyApp://EasyAuth.callback",
            "http://localhost:3000/",
        ]
        .map(|text| Allowed::parse(text).unwrap())
        .to_vec()
    }

    #[test]
    fn paths_of_this_service_and_what_the_list_names_are_allowed() {
        for target in [
            "/",
            "/page?x=1",
            "/.auth/login/complete",
            "/app/.auth/login/done",
            "https://api.example.com/.auth/logout/done?x",
            "/author/login",
            "https://api.example.com/page",
            "HTTPS://API.EXAMPLE.COM:443/page",
            "https://app.example.com",
            "https://app.example.com/any/path?x=y&z",
            "https://app.example.com:443/",
            "https://other.example.com/signed",
            "https://other.example.com/signed/in?x",
            "myapp://easyauth.callback",
            "MYAPP://EASYAUTH.CALLBACK/",
            "http://localhost:3000/page",
        ] {
            assert!(is_allowed(target, "https://api.example.com", &list()), "{target}");
        }
    }

    #[test]
    fn a_foreign_redirect_is_refused_however_it_is_written() {
        for target in [
            "",
            "page",
            "//evil.net",
            "///evil.net",
            "/\\evil.net",
            "/%2e%2e//evil.net/../x",
            "/a/../b",
            "/.auth/login/b",
            "/.auth/login/b?session_mode=cookie",
            "/.AUTH/login/b",
            "/%2eauth/login/b",
            "/%2Eauth/login/b",
            "/app/.auth/login/b",
            "/.auth//login/b",
            "/.auth/login/b/.auth/login/done",
            "/.auth/logout",
            "/.auth/login/done/",
            "/x%2f.auth/login/b",
            "https://api.example.com/.auth/login/b",
            "https://app.example.com/.auth/login/b",
            "/x#token=1",
            "/\tx",
            "/x\r\nset-cookie: a=b",
            "\\\\evil.net",
            " https://app.example.com",
            "https:app.example.com",
            "https:/app.example.com",
            "https:///app.example.com",
            "https://evil.net",
            "https://evil.net/https://app.example.com",
            "https://evil.net?https://app.example.com",
            "https://app.example.com.evil.net",
            "https://evilapp.example.com",
            "https://app.example.com@evil.net",
            "https://app.example.com:443@evil.net",
            "https://app.example.com\\@evil.net",
            "https://app.example.com%40evil.net",
            "https://app.example.com:8443",
            "http://app.example.com",
            "http://api.example.com/page",
            "https://app.example.com#x",
            "https://other.example.com",
            "https://other.example.com/signedout",
            "https://other.example.com/Signed",
            "https://other.example.com/signed/../admin",
            "https://other.example.com/signed/%2E%2e/admin",
            "myapp://other.callback",
            "myapp2://easyauth.callback",
            "myapp:easyauth.callback",
            "javascript://app.example.com/%0aalert(1)",
            "javascript:alert(1)",
            "data://x/y",
            "http://localhost:3001/",
            "http://[::1]:3000/",
        ] {
            assert!(!is_allowed(target, "https://api.example.com", &list()), "{target}");
        }
        let long = format!("/{}", "a".repeat(LONGEST));
        assert!(!is_allowed(&long, "https://api.example.com", &list()));
    }

    #[test]
    fn an_entry_is_an_address() {
        for text in [
            "",
            "app",
            "https://",
            "https://*.example.com",
            "http://app.example.com",
            "javascript://x",
            "https://a/?b",
            "https://a/#b",
        ] {
            assert_eq!(Allowed::parse(text), None, "{text}");
        }
    }

    #[test]
    fn pages_that_may_be_handed_a_session_are_of_https_or_this_machine() {
        for origin in
            ["https://app.example.com", "https://app.example.com:8443", "http://localhost:3000", "http://127.0.0.1"]
        {
            assert!(is_page_origin(origin), "{origin}");
        }
        for origin in [
            "",
            "*",
            "null",
            "http://app.example.com",
            "https://app.example.com/",
            "https://a?b",
            "myapp://x",
            "https://a'b",
        ] {
            assert!(!is_page_origin(origin), "{origin}");
        }
        assert!(names_origin("https://other.example.com", &list()) && names_origin("http://localhost:3000", &list()));
        assert!(!names_origin("https://evil.net", &list()) && !names_origin("https://other.example.com:1", &list()));
    }
}
