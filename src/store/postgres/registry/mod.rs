//! The registry half of the PostgreSQL store: hubs, installations, their targets, and the index over these.
//!
//! The rules are [`crate::store::registration`] and [`crate::store::index`]; here is how this engine keeps their rows.
//!
//! Writing: [`groups`] gathers the changes of a hub into one [`transaction`], in which the rules run over a
//! [`working_set`]: over a [`base`] that [`load`] reads they leave what [`flush`] writes. [`unfolded`] holds decoded what
//! waits until [`fold`] has moved it into the rows that it is about. [`remove`] drops dead channels, [`sweep`] takes out
//! what is over.
//!
//! Reading: [`index`] is the index as one transaction sees it, [`target_rows`] the rows for workers. [`templates`] are what
//! template targets share.
//!
//! An installation whose time is over is gone for every reader and every change, whether the sweep has come by or not.

use parking_lot::Mutex;

use super::error::Done;
use super::pool::{query, retrying};
use super::*;
use crate::model::hash;
use crate::store::index::{Delta, LiveTags, Touches, count as count_targets, lowest_seqs, native_seqs, newest};
use crate::store::registration::{self, Prepared, Round, Single, id_text, keys_of};

mod base;
mod flush;
mod fold;
mod groups;
mod hub;
mod index;
mod load;
mod registrations;
mod remove;
mod sweep;
mod target_rows;
mod templates;
#[cfg(test)]
mod tests;
mod transaction;
mod unfolded;
mod working_set;

use groups::{Answer, Request};
pub(super) use index::{View, on_view};
pub(super) use remove::drop_dead;
use unfolded::Known;

/// What the operations share in this process. Nothing that another node would need.
#[derive(Debug, Default)]
pub(super) struct Shared {
    deltas: Known<Delta>,
    touches: Known<Touches>,
    groups: groups::Groups,
    commits: Mutex<Commits>,
    live_tags: Arc<LiveTags>,
    /// Where this node's sweep is that looks for templates nobody has.
    unused_templates: Mutex<Round>,
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

pub(super) async fn apply(parts: &Parts, hub: HubId, changes: Vec<Change>) -> Done<Vec<Applied>> {
    let changes = changes.into_iter().map(|change| Prepared::new(hub, change)).collect();
    match groups::submit(&parts.pool, &parts.time, &parts.registry, hub, Request::Apply(changes)).await? {
        Answer::Applied(applied) => Ok(applied),
        _ => Err(StoreError::Engine("the answer to another question".to_owned()).into()),
    }
}

pub(super) async fn patch(
    parts: &Parts,
    hub: HubId,
    id: &InstallationId,
    patch: Patch,
    limits: InstallationLimits,
) -> Done<Result<Applied, PatchError>> {
    let request = Request::Patch(id.clone(), patch, limits);
    match groups::submit(&parts.pool, &parts.time, &parts.registry, hub, request).await? {
        Answer::Patched(patched) => Ok(patched),
        _ => Err(StoreError::Engine("the answer to another question".to_owned()).into()),
    }
}

pub(super) async fn report(
    parts: &Parts,
    hub: HubId,
    report: Report,
    limits: InstallationLimits,
) -> Done<Result<Applied, ReportError>> {
    let request = Request::Report(Box::new(report), limits);
    match groups::submit(&parts.pool, &parts.time, &parts.registry, hub, request).await? {
        Answer::Reported(reported) => Ok(reported),
        _ => Err(StoreError::Engine("the answer to another question".to_owned()).into()),
    }
}

pub(super) async fn register(parts: &Parts, hub: HubId, changes: Vec<RegistrationChange>) -> Done<Vec<Registered>> {
    let changes = changes.into_iter().map(|change| Single::new(hub, change)).collect();
    match groups::submit(&parts.pool, &parts.time, &parts.registry, hub, Request::Register(changes)).await? {
        Answer::Registered(registered) => Ok(registered),
        _ => Err(StoreError::Engine("the answer to another question".to_owned()).into()),
    }
}

pub(super) async fn registration(parts: &Parts, hub: HubId, id: &RegistrationId) -> Done<Option<StoredRegistration>> {
    let id = id.clone();
    index::read(parts, hub, None, move |view| registration::registration(view, &id)).await
}

pub(super) async fn registrations(
    parts: &Parts,
    hub: HubId,
    query: RegistrationQuery,
    from: Seq,
    limit: usize,
) -> Done<RegistrationPage> {
    index::read(parts, hub, None, move |view| registration::registrations(view, &query, from, limit)).await
}

pub(super) async fn installation(parts: &Parts, hub: HubId, id: &InstallationId) -> Done<Option<StoredInstallation>> {
    let hash = hash::installation(hub, id.as_str()).cast_signed();
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = pool::snapshot(&mut client).await?;
        let (from, below) = keys_of(hub);
        let sql =
            format!("SELECT {} FROM installation WHERE id_hash = $1 AND no >= $2 AND no < $3", load::INSTALLATION);
        for row in query(&tx, &sql, &[&hash, &from, &below]).await? {
            let row = load::installation(&row)?.row;
            if id_text(&row.document) == Some(id.as_str()) {
                let touch = newest(&unfolded::newest_touches(&tx, &parts.registry, hub).await?, row.no);
                let now = parts.time.now(&tx).await?;
                return Ok(row.stored(touch, now)?);
            }
        }
        Ok(None)
    })
    .await
}

pub(super) async fn installations(
    parts: &Parts,
    hub: HubId,
    audience: &Audience,
    from: Seq,
    limit: usize,
) -> Done<InstallationPage> {
    let audience = audience.clone();
    let read = move |view: &View<'_>| {
        // One more than asked for, which says where the next page begins.
        let mut seqs = native_seqs(view, &audience, from, limit.saturating_add(1))?;
        let next = if seqs.len() > limit { seqs.pop() } else { None };
        let mut items = Vec::with_capacity(seqs.len());
        for (row, touch) in view.installations(&seqs)? {
            items.extend(row.stored(touch, view.time())?);
        }
        Ok(InstallationPage { items, next })
    };
    index::read(parts, hub, None, read).await
}

pub(super) async fn count(
    parts: &Parts,
    hub: HubId,
    audience: &Audience,
    kind: AudienceKind,
) -> Done<BTreeMap<Platform, u64>> {
    let audience = audience.clone();
    index::read(parts, hub, None, move |view| count_targets(view, &audience, kind)).await
}

/// A row's own expiry may lag behind a touch, which is looked for only where it matters: rows that expire so soon. A
/// worker reads rows about a second ahead of sending.
const SOON: Duration = Duration::from_secs(600);

pub(super) async fn read_rows(
    parts: &Parts,
    hub: HubId,
    chunk: ChunkNo,
    set: &ChunkSet,
    user_bound: Option<u64>,
) -> Done<TargetRows> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        // Touches first: what is folded in between, the rows say.
        let touches = unfolded::newest_touches(&client, &parts.registry, hub).await?;
        let soon = if touches.is_empty() { None } else { Some(parts.time.now(&client).await?.plus(SOON)) };
        let expiry = |installation, expires| {
            let touch = soon.filter(|soon| expires <= *soon).and_then(|_| newest(&touches, installation));
            touch.map_or(Some(expires), |touch| touch.expires)
        };
        target_rows::read(&client, hub, chunk, set, user_bound, expiry).await
    })
    .await
}

pub(super) async fn lowest(
    parts: &Parts,
    hub: HubId,
    audience: &Audience,
    kind: AudienceKind,
    limit: usize,
) -> Done<Vec<Seq>> {
    let audience = audience.clone();
    index::read(parts, hub, None, move |view| lowest_seqs(view, &audience, kind, limit)).await
}

pub(super) async fn templates(
    parts: &Parts,
    hub: HubId,
    ids: &[TemplateId],
) -> Done<Vec<(TemplateId, TemplateContent)>> {
    templates::contents(parts, hub, ids).await
}

pub(super) async fn relink_templates(parts: &Parts, hub: HubId, chunk: ChunkNo, set: &ChunkSet) -> Done<()> {
    templates::relink(parts, hub, chunk, set).await
}

pub(super) async fn fold(parts: &Parts) -> Done<bool> {
    fold::fold(&parts.pool, &parts.time, &parts.registry).await
}

pub(super) async fn sweep(parts: &Parts) -> Done<bool> {
    sweep::sweep(parts).await
}

pub(super) fn commits(parts: &Parts) -> Commits {
    let unfolded = (parts.registry.deltas.total() + parts.registry.touches.total()) as u64;
    Commits { unfolded, ..*parts.registry.commits.lock() }
}
