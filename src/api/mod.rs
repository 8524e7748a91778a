//! The HTTP faces. Router → thin handlers: extract, authorise, act, answer.
//!
//! - [`native`]: the JSON API under `/v1`.
//! - [`mobile`]: what the Mobile Apps client libraries speak.
//! - [`hubs`]: what the Notification Hubs client libraries speak, at the paths that no other face takes.
//! - [`site`]: an app's files, behind all faces.
//! - [`ops`]: health, readiness, metrics.
//! - [`docs`]: the description of both, and a page that shows it.
//! - [`error`]: the one place where an error becomes a status and a body.
//!
//! Handlers hold no rules of their own: they turn a request into calls of the store, the directory and the fan-out.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::MethodRouter;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower_http::catch_panic::CatchPanicLayer;

use crate::clock::SharedClock;
use crate::config::LimitsConfig;
use crate::directory::Directory;
use crate::fanout::{self, Role};
use crate::identity::keys::AdminKey;
use crate::model::audience::AudienceLimits;
use crate::model::installation::InstallationLimits;
use crate::queue::Queue;
use crate::store::Store;
use crate::telemetry::{Metrics, RouteMeter, count};

pub mod docs;
mod document;
pub mod error;
pub mod hubs;
pub mod mobile;
pub mod native;
pub mod ops;
pub mod rate;
mod refusals;
mod request;
pub mod site;
pub mod unpacking;

use error::{ApiError, log_faults};
use rate::RateLimits;
use unpacking::Unpacking;

/// Registrations, and rows of apps' tables, that may wait for their commit at once. A commit takes some milliseconds, so
/// this is many times what a healthy store has waiting; beyond it callers are told to come back rather than kept in
/// memory.
const REGISTRATIONS_WAITING: usize = 8_192;

/// What every handler has at hand.
pub struct App {
    pub store: Arc<dyn Store>,
    pub queue: Arc<dyn Queue>,
    pub directory: Arc<Directory>,
    pub fanout: fanout::Service,
    /// What this process is for.
    pub role: Role,
    pub clock: SharedClock,
    pub limits: Limits,
    pub metrics: Arc<Metrics>,
    pub admin: AdminKey,
    /// Set when the process begins to stop: readiness goes false, endless answers end.
    pub draining: CancellationToken,
    pub registrations: Semaphore,
    pub rates: RateLimits,
    pub unpacking: Unpacking,
    pub jobs: hubs::jobs::Jobs,
    /// The table and auth API; none without `[mobile]`.
    pub mobile: Option<Arc<mobile::Mobile>>,
    /// Files at `/`; none without `[site]`.
    pub site: Option<site::Site>,
    /// How long a caller may take with the head of a request, with a whole body, and with the next piece of a stream.
    pub patience: Duration,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("directory", &self.directory).field("limits", &self.limits).finish_non_exhaustive()
    }
}

/// `[limits]` of the configuration.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub body_bytes: usize,
    pub import_line_bytes: usize,
    pub installation: InstallationLimits,
    pub audience: AudienceLimits,
}

impl From<&LimitsConfig> for Limits {
    fn from(limits: &LimitsConfig) -> Self {
        Self {
            body_bytes: limits.body_bytes,
            import_line_bytes: limits.import_line_bytes,
            installation: InstallationLimits {
                tags: limits.tags_per_installation,
                tag_length: limits.tag_length,
                templates: limits.templates_per_installation,
            },
            audience: AudienceLimits {
                terms: limits.expression_terms,
                depth: limits.expression_depth,
                tag_length: limits.tag_length,
            },
        }
    }
}

impl App {
    /// How many registrations may wait at once.
    pub fn registration_slots() -> Semaphore {
        Semaphore::new(REGISTRATIONS_WAITING)
    }
}

/// A path and what it takes.
type Route = (&'static str, MethodRouter<Arc<App>>);

fn routes() -> impl Iterator<Item = Route> {
    native::routes().into_iter().chain(ops::routes()).chain(docs::routes())
}

/// The paths that are served, as the router writes them.
pub fn paths() -> Vec<&'static str> {
    routes().map(|(path, _)| path).collect()
}

/// Makes the meters of routes.
struct Meters<'a>(&'a App);

impl Meters<'_> {
    fn of(&self, route: &'static str) -> Arc<RouteMeter> {
        RouteMeter::new(route, self.0.metrics.clone(), self.0.clock.clone())
    }
}

/// Adds routes, each with its meter; a method that a path does not take is refused in our own words.
fn served(mut router: Router<Arc<App>>, routes: Vec<Route>, meters: &Meters<'_>) -> Router<Arc<App>> {
    for (path, methods) in routes {
        let methods = methods.fallback(async || ApiError::method_not_allowed());
        router = router.route(path, methods.layer(from_fn_with_state(meters.of(path), count)));
    }
    router
}

/// Everything that this process serves: all of it, or for one that only sends what its operators need.
pub fn router(app: Arc<App>) -> Router {
    let meters = Meters(&app);
    let only_sends = app.role == Role::Worker;
    let router = served(Router::new(), if only_sends { ops::routes() } else { routes().collect() }, &meters);
    let nowhere = axum::routing::any(async move || match only_sends {
        true => ApiError::only_sends(),
        false => ApiError::no_route(),
    });
    let nowhere = Router::new().fallback_service(nowhere.layer(from_fn_with_state(meters.of("none"), count)));
    let nowhere = match &app.site {
        Some(site) if !only_sends => site::router(site.clone(), &meters, nowhere),
        _ => nowhere,
    };
    let behind = match (&app.mobile, only_sends) {
        (_, true) => nowhere,
        (None, false) => hubs::router(&app, &meters, nowhere),
        (Some(mobile), false) => mobile::router(&app, mobile, &meters, hubs::router(&app, &meters, nowhere)),
    };
    router
        .fallback_service(behind)
        .layer(CatchPanicLayer::custom(panicked))
        .layer(from_fn_with_state(app.fanout.trouble().clone(), log_faults))
        .with_state(app)
}

/// A panic is a bug of ours; it costs its own request and nothing else.
fn panicked(panic: Box<dyn std::any::Any + Send + 'static>) -> Response {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    ApiError::internal(format!("panic: {}", text.unwrap_or("without a message"))).into_response()
}
