//! `/v1/hubs/{hub}/broadcasts`: accept, look, control.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest;
use axum::Json;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use serde_json::json;

use super::audience::Count;
use super::broadcast_form::{Asked, RATES, Shown, check_payloads, read};
use super::broadcast_schema::{self as schema, Accepted, BroadcastPage, BroadcastRequest, Pace};
use super::{Page, action_of};
use crate::api::App;
use crate::api::document::Object;
use crate::api::error::ApiError;
use crate::api::refusals::{BodyRefused, Conflict, Error, Refused};
use crate::api::request::{Body, Params, Visit};
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::broadcast::{Broadcast, Wish};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::platform::Platform;
use crate::store::{ControlError, NewBroadcast};

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Accepts a broadcast: 202, durable when answered. A dry run answers what it would reach and creates nothing.
#[utoipa::path(
    post,
    path = "/v1/hubs/{hub}/broadcasts",
    tag = "broadcasts",
    operation_id = "create_broadcast",
    summary = "Sends a broadcast (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("Idempotency-Key" = Option<String>, Header, description = "Within 24 hours the same key with the same body gets the same answer", min_length = 1, max_length = 256),
    ),
    request_body(content = BroadcastRequest, content_type = "application/json"),
    responses(
        (status = 200, description = "Of a dry run: what it would reach", body = schema::DryRun),
        (status = 202, description = "Accepted; durable", body = Accepted, headers(("Location" = String, description = "Path of the broadcast"))),
        (status = 422, description = "The Idempotency-Key was used for another request within 24 hours", body = Error),
        BodyRefused,
    ),
)]
pub(super) async fn create(
    State(app): State<Arc<App>>,
    visit: Visit,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::SEND)?;
    let Asked { request, audience, dry_run } = read(&body, &app.limits.audience)?;
    let idempotency = idempotency(&headers, &body)?;
    let mut payload_bytes = check_payloads(hub, &request, app.clock.now())?;
    if dry_run {
        payload_bytes.extend(app.fanout.measure(hub.id, &request, &audience).await?);
        let mut platforms = app.store.count(hub.id, &audience, request.content.kind()).await?;
        if let Some(named) = request.content.platforms() {
            platforms.retain(|platform, _| named.contains(platform));
        }
        return Ok(Json(DryRun { count: Count::of(platforms), payload_bytes }).into_response());
    }
    let begun = app.clock.boot();
    let accepted =
        app.fanout.accept(NewBroadcast { hub: hub.id, request, audience, idempotency, sample: None }).await?;
    if !accepted.replayed {
        app.metrics.accepted(hub.id, app.clock.boot().after(begun));
    }
    let location = format!("/v1/hubs/{}/broadcasts/{}", hub.name, accepted.id);
    let location = HeaderValue::try_from(location).map_err(ApiError::internal)?;
    Ok((StatusCode::ACCEPTED, [(header::LOCATION, location)], Json(json!({ "id": accepted.id }))).into_response())
}

#[derive(serde::Serialize)]
struct DryRun {
    #[serde(flatten)]
    count: Count,
    payload_bytes: BTreeMap<Platform, usize>,
}

/// The key, and what tells another request from the same one: its bytes.
fn idempotency(headers: &HeaderMap, body: &[u8]) -> Result<Option<(String, [u8; 32])>, ApiError> {
    let Some(key) = headers.get(IDEMPOTENCY_KEY) else { return Ok(None) };
    let rule = || FieldError::new(IDEMPOTENCY_KEY, "must have 1 to 256 visible ASCII characters");
    let key = key.to_str().ok().filter(|key| (1..=256).contains(&key.len())).ok_or_else(rule)?;
    let mut hash = [0; 32];
    hash.copy_from_slice(digest::digest(&digest::SHA256, body).as_ref());
    Ok(Some((key.to_owned(), hash)))
}

/// The id that a path names; what is no id names no broadcast.
pub(super) fn id(text: &str) -> Result<BroadcastId, ApiError> {
    BroadcastId::parse(text).ok_or_else(|| ControlError::NotFound.into())
}

/// A broadcast of this hub.
pub(super) async fn find(app: &App, hub: &Hub, id: BroadcastId) -> Result<Broadcast, ApiError> {
    Ok(app.store.broadcast(hub.id, id).await?.ok_or(ControlError::NotFound)?)
}

fn shown(app: &App, hub: &Hub, status: StatusCode, broadcast: &Broadcast) -> Response {
    let blocked = app.fanout.blocked_senders(hub.id);
    (status, Json(Shown::new(broadcast, &blocked, app.clock.now()))).into_response()
}

/// One broadcast: state, counters, timing.
#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}/broadcasts/{id}",
    tag = "broadcasts",
    operation_id = "get_broadcast",
    summary = "Shows a broadcast (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the broadcast"),
    ),
    responses(
        (status = 200, description = "State, counters, timing", body = schema::Broadcast),
        Refused,
    ),
)]
pub(super) async fn get(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::SEND)?;
    let broadcast = find(&app, hub, id(visit.param("id"))?).await?;
    Ok(shown(&app, hub, StatusCode::OK, &broadcast))
}

/// Broadcasts of the hub, newest first.
#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}/broadcasts",
    tag = "broadcasts",
    operation_id = "list_broadcasts",
    summary = "Lists broadcasts, newest first (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of a page; 50 unless told", minimum = 1, maximum = 500),
    ),
    responses(
        (status = 200, description = "A page of broadcasts", body = BroadcastPage),
        Refused,
    ),
)]
pub(super) async fn list(State(app): State<Arc<App>>, visit: Visit, mut params: Params) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::SEND)?;
    let before = params.cursor(BroadcastId::parse)?;
    let limit = params.limit(50, 500)?;
    params.finish()?;
    // One more than asked for tells whether there is a next page.
    let mut broadcasts = app.store.broadcasts(hub.id, before, limit + 1).await?;
    let more = broadcasts.len() > limit;
    broadcasts.truncate(limit);
    let next_cursor = broadcasts.last().filter(|_| more).map(|last| last.id.to_string());
    let (blocked, now) = (app.fanout.blocked_senders(hub.id), app.clock.now());
    let items = broadcasts.iter().map(|broadcast| Shown::new(broadcast, &blocked, now)).collect();
    Ok(Json(Page { items, next_cursor }).into_response())
}

/// `{id}:pause`, `:resume`, `:cancel`: 202, effective on every node within a second.
#[utoipa::path(
    post,
    path = "/v1/hubs/{hub}/broadcasts/{id}",
    tag = "broadcasts",
    operation_id = "act_on_broadcast",
    summary = "Pauses, resumes or cancels a broadcast (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "`{id}:pause`, `{id}:resume` or `{id}:cancel`", pattern = "^.+:(pause|resume|cancel)$"),
    ),
    responses(
        (status = 202, description = "Effective on every node within a second", body = schema::Broadcast),
        Refused,
        Conflict,
    ),
)]
pub(super) async fn action(State(app): State<Arc<App>>, visit: Visit) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::SEND)?;
    let Some((id_text, action)) = action_of(visit.param("id")) else {
        // The router cannot know that POST needs an action here (RFC 9110 section 15.5.6 wants the others named).
        return Ok(([(header::ALLOW, "GET,HEAD,PATCH")], ApiError::method_not_allowed()).into_response());
    };
    let wish = match action {
        "pause" => Wish::Pause,
        "resume" => Wish::Run,
        "cancel" => Wish::Cancel,
        _ => return Err(ApiError::no_route()),
    };
    let broadcast = app.fanout.wish(hub.id, id(id_text)?, wish).await?;
    Ok(shown(&app, hub, StatusCode::ACCEPTED, &broadcast))
}

/// Changes the pace: 202, effective on every node within a second.
#[utoipa::path(
    patch,
    path = "/v1/hubs/{hub}/broadcasts/{id}",
    tag = "broadcasts",
    operation_id = "pace_broadcast",
    summary = "Changes the pace of a broadcast (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the broadcast"),
    ),
    request_body(content = Pace, content_type = "application/json"),
    responses(
        (status = 202, description = "Effective on every node within a second", body = schema::Broadcast),
        BodyRefused,
        Conflict,
    ),
)]
pub(super) async fn patch(State(app): State<Arc<App>>, visit: Visit, Body(body): Body) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::SEND)?;
    let id = id(visit.param("id"))?;
    let mut form = Object::of_body(&body)?;
    let rate = form.integer("rate_per_second", RATES)?.ok_or_else(|| form.fault("rate_per_second", "is required"))?;
    form.finish()?;
    let broadcast = app.fanout.set_rate(hub.id, id, rate).await?;
    Ok(shown(&app, hub, StatusCode::ACCEPTED, &broadcast))
}
