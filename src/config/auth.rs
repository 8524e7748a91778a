//! `[mobile.auth]`: sign-in, and the providers by which people sign in.

use super::{
    error::ConfigError,
    section::Section,
    url::{self, ServiceUrl},
};
use crate::identity::redirect::Allowed;
use crate::identity::secret::Secret;
use serde::Serialize;
use std::{collections::BTreeMap, path::PathBuf};

#[derive(Debug, Clone, Serialize)]
pub struct AuthConfig {
    /// Used as text.
    pub signing_key: Secret,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signing_key_file: Option<PathBuf>,
    pub audience: String,
    pub issuer: String,
    pub session_hours: u32,
    /// The age at which a session ends for good, however often it was renewed.
    pub session_max_hours: u32,
    /// How an app gets its session that does not say.
    pub session_mode: SessionMode,
    /// Where a browser may be sent after it signed in or out, besides paths of this service.
    pub allowed_redirects: Vec<Allowed>,
    /// What user ids are made with; the signing key where absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id_key: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id_key_file: Option<PathBuf>,
    /// Ids that users of an earlier service have already.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_ids_file: Option<PathBuf>,
    pub providers: BTreeMap<String, ProviderConfig>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionMode {
    Token,
    Cookie,
}

/// Signing keys that everybody knows: the first is that of the development stub of the original server, with which
/// anybody could make themselves anyone (`mobile-apps.md` 4.7).
const KNOWN_KEYS: [&str; 5] = ["0000", "secret", "changeme", "password", "test"];

const REDIRECTS: &str =
    "must be a list of addresses without query, SCHEME://HOST or SCHEME://HOST/PATH; of http only this machine's";

/// Bytes that a key should have at least: as many as the hash with which it signs (RFC 7518 section 3.2).
const STRONG: usize = 32;

/// Ten years.
const LONGEST_SESSION: u32 = 87_600;
/// A session that somebody else got hold of lasts no longer than this, where the operator says nothing.
const YEAR: u32 = 8_760;

impl AuthConfig {
    /// Keys that are shorter than they should be. They are taken: apps' own servers may have signed with them for years.
    pub fn short_keys(&self) -> Vec<&'static str> {
        let keys = [("signing_key", Some(&self.signing_key)), ("user_id_key", self.user_id_key.as_ref())];
        let is_short = |key: Option<&Secret>| key.is_some_and(|key| key.expose().len() < STRONG);
        keys.into_iter().filter(|(_, key)| is_short(*key)).map(|(name, _)| name).collect()
    }

    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&[
            "signing_key",
            "signing_key_file",
            "audience",
            "issuer",
            "session_hours",
            "session_max_hours",
            "session_mode",
            "allowed_redirects",
            "user_id_key",
            "user_id_key_file",
            "user_ids_file",
            "providers",
        ])?;
        let key = s.required_secret("signing_key")?;
        if KNOWN_KEYS.iter().any(|known| key.text.expose().trim().eq_ignore_ascii_case(known)) {
            let given = if key.file.is_some() { "signing_key_file" } else { "signing_key" };
            return Err(ConfigError::masked(s.dotted(given), "must not be a key that everybody knows"));
        }
        let user_ids = s.secret("user_id_key")?;
        let (user_id_key, user_id_key_file) = user_ids.map_or((None, None), |given| (Some(given.text), given.file));
        let session_hours = s.integer("session_hours", 720, 1..=LONGEST_SESSION)?;
        let session_max_hours = s.integer("session_max_hours", YEAR.max(session_hours), 1..=LONGEST_SESSION)?;
        if session_max_hours < session_hours {
            let rule = format!("must be at least session_hours, which is {session_hours}");
            return Err(s.fail("session_max_hours", rule));
        }
        let text = |key| s.required(key, "must not be empty", |t| (!t.is_empty()).then(|| t.to_owned()));
        Ok(Self {
            audience: text("audience")?,
            issuer: text("issuer")?,
            session_hours,
            session_max_hours,
            session_mode: s.choice(
                "session_mode",
                SessionMode::Token,
                &[("token", SessionMode::Token), ("cookie", SessionMode::Cookie)],
            )?,
            allowed_redirects: s.list("allowed_redirects", REDIRECTS, Allowed::parse)?.unwrap_or_default(),
            user_id_key,
            user_id_key_file,
            user_ids_file: s.path("user_ids_file")?,
            providers: s
                .section("providers")?
                .sections()?
                .iter()
                .map(|provider| Ok((provider.name().to_owned(), ProviderConfig::read(provider)?)))
                .collect::<Result<_, ConfigError>>()?,
            signing_key: key.text,
            signing_key_file: key.file,
        })
    }
}

/// One sign-in provider. Those with a preset need no issuer.
#[derive(Debug, Clone, Serialize)]
pub struct ProviderConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer: Option<ServiceUrl>,
    pub client_id: String,
    /// Client ids of the same app's other parts, whose tokens are taken too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub audiences: Vec<String>,
    /// Whether the provider's own tokens stand for their users with each request, without a session.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub bearer: bool,
    /// What the user is asked for; absent = what the provider needs to say who they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scopes: Option<Vec<String>>,
    /// Apple's: with both, the client secret is the team's key, and secrets are signed with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub team_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret: Option<Secret>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_secret_file: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
}

/// Those that take nothing that is not proven with a secret.
const SECRET_NEEDED: [&str; 2] = ["facebook", "twitter"];
const PRESET: [&str; 6] = ["aad", "apple", "facebook", "google", "microsoftaccount", "twitter"];

impl ProviderConfig {
    fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        let letter = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        if !(1..=64).contains(&s.name().len()) || !s.name().bytes().all(letter) {
            return Err(s.fail_name("must be a provider name: small letters, digits, '-' or '_', at most 64"));
        }
        let is_apple = s.name() == "apple";
        let mut known =
            vec!["issuer", "client_id", "client_secret", "client_secret_file", "audiences", "scopes", "ca_file"];
        if is_apple {
            known.extend(["team_id", "key_id"]);
        }
        // Theirs are read by nobody else.
        let makes_signed = !SECRET_NEEDED.contains(&s.name());
        if makes_signed {
            known.push("bearer");
        }
        s.only(&known)?;
        let rule = "must be an https:// URL of one host, without user and query";
        let issuer = match PRESET.contains(&s.name()) {
            true => s.parsed("issuer", rule, url::https)?,
            false => Some(s.required("issuer", rule, url::https)?),
        };
        let client_id = s.required("client_id", "must not be empty", |t| (!t.is_empty()).then(|| t.to_owned()))?;
        let secret = s.secret("client_secret")?;
        let (client_secret, client_secret_file) = secret.map_or((None, None), |given| (Some(given.text), given.file));
        if client_secret.is_none() && SECRET_NEEDED.contains(&s.name()) {
            return Err(s.fail("client_secret", "must be given, or client_secret_file"));
        }
        let word = |t: &str| (!t.is_empty() && !t.contains(char::is_whitespace)).then(|| t.to_owned());
        let name = |key: &str| {
            let rule = "must be 1 to 64 letters and digits";
            let fits = |t: &str| (1..=64).contains(&t.len()) && t.bytes().all(|b| b.is_ascii_alphanumeric());
            s.parsed(key, rule, |t| fits(t).then(|| t.to_owned()))
        };
        let (team_id, key_id) = if is_apple { (name("team_id")?, name("key_id")?) } else { (None, None) };
        if let Some(missing) = match (&team_id, &key_id) {
            (Some(_), None) => Some("key_id"),
            (None, Some(_)) => Some("team_id"),
            _ => None,
        } {
            return Err(s.fail(missing, "must be given: team_id and key_id stand together"));
        }
        if team_id.is_some() && client_secret.is_none() {
            return Err(s.fail("client_secret", "must be given, or client_secret_file: the key of team_id and key_id"));
        }
        let list = |key| s.list(key, "must be a list of words", word);
        Ok(Self {
            issuer,
            client_id,
            audiences: list("audiences")?.unwrap_or_default(),
            bearer: makes_signed && s.boolean("bearer", false)?,
            scopes: list("scopes")?,
            team_id,
            key_id,
            client_secret,
            client_secret_file,
            ca_file: s.path("ca_file")?,
        })
    }
}
