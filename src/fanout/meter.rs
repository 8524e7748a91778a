//! What the fan-out counts. Telemetry implements it; labels are bounded (hub, platform, verdict, lane).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::gateway::Reply;
use crate::model::broadcast::Lane;
use crate::model::id::HubId;
use crate::model::outcome::Outcome;
use crate::model::platform::Platform;

/// Counts what happens. Called once a batch or rarer, never once a target.
pub trait Meter: Send + Sync + 'static {
    /// A batch of answers came.
    fn replies(&self, hub: HubId, platform: Platform, replies: &[Reply]);

    /// That many targets were recorded with an outcome.
    fn outcomes(&self, hub: HubId, platform: Platform, outcome: Outcome, targets: u64);

    /// That many targets wait for another attempt.
    fn retries(&self, hub: HubId, platform: Platform, targets: u64);

    /// A sender's state.
    fn sender(&self, hub: HubId, platform: Platform, paused: bool, breaker_open: bool);

    /// Whether a sender rests because its service throttles it or cannot be reached.
    fn resting(&self, hub: HubId, platform: Platform, resting: bool);

    /// A shard was taken or let go.
    fn holds(&self, hub: HubId, platform: Platform, taken: bool);

    /// A broadcast's first targets go to a gateway, so long after it was accepted or became due.
    fn first_send(&self, lane: Lane, waited: Duration);

    /// The difference that conservation leaves, by hub: 0 everywhere.
    fn conservation(&self, differences: &BTreeMap<HubId, u64>);

    /// How long the oldest due entry of a lane has waited.
    fn queue_age(&self, lane: Lane, age: Duration);
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoMeter;

impl Meter for NoMeter {
    fn replies(&self, _: HubId, _: Platform, _: &[Reply]) {}
    fn outcomes(&self, _: HubId, _: Platform, _: Outcome, _: u64) {}
    fn retries(&self, _: HubId, _: Platform, _: u64) {}
    fn sender(&self, _: HubId, _: Platform, _: bool, _: bool) {}
    fn resting(&self, _: HubId, _: Platform, _: bool) {}
    fn holds(&self, _: HubId, _: Platform, _: bool) {}
    fn first_send(&self, _: Lane, _: Duration) {}
    fn conservation(&self, _: &BTreeMap<HubId, u64>) {}
    fn queue_age(&self, _: Lane, _: Duration) {}
}
