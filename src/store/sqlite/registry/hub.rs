//! Hubs: their rows, and the end of everything that they held.

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::super::engine::Precedence;
use super::super::{Parts, Result, StoreError};
use super::rows::unsigned;
use super::senders::changed;
use crate::model::id::{HubId, HubName};
use crate::model::platform::Platform;
use crate::store::HubRecord;
use crate::store::registration::keys_of;

/// Rows of a deleted hub in one task of the writer.
const SLICE: i64 = 1_024;
/// So many slices are done before a delete is answered: small hubs are gone at once, the rest goes with the sweep.
const AT_ONCE: usize = 16;
/// Hubs have numbers below this, so that their rows' keys fit 63 bits.
const MOST_HUBS: u32 = 1 << 23;

pub(super) async fn put(parts: &Parts, name: &HubName, settings: Vec<u8>) -> Result<HubRecord> {
    let name = name.as_str().to_owned();
    let put = move |tx: &Connection| put_row(tx, &name, &settings);
    parts.engine.write(Precedence::Accept, 1, put).await
}

/// The same if that hub in that version stands, or none where none was seen.
pub(super) async fn replace(
    parts: &Parts,
    name: &HubName,
    settings: Vec<u8>,
    seen: Option<(HubId, u64)>,
    renewed: &[Platform],
) -> Result<Option<HubRecord>> {
    let (name, renewed) = (name.as_str().to_owned(), renewed.to_owned());
    let replace = move |tx: &Connection| {
        let stands = tx
            .prepare_cached("SELECT id, version FROM hub WHERE name = ?1")?
            .query_row([&name], |row| Ok((HubId(row.get(0)?), unsigned(row, 1)?)))
            .optional()?;
        if stands != seen {
            return Ok(None);
        }
        let record = put_row(tx, &name, &settings)?;
        for platform in &renewed {
            tx.prepare_cached("DELETE FROM sender WHERE hub = ?1 AND platform = ?2")?
                .execute(params![record.id.0, platform.code()])?;
        }
        Ok(Some(record))
    };
    parts.engine.write(Precedence::Accept, 1, replace).await
}

fn put_row(tx: &Connection, name: &str, settings: &[u8]) -> Result<HubRecord> {
    changed(tx)?;
    let mut statement = tx.prepare_cached(
        "INSERT INTO hub (name, settings, version) VALUES (?1, ?2, 1) ON CONFLICT (name) DO UPDATE \
         SET version = version + (settings <> excluded.settings), settings = excluded.settings \
         RETURNING id, name, settings, version",
    )?;
    let record = statement.query_row(params![name, settings], |row| Ok(record(row)))??;
    if record.id.0 < MOST_HUBS { Ok(record) } else { Err(StoreError::Full("no hub number is left".to_owned())) }
}

pub(super) fn all(connection: &Connection) -> Result<Vec<HubRecord>> {
    let mut statement = connection.prepare_cached("SELECT id, name, settings, version FROM hub ORDER BY name")?;
    let rows = statement.query_map([], |row| Ok(record(row)))?;
    rows.map(|row| row.map_err(StoreError::from)?).collect()
}

fn record(row: &Row<'_>) -> Result<HubRecord> {
    let name: String = row.get(1)?;
    let name = HubName::parse(&name).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    Ok(HubRecord { id: HubId(row.get(0)?), name, settings: row.get(2)?, version: unsigned(row, 3)? })
}

/// Ends a hub: its name is free and nothing of it can be found from the commit on; its rows follow.
pub(super) async fn delete(parts: &Parts, name: &HubName) -> Result<bool> {
    let (registry, name) = (parts.registry.clone(), name.as_str().to_owned());
    let delete = move |tx: &Connection| {
        let id: Option<u32> = tx
            .prepare_cached("DELETE FROM hub WHERE name = ?1 RETURNING id")?
            .query_row([&name], |row| row.get(0))
            .optional()?;
        let Some(id) = id else { return Ok(false) };
        tx.prepare_cached("INSERT INTO deleted_hub (id) VALUES (?1)")?.execute([id])?;
        tx.prepare_cached("DELETE FROM sender WHERE hub = ?1")?.execute([id])?;
        changed(tx)?;
        registry.gathering.lock().forget(HubId(id));
        Ok(true)
    };
    if !parts.engine.write(Precedence::Accept, 1, delete).await? {
        return Ok(false);
    }
    for _ in 0..AT_ONCE {
        if !purge(parts).await? {
            break;
        }
    }
    Ok(true)
}

/// Removes a slice of a deleted hub's rows. Answers whether anything is left.
pub(super) async fn purge(parts: &Parts) -> Result<bool> {
    let first = |connection: &Connection| {
        let mut statement = connection.prepare_cached("SELECT id FROM deleted_hub ORDER BY id LIMIT 1")?;
        Ok(statement.query_row([], |row| row.get(0).map(HubId)).optional()?)
    };
    let Some(hub) = parts.engine.read(first).await? else { return Ok(false) };
    // A fold of this hub may be on its way: it would write set rows after they were removed.
    let _folding = parts.registry.folding.lock().await;
    let done = parts.engine.write(Precedence::Sweep, 1_024, move |tx| purge_slice(tx, hub)).await?;
    if done {
        parts.registry.deltas.forget(hub);
        parts.registry.touches.forget(hub);
    }
    // Another hub may wait behind this one.
    Ok(true)
}

/// Every table that holds rows of a hub, in the order in which they go: broadcasts first, so that none is found whose
/// targets are half gone.
const TABLES: [&str; 10] = [
    "DELETE FROM outcome_chunk WHERE (broadcast, platform, chunk, place, detail, due) IN \
     (SELECT o.broadcast, platform, chunk, place, detail, o.due FROM broadcast b JOIN outcome_chunk o \
     ON o.broadcast = b.id WHERE b.hub = ?1 LIMIT ?2)",
    "DELETE FROM shard WHERE (broadcast, shard) IN \
     (SELECT s.broadcast, s.shard FROM broadcast b JOIN shard s ON s.broadcast = b.id WHERE b.hub = ?1 LIMIT ?2)",
    "DELETE FROM reason WHERE (broadcast, number) IN \
     (SELECT r.broadcast, r.number FROM broadcast b JOIN reason r ON r.broadcast = b.id WHERE b.hub = ?1 LIMIT ?2)",
    "DELETE FROM broadcast WHERE id IN (SELECT id FROM broadcast WHERE hub = ?1 LIMIT ?2)",
    "DELETE FROM index_delta WHERE (hub, number) IN (SELECT hub, number FROM index_delta WHERE hub = ?1 LIMIT ?2)",
    "DELETE FROM touch WHERE (hub, number) IN (SELECT hub, number FROM touch WHERE hub = ?1 LIMIT ?2)",
    "DELETE FROM template WHERE (hub, id) IN (SELECT hub, id FROM template WHERE hub = ?1 LIMIT ?2)",
    "DELETE FROM file_piece WHERE (file, number) IN \
     (SELECT p.file, p.number FROM file f JOIN file_piece p ON p.file = f.id WHERE f.hub = ?1 LIMIT ?2)",
    "DELETE FROM file WHERE id IN (SELECT id FROM file WHERE hub = ?1 LIMIT ?2)",
    "DELETE FROM job WHERE (hub, id) IN (SELECT hub, id FROM job WHERE hub = ?1 LIMIT ?2)",
];

/// The tables whose row keys begin with the hub.
const COUNTED: [&str; 2] = [
    "DELETE FROM target WHERE key IN (SELECT key FROM target WHERE key >= ?1 AND key < ?2 LIMIT ?3)",
    "DELETE FROM installation WHERE no IN (SELECT no FROM installation WHERE no >= ?1 AND no < ?2 LIMIT ?3)",
];

/// The tables that are keyed by hub and something long; SQLite would walk all of the hub to find the first few for a
/// DELETE, so they are asked for and deleted one by one.
const KEYED: [(&str, &str); 2] = [
    ("SELECT key, 0 FROM idempotency WHERE hub = ?1 LIMIT ?2", "DELETE FROM idempotency WHERE hub = ?1 AND key = ?2"),
    (
        "SELECT tag, chunk FROM tag_chunk WHERE hub = ?1 LIMIT ?2",
        "DELETE FROM tag_chunk WHERE hub = ?1 AND tag = ?2 AND chunk = ?3",
    ),
];

/// Answers whether the hub has no row left.
fn purge_slice(tx: &Connection, hub: HubId) -> Result<bool> {
    let mut left = SLICE;
    for sql in TABLES {
        tx.prepare_cached(sql)?.execute(params![hub.0, left])?;
        left -= tx.changes().cast_signed();
        if left <= 0 {
            return Ok(false);
        }
    }
    for (find, delete) in KEYED {
        let found: Vec<(String, u32)> = tx
            .prepare_cached(find)?
            .query_map(params![hub.0, left], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        let mut statement = tx.prepare_cached(delete)?;
        for (text, chunk) in &found {
            if statement.parameter_count() == 3 {
                statement.execute(params![hub.0, text, chunk])?;
            } else {
                statement.execute(params![hub.0, text])?;
            }
            left -= 1;
        }
        if left <= 0 {
            return Ok(false);
        }
    }
    let (from, below) = keys_of(hub);
    for sql in COUNTED {
        tx.prepare_cached(sql)?.execute(params![from, below, left])?;
        left -= tx.changes().cast_signed();
        if left <= 0 {
            return Ok(false);
        }
    }
    tx.prepare_cached("DELETE FROM deleted_hub WHERE id = ?1")?.execute([hub.0])?;
    Ok(true)
}
