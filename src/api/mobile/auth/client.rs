//! Apps that have a token already: a provider's (4.3), or one of ours.

use axum::response::Response;
use serde_json::{Map, Value as Json};

use super::{Ask, failed, session_answer};
use crate::api::error::ApiError;
use crate::api::mobile::caller;
use crate::api::mobile::refusal::Refused;
use crate::api::request::Body;
use crate::model::field::FieldError;

/// The longest body, in bytes: some tokens.
const LONGEST: usize = 64 * 1024;

fn object(body: &Body) -> Result<Map<String, Json>, Refused> {
    if body.0.len() > LONGEST {
        return Err(ApiError::too_large(LONGEST).into());
    }
    Ok(serde_json::from_slice(&body.0).map_err(|error| FieldError::json("body", "must be a JSON object", &error))?)
}

/// POST `/.auth/login/{provider}`.
pub(super) async fn login(ask: Ask, body: Body) -> Result<Response, Refused> {
    let provider = ask.provider()?;
    let identity = provider.check(&object(&body)?).await.map_err(|error| failed(provider, error))?;
    let (user, token) = ask.welcome(provider, identity).await?;
    Ok(session_answer(&user, &token))
}

/// POST `/.auth/login`: `{"authenticationToken": …}`. Whose it is; the token is no other one.
pub(super) async fn existing(ask: Ask, body: Body) -> Result<Response, Refused> {
    ask.sign_in()?;
    let body = object(&body)?;
    let token = body.get("authenticationToken").and_then(Json::as_str);
    let token = token.ok_or_else(|| FieldError::new("authenticationToken", "is required: a session token"))?;
    let user = caller::verified(&ask.app, &ask.mobile, token).await?;
    Ok(session_answer(&user, token))
}
