//! The registry half of the embedded store: hubs, installations, their targets, and the index over these.
//!
//! The rules are [`crate::store::registration`] and [`crate::store::index`]; here is how this engine keeps their rows.
//!
//! Writing: [`rows`] are the rows that the rules change; what they change in the index is gathered over the writer's
//! whole group ([`commit`]) and written as one delta a hub, times of unchanged registrations as one row of touches;
//! [`unfolded`] holds both in memory until [`fold`] has moved them into the rows that they are about. [`remove`] drops
//! dead channels, [`sweep`] takes out what is over.
//!
//! Reading: [`index`] is the index as one transaction sees it, [`read`] the installations and rows. [`templates`] are what
//! template targets share.
//!
//! An installation whose time is over is gone for every reader and every change, whether the sweep has come by or not.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::engine::{Participant, Precedence};
use super::{Parts, Result};
use crate::model::audience::Audience;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, HubName, InstallationId, Seq};
use crate::model::installation::{InstallationLimits, Patch, Report};
use crate::model::platform::Platform;
use crate::model::registration::RegistrationId;
use crate::model::target::AudienceKind;
use crate::model::template::{TemplateContent, TemplateId};
use crate::store::index::{self as rules, Delta, LiveTags, Touches};
use crate::store::registration::{self, Applier, Prepared, Round, Single};
pub(super) use crate::store::registration::{Removal, key, of_key, registrant};
use crate::store::{
    Applied, Change, Hold, HubRecord, InstallationPage, InsteadOf, Noted, PatchError, Registered, RegistrationChange,
    RegistrationPage, RegistrationQuery, ReportError, SenderRecord, StoredInstallation, StoredRegistration, TargetRows,
};

mod commit;
mod fold;
mod hub;
mod index;
mod read;
mod registrations;
mod remove;
mod rows;
mod senders;
mod sweep;
mod templates;
#[cfg(test)]
mod tests;
mod unfolded;

use commit::Gathering;
pub(super) use index::Snapshot;
pub(super) use remove::drop_dead;
use rows::TxRows;
pub(super) use rows::unsigned;
use unfolded::Waiting;

/// What the registry keeps in memory beside the file. Behind an `Arc` of its own (`parts.registry`), so that tasks of
/// the writer can hold it: one that held `Parts` could be the last to let go of the engine that runs it.
#[derive(Default)]
pub(super) struct Shared {
    deltas: Waiting<Delta>,
    touches: Waiting<Touches>,
    /// What the running transaction has gathered. Only the writer locks it.
    gathering: Mutex<Gathering>,
    /// Held by whoever writes set rows.
    folding: tokio::sync::Mutex<()>,
    live_tags: Arc<LiveTags>,
    /// Where the sweep is that looks for templates nobody has.
    unused_templates: Mutex<Round>,
}

impl Shared {
    /// Reads what an earlier process left unfolded.
    pub(super) fn recover(&self, connection: &Connection) -> Result<()> {
        self.deltas.load(connection)?;
        self.touches.load(connection)
    }

    /// Rows that wait to be folded.
    pub(super) fn unfolded(&self) -> u64 {
        (self.deltas.total() + self.touches.total()) as u64
    }

    /// A hub's touches as this connection's transaction sees them, newest first.
    fn newest_touches(&self, connection: &Connection, hub: HubId) -> Result<Vec<Arc<Touches>>> {
        Ok(self.touches.rows(connection, hub)?.into_iter().rev().map(|(_, touches)| touches).collect())
    }
}

impl Participant for Shared {
    fn before_commit(&self, tx: &Connection) -> Result<()> {
        self.gathering.lock().flush_all(tx)
    }

    fn ended(&self, committed: bool) {
        self.gathering.lock().end(committed, self);
    }
}

pub(super) async fn put_hub(parts: &Parts, name: &HubName, settings: Vec<u8>) -> Result<HubRecord> {
    hub::put(parts, name, settings).await
}

pub(super) async fn replace_hub(
    parts: &Parts,
    name: &HubName,
    settings: Vec<u8>,
    seen: Option<(HubId, u64)>,
    renewed: &[Platform],
) -> Result<Option<HubRecord>> {
    hub::replace(parts, name, settings, seen, renewed).await
}

pub(super) async fn hubs_revision(parts: &Parts) -> Result<u64> {
    parts.engine.read(senders::revision).await
}

pub(super) async fn senders(parts: &Parts) -> Result<Vec<SenderRecord>> {
    parts.engine.read(senders::all).await
}

pub(super) async fn hold_sender(
    parts: &Parts,
    hub: HubId,
    platform: Platform,
    hold: Hold,
    instead_of: InsteadOf,
) -> Result<Noted> {
    senders::hold(parts, hub, platform, hold, instead_of).await
}

pub(super) async fn release_sender(
    parts: &Parts,
    hub: HubId,
    platform: Platform,
    only: Option<u64>,
) -> Result<Option<SenderRecord>> {
    senders::release(parts, hub, platform, only).await
}

pub(super) async fn hubs(parts: &Parts) -> Result<Vec<HubRecord>> {
    parts.engine.read(hub::all).await
}

/// The same on a connection of the caller's.
pub(super) fn hubs_of(connection: &Connection) -> Result<Vec<HubRecord>> {
    hub::all(connection)
}

pub(super) async fn delete_hub(parts: &Parts, name: &HubName) -> Result<bool> {
    hub::delete(parts, name).await
}

pub(super) async fn apply(parts: &Parts, hub: HubId, changes: Vec<Change>) -> Result<Vec<Applied>> {
    fold::relieve(parts, hub).await?;
    let weight = changes.len();
    let changes: Vec<Prepared> = changes.into_iter().map(|change| Prepared::new(hub, change)).collect();
    let changes = Arc::new(changes);
    // Held until the answer, so that they are mostly taken apart here and not in the writer.
    let _held = changes.clone();
    let (registry, clock) = (parts.registry.clone(), parts.clock.clone());
    let apply = move |tx: &Connection| {
        let mut gathering = registry.gathering.lock();
        let commit = gathering.hub(tx, hub, &registry.live_tags)?;
        let mut rows = TxRows { tx, registry: &registry };
        let mut applier = Applier { rows: &mut rows, commit, now: clock.now() };
        changes.iter().map(|change| applier.apply(change)).collect()
    };
    parts.engine.write(Precedence::Registration, weight, apply).await
}

pub(super) async fn patch(
    parts: &Parts,
    hub: HubId,
    id: &InstallationId,
    patch: Patch,
    limits: InstallationLimits,
) -> Result<Applied, PatchError> {
    fold::relieve(parts, hub).await?;
    let (registry, clock, id) = (parts.registry.clone(), parts.clock.clone(), id.clone());
    let apply = move |tx: &Connection| {
        let mut gathering = registry.gathering.lock();
        let commit = gathering.hub(tx, hub, &registry.live_tags)?;
        let mut rows = TxRows { tx, registry: &registry };
        Applier { rows: &mut rows, commit, now: clock.now() }.patch(&id, &patch, &limits)
    };
    parts.engine.write(Precedence::Registration, 1, apply).await?
}

pub(super) async fn report(
    parts: &Parts,
    hub: HubId,
    report: Report,
    limits: InstallationLimits,
) -> Result<Applied, ReportError> {
    fold::relieve(parts, hub).await?;
    let (registry, clock) = (parts.registry.clone(), parts.clock.clone());
    let apply = move |tx: &Connection| {
        let mut gathering = registry.gathering.lock();
        let commit = gathering.hub(tx, hub, &registry.live_tags)?;
        let mut rows = TxRows { tx, registry: &registry };
        Applier { rows: &mut rows, commit, now: clock.now() }.report(&report, &limits)
    };
    parts.engine.write(Precedence::Registration, 1, apply).await?
}

pub(super) async fn installation(parts: &Parts, hub: HubId, id: &InstallationId) -> Result<Option<StoredInstallation>> {
    let (registry, now, id) = (parts.registry.clone(), parts.clock.now(), id.clone());
    parts.engine.read(move |connection| read::installation(&registry, connection, hub, &id, now)).await
}

pub(super) async fn installations(
    parts: &Parts,
    hub: HubId,
    audience: &Audience,
    from: Seq,
    limit: usize,
) -> Result<InstallationPage> {
    let (registry, now, audience) = (parts.registry.clone(), parts.clock.now(), audience.clone());
    let read = move |connection: &Connection| {
        read::installations(&Snapshot::open(&registry, connection, hub, now)?, &audience, from, limit)
    };
    parts.engine.read(read).await
}

pub(super) async fn register(parts: &Parts, hub: HubId, changes: Vec<RegistrationChange>) -> Result<Vec<Registered>> {
    fold::relieve(parts, hub).await?;
    let weight = changes.len();
    let changes: Vec<Single> = changes.into_iter().map(|change| Single::new(hub, change)).collect();
    let (registry, clock) = (parts.registry.clone(), parts.clock.clone());
    let register = move |tx: &Connection| {
        let mut gathering = registry.gathering.lock();
        let commit = gathering.hub(tx, hub, &registry.live_tags)?;
        let mut rows = TxRows { tx, registry: &registry };
        let mut applier = Applier { rows: &mut rows, commit, now: clock.now() };
        changes.iter().map(|change| applier.register(change)).collect()
    };
    parts.engine.write(Precedence::Registration, weight, register).await
}

pub(super) async fn registration(parts: &Parts, hub: HubId, id: &RegistrationId) -> Result<Option<StoredRegistration>> {
    let (registry, now, id) = (parts.registry.clone(), parts.clock.now(), id.clone());
    let read = move |connection: &Connection| {
        registration::registration(&Snapshot::open(&registry, connection, hub, now)?, &id)
    };
    parts.engine.read(read).await
}

pub(super) async fn registrations(
    parts: &Parts,
    hub: HubId,
    query: RegistrationQuery,
    from: Seq,
    limit: usize,
) -> Result<RegistrationPage> {
    let (registry, now) = (parts.registry.clone(), parts.clock.now());
    let read = move |connection: &Connection| {
        registration::registrations(&Snapshot::open(&registry, connection, hub, now)?, &query, from, limit)
    };
    parts.engine.read(read).await
}

pub(super) async fn count(
    parts: &Parts,
    hub: HubId,
    audience: &Audience,
    kind: AudienceKind,
) -> Result<BTreeMap<Platform, u64>> {
    let (registry, now, audience) = (parts.registry.clone(), parts.clock.now(), audience.clone());
    let read =
        move |connection: &Connection| rules::count(&Snapshot::open(&registry, connection, hub, now)?, &audience, kind);
    parts.engine.read(read).await
}

pub(super) async fn read_rows(
    parts: &Parts,
    hub: HubId,
    chunk: ChunkNo,
    set: &ChunkSet,
    user_bound: Option<u64>,
) -> Result<TargetRows> {
    let (registry, now, set) = (parts.registry.clone(), parts.clock.now(), set.clone());
    let read = move |connection: &Connection| {
        read::target_rows(&registry, connection, hub, read::Wanted { chunk, set: &set, user_bound }, now)
    };
    parts.engine.read(read).await
}

pub(super) async fn lowest(
    parts: &Parts,
    hub: HubId,
    audience: &Audience,
    kind: AudienceKind,
    limit: usize,
) -> Result<Vec<Seq>> {
    let (registry, now, audience) = (parts.registry.clone(), parts.clock.now(), audience.clone());
    let read = move |connection: &Connection| {
        rules::lowest_seqs(&Snapshot::open(&registry, connection, hub, now)?, &audience, kind, limit)
    };
    parts.engine.read(read).await
}

pub(super) async fn templates(
    parts: &Parts,
    hub: HubId,
    ids: &[TemplateId],
) -> Result<Vec<(TemplateId, TemplateContent)>> {
    let ids = ids.to_vec();
    parts.engine.read(move |connection| templates::contents(connection, hub, &ids)).await
}

pub(super) async fn relink_templates(parts: &Parts, hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Result<()> {
    templates::relink(parts, hub, chunk, set).await
}

pub(super) async fn fold(parts: &Parts) -> Result<bool> {
    fold::fold(parts).await
}

pub(super) async fn sweep(parts: &Parts) -> Result<bool> {
    sweep::sweep(parts).await
}
