//! Taking a shard: its lease first, in the writer, then all that its holder needs, on a reader. In between nobody else
//! moves its bits.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::Parts;
use super::super::engine::Precedence;
use super::inline::{self, Entered};
use super::rows::{
    fetch_broadcast, fetch_shard, hub_exists, save_broadcast, save_narrowed, save_shard, shared_request,
};
use super::sets::Table;
use crate::model::id::ShardRef;
use crate::model::shard::LeaseError;
use crate::model::time::{Moment, Timestamp};
use crate::store::life::lease::{Portion, Taken, portion, take};
use crate::store::life::records::{BroadcastRow, ShardRow};
use crate::store::{Result, ShardWork, Suspected};

pub(in super::super) async fn lease(
    parts: &Arc<Parts>,
    at: ShardRef,
    length: Duration,
    suspects: Suspected,
) -> Result<Result<ShardWork, LeaseError>> {
    match inline::enter_to_lease(parts, at.broadcast).await? {
        Entered::Inline(run) => inline::lease(parts, run, at, length, suspects).await,
        Entered::Ordinary => ordinary(parts, at, length, suspects).await,
    }
}

async fn ordinary(
    parts: &Arc<Parts>,
    at: ShardRef,
    length: Duration,
    suspects: Suspected,
) -> Result<Result<ShardWork, LeaseError>> {
    let clock = parts.clock.clone();
    let take = move |tx: &Connection| take_row(tx, at, length, suspects, clock.moment());
    let leased = match parts.engine.write(Precedence::Checkpoint, 1, take).await? {
        Ok(leased) => leased,
        Err(refused) => return Ok(Err(refused)),
    };
    let Lease { taken, shard, row, portion, read_at } = leased;
    let read = move |connection: &Connection| {
        let (chunks, poison) = match portion {
            Some(portion) => (portion.chunks, portion.poison),
            None => (Table { connection, shard: &shard }.unfinished()?, None),
        };
        Ok(ShardWork {
            epoch: taken.epoch,
            hub: row.hub,
            platform: shard.platform,
            request: shared_request(connection, at.broadcast)?,
            standing: row.standing(read_at),
            user_bound: row.user_bound,
            chunks,
            strikes: shard.lease.strikes,
            narrowed: shard.narrowed.is_some(),
            poison,
        })
    };
    parts.engine.read(read).await.map(Ok)
}

/// A lease that was committed.
struct Lease {
    taken: Taken,
    shard: ShardRow,
    row: BroadcastRow,
    /// Of a shard that is suspected, for which the sets are looked at before the lease is committed.
    portion: Option<Portion>,
    read_at: Timestamp,
}

fn take_row(
    tx: &Connection,
    at: ShardRef,
    length: Duration,
    suspects: Suspected,
    now: Moment,
) -> Result<Result<Lease, LeaseError>> {
    let (Some(mut row), Some(mut shard)) = (fetch_broadcast(tx, at.broadcast)?, fetch_shard(tx, at)?) else {
        return Ok(Err(LeaseError::Closed));
    };
    if !hub_exists(tx, row.hub)? {
        return Ok(Err(LeaseError::Closed));
    }
    let taken = match take(&mut shard.lease, shard.narrowed, &row, length, suspects, now) {
        Ok(taken) => taken,
        Err(refused) => return Ok(Err(refused)),
    };
    let now = now.wall;
    let mut cut = None;
    if taken.suspected {
        let chunks = Table { connection: tx, shard: &shard }.unfinished()?;
        let portion = portion(&taken, &mut shard.lease, shard.narrowed, chunks, now);
        shard.narrowed = portion.narrowed;
        save_narrowed(tx, &shard)?;
        cut = Some(portion);
    }
    save_shard(tx, &shard)?;
    if row.times.started.is_none() {
        row.times.started = Some(now);
        save_broadcast(tx, &row)?;
    }
    Ok(Ok(Lease { taken, shard, row, portion: cut, read_at: now }))
}
