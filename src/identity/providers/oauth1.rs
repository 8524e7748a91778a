//! Signatures of OAuth 1.0a (RFC 5849 section 3.4): HMAC-SHA1 over method, address and parameters.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::identity::pkce::random_word;
use crate::identity::secret::Secret;
use crate::model::percent::encoded;
use crate::model::time::Timestamp;

/// An app, as the provider knows it.
#[derive(Debug)]
pub struct Consumer {
    pub key: String,
    pub secret: Secret,
}

/// What is signed.
#[derive(Clone, Copy, Debug)]
pub struct Signed<'a> {
    pub method: &'a str,
    /// Without query.
    pub url: &'a str,
    /// Parameters of the protocol besides the usual ones.
    pub extra: &'a [(&'a str, &'a str)],
    /// Of the query and of a form.
    pub query: &'a [(&'a str, &'a str)],
    /// A token and its secret.
    pub token: Option<(&'a str, &'a str)>,
}

impl Consumer {
    /// The value of `Authorization` at `now`; `None` when the machine has no randomness.
    pub fn authorization(&self, what: &Signed<'_>, now: Timestamp) -> Option<String> {
        let (nonce, timestamp) = (random_word()?, now.millis().div_euclid(1_000).to_string());
        let mut protocol = vec![
            ("oauth_consumer_key", self.key.as_str()),
            ("oauth_nonce", &nonce),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", &timestamp),
            ("oauth_version", "1.0"),
        ];
        protocol.extend(what.extra);
        protocol.extend(what.token.map(|(token, _)| ("oauth_token", token)));
        let all: Vec<_> = protocol.iter().chain(what.query).copied().collect();
        let signature = signature(what.method, what.url, &all, &self.secret, what.token.map(|(_, secret)| secret));
        protocol.push(("oauth_signature", &signature));
        let fields: Vec<_> =
            protocol.iter().map(|(name, value)| format!("{}=\"{}\"", encoded(name), encoded(value))).collect();
        Some(format!("OAuth {}", fields.join(", ")))
    }
}

/// The signature of a request with these parameters, whatever their order.
pub fn signature(
    method: &str,
    url: &str,
    parameters: &[(&str, &str)],
    consumer_secret: &Secret,
    token_secret: Option<&str>,
) -> String {
    let mut pairs: Vec<_> = parameters.iter().map(|(name, value)| (encoded(name), encoded(value))).collect();
    pairs.sort();
    let pairs: Vec<_> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let base = format!("{method}&{}&{}", encoded(url), encoded(&pairs.join("&")));
    let key = format!("{}&{}", encoded(consumer_secret.expose()), encoded(token_secret.unwrap_or_default()));
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key.as_bytes());
    STANDARD.encode(hmac::sign(&key, base.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of Twitter's documentation on creating a signature.
    #[test]
    fn the_documented_request_has_the_documented_signature() {
        let parameters = [
            ("status", "Hello Ladies + Gentlemen, a signed OAuth request!"),
            ("include_entities", "true"),
            ("oauth_consumer_key", "xvz1evFS4wEEPTGEFPHBog"),
            ("oauth_nonce", "kYjzVBB8Y0ZFabxSWbWovY3uYSQ2pTgmZeNu2VS4cg"),
            ("oauth_signature_method", "HMAC-SHA1"),
            ("oauth_timestamp", "1318622958"),
            ("oauth_token", "370773112-GmHxMAgYyLbNEtIKZeRNFsMKPR9EyMZeS9weJAEb"),
            ("oauth_version", "1.0"),
        ];
        let signature = signature(
            "POST",
            "https://api.twitter.com/1.1/statuses/update.json",
            &parameters,
            &Secret::new("kAcSOqF21Fu85e7zjz7ZN2U4ZRhfV3WpwPAoE3Z7kBw"),
            Some("LswwdoUaIvS8ltyTt5jkRh4J50vUPVVHtR2YPi5kE"),
        );
        assert_eq!(signature, "hCtSmYh+iHYCEqBWrE7C7hYmtUk=");
    }

    #[test]
    fn what_is_sent_is_what_is_signed() {
        let consumer = Consumer { key: "k".to_owned(), secret: Secret::new("s") };
        let what = Signed {
            method: "POST",
            url: "https://h/oauth/request_token",
            extra: &[("oauth_callback", "https://a/b?c")],
            query: &[],
            token: None,
        };
        let value = consumer.authorization(&what, Timestamp::from_millis(1_000)).unwrap();
        let fields = value.strip_prefix("OAuth ").unwrap().split(", ").map(|field| field.split_once('=').unwrap());
        let fields: Vec<_> = fields.map(|(name, value)| (name, value.trim_matches('"'))).collect();
        assert!(fields.contains(&("oauth_callback", "https%3A%2F%2Fa%2Fb%3Fc")), "{value}");
        assert!(
            fields.contains(&("oauth_timestamp", "1")) && fields.iter().any(|(name, _)| *name == "oauth_signature")
        );
    }
}
