//! The truth: everything that a 2xx promised, and how far each broadcast has come.
//!
//! One trait, [`Store`], and engines behind it. Its operations are whole steps of the service's work (apply
//! registrations, accept, plan the next step, lease, checkpoint …): each is atomic, each returns only when it is
//! committed, and none lets a caller begin a transaction of its own. Every engine passes `tests/conformance`.
//!
//! Time in here is the engine's: leases run on its clock, and `now` of no caller counts.

use std::collections::BTreeMap;
use std::time::Duration;

use async_trait::async_trait;

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

mod broadcasts;
mod error;
pub mod fuzz;
mod index;
mod jobs;
mod life;
pub mod postgres;
mod registration;
mod registrations;
mod registry;
mod retention;
mod senders;
mod sign_in;
pub mod sqlite;
mod stretches;
mod tables;

pub use broadcasts::{
    Accepted, Checkpoint, CheckpointReply, ChunkWork, Destination, Evidence, Handover, Judgement, Move, NewBroadcast,
    OutcomeItem, OutcomePage, OutcomeQuery, PlanStep, ReadyWork, ShardWork, Standing, Suspected, Tally, Work,
};
pub use error::{AcceptError, ControlError, PatchError, ReportError, StoreError};
pub use jobs::{FileId, FileInfo, JobRecord, JobStep, LeasedJob};
pub use registrations::{
    Precondition, Registered, RegistrationChange, RegistrationPage, RegistrationQuery, StoredRegistration,
};
pub use registry::{Applied, Change, Commits, HubRecord, InstallationPage, StoredInstallation, TargetRow, TargetRows};
pub use retention::Retention;
pub use senders::{Hold, HoldKind, InsteadOf, Noted, SenderRecord};
pub use sign_in::{OnceKey, SignInStore};
pub use tables::{Note, TableError, TableStore};

/// What an operation of the store answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

/// The truth. Callable from any thread; cheap to share behind an `Arc`.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    // ── Hubs ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Creates a hub or replaces its settings, which are opaque here (the directory seals and reads them).
    async fn put_hub(&self, name: &HubName, settings: Vec<u8>) -> Result<HubRecord>;

    /// The same, if what stands is what the caller has seen: that hub in that version, or with `None` none of the name.
    /// Answers `None`, and changes nothing, when somebody else came first. `renewed`: platforms with another account than
    /// before, whose holds end with it.
    async fn replace_hub(
        &self,
        name: &HubName,
        settings: Vec<u8>,
        seen: Option<(HubId, u64)>,
        renewed: &[Platform],
    ) -> Result<Option<HubRecord>>;

    /// Every hub, by name.
    async fn hubs(&self) -> Result<Vec<HubRecord>>;

    /// Deletes a hub with all it holds; answers whether there was one. Its number is never used again.
    async fn delete_hub(&self, name: &HubName) -> Result<bool>;

    /// A number that grows with every change of a hub's settings, every end of a hub, and every hold that is noted or
    /// released. Whoever reads hubs and senders after it has seen everything up to it; while it stays, nothing changed.
    async fn hubs_revision(&self) -> Result<u64>;

    /// What keeps senders from sending, of every hub. Those that are not named send.
    async fn senders(&self) -> Result<Vec<SenderRecord>>;

    /// Notes what keeps a sender from sending, if it may stand in the place of what is noted ([`InsteadOf::allows`]).
    async fn hold_sender(&self, hub: HubId, platform: Platform, hold: Hold, instead_of: InsteadOf) -> Result<Noted>;

    /// Lets a sender go on; with `only`, if that version of its record stands. Answers what was noted.
    async fn release_sender(&self, hub: HubId, platform: Platform, only: Option<u64>) -> Result<Option<SenderRecord>>;

    // ── Registry ────────────────────────────────────────────────────────────────────────────────────────────────

    /// Applies changes in their order, all of them in one commit. One answer for each. Grouped with neighbours.
    async fn apply(&self, hub: HubId, changes: Vec<Change>) -> Result<Vec<Applied>>;

    /// Changes parts of one installation, by what it is in the commit that writes it: no change beside it is lost. The
    /// result is held to the limits. Only a patch that sets the channel confirms it, or revives a dropped one.
    async fn patch(
        &self,
        hub: HubId,
        id: &InstallationId,
        patch: Patch,
        limits: InstallationLimits,
    ) -> Result<Applied, PatchError>;

    /// Writes what an app reports of its device, or that it leaves, by what it is in the commit that writes it: nothing
    /// that was set beside it is lost, and who may not change it does not. A report confirms the device and revives a
    /// dropped one, as a put does.
    async fn report(&self, hub: HubId, report: Report, limits: InstallationLimits) -> Result<Applied, ReportError>;

    /// One installation as it stands.
    async fn installation(&self, hub: HubId, id: &InstallationId) -> Result<Option<StoredInstallation>>;

    /// Installations whose native target is in the audience, in the order of that target's seq, from `from` on.
    async fn installations(&self, hub: HubId, audience: &Audience, from: Seq, limit: usize)
    -> Result<InstallationPage>;

    /// Applies changes of registrations in their order, all of them in one commit. One answer for each. Grouped with
    /// neighbours.
    async fn register(&self, hub: HubId, changes: Vec<RegistrationChange>) -> Result<Vec<Registered>>;

    /// One registration as it stands; by an id of [`RegistrationId::of_target`] that target of an installation.
    async fn registration(&self, hub: HubId, id: &RegistrationId) -> Result<Option<StoredRegistration>>;

    /// Registrations, and targets of installations as registrations, in the order of their seqs, from `from` on.
    async fn registrations(
        &self,
        hub: HubId,
        query: RegistrationQuery,
        from: Seq,
        limit: usize,
    ) -> Result<RegistrationPage>;

    /// How many targets the audience has now, exactly, by platform, in one consistent read.
    async fn count(&self, hub: HubId, audience: &Audience, kind: AudienceKind) -> Result<BTreeMap<Platform, u64>>;

    /// The live rows of a chunk's targets, in seq order. A seq of `set` that has no row has left. With `user_bound`, a
    /// commit's number, rows say whether their user changed later; without it none does.
    async fn read_rows(
        &self,
        hub: HubId,
        chunk: ChunkNo,
        set: &ChunkSet,
        user_bound: Option<u64>,
    ) -> Result<TargetRows>;

    /// The lowest seqs that the audience has now; no more than `limit`.
    async fn lowest(&self, hub: HubId, audience: &Audience, kind: AudienceKind, limit: usize) -> Result<Vec<Seq>>;

    /// The contents of a hub's templates, of those that are there. A number's content never changes.
    async fn templates(&self, hub: HubId, ids: &[TemplateId]) -> Result<Vec<(TemplateId, TemplateContent)>>;

    /// Has rows of template targets name their template again, by their documents: for those that name none, since they
    /// were written by the previous version, and for any whose template is not there.
    async fn relink_templates(&self, hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Result<()>;

    // ── The life of a broadcast ─────────────────────────────────────────────────────────────────────────────────

    /// Accepts a broadcast: durable when this returns. Plans it inline when it is due and its audience small.
    async fn accept(&self, new: NewBroadcast) -> Result<Accepted, AcceptError>;

    /// A broadcast of that hub with its counters.
    async fn broadcast(&self, hub: HubId, id: BroadcastId) -> Result<Option<Broadcast>>;

    /// Broadcasts of a hub, newest first, older than `before`.
    async fn broadcasts(&self, hub: HubId, before: Option<BroadcastId>, limit: usize) -> Result<Vec<Broadcast>>;

    /// What became of its targets.
    async fn outcomes(&self, hub: HubId, id: BroadcastId, query: OutcomeQuery) -> Result<Option<OutcomePage>>;

    /// How many of its targets ended how and why.
    async fn tally(&self, hub: HubId, id: BroadcastId) -> Result<Option<Tally>>;

    /// Writes down what the owner wants. Refused once the broadcast is over.
    async fn wish(&self, hub: HubId, id: BroadcastId, wish: Wish) -> Result<Broadcast, ControlError>;

    /// Changes the broadcast's pace (0: unpaced). Refused once the broadcast is over.
    async fn set_rate(&self, hub: HubId, id: BroadcastId, per_second: u32) -> Result<Broadcast, ControlError>;

    /// Takes the lease of a broadcast's planning.
    async fn lease_plan(&self, id: BroadcastId, length: Duration) -> Result<Result<Epoch, LeaseError>>;

    /// Plans the next stretch of chunks and commits its pending sets, its shards and how far it got, together.
    /// Renews the lease. The last step, or a cancel or expiry before it, sets `planned_at`.
    async fn plan_step(&self, id: BroadcastId, epoch: Epoch, length: Duration) -> Result<Result<PlanStep, LeaseError>>;

    /// Takes a shard's lease and reads all that its holder needs.
    async fn lease(
        &self,
        shard: ShardRef,
        length: Duration,
        suspects: Suspected,
    ) -> Result<Result<ShardWork, LeaseError>>;

    /// Records what became of targets under a lease, and keeps, gives back or closes the shard.
    async fn checkpoint(
        &self,
        shard: ShardRef,
        epoch: Epoch,
        checkpoint: Checkpoint,
    ) -> Result<Result<CheckpointReply, LeaseError>>;

    /// Unfinished work that nobody holds and that is due within `horizon`: plans, and at most `window` shards of each
    /// broadcast, or of `only` that broadcast. Work of a paused broadcast is left out, unless it is closing.
    async fn ready(&self, only: Option<BroadcastId>, horizon: Duration, window: usize) -> Result<Vec<ReadyWork>>;

    /// The wish, pace and expiry of unfinished broadcasts among `ids`; those that are over are left out.
    async fn standings(&self, ids: &[BroadcastId]) -> Result<BTreeMap<BroadcastId, Standing>>;

    /// Per hub: targeted − pending − finished over all unfinished and kept broadcasts, counted from the sets, as an
    /// absolute sum over broadcasts. 0 when conservation holds.
    async fn conservation(&self) -> Result<BTreeMap<HubId, u64>>;

    // ── Jobs, and the files that they read and write ─────────────────────────────────────────────────────────────

    /// Writes down a new job; it is free to be leased.
    async fn put_job(&self, hub: HubId, job: JobRecord) -> Result<()>;

    /// A job of a hub.
    async fn job(&self, hub: HubId, id: &str) -> Result<Option<JobRecord>>;

    /// A hub's jobs, the newest first.
    async fn jobs(&self, hub: HubId) -> Result<Vec<JobRecord>>;

    /// Takes the oldest unfinished job that nobody holds.
    async fn lease_job(&self, length: Duration) -> Result<Option<LeasedJob>>;

    /// Writes down how far a job has come, together with what it appends to files, and renews its lease; `length` of
    /// zero gives it back. Answers `false`, and changes nothing, when somebody else holds it by now.
    async fn step_job(&self, hub: HubId, id: &str, epoch: Epoch, step: JobStep, length: Duration) -> Result<bool>;

    /// Begins a file, which nobody sees before [`Store::finish_file`]. It goes with everything in it after `keep`.
    async fn begin_file(&self, hub: HubId, container: &str, name: &str, keep: Duration) -> Result<FileId>;

    /// Writes the piece of that number, from 0.
    async fn append_file(&self, file: FileId, number: u32, piece: Vec<u8>) -> Result<()>;

    /// The file is whole, and takes the place of one of its name.
    async fn finish_file(&self, file: FileId) -> Result<()>;

    /// A whole file.
    async fn file(&self, hub: HubId, container: &str, name: &str) -> Result<Option<FileInfo>>;

    /// The whole files of a container, by name.
    async fn files(&self, hub: HubId, container: &str) -> Result<Vec<FileInfo>>;

    /// A piece of a file; `None` behind the last.
    async fn file_piece(&self, file: FileId, number: u32) -> Result<Option<Vec<u8>>>;

    // ── Housekeeping ────────────────────────────────────────────────────────────────────────────────────────────

    /// Folds index deltas and touches into the rows they are about; answers whether more is waiting.
    async fn fold(&self) -> Result<bool>;

    /// One slice of sweeping: expired targets, tombstones, old broadcasts and keys. Answers whether more is waiting.
    async fn sweep(&self) -> Result<bool>;

    /// The apps' own tables.
    fn tables(&self) -> &dyn TableStore;

    /// What sign-in keeps.
    fn sign_in(&self) -> &dyn SignInStore;

    /// What the group commit of registrations has done so far, for metrics.
    fn commits(&self) -> Commits {
        Commits::default()
    }

    /// Whether the store can be read and written now.
    async fn ping(&self) -> Result<()>;
}
