//! `/v1/hubs/{hub}/installations`: the registry, one document at a time.
//!
//! PUT is what a storm of app starts consists of: the document is read once, straight from the body, and the answer is
//! a constant.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};

use super::Page;
use super::installation_schema::{self as schema, InstallationPage, Registered, ShownInstallation};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::refusals::{BodyRefused, Refused};
use crate::api::request::{Body, Params, Visit};
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::audience::Audience;
use crate::model::id::{HubId, InstallationId, Seq};
use crate::model::installation::{Installation, Patch, Report};
use crate::store::{Applied, Change, StoreError};

/// Creates or replaces: 201 or 200, durable when answered.
#[utoipa::path(
    put,
    path = "/v1/hubs/{hub}/installations/{id}",
    tag = "installations",
    operation_id = "put_installation",
    summary = "Registers an installation or replaces it (listen)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the installation"),
    ),
    request_body(content = schema::Installation, content_type = "application/json"),
    responses(
        (status = 200, description = "Replaced; durable", body = Registered),
        (status = 201, description = "Registered; durable", body = Registered),
        BodyRefused,
    ),
)]
pub(super) async fn put(State(app): State<Arc<App>>, visit: Visit, Body(body): Body) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::LISTEN)?;
    let mut installation = Installation::parse(&body, Some(visit.param("id")), &app.limits.installation)?;
    installation.expires = hub.settings.latest_end(installation.expires, app.clock.now());
    Ok(said(apply(&app, hub.id, Change::Put(Box::new(installation))).await?))
}

fn said(applied: Applied) -> Response {
    let (status, said) = match applied {
        Applied::Created => (StatusCode::CREATED, r#"{"result":"created"}"#),
        Applied::Touched => (StatusCode::OK, r#"{"result":"touched"}"#),
        _ => (StatusCode::OK, r#"{"result":"updated"}"#),
    };
    (status, [(header::CONTENT_TYPE, "application/json")], said).into_response()
}

/// The document as it stands, with `pushChannelExpired`.
#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}/installations/{id}",
    tag = "installations",
    operation_id = "get_installation",
    summary = "Shows an installation (listen)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the installation"),
    ),
    responses(
        (status = 200, description = "The document as it stands", body = ShownInstallation),
        Refused,
    ),
)]
pub(super) async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::LISTEN)?;
    let id = InstallationId::parse(visit.param("id"))?;
    let stored = app.store.installation(hub.id, &id).await?;
    let stored = stored.ok_or_else(ApiError::no_installation)?;
    Ok(Json(stored.installation.shown_form(stored.channel_expired)).into_response())
}

/// Changes parts of a document: all operations or none.
#[utoipa::path(
    patch,
    path = "/v1/hubs/{hub}/installations/{id}",
    tag = "installations",
    operation_id = "patch_installation",
    summary = "Changes parts of an installation (listen)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the installation"),
    ),
    request_body(content = Vec<Object>, content_type = "application/json", description = "A JSON Patch: add, replace and remove"),
    responses(
        (status = 200, description = "Changed; durable", body = Registered),
        BodyRefused,
    ),
)]
pub(super) async fn patch(State(app): State<Arc<App>>, visit: Visit, Body(body): Body) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::LISTEN)?;
    let id = InstallationId::parse(visit.param("id"))?;
    Ok(said(patch_one(&app, hub, &id, Patch::parse(&body)?).await?))
}

/// Forgets an installation; also right when there is none.
#[utoipa::path(
    delete,
    path = "/v1/hubs/{hub}/installations/{id}",
    tag = "installations",
    operation_id = "delete_installation",
    summary = "Forgets an installation (listen)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the installation"),
    ),
    responses(
        (status = 204, description = "It is gone; also when there was none"),
        Refused,
    ),
)]
pub(super) async fn delete(State(app): State<Arc<App>>, visit: Visit) -> Result<StatusCode, ApiError> {
    let hub = visit.hub(Rights::LISTEN)?;
    let id = InstallationId::parse(visit.param("id"))?;
    apply(&app, hub.id, Change::Delete(id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Documents whose native target is in the audience, in the order of its seq, which is the cursor.
#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}/installations",
    tag = "installations",
    operation_id = "list_installations",
    summary = "Lists installations (manage)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("audience" = Option<String>, Query, description = "A tag expression; everybody when left out"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of a page; 100 unless told", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "Those whose native target is in the audience", body = InstallationPage),
        Refused,
    ),
)]
pub(super) async fn list(State(app): State<Arc<App>>, visit: Visit, mut params: Params) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::MANAGE)?;
    let audience = Audience::parse(&params.take("audience").unwrap_or_default(), &app.limits.audience)?;
    let from = params.cursor(|text| text.parse().ok().map(Seq))?.unwrap_or_default();
    let limit = params.limit(100, 1_000)?;
    params.finish()?;
    let page = app.store.installations(hub.id, &audience, from, limit).await?;
    let items: Vec<_> =
        page.items.iter().map(|stored| stored.installation.shown_form(stored.channel_expired)).collect();
    Ok(Json(Page { items, next_cursor: page.next.map(|seq| seq.to_string()) }).into_response())
}

/// Changes parts of one installation, while there is room for one more.
pub(in crate::api) async fn patch_one(
    app: &App,
    hub: &Hub,
    id: &InstallationId,
    patch: Patch,
) -> Result<Applied, ApiError> {
    let _slot = app.registrations.try_acquire().map_err(|_| ApiError::overloaded())?;
    let patch = patch.ending_by(hub.settings.latest_end(None, app.clock.now()));
    let applied = app.store.patch(hub.id, id, patch, app.limits.installation).await?;
    app.metrics.registered(hub.id, &[applied]);
    Ok(applied)
}

/// Writes what an app reports of its own device, while there is room for one more.
pub(in crate::api) async fn report_one(app: &App, hub: &Hub, mut report: Report) -> Result<Applied, ApiError> {
    let _slot = app.registrations.try_acquire().map_err(|_| ApiError::overloaded())?;
    if let Some(says) = &mut report.says {
        let installation = &mut says.installation;
        installation.expires = hub.settings.latest_end(installation.expires, app.clock.now());
    }
    let applied = app.store.report(hub.id, report, app.limits.installation).await?;
    app.metrics.registered(hub.id, &[applied]);
    Ok(applied)
}

/// Applies one change, while there is room for one more.
pub(in crate::api) async fn apply(app: &App, hub: HubId, change: Change) -> Result<Applied, ApiError> {
    let _slot = app.registrations.try_acquire().map_err(|_| ApiError::overloaded())?;
    let applied = app.store.apply(hub, vec![change]).await?;
    app.metrics.registered(hub, &applied);
    let missing = || StoreError::Engine("a change was not answered".to_owned());
    Ok(applied.first().copied().ok_or_else(missing)?)
}
