//! Twitter: OAuth 1.0a (RFC 5849). Every request is signed with the app's secret and the token's, so a token that was
//! given to another app is of no use here: its secret does not fit to our key.

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::claims::is_subject;
use super::error::ProviderError;
use super::identity::{Claim, Identity, Tokens};
use super::oauth1::{Consumer, Signed};
use super::web::{Web, json, with_query};
use super::{Asked, Returned, Settings, Started};
use crate::clock::SharedClock;
use crate::gateway::requests::client::Answer;
use crate::identity::flow::Kept;
use crate::identity::session::Profile;
use crate::model::field::FieldError;

const API: &str = "https://api.twitter.com";
/// The longest token that is sent on, in bytes.
const LONGEST: usize = 1_024;

#[derive(Debug)]
pub(super) struct Twitter {
    api: String,
    consumer: Consumer,
    web: Web,
    clock: SharedClock,
}

/// A token with its secret.
struct Pair {
    token: String,
    secret: String,
}

#[derive(Deserialize)]
struct User {
    id_str: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    screen_name: Option<String>,
}

impl Twitter {
    pub(super) fn new(settings: &Settings, clock: SharedClock) -> Result<Self, FieldError> {
        let secret = settings.client_secret.clone();
        let secret = secret.ok_or_else(|| FieldError::new("client_secret", "must be given: the app's secret"))?;
        let api = settings.issuer.as_deref().unwrap_or(API).trim_end_matches('/').to_owned();
        Ok(Self {
            web: Web::new(&api, settings.ca_pem.as_deref())?,
            api,
            consumer: Consumer { key: settings.client_id.clone(), secret },
            clock,
        })
    }

    /// The request token is the state: the browser brings it back, and its secret stays in the cookie.
    pub(super) async fn begin(&self, asked: &Asked<'_>) -> Result<Started, ProviderError> {
        let url = format!("{}/oauth/request_token", self.api);
        let extra = [("oauth_callback", asked.redirect_uri)];
        let answer = self.post(&url, &extra, None).await?;
        let pair = pair(&answer, ProviderError::Away("it gives no request token"))?;
        let location = with_query(&format!("{}/oauth/authenticate", self.api), &[("oauth_token", &pair.token)]);
        Ok(Started { location, state: pair.token, kept: Kept { nonce: String::new(), verifier: pair.secret } })
    }

    pub(super) async fn finish(&self, returned: &Returned<'_>) -> Result<Identity, ProviderError> {
        let verifier = returned.params.get("oauth_verifier").filter(|text| !text.is_empty() && text.len() <= LONGEST);
        let verifier = verifier.ok_or(ProviderError::Refused("the provider gave no code"))?;
        let request = Pair { token: returned.state.to_owned(), secret: returned.kept.verifier.clone() };
        let url = format!("{}/oauth/access_token", self.api);
        let answer = self.post(&url, &[("oauth_verifier", verifier)], Some(&request)).await?;
        let access = pair(&answer, ProviderError::Refused("the provider does not take the code"))?;
        self.whose(access).await
    }

    pub(super) async fn check(&self, body: &Map<String, Json>) -> Result<Identity, ProviderError> {
        let text = |name: &'static str| {
            let text = body.get(name).and_then(Json::as_str).filter(|text| (1..=LONGEST).contains(&text.len()));
            text.map(str::to_owned).ok_or_else(|| FieldError::new(name, "is required: of a token of the provider"))
        };
        self.whose(Pair { token: text("access_token")?, secret: text("access_token_secret")? }).await
    }

    async fn whose(&self, pair: Pair) -> Result<Identity, ProviderError> {
        let url = format!("{}/1.1/account/verify_credentials.json", self.api);
        let query = [("include_entities", "false"), ("skip_status", "true")];
        let signed = self.signed("GET", &url, &[], &query, Some(&pair))?;
        let answer = self.web.get(&with_query(&url, &query), Some(&signed)).await?;
        let user: User = match answer.status {
            200 => json(&answer)?,
            429 => return Err(ProviderError::Away("it has too much to do")),
            400..500 => return Err(ProviderError::Refused("the provider does not take the token from this app")),
            _ => return Err(ProviderError::Away("it fails")),
        };
        if !is_subject(&user.id_str) {
            return Err(ProviderError::Refused("the provider does not say whose token it is"));
        }
        let claims =
            [("id", Some(&user.id_str)), ("name", user.name.as_ref()), ("screen_name", user.screen_name.as_ref())];
        let claim = |(typ, val): (&str, Option<&String>)| Some(Claim { typ: typ.to_owned(), val: val?.clone() });
        let tokens = Tokens {
            access_token: Some(pair.token),
            access_token_secret: Some(pair.secret),
            user_claims: claims.into_iter().filter_map(claim).collect(),
            ..Tokens::default()
        };
        let name = user.name.or(user.screen_name);
        let profile = Profile { subject: Some(user.id_str.clone()), name, email: None };
        Ok(Identity { subject: user.id_str, profile, tokens })
    }

    async fn post(&self, url: &str, extra: &[(&str, &str)], pair: Option<&Pair>) -> Result<Answer, ProviderError> {
        let signed = self.signed("POST", url, extra, &[], pair)?;
        self.web.post(url, &[], Some(&signed)).await
    }

    /// The value of `Authorization`.
    fn signed(
        &self,
        method: &str,
        url: &str,
        extra: &[(&str, &str)],
        query: &[(&str, &str)],
        pair: Option<&Pair>,
    ) -> Result<String, ProviderError> {
        let token = pair.map(|pair| (pair.token.as_str(), pair.secret.as_str()));
        let what = Signed { method, url, extra, query, token };
        self.consumer.authorization(&what, self.clock.now()).ok_or(ProviderError::Away("there is no randomness here"))
    }
}

/// The token of a form that a token endpoint answers.
fn pair(answer: &Answer, refused: ProviderError) -> Result<Pair, ProviderError> {
    match answer.status {
        200 => {}
        400..500 => return Err(refused),
        _ => return Err(ProviderError::Away("it fails")),
    }
    let (mut token, mut secret) = (None, None);
    for (name, value) in form_urlencoded::parse(&answer.body) {
        match &*name {
            "oauth_token" => token = Some(value.into_owned()),
            "oauth_token_secret" => secret = Some(value.into_owned()),
            // RFC 5849 section 2.1: a provider that does not say this did not read our callback.
            "oauth_callback_confirmed" if value != "true" => return Err(refused),
            _ => {}
        }
    }
    let fits = |text: &String| (1..=LONGEST).contains(&text.len());
    match (token.filter(fits), secret.filter(fits)) {
        (Some(token), Some(secret)) => Ok(Pair { token, secret }),
        _ => Err(ProviderError::Away("its answer cannot be read")),
    }
}
