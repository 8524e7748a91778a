//! A store that dies or freezes at a chosen step.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use fanfare::model::audience::Audience;
use fanfare::model::broadcast::{Broadcast, Wish};
use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{BroadcastId, ChunkNo, Epoch, HubId, HubName, InstallationId, Seq, ShardRef};
use fanfare::model::installation::{InstallationLimits, Patch, Report};
use fanfare::model::platform::Platform;
use fanfare::model::registration::RegistrationId;
use fanfare::model::shard::LeaseError;
use fanfare::model::target::AudienceKind;
use fanfare::model::template::{TemplateContent, TemplateId};
use fanfare::store::*;
use tokio::sync::{Notify, watch};

/// Counts steps down; at zero the process is dead: the step happens or not, and nothing returns any more.
#[derive(Debug)]
pub struct Gate {
    left: AtomicI64,
    /// Whether the fatal step still reaches the store.
    last_counts: bool,
    dead: AtomicBool,
    pub died: Notify,
    frozen: watch::Sender<bool>,
    /// Checkpoints that the store refused for their epoch.
    pub fenced: AtomicI64,
}

impl Gate {
    pub fn new(steps: i64, last_counts: bool) -> Arc<Self> {
        Arc::new(Self {
            left: AtomicI64::new(steps),
            last_counts,
            dead: AtomicBool::new(false),
            died: Notify::new(),
            frozen: watch::Sender::new(false),
            fenced: AtomicI64::new(0),
        })
    }

    pub fn open() -> Arc<Self> {
        Self::new(i64::MAX, true)
    }

    /// Holds every step from now on, until thawed.
    pub fn freeze(&self, frozen: bool) {
        self.frozen.send_replace(frozen);
    }

    async fn step<T>(&self, operation: impl Future<Output = T>) -> T {
        let mut frozen = self.frozen.subscribe();
        frozen.wait_for(|frozen| !frozen).await.expect("the gate outlives its steps");
        let left = self.left.fetch_sub(1, Ordering::SeqCst);
        if self.dead.load(Ordering::SeqCst) || (left <= 1 && !self.last_counts) {
            self.die().await;
        }
        let made = operation.await;
        if left <= 1 {
            self.die().await;
        }
        made
    }

    async fn die(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.died.notify_one();
        std::future::pending().await
    }
}

/// The store behind a gate.
pub struct Gated {
    pub store: Arc<dyn Store>,
    pub gate: Arc<Gate>,
}

macro_rules! gated {
    ($($name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Store for Gated {
            $(async fn $name(&self, $($arg: $type),*) -> $answer {
                self.gate.step(self.store.$name($($arg),*)).await
            })*

            async fn checkpoint(&self, shard: ShardRef, epoch: Epoch, checkpoint: Checkpoint)
                -> Result<Result<CheckpointReply, LeaseError>> {
                let answer = self.gate.step(self.store.checkpoint(shard, epoch, checkpoint)).await;
                if matches!(answer, Ok(Err(LeaseError::Fenced { .. }))) {
                    self.gate.fenced.fetch_add(1, Ordering::SeqCst);
                }
                answer
            }

            fn tables(&self) -> &dyn TableStore {
                self.store.tables()
            }

            fn sign_in(&self) -> &dyn SignInStore {
                self.store.sign_in()
            }
        }
    };
}

gated! {
    put_hub(name: &HubName, settings: Vec<u8>) -> Result<HubRecord>;
    replace_hub(name: &HubName, settings: Vec<u8>, seen: Option<(HubId, u64)>, renewed: &[Platform])
        -> Result<Option<HubRecord>>;
    hubs() -> Result<Vec<HubRecord>>;
    hubs_revision() -> Result<u64>;
    senders() -> Result<Vec<SenderRecord>>;
    hold_sender(hub: HubId, platform: Platform, hold: Hold, instead_of: InsteadOf) -> Result<Noted>;
    release_sender(hub: HubId, platform: Platform, only: Option<u64>) -> Result<Option<SenderRecord>>;
    delete_hub(name: &HubName) -> Result<bool>;
    apply(hub: HubId, changes: Vec<Change>) -> Result<Vec<Applied>>;
    patch(hub: HubId, id: &InstallationId, patch: Patch, limits: InstallationLimits) -> Result<Applied, PatchError>;
    report(hub: HubId, report: Report, limits: InstallationLimits) -> Result<Applied, ReportError>;
    installation(hub: HubId, id: &InstallationId) -> Result<Option<StoredInstallation>>;
    installations(hub: HubId, audience: &Audience, from: Seq, limit: usize) -> Result<InstallationPage>;
    register(hub: HubId, changes: Vec<RegistrationChange>) -> Result<Vec<Registered>>;
    registration(hub: HubId, id: &RegistrationId) -> Result<Option<StoredRegistration>>;
    registrations(hub: HubId, query: RegistrationQuery, from: Seq, limit: usize) -> Result<RegistrationPage>;
    put_job(hub: HubId, job: JobRecord) -> Result<()>;
    job(hub: HubId, id: &str) -> Result<Option<JobRecord>>;
    jobs(hub: HubId) -> Result<Vec<JobRecord>>;
    lease_job(length: Duration) -> Result<Option<LeasedJob>>;
    step_job(hub: HubId, id: &str, epoch: Epoch, step: JobStep, length: Duration) -> Result<bool>;
    begin_file(hub: HubId, container: &str, name: &str, keep: Duration) -> Result<FileId>;
    append_file(file: FileId, number: u32, piece: Vec<u8>) -> Result<()>;
    finish_file(file: FileId) -> Result<()>;
    file(hub: HubId, container: &str, name: &str) -> Result<Option<FileInfo>>;
    files(hub: HubId, container: &str) -> Result<Vec<FileInfo>>;
    file_piece(file: FileId, number: u32) -> Result<Option<Vec<u8>>>;
    count(hub: HubId, audience: &Audience, kind: AudienceKind) -> Result<BTreeMap<Platform, u64>>;
    read_rows(hub: HubId, chunk: ChunkNo, set: &ChunkSet, user_bound: Option<u64>) -> Result<TargetRows>;
    lowest(hub: HubId, audience: &Audience, kind: AudienceKind, limit: usize) -> Result<Vec<Seq>>;
    templates(hub: HubId, ids: &[TemplateId]) -> Result<Vec<(TemplateId, TemplateContent)>>;
    relink_templates(hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Result<()>;
    accept(new: NewBroadcast) -> Result<Accepted, AcceptError>;
    broadcast(hub: HubId, id: BroadcastId) -> Result<Option<Broadcast>>;
    broadcasts(hub: HubId, before: Option<BroadcastId>, limit: usize) -> Result<Vec<Broadcast>>;
    outcomes(hub: HubId, id: BroadcastId, query: OutcomeQuery) -> Result<Option<OutcomePage>>;
    tally(hub: HubId, id: BroadcastId) -> Result<Option<Tally>>;
    wish(hub: HubId, id: BroadcastId, wish: Wish) -> Result<Broadcast, ControlError>;
    set_rate(hub: HubId, id: BroadcastId, per_second: u32) -> Result<Broadcast, ControlError>;
    lease_plan(id: BroadcastId, length: Duration) -> Result<Result<Epoch, LeaseError>>;
    plan_step(id: BroadcastId, epoch: Epoch, length: Duration) -> Result<Result<PlanStep, LeaseError>>;
    lease(shard: ShardRef, length: Duration, suspects: Suspected) -> Result<Result<ShardWork, LeaseError>>;
    ready(only: Option<BroadcastId>, horizon: Duration, window: usize) -> Result<Vec<ReadyWork>>;
    standings(ids: &[BroadcastId]) -> Result<BTreeMap<BroadcastId, Standing>>;
    conservation() -> Result<BTreeMap<HubId, u64>>;
    fold() -> Result<bool>;
    sweep() -> Result<bool>;
    ping() -> Result<()>;
}
