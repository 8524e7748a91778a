//! The life of a broadcast: accept, plan, lease, checkpoint, outcomes.

use super::error::Done;
use super::*;

mod partitions;

/// What the operations share in this process.
#[derive(Debug, Default)]
pub(super) struct Shared {
    partitions: partitions::Partitions,
}

fn unwritten<T>() -> Done<T> {
    Err(StoreError::Unavailable("this engine does not do that yet".to_owned()).into())
}

pub(super) async fn accept(_: &Parts, _: NewBroadcast) -> Done<Result<Accepted, AcceptError>> {
    unwritten()
}

pub(super) async fn broadcast(_: &Parts, _: HubId, _: BroadcastId) -> Done<Option<Broadcast>> {
    unwritten()
}

pub(super) async fn broadcasts(_: &Parts, _: HubId, _: Option<BroadcastId>, _: usize) -> Done<Vec<Broadcast>> {
    unwritten()
}

pub(super) async fn outcomes(_: &Parts, _: HubId, _: BroadcastId, _: OutcomeQuery) -> Done<Option<OutcomePage>> {
    unwritten()
}

pub(super) async fn wish(_: &Parts, _: HubId, _: BroadcastId, _: Wish) -> Done<Result<Broadcast, ControlError>> {
    unwritten()
}

pub(super) async fn set_rate(_: &Parts, _: HubId, _: BroadcastId, _: u32) -> Done<Result<Broadcast, ControlError>> {
    unwritten()
}

pub(super) async fn lease_plan(_: &Parts, _: BroadcastId, _: Duration) -> Done<Result<Epoch, LeaseError>> {
    unwritten()
}

pub(super) async fn plan_step(_: &Parts, _: BroadcastId, _: Epoch, _: Duration) -> Done<Result<PlanStep, LeaseError>> {
    unwritten()
}

pub(super) async fn lease(_: &Parts, _: ShardRef, _: Duration) -> Done<Result<ShardWork, LeaseError>> {
    unwritten()
}

pub(super) async fn checkpoint(
    _: &Parts,
    _: ShardRef,
    _: Epoch,
    _: Checkpoint,
) -> Done<Result<CheckpointReply, LeaseError>> {
    unwritten()
}

pub(super) async fn ready(_: &Parts, _: Option<BroadcastId>, _: Duration, _: usize) -> Done<Vec<ReadyWork>> {
    unwritten()
}

pub(super) async fn standings(_: &Parts, _: &[BroadcastId]) -> Done<BTreeMap<BroadcastId, Standing>> {
    unwritten()
}

pub(super) async fn conservation(_: &Parts) -> Done<BTreeMap<HubId, u64>> {
    unwritten()
}

pub(super) async fn sweep(parts: &Parts) -> Done<bool> {
    let now = parts.time.now(&parts.pool.get().await?).await?;
    parts.life.partitions.drop_one(parts, now).await
}
