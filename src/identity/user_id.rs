//! The ids of users who sign in through a provider (`mobile-apps.md` 4.7):
//!
//! ```text
//! salt = HMAC-SHA256(key, "fanfare user ids 1")
//! id   = "sid:" + hex(first 16 bytes of HMAC-SHA256(salt, provider + "\0" + subject))
//! ```
//!
//! `key` is the text of `mobile.auth.user_id_key`, or where that is absent of `mobile.auth.signing_key`; `provider` the
//! name of the provider's section, `subject` the provider's own unchanging id of the user (`sub` of OpenID Connect; the
//! `id` of Facebook and Twitter). So one person has one id for as long as the key stays, whatever their name or e-mail
//! becomes, on every node and in every copy of the service; nobody without the key can tell whose id it is; and two
//! providers that give the same subject never mean the same user.
//!
//! Users of an earlier service keep the ids that their rows bear by a list of them ([`KnownIds`]).

use std::collections::HashMap;

use aws_lc_rs::hmac;

use super::secret::Secret;
use super::session::is_user_id;

const SALT: &[u8] = b"fanfare user ids 1";
const PREFIX: &str = "sid:";
/// Bytes of an id: 32 hexadecimal digits, which every consumer takes, tags of notification hubs among them.
const LENGTH: usize = 16;

/// Ids that users have already, by provider and subject. As JSON: `{"google": {"SUBJECT": "sid:…"}}`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KnownIds(HashMap<String, HashMap<String, String>>);

impl KnownIds {
    /// Reads the list; the error says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known: HashMap<String, HashMap<String, String>> =
            serde_json::from_str(text).map_err(|error| error.to_string())?;
        match known.values().flat_map(HashMap::values).find(|id| !is_user_id(id)) {
            None => Ok(Self(known)),
            Some(id) => Err(format!("{id:?} is no user id: 1 to 255 bytes without control characters")),
        }
    }

    fn of(&self, provider: &str, subject: &str) -> Option<&String> {
        self.0.get(provider)?.get(subject)
    }
}

/// Makes ids.
pub struct UserIds {
    salted: hmac::Key,
    known: KnownIds,
}

impl std::fmt::Debug for UserIds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UserIds")
    }
}

impl UserIds {
    /// Ids with a salt made of the key, for those who have none yet.
    pub fn new(key: &Secret, known: KnownIds) -> Self {
        let salt = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose().as_bytes()), SALT);
        Self { salted: hmac::Key::new(hmac::HMAC_SHA256, salt.as_ref()), known }
    }

    /// The id of a provider's user. Names of providers hold no NUL, so no two pairs write the same bytes.
    pub fn of(&self, provider: &str, subject: &str) -> String {
        if let Some(known) = self.known.of(provider, subject) {
            return known.clone();
        }
        let mut context = hmac::Context::with_key(&self.salted);
        context.update(provider.as_bytes());
        context.update(&[0]);
        context.update(subject.as_bytes());
        format!("{PREFIX}{}", hex::encode(&context.sign().as_ref()[..LENGTH]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(key: &str) -> UserIds {
        UserIds::new(&Secret::new(key), KnownIds::default())
    }

    /// The function is a promise: apps' rows bear these ids. Computed apart from this code, with Python's `hmac`.
    #[test]
    fn an_id_is_what_the_page_says() {
        assert_eq!(ids("0011, as text").of("google", "110169484474386276334"), "sid:6799d9f83d5f004b02481ab1b344ca0e");
        assert_eq!(ids("0011, as text").of("aad", "ünï"), "sid:584e687a6e9a464f22021844e1cf342f");
    }

    #[test]
    fn who_has_an_id_keeps_it() {
        let known = KnownIds::parse(r#"{"google": {"42": "sid:old"}, "aad": {}}"#).unwrap();
        let listed = UserIds::new(&Secret::new("key"), known);
        assert_eq!(listed.of("google", "42"), "sid:old");
        for (provider, subject) in [("google", "43"), ("aad", "42"), ("twitter", "42")] {
            assert_eq!(listed.of(provider, subject), ids("key").of(provider, subject));
        }
        for bad in ["", "[]", r#"{"google": "42"}"#, r#"{"google": {"42": ""}}"#, r#"{"google": {"42": "a\nb"}}"#] {
            assert!(KnownIds::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn ids_differ_by_provider_subject_and_key() {
        let own = ids("key").of("google", "42");
        assert!(own.len() == 36 && own[4..].bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')), "{own}");
        assert_eq!(ids("key").of("google", "42"), own);
        for other in [
            ids("key").of("aad", "42"),
            ids("key").of("google", "43"),
            ids("yek").of("google", "42"),
            ids("key").of("google4", "2"),
        ] {
            assert_ne!(other, own);
        }
    }
}
