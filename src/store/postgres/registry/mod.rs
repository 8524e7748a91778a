//! Hubs, installations, the index and its deltas, rows for workers.

use super::error::Done;
use super::*;

/// What the operations share in this process.
#[derive(Debug, Default)]
pub(super) struct Shared {}

fn unwritten<T>() -> Done<T> {
    Err(StoreError::Unavailable("this engine does not do that yet".to_owned()).into())
}

pub(super) async fn put_hub(_: &Parts, _: &HubName, _: Vec<u8>) -> Done<HubRecord> {
    unwritten()
}

pub(super) async fn hubs(_: &Parts) -> Done<Vec<HubRecord>> {
    unwritten()
}

pub(super) async fn delete_hub(_: &Parts, _: &HubName) -> Done<bool> {
    unwritten()
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

pub(super) async fn read_rows(_: &Parts, _: HubId, _: ChunkNo, _: &ChunkSet) -> Done<TargetRows> {
    unwritten()
}

pub(super) async fn fold(_: &Parts) -> Done<bool> {
    unwritten()
}

pub(super) async fn sweep(_: &Parts) -> Done<bool> {
    unwritten()
}

pub(super) fn commits(_: &Parts) -> Commits {
    Commits::default()
}
