//! The native API: JSON under `/v1`.
//!
//! Rights (`notification-hubs.md` 1.6, applied to the same things here): an installation by its id needs `listen`,
//! sending and looking at what was sent needs `send`, everything about the hub and its installations as a whole needs
//! `manage`; making, deleting and listing hubs, all access keys, and ending users' sessions need the admin key.
//!
//! A colon in the last segment of a path is an action (`{id}:pause`). The router's parameters take whole segments, so
//! such a segment is one parameter and its handler splits it.

use axum::routing::{get, post, put};

use super::Route;

mod audience;
mod broadcast_form;
mod broadcast_schema;
mod broadcasts;
mod events;
mod export;
pub(super) mod hub_form;
mod hub_schema;
mod hubs;
mod import;
mod installation_schema;
pub(super) mod installations;
mod outcomes;
mod users;

/// The part of the API's description that is about these paths; it is gathered from their handlers.
#[derive(utoipa::OpenApi)]
#[openapi(paths(
    hubs::list,
    hubs::put,
    hubs::get,
    hubs::delete,
    hubs::key_action,
    hubs::sender_action,
    installations::list,
    import::import,
    export::export,
    installations::put,
    installations::get,
    installations::patch,
    installations::delete,
    audience::count,
    broadcasts::create,
    broadcasts::list,
    broadcasts::get,
    broadcasts::patch,
    broadcasts::action,
    events::follow,
    outcomes::list,
    outcomes::of_installation,
    users::action,
))]
pub(super) struct Described;

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/v1/hubs", get(hubs::list)),
        ("/v1/hubs/{hub}", put(hubs::put).get(hubs::get).delete(hubs::delete)),
        ("/v1/hubs/{hub}/keys/{action}", post(hubs::key_action)),
        ("/v1/hubs/{hub}/senders/{action}", post(hubs::sender_action)),
        ("/v1/hubs/{hub}/installations", get(installations::list)),
        ("/v1/hubs/{hub}/installations:import", post(import::import)),
        ("/v1/hubs/{hub}/installations:export", get(export::export)),
        (
            "/v1/hubs/{hub}/installations/{id}",
            put(installations::put).get(installations::get).patch(installations::patch).delete(installations::delete),
        ),
        ("/v1/hubs/{hub}/audience", post(audience::count)),
        ("/v1/hubs/{hub}/broadcasts", post(broadcasts::create).get(broadcasts::list)),
        ("/v1/hubs/{hub}/broadcasts/{id}", get(broadcasts::get).patch(broadcasts::patch).post(broadcasts::action)),
        ("/v1/hubs/{hub}/broadcasts/{id}/events", get(events::follow)),
        ("/v1/hubs/{hub}/broadcasts/{id}/outcomes", get(outcomes::list)),
        ("/v1/hubs/{hub}/broadcasts/{id}/outcomes/{installation}", get(outcomes::of_installation)),
        ("/v1/users/{action}", post(users::action)),
    ]
}

/// A page of a list. `next_cursor` is null on the last one.
#[derive(serde::Serialize)]
struct Page<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// Name and action of `name:action`.
fn action_of(segment: &str) -> Option<(&str, &str)> {
    segment.rsplit_once(':')
}
