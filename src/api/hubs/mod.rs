//! The Notification Hubs face: what the client libraries of the field speak, at the paths that they use
//! (`notification-hubs.md`).
//!
//! Its paths begin with a hub's name, so it stands behind every other face: what no route of theirs takes and has a form
//! of its own is led here ([`Face`]). On the way in a path is written the one way that the router knows ([`address`]); on
//! the way out each answer gets its tracking id, and a refusal the one body that clients can read ([`refusal`]).
//!
//! | operation | here |
//! |---|---|
//! | I1–I4 | [`installations`] |
//! | S1–S4 | [`messages`], with [`notification`], [`direct`], [`multipart`], [`legacy_fcm`], [`test_send`] |
//! | S5, S6 | [`schedule`] |
//! | T1 | [`telemetry`], with [`names`] |
//! | F1 | [`feedback`] |
//! | R1–R7 | [`registrations`] |
//! | J1–J3 | [`jobs`], with the containers that they read from and write to |
//! | H1–H4 | [`description`], [`namespace`] |
//!
//! A translator holds no rules: what a request asks for is decided by the rooms that the native API asks, too.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::{any, delete, get, post, put};
use http::{HeaderName, HeaderValue, header};
use tower_service::Service;
use uuid::Uuid;

use super::error::{ApiError, Refusal};
use super::{App, Meters, Route, served};
use crate::identity::sas::SasToken;
use crate::telemetry::count;

mod address;
mod description;
mod direct;
mod feedback;
pub mod fuzz;
mod here;
mod installations;
pub mod jobs;
mod legacy_fcm;
mod messages;
mod multipart;
mod names;
mod namespace;
mod notification;
mod refusal;
mod registrations;
mod schedule;
mod telemetry;
mod test_send;
mod xml;

use address::Form;
use here::{API_VERSION, Query};

const TRACKING: HeaderName = HeaderName::from_static("trackingid");
const CORRELATION: HeaderName = HeaderName::from_static("x-ms-correlation-request-id");

/// The operations by their paths as [`address::canonical`] writes them.
fn routes() -> Vec<Route> {
    let own = vec![
        ("/", get(namespace::listed)),
        (address::RESOURCES, get(namespace::list)),
        ("/{hub}", put(namespace::put).get(namespace::get).delete(namespace::delete)),
        (
            "/{hub}/installations/{id}",
            put(installations::put).get(installations::get).patch(installations::patch).delete(installations::delete),
        ),
        ("/{hub}/messages", post(messages::send)),
        ("/{hub}/messages/$batch", post(messages::batch)),
        ("/{hub}/messages/{id}", get(telemetry::get)),
        ("/{hub}/messages/{id}/errors", get(feedback::of_message)),
        ("/{hub}/schedulednotifications", post(schedule::post)),
        ("/{hub}/schedulednotifications/{id}", delete(schedule::cancel)),
        ("/{hub}/feedbackcontainer", get(feedback::container)),
        ("/{hub}/feedback", get(feedback::content)),
        ("/{hub}/feedback/{day}", get(feedback::day)),
    ];
    own.into_iter().chain(registrations::routes()).chain(jobs::routes()).collect()
}

/// The face, and what stands behind it.
#[derive(Clone)]
pub(super) struct Face {
    app: Arc<App>,
    operations: Router,
    /// For what is nobody's.
    nowhere: Router,
}

/// A router for everything that no other face takes; what is not this one's either is led to `nowhere`.
pub(super) fn router(app: &Arc<App>, meters: &Meters, nowhere: Router) -> Router {
    let unknown = any(async || ApiError::no_route());
    let operations = served(Router::new(), routes(), meters)
        .fallback_service(unknown.layer(from_fn_with_state(meters.of("none"), count)))
        .with_state(app.clone());
    let face = Face { app: app.clone(), operations, nowhere };
    Router::new().fallback(enter).with_state(face)
}

async fn enter(State(mut face): State<Face>, mut request: Request) -> Response {
    let path = match address::canonical(request.uri().path()) {
        Form::Operation(path) => Some(path),
        // The site's pages and other people's mistyped paths are no errors of a client library.
        Form::Namespace(path) => is_marked(&request).then_some(path),
        Form::Other => is_signed(&request).then(|| request.uri().path().to_owned()),
    };
    let rewritten = path.and_then(|path| address::with_path(request.uri(), &path));
    let is_native = request.uri().path().starts_with("/v1/");
    let Some(uri) = rewritten.filter(|_| !is_native) else {
        return match face.nowhere.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
    };
    *request.uri_mut() = uri;
    let tracking = tracking(&request);
    let response = match Query::of(request.uri()).version() {
        Err(error) => error.into_response(),
        Ok(_) => match face.operations.call(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        },
    };
    let mut response = in_our_form(&face.app, response, &tracking);
    let headers = response.headers_mut();
    if let Ok(tracking) = HeaderValue::try_from(tracking) {
        headers.insert(TRACKING, tracking);
    }
    if let Ok(correlation) = HeaderValue::try_from(fresh_id().to_string()) {
        headers.insert(CORRELATION, correlation);
    }
    response
}

fn is_signed(request: &Request) -> bool {
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    authorization.is_some_and(SasToken::is_claimed)
}

/// Whether a request to `/` or `/{hub}` is one of a client library.
pub(super) fn is_marked(request: &Request) -> bool {
    is_signed(request) || Query::of(request.uri()).get(API_VERSION).is_some()
}

/// The caller's own id where it is a GUID, so that each client shows the one that it knows (6.3).
fn tracking(request: &Request) -> String {
    let own = request.headers().get(TRACKING).and_then(|value| value.to_str().ok());
    own.filter(|text| Uuid::try_parse(text).is_ok()).map_or_else(|| fresh_id().to_string(), str::to_owned)
}

/// A GUID for finding a request again; nothing secret hangs on it.
fn fresh_id() -> Uuid {
    uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid()
}

/// A refusal in the form of this face; any other answer as it is.
fn in_our_form(app: &App, mut response: Response, tracking: &str) -> Response {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return response };
    let mut said = refusal::answer(&refusal, tracking, app.clock.now());
    // The log's part, and the methods that a path takes.
    std::mem::swap(said.extensions_mut(), response.extensions_mut());
    if let Some(allowed) = response.headers_mut().remove(header::ALLOW) {
        said.headers_mut().insert(header::ALLOW, allowed);
    }
    said
}
