//! A provider that speaks OpenID Connect, known by its issuer.
//!
//! ```text
//! begin   authorization endpoint, with state, nonce and a PKCE challenge
//! finish  code ─▶ token endpoint ─▶ ID token: signature, iss, aud, azp, exp, nbf, iat, nonce
//! check   a token that an app got by itself: the same without nonce
//! ```
//!
//! What is taken is always a token that the provider signed for this app. An access token that only the provider can read
//! is none: that it opens the provider's user page does not say which app it was given to, so whoever runs another app
//! could sign in here as any of their users.
//!
//! - `begin`, `finish` and `check` (here), `renew`: what a provider does.
//! - `signed_token`, `issuer`: which tokens are taken.
//! - `metadata`, `token_endpoint`: what the provider is asked for.

use serde_json::{Map, Value as Json};

use super::cached::Cached;
use super::claims::Claims;
use super::client_secret::ClientSecret;
use super::error::ProviderError;
use super::identity::{Identity, Tokens};
use super::keys::KeySet;
use super::web::Web;
use super::{Preset, Returned, Settings};
use crate::clock::SharedClock;
use crate::identity::jwt;
use crate::identity::session::Profile;
use crate::model::field::FieldError;

mod begin;
mod issuer;
mod metadata;
mod renew;
mod signed_token;
mod token_endpoint;

use issuer::Issuer;
use metadata::Metadata;
use token_endpoint::{UNKNOWN, end_of, granted, refusal};

/// One app's way to such a provider.
#[derive(Debug)]
pub(super) struct OpenId {
    preset: Preset,
    issuer: Issuer,
    client_id: String,
    secret: ClientSecret,
    /// The client id, and those of the same app's other parts.
    ours: Vec<String>,
    scopes: Vec<String>,
    web: Web,
    documents: Cached<Metadata>,
    keys: Cached<KeySet>,
    clock: SharedClock,
}

impl OpenId {
    pub(super) fn new(preset: Preset, settings: &Settings, clock: SharedClock) -> Result<Self, FieldError> {
        let issuer = Issuer::new(preset, settings.issuer.as_deref())?;
        let secret = match (&settings.client_secret, &settings.signer) {
            (None, _) => ClientSecret::None,
            (Some(text), None) => ClientSecret::Text(text.clone()),
            (Some(key), Some((team_id, key_id))) => ClientSecret::apple(team_id, key_id, key)?,
        };
        let mut ours = vec![settings.client_id.clone()];
        ours.extend(settings.audiences.iter().cloned());
        let usual = || preset.scopes().iter().map(|scope| (*scope).to_owned()).collect();
        Ok(Self {
            preset,
            web: Web::new(issuer.url(), settings.ca_pem.as_deref())?,
            issuer,
            client_id: settings.client_id.clone(),
            secret,
            ours,
            scopes: settings.scopes.clone().unwrap_or_else(usual),
            documents: Cached::new(clock.clone()),
            keys: Cached::new(clock.clone()),
            clock,
        })
    }

    /// Whether the provider comes back with a POST from its own pages: Apple does where it is asked for anything.
    pub(super) fn posts_back(&self) -> bool {
        self.preset == Preset::Apple && !self.scopes.is_empty()
    }

    /// Who came back with the browser.
    pub(super) async fn finish(&self, returned: &Returned<'_>) -> Result<Identity, ProviderError> {
        let code = returned.params.get("code").filter(|code| !code.is_empty());
        let code = code.ok_or(ProviderError::Refused("the provider gave no code"))?;
        let metadata = self.metadata().await?;
        let metadata = &metadata.value;
        if let Some(said) = returned.params.get("iss") {
            self.issuer.check_answer(&metadata.issuer, said)?;
        }
        let form = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", returned.redirect_uri),
            ("code_verifier", &returned.kept.verifier),
        ];
        let answer = self.ask_for_tokens(metadata, &form).await?;
        let granted = match refusal(&answer).as_deref() {
            // Ours to mend: a secret that expired, say.
            Some("invalid_client" | "unauthorized_client") => return Err(ProviderError::Away(UNKNOWN)),
            Some(_) => return Err(ProviderError::Refused("the provider does not take the code")),
            None => granted(&answer)?,
        };
        let token = granted.id_token.clone().ok_or(ProviderError::Refused("the provider gave no ID token"))?;
        let claims = self.verified(&token).await?;
        claims.check_nonce(&returned.kept.nonce)?;
        let mut identity = identity(&claims)?;
        granted.add_to(&mut identity.tokens, self.clock.now());
        Ok(identity)
    }

    /// Whose token an app shows.
    pub(super) async fn check(&self, body: &Map<String, Json>) -> Result<Identity, ProviderError> {
        let text = |name: &str| body.get(name).and_then(Json::as_str).filter(|text| !text.is_empty());
        for name in ["access_token", "id_token", "authentication_token", "refresh_token"] {
            if text(name).is_some_and(|text| text.len() > jwt::LONGEST) {
                return Err(FieldError::new(name, "must be at most 16384 bytes").into());
            }
        }
        let names = self.preset.tokens();
        let shown = names.iter().find_map(|name| text(name)).ok_or_else(|| {
            FieldError::new(names.last().copied().unwrap_or_default(), "is required: a token of the provider")
        })?;
        let claims = self.verified(shown).await?;
        let mut identity = identity(&claims)?;
        let given = |name: &str| text(name).map(str::to_owned);
        identity.tokens.access_token = given("access_token");
        identity.tokens.id_token = given("id_token");
        identity.tokens.authentication_token = given("authentication_token");
        identity.tokens.refresh_token = given("refresh_token");
        identity.tokens.unproven = true;
        identity.tokens.expires_on = end_of(body.get("expires_in").unwrap_or(&Json::Null), self.clock.now());
        Ok(identity)
    }
}

/// An e-mail address is told to the app only where the provider says that it verified it: apps know people by it.
fn identity(claims: &Claims) -> Result<Identity, ProviderError> {
    let subject = claims.subject()?.to_owned();
    let profile = Profile {
        subject: Some(subject.clone()),
        name: claims.text("name").map(str::to_owned),
        email: claims.text("email").filter(|_| claims.is_true("email_verified")).map(str::to_owned),
    };
    let tokens = Tokens { user_claims: claims.told(), ..Tokens::default() };
    Ok(Identity { subject, profile, tokens })
}
