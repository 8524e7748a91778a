//! I1 to I4: installations (`notification-hubs.md` 2.2). The same documents, rules and store operations as the native
//! API's; only the answers differ: PUT and PATCH are 200 with nothing in them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};

use super::here::{Whole, on};
use super::refusal::XML;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::native::installations::{apply, patch_one};
use crate::api::request::Visit;
use crate::identity::keys::Rights;
use crate::model::id::InstallationId;
use crate::model::installation::{Installation, Patch};
use crate::store::Change;

const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

fn done() -> Response {
    (StatusCode::OK, [(header::CONTENT_TYPE, XML)]).into_response()
}

/// I1: create or replace as a whole; visible when answered.
pub(super) async fn put(State(app): State<Arc<App>>, visit: Visit, Whole(body): Whole) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    let mut installation = Installation::parse(&body, Some(visit.param("id")), &app.limits.installation)?;
    installation.expires = hub.settings.latest_end(installation.expires, app.clock.now());
    apply(&app, hub.id, Change::Put(Box::new(installation))).await?;
    Ok(done())
}

/// I2: the document as it stands.
pub(super) async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    // What is no id is nobody's.
    let Ok(id) = InstallationId::parse(visit.param("id")) else { return Err(ApiError::no_installation()) };
    let stored = app.store.installation(hub.id, &id).await?.ok_or_else(ApiError::no_installation)?;
    let document = serde_json::to_vec(&stored.installation.shown_form(stored.channel_expired));
    Ok(([(header::CONTENT_TYPE, JSON)], document.map_err(ApiError::internal)?).into_response())
}

/// I3: parts of it, all or none.
pub(super) async fn patch(State(app): State<Arc<App>>, visit: Visit, Whole(body): Whole) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    let id = InstallationId::parse(visit.param("id"))?;
    patch_one(&app, hub, &id, Patch::parse(&body)?).await?;
    Ok(done())
}

/// I4: gone, also when it never was.
pub(super) async fn delete(State(app): State<Arc<App>>, visit: Visit) -> Result<StatusCode, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    if let Ok(id) = InstallationId::parse(visit.param("id")) {
        apply(&app, hub.id, Change::Delete(id)).await?;
    }
    Ok(StatusCode::NO_CONTENT)
}
