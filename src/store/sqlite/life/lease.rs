//! Taking a shard: its lease first, in the writer, then all that its holder needs, on a reader. In between nobody else
//! moves its bits.

use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::Parts;
use super::super::engine::Precedence;
use super::inline::{self, Entered};
use super::rows::{BroadcastRow, ShardRow, hub_exists, shared_request};
use super::sets::Table;
use crate::model::broadcast::Wish;
use crate::model::id::{Epoch, ShardRef};
use crate::model::shard::{Lease, LeaseError};
use crate::model::time::Timestamp;
use crate::store::{Result, ShardWork};

pub(in super::super) async fn lease(
    parts: &Arc<Parts>,
    at: ShardRef,
    length: Duration,
) -> Result<Result<ShardWork, LeaseError>> {
    match inline::enter_to_lease(parts, at.broadcast).await? {
        Entered::Inline(run) => inline::lease(parts, run, at, length).await,
        Entered::Ordinary => ordinary(parts, at, length).await,
    }
}

async fn ordinary(parts: &Arc<Parts>, at: ShardRef, length: Duration) -> Result<Result<ShardWork, LeaseError>> {
    let clock = parts.clock.clone();
    let take = move |tx: &Connection| take_row(tx, at, length, clock.now());
    let (epoch, shard, row, read_at) = match parts.engine.write(Precedence::Checkpoint, 1, take).await? {
        Ok(taken) => taken,
        Err(refused) => return Ok(Err(refused)),
    };
    let read = move |connection: &Connection| {
        Ok(ShardWork {
            epoch,
            hub: row.hub,
            platform: shard.platform,
            request: shared_request(connection, at.broadcast)?,
            standing: row.standing(read_at),
            user_bound: row.user_bound,
            chunks: Table { connection, shard: &shard }.unfinished()?,
            strikes: shard.lease.strikes,
        })
    };
    parts.engine.read(read).await.map(Ok)
}

type Taken = (Epoch, ShardRow, BroadcastRow, Timestamp);

fn take_row(tx: &Connection, at: ShardRef, length: Duration, now: Timestamp) -> Result<Result<Taken, LeaseError>> {
    let (Some(mut row), Some(mut shard)) = (BroadcastRow::fetch(tx, at.broadcast)?, ShardRow::fetch(tx, at)?) else {
        return Ok(Err(LeaseError::Closed));
    };
    if !hub_exists(tx, row.hub)? {
        return Ok(Err(LeaseError::Closed));
    }
    let epoch = match take(&mut shard.lease, &row, length, now) {
        Ok(epoch) => epoch,
        Err(refused) => return Ok(Err(refused)),
    };
    shard.save(tx)?;
    if row.times.started.is_none() {
        row.times.started = Some(now);
        row.save(tx)?;
    }
    Ok(Ok((epoch, shard, row, now)))
}

/// Takes a lease as the broadcast stands: a paused one is not worked on, unless to close it.
pub(super) fn take(
    lease: &mut Lease,
    row: &BroadcastRow,
    length: Duration,
    now: Timestamp,
) -> Result<Epoch, LeaseError> {
    let closing = row.closing(now).is_some();
    if row.wish == Wish::Pause && !closing && !matches!(lease.state, crate::model::shard::LeaseState::Closed) {
        return Err(LeaseError::Paused);
    }
    lease.take(now, length, closing)
}
