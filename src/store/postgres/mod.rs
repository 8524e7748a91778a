//! The engine for more than one machine: PostgreSQL, shared by every node.
//!
//! - [`pool`](self), `error`, `time`, `options`, `migrate`: the way to the database.
//! - `registry`: hubs, installations, the index and its deltas, rows for workers.
//! - `jobs`: jobs, and the files that they read and write.
//! - `life`: accept, plan, lease, checkpoint, outcomes.
//! - `senders`: what keeps senders, and whether hubs or senders changed.
//! - `tables`: the apps' own tables.
//! - `sign_in`: codes, providers' tokens, revoked sessions.
//!
//! The rules are those of every engine (`store::index`, `store::registration`, `store::life`); here is how they are kept
//! when several processes write at once. No process holds anything that another needs: what is not in the database does
//! not count. Leases and due times go by the database's clock, so the nodes' clocks need not agree.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use super::{
    AcceptError, Accepted, Applied, Change, Checkpoint, CheckpointReply, Commits, ControlError, FileId, FileInfo, Hold,
    HubRecord, InstallationPage, InsteadOf, JobRecord, JobStep, LeasedJob, NewBroadcast, Noted, OutcomePage,
    OutcomeQuery, PatchError, PlanStep, ReadyWork, Registered, RegistrationChange, RegistrationPage, RegistrationQuery,
    ReportError, Result, Retention, SenderRecord, ShardWork, SignInStore, Standing, Store, StoreError,
    StoredInstallation, StoredRegistration, Suspected, TableStore, Tally, TargetRows,
};
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

mod error;
mod inspect;
mod jobs;
mod life;
mod migrate;
mod options;
mod pool;
mod registry;
mod senders;
mod sign_in;
mod tables;
mod time;

pub use inspect::{Inspection, inspect};
pub use migrate::{SCHEMA_VERSION, SchemaVersion};
pub use options::Options;
pub use time::Time;

use error::Done;
use pool::Pool;

/// No operation takes longer: beyond it the way to the database is broken somewhere where nobody says so.
const LIMIT: Duration = Duration::from_secs(30);

/// The store in PostgreSQL. A cheap handle.
#[derive(Clone, Debug)]
pub struct PostgresStore {
    parts: Arc<Parts>,
}

/// What every operation has at hand.
#[derive(Debug)]
struct Parts {
    pool: Pool,
    time: Time,
    retention: Retention,
    registry: Arc<registry::Shared>,
    life: life::Shared,
}

impl PostgresStore {
    /// Connects and brings the schema up to date.
    pub async fn open(options: &Options, time: Time, retention: Retention) -> Result<Self> {
        let store = Self::unopened(options, time, retention)?;
        within(migrate::migrate(&store.parts.pool)).await?;
        Ok(store)
    }

    /// A store that has contacted nobody and changes no schema: for a look.
    pub fn unopened(options: &Options, time: Time, retention: Retention) -> Result<Self> {
        let parts = Parts {
            pool: Pool::new(options)?,
            time,
            retention,
            registry: Arc::default(),
            life: life::Shared::default(),
        };
        Ok(Self { parts: Arc::new(parts) })
    }

    /// What the database holds of us; changes nothing.
    pub async fn schema_version(&self) -> Result<SchemaVersion> {
        within(async { migrate::look(&self.parts.pool.get().await?).await }).await
    }

    /// Lets go of every connection; those in use go when their operation is over.
    pub fn close(&self) {
        self.parts.pool.close();
    }
}

/// Holds an operation to its time.
async fn within<T>(operation: impl Future<Output = Done<T>>) -> Result<T> {
    match timeout(LIMIT, operation).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(StoreError::Unavailable(format!("the database has not answered for {} s", LIMIT.as_secs()))),
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn put_hub(&self, name: &HubName, settings: Vec<u8>) -> Result<HubRecord> {
        within(registry::put_hub(&self.parts, name, settings)).await
    }

    async fn replace_hub(
        &self,
        name: &HubName,
        settings: Vec<u8>,
        seen: Option<(HubId, u64)>,
        renewed: &[Platform],
    ) -> Result<Option<HubRecord>> {
        within(registry::replace_hub(&self.parts, name, settings, seen, renewed)).await
    }

    async fn hubs(&self) -> Result<Vec<HubRecord>> {
        within(registry::hubs(&self.parts)).await
    }

    async fn hubs_revision(&self) -> Result<u64> {
        within(senders::revision(&self.parts)).await
    }

    async fn senders(&self) -> Result<Vec<SenderRecord>> {
        within(senders::all(&self.parts)).await
    }

    async fn hold_sender(&self, hub: HubId, platform: Platform, hold: Hold, instead_of: InsteadOf) -> Result<Noted> {
        within(senders::hold(&self.parts, hub, platform, &hold, instead_of)).await
    }

    async fn release_sender(&self, hub: HubId, platform: Platform, only: Option<u64>) -> Result<Option<SenderRecord>> {
        within(senders::release(&self.parts, hub, platform, only)).await
    }

    async fn delete_hub(&self, name: &HubName) -> Result<bool> {
        within(registry::delete_hub(&self.parts, name)).await
    }

    async fn apply(&self, hub: HubId, changes: Vec<Change>) -> Result<Vec<Applied>> {
        within(registry::apply(&self.parts, hub, changes)).await
    }

    async fn patch(
        &self,
        hub: HubId,
        id: &InstallationId,
        patch: Patch,
        limits: InstallationLimits,
    ) -> Result<Applied, PatchError> {
        within(registry::patch(&self.parts, hub, id, patch, limits)).await?
    }

    async fn report(&self, hub: HubId, report: Report, limits: InstallationLimits) -> Result<Applied, ReportError> {
        within(registry::report(&self.parts, hub, report, limits)).await?
    }

    async fn installation(&self, hub: HubId, id: &InstallationId) -> Result<Option<StoredInstallation>> {
        within(registry::installation(&self.parts, hub, id)).await
    }

    async fn installations(
        &self,
        hub: HubId,
        audience: &Audience,
        from: Seq,
        limit: usize,
    ) -> Result<InstallationPage> {
        within(registry::installations(&self.parts, hub, audience, from, limit)).await
    }

    async fn count(&self, hub: HubId, audience: &Audience, kind: AudienceKind) -> Result<BTreeMap<Platform, u64>> {
        within(registry::count(&self.parts, hub, audience, kind)).await
    }

    async fn read_rows(
        &self,
        hub: HubId,
        chunk: ChunkNo,
        set: &ChunkSet,
        user_bound: Option<u64>,
    ) -> Result<TargetRows> {
        within(registry::read_rows(&self.parts, hub, chunk, set, user_bound)).await
    }

    async fn lowest(&self, hub: HubId, audience: &Audience, kind: AudienceKind, limit: usize) -> Result<Vec<Seq>> {
        within(registry::lowest(&self.parts, hub, audience, kind, limit)).await
    }

    async fn templates(&self, hub: HubId, ids: &[TemplateId]) -> Result<Vec<(TemplateId, TemplateContent)>> {
        within(registry::templates(&self.parts, hub, ids)).await
    }

    async fn relink_templates(&self, hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Result<()> {
        within(registry::relink_templates(&self.parts, hub, chunk, set)).await
    }

    async fn accept(&self, new: NewBroadcast) -> Result<Accepted, AcceptError> {
        within(life::accept(&self.parts, new)).await?
    }

    async fn broadcast(&self, hub: HubId, id: BroadcastId) -> Result<Option<Broadcast>> {
        within(life::broadcast(&self.parts, hub, id)).await
    }

    async fn broadcasts(&self, hub: HubId, before: Option<BroadcastId>, limit: usize) -> Result<Vec<Broadcast>> {
        within(life::broadcasts(&self.parts, hub, before, limit)).await
    }

    async fn outcomes(&self, hub: HubId, id: BroadcastId, query: OutcomeQuery) -> Result<Option<OutcomePage>> {
        within(life::outcomes(&self.parts, hub, id, query)).await
    }

    async fn tally(&self, hub: HubId, id: BroadcastId) -> Result<Option<Tally>> {
        within(life::tally(&self.parts, hub, id)).await
    }

    async fn wish(&self, hub: HubId, id: BroadcastId, wish: Wish) -> Result<Broadcast, ControlError> {
        within(life::wish(&self.parts, hub, id, wish)).await?
    }

    async fn set_rate(&self, hub: HubId, id: BroadcastId, per_second: u32) -> Result<Broadcast, ControlError> {
        within(life::set_rate(&self.parts, hub, id, per_second)).await?
    }

    async fn lease_plan(&self, id: BroadcastId, length: Duration) -> Result<Result<Epoch, LeaseError>> {
        within(life::lease_plan(&self.parts, id, length)).await
    }

    async fn plan_step(&self, id: BroadcastId, epoch: Epoch, length: Duration) -> Result<Result<PlanStep, LeaseError>> {
        within(life::plan_step(&self.parts, id, epoch, length)).await
    }

    async fn lease(
        &self,
        shard: ShardRef,
        length: Duration,
        suspects: Suspected,
    ) -> Result<Result<ShardWork, LeaseError>> {
        within(life::lease(&self.parts, shard, length, suspects)).await
    }

    async fn checkpoint(
        &self,
        shard: ShardRef,
        epoch: Epoch,
        checkpoint: Checkpoint,
    ) -> Result<Result<CheckpointReply, LeaseError>> {
        // Boxed: with all that a checkpoint may have to do it is large, and most of the time it waits.
        within(Box::pin(life::checkpoint(&self.parts, shard, epoch, checkpoint))).await
    }

    async fn ready(&self, only: Option<BroadcastId>, horizon: Duration, window: usize) -> Result<Vec<ReadyWork>> {
        within(life::ready(&self.parts, only, horizon, window)).await
    }

    async fn standings(&self, ids: &[BroadcastId]) -> Result<BTreeMap<BroadcastId, Standing>> {
        within(life::standings(&self.parts, ids)).await
    }

    async fn conservation(&self) -> Result<BTreeMap<HubId, u64>> {
        within(life::conservation(&self.parts)).await
    }

    async fn register(&self, hub: HubId, changes: Vec<RegistrationChange>) -> Result<Vec<Registered>> {
        within(registry::register(&self.parts, hub, changes)).await
    }

    async fn registration(&self, hub: HubId, id: &RegistrationId) -> Result<Option<StoredRegistration>> {
        within(registry::registration(&self.parts, hub, id)).await
    }

    async fn registrations(
        &self,
        hub: HubId,
        query: RegistrationQuery,
        from: Seq,
        limit: usize,
    ) -> Result<RegistrationPage> {
        within(registry::registrations(&self.parts, hub, query, from, limit)).await
    }

    async fn put_job(&self, hub: HubId, job: JobRecord) -> Result<()> {
        within(jobs::put(&self.parts, hub, job)).await
    }

    async fn job(&self, hub: HubId, id: &str) -> Result<Option<JobRecord>> {
        within(jobs::job(&self.parts, hub, id)).await
    }

    async fn jobs(&self, hub: HubId) -> Result<Vec<JobRecord>> {
        within(jobs::jobs(&self.parts, hub)).await
    }

    async fn lease_job(&self, length: Duration) -> Result<Option<LeasedJob>> {
        within(jobs::lease(&self.parts, length)).await
    }

    async fn step_job(&self, hub: HubId, id: &str, epoch: Epoch, step: JobStep, length: Duration) -> Result<bool> {
        within(jobs::step(&self.parts, hub, id, epoch, step, length)).await
    }

    async fn begin_file(&self, hub: HubId, container: &str, name: &str, keep: Duration) -> Result<FileId> {
        within(jobs::begin_file(&self.parts, hub, container, name, keep)).await
    }

    async fn append_file(&self, file: FileId, number: u32, piece: Vec<u8>) -> Result<()> {
        within(jobs::append_file(&self.parts, file, number, piece)).await
    }

    async fn finish_file(&self, file: FileId) -> Result<()> {
        within(jobs::finish_file(&self.parts, file)).await
    }

    async fn file(&self, hub: HubId, container: &str, name: &str) -> Result<Option<FileInfo>> {
        within(jobs::file(&self.parts, hub, container, name)).await
    }

    async fn files(&self, hub: HubId, container: &str) -> Result<Vec<FileInfo>> {
        within(jobs::files(&self.parts, hub, container)).await
    }

    async fn file_piece(&self, file: FileId, number: u32) -> Result<Option<Vec<u8>>> {
        within(jobs::piece(&self.parts, file, number)).await
    }

    async fn fold(&self) -> Result<bool> {
        within(registry::fold(&self.parts)).await
    }

    async fn sweep(&self) -> Result<bool> {
        let more = within(registry::sweep(&self.parts)).await?;
        let more = within(jobs::sweep(&self.parts)).await? || more;
        let more = within(tables::sweep(&self.parts)).await? || more;
        let more = within(sign_in::sweep(&self.parts)).await? || more;
        Ok(within(life::sweep(&self.parts)).await? || more)
    }

    fn tables(&self) -> &dyn TableStore {
        self
    }

    fn sign_in(&self) -> &dyn SignInStore {
        self
    }

    fn commits(&self) -> Commits {
        registry::commits(&self.parts)
    }

    async fn ping(&self) -> Result<()> {
        within(async { Ok(self.parts.pool.get().await?.batch_execute("").await?) }).await
    }
}
