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

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value as Json};

use super::cached::{Cached, Entry};
use super::claims::Claims;
use super::client_secret::ClientSecret;
use super::error::ProviderError;
use super::identity::{Identity, Tokens};
use super::keys::{Key, KeyDocument, KeySet};
use super::web::{Web, address, json, with_query};
use super::{Asked, Params, Preset, Returned, Settings, Started};
use crate::clock::SharedClock;
use crate::gateway::requests::client::Answer;
use crate::identity::flow::Kept;
use crate::identity::jwt::{self, Broken};
use crate::identity::pkce::{challenge_of, random_word};
use crate::identity::secret::Secret;
use crate::identity::session::Profile;
use crate::model::field::FieldError;
use crate::model::percent::encoded;
use crate::model::time::Timestamp;

/// Where a provider says what it is (OpenID Connect Discovery 1.0 section 4).
const DISCOVERY: &str = "/.well-known/openid-configuration";
/// The part of Microsoft's issuers that differs from directory to directory.
const TENANT: &str = "{tenantid}";
/// Issuer of Microsoft's older tokens, which are signed with the same keys.
const OLDER: &str = "https://sts.windows.net/{tenantid}/";
const MICROSOFT: &str = "https://login.microsoftonline.com/";
/// Parameters that a caller may hand through to the provider: they say how it asks, not who is asked or what for.
const PASSED: [&str; 10] = [
    "access_type",
    "acr_values",
    "display",
    "domain_hint",
    "hd",
    "include_granted_scopes",
    "login_hint",
    "max_age",
    "prompt",
    "ui_locales",
];
/// The longest parameter that is handed through, in bytes.
const LONGEST_PASSED: usize = 256;

/// What an answer means that refuses us and not the user.
const UNKNOWN: &str = "it does not take this app's client_id and client_secret";

#[derive(Debug)]
pub(super) struct OpenId {
    preset: Preset,
    /// As configured, without a slash at its end.
    issuer: String,
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

/// What a provider says of itself; what it says beyond is not ours.
#[derive(Debug, Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// An answer of the token endpoint.
#[derive(Deserialize)]
struct Granted {
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    refresh_token: Option<String>,
    /// A number, or one as text.
    #[serde(default)]
    expires_in: Json,
}

impl OpenId {
    pub(super) fn new(preset: Preset, settings: &Settings, clock: SharedClock) -> Result<Self, FieldError> {
        let issuer = settings.issuer.as_deref().or(preset.issuer());
        let issuer = issuer.ok_or_else(|| FieldError::new("issuer", "must be given"))?.trim_end_matches('/').to_owned();
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
            web: Web::new(&issuer, settings.ca_pem.as_deref())?,
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

    async fn metadata(&self) -> Result<Arc<Entry<Metadata>>, ProviderError> {
        self.documents
            .get(async {
                let metadata: Metadata = self.web.document(&format!("{}{DISCOVERY}", self.issuer)).await?;
                if !self.is_own(&metadata.issuer) {
                    return Err(ProviderError::Away("its document is that of another issuer"));
                }
                for endpoint in [&metadata.authorization_endpoint, &metadata.token_endpoint, &metadata.jwks_uri] {
                    address(endpoint).ok_or(ProviderError::Away("its documents name an address that is not https"))?;
                }
                Ok(metadata)
            })
            .await
    }

    /// Whether a document's issuer is the configured one. For many directories at once Microsoft's document has a gap where
    /// the directory belongs.
    fn is_own(&self, said: &str) -> bool {
        let said = said.trim_end_matches('/');
        if said == self.issuer {
            return true;
        }
        let gap = || {
            let (scheme, rest) = self.issuer.split_once("://")?;
            let (host, path) = rest.split_once('/')?;
            let below = path.split_once('/').map(|(_, below)| format!("/{below}")).unwrap_or_default();
            Some(format!("{scheme}://{host}/{TENANT}{below}"))
        };
        self.preset.is_microsoft() && gap().as_deref() == Some(said)
    }

    /// Whether a token is of this provider.
    fn check_issuer(&self, metadata: &Metadata, claims: &Claims) -> Result<(), ProviderError> {
        let said = claims.text("iss").unwrap_or_default();
        let bare = metadata.issuer.trim_start_matches("https://");
        let mut is_its = said == metadata.issuer || (self.preset == Preset::Google && said == bare);
        if let (true, Some(tenant)) = (self.preset.is_microsoft(), claims.text("tid").filter(|tid| is_tenant(tid))) {
            let own = metadata.issuer.replace(TENANT, tenant);
            let is_of_tenant = metadata.issuer.contains(TENANT) || own.contains(&format!("/{tenant}/"));
            is_its |= said == own;
            is_its |= is_of_tenant && own.starts_with(MICROSOFT) && said == OLDER.replace(TENANT, tenant);
        }
        let has_gap = said.contains(TENANT);
        if is_its && !has_gap { Ok(()) } else { Err(ProviderError::Refused("the token is of another issuer")) }
    }

    /// Whether a key signs for the token's directory: Microsoft says of some of its keys for which they do. Tokens of its
    /// older issuer are held to what the newer one would be, the only one that its keys know.
    fn check_key_issuer(&self, metadata: &Metadata, key: &Key, claims: &Claims) -> Result<(), ProviderError> {
        let Some(issuer) = key.issuer.as_deref().filter(|_| self.preset.is_microsoft()) else { return Ok(()) };
        let tenant = claims.text("tid").filter(|tid| is_tenant(tid)).unwrap_or(TENANT);
        let (wanted, said) = (issuer.replace(TENANT, tenant), claims.text("iss").unwrap_or_default());
        let is_older = said == OLDER.replace(TENANT, tenant) && wanted == metadata.issuer.replace(TENANT, tenant);
        match wanted == said || is_older {
            true => Ok(()),
            false => Err(ProviderError::Refused("the token is not signed by the provider")),
        }
    }

    /// Where the browser goes.
    pub(super) async fn begin(&self, asked: &Asked<'_>) -> Result<Started, ProviderError> {
        let metadata = self.metadata().await?;
        let word = || random_word().ok_or(ProviderError::Away("there is no randomness here"));
        let (state, nonce, verifier) = (word()?, word()?, word()?);
        let challenge = challenge_of(&verifier);
        let scope = self.scope(asked.params);
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", &self.client_id),
            ("redirect_uri", asked.redirect_uri),
            ("state", &state),
            ("nonce", &nonce),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
        ];
        if !scope.is_empty() {
            pairs.push(("scope", &scope));
        }
        if self.posts_back() {
            pairs.push(("response_mode", "form_post"));
        }
        let passed = PASSED.iter().filter_map(|name| {
            let value = asked.params.get(name)?;
            (!value.is_empty() && value.len() <= LONGEST_PASSED).then_some((*name, value))
        });
        pairs.extend(passed);
        let location = with_query(&metadata.value.authorization_endpoint, &pairs);
        Ok(Started { location, state, kept: Kept { nonce, verifier } })
    }

    /// Our scopes, and those that the caller asks the user for besides.
    fn scope(&self, params: &Params) -> String {
        let asked = params.get("scope").filter(|scope| scope.len() <= LONGEST_PASSED).unwrap_or_default();
        let mut words: Vec<&str> = self.scopes.iter().map(String::as_str).collect();
        for word in asked.split_ascii_whitespace() {
            if !words.contains(&word) {
                words.push(word);
            }
        }
        words.join(" ")
    }

    /// Who came back with the browser.
    pub(super) async fn finish(&self, returned: &Returned<'_>) -> Result<Identity, ProviderError> {
        let code = returned.params.get("code").filter(|code| !code.is_empty());
        let code = code.ok_or(ProviderError::Refused("the provider gave no code"))?;
        let metadata = self.metadata().await?;
        let metadata = &metadata.value;
        // Where a provider says so (RFC 9207), its answer is not another one's.
        if returned.params.get("iss").is_some_and(|iss| iss != metadata.issuer && !metadata.issuer.contains(TENANT)) {
            return Err(ProviderError::Refused("the answer is of another issuer"));
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
        self.add(&mut identity.tokens, granted);
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
        identity.tokens.expires_on = self.end_of(body.get("expires_in").unwrap_or(&Json::Null));
        Ok(identity)
    }

    /// Fresh tokens for old ones.
    pub(super) async fn renew(&self, tokens: &Tokens) -> Result<Option<Tokens>, ProviderError> {
        let Some(refresh) = &tokens.refresh_token else { return Ok(None) };
        let metadata = self.metadata().await?;
        let form = [("grant_type", "refresh_token"), ("refresh_token", refresh.as_str())];
        let answer = self.ask_for_tokens(&metadata.value, &form).await?;
        match refusal(&answer).as_deref() {
            // Nothing else says that the token is good no longer (RFC 6749 section 5.2).
            Some("invalid_grant") if matches!(answer.status, 400 | 401) => return Err(ProviderError::Ended),
            Some("invalid_client" | "unauthorized_client") => return Err(ProviderError::Away(UNKNOWN)),
            Some(_) => return Err(ProviderError::Away("it does not give fresh tokens")),
            None => {}
        }
        let granted = granted(&answer)?;
        self.check_same_user(tokens, &granted).await?;
        let mut renewed = Tokens { unproven: false, ..tokens.clone() };
        self.add(&mut renewed, granted);
        Ok(Some(renewed))
    }

    /// Fresh tokens are of the user of the old ones (OpenID Connect Core 1.0 section 12.2). Where an app brought those, only
    /// an ID token says so.
    async fn check_same_user(&self, old: &Tokens, granted: &Granted) -> Result<(), ProviderError> {
        let foreign = ProviderError::Refused("the provider's fresh tokens are not known to be this user's");
        let Some(token) = &granted.id_token else { return if old.unproven { Err(foreign) } else { Ok(()) } };
        let claims = self.verified(token).await?;
        let known = old.user_claims.iter().find(|claim| claim.typ == "sub").map(|claim| claim.val.as_str());
        if known == Some(claims.subject()?) { Ok(()) } else { Err(foreign) }
    }

    async fn ask_for_tokens(&self, metadata: &Metadata, form: &[(&str, &str)]) -> Result<Answer, ProviderError> {
        let secret = self.secret.text(&self.client_id, self.clock.now())?;
        let mut form = form.to_vec();
        let methods = metadata.token_endpoint_auth_methods_supported.as_deref();
        // What holds where a provider says nothing is the header (Discovery section 3).
        let in_form = methods.is_some_and(|methods| methods.iter().any(|method| method == "client_secret_post"));
        let authorization = secret.as_ref().filter(|_| !in_form).map(|secret| self.basic(secret));
        if authorization.is_none() {
            form.push(("client_id", &self.client_id));
            form.extend(secret.as_ref().map(|secret| ("client_secret", secret.expose())));
        }
        let authorization = authorization.as_ref().map(Secret::expose);
        self.web.post(&metadata.token_endpoint, &form, authorization).await
    }

    /// RFC 6749 section 2.3.1.
    fn basic(&self, secret: &Secret) -> Secret {
        use base64::Engine as _;
        let pair = format!("{}:{}", encoded(&self.client_id), encoded(secret.expose()));
        Secret::new(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(pair)))
    }

    /// The claims of a token that this provider signed for this app, in time.
    async fn verified(&self, token: &str) -> Result<Claims, ProviderError> {
        let forged = ProviderError::Refused("the token is not signed by the provider");
        let malformed = || ProviderError::Refused("the token is no signed token");
        if token.len() > jwt::LONGEST {
            return Err(malformed());
        }
        let header = jsonwebtoken::decode_header(token).map_err(|_| malformed())?;
        // What must be understood (RFC 7515 section 4.1.11) is not: we know no extension.
        if header.crit.is_some() || header.enc.is_some() {
            return Err(malformed());
        }
        let metadata = self.metadata().await?;
        let fetch = || async { Ok(self.web.document::<KeyDocument>(&metadata.value.jwks_uri).await?.into()) };
        let mut keys = self.keys.get(fetch()).await?;
        if keys.value.find(&header).is_none() {
            keys = self.keys.later_than(keys, fetch()).await?;
        }
        let key = keys.value.find(&header).ok_or_else(|| forged.clone())?;
        let claims =
            jwt::open::<Map<String, Json>>(token, &key.decoding, key.algorithm).map_err(|broken| match broken {
                Broken::Malformed => malformed(),
                Broken::Signature | Broken::Algorithm => forged.clone(),
            })?;
        let claims = Claims(claims);
        self.check_issuer(&metadata.value, &claims)?;
        self.check_key_issuer(&metadata.value, key, &claims)?;
        claims.check_audience(&self.ours, self.preset.parties())?;
        claims.check_times(self.clock.now())?;
        Ok(claims)
    }

    fn add(&self, tokens: &mut Tokens, granted: Granted) {
        let expires_on = self.end_of(&granted.expires_in);
        tokens.expires_on = expires_on.or(tokens.expires_on);
        let keep = |new: Option<String>, old: &mut Option<String>| {
            if new.is_some() {
                *old = new;
            }
        };
        keep(granted.access_token, &mut tokens.access_token);
        keep(granted.id_token, &mut tokens.id_token);
        keep(granted.refresh_token, &mut tokens.refresh_token);
    }

    fn end_of(&self, expires_in: &Json) -> Option<Timestamp> {
        let seconds = expires_in.as_u64().or_else(|| expires_in.as_str()?.trim().parse().ok())?;
        Some(self.clock.now().plus(std::time::Duration::from_secs(seconds)))
    }
}

/// The word with which a token endpoint refuses (RFC 6749 section 5.2), empty where it says none. One that has too much to do
/// refuses nothing.
fn refusal(answer: &Answer) -> Option<String> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let refuses = (400..500).contains(&answer.status) && answer.status != 429;
    let word = || serde_json::from_slice::<Refusal>(&answer.body).map(|refusal| refusal.error).unwrap_or_default();
    refuses.then(word)
}

fn granted(answer: &Answer) -> Result<Granted, ProviderError> {
    match answer.status {
        200 => json(answer),
        _ => Err(ProviderError::Away("its token endpoint fails")),
    }
}

/// A directory's id: it becomes part of an address.
fn is_tenant(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::ManualClock;

    const TID: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

    fn aad() -> OpenId {
        let settings = Settings {
            issuer: None,
            client_id: "the-app".to_owned(),
            client_secret: None,
            signer: None,
            audiences: Vec::new(),
            scopes: None,
            ca_pem: None,
        };
        OpenId::new(Preset::Aad, &settings, ManualClock::starting_at(Timestamp::from_millis(0)) as SharedClock).unwrap()
    }

    #[test]
    fn a_key_of_microsofts_signs_for_the_directories_that_it_names() {
        let (aad, path) = (aad(), "{tenantid}/v2.0");
        let metadata = json!({
            "issuer": format!("{MICROSOFT}{path}"), "jwks_uri": "https://x", "token_endpoint": "https://x",
            "authorization_endpoint": "https://x",
        });
        let metadata: Metadata = serde_json::from_value(metadata).unwrap();
        let signs = |key_issuer: Option<&str>, iss: String| {
            let key = json!({"keys": [{"kty": "RSA", "kid": "k", "n": "AQAB", "e": "AQAB", "issuer": key_issuer}]});
            let keys: KeySet = serde_json::from_value::<KeyDocument>(key).unwrap().into();
            let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
            let Json::Object(claims) = json!({"iss": iss, "tid": TID}) else { panic!() };
            aad.check_key_issuer(&metadata, keys.find(&header).unwrap(), &Claims(claims)).is_ok()
        };
        let (newer, older) = (format!("{MICROSOFT}{TID}/v2.0"), format!("https://sts.windows.net/{TID}/"));
        let (any, own) = (format!("{MICROSOFT}{path}"), newer.clone());
        let consumers = format!("{MICROSOFT}9188040d-6c67-4c5b-b112-36a304b66dad/v2.0");
        for iss in [newer, older] {
            assert!(
                signs(None, iss.clone()) && signs(Some(&any), iss.clone()) && signs(Some(&own), iss.clone()),
                "{iss}"
            );
            assert!(!signs(Some(&consumers), iss.clone()), "a key for personal accounts: {iss}");
        }
    }

    #[test]
    fn a_refusal_is_known_by_its_word() {
        let answer = |status, body: &str| Answer {
            status,
            headers: http::HeaderMap::new(),
            body: bytes::Bytes::copy_from_slice(body.as_bytes()),
        };
        for (status, body, word) in [
            (400, r#"{"error":"invalid_grant"}"#, Some("invalid_grant")),
            (401, "no JSON", Some("")),
            (429, r#"{"error":"slow_down"}"#, None),
            (200, r#"{"error":"invalid_grant"}"#, None),
            (503, r#"{"error":"invalid_grant"}"#, None),
        ] {
            assert_eq!(refusal(&answer(status, body)).as_deref(), word, "{status} {body}");
        }
    }
}
