//! `/v1/users`: those who signed in through the Mobile Apps face. A session is its token, so nothing of a user is kept
//! that could be listed; what can be done is to end their sessions.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::action_of;
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::refusals::Refused;
use crate::api::request::Visit;
use crate::identity::session::is_user_id;
use crate::model::field::FieldError;
use crate::model::time::Timestamp;

/// No session that the service makes can last longer; the app's own server may make some that do.
const KEPT: Duration = Duration::from_hours(87_600 + 72);

/// A user whose sessions were ended.
#[derive(Serialize, ToSchema)]
pub(super) struct RevokedUser {
    user: String,
    /// Sessions that began until then are over.
    #[schema(value_type = String, format = DateTime)]
    revoked_until: Timestamp,
}

/// `{id}:revoke`: every session of the user that has begun is over, on every node; a later sign-in is not touched.
#[utoipa::path(
    post,
    path = "/v1/users/{action}",
    tag = "users",
    operation_id = "revoke_user",
    summary = "Ends all sessions of a user that have begun (admin key)",
    params(
        ("action" = String, Path, description = "`{id}:revoke`; the id as in the user's session token", pattern = "^.+:revoke$"),
    ),
    responses(
        (status = 200, description = "They are over", body = RevokedUser),
        Refused,
    ),
)]
pub(super) async fn action(State(app): State<Arc<App>>, visit: Visit) -> Result<Json<RevokedUser>, ApiError> {
    visit.admin()?;
    let Some((user, "revoke")) = action_of(visit.param("action")) else { return Err(ApiError::no_route()) };
    if !is_user_id(user) {
        return Err(FieldError::new("id", "must be a user's id: 1 to 255 bytes without control characters").into());
    }
    let revoked_until = app.store.sign_in().revoke(user, None, KEPT).await?;
    Ok(Json(RevokedUser { user: user.to_owned(), revoked_until }))
}
