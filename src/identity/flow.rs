//! A sign-in that is under way at a provider, and one that waits for its app to fetch the session.
//!
//! What must be known when the browser comes back travels with the browser, in a cookie that is sealed with a key made of
//! the signing key: so any node can go on, nothing is written for whoever merely begins, and the provider's answer counts
//! only in the browser that began (a link that brings another one's answer along signs nobody in). The `state` that
//! goes through the provider is a random word that the cookie repeats. It is good for a quarter of an hour and, by a mark
//! in the store, once.
//!
//! What waits for its app (`mobile-apps.md` 4.6) is kept in the store under the hash of its code, sealed likewise.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::secret::Secret;
use super::secrets::{Vault, VaultError};
use super::session::Profile;
use crate::model::time::Timestamp;

/// For so long a browser may be at the provider.
pub const AT_PROVIDER: Duration = Duration::from_mins(15);
/// For so long a code may be changed for a session.
pub const CODE_LIFE: Duration = Duration::from_mins(5);

/// What the seals are bound to.
const OWNER: &str = "mobile.auth";
const KEY: &[u8] = b"fanfare sign-in under way 1";

/// How the app gets its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// As a token in the fragment of the end's address.
    Token,
    /// As a cookie.
    Cookie,
}

/// How a page that opened the sign-in as a window of its own is told (4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Completion {
    PostMessage,
    Iframe,
}

/// Where a sign-in ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    #[serde(rename = "m")]
    pub mode: Mode,
    /// An allowed address; without one our own page.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The app's PKCE challenge: then it gets a code and no session.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub challenge: Option<String>,
    /// The page that waits, and how it is told.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub page: Option<(Completion, String)>,
}

/// What a provider's part of the code wants to find again.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    #[serde(rename = "n", default, skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    /// Our PKCE verifier, or the secret of Twitter's request token.
    #[serde(rename = "v", default, skip_serializing_if = "String::is_empty")]
    pub verifier: String,
}

/// A sign-in under way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flow {
    #[serde(rename = "i")]
    pub provider: String,
    #[serde(rename = "s")]
    pub state: String,
    /// Where the provider sends the browser back to.
    #[serde(rename = "r")]
    pub redirect_uri: String,
    #[serde(rename = "k")]
    pub kept: Kept,
    #[serde(rename = "e")]
    pub end: End,
    /// Milliseconds since 1970.
    #[serde(rename = "x")]
    pub expires: i64,
}

/// Whom a code stands for.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    pub sub: String,
    pub provider: String,
    pub profile: Profile,
    pub challenge: String,
    /// When they signed in, in milliseconds since 1970: the session that the code is changed for began then.
    pub began: i64,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept(***)")
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow").field("provider", &self.provider).field("expires", &self.expires).finish_non_exhaustive()
    }
}

impl fmt::Debug for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Waiting").field("provider", &self.provider).finish_non_exhaustive()
    }
}

/// Seals and opens both.
#[derive(Debug)]
pub struct Seals(Vault);

impl Seals {
    /// Seals with a key made of the signing key.
    pub fn new(signing_key: &Secret) -> Result<Self, VaultError> {
        let key = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, signing_key.expose().as_bytes()), KEY);
        Vault::from_texts(&Secret::new(hex::encode(key)), &[]).map(Self)
    }

    /// A flow as it travels.
    pub fn seal_flow(&self, flow: &Flow) -> Option<Vec<u8>> {
        self.seal("flow", flow)
    }

    /// The flow of a cookie, if it is ours, of this state and provider, and in time.
    pub fn open_flow(&self, sealed: &[u8], state: &str, provider: &str, now: Timestamp) -> Option<Flow> {
        use subtle::ConstantTimeEq as _;
        let flow: Flow = self.open("flow", sealed)?;
        let is_its = flow.state.as_bytes().ct_eq(state.as_bytes()).into() && flow.provider == provider;
        (is_its && now.millis() < flow.expires).then_some(flow)
    }

    /// Whom a code stands for, as it is stored.
    pub fn seal_waiting(&self, waiting: &Waiting) -> Option<Vec<u8>> {
        self.seal("code", waiting)
    }

    pub fn open_waiting(&self, sealed: &[u8]) -> Option<Waiting> {
        self.open("code", sealed)
    }

    fn seal(&self, what: &str, content: &impl Serialize) -> Option<Vec<u8>> {
        self.0.seal(OWNER, what, &serde_json::to_vec(content).ok()?).ok()
    }

    fn open<T: DeserializeOwned>(&self, what: &str, sealed: &[u8]) -> Option<T> {
        serde_json::from_slice(&self.0.open_sealed(OWNER, what, sealed).ok()?).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn flow() -> Flow {
        Flow {
            provider: "google".to_owned(),
            state: "a-state".to_owned(),
            redirect_uri: "https://api.example.com/.auth/login/google/callback".to_owned(),
            kept: Kept { nonce: "n".to_owned(), verifier: "v".to_owned() },
            end: End {
                mode: Mode::Token,
                target: Some("myapp://easyauth.callback".to_owned()),
                challenge: None,
                page: Some((Completion::PostMessage, "https://app.example.com".to_owned())),
            },
            expires: NOW.plus(AT_PROVIDER).millis(),
        }
    }

    fn seals(key: &str) -> Seals {
        Seals::new(&Secret::new(key)).unwrap()
    }

    #[test]
    fn a_flow_is_opened_by_any_node_for_its_state_provider_and_time() {
        let sealed = seals("key").seal_flow(&flow()).unwrap();
        let open = |key: &str, state: &str, provider: &str, now| seals(key).open_flow(&sealed, state, provider, now);
        assert_eq!(open("key", "a-state", "google", NOW), Some(flow()));
        assert_eq!(open("key", "other", "google", NOW), None);
        assert_eq!(open("key", "", "google", NOW), None);
        assert_eq!(open("key", "a-state", "aad", NOW), None, "providers are not mixed up");
        assert_eq!(open("other", "a-state", "google", NOW), None);
        assert_eq!(open("key", "a-state", "google", NOW.plus(AT_PROVIDER)), None);
    }

    /// A browser sends all its cookies with each request, and servers on the way bound their headers.
    #[test]
    fn the_flows_of_a_browser_fit_a_request() {
        let mut flow = flow();
        flow.end.target = Some(format!("https://app.example.com/{}", "a".repeat(1_000)));
        flow.end.challenge = Some("c".repeat(43));
        flow.end.page = None;
        for word in [&mut flow.state, &mut flow.kept.nonce, &mut flow.kept.verifier] {
            *word = "w".repeat(43);
        }
        let cookie = seals("key").seal_flow(&flow).unwrap().len().div_ceil(3) * 4;
        assert!(3 * cookie < 7_000, "{cookie}");
    }

    #[test]
    fn secrets_are_not_printed() {
        let shown = format!("{:?} {:?}", flow(), flow().kept);
        assert!(!shown.contains("a-state") && !shown.contains("\"v\""), "{shown}");
    }

    #[test]
    fn a_changed_byte_is_noticed_and_a_code_is_no_flow() {
        let sealed = seals("key").seal_flow(&flow()).unwrap();
        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            assert_eq!(seals("key").open_flow(&bent, "a-state", "google", NOW), None, "byte {at}");
        }
        let waiting = Waiting {
            sub: "sid:00".to_owned(),
            provider: "google".to_owned(),
            profile: Profile::default(),
            challenge: "c".to_owned(),
            began: NOW.millis(),
        };
        let code = seals("key").seal_waiting(&waiting).unwrap();
        assert_eq!(seals("key").open_waiting(&code), Some(waiting));
        assert_eq!(seals("key").open_waiting(&sealed), None);
        assert_eq!(seals("key").open_flow(&code, "a-state", "google", NOW), None);
    }
}
