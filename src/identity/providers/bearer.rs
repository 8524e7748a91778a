//! A provider's own token in the place of a session (`mobile-apps.md` 4.11): apps of the newer client libraries show
//! `Authorization: Bearer TOKEN` with each request, as their provider gave it. Only of a provider whose section says so:
//! such a token passes more hands than a session's, and cannot be ended here one by one.
//!
//! Each time it is held to what a token is held to that an app changes for a session (4.3), so whoever may come this way
//! may come that way. It is one that the provider signed: what only the provider can read (Facebook's, Twitter's) is none.

use jsonwebtoken::Algorithm;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::{Identity, Preset, Provider, ProviderError, Providers};
use crate::identity::jwt::{self, NumericDate};
use crate::model::time::Timestamp;

/// Issuer of Microsoft's older tokens, before the directory's id.
const OLDER: &str = "https://sts.windows.net/";

/// Who shows a provider's token.
#[derive(Debug)]
pub struct Bearer {
    pub identity: Identity,
    /// When the provider made the token.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// What a token says before its signature is looked at.
#[derive(Deserialize)]
struct Says {
    iss: String,
}

/// What it says when it was; both stand in every token that a provider's part takes.
#[derive(Deserialize)]
struct Times {
    iat: NumericDate,
    exp: NumericDate,
}

impl Providers {
    /// The providers one of which made this token, if it is one of theirs: those that it names, the best first. None for a
    /// token of another kind, such as a session's, which is signed with a shared key.
    pub fn of_token(&self, token: &str) -> Vec<&Provider> {
        let is_session = |algorithm| matches!(algorithm, Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512);
        let is_signed = token.len() <= jwt::LONGEST
            && jsonwebtoken::decode_header(token).is_ok_and(|header| !is_session(header.alg));
        let Some(says) = is_signed.then(|| jwt::unproven::<Says>(token)).flatten() else { return Vec::new() };
        let mut found: Vec<_> = self.0.values().filter(|provider| provider.may_have_made(&says.iss)).collect();
        found.sort_by_key(|provider| !provider.is_issuer(&says.iss));
        found
    }
}

impl Provider {
    /// Who shows this token of the provider's.
    pub async fn bearer(&self, token: &str) -> Result<Bearer, ProviderError> {
        let shown: Map<String, Json> = [("id_token".to_owned(), Json::from(token))].into_iter().collect();
        let identity = self.check(&shown).await?;
        let times = jwt::unproven::<Times>(token).ok_or(ProviderError::Refused("the token's times cannot be read"))?;
        let (issued, expires) = (times.iat.millis(), times.exp.millis());
        Ok(Bearer { identity, issued: Timestamp::from_millis(issued), expires: Timestamp::from_millis(expires) })
    }

    fn is_issuer(&self, said: &str) -> bool {
        self.bearers.as_deref() == Some(said.trim_end_matches('/'))
    }

    /// Whether a token that says it is of this issuer is worth a look at the provider's keys.
    fn may_have_made(&self, said: &str) -> bool {
        let Some(issuer) = &self.bearers else { return false };
        let host = |url: &str| url.split_once("://").and_then(|(_, rest)| rest.split('/').next()).map(str::to_owned);
        let bare = issuer.trim_start_matches("https://");
        match Preset::of(&self.name) {
            // Each directory's tokens have an issuer of their own.
            Preset::Aad | Preset::Microsoft => host(said) == host(issuer) || said.starts_with(OLDER),
            Preset::Google => self.is_issuer(said) || said == bare,
            Preset::Apple | Preset::Other => self.is_issuer(said),
        }
    }
}
