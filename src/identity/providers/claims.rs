//! What a provider's token must say, once its signature is good (OpenID Connect Core 1.0 section 3.1.3.7).

use std::time::Duration;

use serde_json::{Map, Value as Json};
use subtle::ConstantTimeEq as _;

use super::error::ProviderError;
use super::identity::Claim;
use crate::identity::jwt::{Audience, NumericDate};
use crate::model::time::Timestamp;

/// How far a provider's clock may be from ours.
const SKEW: Duration = Duration::from_mins(1);
/// The longest subject, in bytes (section 2).
const LONGEST_SUBJECT: usize = 255;

/// The claims of a token that the provider signed.
#[derive(Clone, Debug)]
pub(super) struct Claims(pub(super) Map<String, Json>);

impl Claims {
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// Whether a claim is true; Apple writes it as text.
    pub(super) fn is_true(&self, name: &str) -> bool {
        matches!(self.0.get(name), Some(Json::Bool(true))) || self.text(name) == Some("true")
    }

    fn date(&self, name: &'static str) -> Result<Option<Timestamp>, ProviderError> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let date = serde_json::from_value::<NumericDate>(value.clone());
        let date = date.map_err(|_| ProviderError::Refused("the token's times cannot be read"))?;
        Ok(Some(Timestamp::from_millis(date.millis())))
    }

    /// The token is in time.
    pub(super) fn check_times(&self, now: Timestamp) -> Result<(), ProviderError> {
        let expires = self.date("exp")?.ok_or(ProviderError::Refused("the token has no end"))?;
        if expires.plus(SKEW) <= now {
            return Err(ProviderError::Refused("the token has expired"));
        }
        let issued = self.date("iat")?.ok_or(ProviderError::Refused("the token does not say when it was issued"))?;
        let begins = [Some(issued), self.date("nbf")?].into_iter().flatten();
        if begins.into_iter().any(|from| from > now.plus(SKEW)) {
            return Err(ProviderError::Refused("the token is not valid yet"));
        }
        Ok(())
    }

    /// The token is for this app and no other, and was given to it. `ours`: its client id, and those of its other parts;
    /// `parties`: claims that name the app which a token was given to, of which each that is there must be one of ours.
    pub(super) fn check_audience(&self, ours: &[String], parties: &[&str]) -> Result<(), ProviderError> {
        let foreign = ProviderError::Refused("the token was issued for another app");
        let audience = self.0.get("aud").cloned().map(serde_json::from_value::<Audience>);
        let Some(Ok(audience)) = audience else { return Err(foreign) };
        let audiences = audience.all();
        if audiences.is_empty() || !audiences.iter().all(|audience| ours.contains(audience)) {
            return Err(foreign);
        }
        let mut given_to = parties.iter().filter_map(|name| self.0.get(*name)).peekable();
        let is_said = given_to.peek().is_some() || audiences.len() == 1;
        let is_ours = given_to.all(|party| party.as_str().is_some_and(|party| ours.iter().any(|own| own == party)));
        // Such a token of Microsoft's is an app's own, and no user's.
        let is_users = self.text("idtyp") != Some("app");
        if is_said && is_ours && is_users { Ok(()) } else { Err(foreign) }
    }

    /// The token answers the sign-in that was begun with this word.
    pub(super) fn check_nonce(&self, nonce: &str) -> Result<(), ProviderError> {
        let is_its = self.text("nonce").is_some_and(|said| said.as_bytes().ct_eq(nonce.as_bytes()).into());
        if is_its && !nonce.is_empty() {
            Ok(())
        } else {
            Err(ProviderError::Refused("the token answers another sign-in"))
        }
    }

    /// The provider's own id of the user.
    pub(super) fn subject(&self) -> Result<&str, ProviderError> {
        let subject = self.text("sub").filter(|sub| is_subject(sub));
        subject.ok_or(ProviderError::Refused("the token does not say whose it is"))
    }

    /// As `/.auth/me` tells them: each value of a list is a claim, what is an object is its JSON.
    pub(super) fn told(&self) -> Vec<Claim> {
        let one = |typ: &str, value: &Json| {
            let val = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            Claim { typ: typ.to_owned(), val }
        };
        let each = self.0.iter().flat_map(|(name, value)| match value {
            Json::Array(values) => values.iter().map(|value| one(name, value)).collect(),
            Json::Null => Vec::new(),
            value => vec![one(name, value)],
        });
        each.collect()
    }
}

/// What can be a provider's id of a user.
pub(super) fn is_subject(text: &str) -> bool {
    (1..=LONGEST_SUBJECT).contains(&text.len()) && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const SECOND: i64 = 1_800_000_000;
    const NOW: Timestamp = Timestamp::from_millis(SECOND * 1_000);

    fn claims(json: Json) -> Claims {
        let Json::Object(map) = json else { panic!("{json}") };
        Claims(map)
    }

    #[test]
    fn times_are_held_to_with_a_minute_for_clocks() {
        let check = |json| claims(json).check_times(NOW);
        assert!(check(json!({"exp": SECOND - 59, "iat": SECOND + 59, "nbf": SECOND + 59})).is_ok());
        for (json, why) in [
            (json!({"iat": SECOND}), "the token has no end"),
            (json!({"exp": SECOND - 60, "iat": 0}), "the token has expired"),
            (json!({"exp": SECOND + 9}), "the token does not say when it was issued"),
            (json!({"exp": SECOND + 900, "iat": SECOND + 61}), "the token is not valid yet"),
            (json!({"exp": SECOND + 900, "iat": SECOND, "nbf": SECOND + 61}), "the token is not valid yet"),
            (json!({"exp": "soon", "iat": SECOND}), "the token's times cannot be read"),
        ] {
            assert_eq!(check(json), Err(ProviderError::Refused(why)));
        }
    }

    #[test]
    fn a_token_is_for_one_of_our_own_and_for_nobody_else() {
        let ours = ["web".to_owned(), "phone".to_owned()];
        let check = |json| claims(json).check_audience(&ours, &["azp", "appid"]).is_ok();
        for good in [
            json!({"aud": "web"}),
            json!({"aud": ["web"]}),
            json!({"aud": "web", "azp": "phone"}),
            json!({"aud": ["web", "phone"], "azp": "web"}),
            json!({"aud": "web", "appid": "phone"}),
            json!({"aud": "web", "idtyp": "user", "client_id": "not looked at"}),
        ] {
            assert!(check(good.clone()), "{good}");
        }
        for bad in [
            json!({}),
            json!({"aud": []}),
            json!({"aud": 7}),
            json!({"aud": "other"}),
            json!({"aud": "WEB"}),
            json!({"aud": ["web", "other"], "azp": "web"}),
            json!({"aud": ["web", "phone"]}),
            json!({"aud": "web", "azp": "other"}),
            json!({"aud": "web", "azp": null}),
            json!({"aud": "web", "appid": "other"}),
            json!({"aud": "web", "azp": "web", "appid": "other"}),
            json!({"aud": ["web", "phone"], "azp": "web", "appid": 7}),
            json!({"aud": "web", "idtyp": "app"}),
        ] {
            assert!(!check(bad.clone()), "{bad}");
        }
    }

    #[test]
    fn a_nonce_must_be_there_and_the_same() {
        let check = |json, nonce| claims(json).check_nonce(nonce).is_ok();
        assert!(check(json!({"nonce": "a"}), "a"));
        assert!(!check(json!({"nonce": "b"}), "a") && !check(json!({}), "a") && !check(json!({"nonce": ""}), ""));
    }

    #[test]
    fn a_subject_is_text_of_some_length() {
        let subject = |json| claims(json).subject().map(str::to_owned).ok();
        assert_eq!(subject(json!({"sub": "42"})).as_deref(), Some("42"));
        for bad in [
            json!({}),
            json!({"sub": ""}),
            json!({"sub": 42}),
            json!({"sub": "a\u{0}b"}),
            json!({"sub": "a".repeat(256)}),
        ] {
            assert_eq!(subject(bad.clone()), None, "{bad}");
        }
    }
}
