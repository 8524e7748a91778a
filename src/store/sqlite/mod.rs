//! The embedded engine: one SQLite file in WAL mode, one process.
//!
//! - [`engine`](self): writer thread with group commit, readers.
//! - `registry`: hubs, installations, the index and its deltas, rows for workers.
//! - `jobs`: jobs, and the files that they read and write.
//! - `life`: accept, plan, lease, checkpoint, outcomes.
//! - `tables`: the apps' own tables.
//! - `sign_in`: codes, providers' tokens, revoked sessions.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rusqlite::Connection;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{
    AcceptError, Accepted, Applied, Change, Checkpoint, CheckpointReply, Commits, ControlError, FileId, FileInfo, Hold,
    HubRecord, InstallationPage, InsteadOf, JobRecord, JobStep, LeasedJob, NewBroadcast, Noted, OutcomePage,
    OutcomeQuery, PatchError, PlanStep, ReadyWork, Registered, RegistrationChange, RegistrationPage, RegistrationQuery,
    ReportError, Result, Retention, SenderRecord, ShardWork, SignInStore, Standing, Store, StoreError,
    StoredInstallation, StoredRegistration, Suspected, TableStore, Tally, TargetRows,
};
use crate::clock::{LeaseClock, SharedClock};
use crate::model::audience::Audience;
use crate::model::broadcast::{Broadcast, Wish};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo, Epoch, HubId, HubName, InstallationId, Seq, ShardRef};
use crate::model::installation::{InstallationLimits, Patch, Report};
use crate::model::platform::Platform;
use crate::model::registration::RegistrationId;
use crate::model::shard::LeaseError;
use crate::model::target::AudienceKind;
use crate::model::template::{TemplateContent, TemplateId};

mod engine;
mod inspect;
mod jobs;
mod life;
mod registry;
mod sign_in;
mod tables;

use engine::Engine;
pub use engine::Mode;
pub use inspect::{Inspection, inspect};
pub(super) use tables::rehearse;

/// The embedded store.
pub struct SqliteStore {
    parts: Arc<Parts>,
}

/// What every operation has at hand.
struct Parts {
    engine: Engine,
    clock: LeaseClock,
    retention: Retention,
    registry: Arc<registry::Shared>,
    life: life::Shared,
    bound: life::Bound,
    /// Held as long as the engine runs: fields are dropped in their order.
    _lock: Option<File>,
}

impl std::fmt::Debug for SqliteStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SqliteStore").finish_non_exhaustive()
    }
}

impl SqliteStore {
    /// Opens the file, makes it when missing, brings its schema up to date and voids every lease of an earlier process.
    pub fn open(path: &Path, mode: Mode, clock: SharedClock, retention: Retention) -> Result<Self> {
        let lock = lock(path)?;
        let clock = LeaseClock::starting_now(clock);
        let registry = Arc::<registry::Shared>::default();
        let engine = Engine::open(path, mode, registry.clone(), |connection| {
            migrate(connection)?;
            registry.recover(connection)?;
            jobs::recover(connection)?;
            life::recover(connection, clock.now())
        })?;
        let parts = Parts {
            engine,
            clock,
            retention,
            registry,
            life: life::Shared::default(),
            bound: life::Bound::default(),
            _lock: lock,
        };
        Ok(Self { parts: Arc::new(parts) })
    }
}

/// Takes the file for this process (design.md section 6): an advisory lock on `FILE.lock`, beside it because SQLite takes
/// locks of its own on the file. The kernel lets go of it when the process ends, however it ends.
fn lock(path: &Path) -> Result<Option<File>> {
    if path == Path::new(":memory:") {
        return Ok(None);
    }
    let name = lock_path(path);
    let failed = |error: std::io::Error| StoreError::Unavailable(format!("{}: {error}", name.display()));
    let file = File::options().create(true).truncate(false).write(true).open(&name).map_err(failed)?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Some(file)),
        Err(Errno::WOULDBLOCK) => Err(StoreError::InUse(path.display().to_string())),
        Err(error) => Err(failed(error.into())),
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

/// This build's schema version, kept in SQLite's `user_version`.
const SCHEMA_VERSION: i64 = 8;

/// What brings a file to each version.
const MIGRATIONS: [(i64, &str); 8] = [
    (1, include_str!("schema.sql")),
    (2, include_str!("senders.sql")),
    (3, include_str!("narrowing.sql")),
    (4, include_str!("templates.sql")),
    (5, include_str!("jobs.sql")),
    (6, include_str!("tables/tables.sql")),
    (7, include_str!("sign_in.sql")),
    (8, include_str!("kept.sql")),
];

/// Brings the schema to this version. Answers `Corrupt` for a file of a newer version.
fn migrate(connection: &mut Connection) -> Result<()> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version > SCHEMA_VERSION {
        return Err(StoreError::Corrupt(format!(
            "the file has schema version {version}, this build knows up to {SCHEMA_VERSION}"
        )));
    }
    let tx = connection.transaction()?;
    for (to, sql) in MIGRATIONS {
        if version < to {
            tx.execute_batch(sql)?;
            tx.pragma_update(None, "user_version", to)?;
        }
    }
    Ok(tx.commit()?)
}

#[async_trait]
impl Store for SqliteStore {
    async fn put_hub(&self, name: &HubName, settings: Vec<u8>) -> Result<HubRecord> {
        registry::put_hub(&self.parts, name, settings).await
    }

    async fn replace_hub(
        &self,
        name: &HubName,
        settings: Vec<u8>,
        seen: Option<(HubId, u64)>,
        renewed: &[Platform],
    ) -> Result<Option<HubRecord>> {
        registry::replace_hub(&self.parts, name, settings, seen, renewed).await
    }

    async fn hubs(&self) -> Result<Vec<HubRecord>> {
        registry::hubs(&self.parts).await
    }

    async fn hubs_revision(&self) -> Result<u64> {
        registry::hubs_revision(&self.parts).await
    }

    async fn senders(&self) -> Result<Vec<SenderRecord>> {
        registry::senders(&self.parts).await
    }

    async fn hold_sender(&self, hub: HubId, platform: Platform, hold: Hold, instead_of: InsteadOf) -> Result<Noted> {
        registry::hold_sender(&self.parts, hub, platform, hold, instead_of).await
    }

    async fn release_sender(&self, hub: HubId, platform: Platform, only: Option<u64>) -> Result<Option<SenderRecord>> {
        registry::release_sender(&self.parts, hub, platform, only).await
    }

    async fn delete_hub(&self, name: &HubName) -> Result<bool> {
        registry::delete_hub(&self.parts, name).await
    }

    async fn apply(&self, hub: HubId, changes: Vec<Change>) -> Result<Vec<Applied>> {
        registry::apply(&self.parts, hub, changes).await
    }

    async fn patch(
        &self,
        hub: HubId,
        id: &InstallationId,
        patch: Patch,
        limits: InstallationLimits,
    ) -> Result<Applied, PatchError> {
        registry::patch(&self.parts, hub, id, patch, limits).await
    }

    async fn report(&self, hub: HubId, report: Report, limits: InstallationLimits) -> Result<Applied, ReportError> {
        registry::report(&self.parts, hub, report, limits).await
    }

    async fn installation(&self, hub: HubId, id: &InstallationId) -> Result<Option<StoredInstallation>> {
        registry::installation(&self.parts, hub, id).await
    }

    async fn installations(
        &self,
        hub: HubId,
        audience: &Audience,
        from: Seq,
        limit: usize,
    ) -> Result<InstallationPage> {
        registry::installations(&self.parts, hub, audience, from, limit).await
    }

    async fn count(&self, hub: HubId, audience: &Audience, kind: AudienceKind) -> Result<BTreeMap<Platform, u64>> {
        registry::count(&self.parts, hub, audience, kind).await
    }

    async fn read_rows(
        &self,
        hub: HubId,
        chunk: ChunkNo,
        set: &ChunkSet,
        user_bound: Option<u64>,
    ) -> Result<TargetRows> {
        registry::read_rows(&self.parts, hub, chunk, set, user_bound).await
    }

    async fn lowest(&self, hub: HubId, audience: &Audience, kind: AudienceKind, limit: usize) -> Result<Vec<Seq>> {
        registry::lowest(&self.parts, hub, audience, kind, limit).await
    }

    async fn templates(&self, hub: HubId, ids: &[TemplateId]) -> Result<Vec<(TemplateId, TemplateContent)>> {
        registry::templates(&self.parts, hub, ids).await
    }

    async fn relink_templates(&self, hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Result<()> {
        registry::relink_templates(&self.parts, hub, chunk, set).await
    }

    async fn accept(&self, new: NewBroadcast) -> Result<Accepted, AcceptError> {
        life::accept(&self.parts, new).await
    }

    async fn broadcast(&self, hub: HubId, id: BroadcastId) -> Result<Option<Broadcast>> {
        life::broadcast(&self.parts, hub, id).await
    }

    async fn broadcasts(&self, hub: HubId, before: Option<BroadcastId>, limit: usize) -> Result<Vec<Broadcast>> {
        life::broadcasts(&self.parts, hub, before, limit).await
    }

    async fn outcomes(&self, hub: HubId, id: BroadcastId, query: OutcomeQuery) -> Result<Option<OutcomePage>> {
        life::outcomes(&self.parts, hub, id, query).await
    }

    async fn tally(&self, hub: HubId, id: BroadcastId) -> Result<Option<Tally>> {
        life::tally(&self.parts, hub, id).await
    }

    async fn wish(&self, hub: HubId, id: BroadcastId, wish: Wish) -> Result<Broadcast, ControlError> {
        life::wish(&self.parts, hub, id, wish).await
    }

    async fn set_rate(&self, hub: HubId, id: BroadcastId, per_second: u32) -> Result<Broadcast, ControlError> {
        life::set_rate(&self.parts, hub, id, per_second).await
    }

    async fn lease_plan(&self, id: BroadcastId, length: Duration) -> Result<Result<Epoch, LeaseError>> {
        life::lease_plan(&self.parts, id, length).await
    }

    async fn plan_step(&self, id: BroadcastId, epoch: Epoch, length: Duration) -> Result<Result<PlanStep, LeaseError>> {
        life::plan_step(&self.parts, id, epoch, length).await
    }

    async fn lease(
        &self,
        shard: ShardRef,
        length: Duration,
        suspects: Suspected,
    ) -> Result<Result<ShardWork, LeaseError>> {
        life::lease(&self.parts, shard, length, suspects).await
    }

    async fn checkpoint(
        &self,
        shard: ShardRef,
        epoch: Epoch,
        checkpoint: Checkpoint,
    ) -> Result<Result<CheckpointReply, LeaseError>> {
        life::checkpoint(&self.parts, shard, epoch, checkpoint).await
    }

    async fn ready(&self, only: Option<BroadcastId>, horizon: Duration, window: usize) -> Result<Vec<ReadyWork>> {
        life::ready(&self.parts, only, horizon, window).await
    }

    async fn standings(&self, ids: &[BroadcastId]) -> Result<BTreeMap<BroadcastId, Standing>> {
        life::standings(&self.parts, ids).await
    }

    async fn conservation(&self) -> Result<BTreeMap<HubId, u64>> {
        life::conservation(&self.parts).await
    }

    async fn register(&self, hub: HubId, changes: Vec<RegistrationChange>) -> Result<Vec<Registered>> {
        registry::register(&self.parts, hub, changes).await
    }

    async fn registration(&self, hub: HubId, id: &RegistrationId) -> Result<Option<StoredRegistration>> {
        registry::registration(&self.parts, hub, id).await
    }

    async fn registrations(
        &self,
        hub: HubId,
        query: RegistrationQuery,
        from: Seq,
        limit: usize,
    ) -> Result<RegistrationPage> {
        registry::registrations(&self.parts, hub, query, from, limit).await
    }

    async fn put_job(&self, hub: HubId, job: JobRecord) -> Result<()> {
        jobs::put(&self.parts, hub, job).await
    }

    async fn job(&self, hub: HubId, id: &str) -> Result<Option<JobRecord>> {
        jobs::job(&self.parts, hub, id).await
    }

    async fn jobs(&self, hub: HubId) -> Result<Vec<JobRecord>> {
        jobs::jobs(&self.parts, hub).await
    }

    async fn lease_job(&self, length: Duration) -> Result<Option<LeasedJob>> {
        jobs::lease(&self.parts, length).await
    }

    async fn step_job(&self, hub: HubId, id: &str, epoch: Epoch, step: JobStep, length: Duration) -> Result<bool> {
        jobs::step(&self.parts, hub, id, epoch, step, length).await
    }

    async fn begin_file(&self, hub: HubId, container: &str, name: &str, keep: Duration) -> Result<FileId> {
        jobs::begin_file(&self.parts, hub, container, name, keep).await
    }

    async fn append_file(&self, file: FileId, number: u32, piece: Vec<u8>) -> Result<()> {
        jobs::append_file(&self.parts, file, number, piece).await
    }

    async fn finish_file(&self, file: FileId) -> Result<()> {
        jobs::finish_file(&self.parts, file).await
    }

    async fn file(&self, hub: HubId, container: &str, name: &str) -> Result<Option<FileInfo>> {
        jobs::file(&self.parts, hub, container, name).await
    }

    async fn files(&self, hub: HubId, container: &str) -> Result<Vec<FileInfo>> {
        jobs::files(&self.parts, hub, container).await
    }

    async fn file_piece(&self, file: FileId, number: u32) -> Result<Option<Vec<u8>>> {
        jobs::piece(&self.parts, file, number).await
    }

    async fn fold(&self) -> Result<bool> {
        registry::fold(&self.parts).await
    }

    async fn sweep(&self) -> Result<bool> {
        let more = registry::sweep(&self.parts).await?;
        let more = jobs::sweep(&self.parts).await? || more;
        let more = tables::sweep(&self.parts).await? || more;
        let more = sign_in::sweep(&self.parts).await? || more;
        Ok(life::sweep(&self.parts).await? || more)
    }

    fn tables(&self) -> &dyn TableStore {
        self
    }

    fn sign_in(&self) -> &dyn SignInStore {
        self
    }

    fn commits(&self) -> Commits {
        Commits { unfolded: self.parts.registry.unfolded(), ..self.parts.engine.commits() }
    }

    async fn ping(&self) -> Result<()> {
        let parts = self.parts.clone();
        parts.engine.read(|connection| Ok(connection.query_row("SELECT 1", [], |_| Ok(()))?)).await
    }
}
