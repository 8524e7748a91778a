//! Which channel URIs a bearer token may be shown to. An app brings its own URI along, so a wrong one would hand the
//! token to a stranger or lead requests into the operator's network (`push-services.md` 3.1).

/// `host`, `*.domain` (every host below it) or `host:port`; port 443 unless given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostRule {
    /// In lower case, without `*.`.
    host: Box<str>,
    any_below: bool,
    port: u16,
}

impl HostRule {
    /// Reads one rule; none when the text is no host.
    pub fn parse(text: &str) -> Option<Self> {
        let (any_below, rest) = text.strip_prefix("*.").map_or((false, text), |rest| (true, rest));
        if rest.contains(['@', '*', '/', '?', '#']) {
            return None;
        }
        let authority: http::uri::Authority = rest.parse().ok()?;
        let port = port_of(&authority)?;
        Some(Self { host: authority.host().to_ascii_lowercase().into(), any_below, port })
    }

    fn allows(&self, host: &str, port: u16) -> bool {
        let fits = match self.any_below {
            false => *host == *self.host,
            true => host.strip_suffix(&*self.host).is_some_and(|head| head.len() > 1 && head.ends_with('.')),
        };
        fits && port == self.port
    }
}

/// The URI of a channel, unaltered, when it is one that may be sent to: `https`, no user, an allowed host and port.
pub fn address(channel: &[u8], allowed: &[HostRule]) -> Option<http::Uri> {
    if channel.contains(&b'#') {
        return None;
    }
    let uri = http::Uri::try_from(channel).ok()?;
    let authority = uri.authority()?;
    if uri.scheme_str() != Some("https") || authority.as_str().contains('@') {
        return None;
    }
    let (host, port) = (authority.host().to_ascii_lowercase(), port_of(authority)?);
    allowed.iter().any(|rule| rule.allows(&host, port)).then_some(uri)
}

fn port_of(authority: &http::uri::Authority) -> Option<u16> {
    let named = authority.as_str().rsplit(']').next().unwrap_or_default().contains(':');
    match authority.port_u16() {
        Some(port) => Some(port).filter(|port| *port != 0),
        None if named => None,
        None => Some(443),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn goes(uri: &str, rules: &[&str]) -> bool {
        let rules: Vec<_> = rules.iter().map(|rule| HostRule::parse(rule).unwrap()).collect();
        address(uri.as_bytes(), &rules).is_some()
    }

    #[test]
    fn channels_of_allowed_hosts_go_and_no_others() {
        let windows = &["*.notify.windows.com"];
        for good in [
            "https://wns2-by3p.notify.windows.com/?token=AwYAAA%2b%3d",
            "https://WNS2.Notify.Windows.Com/w/?token=A",
            "https://db5.notify.windows.com:443/?token=A",
        ] {
            assert!(goes(good, windows), "{good}");
        }
        for bad in [
            "http://db5.notify.windows.com/?token=A",
            "https://notify.windows.com/?token=A",
            "https://.notify.windows.com/?token=A",
            "https://evilnotify.windows.com/?token=A",
            "https://db5.notify.windows.com.evil.example/?token=A",
            "https://evil.example/?x=.notify.windows.com",
            "https://user@db5.notify.windows.com/?token=A",
            "https://db5.notify.windows.com@evil.example/?token=A",
            "https://evil.example#.notify.windows.com",
            "https://evil.example\\.notify.windows.com/",
            "https://db5.notify.windows.com:8443/?token=A",
            "https://db5.notify.windows.com:/?token=A",
            "https://127.0.0.1/?token=A",
            "https://[::1]/?token=A",
            "/?token=A",
            "",
        ] {
            assert!(!goes(bad, windows), "{bad}");
        }
        assert!(goes("https://127.0.0.1:8445/?t", &["127.0.0.1:8445"]));
        assert!(!goes("https://127.0.0.1/?t", &["127.0.0.1:8445"]));
        assert!(goes("https://[::1]:8445/?t", &["[::1]:8445"]));
    }

    #[test]
    fn a_channel_is_never_altered() {
        let rules = [HostRule::parse("h").unwrap()];
        let written = "https://h/a//b/?token=AwY%2bAA%3d&x=%2F";
        assert_eq!(address(written.as_bytes(), &rules).unwrap().to_string(), written);
    }

    #[test]
    fn what_is_no_host_is_no_rule() {
        for bad in ["", "*", "*.", "*.*.a", "https://a", "a/b", "u@a", "a:b", "a:0", "a:"] {
            assert_eq!(HostRule::parse(bad), None, "{bad}");
        }
    }
}
