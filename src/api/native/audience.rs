//! `POST /v1/hubs/{hub}/audience`: how many, exactly, by platform.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use serde::Serialize;

use super::broadcast_schema::{AudienceCount, AudienceQuestion};
use crate::api::App;
use crate::api::document::Object;
use crate::api::error::ApiError;
use crate::api::refusals::BodyRefused;
use crate::api::request::{Body, Visit};
use crate::identity::keys::Rights;
use crate::model::audience::Audience;
use crate::model::platform::Platform;
use crate::model::target::AudienceKind;

/// Targets of an audience.
#[derive(Debug, Serialize)]
pub(super) struct Count {
    count: u64,
    platforms: BTreeMap<Platform, u64>,
}

impl Count {
    /// The sum over platforms.
    pub(super) fn of(platforms: BTreeMap<Platform, u64>) -> Self {
        Self { count: platforms.values().sum(), platforms }
    }
}

#[utoipa::path(
    post,
    path = "/v1/hubs/{hub}/audience",
    tag = "audience",
    operation_id = "count_audience",
    summary = "Counts the targets of an audience (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
    ),
    request_body(content = AudienceQuestion, content_type = "application/json"),
    responses(
        (status = 200, description = "Targets, exact, in one consistent read", body = AudienceCount),
        BodyRefused,
    ),
)]
pub(super) async fn count(
    State(app): State<Arc<App>>,
    visit: Visit,
    Body(body): Body,
) -> Result<impl IntoResponse, ApiError> {
    let hub = visit.hub(Rights::SEND)?;
    let mut form = Object::of_body(&body)?;
    let audience = Audience::parse(&form.text("audience")?.unwrap_or_default(), &app.limits.audience)?;
    let kinds = [("native", AudienceKind::Native), ("template", AudienceKind::Template)];
    let kind = form.choice("kind", &kinds)?.unwrap_or(AudienceKind::Native);
    form.finish()?;
    let begun = app.clock.boot();
    let counted = app.store.count(hub.id, &audience, kind).await?;
    // What the count took in here, apart from the way to it.
    let took = app.clock.boot().after(begun).as_secs_f64() * 1_000.0;
    Ok(([("server-timing", format!("count;dur={took:.3}"))], Json(Count::of(counted))))
}
