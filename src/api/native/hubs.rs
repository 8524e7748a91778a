//! `/v1/hubs`: settings, access keys, senders.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use http::{HeaderValue, StatusCode, header};
use serde_json::{Value, json};

use super::hub_schema::{Hub as HubSchema, HubPage, HubSettings, ResumedSender, RotatedRule};
use super::{Page, action_of, hub_form};
use crate::api::App;
use crate::api::document::Object;
use crate::api::error::ApiError;
use crate::api::refusals::{BodyRefused, Conflict, Refused};
use crate::api::request::{Body, Params, Visit};
use crate::directory::{Changed, Hub};
use crate::identity::keys::Rights;
use crate::model::field::FieldError;
use crate::model::id::HubName;
use crate::model::platform::Platform;

/// Answers that hold access keys are nobody's to keep.
const UNSTORED: [(header::HeaderName, HeaderValue); 1] =
    [(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))];

fn show(app: &App, hub: &Hub, with_keys: bool) -> Value {
    hub_form::show(hub, &app.fanout.blocked_senders(hub.id), with_keys)
}

/// Creates a hub (admin key) or replaces its settings (`manage`; its access keys only with the admin key).
#[utoipa::path(
    put,
    path = "/v1/hubs/{hub}",
    tag = "hubs",
    operation_id = "put_hub",
    summary = "Makes a hub (admin key) or replaces its settings (manage; access keys only with the admin key)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
    ),
    request_body(content = HubSettings, content_type = "application/json"),
    responses(
        (status = 200, description = "The hub as it is now", body = HubSchema),
        (status = 201, description = "The hub was made", body = HubSchema),
        BodyRefused,
        Conflict,
    ),
)]
pub(super) async fn put(
    State(app): State<Arc<App>>,
    visit: Visit,
    Body(body): Body,
) -> Result<impl axum::response::IntoResponse, ApiError> {
    match visit.known_hub() {
        Some(_) => drop(visit.hub(Rights::MANAGE)?),
        None => visit.admin()?,
    }
    let name = HubName::parse(visit.param("hub"))?;
    if !visit.is_admin() && Object::of_body(&body)?.raw("keys").is_some() {
        visit.admin()?;
    }
    let opened = app.unpacking.open(hub_form::certificate(&body)?).await?;
    let decide = |current: Option<&_>| {
        let mut form = Object::of_body(&body)?;
        if form.text("name")?.is_some_and(|own| !own.eq_ignore_ascii_case(name.as_str())) {
            return Err(FieldError::new("name", "must equal the hub in the path").into());
        }
        hub_form::read(form, opened.as_ref(), current)
    };
    let Changed { hub, created, reopened } = app.directory.put(&name, decide).await?;
    for platform in reopened {
        app.fanout.renew_sender(hub.id, platform).await;
    }
    let status = if created { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, UNSTORED, Json(show(&app, &hub, visit.is_admin()))))
}

/// Settings and how its senders are.
#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}",
    tag = "hubs",
    operation_id = "get_hub",
    summary = "Shows a hub (manage)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
    ),
    responses(
        (status = 200, description = "Settings, and how its senders are", body = HubSchema),
        Refused,
    ),
)]
pub(super) async fn get(
    State(app): State<Arc<App>>,
    visit: Visit,
) -> Result<impl axum::response::IntoResponse, ApiError> {
    let hub = visit.hub(Rights::MANAGE)?;
    Ok((UNSTORED, Json(show(&app, hub, visit.is_admin()))))
}

/// Every hub, by name.
#[utoipa::path(
    get,
    path = "/v1/hubs",
    tag = "hubs",
    operation_id = "list_hubs",
    summary = "Lists all hubs (admin key)",
    responses(
        (status = 200, description = "Every hub, by name", body = HubPage),
        Refused,
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    visit: Visit,
    params: Params,
) -> Result<impl axum::response::IntoResponse, ApiError> {
    visit.admin()?;
    params.finish()?;
    let items = app.directory.hubs().iter().map(|hub| show(&app, hub, true)).collect();
    Ok((UNSTORED, Json(Page { items, next_cursor: None })))
}

/// Deletes a hub with all it holds.
#[utoipa::path(
    delete,
    path = "/v1/hubs/{hub}",
    tag = "hubs",
    operation_id = "delete_hub",
    summary = "Deletes a hub with all it holds (admin key)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
    ),
    responses(
        (status = 204, description = "The hub is gone"),
        Refused,
        Conflict,
    ),
)]
pub(super) async fn delete(State(app): State<Arc<App>>, visit: Visit) -> Result<StatusCode, ApiError> {
    visit.admin()?;
    app.directory.delete(visit.param("hub")).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// `{rule}:rotate`: a fresh primary key, the old one becomes the secondary.
#[utoipa::path(
    post,
    path = "/v1/hubs/{hub}/keys/{action}",
    tag = "hubs",
    operation_id = "rotate_key",
    summary = "Rotates the keys of an access rule (admin key)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("action" = String, Path, description = "`{rule}:rotate`", pattern = "^.+:rotate$"),
    ),
    responses(
        (status = 200, description = "The rule with its new keys", body = RotatedRule),
        Refused,
        Conflict,
    ),
)]
pub(super) async fn key_action(
    State(app): State<Arc<App>>,
    visit: Visit,
) -> Result<impl axum::response::IntoResponse, ApiError> {
    visit.admin()?;
    let Some((name, "rotate")) = action_of(visit.param("action")) else { return Err(ApiError::no_route()) };
    let hub = visit.hub(Rights::MANAGE)?;
    let rule = app.directory.rotate(hub.name.as_str(), name).await?;
    let mut shown = hub_form::show_rule(&rule, true);
    shown["name"] = rule.name.into();
    Ok((UNSTORED, Json(shown)))
}

/// `{platform}:resume`: a paused sender goes on. Also right when it was not paused: it says what the caller wants.
#[utoipa::path(
    post,
    path = "/v1/hubs/{hub}/senders/{action}",
    tag = "hubs",
    operation_id = "resume_sender",
    summary = "Lets a paused sender go on (manage)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("action" = String, Path, description = "`{platform}:resume`", pattern = "^[a-z_]+:resume$"),
    ),
    responses(
        (status = 200, description = "The sender sends; also when it was not paused", body = ResumedSender),
        Refused,
    ),
)]
pub(super) async fn sender_action(State(app): State<Arc<App>>, visit: Visit) -> Result<Json<Value>, ApiError> {
    let hub = visit.hub(Rights::MANAGE)?;
    let Some((platform, "resume")) = action_of(visit.param("action")) else { return Err(ApiError::no_route()) };
    let known = Platform::from_label(platform).filter(|platform| hub.gateway(*platform).is_some());
    let platform = known.ok_or_else(|| ApiError::not_found("no_sender", "the hub has no sender for this platform"))?;
    let was_paused = app.fanout.resume_sender(hub.id, platform).await?;
    Ok(Json(json!({ "platform": platform, "state": "ok", "was_paused": was_paused })))
}
