//! The Mobile Apps face: what the client libraries of the field speak (`mobile-apps.md`), at paths that begin with
//! `/tables`, `/.auth`, `/push`, `/api` and `/swagger`, and a page at `/` where the configuration wants one.
//!
//! | path | here |
//! |---|---|
//! | `/tables` | [`tables`] |
//! | `/push` | [`push`] |
//! | `/api` | [`custom`] |
//! | `/`, `/swagger` | [`pages`] |
//!
//! It stands before the Notification Hubs face, which takes all other paths. What holds for every path here is done on
//! the way in and out: pages of other hosts may call ([`cors`]), refusals have the one body that all clients read
//! ([`refusal`]). Who is signed in says [`caller`], where the service was reached [`here`].
//!
//! A translator holds no rules: users are the [`identity`](crate::identity) room's, rows those of the tables', devices
//! the registry's.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use http::{HeaderName, HeaderValue, Method, Uri};
use tower_service::Service;

use super::error::Refusal;
use super::{App, Meters, Route, hubs, served};
use crate::config::{ConfigError, MobileConfig};
use crate::telemetry::count;

pub mod auth;
pub mod caller;
mod cors;
mod custom;
pub mod here;
mod pages;
mod push;
pub mod refusal;
pub mod tables;

use auth::SignIn;
use cors::Cors;
use custom::Upstream;
use refusal::Refused;
use tables::Tables;

const SERVER_VERSION: HeaderName = HeaderName::from_static("x-zumo-server-version");
const OUR_VERSION: HeaderValue = HeaderValue::from_static(concat!("fanfare-", env!("CARGO_PKG_VERSION")));

/// The first segments of this face's paths.
pub(super) const OWN: [&str; 5] = ["tables", ".auth", "push", "api", "swagger"];

/// What the face has at hand.
#[derive(Debug)]
pub struct Mobile {
    pub config: MobileConfig,
    /// None without `[mobile.auth]`: then there are no users.
    pub sign_in: Option<SignIn>,
    pub tables: Tables,
    /// Where `/api` leads; none without `[mobile.api]`.
    upstream: Option<Upstream>,
    cors: Cors,
}

impl Mobile {
    /// The face that a configuration asks for, or what of it cannot be had.
    pub fn new(config: &MobileConfig, tables: Tables, sign_in: Option<SignIn>) -> Result<Self, ConfigError> {
        let upstream = config.api.as_ref().map(Upstream::new).transpose()?;
        let mut cors = Cors::new(&config.cors_origins);
        if !config.names_cors_origins {
            cors = cors.unnamed();
        }
        Ok(Self { sign_in, tables, upstream, cors, config: config.clone() })
    }
}

fn routes() -> Vec<Route> {
    let own = tables::routes().into_iter().chain(auth::routes());
    own.chain(push::routes()).chain(pages::routes()).collect()
}

/// The face, and what stands behind it.
#[derive(Clone)]
struct Face {
    mobile: Arc<Mobile>,
    operations: Router,
    behind: Router,
}

/// A router that takes this face's paths and leads all others on.
pub(super) fn router(app: &Arc<App>, mobile: &Arc<Mobile>, meters: &Meters<'_>, behind: Router) -> Router {
    let unknown = any(async || Refused::no_route());
    let operations = served(Router::new(), routes(), meters)
        .route(custom::ROUTE, custom::methods().layer(from_fn_with_state(meters.of(custom::ROUTE), count)))
        .fallback_service(unknown.layer(from_fn_with_state(meters.of("none"), count)))
        .with_state(app.clone());
    let face = Face { mobile: mobile.clone(), operations, behind };
    Router::new().fallback(enter).with_state(face)
}

async fn enter(State(mut face): State<Face>, mut request: Request) -> Response {
    let first = request.uri().path().split('/').nth(1).unwrap_or_default();
    let (is_table, is_auth) = (first == "tables", first == ".auth");
    let is_home = face.mobile.config.home_page && request.uri().path() == "/" && !hubs::is_marked(&request);
    if !is_home && !OWN.contains(&first) {
        return call(&mut face.behind, request).await;
    }
    let origin = face.mobile.cors.origin(request.headers());
    if request.method() == Method::OPTIONS {
        // Before anything is asked about a caller or a version: a browser asks without either (6.3).
        let mut response = cors::preflight(request.headers(), origin.as_ref());
        response.headers_mut().insert(SERVER_VERSION, OUR_VERSION);
        return response;
    }
    if let Some(uri) = without_last_slash(request.uri()) {
        *request.uri_mut() = uri;
    }
    let mut response = in_our_form(call(&mut face.operations, request).await);
    if is_table {
        tables::uncached(response.headers_mut());
    }
    if is_auth {
        auth::uncached(response.headers_mut());
    }
    cors::allow(response.headers_mut(), origin.as_ref());
    response.headers_mut().insert(SERVER_VERSION, OUR_VERSION);
    response
}

async fn call(router: &mut Router, request: Request) -> Response {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

/// A slash at the end of a path means nothing (2.0).
fn without_last_slash(uri: &Uri) -> Option<Uri> {
    let path = uri.path().strip_suffix('/').filter(|path| path.len() > 1)?;
    let target = uri.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// A refusal of the rooms that all faces share in the form of this one; any other answer as it is.
fn in_our_form(mut response: Response) -> Response {
    let Some(refusal) = response.extensions_mut().remove::<Refusal>() else { return response };
    let mut said = Refused::from(refusal).into_response();
    std::mem::swap(said.extensions_mut(), response.extensions_mut());
    if let Some(allowed) = response.headers_mut().remove(http::header::ALLOW) {
        said.headers_mut().insert(http::header::ALLOW, allowed);
    }
    said
}
