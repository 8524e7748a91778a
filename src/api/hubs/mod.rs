//! The Notification Hubs face, as far as registrations and jobs go (`notification-hubs.md` 2.3, 2.4, 2.9).
//!
//! - [`registrations`]: operations R1–R7.
//! - [`jobs`]: J1–J3, and the containers that jobs read from and write to.

use super::Route;

mod here;
pub mod jobs;
mod registrations;

/// The operations by their paths.
pub(super) fn routes() -> Vec<Route> {
    let mut routes = registrations::routes();
    routes.extend(jobs::routes());
    routes
}
