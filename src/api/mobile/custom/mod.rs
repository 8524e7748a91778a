//! `/api/{name}`: the app's own code, behind this service (`mobile-apps.md` 6.1).
//!
//! Any request goes to `{upstream}/{name}` as it came, with its query, body and headers, and with headers that say who
//! calls ([`identity`]); the answer goes back as it is. What both ends of one connection say to each other stays with
//! that connection ([`passing`]). Bodies pass through piece by piece, both ways, within bounds of size and patience.

use std::error::Error;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any};
use http::{HeaderMap, HeaderValue, Method, Uri, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Body as _;
use tower_http::timeout::{TimeoutBody, TimeoutError};

use super::caller::Caller;
use super::here::Here;
use super::refusal::Refused;
use crate::api::App;
use crate::api::error::ApiError;
use crate::config::Access;
use crate::model::field::FieldError;

mod identity;
mod passing;
mod path;
mod upstream;

pub(super) use upstream::Upstream;

/// Every path below this one.
pub(super) const ROUTE: &str = "/api/{*name}";

/// Whatever the method: which ones there are the upstream knows.
pub(super) fn methods() -> MethodRouter<Arc<App>> {
    any(forward)
}

async fn forward(
    State(app): State<Arc<App>>,
    caller: Caller,
    here: Here,
    request: Request,
) -> Result<Response, Refused> {
    let upstream = app.mobile.as_ref().and_then(|mobile| mobile.upstream.as_ref()).ok_or_else(Refused::no_route)?;
    if upstream.access == Access::Authenticated {
        caller.signed_in()?;
    }
    if matches!(*request.method(), Method::TRACE | Method::CONNECT) {
        return Err(Refused::disabled("this method is not passed on"));
    }
    // Else the upstream would be asked for a page, and the caller told whatever it says to that.
    if passing::asks_for_a_socket(request.headers()) {
        let rule = "must not ask for a WebSocket: requests and their answers are passed on here, and nothing else";
        return Err(FieldError::new("Upgrade", rule).into());
    }
    if passing::came_from_here(request.headers()) {
        return Err(ApiError::upstream_away("requests come back: mobile.api.upstream leads to this service").into());
    }
    let uri = path::below(&upstream.base, request.uri())?;
    let request = outgoing(&app, &caller, &here, uri, request)?;
    let slot = upstream.slots.clone().try_acquire_owned().map_err(|_| ApiError::overloaded())?;
    let patience = upstream.patience;
    let answer = tokio::time::timeout(patience, upstream.client.request(request)).await;
    let answer = answer.map_err(|_| ApiError::upstream_slow(patience))?;
    let (mut head, body) = answer.map_err(|error| failed(&app, &error))?.into_parts();
    passing::strip(&mut head.headers);
    passing::strip_of_pages(&mut head.headers);
    // An answer to HEAD has a length and no body.
    if body.size_hint().exact().is_none() {
        passing::without_length(&mut head.headers);
    }
    // The slot is free when the whole answer has gone through.
    let body = TimeoutBody::new(patience, body).map_frame(move |frame| {
        let _ = &slot;
        frame
    });
    Ok(Response::from_parts(head, Body::new(body)).into_response())
}

/// The request as the upstream gets it.
fn outgoing(
    app: &App,
    caller: &Caller,
    here: &Here,
    uri: Uri,
    request: Request,
) -> Result<http::Request<Body>, Refused> {
    let (head, body) = request.into_parts();
    let mut headers: HeaderMap = head.headers;
    passing::strip(&mut headers);
    passing::say_where(&mut headers, here);
    identity::set(&mut headers, caller.user());
    headers.remove(header::HOST);
    let size = body.size_hint();
    let limit = app.limits.body_bytes;
    if size.lower() > limit as u64 {
        return Err(ApiError::too_large(limit).into());
    }
    // Not as the caller wrote it: both ends must see the same body, and this is what was read of it.
    headers.remove(header::CONTENT_LENGTH);
    let body = match size.exact() {
        Some(0) => Body::empty(),
        length => {
            headers.extend(length.map(|length| (header::CONTENT_LENGTH, HeaderValue::from(length))));
            Body::new(Limited::new(TimeoutBody::new(app.patience, body), limit))
        }
    };
    let mut outgoing = http::Request::new(body);
    *outgoing.method_mut() = head.method;
    *outgoing.uri_mut() = uri;
    *outgoing.headers_mut() = headers;
    Ok(outgoing)
}

/// Why there is no answer: the caller's own body, or the upstream.
fn failed(app: &App, error: &(dyn Error + 'static)) -> ApiError {
    let caused = causes(error).find_map(|error| match error {
        _ if error.is::<LengthLimitError>() => Some(ApiError::too_large(app.limits.body_bytes)),
        _ if error.is::<TimeoutError>() => Some(ApiError::slow_body(app.patience)),
        _ => None,
    });
    let all = || causes(error).map(ToString::to_string).collect::<Vec<_>>().join(": ");
    caused.unwrap_or_else(|| ApiError::upstream_away(all()))
}

/// An error and what caused it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}
