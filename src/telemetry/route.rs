//! Requests by route. The handles of a route are found once, when the router is built; a request costs two atomics.

use std::sync::{Arc, OnceLock};

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::Response;
use http::Method;
use metrics::{Counter, Histogram};

use super::Metrics;
use super::names::{HTTP_REQUESTS, HTTP_SECONDS};
use crate::clock::SharedClock;

/// Methods with a label of their own; the last stands for all others.
const METHODS: [&str; 6] = ["GET", "PUT", "POST", "PATCH", "DELETE", "other"];

/// Classes of status, from 100 on.
const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// Counts the requests of one route.
pub struct RouteMeter {
    route: &'static str,
    metrics: Arc<Metrics>,
    clock: SharedClock,
    /// By method and class; made when first needed, so that what never happens is not shown.
    counters: [[OnceLock<Counter>; CLASSES.len()]; METHODS.len()],
    seconds: Histogram,
}

impl std::fmt::Debug for RouteMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RouteMeter").field("route", &self.route).finish_non_exhaustive()
    }
}

impl RouteMeter {
    /// Counts under this label.
    pub fn new(route: &'static str, metrics: Arc<Metrics>, clock: SharedClock) -> Arc<Self> {
        let seconds = metrics.histogram(&HTTP_SECONDS, &[("route", route)]);
        Arc::new(Self { route, metrics, clock, counters: Default::default(), seconds })
    }

    fn counter(&self, method: &Method, status: u16) -> &Counter {
        let method = METHODS.iter().position(|known| *known == method.as_str()).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status / 100).saturating_sub(1).min(CLASSES.len() - 1);
        self.counters[method][class].get_or_init(|| {
            let labels = [("route", self.route), ("method", METHODS[method]), ("status", CLASSES[class])];
            self.metrics.counter(&HTTP_REQUESTS, &labels)
        })
    }
}

/// The middleware.
pub async fn count(State(meter): State<Arc<RouteMeter>>, request: Request, next: Next) -> Response {
    let (method, begun) = (request.method().clone(), meter.clock.boot());
    let response = next.run(request).await;
    meter.counter(&method, response.status().as_u16()).increment(1);
    meter.seconds.record(meter.clock.boot().after(begun).as_secs_f64());
    response
}
