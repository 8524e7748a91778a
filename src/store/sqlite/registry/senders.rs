//! What keeps senders, and the number that tells whether hubs or senders changed.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::engine::Precedence;
use super::super::{Parts, Result, StoreError};
use super::rows::unsigned;
use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::store::{Hold, HoldKind, InsteadOf, Noted, SenderRecord};

const COLUMNS: &str = "hub, platform, kind, reason, since, until, version";

/// The number of the last change.
pub(super) fn revision(connection: &Connection) -> Result<u64> {
    let sql = "SELECT value FROM meta WHERE key = 'hubs_revision'";
    let number = connection.prepare_cached(sql)?.query_row([], |row| unsigned(row, 0)).optional()?;
    Ok(number.unwrap_or(0))
}

/// Counts a change; it and the number are committed together.
pub(super) fn changed(tx: &Connection) -> Result<u64> {
    let sql = "INSERT INTO meta (key, value) VALUES ('hubs_revision', 1) \
               ON CONFLICT (key) DO UPDATE SET value = value + 1 RETURNING value";
    Ok(tx.prepare_cached(sql)?.query_row([], |row| unsigned(row, 0))?)
}

pub(super) fn all(connection: &Connection) -> Result<Vec<SenderRecord>> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM sender ORDER BY hub, platform"))?;
    let rows = statement.query_map([], |row| Ok(record(row)))?;
    rows.map(|row| row.map_err(StoreError::from)?).collect()
}

fn one(connection: &Connection, hub: HubId, platform: Platform) -> Result<Option<SenderRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM sender WHERE hub = ?1 AND platform = ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_row(params![hub.0, platform.code()], |row| Ok(record(row))).optional()?.transpose()
}

fn record(row: &Row<'_>) -> Result<SenderRecord> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a sender has an unknown {what}"));
    let reason: String = row.get(3)?;
    let hold = Hold {
        kind: HoldKind::from_code(row.get(2)?).ok_or_else(|| corrupt("kind"))?,
        reason: Reason::foreign(&reason),
        since: Timestamp::from_millis(row.get(4)?),
        until: Timestamp::from_millis(row.get(5)?),
    };
    let platform = Platform::from_code(row.get(1)?).ok_or_else(|| corrupt("platform"))?;
    Ok(SenderRecord { hub: HubId(row.get(0)?), platform, hold, version: unsigned(row, 6)? })
}

pub(super) async fn hold(
    parts: &Parts,
    hub: HubId,
    platform: Platform,
    hold: Hold,
    instead_of: InsteadOf,
) -> Result<Noted> {
    let note = move |tx: &Connection| {
        if !is_there(tx, hub)? {
            return Err(StoreError::NoHub);
        }
        let stands = one(tx, hub, platform)?;
        if !instead_of.allows(stands.as_ref(), &hold) {
            return Ok(Noted { stands, written: false });
        }
        let version = changed(tx)?;
        let sql = "INSERT INTO sender (hub, platform, kind, reason, since, until, version) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT (hub, platform) DO UPDATE SET kind = excluded.kind, \
                   reason = excluded.reason, since = excluded.since, until = excluded.until, version = excluded.version";
        tx.prepare_cached(sql)?.execute(params![
            hub.0,
            platform.code(),
            hold.kind.code(),
            hold.reason.as_str(),
            hold.since.millis(),
            hold.until.millis(),
            version.cast_signed(),
        ])?;
        Ok(Noted { stands: Some(SenderRecord { hub, platform, hold: hold.clone(), version }), written: true })
    };
    parts.engine.write(Precedence::Checkpoint, 1, note).await
}

fn is_there(connection: &Connection, hub: HubId) -> Result<bool> {
    Ok(connection.prepare_cached("SELECT 1 FROM hub WHERE id = ?1")?.exists([hub.0])?)
}

pub(super) async fn release(
    parts: &Parts,
    hub: HubId,
    platform: Platform,
    only: Option<u64>,
) -> Result<Option<SenderRecord>> {
    let release = move |tx: &Connection| {
        let stands = one(tx, hub, platform)?.filter(|record| only.is_none_or(|only| record.version == only));
        if stands.is_some() {
            tx.prepare_cached("DELETE FROM sender WHERE hub = ?1 AND platform = ?2")?
                .execute(params![hub.0, platform.code()])?;
            changed(tx)?;
        }
        Ok(stands)
    };
    parts.engine.write(Precedence::Accept, 1, release).await
}
