//! What the service says about itself: metrics for Prometheus and log lines.
//!
//! [`names`] lists every metric with its unit and help; [`Metrics`] holds the handles. There is no process-wide
//! recorder: two services in one test have two.

mod labels;
pub mod logging;
mod metrics;
pub mod names;
mod page;
mod process;
mod route;
mod series;

pub use self::metrics::Metrics;
pub use self::route::{RouteMeter, count};
