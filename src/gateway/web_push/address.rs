//! Where a subscription leads. Apps bring it along, so it may be anybody's: `https` alone, no user, and unless private
//! networks are allowed port 443 and, once the name was looked up, a public address (`requests::guard`).

use std::borrow::Cow;

use crate::gateway::requests::Reach;

/// What is said of a subscription that is not sent to.
pub const BARRED: &str = "endpoint is of no allowed address";

/// The endpoint of a subscription, unaltered, and the origin that it belongs to.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub uri: http::Uri,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Address(***)")
    }
}

impl Address {
    /// None when it is one that may not be sent to.
    pub fn read(endpoint: &str, reach: Reach) -> Option<Self> {
        if endpoint.contains('#') {
            return None;
        }
        let uri: http::Uri = endpoint.parse().ok()?;
        let authority = uri.authority()?;
        let port = match (uri.port(), authority.as_str().rsplit(']').next().unwrap_or_default().contains(':')) {
            (Some(_), _) => uri.port_u16().filter(|port| *port != 0)?,
            // `host:` names a port that is none.
            (None, true) => return None,
            (None, false) => 443,
        };
        let fits = uri.scheme_str() == Some("https")
            && !authority.as_str().contains('@')
            && !authority.host().is_empty()
            && (reach == Reach::Anywhere || port == 443);
        fits.then_some(Self { uri })
    }

    /// What tells its origin from others: host, and port where it is none of `https`, in lower case.
    pub fn place(&self) -> Cow<'_, str> {
        let authority = self.uri.authority().map_or("", http::uri::Authority::as_str);
        let authority = authority.strip_suffix(":443").unwrap_or(authority);
        if authority.bytes().any(|byte| byte.is_ascii_uppercase()) {
            Cow::Owned(authority.to_ascii_lowercase())
        } else {
            Cow::Borrowed(authority)
        }
    }

    /// Where `Location` of an answer leads; it may be relative (RFC 9110 section 10.2.2) to the origin.
    pub fn moved(&self, location: &str, reach: Reach) -> Option<Self> {
        match location.starts_with('/') && !location.starts_with("//") {
            true => Self::read(&format!("https://{}{location}", self.place()), reach),
            false => Self::read(location, reach),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_of_browsers_go_and_no_others() {
        for good in [
            "https://fcm.googleapis.com/fcm/send/abc:APA91b",
            "https://updates.push.services.mozilla.com/wpush/v2/gAAAA",
            "https://web.push.apple.com/QGq",
            "https://db5p.notify.windows.com/w/?token=BQYAAA%3d",
            "https://push.example:443/x",
        ] {
            let address = Address::read(good, Reach::Public).unwrap();
            assert_eq!(address.uri.to_string(), good, "never altered");
            assert!(!format!("{address:?}").contains("example"));
        }
        for bad in [
            "http://push.example/x",
            "https://user@push.example/x",
            "https://push.example@evil.example/x",
            "https://push.example:8443/x",
            "https://push.example:/x",
            "https://push.example:0/x",
            "https://push.example#x",
            "https:///x",
            "push.example",
            "/x",
            "",
        ] {
            assert_eq!(Address::read(bad, Reach::Public), None, "{bad}");
        }
        assert!(Address::read("https://127.0.0.1:8446/x", Reach::Anywhere).is_some());
        assert!(Address::read("http://127.0.0.1:8446/x", Reach::Anywhere).is_none());
    }

    #[test]
    fn one_place_is_one_place_however_it_is_written() {
        let place = |text: &str| Address::read(text, Reach::Anywhere).unwrap().place().into_owned();
        for same in ["https://push.example/a", "https://PUSH.Example:443/b", "https://push.example/"] {
            assert_eq!(place(same), "push.example");
        }
        assert_eq!(place("https://push.example:8446/a"), "push.example:8446");
        assert_eq!(place("https://[::1]:443/a"), "[::1]");
    }

    #[test]
    fn a_new_place_obeys_the_same_rules() {
        let old = Address::read("https://push.example/a", Reach::Public).unwrap();
        let new = |location: &str| old.moved(location, Reach::Public).map(|new| new.uri.to_string());
        assert_eq!(new("/b?c").as_deref(), Some("https://push.example/b?c"));
        assert_eq!(new("https://other.example/b").as_deref(), Some("https://other.example/b"));
        for bad in ["http://push.example/b", "https://push.example:8443/b", "//push.example/b", "b", ""] {
            assert_eq!(new(bad), None, "{bad}");
        }
    }
}
