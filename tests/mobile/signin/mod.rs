//! `/.auth` from outside: apps and browsers on one side, simulated providers over TLS on the other.
//!
//! - [`browser`]: a browser, as far as signing in needs one: it follows redirects and keeps cookies by host.
//! - [`flows`]: points of the acceptance list's line 13, each by its number.
//! - [`bearer`]: a provider's own token in the place of a session.
//! - [`tokens`]: line 14: what providers' tokens are held to, and what becomes of ours.
//! - [`attacks`]: what others try.
//! - [`social`], [`clients`]: Facebook and Twitter; the JavaScript client as it is.

use loadtest::gateways::{Authority, OpenIdConfig, OpenIdSim};
use serde_json::{Map, Value, json};

use crate::client::Answer;
use crate::world::{AUDIENCE, SIGNING_KEY, USERS, World};

mod attacks;
mod bearer;
mod browser;
mod clients;
mod flows;
mod pages;
mod presets;
mod sessions;
mod social;
mod tokens;

use browser::Browser;

pub const PAGE: &str = "https://app.example.com";
pub const APP: &str = "com.example.app://easyauth.callback";

/// A service whose provider `house` is simulated.
pub struct House {
    pub world: World,
    pub provider: OpenIdSim,
}

impl House {
    pub async fn start() -> Self {
        Self::with(OpenIdConfig::default(), "house", "").await
    }

    /// With a provider of that name; `more` goes into its section.
    pub async fn with(config: OpenIdConfig, name: &str, more: &str) -> Self {
        let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new().unwrap());
        let provider = OpenIdSim::start_under(config.clone(), &authority).await.unwrap();
        let secret = config.client_secret.as_ref().map(|secret| format!("client_secret = '{secret}'\n"));
        let section = format!(
            "[mobile.auth.providers.{name}]\nissuer = '{}'\nclient_id = '{}'\n{}ca_file = 'ca.pem'\n{more}\n",
            provider.issuer(),
            config.client_id,
            secret.unwrap_or_default(),
        );
        let world = World::within(folder, authority, &toml(&section)).await;
        Self { world, provider }
    }

    /// The provider's token for an app, as it should be.
    pub fn id_token(&self) -> String {
        self.provider.id_token(&loadtest::gateways::Twist::default())
    }

    /// What the service says to an app that shows this.
    pub async fn show(&self, body: &Value) -> Answer {
        self.world.client.post("/.auth/login/house", body).await
    }

    pub fn browser(&self) -> Browser {
        Browser::new(&self.world)
    }
}

/// `[mobile]` with users, redirects and these providers.
pub fn toml(providers: &str) -> String {
    format!(
        "{USERS}allowed_redirects = ['https://web.example.com/signed', 'Com.Example.App://EasyAuth.callback']\n{providers}"
    )
}

/// The user id and token of a session as clients read it.
pub fn session_of(body: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{body}")).to_owned();
    (text(&body["user"]["userId"]), text(&body["authenticationToken"]))
}

/// The claims of one of our tokens, unverified.
pub fn claims_of(token: &str) -> Map<String, Value> {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    serde_json::from_slice(&bytes).unwrap()
}

/// A token that the app's own server signs for an hour, saying this besides.
pub fn own(claims: Value) -> String {
    use fanfare::clock::Clock;
    let now = fanfare::clock::SystemClock.now().millis() / 1_000;
    let mut all = json!({"iss": AUDIENCE, "aud": AUDIENCE, "iat": now, "exp": now + 3_600});
    all.as_object_mut().unwrap().extend(self::claims(claims));
    let key = jsonwebtoken::EncodingKey::from_secret(SIGNING_KEY.as_bytes());
    jsonwebtoken::encode(&jsonwebtoken::Header::default(), &all, &key).unwrap()
}

/// The error that an answer says, with its status; it must be what all clients read.
pub fn refused(answer: &Answer) -> (u16, String) {
    let said = answer.json();
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    (answer.status, said["error"].as_str().unwrap_or_else(|| panic!("{said}")).to_owned())
}

pub fn claims(json: Value) -> Map<String, Value> {
    json.as_object().unwrap().clone()
}

/// What the table of the signed-in says to a token.
pub async fn who(world: &World, token: &str) -> u16 {
    world.showing(token).get("/.auth/me").await.status
}

#[tokio::test]
async fn without_a_provider_there_is_none_and_without_auth_nobody() {
    let world = World::start().await;
    for (method, path, body) in [
        ("GET", "/.auth/login/google", &b""[..]),
        ("POST", "/.auth/login/google", b"{}"),
        ("GET", "/.auth/login/google/callback?state=x&code=y", b""),
        ("GET", "/.auth/login/google/token?authorization_code=a&code_verifier=b", b""),
    ] {
        let answer = world.client.send(method, path, &[("content-type", "application/json")], body).await;
        assert_eq!(refused(&answer), (404, "the sign-in provider is not configured here".to_owned()), "{path}");
    }
    let world = world.restart("[mobile]\n").await;
    let answer = world.client.post("/.auth/login/google", &json!({})).await;
    assert_eq!(refused(&answer).0, 404);
    assert_eq!(refused(&world.client.get("/.auth/me").await).0, 401);
    assert_eq!(refused(&world.showing("a.b.c").get("/.auth/me").await), (401, "invalid signature".to_owned()));
}
