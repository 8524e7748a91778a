//! `…/broadcasts/{id}/events`: progress as it happens, as server-sent events.
//!
//! `progress` carries the broadcast as GET answers it, at least each second; `end` carries its last state and ends the
//! stream. A stop of the process ends it too: the client's library connects again, to another node or to the next
//! process.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::response::sse::{Event, Sse};
use futures_util::Stream;
use futures_util::stream;

use super::broadcast_form::Shown;
use super::{broadcast_schema as schema, broadcasts};
use crate::api::App;
use crate::api::error::ApiError;
use crate::api::refusals::Refused;
use crate::api::request::Visit;
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::broadcast::Broadcast;
use crate::model::id::BroadcastId;

/// Less than the second that is promised, because the look at the store takes its time too.
const LOOK_EVERY: Duration = Duration::from_millis(750);

/// Where a stream is.
enum At {
    /// This is to be told.
    Tell(Box<Broadcast>),
    /// Look again after a while.
    Wait,
    Over,
}

#[utoipa::path(
    get,
    path = "/v1/hubs/{hub}/broadcasts/{id}/events",
    tag = "broadcasts",
    operation_id = "follow_broadcast",
    summary = "Follows a broadcast (send)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
        ("id" = String, Path, description = "Id of the broadcast"),
    ),
    responses(
        (status = 200, description = "Server-sent events: `progress` at least each second, `end` last; the data of each is the broadcast", body = schema::Broadcast, content_type = "text/event-stream"),
        Refused,
    ),
)]
pub(super) async fn follow(
    State(app): State<Arc<App>>,
    visit: Visit,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, ApiError> {
    let hub = visit.hub(Rights::SEND)?.clone();
    let id = broadcasts::id(visit.param("id"))?;
    // The first look is made before the answer begins, so that an unknown broadcast is a 404.
    let first = broadcasts::find(&app, &hub, id).await?;
    let events = stream::unfold(At::Tell(Box::new(first)), move |mut at| {
        let (app, hub) = (app.clone(), hub.clone());
        async move {
            loop {
                match at {
                    At::Over => return None,
                    At::Wait => at = look_later(&app, &hub, id).await,
                    At::Tell(broadcast) => return Some(tell(&app, &hub, &broadcast)),
                }
            }
        }
    });
    Ok(Sse::new(events))
}

async fn look_later(app: &App, hub: &Hub, id: BroadcastId) -> At {
    tokio::select! {
        () = app.draining.cancelled() => At::Over,
        () = tokio::time::sleep(LOOK_EVERY) => match app.store.broadcast(hub.id, id).await {
            Ok(Some(broadcast)) => At::Tell(Box::new(broadcast)),
            // Deleted with its hub, or swept: there is nothing more to tell.
            Ok(None) => At::Over,
            Err(error) => {
                app.fanout.trouble().say("cannot look at a broadcast that somebody follows", &error);
                At::Wait
            }
        },
    }
}

fn tell(app: &App, hub: &Hub, broadcast: &Broadcast) -> (Result<Event, Infallible>, At) {
    let over = broadcast.times.finished.is_some();
    let blocked = app.fanout.blocked_senders(hub.id);
    let data = serde_json::to_string(&Shown::new(broadcast, &blocked, app.clock.now())).unwrap_or_default();
    let event = Event::default().event(if over { "end" } else { "progress" }).data(data);
    (Ok(event), if over { At::Over } else { At::Wait })
}
