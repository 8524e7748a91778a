//! Providers: those who know who somebody is (`mobile-apps.md` 4.2 – 4.4).
//!
//! - [`openid`](self): any OpenID Connect provider by its issuer, with presets for `aad`, `apple`, `google` and
//!   `microsoftaccount`; `keys` and `claims` are what its tokens are held to, `client_secret` is what we show it.
//! - `facebook`, `twitter` (with [`oauth1`]): as they need.
//! - `bearer`: a token of theirs in the place of a session.
//! - `web`, `cached`: how they are asked, and how often.
//! - `identity`, `error`: what comes of it.
//!
//! Each does three things: [`Provider::begin`] a sign-in in a browser, [`Provider::finish`] it, and [`Provider::check`] a
//! token that an app got by itself. What all three must prove is that the provider means *this* user, *for this app*.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value as Json};

use super::flow::Kept;
use super::secret::Secret;
use crate::clock::SharedClock;
use crate::model::field::FieldError;

mod bearer;
mod cached;
mod claims;
mod client_secret;
mod error;
mod facebook;
mod identity;
mod keys;
pub mod oauth1;
mod openid;
mod twitter;
mod web;

pub use bearer::Bearer;
pub use error::ProviderError;
pub use identity::{Claim, Identity, Tokens};

use facebook::Facebook;
use openid::OpenId;
use twitter::Twitter;

/// What the operator says of a provider.
#[derive(Clone, Debug)]
pub struct Settings {
    pub issuer: Option<String>,
    pub client_id: String,
    pub client_secret: Option<Secret>,
    /// Team and key whose secrets we sign ourselves: Apple's.
    pub signer: Option<(String, String)>,
    /// Client ids of the same app's other parts.
    pub audiences: Vec<String>,
    /// Instead of the usual ones.
    pub scopes: Option<Vec<String>>,
    /// PEM roots that are trusted besides the public ones.
    pub ca_pem: Option<String>,
}

/// Parameters of a request. A name that comes twice is as if it did not come: each reader would take another one.
#[derive(Clone, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    /// Of a query string or a form.
    pub fn parse(text: &[u8]) -> Self {
        Self(form_urlencoded::parse(text).into_owned().collect())
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.0.iter().filter(|(known, _)| known == name);
        let only = found.next()?;
        found.next().is_none().then_some(only.1.as_str())
    }

    /// Whether the name comes at all, with a value or without, once or more often.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|(known, _)| known == name)
    }
}

impl fmt::Debug for Params {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}

/// A sign-in that is to begin.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// Where the provider sends the browser back to.
    pub redirect_uri: &'a str,
    /// Of the caller.
    pub params: &'a Params,
}

/// A sign-in that began.
pub struct Started {
    /// Where the browser goes.
    pub location: String,
    /// The word by which it comes back.
    pub state: String,
    pub kept: Kept,
}

impl fmt::Debug for Started {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Started(***)")
    }
}

/// A browser that came back.
#[derive(Clone, Copy, Debug)]
pub struct Returned<'a> {
    pub redirect_uri: &'a str,
    pub state: &'a str,
    pub kept: &'a Kept,
    pub params: &'a Params,
}

impl Params {
    /// The word by which a browser comes back: `state`; from Twitter the request token, from there also when its user
    /// said no.
    pub fn state(&self) -> Option<&str> {
        ["state", "oauth_token", "denied"].iter().find_map(|name| self.get(name)).filter(|state| !state.is_empty())
    }

    /// The word with which a provider sends a browser back without a code.
    pub fn refusal(&self) -> Option<ProviderError> {
        if self.get("denied").is_some() {
            return Some(ProviderError::Said("access_denied".to_owned()));
        }
        let word = self.get("error")?;
        let is_word =
            (1..=64).contains(&word.len()) && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        Some(ProviderError::Said(if is_word { word } else { "error" }.to_owned()))
    }
}

/// What is known of a provider by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Preset {
    Aad,
    Apple,
    Google,
    Microsoft,
    Other,
}

impl Preset {
    fn of(name: &str) -> Self {
        match name {
            "aad" => Self::Aad,
            "apple" => Self::Apple,
            "google" => Self::Google,
            "microsoftaccount" => Self::Microsoft,
            _ => Self::Other,
        }
    }

    /// Claims that name the app which a token was given to.
    fn parties(self) -> &'static [&'static str] {
        match self {
            // Access tokens of many that know no `azp`.
            Self::Other => &["azp", "appid", "client_id", "cid"],
            // Microsoft's older access tokens have `appid`.
            _ => &["azp", "appid"],
        }
    }

    fn is_microsoft(self) -> bool {
        matches!(self, Self::Aad | Self::Microsoft)
    }

    fn issuer(self) -> Option<&'static str> {
        match self {
            // Every directory's people; name one's own to let no others in.
            Self::Aad => Some("https://login.microsoftonline.com/organizations/v2.0"),
            Self::Apple => Some("https://appleid.apple.com"),
            Self::Google => Some("https://accounts.google.com"),
            // The directory of all personal accounts.
            Self::Microsoft => Some("https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0"),
            Self::Other => None,
        }
    }

    fn scopes(self) -> &'static [&'static str] {
        match self {
            // Asked for more, Apple comes back by a POST and tells name and address once.
            Self::Apple => &[],
            _ => &["openid", "profile", "email"],
        }
    }

    /// Members of an app's request that may hold the token (4.3), best first.
    fn tokens(self) -> &'static [&'static str] {
        match self {
            Self::Aad | Self::Other => &["id_token", "access_token"],
            Self::Apple | Self::Google => &["id_token"],
            Self::Microsoft => &["authentication_token", "id_token", "access_token"],
        }
    }
}

#[derive(Debug)]
enum Kind {
    OpenId(Box<OpenId>),
    Facebook(Box<Facebook>),
    Twitter(Box<Twitter>),
}

/// A provider that is configured.
#[derive(Debug)]
pub struct Provider {
    /// As paths and tokens have it.
    pub name: String,
    /// What its tokens say who made them, without a slash at its end, where they stand for their users by themselves.
    bearers: Option<String>,
    kind: Kind,
}

impl Provider {
    /// Ready to be asked; nobody is contacted yet. The error's field is that of the provider's section.
    pub fn new(name: &str, settings: &Settings, clock: SharedClock) -> Result<Self, FieldError> {
        let kind = match name {
            "facebook" => Kind::Facebook(Box::new(Facebook::new(settings, clock)?)),
            "twitter" => Kind::Twitter(Box::new(Twitter::new(settings, clock)?)),
            other => Kind::OpenId(Box::new(OpenId::new(Preset::of(other), settings, clock)?)),
        };
        Ok(Self { name: name.to_owned(), bearers: None, kind })
    }

    /// The same, whose tokens stand for their users by themselves ([`Provider::bearer`]). Those of Facebook and Twitter,
    /// which nobody else can read, do not.
    #[must_use]
    pub fn with_bearers(self, settings: &Settings) -> Self {
        let issuer = settings.issuer.as_deref().or(Preset::of(&self.name).issuer());
        let bearers = issuer.map(|issuer| issuer.trim_end_matches('/').to_owned());
        Self { bearers: bearers.filter(|_| matches!(self.kind, Kind::OpenId(_))), ..self }
    }

    /// Whether the browser comes back by a POST from the provider's pages.
    pub fn posts_back(&self) -> bool {
        matches!(&self.kind, Kind::OpenId(openid) if openid.posts_back())
    }

    /// Begins a sign-in in a browser.
    pub async fn begin(&self, asked: &Asked<'_>) -> Result<Started, ProviderError> {
        match &self.kind {
            Kind::OpenId(openid) => openid.begin(asked).await,
            Kind::Facebook(facebook) => facebook.begin(asked),
            Kind::Twitter(twitter) => twitter.begin(asked).await,
        }
    }

    /// Who came back.
    pub async fn finish(&self, returned: &Returned<'_>) -> Result<Identity, ProviderError> {
        if let Some(refusal) = returned.params.refusal() {
            return Err(refusal);
        }
        match &self.kind {
            Kind::OpenId(openid) => openid.finish(returned).await,
            Kind::Facebook(facebook) => facebook.finish(returned).await,
            Kind::Twitter(twitter) => twitter.finish(returned).await,
        }
    }

    /// Whose token an app shows (4.3).
    pub async fn check(&self, body: &Map<String, Json>) -> Result<Identity, ProviderError> {
        match &self.kind {
            Kind::OpenId(openid) => openid.check(body).await,
            Kind::Facebook(facebook) => facebook.check(body).await,
            Kind::Twitter(twitter) => twitter.check(body).await,
        }
    }

    /// Fresh tokens of the provider for those that it gave; `None` where there is nothing to renew.
    pub async fn renew(&self, tokens: &Tokens) -> Result<Option<Tokens>, ProviderError> {
        match &self.kind {
            Kind::OpenId(openid) => openid.renew(tokens).await,
            Kind::Facebook(_) | Kind::Twitter(_) => Ok(None),
        }
    }
}

/// The providers of a configuration, by name.
#[derive(Debug, Default)]
pub struct Providers(pub BTreeMap<String, Provider>);

impl Providers {
    /// The provider of a path. The older name of `aad` is understood in any case (4.2).
    pub fn find(&self, name: &str) -> Option<&Provider> {
        let name = name.to_ascii_lowercase();
        self.0.get(if name == "windowsazureactivedirectory" { "aad" } else { &name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_does_not_come() {
        let params = Params::parse(b"state=a&code=x&code=y&empty=");
        assert_eq!((params.get("state"), params.get("code"), params.get("none")), (Some("a"), None, None));
        assert_eq!(params.state(), Some("a"));
        assert_eq!(Params::parse(b"state=").state(), None);
        assert_eq!(Params::parse(b"oauth_token=t&oauth_verifier=v").state(), Some("t"));
    }

    #[test]
    fn a_providers_word_is_a_word() {
        let said = |text: &str| Params::parse(text.as_bytes()).refusal().map(|error| error.to_string());
        assert_eq!(said("error=access_denied").as_deref(), Some("the provider says access_denied"));
        assert_eq!(said("error=%3Cscript%3E").as_deref(), Some("the provider says error"));
        assert_eq!(said("denied=t").as_deref(), Some("the provider says access_denied"));
        assert_eq!(said("code=x"), None);
    }
}
