//! The registry half of the embedded store.

use super::super::*;
use super::Parts;
use crate::clock::*;
use crate::model::broadcast::*;
use crate::model::time::Timestamp;

#[derive(Default)]
pub(super) struct Shared;

pub(super) async fn put_hub(_parts: &Parts, _name: &HubName, _settings: Vec<u8>) -> Result<HubRecord> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn hubs(_parts: &Parts) -> Result<Vec<HubRecord>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn delete_hub(_parts: &Parts, _name: &HubName) -> Result<bool> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn apply(_parts: &Parts, _hub: HubId, _changes: Vec<Change>) -> Result<Vec<Applied>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn installation(
    _parts: &Parts,
    _hub: HubId,
    _id: &InstallationId,
) -> Result<Option<StoredInstallation>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn installations(
    _parts: &Parts,
    _hub: HubId,
    _audience: &Audience,
    _from: Seq,
    _limit: usize,
) -> Result<InstallationPage> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn count(
    _parts: &Parts,
    _hub: HubId,
    _audience: &Audience,
    _kind: AudienceKind,
) -> Result<BTreeMap<Platform, u64>> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn read_rows(_parts: &Parts, _hub: HubId, _chunk: ChunkNo, _set: &ChunkSet) -> Result<TargetRows> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn fold(_parts: &Parts) -> Result<bool> {
    Err(StoreError::Engine("being built".into()).into())
}

pub(super) async fn sweep(_parts: &Parts) -> Result<bool> {
    Ok(false)
}
