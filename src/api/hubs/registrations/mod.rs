//! R1–R7: registrations by id (`notification-hubs.md` 2.4). The lists are in [`lists`].
//!
//! Whoever may listen may write and read one registration; lists need the right to manage, unless they are of one
//! channel: only its app knows it.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::here::{Here, Whole, on};
use crate::api::error::ApiError;
use crate::api::request::Visit;
use crate::api::{App, Route};
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::registration::{self, Links, Registration, RegistrationId};
use crate::model::time::Timestamp;
use crate::store::{Applied, Precondition, Registered, RegistrationChange, StoreError};

mod lists;

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/{hub}/registrationids", post(reserve)),
        ("/{hub}/registrations", post(create).get(lists::all)),
        ("/{hub}/registrations/{id}", axum::routing::put(put).get(show).delete(delete)),
        ("/{hub}/tags/{tag}/registrations", get(lists::by_tag)),
    ]
}

const ENTRY: HeaderValue = HeaderValue::from_static("application/atom+xml; type=entry; charset=utf-8");

fn links(here: &Here, hub: &Hub) -> Links {
    Links { hub: here.bare(&format!("/{}", hub.name)), version: here.version.clone() }
}

/// R1: an id for a later PUT. Nothing is kept: no other registration will ever get it.
async fn reserve(visit: Visit, here: Here) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    let location = here.location(&format!("/{}/registrationids/{}", hub.name, RegistrationId::random()))?;
    Ok((StatusCode::CREATED, [(header::LOCATION, location)]).into_response())
}

/// R2: a new registration, whatever else is registered on its channel.
async fn create(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    let registration = read(&app, &body)?.named(RegistrationId::random());
    let location = here.location(&format!("/{}/registrations/{}", hub.name, registration.id))?;
    let mut response = written(&app, hub, &here, registration, Precondition::Absent).await?;
    response.headers_mut().insert(header::CONTENT_LOCATION, location);
    Ok(response)
}

/// R3: a registration under an id of the caller's, made or replaced.
async fn put(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    headers: HeaderMap,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    let id = RegistrationId::parse(visit.param("id"))?;
    let only = precondition(&headers);
    let registration = read(&app, &body)?.named(id);
    written(&app, hub, &here, registration, only).await
}

/// R4.
async fn show(State(app): State<Arc<App>>, visit: Visit, here: Here) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    let id = RegistrationId::parse(visit.param("id")).map_err(|_| missing())?;
    let stored = app.store.registration(hub.id, &id).await?.ok_or_else(missing)?;
    entry(&links(&here, hub), &stored.registration, stored.etag, stored.updated)
}

/// R5. Of a target of an installation: the installation. Where that has been deleted with another of its targets there is
/// nothing left to do, and a client that deletes all targets of a channel one by one must not stumble over it.
async fn delete(State(app): State<Arc<App>>, visit: Visit, headers: HeaderMap) -> Result<StatusCode, ApiError> {
    let hub = on(&visit, Rights::LISTEN)?;
    // What is no id is nobody's: clients pass over a 404 and stumble over a 400.
    let id = RegistrationId::parse(visit.param("id")).map_err(|_| missing())?;
    let of_installation = id.target().is_some();
    match apply(&app, hub, RegistrationChange::Delete { id, only: precondition(&headers) }).await? {
        Registered::Deleted => Ok(StatusCode::OK),
        Registered::Absent if of_installation => Ok(StatusCode::OK),
        refused => Err(refusal(refused)),
    }
}

fn read(app: &App, body: &[u8]) -> Result<registration::Draft, ApiError> {
    Ok(registration::read(body, &app.limits.installation, app.clock.now())?)
}

/// `If-Match`: `*`, or a version in one of the three spellings of the clients. One that is no number is no version that
/// any registration has.
fn precondition(headers: &HeaderMap) -> Precondition {
    let Some(value) = headers.get(header::IF_MATCH) else { return Precondition::None };
    let text = value.to_str().unwrap_or_default().trim();
    let bare = text.strip_prefix("W/").unwrap_or(text).trim_matches('"');
    match bare {
        "*" => Precondition::Present,
        bare => Precondition::Version(bare.parse().unwrap_or(u64::MAX)),
    }
}

async fn written(
    app: &App,
    hub: &Hub,
    here: &Here,
    mut registration: Registration,
    only: Precondition,
) -> Result<Response, ApiError> {
    registration.expires = hub.settings.latest_end(registration.expires, app.clock.now());
    let change = RegistrationChange::Put { registration: Box::new(registration.clone()), only };
    match apply(app, hub, change).await? {
        Registered::Created { etag, at } | Registered::Updated { etag, at } => {
            entry(&links(here, hub), &registration, etag, at)
        }
        refused => Err(refusal(refused)),
    }
}

async fn apply(app: &App, hub: &Hub, change: RegistrationChange) -> Result<Registered, ApiError> {
    let _slot = app.registrations.try_acquire().map_err(|_| ApiError::overloaded())?;
    let registered = app.store.register(hub.id, vec![change]).await?;
    let unanswered = || StoreError::Engine("a change was not answered".to_owned());
    let registered = registered.first().copied().ok_or_else(unanswered)?;
    app.metrics.registered(hub.id, counted(&registered));
    Ok(registered)
}

/// What metrics call it; what changed nothing is not counted.
pub(super) fn counted(registered: &Registered) -> &'static [Applied] {
    match registered {
        Registered::Created { .. } => &[Applied::Created],
        Registered::Updated { .. } => &[Applied::Updated],
        Registered::Deleted => &[Applied::Deleted],
        _ => &[],
    }
}

fn missing() -> ApiError {
    ApiError::not_found("no_registration", "there is no such registration in this hub")
}

fn refusal(refused: Registered) -> ApiError {
    match refused {
        Registered::Absent => missing(),
        Registered::Differs => ApiError::precondition("the registration is in another version than If-Match names"),
        Registered::Exists => ApiError::conflict("exists", "there is a registration of this id already"),
        Registered::OfInstallation => {
            let message = "this id stands for a target of an installation; write the installation";
            ApiError::conflict("of_installation", message)
        }
        other => ApiError::internal(format!("{other:?} is no refusal")),
    }
}

fn entry(links: &Links, registration: &Registration, etag: u64, updated: Timestamp) -> Result<Response, ApiError> {
    let version = HeaderValue::try_from(registration::http_etag(etag)).map_err(ApiError::internal)?;
    let document = registration::document(registration, etag, updated, links);
    Ok(([(header::CONTENT_TYPE, ENTRY), (header::ETAG, version)], document).into_response())
}
