//! Sweeping: what is over goes, a few milliseconds at a time.
//!
//! - Installations whose time is over leave as by a delete.
//! - Tombstones go once no kept broadcast can name their seq: when every broadcast of the hub that is still kept was
//!   accepted after the target had left.
//! - Idempotency keys go after their day.
//! - Templates go that no target has any more.
//! - Rows of deleted hubs go.
//!
//! Every node sweeps; a row that another one has just taken is simply gone.

use std::collections::{BTreeMap, BTreeSet};

use deadpool_postgres::GenericClient;

use super::super::error::Done;
use super::super::pool::{Durability, begin, commit, execute, query, query_opt, retrying};
use super::super::{Parts, StoreError};
use super::base::Needs;
use super::working_set::WorkingSet;
use super::{hub, templates, transaction};
use crate::model::id::HubId;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::registration::{self, HubCommit, Rows, of_key};

/// Rows of one kind in a slice.
const EXPIRED: i64 = 256;
const TOMBSTONES: i64 = 512;
const KEYS: i64 = 512;

/// Clocks may have been set back by this much while broadcasts were accepted, and an accept that is under way may have
/// looked at the index so long ago.
const CLOCK_STEP_MS: i64 = 600_000;

/// One slice of everything. Answers whether any of it was full.
pub(super) async fn sweep(parts: &Parts) -> Done<bool> {
    let client = parts.pool.get().await?;
    let now = parts.time.now(&client).await?;
    let (due, full) = expired(&client, now).await?;
    let keys = forget_keys(&client, now).await?;
    let tombstones = bury(&client, now).await?;
    drop(client);
    for (hub, installations) in due {
        retrying(|| expire(parts, hub, &installations)).await?;
    }
    let templates = templates::sweep(parts, now).await?;
    Ok(hub::purge(parts).await? || full || keys || tombstones || templates)
}

/// Installations that look expired, by hub, and whether there may be more.
async fn expired(on: &impl GenericClient, now: Timestamp) -> Done<(BTreeMap<HubId, BTreeSet<i64>>, bool)> {
    let live = "SELECT installation FROM target \
                WHERE expires <= $1 AND expires IS NOT NULL AND gone_why IS NULL ORDER BY expires LIMIT $2";
    // Those whose channel is dead have no live target that could be found.
    let dead = "SELECT no FROM installation \
                WHERE channel_dead AND expires <= $1 AND expires IS NOT NULL ORDER BY expires LIMIT $2";
    let mut full = false;
    let mut due: BTreeMap<HubId, BTreeSet<i64>> = BTreeMap::new();
    for sql in [live, dead] {
        let rows = query(on, sql, &[&now.millis(), &EXPIRED]).await?;
        full |= rows.len() as i64 == EXPIRED;
        for row in rows {
            let no: i64 = row.try_get(0)?;
            due.entry(of_key(no).0).or_default().insert(no);
        }
    }
    Ok((due, full))
}

async fn expire(parts: &Parts, hub: HubId, installations: &BTreeSet<i64>) -> Done<()> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Relaxed).await?;
    let turn = match transaction::turn(&tx, &parts.time, hub).await {
        Err(fault) if matches!(fault.error, StoreError::NoHub) => return Ok(()),
        turn => turn?,
    };
    let needs = Needs { installations: installations.clone(), touches: true, ..Needs::default() };
    let rules = |set: &mut WorkingSet<'_>, commit: &mut HubCommit, now| -> Result<()> {
        for &no in installations {
            if let Some(row) = set.installation(no)? {
                registration::expire(set, commit, &row, now)?;
            }
        }
        Ok(())
    };
    let ((), written) = transaction::run(&tx, &parts.registry, &turn, needs, rules).await?;
    commit(tx).await?;
    if let Some(written) = written {
        written.keep(&parts.registry);
    }
    Ok(())
}

async fn bury(on: &impl GenericClient, now: Timestamp) -> Done<bool> {
    let mut left = TOMBSTONES;
    for row in query(on, "SELECT id FROM hub ORDER BY id", &[]).await? {
        let hub: i32 = row.try_get(0)?;
        // Ids ascend with the time of acceptance.
        let oldest = "SELECT accepted FROM broadcast WHERE hub = $1 ORDER BY id LIMIT 1";
        let oldest: Option<i64> = query_opt(on, oldest, &[&hub]).await?.map(|row| row.try_get(0)).transpose()?;
        let before = oldest.map_or(now.millis(), |oldest| oldest.min(now.millis())) - CLOCK_STEP_MS;
        let sql = "DELETE FROM target WHERE key = ANY (ARRAY (SELECT key FROM target \
                   WHERE key >> 40 = $1 AND gone_at < $2 AND gone_why IS NOT NULL LIMIT $3)) \
                   AND gone_why IS NOT NULL";
        left -= execute(on, sql, &[&i64::from(hub), &before, &left]).await?.cast_signed();
        if left <= 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

async fn forget_keys(on: &impl GenericClient, now: Timestamp) -> Done<bool> {
    let sql = "DELETE FROM idempotency WHERE ctid = ANY (ARRAY (SELECT ctid FROM idempotency \
               WHERE until <= $1 LIMIT $2)) AND until <= $1";
    Ok(execute(on, sql, &[&now.millis(), &KEYS]).await?.cast_signed() == KEYS)
}
