//! The life of a broadcast in the embedded store.

use super::super::*;
use super::Parts;
use crate::clock::*;
use crate::model::broadcast::*;
use crate::model::time::Timestamp;

#[derive(Default)]
pub(super) struct Shared;

pub(super) async fn accept(_parts: &Parts, _new: NewBroadcast) -> Result<Accepted, AcceptError> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn broadcast(_parts: &Parts, _hub: HubId, _id: BroadcastId) -> Result<Option<Broadcast>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn broadcasts(
    _parts: &Parts,
    _hub: HubId,
    _before: Option<BroadcastId>,
    _limit: usize,
) -> Result<Vec<Broadcast>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn outcomes(
    _parts: &Parts,
    _hub: HubId,
    _id: BroadcastId,
    _query: OutcomeQuery,
) -> Result<Option<OutcomePage>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn wish(
    _parts: &Parts,
    _hub: HubId,
    _id: BroadcastId,
    _wish: Wish,
) -> Result<Broadcast, ControlError> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn set_rate(
    _parts: &Parts,
    _hub: HubId,
    _id: BroadcastId,
    _per_second: u32,
) -> Result<Broadcast, ControlError> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn lease_plan(
    _parts: &Parts,
    _id: BroadcastId,
    _length: Duration,
) -> Result<Result<Epoch, LeaseError>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn plan_step(
    _parts: &Parts,
    _id: BroadcastId,
    _epoch: Epoch,
    _length: Duration,
) -> Result<Result<PlanStep, LeaseError>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn lease(
    _parts: &Parts,
    _shard: ShardRef,
    _length: Duration,
) -> Result<Result<ShardWork, LeaseError>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn checkpoint(
    _parts: &Parts,
    _shard: ShardRef,
    _epoch: Epoch,
    _checkpoint: Checkpoint,
) -> Result<Result<CheckpointReply, LeaseError>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn ready(
    _parts: &Parts,
    _only: Option<BroadcastId>,
    _horizon: Duration,
    _window: usize,
) -> Result<Vec<ReadyWork>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn standings(_parts: &Parts, _ids: &[BroadcastId]) -> Result<BTreeMap<BroadcastId, Standing>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn conservation(_parts: &Parts) -> Result<BTreeMap<HubId, u64>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn sweep(_parts: &Parts) -> Result<bool> {
    Ok(false)
}

pub(super) fn recover(_connection: &rusqlite::Connection, _now: Timestamp) -> Result<()> {
    Ok(())
}
