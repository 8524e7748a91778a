//! `/.auth`: sign-in (`mobile-apps.md` section 4).
//!
//! ```text
//! browser   GET login/{provider} ─302─▶ provider ─302─▶ callback ─302─▶ end: #token=…, #authorization_code=…, a cookie
//! app       POST login/{provider} {id_token …} ─▶ {"authenticationToken", "user"}
//! app       GET login/{provider}/token?authorization_code&code_verifier ─▶ the same
//! session   refresh, me, logout
//! ```
//!
//! - [`begin`], [`callback`], [`end`]: a browser's way through a provider; [`cookie`] is what ties it to that browser.
//! - [`client`]: an app that has a provider's token, or one of ours.
//! - [`exchange`]: the code that an app gets in the place of a session, and changes for one.
//! - [`bearer`]: an app that shows a provider's token with each request.
//! - [`session`]: what a session's owner may ask; [`tokens`]: the providers' own tokens, kept for them.
//! - [`pages`]: what a browser sees at the end.
//!
//! Who somebody is, is proven to [`crate::identity::providers`]; what a session is, stands in
//! [`crate::identity::session`].

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{FromRequestParts, RawPathParams};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use serde::Serialize;

use super::super::Route;
use super::Mobile;
use super::here::Here;
use super::refusal::{JSON, Refused};
use crate::api::App;
use crate::clock::SharedClock;
use crate::config::{AuthConfig, ConfigError, ProviderConfig, SessionMode};
use crate::identity::flow::{Mode, Seals};
use crate::identity::providers::{Identity, Params, Provider, ProviderError, Providers, Settings};
use crate::identity::redirect::{self, Allowed};
use crate::identity::secrets::{Vault, VaultError};
use crate::identity::session::{Sessions, User};
use crate::identity::user_id::{KnownIds, UserIds};

pub(super) mod bearer;
mod begin;
mod callback;
mod client;
pub(super) mod cookie;
mod end;
mod exchange;
mod pages;
mod session;
mod tokens;

const REFERRER: HeaderName = HeaderName::from_static("referrer-policy");

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/.auth/login", post(client::existing)),
        ("/.auth/login/{provider}", get(begin::begin).post(client::login)),
        ("/.auth/login/{provider}/callback", get(callback::by_get).post(callback::by_post)),
        ("/.auth/login/{provider}/token", get(exchange::exchange)),
        ("/.auth/login/done", get(pages::done)),
        ("/.auth/login/complete", get(pages::complete)),
        ("/.auth/login/iframereceiver", get(pages::receiver)),
        ("/.auth/refresh", get(session::refresh)),
        ("/.auth/me", get(session::me)),
        ("/.auth/logout", get(session::logout)),
        ("/.auth/logout/done", get(pages::logged_out)),
        ("/.auth/logout/complete", get(pages::logged_out)),
    ]
}

/// Sessions are kept by nobody on the way, and no page that is linked from ours learns where it was linked.
pub(super) fn uncached(headers: &mut HeaderMap) {
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::PRAGMA, HeaderValue::from_static("no-cache"));
    headers.insert(REFERRER, HeaderValue::from_static("no-referrer"));
}

/// What sign-in has at hand.
#[derive(Debug)]
pub struct SignIn {
    pub sessions: Sessions,
    providers: Providers,
    ids: UserIds,
    seals: Seals,
    /// Seals the providers' own tokens at rest.
    vault: Vault,
    redirects: Vec<Allowed>,
    mode: Mode,
}

/// Sign-in cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl SignIn {
    /// Sign-in as configured. Nobody is contacted before somebody signs in.
    pub fn new(auth: &AuthConfig, vault: Vault, clock: &SharedClock) -> Result<Self, SetupError> {
        for key in auth.short_keys() {
            tracing::warn!("mobile.auth.{key} is shorter than 32 bytes: whoever guesses it is anyone they like");
        }
        let hours = |hours: u32| Duration::from_hours(u64::from(hours));
        let (life, most) = (hours(auth.session_hours), hours(auth.session_max_hours));
        let mut providers = Providers::default();
        for (name, config) in &auth.providers {
            let refused = |field: &str, rule: String| {
                let key = format!("mobile.auth.providers.{name}.{field}");
                ConfigError { key, rule, got: "a section".to_owned() }
            };
            let settings = settings(config).map_err(|why| refused("ca_file", why))?;
            let provider = Provider::new(name, &settings, clock.clone());
            let provider = provider.map_err(|error| refused(&error.field, error.rule.into_owned()))?;
            let provider = if config.bearer { provider.with_bearers(&settings) } else { provider };
            providers.0.insert(name.clone(), provider);
        }
        Ok(Self {
            sessions: Sessions::new(&auth.signing_key, &auth.audience, &auth.issuer, life).at_most(most),
            providers,
            ids: UserIds::new(auth.user_id_key.as_ref().unwrap_or(&auth.signing_key), known_ids(auth)?),
            seals: Seals::new(&auth.signing_key)?,
            vault,
            redirects: auth.allowed_redirects.clone(),
            mode: match auth.session_mode {
                SessionMode::Token => Mode::Token,
                SessionMode::Cookie => Mode::Cookie,
            },
        })
    }
}

/// The list of ids that users have already.
fn known_ids(auth: &AuthConfig) -> Result<KnownIds, ConfigError> {
    let Some(file) = &auth.user_ids_file else { return Ok(KnownIds::default()) };
    let read = std::fs::read_to_string(file).map_err(|error| error.to_string());
    read.and_then(|text| KnownIds::parse(&text)).map_err(|why| ConfigError {
        key: "mobile.auth.user_ids_file".to_owned(),
        rule: format!("must name a file of ids by provider and subject; {why}"),
        got: file.display().to_string(),
    })
}

fn settings(config: &ProviderConfig) -> Result<Settings, String> {
    let read = |path: &std::path::PathBuf| std::fs::read_to_string(path);
    let ca_pem = config.ca_file.as_ref().map(read).transpose();
    Ok(Settings {
        issuer: config.issuer.as_ref().map(|issuer| issuer.expose().to_owned()),
        client_id: config.client_id.clone(),
        client_secret: config.client_secret.clone(),
        signer: config.team_id.clone().zip(config.key_id.clone()),
        audiences: config.audiences.clone(),
        scopes: config.scopes.clone(),
        ca_pem: ca_pem.map_err(|error| format!("must name a readable file; {error}"))?,
    })
}

/// A request to `/.auth`.
struct Ask {
    app: Arc<App>,
    mobile: Arc<Mobile>,
    here: Here,
    /// Of the query.
    params: Params,
    headers: HeaderMap,
    /// What the path names as provider.
    named: Option<String>,
}

impl FromRequestParts<Arc<App>> for Ask {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let mobile = app.mobile.clone().ok_or_else(Refused::no_route)?;
        let params = RawPathParams::from_request_parts(parts, app).await.ok();
        let named = params.as_ref().and_then(|params| params.iter().find(|(name, _)| *name == "provider"));
        let named = named.map(|(_, value)| value.to_owned());
        let here = Here::from_request_parts(parts, app).await?;
        let params = Params::parse(parts.uri.query().unwrap_or_default().as_bytes());
        Ok(Self { app: app.clone(), mobile, here, params, headers: parts.headers.clone(), named })
    }
}

impl Ask {
    fn sign_in(&self) -> Result<&SignIn, Refused> {
        self.mobile.sign_in.as_ref().ok_or_else(|| Refused::not_found("nobody can sign in here: mobile.auth is absent"))
    }

    /// The provider of the path.
    fn provider(&self) -> Result<&Provider, Refused> {
        let found = self.sign_in()?.providers.find(self.named.as_deref().unwrap_or_default());
        found.ok_or_else(|| Refused::not_found("the sign-in provider is not configured here"))
    }

    /// A parameter that is there and not empty.
    fn param(&self, name: &str) -> Option<&str> {
        self.params.get(name).filter(|value| !value.is_empty())
    }

    /// Whether a browser may be sent there.
    fn allows(&self, target: &str) -> bool {
        let list = self.mobile.sign_in.as_ref().map_or(&[][..], |sign_in| &sign_in.redirects);
        redirect::is_allowed(target, &self.here.0, list)
    }

    /// Whether a session may be handed to pages of this origin (4.5): those that may call, where they are named and not
    /// just anybody, and those that a browser may be sent to.
    fn allows_page(&self, origin: &str) -> bool {
        let list = self.mobile.sign_in.as_ref().map_or(&[][..], |sign_in| &sign_in.redirects);
        let is_known =
            || self.mobile.cors.names(origin) || redirect::names_origin(origin, list) || origin == self.here.0;
        redirect::is_page_origin(origin) && is_known()
    }

    /// Begins the session of somebody who proved who they are, and keeps what the provider gave along.
    async fn welcome(&self, provider: &Provider, identity: Identity) -> Result<(User, String), Refused> {
        let sign_in = self.sign_in()?;
        let sub = sign_in.ids.of(&provider.name, &identity.subject);
        let begun = sign_in.sessions.begin(&sub, &provider.name, identity.profile, self.app.clock.now());
        let (user, token) = begun.ok_or_else(Refused::unable)?;
        tokens::keep(self, &user.sub, &user.provider, &identity.tokens).await?;
        Ok((user, token))
    }
}

/// What a provider did not do, logged where it is the provider's doing.
fn failed(provider: &Provider, error: ProviderError) -> Refused {
    match &error {
        ProviderError::Away(_) => tracing::warn!(provider = provider.name, %error, "nobody can sign in"),
        error => tracing::debug!(provider = provider.name, %error, "a sign-in was refused"),
    }
    error.into()
}

/// A session as every client reads it (4.3).
#[derive(Serialize)]
struct SessionBody<'a> {
    #[serde(rename = "authenticationToken")]
    token: &'a str,
    user: UserBody<'a>,
}

#[derive(Serialize)]
struct UserBody<'a> {
    #[serde(rename = "userId")]
    id: &'a str,
}

/// Its text.
fn session_text(user: &User, token: &str) -> String {
    let body = SessionBody { token, user: UserBody { id: &user.sub } };
    // Two texts can always be written.
    serde_json::to_string(&body).unwrap_or_default()
}

fn session_answer(user: &User, token: &str) -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, JSON)], session_text(user, token)).into_response()
}

/// 302; an address that cannot stand in a header is a fault of ours: all of them are checked or encoded.
fn redirect_to(location: &str) -> Result<Response, Refused> {
    let value = HeaderValue::from_str(location).map_err(|_| Refused::unable())?;
    Ok((StatusCode::FOUND, [(header::LOCATION, value)]).into_response())
}

/// The same to somebody who is not trusted with sessions. It leaves with a fragment: a browser hands on the one that it
/// came with where there is no other (RFC 9110 section 10.2.2), and that may be a session.
fn redirect_abroad(location: &str) -> Result<Response, Refused> {
    let fragment = if location.contains('#') { "" } else { "#_" };
    redirect_to(&format!("{location}{fragment}"))
}

impl From<ProviderError> for Refused {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::Field(error) => error.into(),
            ProviderError::Refused(_) | ProviderError::Said(_) => Self::unauthorised(error.to_string()),
            ProviderError::Ended => Self::forbidden(error.to_string()),
            ProviderError::Away(_) | ProviderError::Spared(_) => Self::away(error.to_string()),
        }
    }
}
