//! Which hosts a URL that an app or a caller brings along may name.

use super::{error::ConfigError, section::Section, url};
use serde::{Serialize, Serializer};
use std::fmt;

/// `host`, `*.domain` or `host:port`; port 443 unless given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostPattern {
    /// In lower case, without `*.`.
    host: String,
    any_below: bool,
    port: Option<u16>,
}

impl HostPattern {
    pub fn parse(text: &str) -> Option<Self> {
        let (any_below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        let (host, port) = url::host_and_port(rest)?;
        Some(Self { host: host.to_ascii_lowercase(), any_below, port })
    }

    /// Whether a URL's host and port are meant. `*.domain` means every host below the domain, not the domain.
    pub fn matches(&self, host: &str, port: u16) -> bool {
        let host = host.to_ascii_lowercase();
        let host_fits = match self.any_below {
            false => host == self.host,
            true => host.strip_suffix(&self.host).is_some_and(|head| head.len() > 1 && head.ends_with('.')),
        };
        host_fits && port == self.port.unwrap_or(443)
    }
}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", if self.any_below { "*." } else { "" }, self.host)?;
        self.port.map_or(Ok(()), |port| write!(f, ":{port}"))
    }
}

impl Serialize for HostPattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

pub(super) fn allowed(s: &Section<'_>, default: &[&str]) -> Result<Vec<HostPattern>, ConfigError> {
    let rule = "must be a list of host, *.domain or host:port";
    let given = s.list("allowed_hosts", rule, HostPattern::parse)?;
    Ok(given.unwrap_or_else(|| default.iter().filter_map(|text| HostPattern::parse(text)).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_hosts_and_ports() {
        for (pattern, host, port, fits) in [
            ("*.notify.windows.com", "db5.notify.windows.com", 443, true),
            ("*.notify.windows.com", "DB5.Notify.Windows.com", 443, true),
            ("*.notify.windows.com", "notify.windows.com", 443, false),
            ("*.notify.windows.com", ".notify.windows.com", 443, false),
            ("*.notify.windows.com", "evilnotify.windows.com", 443, false),
            ("*.notify.windows.com", "db5.notify.windows.com", 8443, false),
            ("127.0.0.1:8445", "127.0.0.1", 8445, true),
            ("127.0.0.1:8445", "127.0.0.1", 443, false),
            ("[::1]:8445", "[::1]", 8445, true),
        ] {
            let parsed = HostPattern::parse(pattern).unwrap();
            assert_eq!(parsed.matches(host, port), fits, "{pattern} {host}:{port}");
            assert_eq!(parsed.to_string(), pattern);
        }
        for text in ["", "*", "*.", "a b", "https://a", "a/b", "a:b", "*.*.a"] {
            assert!(HostPattern::parse(text).is_none(), "{text}");
        }
    }
}
