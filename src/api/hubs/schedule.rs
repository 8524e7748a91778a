//! S5 and S6: sends for later, and their cancellation (`notification-hubs.md` 2.6). Who gets one is decided when it is
//! due.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, StatusCode, header};

use super::here::{Here, Query, Whole, on, text};
use super::messages::{accept, call, check_length};
use super::{direct, notification};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::request::Visit;
use crate::identity::keys::Rights;
use crate::model::broadcast::{BroadcastState, Wish};
use crate::model::field::FieldError;
use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;
use crate::store::ControlError;

const TIME: &str = "ServiceBusNotification-ScheduleTime";

/// How far ahead a send may be put (section 5).
const HORIZON: Duration = Duration::from_hours(7 * 24);

/// S5.
pub(super) async fn post(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    query: Query,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::SEND)?;
    check_length(&body)?;
    let now = app.clock.now();
    let at = time(&headers, now)?;
    let handles = direct::asked(&query, &headers)?;
    let asked = notification::read(&headers, &body, handles, Some(at), now, &app.limits.audience)?;
    let id = accept(&app, hub, asked, call(&headers, &[&body]), None).await?;
    let location = here.location(&format!("/{}/schedulednotifications/{id}", hub.name))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

/// The time that it is for. One that has passed means now.
fn time(headers: &HeaderMap, now: Timestamp) -> Result<Timestamp, FieldError> {
    let text = text(headers, TIME)?.ok_or_else(|| FieldError::new(TIME, "is required"))?;
    let rule = || FieldError::new(TIME, "must be an ISO 8601 date and time such as 2027-01-15T08:00:00Z");
    let at = Timestamp::parse(text).ok_or_else(rule)?;
    if at.since(now) > HORIZON {
        return Err(FieldError::new(TIME, "must not be more than 7 days ahead"));
    }
    Ok(at)
}

/// S6. One that was sent, or cancelled before, is not there any more.
pub(super) async fn cancel(State(app): State<Arc<App>>, visit: Visit) -> Result<StatusCode, ApiError> {
    let hub = on(&visit, Rights::SEND)?;
    let missing = || ApiError::not_found("no_schedule", "There is no such scheduled notification");
    let id = BroadcastId::parse(visit.param("id")).ok_or_else(missing)?;
    let broadcast = app.store.broadcast(hub.id, id).await?.ok_or_else(missing)?;
    let waits =
        broadcast.request.schedule_at.is_some() && broadcast.state(app.clock.now()) == BroadcastState::Scheduled;
    if !waits {
        return Err(missing());
    }
    match app.fanout.wish(hub.id, id, Wish::Cancel).await {
        Ok(_) => Ok(StatusCode::OK),
        Err(ControlError::NotFound | ControlError::Over) => Err(missing()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn times_within_a_week_are_taken() {
        let now = Timestamp::parse("2027-01-10T00:00:00Z").unwrap();
        let at = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("servicebusnotification-scheduletime", HeaderValue::from_static(text));
            time(&headers, now).map_err(|error| error.to_string())
        };
        let due = Timestamp::parse("2027-01-15T08:00:00Z").unwrap();
        assert_eq!(at("2027-01-15T08:00:00.000Z"), Ok(due));
        assert_eq!(at("2027-01-15T08:00:00"), Ok(due));
        assert!(at("2020-01-01T00:00:00Z").is_ok());
        assert!(at("2027-01-17T00:00:00Z").is_ok());
        assert!(at("2027-01-17T00:00:01Z").unwrap_err().contains("7 days"));
        assert!(at("tomorrow").unwrap_err().contains("ISO 8601"));
        assert!(time(&HeaderMap::new(), now).is_err());
    }
}
