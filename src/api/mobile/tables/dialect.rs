//! Which generation of the client libraries speaks (1.4).

use http::{HeaderMap, header};

use crate::api::mobile::refusal::Refused;

/// A generation of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `2.0.x`: Azure Mobile Apps.
    V2,
    /// `3.0.x`: Datasync.
    V3,
    /// None, or `3.0.x` from a library of version 8 or later: the Community Toolkit.
    Ct,
}

/// In a header or in the query; matched without regard to case.
pub(super) const VERSION: &str = "zumo-api-version";

impl Dialect {
    /// The dialect of a request; the header counts before the query.
    pub(super) fn of(headers: &HeaderMap, query: Option<&str>) -> Result<Self, Refused> {
        let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default().trim());
        let Some(version) = text(http::HeaderName::from_static(VERSION)).or(query) else { return Ok(Self::Ct) };
        let patched = |major: &str| {
            let digits = version.strip_prefix(major).and_then(|rest| rest.strip_prefix('.'));
            digits.is_some_and(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
        };
        if patched("2.0") {
            return Ok(Self::V2);
        }
        if version != "3.0" && !patched("3.0") {
            return Err(Refused::bad(
                "An invalid API version was specified in the request, this request needs to specify a \
                 ZUMO-API-VERSION of 2.0.0.",
            ));
        }
        let library = text(header::USER_AGENT).and_then(|agent| agent.strip_prefix("Datasync/"));
        let major = library.and_then(|version| version.split(|c: char| !c.is_ascii_digit()).next());
        let is_late = major.and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 8);
        Ok(if is_late { Self::Ct } else { Self::V3 })
    }

    pub(super) fn is_v2(self) -> bool {
        self == Self::V2
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    #[test]
    fn a_dialect_is_known_by_version_and_library() {
        for (version, agent, query, expected) in [
            (Some("2.0.0"), None, None, Some(Dialect::V2)),
            (Some("2.0.7"), None, None, Some(Dialect::V2)),
            (None, None, Some("2.0.0"), Some(Dialect::V2)),
            (Some("2.0.0"), None, Some("9"), Some(Dialect::V2)),
            (Some("3.0.0"), None, None, Some(Dialect::V3)),
            (Some("3.0"), Some("Datasync/6.0 (lang=Managed)"), None, Some(Dialect::V3)),
            (Some("3.0.0"), Some("Datasync/8.0.1"), None, Some(Dialect::Ct)),
            (Some("3.0.0"), Some("Datasync/10.0"), None, Some(Dialect::Ct)),
            (None, None, None, Some(Dialect::Ct)),
            (Some("1.0.0"), None, None, None),
            (Some("2.0"), None, None, None),
            (Some("2.0.x"), None, None, None),
            (Some("4.0.0"), None, None, None),
            (Some(""), None, None, None),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(version) = version {
                headers.insert(HeaderName::from_static(VERSION), HeaderValue::from_static(version));
            }
            if let Some(agent) = agent {
                headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
            }
            assert_eq!(Dialect::of(&headers, query).ok(), expected, "{version:?} {agent:?} {query:?}");
        }
    }
}
