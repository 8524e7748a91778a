//! Where a service is: scheme, host, port, and the path that a proxy in front of it adds.

use std::fmt;
use std::str::FromStr;

/// A URL without user, query and final slash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Base {
    https: bool,
    authority: String,
    host: String,
    port: u16,
    prefix: String,
}

impl FromStr for Base {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str = "must be http://HOST[:PORT] or https://HOST[:PORT]";
        let uri: http::Uri = text.trim().parse().map_err(|_| RULE)?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err(RULE),
        };
        let authority = uri.authority().ok_or(RULE)?;
        if authority.as_str().contains('@') {
            return Err("must not hold a user or a key; give the key as FANFARE_KEY");
        }
        if uri.query().is_some() {
            return Err(RULE);
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        // `Authority::port` is silent about a number that is no port.
        let port = match authority.as_str().strip_prefix(authority.host()).unwrap_or_default() {
            "" if https => 443,
            "" => 80,
            port => port.strip_prefix(':').and_then(|port| port.parse().ok()).ok_or(RULE)?,
        };
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { https, authority: authority.as_str().to_owned(), host, port, prefix })
    }
}

impl Base {
    pub(in crate::cli) const fn is_https(&self) -> bool {
        self.https
    }

    /// `HOST[:PORT]` as it was written.
    pub(in crate::cli) fn authority(&self) -> &str {
        &self.authority
    }

    /// As a resolver takes it.
    pub(in crate::cli) fn host(&self) -> &str {
        &self.host
    }

    pub(in crate::cli) const fn port(&self) -> u16 {
        self.port
    }

    /// The path of a request.
    pub(in crate::cli) fn target(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }
}

impl fmt::Display for Base {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read() {
        let base: Base = "https://push.example.com/fan/".parse().unwrap();
        assert_eq!((base.host(), base.port(), base.authority()), ("push.example.com", 443, "push.example.com"));
        assert_eq!(base.target("/v1/hubs"), "/fan/v1/hubs");
        let six: Base = "http://[::1]:8080".parse().unwrap();
        assert_eq!((six.host(), six.port(), six.to_string().as_str()), ("::1", 8080, "http://[::1]:8080"));
        for bad in ["", "localhost:8080", "ftp://a", "http://", "http://a?x=1", "http://a:99999", "http://k@a"] {
            assert!(bad.parse::<Base>().is_err(), "{bad}");
        }
    }
}
