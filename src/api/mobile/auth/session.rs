//! What the owner of a session may ask (4.9).

use std::sync::Arc;
use std::time::Duration;

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{Method, StatusCode, header};
use serde::Serialize;

use super::tokens::Kept;
use super::{Ask, cookie, failed, redirect_to, session_answer, tokens};
use crate::api::App;
use crate::api::mobile::caller::{self, Caller};
use crate::api::mobile::refusal::{JSON, Refused};
use crate::identity::providers::{Claim, Provider, ProviderError, Tokens};
use crate::identity::session::{GRACE, User};
use crate::model::time::Timestamp;

const LOGGED_OUT: &str = "/.auth/logout/done";

/// The token of a header, or of a cookie.
struct Shown<'a> {
    token: &'a str,
    is_cookie: bool,
}

fn shown(ask: &Ask) -> Result<Option<Shown<'_>>, Refused> {
    if let Some(token) = caller::token(&ask.headers)? {
        return Ok(Some(Shown { token, is_cookie: false }));
    }
    let token = cookie::session_of(&ask.headers, &Method::GET, &ask.here);
    Ok(token.map(|token| Shown { token, is_cookie: true }))
}

/// GET `/.auth/refresh`: another token of the same session. The one that is shown may have ended, but not long ago.
pub(super) async fn refresh(ask: Ask) -> Result<Response, Refused> {
    let sign_in = ask.sign_in()?;
    let shown = shown(&ask)?.ok_or_else(Refused::sign_in)?;
    let user = caller::renewable(&ask.app, &ask.mobile, shown.token).await?;
    if !user.is_ours {
        return Err(Refused::bad("the app's own server made this token: only that server makes another"));
    }
    let provider = sign_in.providers.find(&user.provider);
    let provider = provider.ok_or_else(|| Refused::bad("sessions of this provider cannot be refreshed here"))?;
    if let Some(kept) = tokens::of(&ask, &user.sub, &user.provider).await?
        && kept.tokens.expires_on.is_some_and(|end| end <= ask.app.clock.now())
    {
        renew(&ask, provider, &user, &kept).await?;
    }
    let (user, token) = sign_in.sessions.renew(&user, ask.app.clock.now()).ok_or_else(Refused::unable)?;
    if !shown.is_cookie {
        return Ok(session_answer(&user, &token));
    }
    // The page never had the token in its hands, and does not get it now.
    let body = serde_json::json!({ "user": { "userId": user.sub } }).to_string();
    let mut response = (StatusCode::OK, [(header::CONTENT_TYPE, JSON)], body).into_response();
    let cookie = cookie::session(&ask.here, Some(&token), user.expires.since(ask.app.clock.now()));
    response.headers_mut().append(header::SET_COOKIE, cookie.ok_or_else(Refused::unable)?);
    Ok(response)
}

/// Has the provider give fresh tokens for its old ones. One that cannot be asked now is asked another time; one that has
/// ended the sign-in ends the session, too.
async fn renew(ask: &Ask, provider: &Provider, user: &User, kept: &Kept) -> Result<(), Refused> {
    let Some(refresh) = &kept.tokens.refresh_token else { return Ok(()) };
    if !tokens::claim(ask, &provider.name, refresh).await? {
        return Ok(());
    }
    match provider.renew(&kept.tokens).await {
        Ok(Some(fresh)) => tokens::keep(ask, &user.sub, &user.provider, &fresh).await,
        Ok(None) => Ok(()),
        Err(ProviderError::Ended) => {
            // Meanwhile another sign-in or another node may have brought others, which may be good.
            if !tokens::forget_read(ask, &user.sub, &user.provider, kept).await? {
                return Ok(());
            }
            end_alone(ask, user).await?;
            Err(failed(provider, ProviderError::Ended))
        }
        Err(error) => {
            tracing::warn!(provider = provider.name, %error, "tokens of a provider were not renewed");
            match error {
                // What brings somebody else's tokens is not used again.
                ProviderError::Refused(_) => {
                    let rest = Tokens { refresh_token: None, ..kept.tokens.clone() };
                    tokens::keep(ask, &user.sub, &user.provider, &rest).await
                }
                _ => Ok(()),
            }
        }
    }
}

/// Ends a session, with what the provider gave for it.
async fn end(ask: &Ask, user: &User) -> Result<(), Refused> {
    if user.is_ours {
        tokens::forget(ask, &user.sub, &user.provider).await?;
    }
    end_alone(ask, user).await
}

/// Ends a session.
async fn end_alone(ask: &Ask, user: &User) -> Result<(), Refused> {
    let left = user.expires.since(ask.app.clock.now()) + GRACE;
    let keep = ask.sign_in()?.sessions.remembered().max(left);
    if let Some(session) = &user.session {
        ask.app.store.sign_in().revoke(&user.sub, Some(session), keep).await?;
    }
    Ok(())
}

/// What `/.auth/me` tells of one provider.
#[derive(Serialize)]
struct Told<'a> {
    provider_name: &'a str,
    user_id: &'a str,
    user_claims: Vec<Claim>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    access_token_secret: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    authentication_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_on: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    id_token: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    refresh_token: Option<String>,
}

/// GET `/.auth/me`: a list, one for each provider; `?provider=` asks for one.
pub(super) async fn me(Me { ask, caller }: Me) -> Result<Response, Refused> {
    let user = caller.signed_in()?;
    let asked = ask.param("provider").is_none_or(|name| name.eq_ignore_ascii_case(&user.provider));
    let kept = match asked && user.is_ours {
        true => tokens::of(&ask, &user.sub, &user.provider).await?.map(|kept| kept.tokens),
        false => None,
    };
    let told: Vec<_> = asked.then(|| told(user, kept.unwrap_or_default())).into_iter().collect();
    let body = serde_json::to_vec(&told).map_err(|_| Refused::unable())?;
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, JSON)], body).into_response())
}

fn told(user: &User, tokens: Tokens) -> Told<'_> {
    let profile = &user.profile;
    let mut user_claims = tokens.user_claims;
    if user_claims.is_empty() {
        let claims = [("sub", &profile.subject), ("name", &profile.name), ("email", &profile.email)];
        let claim = |(typ, val): (&str, &Option<String>)| Some(Claim { typ: typ.to_owned(), val: val.clone()? });
        user_claims.extend(claims.into_iter().filter_map(claim));
    }
    user_claims.push(Claim { typ: "stable_sid".to_owned(), val: user.sub.clone() });
    Told {
        provider_name: &user.provider,
        // As the original server: the name by which the provider's people know themselves.
        user_id: profile.email.as_ref().or(profile.subject.as_ref()).unwrap_or(&user.sub),
        user_claims,
        access_token: tokens.access_token,
        access_token_secret: tokens.access_token_secret,
        authentication_token: tokens.authentication_token,
        expires_on: tokens.expires_on,
        id_token: tokens.id_token,
        refresh_token: tokens.refresh_token,
    }
}

/// A request of whoever is signed in.
pub(super) struct Me {
    ask: Ask,
    caller: Caller,
}

impl FromRequestParts<Arc<App>> for Me {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, Refused> {
        let caller = Caller::from_request_parts(parts, app).await?;
        Ok(Self { ask: Ask::from_request_parts(parts, app).await?, caller })
    }
}

/// GET `/.auth/logout`: ends the session that is shown, every token of it, and sends the browser where it may go. One that
/// shows none, or none that is good, is sent there as well.
pub(super) async fn logout(ask: Ask) -> Result<Response, Refused> {
    if let Ok(Some(shown)) = shown(&ask) {
        match caller::renewable(&ask.app, &ask.mobile, shown.token).await {
            Ok(user) => end(&ask, &user).await?,
            Err(refused) if refused.is_fault() => return Err(refused),
            Err(_) => {}
        }
    }
    let targets = ["post_logout_redirect_uri", "post_logout_redirect_url"];
    let target = targets.iter().find_map(|name| ask.param(name)).filter(|target| ask.allows(target));
    let mut response = redirect_to(&target.map_or_else(|| ask.here.address(LOGGED_OUT), str::to_owned))?;
    if let Some(gone) = cookie::session(&ask.here, None, Duration::ZERO) {
        response.headers_mut().append(header::SET_COOKIE, gone);
    }
    Ok(response)
}
