//! URLs as the configuration writes them: of stores and queues with several hosts and a password, and of gateways.

use crate::identity::secret::{MASK, Secret};
use serde::{Serialize, Serializer};
use std::fmt;

/// `scheme://[user[:password]@]host[:port][,host[:port]…][/path][?query]`. Shows itself with the password masked.
///
/// The field's own URL types know one host; Sentinel and Cluster name several.
#[derive(Debug, Clone)]
pub struct ServiceUrl {
    scheme: String,
    hosts: Vec<(String, Option<u16>)>,
    path: String,
    text: Secret,
}

impl ServiceUrl {
    /// Takes a URL apart; `None` when the text is none.
    pub fn parse(text: &str) -> Option<Self> {
        if text.chars().any(|c| c.is_whitespace() || c.is_control() || !c.is_ascii()) {
            return None;
        }
        let (scheme, rest) = text.split_once("://")?;
        let scheme_letters = |c: char| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.');
        if !scheme.starts_with(|c: char| c.is_ascii_alphabetic()) || !scheme.chars().all(scheme_letters) {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let hosts = authority.rsplit_once('@').map_or(authority, |(_, hosts)| hosts);
        Some(Self {
            scheme: scheme.to_ascii_lowercase(),
            hosts: hosts.split(',').map(host_and_port).collect::<Option<_>>()?,
            path: path.split(['?', '#']).next().unwrap_or_default().to_owned(),
            text: Secret::new(text),
        })
    }

    /// In lower case, such as `https` or `redis+sentinel`.
    pub fn scheme(&self) -> &str {
        &self.scheme
    }

    /// Hosts with their ports where given, at least one. IPv6 addresses keep their brackets.
    pub fn hosts(&self) -> &[(String, Option<u16>)] {
        &self.hosts
    }

    /// From the first slash, or empty.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The whole URL, password included.
    pub fn expose(&self) -> &str {
        self.text.expose()
    }

    /// A place for HTTP requests: one host, no user, no query.
    pub(super) fn is_plain(&self) -> bool {
        self.hosts.len() == 1 && !self.text.expose().contains(['@', '?', '#', ','])
    }
}

impl fmt::Display for ServiceUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&mask_passwords(self.text.expose()))
    }
}

impl Serialize for ServiceUrl {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// An `https` URL of one host, the form that every gateway's endpoint has.
pub(super) fn https(text: &str) -> Option<ServiceUrl> {
    ServiceUrl::parse(text).filter(|url| url.scheme() == "https" && url.is_plain())
}

/// `host`, `host:port` or `[address]:port`.
pub(super) fn host_and_port(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let (address, after) = rest.split_once(']')?;
            address.parse::<std::net::Ipv6Addr>().ok()?;
            let port = if after.is_empty() { None } else { Some(after.strip_prefix(':')?) };
            (format!("[{address}]"), port)
        }
        None => match text.split_once(':') {
            Some((host, port)) => (host.to_owned(), Some(port)),
            None => (text.to_owned(), None),
        },
    };
    if !host.starts_with('[') && !is_host(&host) {
        return None;
    }
    let port = match port {
        None => None,
        Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => Some(digits.parse().ok().filter(|p| *p != 0)?),
        Some(_) => return None,
    };
    Some((host, port))
}

/// A DNS name or IPv4 address; `_` too, as container networks name their hosts so.
pub(super) fn is_host(text: &str) -> bool {
    let label = |l: &str| {
        (1..=63).contains(&l.len())
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
            && !l.starts_with('-')
            && !l.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(label)
}

/// Masks what stands between `:` and `@` of any URL in the text, and a `password=` in its query. Works on what is no
/// valid URL too: it is used to show the ones that were refused.
pub(super) fn mask_passwords(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    // The last @, wherever it stands: a password with an unescaped slash is the usual reason for refusing the URL.
    let masked = match rest.rsplit_once('@') {
        Some((user, after)) => match user.split_once(':') {
            Some((name, _)) => format!("{scheme}://{name}:{MASK}@{after}"),
            None => text.to_owned(),
        },
        None => text.to_owned(),
    };
    let Some((before, query)) = masked.split_once('?') else { return masked };
    let parts = query.split('&').map(|part| match part.split_once('=') {
        Some((name, _)) if name.to_ascii_lowercase().contains("pass") => format!("{name}={MASK}"),
        _ => part.to_owned(),
    });
    format!("{before}?{}", parts.collect::<Vec<_>>().join("&"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_urls_apart() {
        let url = ServiceUrl::parse("redis+sentinel://u:p%40w@h1:26379,[::1]:26380,h3/mymaster?db=1").unwrap();
        assert_eq!(url.scheme(), "redis+sentinel");
        assert_eq!(url.hosts(), [("h1".into(), Some(26379)), ("[::1]".into(), Some(26380)), ("h3".into(), None)]);
        assert_eq!(url.path(), "/mymaster");
        assert_eq!(url.to_string(), "redis+sentinel://u:***@h1:26379,[::1]:26380,h3/mymaster?db=1");
    }

    #[test]
    fn refuses_what_is_none() {
        for text in [
            "",
            "h",
            "//h",
            "://h",
            "1x://h",
            "x://",
            "x://h:0",
            "x://h:65536",
            "x://h:1a",
            "x://h:",
            "x://h,,i",
            "x://-h",
            "x://a b",
            "x://[::1",
            "x://[zz]",
            "x://ü",
        ] {
            assert!(ServiceUrl::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn masks_passwords_of_good_and_bad_urls() {
        for (text, masked) in [
            ("postgres://u:p@h/db", "postgres://u:***@h/db"),
            ("postgres://u:p/x@y@h/db", "postgres://u:***@h/db"),
            ("redis://:p@h", "redis://:***@h"),
            ("postgres://u@h/db?sslmode=on&password=p", "postgres://u@h/db?sslmode=on&password=***"),
            ("postgres://h/db", "postgres://h/db"),
            ("text", "text"),
        ] {
            assert_eq!(mask_passwords(text), masked);
        }
    }
}
