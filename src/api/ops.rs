//! For those who run the service: alive, ready, measured. None of these needs a key.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::routing::get;
use http::{StatusCode, header};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::ApiError;
use super::request::Params;
use super::{App, Route};
use crate::model::field::FieldError;

/// A store or queue that answers later than this is not ready: balancers ask about once a second.
const PATIENCE: Duration = Duration::from_secs(2);

/// The part of the API's description that is about these paths.
#[derive(utoipa::OpenApi)]
#[openapi(paths(healthz, readyz, metrics))]
pub(super) struct Described;

pub(super) fn routes() -> Vec<Route> {
    vec![("/healthz", get(healthz)), ("/readyz", get(readyz)), ("/metrics", get(metrics))]
}

/// The process is alive: it can answer. Says nothing of what it depends on, so that nobody restarts it for that.
#[utoipa::path(
    get,
    path = "/healthz",
    tag = "operations",
    operation_id = "healthz",
    summary = "Is the process alive?",
    responses(
        (status = 200, description = "It is", body = Health),
    ),
    security(()),
)]
pub(super) async fn healthz() -> impl IntoResponse {
    Json(Health { status: "ok" })
}

#[derive(Serialize, ToSchema)]
pub(super) struct Health {
    status: &'static str,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Readiness {
    status: &'static str,
    /// What is missing, in words for a person.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    missing: Vec<String>,
}

/// What the things this process depends on answered: words for a person where they did not.
struct Asked {
    store: Result<(), String>,
    queue: Result<(), String>,
    draining: bool,
}

impl Asked {
    async fn all(app: &App) -> Self {
        let (store, queue) = tokio::join!(
            tokio::time::timeout(PATIENCE, app.store.ping()),
            tokio::time::timeout(PATIENCE, app.queue.ping())
        );
        let unanswered = || "it does not answer".to_owned();
        Self {
            store: store.map_or_else(|_| Err(unanswered()), |asked| asked.map_err(|error| error.to_string())),
            queue: queue.map_or_else(|_| Err(unanswered()), |asked| asked.map_err(|error| error.to_string())),
            draining: app.draining.is_cancelled(),
        }
    }

    fn serves_without_queue(&self) -> bool {
        self.store.is_ok() && !self.draining
    }

    fn missing(&self) -> Vec<String> {
        let stopping = self.draining.then(|| "this process is stopping".to_owned());
        let store = self.store.as_ref().err().map(|why| format!("store: {why}"));
        let queue = self.queue.as_ref().err().map(|why| format!("queue: {why}"));
        [stopping, store, queue].into_iter().flatten().collect()
    }
}

/// 200 when requests can be served (store and queue answer, and the store was opened, so its schema is this build's),
/// else 503. `ignore=queue`: without the queue too. Broadcasts are accepted then all the same and wait for it, so a
/// balancer that asks so keeps its nodes while the queue is away.
#[utoipa::path(
    get,
    path = "/readyz",
    tag = "operations",
    operation_id = "readyz",
    summary = "Can requests be served?",
    params(
        ("ignore" = Option<String>, Query, description = "`queue`: ready without the queue, too; broadcasts are accepted then and wait for it", pattern = "^queue$"),
    ),
    responses(
        (status = 200, description = "They can", body = Readiness),
        (status = 503, description = "They cannot; `missing` says why", body = Readiness),
    ),
    security(()),
)]
pub(super) async fn readyz(State(app): State<Arc<App>>, mut params: Params) -> Result<impl IntoResponse, ApiError> {
    let without_queue = match params.take("ignore").as_deref() {
        None => false,
        Some("queue") => true,
        Some(_) => return Err(FieldError::new("ignore", "must be queue").into()),
    };
    params.finish()?;
    let asked = Asked::all(&app).await;
    let missing = asked.missing();
    let ready = missing.is_empty() || without_queue && asked.serves_without_queue();
    Ok(match ready {
        true => (StatusCode::OK, Json(Readiness { status: "ready", missing })),
        false => (StatusCode::SERVICE_UNAVAILABLE, Json(Readiness { status: "not ready", missing })),
    })
}

/// Prometheus' text format.
#[utoipa::path(
    get,
    path = "/metrics",
    tag = "operations",
    operation_id = "metrics",
    summary = "Measurements for Prometheus",
    responses(
        (status = 200, description = "Prometheus' text format", body = String, content_type = "text/plain"),
    ),
    security(()),
)]
pub(super) async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    let asked = Asked::all(&app).await;
    app.metrics.asked(asked.store.is_ok(), asked.queue.is_ok(), asked.missing().is_empty());
    app.metrics.committed(app.store.commits());
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], app.metrics.render())
}
