//! The rows of broadcasts and shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::codec;
use crate::model::broadcast::{Broadcast, BroadcastRequest, Lane, Milestones, Wish, closing};
use crate::model::id::{BroadcastId, ChunkNo, Epoch, HubId, Seq, ShardNo, ShardRef};
use crate::model::outcome::{Counters, Outcome};
use crate::model::platform::Platform;
use crate::model::shard::{Lease, LeaseState};
use crate::model::time::Timestamp;
use crate::store::{ReadyWork, Result, Standing, StoreError, Work};

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} of a broadcast"))
}

/// A number as SQLite holds it. None of ours comes near the bound.
pub(super) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number of a column.
pub(super) fn number<T: TryFrom<i64>>(row: &Row<'_>, column: usize) -> Result<T> {
    T::try_from(row.get(column)?).map_err(|_| corrupt("a number"))
}

/// A time of a column.
pub(super) fn time(row: &Row<'_>, column: usize) -> Result<Timestamp> {
    Ok(Timestamp::from_millis(row.get(column)?))
}

fn time_or_none(row: &Row<'_>, column: usize) -> Result<Option<Timestamp>> {
    Ok(row.get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

/// An id of a column.
pub(super) fn id(row: &Row<'_>, column: usize) -> Result<BroadcastId> {
    Ok(BroadcastId::from_bytes(row.get(column)?))
}

/// The platform of a column.
pub(super) fn platform(row: &Row<'_>, column: usize) -> Result<Platform> {
    Platform::from_code(number(row, column)?).ok_or_else(|| corrupt("a platform"))
}

/// State, epoch, time, progressed and strikes, from that column on.
fn lease(row: &Row<'_>, first: usize) -> Result<Lease> {
    let at = time(row, first + 2)?;
    let state = match row.get::<_, i64>(first)? {
        0 => LeaseState::Ready { due: at },
        1 => LeaseState::Leased { until: at, progressed: row.get(first + 3)? },
        2 => LeaseState::Closed,
        _ => return Err(corrupt("a lease")),
    };
    Ok(Lease { epoch: Epoch(number(row, first + 1)?), state, strikes: number(row, first + 4)? })
}

/// A lease in the columns that [`lease`] reads.
fn lease_columns(lease: &Lease) -> (i64, i64, i64, bool, u32) {
    let (state, at, progressed) = match lease.state {
        LeaseState::Ready { due } => (0, due, false),
        LeaseState::Leased { until, progressed } => (1, until, progressed),
        LeaseState::Closed => (2, Timestamp::default(), false),
    };
    (state, int(lease.epoch.0), at.millis(), progressed, lease.strikes)
}

/// A broadcast's row without its request and inline plan.
#[derive(Clone, Debug)]
pub(super) struct BroadcastRow {
    pub(super) id: BroadcastId,
    pub(super) hub: HubId,
    pub(super) lane: Lane,
    pub(super) weight: u32,
    pub(super) times: Milestones,
    pub(super) failure: Option<String>,
    pub(super) wish: Wish,
    pub(super) rate: u32,
    /// The lease of its planning; closed once planned.
    pub(super) plan: Lease,
    pub(super) plan_bound: Option<Seq>,
    /// The next chunk to plan.
    pub(super) plan_chunk: ChunkNo,
    pub(super) user_bound: Option<u64>,
    pub(super) next_shard: u32,
    pub(super) open_shards: u32,
    /// Sums of closed shards; of an inline plan as planned, when over as it ended.
    pub(super) sums: BTreeMap<Platform, Counters>,
    /// Whether it has an inline plan.
    pub(super) inline: bool,
}

/// The columns of [`BroadcastRow`], for queries of other rooms that end in their own conditions.
pub(super) const BROADCAST: &str = "SELECT id, hub, lane, weight, accepted, due, expires, planned, started, finished, \
     failure, wish, rate, plan_state, plan_epoch, plan_time, plan_progressed, plan_strikes, plan_bound, plan_chunk, \
     user_bound, next_shard, open_shards, counters, inline IS NOT NULL FROM broadcast ";

impl BroadcastRow {
    /// A row of a [`BROADCAST`] query.
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            id: id(row, 0)?,
            hub: HubId(number(row, 1)?),
            lane: *Lane::ALL.get(number::<usize>(row, 2)?).ok_or_else(|| corrupt("the lane"))?,
            weight: number(row, 3)?,
            times: Milestones {
                accepted: time(row, 4)?,
                due: time(row, 5)?,
                expires: time(row, 6)?,
                planned: time_or_none(row, 7)?,
                started: time_or_none(row, 8)?,
                finished: time_or_none(row, 9)?,
            },
            failure: row.get(10)?,
            wish: Wish::from_code(number(row, 11)?).ok_or_else(|| corrupt("the wish"))?,
            rate: number(row, 12)?,
            plan: lease(row, 13)?,
            plan_bound: row.get::<_, Option<i64>>(18)?.map(|bound| Seq(bound.unsigned_abs())),
            plan_chunk: ChunkNo(number(row, 19)?),
            user_bound: row.get::<_, Option<i64>>(20)?.map(i64::unsigned_abs),
            next_shard: number(row, 21)?,
            open_shards: number(row, 22)?,
            sums: codec::decode_sums(row.get_ref(23)?.as_blob().map_err(rusqlite::Error::from)?)?,
            inline: row.get(24)?,
        })
    }

    /// The broadcast's row, if there is one.
    pub(super) fn fetch(connection: &Connection, id: BroadcastId) -> Result<Option<Self>> {
        let mut query = connection.prepare_cached(&format!("{BROADCAST} WHERE id = ?"))?;
        let mut rows = query.query([id.as_bytes()])?;
        rows.next()?.map(Self::read).transpose()
    }

    /// Inserts the row with its request.
    pub(super) fn insert(&self, tx: &Connection, request: &[u8], inline: Option<&[u8]>) -> Result<()> {
        tx.prepare_cached(
            "INSERT INTO broadcast (id, hub, lane, weight, accepted, due, expires, wish, rate, plan_state, plan_epoch, \
             plan_time, plan_progressed, plan_strikes, counters) VALUES (?,?,?,?,?,?,?,?,?,0,0,0,0,0,x'')",
        )?
        .execute(params![
            self.id.as_bytes(),
            self.hub.0,
            self.lane as u8,
            self.weight,
            self.times.accepted.millis(),
            self.times.due.millis(),
            self.times.expires.millis(),
            self.wish.code(),
            self.rate,
        ])?;
        tx.prepare_cached("INSERT INTO broadcast_request (broadcast, request) VALUES (?, ?)")?
            .execute(params![self.id.as_bytes(), request])?;
        self.save(tx)?;
        inline.map_or(Ok(()), |inline| self.save_inline(tx, Some(inline)))
    }

    /// Writes back all that changes in the course of its life, its inline plan apart.
    pub(super) fn save(&self, tx: &Connection) -> Result<()> {
        let (state, epoch, at, progressed, strikes) = lease_columns(&self.plan);
        tx.prepare_cached(
            "UPDATE broadcast SET planned = ?, started = ?, finished = ?, failure = ?, wish = ?, rate = ?, \
             plan_state = ?, plan_epoch = ?, plan_time = ?, plan_progressed = ?, plan_strikes = ?, plan_bound = ?, \
             plan_chunk = ?, user_bound = ?, next_shard = ?, open_shards = ?, counters = ? WHERE id = ?",
        )?
        .execute(params![
            self.times.planned.map(Timestamp::millis),
            self.times.started.map(Timestamp::millis),
            self.times.finished.map(Timestamp::millis),
            self.failure,
            self.wish.code(),
            self.rate,
            state,
            epoch,
            at,
            progressed,
            strikes,
            self.plan_bound.map(|bound| int(bound.0)),
            self.plan_chunk.0,
            self.user_bound.map(int),
            self.next_shard,
            self.open_shards,
            codec::encode_sums(&self.sums),
            self.id.as_bytes(),
        ])?;
        Ok(())
    }

    /// Writes the inline plan, or takes it away.
    pub(super) fn save_inline(&self, tx: &Connection, inline: Option<&[u8]>) -> Result<()> {
        tx.prepare_cached("UPDATE broadcast SET inline = ? WHERE id = ?")?
            .execute(params![inline, self.id.as_bytes()])?;
        Ok(())
    }

    /// Ends it if nothing is left to plan or to send. Answers whether it did.
    pub(super) fn finish_if_done(&mut self, now: Timestamp) -> bool {
        let done = self.times.finished.is_none() && self.times.planned.is_some() && self.open_shards == 0;
        if done {
            self.times.finished = Some(now);
        }
        done
    }

    /// Ends planning where it is.
    pub(super) fn end_planning(&mut self, now: Timestamp) {
        self.times.planned = Some(now);
        self.plan.state = LeaseState::Closed;
        self.finish_if_done(now);
    }

    /// As what unfinished targets must be closed now, if at all.
    pub(super) fn closing(&self, now: Timestamp) -> Option<Outcome> {
        closing(self.wish, self.times.expires, now)
    }

    pub(super) fn standing(&self, now: Timestamp) -> Standing {
        Standing { wish: self.wish, rate_per_second: self.rate, expires: self.times.expires, read_at: now }
    }

    pub(super) fn ready(&self, work: Work, due: Timestamp) -> ReadyWork {
        ReadyWork { work, hub: self.hub, lane: self.lane, weight: self.weight, due }
    }

    /// The broadcast as readers get it, with those sums.
    pub(super) fn view(self, connection: &Connection, platforms: BTreeMap<Platform, Counters>) -> Result<Broadcast> {
        let mut request = request(connection, self.id)?;
        request.rate_per_second = self.rate;
        Ok(Broadcast {
            id: self.id,
            hub: self.hub,
            request,
            times: self.times,
            wish: self.wish,
            failure: self.failure,
            platforms,
        })
    }
}

/// A broadcast's request.
pub(super) fn request(connection: &Connection, id: BroadcastId) -> Result<BroadcastRequest> {
    let json: Vec<u8> = connection
        .prepare_cached("SELECT request FROM broadcast_request WHERE broadcast = ?")?
        .query_row([id.as_bytes()], |row| row.get(0))?;
    serde_json::from_slice(&json).map_err(|error| StoreError::Corrupt(format!("the request of {id}: {error}")))
}

/// The same to share among the workers of a broadcast.
pub(super) fn shared_request(connection: &Connection, id: BroadcastId) -> Result<Arc<BroadcastRequest>> {
    request(connection, id).map(Arc::new)
}

/// Whether the hub is there: a broadcast of a deleted one goes on waiting for its removal, and is never sent.
pub(super) fn hub_exists(connection: &Connection, hub: HubId) -> Result<bool> {
    let mut query = connection.prepare_cached("SELECT 1 FROM hub WHERE id = ?")?;
    Ok(query.exists([hub.0])?)
}

/// A shard's row.
#[derive(Clone, Debug)]
pub(super) struct ShardRow {
    pub(super) at: ShardRef,
    pub(super) platform: Platform,
    pub(super) first_chunk: ChunkNo,
    pub(super) last_chunk: ChunkNo,
    pub(super) lease: Lease,
    pub(super) counters: Counters,
}

/// The columns of [`ShardRow`].
pub(super) const SHARD: &str = "SELECT broadcast, shard, platform, first_chunk, last_chunk, state, epoch, time, \
     progressed, strikes, counters FROM shard ";

impl ShardRow {
    /// A row of a [`SHARD`] query.
    pub(super) fn read(row: &Row<'_>) -> Result<Self> {
        Ok(Self {
            at: ShardRef { broadcast: id(row, 0)?, shard: ShardNo(number(row, 1)?) },
            platform: platform(row, 2)?,
            first_chunk: ChunkNo(number(row, 3)?),
            last_chunk: ChunkNo(number(row, 4)?),
            lease: lease(row, 5)?,
            counters: codec::decode_counters(row.get_ref(10)?.as_blob().map_err(rusqlite::Error::from)?)?,
        })
    }

    /// The shard's row, if there is one.
    pub(super) fn fetch(connection: &Connection, at: ShardRef) -> Result<Option<Self>> {
        let mut query = connection.prepare_cached(&format!("{SHARD} WHERE broadcast = ? AND shard = ?"))?;
        let mut rows = query.query(params![at.broadcast.as_bytes(), at.shard.0])?;
        rows.next()?.map(Self::read).transpose()
    }

    pub(super) fn insert(&self, tx: &Connection) -> Result<()> {
        let (state, epoch, at, progressed, strikes) = lease_columns(&self.lease);
        tx.prepare_cached("INSERT INTO shard VALUES (?,?,?,?,?,?,?,?,?,?,?)")?.execute(params![
            self.at.broadcast.as_bytes(),
            self.at.shard.0,
            self.platform.code(),
            self.first_chunk.0,
            self.last_chunk.0,
            state,
            epoch,
            at,
            progressed,
            strikes,
            codec::encode_counters(&self.counters),
        ])?;
        Ok(())
    }

    /// Writes lease and counters back.
    pub(super) fn save(&self, tx: &Connection) -> Result<()> {
        let (state, epoch, at, progressed, strikes) = lease_columns(&self.lease);
        tx.prepare_cached(
            "UPDATE shard SET state = ?, epoch = ?, time = ?, progressed = ?, strikes = ?, counters = ? \
             WHERE broadcast = ? AND shard = ?",
        )?
        .execute(params![
            state,
            epoch,
            at,
            progressed,
            strikes,
            codec::encode_counters(&self.counters),
            self.at.broadcast.as_bytes(),
            self.at.shard.0,
        ])?;
        Ok(())
    }
}

/// The sums of a broadcast with ordinary shards: those of closed ones from its row, the others added up.
pub(super) fn sums(connection: &Connection, row: &BroadcastRow) -> Result<BTreeMap<Platform, Counters>> {
    let mut sums = row.sums.clone();
    if row.open_shards > 0 && !row.inline {
        let mut query =
            connection.prepare_cached("SELECT platform, counters FROM shard WHERE broadcast = ? AND state < 2")?;
        let mut rows = query.query([row.id.as_bytes()])?;
        while let Some(row) = rows.next()? {
            let counters = codec::decode_counters(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?)?;
            *sums.entry(platform(row, 0)?).or_default() += counters;
        }
    }
    Ok(sums)
}

/// The blob of an inline plan.
pub(super) fn inline_plan(connection: &Connection, id: BroadcastId) -> Result<Option<Vec<u8>>> {
    let mut query = connection.prepare_cached("SELECT inline FROM broadcast WHERE id = ?")?;
    Ok(query.query_row([id.as_bytes()], |row| row.get(0)).optional()?.flatten())
}
