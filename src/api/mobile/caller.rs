//! Who is signed in (`mobile-apps.md` 4.8): `X-ZUMO-AUTH: TOKEN`, else `Authorization: Bearer TOKEN`.
//!
//! No token is nobody, which many resources allow; a token that stands for nobody is refused on every one: apps drop it
//! then and sign in again.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;
use http::{HeaderMap, HeaderName, header};

use super::Mobile;
use super::refusal::Refused;
use crate::api::App;
use crate::identity::jwt::Broken;
use crate::identity::session::{SessionError, User};

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

/// Whose session a token is, now and here.
async fn user(app: &App, mobile: &Mobile, token: &str) -> Result<User, Refused> {
    let sessions = mobile.sessions.as_ref().ok_or_else(|| Refused::from(SessionError::from(Broken::Signature)))?;
    Ok(sessions.verify(token, app.clock.now())?)
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let Some(mobile) = &app.mobile else { return Ok(Self(None)) };
        match token(&parts.headers)? {
            None => Ok(Self(None)),
            Some(token) => Ok(Self(Some(user(app, mobile, token).await?))),
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
