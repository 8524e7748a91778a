//! The registry half of the embedded store.

use super::super::*;
use super::Parts;
use crate::model::id::CommitNo;
use crate::model::target::TargetKind;
use crate::model::time::Timestamp;
use rusqlite::Connection;

/// What the registry keeps in memory beside the file. Behind an `Arc` of its own (`parts.registry`), so that tasks of
/// the writer can hold it: one that held `Parts` could be the last to let go of the engine that runs it.
#[derive(Default)]
pub(super) struct Shared;

/// The index of one hub as one transaction sees it.
pub(super) struct Snapshot<'a> {
    _connection: &'a Connection,
}

impl<'a> Snapshot<'a> {
    /// Inside a read transaction, or the writer's: index changes that this transaction made are seen.
    pub(super) fn open(
        _registry: &'a Shared,
        connection: &'a Connection,
        _hub: HubId,
        _now: Timestamp,
    ) -> Result<Self> {
        Ok(Self { _connection: connection })
    }

    /// The seq that the next new target takes. 0 for a hub that does not exist.
    pub(super) fn next_seq(&self) -> Seq {
        Seq(0)
    }

    /// The hub's last registry commit: the `user_bound` of a plan made now.
    pub(super) fn commit_no(&self) -> CommitNo {
        CommitNo(0)
    }

    /// Prepares an audience: resolves keyed terms once, bounds it to chunks. `platforms: None` is all.
    pub(super) fn evaluate(
        &self,
        _audience: &Audience,
        _kind: AudienceKind,
        _platforms: Option<&[Platform]>,
    ) -> Result<Evaluation<'_>> {
        Err(StoreError::Engine("being built".into()))
    }

    /// Targets of a chunk marked as sharing their dedupe key.
    pub(super) fn shared(&self, _chunk: ChunkNo) -> Result<ChunkSet> {
        Err(StoreError::Engine("being built".into()))
    }
}

/// An audience, ready to be evaluated chunk by chunk.
pub(super) struct Evaluation<'s> {
    _connection: &'s Connection,
}

impl Evaluation<'_> {
    /// Where it can be true, ascending.
    pub(super) fn chunks(&self) -> &[ChunkNo] {
        &[]
    }

    /// No more targets than these.
    pub(super) fn upper_bound(&self) -> u64 {
        0
    }

    /// The targets of one chunk: live, of the kind, not expired by the snapshot's `now`. Platforms ascending, empty
    /// sets left out.
    pub(super) fn chunk(&mut self, _chunk: ChunkNo) -> Result<Vec<(Platform, ChunkSet)>> {
        Err(StoreError::Engine("being built".into()))
    }
}

/// How a removal was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Removal {
    /// Every live target of the installation on that channel has left.
    Dropped,
    /// Confirmed after `since`: it stays.
    Fresher,
    /// It had left already.
    Gone,
}

/// Judges one removal inside the writer's transaction; index changes go to this commit's delta.
pub(super) fn drop_dead(
    _tx: &Connection,
    _registry: &Shared,
    _hub: HubId,
    _seq: Seq,
    _since: Timestamp,
    _now: Timestamp,
) -> Result<Removal> {
    Err(StoreError::Engine("being built".into()))
}

/// The dedupe key's hash and bytes of a live target are compared by this: equal keys, one delivery.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct DedupeKey {
    channel: Box<[u8]>,
    kind: TargetKind,
}

/// The dedupe key of a live target; `None` when it has left.
pub(super) fn dedupe_key(_connection: &Connection, _hub: HubId, _seq: Seq) -> Result<Option<DedupeKey>> {
    Err(StoreError::Engine("being built".into()))
}

/// The id in a stored document, without reading the rest of it.
pub(super) fn document_id(_document: &[u8]) -> Result<InstallationId> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn put_hub(_parts: &Parts, _name: &HubName, _settings: Vec<u8>) -> Result<HubRecord> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn hubs(_parts: &Parts) -> Result<Vec<HubRecord>> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn delete_hub(_parts: &Parts, _name: &HubName) -> Result<bool> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn apply(_parts: &Parts, _hub: HubId, _changes: Vec<Change>) -> Result<Vec<Applied>> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn installation(
    _parts: &Parts,
    _hub: HubId,
    _id: &InstallationId,
) -> Result<Option<StoredInstallation>> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn installations(
    _parts: &Parts,
    _hub: HubId,
    _audience: &Audience,
    _from: Seq,
    _limit: usize,
) -> Result<InstallationPage> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn count(
    _parts: &Parts,
    _hub: HubId,
    _audience: &Audience,
    _kind: AudienceKind,
) -> Result<BTreeMap<Platform, u64>> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn read_rows(_parts: &Parts, _hub: HubId, _chunk: ChunkNo, _set: &ChunkSet) -> Result<TargetRows> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn fold(_parts: &Parts) -> Result<bool> {
    Err(StoreError::Engine("being built".into()))
}

pub(super) async fn sweep(_parts: &Parts) -> Result<bool> {
    Ok(false)
}
