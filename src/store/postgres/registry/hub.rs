//! Hubs: their rows, and the end of everything that they held.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::super::error::{Done, Fault};
use super::super::pool::{Durability, begin, commit, execute, query, query_opt, retrying};
use super::super::{Parts, StoreError, senders};
use crate::model::id::{HubId, HubName};
use crate::model::platform::Platform;
use crate::store::HubRecord;

/// Rows of a deleted hub in one transaction.
const SLICE: i64 = 1_024;
/// So many slices are done before a delete is answered: small hubs are gone at once, the rest goes with the sweep.
const AT_ONCE: usize = 16;
/// Hubs have numbers below this, so that their rows' keys fit 63 bits.
const MOST_HUBS: u32 = 1 << 23;

/// Held by whoever folds or purges a hub, with the hub's number: neither may come between the other's slices.
const FOLDING: i32 = 0x666f_6c64;

/// Takes the right to write a hub's set rows until the end of the transaction; answers whether it was free.
pub(super) async fn lock_sets(tx: &Transaction<'_>, hub: HubId) -> Done<bool> {
    let sql = "SELECT pg_try_advisory_xact_lock($1, $2)";
    let row = query(tx, sql, &[&FOLDING, &hub.0.cast_signed()]).await?;
    row.first().map_or(Ok(false), |row| Ok(row.try_get(0)?))
}

/// An update first: an insert that meets its row would use up a hub's number.
pub(in super::super) async fn put(parts: &Parts, name: &HubName, settings: &[u8]) -> Done<HubRecord> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        senders::changes(&tx).await?;
        let record = put_row(&tx, name, settings).await?;
        commit(tx).await?;
        Ok(record)
    })
    .await
}

/// The same if that hub in that version stands, or none where none was seen.
pub(in super::super) async fn replace(
    parts: &Parts,
    name: &HubName,
    settings: &[u8],
    seen: Option<(HubId, u64)>,
    renewed: &[Platform],
) -> Done<Option<HubRecord>> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        // Whoever changes a hub stands in line here, so what is read next stays until the commit.
        senders::changes(&tx).await?;
        let row = query_opt(&tx, "SELECT id, version FROM hub WHERE name = $1", &[&name.as_str()]).await?;
        let stands = match row {
            None => None,
            Some(row) => {
                let (id, version): (i32, i64) = (row.try_get(0)?, row.try_get(1)?);
                Some((HubId(id.cast_unsigned()), version.unsigned_abs()))
            }
        };
        if stands != seen {
            return Ok(None);
        }
        let record = put_row(&tx, name, settings).await?;
        senders::forget(&tx, record.id, renewed).await?;
        commit(tx).await?;
        Ok(Some(record))
    })
    .await
}

async fn put_row(tx: &Transaction<'_>, name: &HubName, settings: &[u8]) -> Done<HubRecord> {
    let update = "UPDATE hub SET version = version + (settings <> $2)::int, settings = $2 WHERE name = $1 \
                  RETURNING id, name, settings, version";
    if let Some(row) = query_opt(tx, update, &[&name.as_str(), &settings]).await? {
        return record(&row);
    }
    let insert = "INSERT INTO hub (name, settings, version) VALUES ($1, $2, 1) ON CONFLICT DO NOTHING \
                  RETURNING id, name, settings, version";
    let Some(row) = query_opt(tx, insert, &[&name.as_str(), &settings]).await? else {
        // Another node made it in between.
        return Err(Fault::again("another node made the hub"));
    };
    let record = record(&row)?;
    if record.id.0 >= MOST_HUBS {
        return Err(StoreError::Full("no hub number is left".to_owned()).into());
    }
    execute(tx, "INSERT INTO hub_counter (hub) VALUES ($1)", &[&record.id.0.cast_signed()]).await?;
    Ok(record)
}

pub(in super::super) async fn all(parts: &Parts) -> Done<Vec<HubRecord>> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        let rows = query(&client, "SELECT id, name, settings, version FROM hub ORDER BY name", &[]).await?;
        rows.iter().map(record).collect()
    })
    .await
}

fn record(row: &Row) -> Done<HubRecord> {
    let name = HubName::parse(row.try_get(1)?).map_err(|error| StoreError::Corrupt(error.to_string()))?;
    let id: i32 = row.try_get(0)?;
    let version: i64 = row.try_get(3)?;
    let settings = row.try_get(2)?;
    Ok(HubRecord { id: HubId(id.cast_unsigned()), name, settings, version: version.unsigned_abs() })
}

/// Ends a hub: its name is free and nothing of it can be found from the commit on; its rows follow.
pub(in super::super) async fn delete(parts: &Parts, name: &HubName) -> Done<bool> {
    let deleted = retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        senders::changes(&tx).await?;
        let row = query_opt(&tx, "DELETE FROM hub WHERE name = $1 RETURNING id", &[&name.as_str()]).await?;
        let Some(row) = row else { return Ok(None) };
        let id: i32 = row.try_get(0)?;
        // Waits for the registration under way; the next one finds no counter and so no hub.
        execute(&tx, "DELETE FROM hub_counter WHERE hub = $1", &[&id]).await?;
        execute(&tx, "INSERT INTO deleted_hub (id) VALUES ($1)", &[&id]).await?;
        commit(tx).await?;
        Ok(Some(HubId(id.cast_unsigned())))
    })
    .await?;
    let Some(hub) = deleted else { return Ok(false) };
    for _ in 0..AT_ONCE {
        if purge_slice(parts, hub).await? {
            break;
        }
    }
    Ok(true)
}

/// Removes a slice of a deleted hub's rows. Answers whether anything may be left.
pub(in super::super) async fn purge(parts: &Parts) -> Done<bool> {
    let client = parts.pool.get().await?;
    let first = query_opt(&client, "SELECT id FROM deleted_hub ORDER BY id LIMIT 1", &[]).await?;
    drop(client);
    let Some(row) = first else { return Ok(false) };
    let id: i32 = row.try_get(0)?;
    purge_slice(parts, HubId(id.cast_unsigned())).await?;
    // Another hub may wait behind this one.
    Ok(true)
}

/// What is keyed by hub: removed by the place of the row, since a DELETE knows no LIMIT.
const KEYED: [&str; 7] = ["index_delta", "touch", "idempotency", "tag_chunk", "template", "file", "job"];

/// The tables whose keys begin with the hub.
const COUNTED: [(&str, &str); 2] = [("target", "key"), ("installation", "no")];

/// Answers whether the hub has no row left, or another node is at it.
async fn purge_slice(parts: &Parts, hub: HubId) -> Done<bool> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Relaxed).await?;
        // A fold of this hub may be on its way: it would write set rows after they were removed.
        if !lock_sets(&tx, hub).await? {
            return Ok(true);
        }
        let done = purge_rows(&tx, hub).await?;
        commit(tx).await?;
        Ok(done)
    })
    .await
}

async fn purge_rows(tx: &Transaction<'_>, hub: HubId) -> Done<bool> {
    let id = hub.0.cast_signed();
    // Broadcasts first, so that none is found whose targets are half gone.
    if let Some(row) = query_opt(tx, "SELECT id FROM broadcast WHERE hub = $1 LIMIT 1", &[&id]).await? {
        let broadcast: uuid::Uuid = row.try_get(0)?;
        for table in ["outcome_chunk", "shard", "reason", "broadcast_request"] {
            execute(tx, &format!("DELETE FROM {table} WHERE broadcast = $1"), &[&broadcast]).await?;
        }
        execute(tx, "DELETE FROM broadcast WHERE id = $1", &[&broadcast]).await?;
        return Ok(false);
    }
    let mut left = SLICE;
    for table in KEYED {
        let sql =
            format!("DELETE FROM {table} WHERE ctid = ANY (ARRAY (SELECT ctid FROM {table} WHERE hub = $1 LIMIT $2))");
        left -= execute(tx, &sql, &[&id, &left]).await?.cast_signed();
        if left <= 0 {
            return Ok(false);
        }
    }
    let (from, below) = (i64::from(hub.0) << 40, (i64::from(hub.0) + 1) << 40);
    for (table, key) in COUNTED {
        let sql = format!(
            "DELETE FROM {table} WHERE {key} = ANY (ARRAY \
             (SELECT {key} FROM {table} WHERE {key} >= $1 AND {key} < $2 ORDER BY {key} LIMIT $3))"
        );
        left -= execute(tx, &sql, &[&from, &below, &left]).await?.cast_signed();
        if left <= 0 {
            return Ok(false);
        }
    }
    execute(tx, "DELETE FROM deleted_hub WHERE id = $1", &[&id]).await?;
    Ok(true)
}
