//! Hubs, installations, the index and its deltas, rows for workers.

use super::error::Done;
use super::*;

mod hub;
mod target_rows;

/// What the operations share in this process.
#[derive(Debug, Default)]
pub(super) struct Shared {}

fn unwritten<T>() -> Done<T> {
    Err(StoreError::Unavailable("this engine does not do that yet".to_owned()).into())
}

pub(super) async fn put_hub(parts: &Parts, name: &HubName, settings: Vec<u8>) -> Done<HubRecord> {
    hub::put(parts, name, &settings).await
}

pub(super) async fn replace_hub(
    parts: &Parts,
    name: &HubName,
    settings: Vec<u8>,
    seen: Option<(HubId, u64)>,
    renewed: &[Platform],
) -> Done<Option<HubRecord>> {
    hub::replace(parts, name, &settings, seen, renewed).await
}

pub(super) async fn hubs(parts: &Parts) -> Done<Vec<HubRecord>> {
    hub::all(parts).await
}

pub(super) async fn delete_hub(parts: &Parts, name: &HubName) -> Done<bool> {
    hub::delete(parts, name).await
}

pub(super) async fn apply(_: &Parts, _: HubId, _: Vec<Change>) -> Done<Vec<Applied>> {
    unwritten()
}

pub(super) async fn patch(
    _: &Parts,
    _: HubId,
    _: &InstallationId,
    _: Patch,
    _: InstallationLimits,
) -> Done<Result<Applied, PatchError>> {
    unwritten()
}

pub(super) async fn installation(_: &Parts, _: HubId, _: &InstallationId) -> Done<Option<StoredInstallation>> {
    unwritten()
}

pub(super) async fn installations(_: &Parts, _: HubId, _: &Audience, _: Seq, _: usize) -> Done<InstallationPage> {
    unwritten()
}

pub(super) async fn count(_: &Parts, _: HubId, _: &Audience, _: AudienceKind) -> Done<BTreeMap<Platform, u64>> {
    unwritten()
}

pub(super) async fn read_rows(parts: &Parts, hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Done<TargetRows> {
    let client = parts.pool.get().await?;
    target_rows::read(&client, hub, chunk, set, |_, expires| Some(expires)).await
}

pub(super) async fn fold(_: &Parts) -> Done<bool> {
    unwritten()
}

pub(super) async fn sweep(parts: &Parts) -> Done<bool> {
    hub::purge(parts).await
}

pub(super) fn commits(_: &Parts) -> Commits {
    Commits::default()
}
