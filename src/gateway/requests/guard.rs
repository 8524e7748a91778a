//! Which addresses a gateway connects to. A device may bring the address of its service along, so whoever may register
//! could have the operator's own network called; what a name stands for is looked at where the connection is made, since
//! a name may stand for something else a moment after it was looked up.

use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper_util::client::legacy::connect::dns::Name;
use tower_service::Service;

/// How far a gateway reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Addresses of the public internet, on port 443.
    Public,
    /// Wherever a name leads, private networks and this machine included.
    Anywhere,
}

/// The name stands for no address that may be connected to. Says which rule and not which name: an address that a device
/// brought is a capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is of no public address")]
pub struct Barred;

impl Reach {
    /// Whether that address may be connected to.
    pub fn allows(self, address: IpAddr) -> bool {
        self == Self::Anywhere || is_public(address)
    }

    /// An authority's host, where it is an address: no name is looked up for it.
    pub(super) fn check_literal(self, host: &str) -> Result<(), Barred> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        match bare.parse::<IpAddr>() {
            Ok(address) if !self.allows(address) => Err(Barred),
            _ => Ok(()),
        }
    }
}

/// Whether an address belongs to the public internet: none of the special registries of RFC 6890 and its successors, nor
/// one of IPv6 that leads to such a one of IPv4.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = match a {
        0 | 10 | 127 | 224.. => true,
        100 => b & 0xc0 == 64,
        169 => b == 254,
        172 => b & 0xf0 == 16,
        192 => matches!((b, c), (0, 0 | 2) | (88, 99) | (168, _)),
        198 => matches!((b, c), (18 | 19, _) | (51, 100)),
        203 => (b, c) == (0, 113),
        _ => false,
    };
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let [a, b, c, d, e, f, high, low] = address.segments();
    let embedded = |high: u16, low: u16| is_public_v4(Ipv4Addr::from(u32::from(high) << 16 | u32::from(low)));
    match (a, b) {
        // The well-known prefix of NAT64 (RFC 6052): networks that have IPv6 alone reach the rest through it.
        (0x64, 0xff9b) => [c, d, e, f] == [0; 4] && embedded(high, low),
        // 6to4 (RFC 3056).
        (0x2002, _) => embedded(b, c),
        // Protocol assignments, among them Teredo; documentation.
        (0x2001, 0..=0x1ff | 0xdb8) | (0x3fff, 0..=0xfff) => false,
        // Global unicast is all of this; mapped and compatible addresses, local ones and multicast are outside.
        _ => a & 0xe000 == 0x2000,
    }
}

/// Looks names up and hands out the addresses that may be connected to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Resolver(pub(super) Reach);

/// What a name stands for.
type Resolving = Pin<Box<dyn Future<Output = Result<std::vec::IntoIter<SocketAddr>, ResolveError>> + Send>>;

/// A name leads nowhere.
#[derive(Debug)]
pub(super) enum ResolveError {
    Barred(Barred),
    Unknown(io::Error),
}

impl fmt::Display for ResolveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name leads nowhere")
    }
}

impl std::error::Error for ResolveError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Barred(barred) => Some(barred),
            Self::Unknown(error) => Some(error),
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Resolving;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await.map_err(ResolveError::Unknown)?;
            let allowed: Vec<_> = found.filter(|address| reach.allows(address.ip())).collect();
            if allowed.is_empty() { Err(ResolveError::Barred(Barred)) } else { Ok(allowed.into_iter()) }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_the_public_internet_pass_and_no_others() {
        for public in [
            "8.8.8.8",
            "1.1.1.1",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.1",
            "198.17.255.255",
            "223.255.255.255",
            "2606:4700:4700::1111",
            "2001:4860:4860::8888",
            "2002:808:808::1",
            "64:ff9b::808:808",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:8.8.8.8",
            "::ffff:127.0.0.1",
            "::8.8.8.8",
            "64:ff9b::a00:1",
            "64:ff9b:1::808:808",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:a00:1::1",
            "2002:7f00:1::",
            "3fff::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
            assert!(Reach::Anywhere.allows(private.parse().unwrap()));
        }
    }

    #[test]
    fn a_host_that_is_an_address_is_checked_without_a_name() {
        for barred in ["127.0.0.1", "[::1]", "[::ffff:10.0.0.1]", "169.254.169.254"] {
            assert_eq!(Reach::Public.check_literal(barred), Err(Barred), "{barred}");
            assert_eq!(Reach::Anywhere.check_literal(barred), Ok(()));
        }
        for passing in ["push.example", "8.8.8.8", "[2606:4700::1]"] {
            assert_eq!(Reach::Public.check_literal(passing), Ok(()), "{passing}");
        }
    }

    #[tokio::test]
    async fn a_name_for_this_machine_leads_nowhere_unless_all_is_allowed() {
        let name = || "localhost".parse::<Name>().unwrap();
        let refused = Resolver(Reach::Public).call(name()).await.unwrap_err();
        assert!(matches!(refused, ResolveError::Barred(Barred)), "{refused:?}");
        assert!(Resolver(Reach::Anywhere).call(name()).await.unwrap().all(|address| address.ip().is_loopback()));
    }
}
