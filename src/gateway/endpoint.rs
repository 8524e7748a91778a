//! Where a push service listens: an `https` URL of host and port.

use std::fmt;

use rustls::pki_types::ServerName;

use crate::model::field::FieldError;

/// A service's address: host, port, and the name that its certificate must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    host: Box<str>,
    port: u16,
    name: ServerName<'static>,
}

impl Endpoint {
    /// Reads `https://host[:port]`, a final `/` allowed. The error's field is `endpoint`.
    pub fn parse(url: &str) -> Result<Self, FieldError> {
        let rule = || FieldError::new("endpoint", "must be https://host or https://host:port");
        let uri: http::Uri = url.parse().map_err(|_| rule())?;
        let bare = matches!(uri.path(), "" | "/") && uri.query().is_none();
        let authority = uri.authority().ok_or_else(rule)?;
        if uri.scheme_str() != Some("https") || !bare || authority.as_str().contains('@') {
            return Err(rule());
        }
        let host = authority.host();
        let port = match authority.port() {
            Some(port) => port.as_str().parse().ok().filter(|port| *port != 0).ok_or_else(rule)?,
            None => 443,
        };
        let unbracketed = host.trim_start_matches('[').trim_end_matches(']');
        let name = ServerName::try_from(unbracketed.to_owned()).map_err(|_| rule())?;
        Ok(Self { host: host.into(), port, name })
    }

    /// Host as it stands in a URL: an IPv6 address in brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Host as a resolver takes it.
    pub fn dial_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }

    /// TCP port.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// The name that the server's certificate must be for.
    pub const fn server_name(&self) -> &ServerName<'static> {
        &self.name
    }

    /// `:authority`: the port only when it is not 443.
    pub fn authority(&self) -> String {
        if self.port == 443 { self.host.to_string() } else { format!("{}:{}", self.host, self.port) }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "https://{}", self.authority())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_host_and_port_are_taken() {
        let plain = Endpoint::parse("https://api.push.apple.com").unwrap();
        assert_eq!((plain.host(), plain.port(), plain.authority().as_str()), ("api.push.apple.com", 443, plain.host()));
        let local = Endpoint::parse("https://127.0.0.1:2197/").unwrap();
        assert_eq!(local.to_string(), "https://127.0.0.1:2197");
        let six = Endpoint::parse("https://[::1]:2197").unwrap();
        assert_eq!((six.dial_host(), six.authority().as_str()), ("::1", "[::1]:2197"));
    }

    #[test]
    fn everything_else_names_the_rule() {
        for bad in ["", "http://a", "https://", "https://a/b", "https://a?b", "https://u@a", "https://a:0", "a:443"] {
            assert_eq!(Endpoint::parse(bad).unwrap_err().field, "endpoint", "{bad}");
        }
    }
}
