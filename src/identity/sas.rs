//! Shared access signatures: a token signed with a rule's key, as the Notification Hubs clients send it
//! (`specs/notification-hubs.md` 1.5).
//!
//! ```text
//! SharedAccessSignature sr={resource, URL-encoded}&sig={signature}&se={expiry, Unix seconds}&skn={rule}
//! signature = base64(HMAC-SHA256(key text, sr as it stands in the token + "\n" + se))
//! ```
//!
//! The clients agree on little else: the case of hex digits, the order of parameters, whether `sr` is the namespace or
//! the full URL, its scheme, port, query and case. So nothing is ever re-encoded to verify, and the audience is compared
//! in a reduced form.

use std::fmt;

use super::keys::{AccessRule, AdminKey, Caller, NAMESPACE_RULE};
use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};

const SCHEME: &str = "SharedAccessSignature";

/// How long after its expiry a token is still taken, in seconds: phones' clocks are that wrong.
const SKEW_SECONDS: i64 = 300;

/// Why a token is not believed. All of these are 401; the face chooses the words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SasError {
    #[error("MalformedToken: the token needs sr, sig, se and skn")]
    Malformed,
    #[error("ExpiredToken: the token has expired")]
    Expired,
    #[error("InvalidSignature: the token has an invalid signature")]
    InvalidSignature,
    #[error("InvalidAudience: the token is for another resource")]
    InvalidAudience,
}

/// A token taken apart, not yet believed. Shows without its signature, which is as good as a key until it expires.
pub struct SasToken<'a> {
    /// `sr` exactly as it stands in the token: this is what was signed.
    resource: &'a str,
    /// `se` exactly as it stands in the token; signed too.
    expiry: &'a str,
    expires_at: i64,
    signature: Vec<u8>,
    rule: String,
}

impl fmt::Debug for SasToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SasToken({} until {} ***)", self.rule, self.expires_at)
    }
}

/// The request that a token came with.
#[derive(Debug, Clone, Copy)]
pub struct Audience<'a> {
    /// Host names that mean this service: the request's `Host` and configured aliases. A port is ignored.
    pub hosts: &'a [&'a str],
    /// The request's path as it came, percent-encoded.
    pub path: &'a str,
    /// The hub that the request is about.
    pub hub: &'a str,
}

impl<'a> SasToken<'a> {
    /// Whether a header's value claims to be a token of this scheme.
    pub fn is_claimed(authorization: &str) -> bool {
        strip_scheme(authorization).is_some()
    }

    /// Takes the value of an `Authorization` header apart. Parameters may stand in any order.
    pub fn parse(authorization: &'a str) -> Result<Self, SasError> {
        let parameters = strip_scheme(authorization).ok_or(SasError::Malformed)?;
        let (mut sr, mut sig, mut se, mut skn) = (None, None, None, None);
        for (name, value) in parameters.split('&').filter_map(|part| part.split_once('=')) {
            let slot = match name.trim().to_ascii_lowercase().as_str() {
                "sr" => &mut sr,
                "sig" => &mut sig,
                "se" => &mut se,
                "skn" => &mut skn,
                _ => continue,
            };
            // A parameter given twice could be read one way here and another way by a proxy before us.
            if slot.replace(value.trim()).is_some() {
                return Err(SasError::Malformed);
            }
        }
        let (Some(resource), Some(sig), Some(expiry), Some(skn)) = (sr, sig, se, skn) else {
            return Err(SasError::Malformed);
        };
        let expires_at = percent_decode(expiry).and_then(|text| text.parse().ok()).ok_or(SasError::Malformed)?;
        let rule = percent_decode(skn).ok_or(SasError::Malformed)?;
        // What is not base64 is a wrong signature, not a malformed token.
        let signature = percent_decode(sig).and_then(|text| STANDARD.decode(text).ok()).unwrap_or_default();
        Ok(Self { resource, expiry, expires_at, signature, rule })
    }

    /// Verifies the token against the hub's rules and, behind them, the namespace rule, whose key is the admin key.
    /// `now` is in Unix seconds. Says who is calling; whether they may is [`Caller::authorise`].
    pub fn verify(
        &self,
        to: Audience<'_>,
        rules: &[AccessRule],
        admin: &AdminKey,
        now: i64,
    ) -> Result<Caller, SasError> {
        if self.expires_at.saturating_add(SKEW_SECONDS) <= now {
            return Err(SasError::Expired);
        }
        let named = |equal: fn(&str, &str) -> bool| rules.iter().find(|rule| equal(&rule.name, &self.rule));
        let caller = if let Some(rule) = named(str::eq).or_else(|| named(str::eq_ignore_ascii_case)) {
            if !rule.keys().fold(false, |found, key| found | self.is_signed_with(key.expose())) {
                return Err(SasError::InvalidSignature);
            }
            Caller::Hub { hub: to.hub.to_owned(), rule: rule.name.clone(), rights: rule.rights }
        } else if self.rule.eq_ignore_ascii_case(NAMESPACE_RULE) && self.is_signed_with(admin.secret().expose()) {
            Caller::Admin
        } else {
            return Err(SasError::InvalidSignature);
        };
        if self.is_for(to) { Ok(caller) } else { Err(SasError::InvalidAudience) }
    }

    fn is_signed_with(&self, key: &str) -> bool {
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        let message = [self.resource, "\n", self.expiry].concat();
        // Compares in constant time.
        hmac::verify(&key, message.as_bytes(), &self.signature).is_ok()
    }

    fn is_for(&self, to: Audience<'_>) -> bool {
        let Some(resource) = percent_decode(self.resource) else { return false };
        let resource = resource.split_once("://").map_or(resource.as_str(), |(_, rest)| rest);
        let resource = resource.split(['?', '#']).next().unwrap_or_default();
        let (authority, path) = resource.split_once('/').unwrap_or((resource, ""));
        let host = host_of(authority);
        let path_of_request = to.path.split(['?', '#']).next().unwrap_or_default();
        !host.is_empty()
            && to.hosts.iter().any(|known| host_of(known).eq_ignore_ascii_case(host))
            && is_prefix(&segments(path), &segments(path_of_request))
    }
}

fn strip_scheme(authorization: &str) -> Option<&str> {
    let (scheme, rest) = authorization.trim().split_once(' ')?;
    scheme.eq_ignore_ascii_case(SCHEME).then_some(rest.trim_start())
}

/// The host of `user@host:port`, an IPv6 address with its brackets.
fn host_of(authority: &str) -> &str {
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    match host.find(']') {
        Some(end) => &host[..=end],
        None => host.split_once(':').map_or(host, |(host, _)| host),
    }
}

/// Path segments in lower case, decoded one by one so that an encoded slash does not make two of one.
fn segments(path: &str) -> Vec<String> {
    path.split('/')
        .filter(|segment| !segment.is_empty())
        .map(|segment| percent_decode(segment).unwrap_or_else(|| segment.to_owned()).to_lowercase())
        .collect()
}

fn is_prefix(prefix: &[String], path: &[String]) -> bool {
    path.starts_with(prefix)
}

/// Decodes `%XX`; `+` stays `+`. `None` for a broken escape or text that is not UTF-8.
fn percent_decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        if first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            let mut byte = [0];
            hex::decode_to_slice(digits, &mut byte).ok()?;
            bytes.extend_from_slice(&byte);
            rest = tail;
        } else {
            bytes.push(first);
            rest = tail;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests;
