//! Reads of installations and targets.

use rusqlite::{Connection, Row, params};

use super::super::{Result, StoreError};
use super::Shared;
use super::index::Snapshot;
use super::rows::{self, unsigned};
use crate::model::audience::Audience;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, InstallationId, Seq};
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::template::TemplateId;
use crate::model::time::Timestamp;
use crate::store::index::{native_seqs, newest};
use crate::store::registration::{key, of_key};
use crate::store::stretches::{Stretch, stretches};
use crate::store::{InstallationPage, StoredInstallation, TargetRows};

/// Finding a row by its key costs more than stepping over this many.
const STEPPED_OVER: u16 = 16;

/// A row's own expiry may lag behind a touch, which is looked for only where it matters: rows that expire so soon. A
/// worker reads rows about a second ahead of sending.
const SOON: std::time::Duration = std::time::Duration::from_secs(600);

/// One installation, unless its time is over.
pub(super) fn installation(
    registry: &Shared,
    connection: &Connection,
    hub: HubId,
    id: &InstallationId,
    now: Timestamp,
) -> Result<Option<StoredInstallation>> {
    let Some(row) = rows::find(connection, hub, id.as_str())? else { return Ok(None) };
    let touch = newest(&registry.newest_touches(connection, hub)?, row.no);
    row.stored(touch, now)
}

/// Installations whose native target is in the audience, in its order, from `from` on.
pub(super) fn installations(
    snapshot: &Snapshot<'_>,
    audience: &Audience,
    from: Seq,
    limit: usize,
) -> Result<InstallationPage> {
    // One more than asked for, which says where the next page begins.
    let mut seqs = native_seqs(snapshot, audience, from, limit.saturating_add(1))?;
    let next = if seqs.len() > limit { seqs.pop() } else { None };
    let mut page = InstallationPage { items: Vec::with_capacity(seqs.len()), next };
    for seq in seqs {
        page.items.extend(installation_of(snapshot, seq)?);
    }
    Ok(page)
}

fn installation_of(snapshot: &Snapshot<'_>, seq: Seq) -> Result<Option<StoredInstallation>> {
    let no: i64 = snapshot
        .connection
        .prepare_cached("SELECT installation FROM target WHERE key = ?1")?
        .query_row([key(snapshot.hub, seq)], |row| row.get(0))?;
    let row = rows::get(snapshot.connection, no)?
        .ok_or_else(|| StoreError::Corrupt(format!("live target {seq} has no installation")))?;
    row.stored(snapshot.newest_touch(no)?, snapshot.now)
}

/// Which rows are asked for, and after which commit a user counts as changed.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub chunk: ChunkNo,
    pub set: &'a ChunkSet,
    pub user_bound: Option<u64>,
}

/// The live rows of a chunk's targets, in seq order.
pub(super) fn target_rows(
    registry: &Shared,
    connection: &Connection,
    hub: HubId,
    Wanted { chunk, set, user_bound }: Wanted<'_>,
    now: Timestamp,
) -> Result<TargetRows> {
    let touches = registry.newest_touches(connection, hub)?;
    let soon = now.plus(SOON);
    let mut page = TargetRows::with_capacity(set.len() as usize);
    let mut push = |seq: Seq, row: &Row<'_>| -> Result<()> {
        let broken = || StoreError::Corrupt(format!("target {seq} of hub {hub}"));
        let class = TargetClass::from_code(row.get(1)?).ok_or_else(broken)?;
        let platform = Platform::from_code(row.get(2)?).ok_or_else(broken)?;
        // A tombstone has none. Asked for here and not in the statement, which would look into every row it steps over.
        let Some(channel) = row.get_ref(3)?.as_blob_or_null().map_err(|_| broken())? else { return Ok(()) };
        let mut expires = row.get::<_, Option<i64>>(4)?.map(Timestamp::from_millis);
        if expires.is_some_and(|expires| expires <= soon)
            && let Some(touch) = newest(&touches, row.get(5)?)
        {
            expires = touch.expires;
        }
        let changed = user_bound.map_or(Ok(false), |bound| unsigned(row, 8).map(|mark| mark > bound))?;
        page.push(seq, class, platform, channel, expires, changed);
        if let Some(template) = row.get::<_, Option<i64>>(6)? {
            let variables = row.get_ref(7)?.as_blob_or_null().map_err(|_| broken())?.unwrap_or_default();
            page.link(TemplateId(template.cast_unsigned()), variables);
        }
        Ok(())
    };
    // A column that nobody looks at costs as much as one that is used.
    let mark = if user_bound.is_some() { ", user_mark" } else { "" };
    let columns =
        format!("SELECT key, class, platform, channel, expires, installation, template, variables{mark} FROM target");
    let scan = format!("{columns} WHERE key BETWEEN ?1 AND ?2 AND (?3 >> (key & 63)) & 1");
    let (mut scan, mut find) =
        (connection.prepare_cached(&scan)?, connection.prepare_cached(&format!("{columns} WHERE key = ?1"))?);
    let row_key = |offset: u16| key(hub, Seq::at(chunk, offset));
    let mut wanted = set.iter().peekable();
    for Stretch { span, len, places } in stretches(set, STEPPED_OVER) {
        let mut rows = match len {
            1 => find.query([row_key(*span.start())])?,
            _ => scan.query(params![row_key(*span.start()), row_key(*span.end()), places.cast_signed()])?,
        };
        while let Some(row) = rows.next()? {
            let seq = of_key(row.get(0)?).1;
            while wanted.next_if(|&offset| offset < seq.offset()).is_some() {}
            if wanted.next_if_eq(&seq.offset()).is_some() {
                push(seq, row)?;
            }
        }
    }
    Ok(page)
}
