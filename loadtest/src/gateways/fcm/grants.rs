//! The token endpoint (push-services.md 2.1): assertions are exchanged for bearer tokens that end.
use std::{
    borrow::Cow,
    collections::HashMap,
    sync::atomic::{AtomicU64, Ordering},
};

use parking_lot::RwLock;
use serde_json::{Value, json};

use super::account::Account;
use crate::gateways::answer::Answer;

const GRANT_TYPE: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";
/// Either is enough to send.
const SCOPES: [&str; 2] =
    ["https://www.googleapis.com/auth/firebase.messaging", "https://www.googleapis.com/auth/cloud-platform"];
/// The longest life of an assertion, seconds.
const LONGEST_LIFE: i64 = 3_600;

/// Who may ask, and which tokens are good until when.
#[derive(Debug)]
pub(super) struct Grants {
    pub(super) account: Account,
    token_seconds: u32,
    /// Good tokens with the second at which they end.
    tokens: RwLock<HashMap<Box<[u8]>, i64>>,
    given: AtomicU64,
}

impl Grants {
    pub(super) fn new(account: Account, token_seconds: u32) -> Self {
        Self { account, token_seconds, tokens: RwLock::default(), given: AtomicU64::new(0) }
    }

    /// Answers a request for a token at `now`, Unix seconds.
    pub(super) fn grant(&self, form: &[u8], now: i64) -> Answer {
        match self.refusal(form, now) {
            Some((error, description)) => {
                let body = json!({ "error": error, "error_description": description });
                Answer { status: 400, body: Some(body.to_string()), ..Answer::accepted() }
            }
            None => {
                let number = self.given.fetch_add(1, Ordering::Relaxed) + 1;
                let token = format!("ya29.{number}-{:016x}", fastrand::u64(..));
                let body = json!({
                    "access_token": token, "expires_in": self.token_seconds, "token_type": "Bearer",
                });
                self.tokens.write().insert(token.into_bytes().into(), now + i64::from(self.token_seconds));
                Answer { body: Some(body.to_string()), ..Answer::accepted() }
            }
        }
    }

    fn refusal(&self, form: &[u8], now: i64) -> Option<(&'static str, &'static str)> {
        let form: HashMap<Cow<'_, str>, Cow<'_, str>> = form_urlencoded::parse(form).collect();
        if form.get("grant_type").is_none_or(|kind| kind != GRANT_TYPE) {
            return Some(("unsupported_grant_type", "Invalid grant_type"));
        }
        let claims = form.get("assertion").and_then(|assertion| self.account.verified(assertion));
        let Some(claims) = claims else { return Some(("invalid_grant", "Invalid JWT Signature.")) };
        let text = |name: &str| claims.get(name).and_then(Value::as_str).unwrap_or_default();
        let second = |name: &str| claims.get(name).and_then(Value::as_i64).unwrap_or_default();
        let (iat, exp) = (second("iat"), second("exp"));
        if text("iss") != self.account.client_email {
            Some(("invalid_grant", "Invalid grant: account not found"))
        } else if text("aud") != self.account.token_uri {
            Some(("invalid_grant", "Invalid JWT: Failed audience check."))
        } else if iat > now || exp <= now || exp - iat > LONGEST_LIFE {
            Some(("invalid_grant", "Invalid JWT: Token must be a short-lived token (60 minutes)."))
        } else if !text("scope").split(' ').any(|scope| SCOPES.contains(&scope)) {
            Some(("invalid_scope", "Invalid OAuth scope or ID token audience provided."))
        } else {
            None
        }
    }

    /// Whether an `authorization` value holds a token that is good at `now`.
    pub(super) fn is_good(&self, authorization: &[u8], now: i64) -> bool {
        let Some((scheme, token)) = authorization.split_at_checked(7) else { return false };
        scheme.eq_ignore_ascii_case(b"bearer ") && self.tokens.read().get(token).is_some_and(|ends| *ends > now)
    }

    pub(super) fn forget_tokens(&self) {
        self.tokens.write().clear();
    }

    pub(super) fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_792_567_680;

    fn asked(grants: &Grants, claims: &Value) -> (u16, Value) {
        let assertion = grants.account.sign(claims).unwrap();
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([("grant_type", GRANT_TYPE), ("assertion", &assertion)])
            .finish();
        let answer = grants.grant(form.as_bytes(), NOW);
        (answer.status, serde_json::from_str(&answer.body.unwrap()).unwrap())
    }

    #[test]
    fn a_token_is_given_for_a_good_assertion_alone_and_ends() {
        let account = Account::generate("demo", "push@demo", "https://localhost/token").unwrap();
        let grants = Grants::new(account, 3_599);
        let good = json!({
            "iss": "push@demo", "aud": "https://localhost/token", "scope": SCOPES[0], "iat": NOW - 5, "exp": NOW + 3_595,
        });
        let (status, body) = asked(&grants, &good);
        assert_eq!((status, &body["expires_in"]), (200, &json!(3_599)));
        let authorization = format!("Bearer {}", body["access_token"].as_str().unwrap());
        assert!(grants.is_good(authorization.as_bytes(), NOW + 3_598));
        assert!(!grants.is_good(authorization.as_bytes(), NOW + 3_599));
        for (claim, value, error) in [
            ("iss", json!("else@demo"), "invalid_grant"),
            ("aud", json!("https://localhost/"), "invalid_grant"),
            ("iat", json!(NOW + 60), "invalid_grant"),
            ("exp", json!(NOW + 3_596), "invalid_grant"),
            ("exp", json!(NOW), "invalid_grant"),
            ("scope", json!("email"), "invalid_scope"),
        ] {
            let mut bad = good.clone();
            bad[claim] = value;
            let (status, body) = asked(&grants, &bad);
            assert_eq!((status, body["error"].as_str()), (400, Some(error)), "{claim}");
        }
        let stranger = Account::generate("demo", "push@demo", "https://localhost/token").unwrap();
        assert_eq!(grants.account.verified(&stranger.sign(&good).unwrap()), None);
        assert_eq!(grants.given(), 1);
    }
}
