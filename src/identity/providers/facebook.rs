//! Facebook: access tokens that only Facebook can read. So it is asked whose each is, and that it was given to this app
//! (`debug_token`): a token that a user gave to another app signs nobody in here.

use std::time::Duration;

use aws_lc_rs::hmac;
use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::claims::is_subject;
use super::error::ProviderError;
use super::identity::{Claim, Identity, Tokens};
use super::web::{Web, json, with_query};
use super::{Asked, Returned, Settings, Started};
use crate::clock::SharedClock;
use crate::gateway::requests::client::Answer;
use crate::identity::flow::Kept;
use crate::identity::pkce::random_word;
use crate::identity::secret::Secret;
use crate::identity::session::Profile;
use crate::model::field::FieldError;
use crate::model::time::Timestamp;

const GRAPH: &str = "https://graph.facebook.com";
const PAGES: &str = "https://www.facebook.com";
/// The longest token that is sent on, in bytes.
const LONGEST: usize = 1_024;
const SCOPES: &str = "public_profile,email";

#[derive(Debug)]
pub(super) struct Facebook {
    graph: String,
    pages: String,
    app_id: String,
    app_secret: Secret,
    scopes: String,
    web: Web,
    clock: SharedClock,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
}

/// What Facebook says of a token.
#[derive(Deserialize)]
struct Debugged {
    data: Debug,
}

#[derive(Deserialize)]
struct Debug {
    #[serde(default)]
    app_id: String,
    #[serde(default)]
    is_valid: bool,
    #[serde(default)]
    user_id: String,
    /// Seconds since 1970; 0 for one that does not end.
    #[serde(default)]
    expires_at: i64,
    /// `USER`; an app's or a page's own token is nobody's.
    #[serde(default, rename = "type")]
    kind: String,
}

#[derive(Deserialize)]
struct Me {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

impl Facebook {
    pub(super) fn new(settings: &Settings, clock: SharedClock) -> Result<Self, FieldError> {
        let secret = settings.client_secret.clone();
        let secret = secret.ok_or_else(|| FieldError::new("client_secret", "must be given: the app's secret"))?;
        let issuer = settings.issuer.as_deref().map(|issuer| issuer.trim_end_matches('/'));
        let graph = issuer.unwrap_or(GRAPH).to_owned();
        Ok(Self {
            web: Web::new(&graph, settings.ca_pem.as_deref())?,
            pages: issuer.unwrap_or(PAGES).to_owned(),
            graph,
            app_id: settings.client_id.clone(),
            app_secret: secret,
            scopes: settings.scopes.as_ref().map_or_else(|| SCOPES.to_owned(), |scopes| scopes.join(",")),
            clock,
        })
    }

    pub(super) fn begin(&self, asked: &Asked<'_>) -> Result<Started, ProviderError> {
        let state = random_word().ok_or(ProviderError::Away("there is no randomness here"))?;
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", self.app_id.as_str()),
            ("redirect_uri", asked.redirect_uri),
            ("state", &state),
            ("scope", &self.scopes),
        ];
        if let Some(display) = asked.params.get("display").filter(|display| display.len() < 32) {
            pairs.push(("display", display));
        }
        let location = with_query(&format!("{}/dialog/oauth", self.pages), &pairs);
        Ok(Started { location, state, kept: Kept::default() })
    }

    pub(super) async fn finish(&self, returned: &Returned<'_>) -> Result<Identity, ProviderError> {
        let code = returned.params.get("code").filter(|code| !code.is_empty());
        let code = code.ok_or(ProviderError::Refused("the provider gave no code"))?;
        let form = [
            ("client_id", self.app_id.as_str()),
            ("client_secret", self.app_secret.expose()),
            ("redirect_uri", returned.redirect_uri),
            ("code", code),
        ];
        let answer = self.web.post(&format!("{}/oauth/access_token", self.graph), &form, None).await?;
        let granted: Granted = read(&answer, "the provider does not take the code")?;
        self.whose(&granted.access_token).await
    }

    pub(super) async fn check(&self, body: &Map<String, Json>) -> Result<Identity, ProviderError> {
        let token = body.get("access_token").and_then(Json::as_str);
        let token = token.filter(|token| (1..=LONGEST).contains(&token.len()));
        self.whose(token.ok_or_else(|| FieldError::new("access_token", "is required: a token of the provider"))?).await
    }

    async fn whose(&self, token: &str) -> Result<Identity, ProviderError> {
        let own = format!("{}|{}", self.app_id, self.app_secret.expose());
        let pairs = [("input_token", token), ("access_token", own.as_str())];
        let answer = self.web.get(&with_query(&format!("{}/debug_token", self.graph), &pairs), None).await?;
        let Debug { app_id, is_valid, user_id, expires_at, kind } =
            read::<Debugged>(&answer, "the provider does not know the token")?.data;
        let now = self.clock.now();
        let ends = Timestamp::from_millis(expires_at.saturating_mul(1_000));
        if !is_valid || (expires_at != 0 && ends <= now) {
            return Err(ProviderError::Refused("the token has expired or was withdrawn"));
        }
        if app_id != self.app_id || !matches!(kind.as_str(), "" | "USER") {
            return Err(ProviderError::Refused("the token was issued for another app"));
        }
        // Proves that whoever asks with the token is this app: required by apps that say so.
        let proof =
            hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.app_secret.expose().as_bytes()), token.as_bytes());
        let proof = hex::encode(proof);
        let pairs = [("fields", "id,name,email"), ("access_token", token), ("appsecret_proof", &proof)];
        let answer = self.web.get(&with_query(&format!("{}/me", self.graph), &pairs), None).await?;
        let me: Me = read(&answer, "the provider does not say whose token it is")?;
        if me.id != user_id || !is_subject(&me.id) {
            return Err(ProviderError::Refused("the provider does not say whose token it is"));
        }
        let claims = [("id", Some(&me.id)), ("name", me.name.as_ref()), ("email", me.email.as_ref())];
        let claim = |(typ, val): (&str, Option<&String>)| Some(Claim { typ: typ.to_owned(), val: val?.clone() });
        let tokens = Tokens {
            access_token: Some(token.to_owned()),
            expires_on: (expires_at != 0).then_some(ends.min(now.plus(Duration::from_hours(24 * 365)))),
            user_claims: claims.into_iter().filter_map(claim).collect(),
            ..Tokens::default()
        };
        // Facebook gives out addresses that it verified and no others.
        let profile = Profile { subject: Some(me.id.clone()), name: me.name, email: me.email };
        Ok(Identity { subject: me.id, profile, tokens })
    }
}

/// The body of an answer; one that refuses is the token's fault.
fn read<T: serde::de::DeserializeOwned>(answer: &Answer, refused: &'static str) -> Result<T, ProviderError> {
    match answer.status {
        200 => json(answer),
        429 => Err(ProviderError::Away("it has too much to do")),
        400..500 => Err(ProviderError::Refused(refused)),
        _ => Err(ProviderError::Away("it fails")),
    }
}
