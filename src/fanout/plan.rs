//! Planning: a leased job that streams. Each step commits with its shards and how far it got; the first shards run
//! meanwhile, and a restart goes on from there.

use std::sync::Arc;

use super::Worker;
use crate::model::id::BroadcastId;

/// Plans a broadcast to its end, or until the lease is lost.
pub(super) async fn run<A: Future<Output = ()>>(worker: &Arc<Worker>, id: BroadcastId, acknowledge: impl Fn() -> A) {
    let length = worker.settings.lease;
    let leased = worker.store.lease_plan(id, length).await;
    acknowledge().await;
    let epoch = match leased {
        Ok(Ok(epoch)) => epoch,
        Ok(Err(error)) => {
            tracing::debug!(broadcast = %id, %error, "nothing to plan");
            return;
        }
        Err(error) => {
            worker.trouble.say("cannot lease a plan", &error);
            return;
        }
    };
    while !worker.shutdown.is_cancelled() {
        match worker.store.plan_step(id, epoch, length).await {
            Ok(Ok(step)) => {
                worker.refill(id).await;
                if step.done {
                    return;
                }
            }
            Ok(Err(error)) => {
                tracing::warn!(broadcast = %id, %error, "lost the lease of a plan");
                return;
            }
            Err(error) => {
                worker.trouble.say("cannot plan", &error);
                return;
            }
        }
    }
}
