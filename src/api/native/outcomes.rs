//! `…/broadcasts/{id}/outcomes`: what became of each target.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::broadcast_schema::{OutcomeWord, OutcomesPage};
use super::{Page, broadcasts};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::refusals::Refused;
use crate::api::request::{Params, Visit};
use crate::identity::keys::Rights;
use crate::model::field::FieldError;
use crate::model::id::{InstallationId, Seq};
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;
use crate::model::registration::{Registrant, RegistrationId};
use crate::model::time::Timestamp;
use crate::store::{ControlError, OutcomeItem, OutcomePage, OutcomeQuery};

/// One target.
#[derive(Serialize)]
pub(super) struct Item {
    #[serde(flatten)]
    whose: Whose,
    target: String,
    platform: Platform,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    at: Timestamp,
}

/// Whose target it was.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Whose {
    /// Null when nothing is known of it any more.
    Installation(Option<InstallationId>),
    Registration(RegistrationId),
    /// Of a direct send.
    Handle(String),
}

impl From<Option<Registrant>> for Whose {
    fn from(registrant: Option<Registrant>) -> Self {
        match registrant {
            Some(Registrant::Registration(id)) => Self::Registration(id),
            Some(Registrant::Installation(id)) => Self::Installation(Some(id)),
            None => Self::Installation(None),
        }
    }
}

impl From<OutcomeItem> for Item {
    fn from(item: OutcomeItem) -> Self {
        Self {
            whose: item.handle.map_or_else(|| item.registrant.into(), Whose::Handle),
            target: item.target.to_string(),
            platform: item.platform,
            outcome: item.outcome.map_or(PENDING, Outcome::label),
            reason: item.reason,
            at: item.at,
        }
    }
}

const PENDING: &str = "pending";

/// All targets, or those with one outcome, in the order of their seq, which is the cursor.
#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}/broadcasts/{id}/outcomes",
    tag = "broadcasts",
    operation_id = "list_outcomes",
    summary = "Lists what became of each target (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the broadcast"),
        ("outcome" = Option<OutcomeWord>, Query, description = "Only targets with this outcome"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of a page; 100 unless told", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "A page of targets", body = OutcomesPage),
        Refused,
    ),
)]
pub(super) async fn list(
    State(app): State<Arc<App>>,
    visit: Visit,
    mut params: Params,
) -> Result<Json<Page<Item>>, ApiError> {
    let outcome = match params.take("outcome").as_deref() {
        None => None,
        Some(PENDING) => Some(None),
        Some(label) => Some(Some(Outcome::from_label(label).ok_or_else(|| {
            let rule = "must be pending, delivered, rejected, dropped, expired, cancelled or skipped";
            FieldError::new("outcome", rule)
        })?)),
    };
    Ok(Json(page(&app, &visit, params, OutcomeQuery { outcome, ..OutcomeQuery::default() }).await?))
}

/// The targets of one installation; 404 when it had none in this broadcast.
#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}/broadcasts/{id}/outcomes/{installation}",
    tag = "broadcasts",
    operation_id = "get_outcomes_of_installation",
    summary = "Tells what became of one installation (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the broadcast"),
        ("installation" = String, Path, description = "Id of the installation, or of a registration"),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before"),
        ("limit" = Option<u32>, Query, description = "Items of a page; 100 unless told", minimum = 1, maximum = 1000),
    ),
    responses(
        (status = 200, description = "Its targets", body = OutcomesPage),
        Refused,
    ),
)]
pub(super) async fn of_installation(
    State(app): State<Arc<App>>,
    visit: Visit,
    params: Params,
) -> Result<Json<Page<Item>>, ApiError> {
    let installation = Some(InstallationId::parse(visit.param("installation"))?);
    let page = page(&app, &visit, params, OutcomeQuery { installation, ..OutcomeQuery::default() }).await?;
    if page.items.is_empty() {
        let message = "this broadcast did not target the installation";
        return Err(ApiError::not_found("not_targeted", message));
    }
    Ok(Json(page))
}

async fn page(app: &App, visit: &Visit, mut params: Params, query: OutcomeQuery) -> Result<Page<Item>, ApiError> {
    let hub = visit.hub(Rights::SEND)?;
    let id = broadcasts::id(visit.param("id"))?;
    let from = params.cursor(|text| text.parse().ok().map(Seq))?;
    let limit = params.limit(100, 1_000)?;
    params.finish()?;
    let found = app.store.outcomes(hub.id, id, OutcomeQuery { from, limit, ..query }).await?;
    let OutcomePage { items, next } = found.ok_or(ControlError::NotFound)?;
    let items = items.into_iter().map(Item::from).collect();
    Ok(Page { items, next_cursor: next.map(|seq| seq.to_string()) })
}
