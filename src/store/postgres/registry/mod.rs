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

/// The index of one hub as one transaction sees it.
pub(super) enum View {}

impl crate::store::index::IndexView for View {
    fn live_tags(&self) -> &crate::store::index::LiveTags {
        match *self {}
    }
    fn next_seq(&self) -> Seq {
        match *self {}
    }
    fn commit_no(&self) -> crate::model::id::CommitNo {
        match *self {}
    }
    fn overlay(&self, _: &str) -> crate::store::index::Overlay {
        match *self {}
    }
    fn chunk_lists(
        &self,
        _: &[(&str, &crate::store::index::Overlay)],
    ) -> Result<Vec<crate::model::audience::ChunkList>> {
        match *self {}
    }
    fn sets(&self, _: &str, _: &crate::store::index::Overlay, _: u32, _: u32) -> Result<BTreeMap<u32, ChunkSet>> {
        match *self {}
    }
    fn seqs_of_users(&self, _: &[&str]) -> Result<Vec<Vec<Seq>>> {
        match *self {}
    }
    fn seqs_of_installations(&self, _: &[&str]) -> Result<Vec<Vec<Seq>>> {
        match *self {}
    }
    fn due(&self) -> Result<BTreeMap<u32, ChunkSet>> {
        match *self {}
    }
    fn shared(&self, _: ChunkNo) -> Result<ChunkSet> {
        match *self {}
    }
    fn dedupe_keys(&self, _: &[Seq]) -> Result<Vec<(Seq, crate::store::registration::DedupeKey)>> {
        match *self {}
    }
    fn twins(&self, _: &crate::store::registration::DedupeKey, _: Seq) -> Result<Vec<Seq>> {
        match *self {}
    }
}

/// Runs an evaluation over the index where waiting is allowed.
pub(super) async fn on_view<T: Send + 'static>(
    _: &Parts,
    _: HubId,
    _: crate::model::time::Timestamp,
    _: impl FnOnce(&View) -> Result<T> + Send + 'static,
) -> Done<T> {
    unwritten()
}

/// Judges removals inside a transaction, one answer for each.
pub(super) async fn drop_dead(
    _: &Parts,
    _: &deadpool_postgres::Transaction<'_>,
    _: HubId,
    _: &[(Seq, crate::model::time::Timestamp)],
    _: crate::model::time::Timestamp,
) -> Done<Vec<crate::store::registration::Removal>> {
    unwritten()
}
