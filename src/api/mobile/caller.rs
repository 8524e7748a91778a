//! Who is signed in (`mobile-apps.md` 4.8): `X-ZUMO-AUTH: TOKEN`, else `Authorization: Bearer TOKEN`; a session's token, or
//! one that a provider made whose section says so ([`bearer`]).
//!
//! No token is nobody, which many resources allow; a token that stands for nobody is refused on every one: apps drop it
//! then and sign in again. So is one whose session was ended. A page of this service may be signed in by cookie instead;
//! one that is not good any more is nobody, because the page cannot drop it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};

use super::Mobile;
use super::auth::{bearer, cookie};
use super::here::Here;
use super::refusal::Refused;
use crate::api::App;
use crate::identity::jwt::Broken;
use crate::identity::session::{SessionError, Sessions, User};

pub const ZUMO_AUTH: HeaderName = HeaderName::from_static("x-zumo-auth");

/// The signed-in user of a request, if there is one.
#[derive(Clone, Debug)]
pub struct Caller(pub Option<User>);

impl Caller {
    /// The user, where there must be one.
    pub fn signed_in(&self) -> Result<&User, Refused> {
        self.0.as_ref().ok_or_else(Refused::sign_in)
    }

    pub fn user(&self) -> Option<&User> {
        self.0.as_ref()
    }
}

/// The token that a request shows.
pub(super) fn token(headers: &HeaderMap) -> Result<Option<&str>, SessionError> {
    let text = |name: &HeaderName| -> Result<Option<&str>, SessionError> {
        let Some(value) = headers.get(name) else { return Ok(None) };
        let text = value.to_str().map_err(|_| Broken::Malformed)?;
        Ok(Some(text.trim()).filter(|text| !text.is_empty()))
    };
    let bearer = |text: &str| -> Option<usize> {
        let (scheme, _) = text.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(scheme.len())
    };
    let (first, second) = (ZUMO_AUTH, header::AUTHORIZATION);
    if let Some(shown) = text(&first)? {
        return Ok(Some(bearer(shown).map_or(shown, |at| shown[at..].trim())));
    }
    // Other schemes are other people's: a proxy's, say.
    let shown = text(&second)?;
    Ok(shown.and_then(|shown| bearer(shown).map(|at| shown[at..].trim())))
}

fn sessions(mobile: &Mobile) -> Result<&Sessions, SessionError> {
    mobile.sign_in.as_ref().map(|sign_in| &sign_in.sessions).ok_or(SessionError::Broken(Broken::Signature))
}

/// Whose session a token is, now and here.
pub(super) async fn verified(app: &App, mobile: &Mobile, token: &str) -> Result<User, Refused> {
    let user = sessions(mobile)?.verify(token, app.clock.now())?;
    unless_revoked(app, user).await
}

/// Whose token it is, a session's or a provider's own.
async fn shown(app: &App, mobile: &Mobile, token: &str) -> Result<User, Refused> {
    if let Some(sign_in) = &mobile.sign_in
        && let Some(user) = bearer::user(sign_in, token).await?
    {
        return unless_revoked(app, user).await;
    }
    verified(app, mobile, token).await
}

/// Whose session a token is, also for a while after the session's end.
pub(super) async fn renewable(app: &App, mobile: &Mobile, token: &str) -> Result<User, Refused> {
    let user = sessions(mobile)?.renewable(token, app.clock.now())?;
    unless_revoked(app, user).await
}

/// The user of a session, where that was not ended before its time.
pub(super) async fn unless_revoked(app: &App, user: User) -> Result<User, Refused> {
    user.check_not_before(app.store.sign_in().revoked(&user.sub, user.session.as_deref()).await?)?;
    Ok(user)
}

/// Who is signed in by cookie.
async fn by_cookie(parts: &mut Parts, app: &Arc<App>, mobile: &Mobile) -> Result<Option<User>, Refused> {
    if mobile.sign_in.is_none() || !parts.headers.contains_key(header::COOKIE) {
        return Ok(None);
    }
    let Ok(here) = Here::from_request_parts(parts, app).await else { return Ok(None) };
    let Some(token) = cookie::session_of(&parts.headers, &parts.method, &here) else { return Ok(None) };
    match verified(app, mobile, token).await {
        Ok(user) => Ok(Some(user)),
        Err(refused) if refused.is_fault() => Err(refused),
        Err(_) => Ok(None),
    }
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let Some(mobile) = &app.mobile else { return Ok(Self(None)) };
        match token(&parts.headers)? {
            None => Ok(Self(by_cookie(parts, app, mobile).await?)),
            Some(token) => Ok(Self(Some(shown(app, mobile, token).await?))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_header_counts_and_a_scheme_is_stripped() {
        let shown = |pairs: &[(&'static str, &'static str)]| {
            let headers = pairs
                .iter()
                .map(|(name, value)| (HeaderName::from_static(name), http::HeaderValue::from_static(value)));
            token(&headers.collect()).unwrap().map(str::to_owned)
        };
        for (pairs, expected) in [
            (&[][..], None),
            (&[("x-zumo-auth", "a.b.c")], Some("a.b.c")),
            (&[("x-zumo-auth", "Bearer a.b.c")], Some("a.b.c")),
            (&[("x-zumo-auth", "a.b.c"), ("authorization", "Bearer d.e.f")], Some("a.b.c")),
            (&[("authorization", "bearer  d.e.f")], Some("d.e.f")),
            (&[("authorization", "Basic eDp5")], None),
            (&[("x-zumo-auth", ""), ("authorization", "Bearer d.e.f")], Some("d.e.f")),
        ] {
            assert_eq!(shown(pairs).as_deref(), expected, "{pairs:?}");
        }
    }
}
