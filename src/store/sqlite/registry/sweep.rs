//! Sweeping: what is over goes, a few milliseconds at a time.
//!
//! - Installations whose time is over leave as by a delete.
//! - Tombstones go once no kept broadcast can name their seq: when every broadcast of the hub that is still kept was
//!   accepted after the target had left.
//! - Idempotency keys go after their day.
//! - Templates go that no target has any more.
//! - Rows of deleted hubs go.

use rusqlite::{Connection, OptionalExtension, params};

use super::super::engine::Precedence;
use super::super::{Parts, Result};
use super::rows::{self, TxRows};
use super::{Shared, hub, templates};
use crate::model::time::Timestamp;
use crate::store::StoreError;
use crate::store::registration::{self, of_key};

/// Rows of one kind in a slice.
const EXPIRED: u32 = 128;
const TOMBSTONES: u32 = 512;
const KEYS: u32 = 512;

/// The wall clock may have been set back by this much while broadcasts were accepted.
const CLOCK_STEP_MS: i64 = 600_000;

/// One slice of everything. Answers whether any of it was full.
pub(super) async fn sweep(parts: &Parts) -> Result<bool> {
    let (registry, clock) = (parts.registry.clone(), parts.clock.clone());
    let slice = move |tx: &Connection| {
        let now = clock.now();
        let expired = expire(tx, &registry, now)?;
        let tombstones = bury(tx, now)?;
        let keys = forget_keys(tx, now)?;
        let templates = templates::sweep(tx, &registry, now)?;
        Ok(expired || tombstones || keys || templates)
    };
    let more = parts.engine.write(Precedence::Sweep, EXPIRED as usize, slice).await?;
    Ok(hub::purge(parts).await? || more)
}

fn expire(tx: &Connection, registry: &Shared, now: Timestamp) -> Result<bool> {
    let mut due: Vec<i64> = tx
        .prepare_cached(
            "SELECT installation FROM target WHERE expires <= ?1 AND expires IS NOT NULL AND gone_why IS NULL LIMIT ?2",
        )?
        .query_map(params![now.millis(), EXPIRED], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    // Those whose channel is dead have no live target that could be found.
    let dead: Vec<i64> = tx
        .prepare_cached(
            "SELECT no FROM installation WHERE channel_dead = 1 AND expires <= ?1 AND expires IS NOT NULL LIMIT ?2",
        )?
        .query_map(params![now.millis(), EXPIRED], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let more = due.len().max(dead.len()) == EXPIRED as usize;
    due.extend(dead);
    due.sort_unstable();
    due.dedup();
    let mut gathering = registry.gathering.lock();
    for no in due {
        let hub = of_key(no).0;
        let Some(row) = rows::get(tx, no)? else { continue };
        let commit = match gathering.hub(tx, hub, &registry.live_tags) {
            Err(StoreError::NoHub) => continue,
            commit => commit?,
        };
        registration::expire(&mut TxRows { tx, registry }, commit, &row, now)?;
    }
    Ok(more)
}

fn bury(tx: &Connection, now: Timestamp) -> Result<bool> {
    let hubs: Vec<u32> =
        tx.prepare_cached("SELECT id FROM hub")?.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut left = TOMBSTONES;
    for hub in hubs {
        // Ids ascend with the time of acceptance.
        let oldest: Option<i64> = tx
            .prepare_cached("SELECT accepted FROM broadcast WHERE hub = ?1 ORDER BY id LIMIT 1")?
            .query_row([hub], |row| row.get(0))
            .optional()?;
        let before = oldest.map_or(i64::MAX, |oldest| oldest.min(now.millis()) - CLOCK_STEP_MS);
        let buried = tx
            .prepare_cached(
                "DELETE FROM target WHERE key IN (SELECT key FROM target \
                 WHERE key >> 40 = ?1 AND gone_at < ?2 AND gone_why IS NOT NULL LIMIT ?3)",
            )?
            .execute(params![hub, before, left])?;
        left -= u32::try_from(buried).unwrap_or(left).min(left);
        if left == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn forget_keys(tx: &Connection, now: Timestamp) -> Result<bool> {
    let keys: Vec<(u32, String)> = tx
        .prepare_cached("SELECT hub, key FROM idempotency WHERE until <= ?1 LIMIT ?2")?
        .query_map(params![now.millis(), KEYS], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<rusqlite::Result<_>>()?;
    // One by one: a DELETE … WHERE (hub, key) IN (…) walks all keys of the hub.
    let mut delete = tx.prepare_cached("DELETE FROM idempotency WHERE hub = ?1 AND key = ?2")?;
    for (hub, key) in &keys {
        delete.execute(params![hub, key])?;
    }
    Ok(keys.len() == KEYS as usize)
}
