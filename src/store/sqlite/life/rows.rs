//! The rows of broadcasts and shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::model::broadcast::{Broadcast, BroadcastRequest, Milestones};
use crate::model::id::{BroadcastId, ChunkNo, HubId, Seq, ShardNo, ShardRef};
use crate::model::narrowing::Narrowed;
use crate::model::outcome::Counters;
use crate::model::platform::Platform;
use crate::model::shard::Lease;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::life::codec;
use crate::store::life::records::{self, BroadcastRow, LeaseColumns, ShardRow, corrupt, decode_request, int};

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
    records::platform(number(row, column)?)
}

/// State, epoch, time, progressed and strikes, from that column on.
fn lease(row: &Row<'_>, first: usize) -> Result<Lease> {
    let columns = LeaseColumns {
        state: number(row, first)?,
        epoch: number(row, first + 1)?,
        time: time(row, first + 2)?,
        progressed: row.get(first + 3)?,
        strikes: number(row, first + 4)?,
    };
    columns.lease()
}

/// The columns of [`BroadcastRow`], for queries of other rooms that end in their own conditions.
pub(super) const BROADCAST: &str = "SELECT id, hub, lane, weight, accepted, due, expires, planned, started, finished, \
     failure, wish, rate, plan_state, plan_epoch, plan_time, plan_progressed, plan_strikes, plan_bound, plan_chunk, \
     user_bound, next_shard, open_shards, counters, inline IS NOT NULL FROM broadcast ";

/// A row of a [`BROADCAST`] query.
pub(super) fn read_broadcast(row: &Row<'_>) -> Result<BroadcastRow> {
    Ok(BroadcastRow {
        id: id(row, 0)?,
        hub: HubId(number(row, 1)?),
        lane: records::lane(number(row, 2)?)?,
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
        wish: records::wish(number(row, 11)?)?,
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
pub(super) fn fetch_broadcast(connection: &Connection, id: BroadcastId) -> Result<Option<BroadcastRow>> {
    let mut query = connection.prepare_cached(&format!("{BROADCAST} WHERE id = ?"))?;
    let mut rows = query.query([id.as_bytes()])?;
    rows.next()?.map(read_broadcast).transpose()
}

/// Inserts the row with its request.
pub(super) fn insert_broadcast(
    tx: &Connection,
    row: &BroadcastRow,
    request: &[u8],
    inline: Option<&[u8]>,
) -> Result<()> {
    tx.prepare_cached(
        "INSERT INTO broadcast (id, hub, lane, weight, accepted, due, expires, wish, rate, plan_state, plan_epoch, \
         plan_time, plan_progressed, plan_strikes, counters) VALUES (?,?,?,?,?,?,?,?,?,0,0,0,0,0,x'')",
    )?
    .execute(params![
        row.id.as_bytes(),
        row.hub.0,
        row.lane as u8,
        row.weight,
        row.times.accepted.millis(),
        row.times.due.millis(),
        row.times.expires.millis(),
        row.wish.code(),
        row.rate,
    ])?;
    tx.prepare_cached("INSERT INTO broadcast_request (broadcast, request) VALUES (?, ?)")?
        .execute(params![row.id.as_bytes(), request])?;
    save_broadcast(tx, row)?;
    inline.map_or(Ok(()), |inline| save_inline(tx, row.id, Some(inline)))
}

/// Writes back all that changes in the course of its life, its inline plan apart.
pub(super) fn save_broadcast(tx: &Connection, row: &BroadcastRow) -> Result<()> {
    let plan = LeaseColumns::from(&row.plan);
    tx.prepare_cached(
        "UPDATE broadcast SET planned = ?, started = ?, finished = ?, failure = ?, wish = ?, rate = ?, \
         plan_state = ?, plan_epoch = ?, plan_time = ?, plan_progressed = ?, plan_strikes = ?, plan_bound = ?, \
         plan_chunk = ?, user_bound = ?, next_shard = ?, open_shards = ?, counters = ? WHERE id = ?",
    )?
    .execute(params![
        row.times.planned.map(Timestamp::millis),
        row.times.started.map(Timestamp::millis),
        row.times.finished.map(Timestamp::millis),
        row.failure,
        row.wish.code(),
        row.rate,
        plan.state,
        int(plan.epoch),
        plan.time.millis(),
        plan.progressed,
        plan.strikes,
        row.plan_bound.map(|bound| int(bound.0)),
        row.plan_chunk.0,
        row.user_bound.map(int),
        row.next_shard,
        row.open_shards,
        codec::encode_sums(&row.sums),
        row.id.as_bytes(),
    ])?;
    Ok(())
}

/// Writes the inline plan, or takes it away.
pub(super) fn save_inline(tx: &Connection, id: BroadcastId, inline: Option<&[u8]>) -> Result<()> {
    tx.prepare_cached("UPDATE broadcast SET inline = ? WHERE id = ?")?.execute(params![inline, id.as_bytes()])?;
    Ok(())
}

/// The broadcast as readers get it, with those sums.
pub(super) fn view(
    connection: &Connection,
    row: BroadcastRow,
    platforms: BTreeMap<Platform, Counters>,
) -> Result<Broadcast> {
    let request = request(connection, row.id)?;
    Ok(row.view(request, platforms))
}

/// A broadcast's request.
pub(super) fn request(connection: &Connection, id: BroadcastId) -> Result<BroadcastRequest> {
    let json: Vec<u8> = connection
        .prepare_cached("SELECT request FROM broadcast_request WHERE broadcast = ?")?
        .query_row([id.as_bytes()], |row| row.get(0))?;
    decode_request(id, &json)
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

/// The columns of [`ShardRow`].
pub(super) const SHARD: &str = "SELECT broadcast, shard, platform, first_chunk, last_chunk, state, epoch, time, \
     progressed, strikes, counters, narrow_first, narrow_to, narrow_last FROM shard ";

/// A row of a [`SHARD`] query.
pub(super) fn read_shard(row: &Row<'_>) -> Result<ShardRow> {
    let seq = |column| Ok::<_, rusqlite::Error>(row.get::<_, Option<i64>>(column)?.map(|seq| Seq(seq.unsigned_abs())));
    let narrowed = match (seq(11)?, seq(12)?, seq(13)?) {
        (Some(first), Some(to), Some(last)) => Some(Narrowed { first, to, last }),
        _ => None,
    };
    Ok(ShardRow {
        at: ShardRef { broadcast: id(row, 0)?, shard: ShardNo(number(row, 1)?) },
        platform: platform(row, 2)?,
        first_chunk: ChunkNo(number(row, 3)?),
        last_chunk: ChunkNo(number(row, 4)?),
        lease: lease(row, 5)?,
        counters: codec::decode_counters(row.get_ref(10)?.as_blob().map_err(rusqlite::Error::from)?)?,
        narrowed,
    })
}

/// The shard's row, if there is one.
pub(super) fn fetch_shard(connection: &Connection, at: ShardRef) -> Result<Option<ShardRow>> {
    let mut query = connection.prepare_cached(&format!("{SHARD} WHERE broadcast = ? AND shard = ?"))?;
    let mut rows = query.query(params![at.broadcast.as_bytes(), at.shard.0])?;
    rows.next()?.map(read_shard).transpose()
}

pub(super) fn insert_shard(tx: &Connection, shard: &ShardRow) -> Result<()> {
    let lease = LeaseColumns::from(&shard.lease);
    tx.prepare_cached(
        "INSERT INTO shard (broadcast, shard, platform, first_chunk, last_chunk, state, epoch, time, progressed, \
         strikes, counters) VALUES (?,?,?,?,?,?,?,?,?,?,?)",
    )?
    .execute(params![
        shard.at.broadcast.as_bytes(),
        shard.at.shard.0,
        shard.platform.code(),
        shard.first_chunk.0,
        shard.last_chunk.0,
        lease.state,
        int(lease.epoch),
        lease.time.millis(),
        lease.progressed,
        lease.strikes,
        codec::encode_counters(&shard.counters),
    ])?;
    if shard.narrowed.is_some() { save_narrowed(tx, shard) } else { Ok(()) }
}

/// Writes lease and counters back.
pub(super) fn save_shard(tx: &Connection, shard: &ShardRow) -> Result<()> {
    let lease = LeaseColumns::from(&shard.lease);
    tx.prepare_cached(
        "UPDATE shard SET state = ?, epoch = ?, time = ?, progressed = ?, strikes = ?, counters = ? \
         WHERE broadcast = ? AND shard = ?",
    )?
    .execute(params![
        lease.state,
        int(lease.epoch),
        lease.time.millis(),
        lease.progressed,
        lease.strikes,
        codec::encode_counters(&shard.counters),
        shard.at.broadcast.as_bytes(),
        shard.at.shard.0,
    ])?;
    Ok(())
}

/// Writes what of it may be sent: apart, because it hardly ever changes.
pub(super) fn save_narrowed(tx: &Connection, shard: &ShardRow) -> Result<()> {
    tx.prepare_cached(
        "UPDATE shard SET narrow_first = ?, narrow_to = ?, narrow_last = ? WHERE broadcast = ? AND shard = ?",
    )?
    .execute(params![
        shard.narrowed.map(|narrowed| int(narrowed.first.0)),
        shard.narrowed.map(|narrowed| int(narrowed.to.0)),
        shard.narrowed.map(|narrowed| int(narrowed.last.0)),
        shard.at.broadcast.as_bytes(),
        shard.at.shard.0,
    ])?;
    Ok(())
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
