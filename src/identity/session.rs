//! Sessions: the tokens by which apps show who is signed in (`mobile-apps.md` 4.7).
//!
//! ```text
//! HS256 { sub, stable_sid, idp, ver: "4", iss, aud, iat, nbf, exp, jti, ims, sid, name?, email?, subject? }
//! ```
//!
//! A session is its token: nothing of it is kept here, so every process that has the signing key takes it. The key's text
//! is the key. `ims` is the moment in which the session began, in milliseconds: it stays when the token is renewed, so that a
//! renewal that is under way while a user's sessions are revoked does not outrun that, and a session that begins in the same
//! second is told from them. It is of the clock of the process; the moment of a revocation is of the store's. Where the
//! process is ahead, a session that began within the difference before a revocation is not met by it; where it is behind,
//! one that begins within the difference after it is. `sid` names the session: it stays when the token is renewed, so that ending the session
//! ends every token of it. Tokens that an app's own server signs with the same key need `sub`, `iss`, `aud` and
//! `exp`, and may leave the rest out (4.11); without `ims` and `sid` they are no sessions of this service, which does not
//! renew them. However often it is renewed, a session ends for good at a fixed age ([`Sessions::at_most`]).

use std::time::Duration;

use aws_lc_rs::rand;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};
use serde::{Deserialize, Serialize};

use super::jwt::{self, Audience, Broken, NumericDate};
use super::secret::Secret;
use crate::model::time::Timestamp;

/// For so long after its end a session may still be renewed (4.7).
pub const GRACE: Duration = Duration::from_hours(72);
/// How far the clock of an app's own server may be ahead of ours.
const SKEW: Duration = Duration::from_mins(1);
/// The longest user id, in bytes: it stands in a tag and in rows.
const LONGEST_ID: usize = 255;
/// The provider of tokens that name none.
const CUSTOM: &str = "custom";
/// Of the form that user ids have: made of the provider's own id (4.7).
const VERSION: &str = "4";

/// Who is signed in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// The id that rows, tags and identity headers bear: `sid:` and 32 hexadecimal digits, or what the app's own server says.
    pub sub: String,
    /// By whom they signed in: `google`, `custom` ….
    pub provider: String,
    pub profile: Profile,
    /// The session's name; tokens of others may have none.
    pub session: Option<String>,
    /// Whether this service began the session. The life of a token that the app's own server made is that server's to give,
    /// and what a provider gave to this service is not told to its bearer, whatever it says of its provider.
    pub is_ours: bool,
    /// When this session began.
    pub issued: Timestamp,
    /// When it ends.
    pub expires: Timestamp,
}

/// What the provider said of a user.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The provider's own id of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// Why a token stands for nobody. The texts are those that clients of the field know, without what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SessionError {
    #[error(transparent)]
    Broken(#[from] Broken),
    #[error("jwt audience invalid")]
    Audience,
    #[error("jwt issuer invalid")]
    Issuer,
    #[error("jwt expired")]
    Expired,
    #[error("jwt not active")]
    NotYet,
    #[error("jwt subject invalid")]
    Subject,
    #[error("session revoked")]
    Revoked,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    sub: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stable_sid: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    idp: Option<String>,
    /// Text here, a number elsewhere; never looked at.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    ver: Option<&'static str>,
    iss: String,
    aud: Audience,
    exp: NumericDate,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    nbf: Option<NumericDate>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    iat: Option<NumericDate>,
    /// Tells tokens of one session apart, of one second too; never looked at.
    #[serde(default, skip_deserializing, skip_serializing_if = "Option::is_none")]
    jti: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ims: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<String>,
    #[serde(flatten)]
    profile: Profile,
}

/// Issues and reads session tokens.
pub struct Sessions {
    signing: EncodingKey,
    verifying: DecodingKey,
    audience: String,
    issuer: String,
    life: Duration,
    /// The age at which a session ends for good.
    most: Duration,
}

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sessions").field("issuer", &self.issuer).field("life", &self.life).finish_non_exhaustive()
    }
}

impl Sessions {
    /// Sessions signed with the text of `key`, each `life` long, and again when it is renewed.
    pub fn new(key: &Secret, audience: &str, issuer: &str, life: Duration) -> Self {
        let key = key.expose().as_bytes();
        Self {
            signing: EncodingKey::from_secret(key),
            verifying: DecodingKey::from_secret(key),
            audience: audience.to_owned(),
            issuer: issuer.to_owned(),
            life,
            most: Duration::MAX,
        }
    }

    /// The same, where no session grows older than `most`.
    #[must_use]
    pub fn at_most(self, most: Duration) -> Self {
        Self { most, ..self }
    }

    /// A fresh session of somebody: they, and their token. `None` when there is no writing it.
    pub fn begin(&self, sub: &str, provider: &str, profile: Profile, now: Timestamp) -> Option<(User, String)> {
        self.begin_late(sub, provider, profile, now, now)
    }

    /// A session of somebody who signed in at `began` and gets it only now.
    pub fn begin_late(
        &self,
        sub: &str,
        provider: &str,
        profile: Profile,
        began: Timestamp,
        now: Timestamp,
    ) -> Option<(User, String)> {
        self.issue(sub, provider, profile, random_name()?, (began, now))
    }

    /// The same session with another end: they, and their new token. `None` of one that is not ours or is over for good.
    pub fn renew(&self, user: &User, now: Timestamp) -> Option<(User, String)> {
        let name = user.session.as_ref().filter(|_| user.is_ours && now < user.issued.plus(self.most))?;
        self.issue(&user.sub, &user.provider, user.profile.clone(), name.clone(), (user.issued, now))
    }

    /// How long after its issue a token can still be shown or renewed.
    pub fn remembered(&self) -> Duration {
        self.life + GRACE
    }

    fn issue(
        &self,
        sub: &str,
        provider: &str,
        profile: Profile,
        session: String,
        (began, now): (Timestamp, Timestamp),
    ) -> Option<(User, String)> {
        // Ends are whole seconds, as the token has them.
        let end = now.plus(self.life).min(began.plus(self.most)).millis().div_euclid(1_000) * 1_000;
        let (issued, expires) = (began, Timestamp::from_millis(end));
        let claims = Claims {
            sub: sub.to_owned(),
            stable_sid: Some(sub.to_owned()),
            idp: Some(provider.to_owned()),
            ver: Some(VERSION),
            iss: self.issuer.clone(),
            aud: Audience::One(self.audience.clone()),
            exp: NumericDate::at(expires),
            nbf: Some(NumericDate::at(now)),
            iat: Some(NumericDate::at(now)),
            jti: Some(random_name()?),
            ims: Some(issued.millis()),
            sid: Some(session.clone()),
            profile: profile.clone(),
        };
        let token = jwt::sign(&claims, &self.signing)?;
        let (sub, provider, session) = (sub.to_owned(), provider.to_owned(), Some(session));
        Some((User { sub, provider, profile, session, is_ours: true, issued, expires }, token))
    }

    /// Whose token it is, while the session lasts.
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<User, SessionError> {
        self.open(token, now, Duration::ZERO)
    }

    /// Whose token it is, also for a while after the session's end.
    pub fn renewable(&self, token: &str, now: Timestamp) -> Result<User, SessionError> {
        self.open(token, now, GRACE)
    }

    fn open(&self, token: &str, now: Timestamp, grace: Duration) -> Result<User, SessionError> {
        let claims: Claims = jwt::open(token, &self.verifying, Algorithm::HS256)?;
        if !claims.aud.names(&self.audience) {
            return Err(SessionError::Audience);
        }
        if claims.iss != self.issuer {
            return Err(SessionError::Issuer);
        }
        let expires = Timestamp::from_millis(claims.exp.millis());
        if expires.plus(grace) <= now {
            return Err(SessionError::Expired);
        }
        let begins = claims.nbf.into_iter().chain(claims.iat).any(|from| from.millis() > now.plus(SKEW).millis());
        if begins {
            return Err(SessionError::NotYet);
        }
        if !is_user_id(&claims.sub) {
            return Err(SessionError::Subject);
        }
        // No name is none: the end of a session without a name would be that of all.
        let session = claims.sid.filter(|sid| is_user_id(sid));
        let is_ours = claims.ims.is_some() && session.is_some();
        // One that does not say when it began is as old as can be: any revocation meets it.
        let issued = claims.ims.or_else(|| claims.iat.or(claims.nbf).map(NumericDate::millis)).unwrap_or_default();
        let issued = Timestamp::from_millis(issued);
        if is_ours && issued.plus(self.most) <= now {
            return Err(SessionError::Expired);
        }
        let provider = claims.idp.filter(|idp| is_user_id(idp)).unwrap_or_else(|| CUSTOM.to_owned());
        Ok(User { sub: claims.sub, provider, profile: claims.profile, session, is_ours, issued, expires })
    }
}

/// A name that nobody has given before; `None` when the machine has no randomness.
fn random_name() -> Option<String> {
    let mut name = [0; 16];
    rand::fill(&mut name).ok()?;
    Some(hex::encode(name))
}

impl User {
    /// Refuses a session that began before its user's sessions were revoked.
    pub fn check_not_before(&self, revoked: Option<Timestamp>) -> Result<(), SessionError> {
        match revoked {
            Some(revoked) if self.issued <= revoked => Err(SessionError::Revoked),
            _ => Ok(()),
        }
    }
}

/// What can be a user's id, or the name of a session or a provider: it stands in a header, a tag and a column.
pub fn is_user_id(sub: &str) -> bool {
    (1..=LONGEST_ID).contains(&sub.len()) && !sub.chars().any(char::is_control)
}

#[cfg(test)]
mod tests;
