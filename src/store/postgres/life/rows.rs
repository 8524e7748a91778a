//! The rows of broadcasts and shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;
use tokio_postgres::types::Type;
use uuid::Uuid;

use super::super::StoreError;
use super::super::error::Done;
use super::super::pool::{RELAX, execute, query, query_one, query_opt};
use super::super::time::{STATEMENT_TIME, Time};
use super::leases;
use crate::model::broadcast::{Broadcast, BroadcastRequest, Milestones};
use crate::model::id::{BroadcastId, ChunkNo, Epoch, HubId, Seq, ShardNo, ShardRef};
use crate::model::narrowing::Narrowed;
use crate::model::outcome::Counters;
use crate::model::platform::Platform;
use crate::model::shard::Lease;
use crate::model::time::Timestamp;
use crate::store::life::codec;
use crate::store::life::inline::Shares;
use crate::store::life::records::{self, BroadcastRow, LeaseColumns, ShardRow, corrupt, decode_request, int};

/// A broadcast's id as a parameter.
pub(super) fn uuid(id: BroadcastId) -> Uuid {
    Uuid::from_bytes(*id.as_bytes())
}

/// An id of a column.
pub(super) fn id(row: &Row, column: usize) -> Done<BroadcastId> {
    Ok(BroadcastId::from_bytes(*row.try_get::<_, Uuid>(column)?.as_bytes()))
}

/// A number of a column, whatever its width.
pub(super) fn number<T: TryFrom<i64>>(row: &Row, column: usize) -> Done<T> {
    let wide = match row.columns().get(column).map(|column| column.type_()) {
        Some(&Type::INT2) => i64::from(row.try_get::<_, i16>(column)?),
        Some(&Type::INT4) => i64::from(row.try_get::<_, i32>(column)?),
        _ => row.try_get::<_, i64>(column)?,
    };
    Ok(T::try_from(wide).map_err(|_| corrupt("a number"))?)
}

/// A time of a column.
pub(super) fn time(row: &Row, column: usize) -> Done<Timestamp> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

fn time_or_none(row: &Row, column: usize) -> Done<Option<Timestamp>> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(Timestamp::from_millis))
}

fn seq_or_none(row: &Row, column: usize) -> Done<Option<Seq>> {
    Ok(row.try_get::<_, Option<i64>>(column)?.map(|seq| Seq(seq.unsigned_abs())))
}

/// The platform of a column.
pub(super) fn platform(row: &Row, column: usize) -> Done<Platform> {
    Ok(records::platform(number(row, column)?)?)
}

/// State, epoch, time, progressed and strikes, from that column on.
fn lease(row: &Row, first: usize) -> Done<Lease> {
    let columns = LeaseColumns {
        state: number(row, first)?,
        epoch: number(row, first + 1)?,
        time: time(row, first + 2)?,
        progressed: row.try_get(first + 3)?,
        strikes: number(row, first + 4)?,
    };
    Ok(columns.lease()?)
}

/// The columns of [`BroadcastRow`], for queries of other rooms that end in their own conditions.
pub(super) const BROADCAST: &str = "SELECT id, hub, lane, weight, accepted, due, expires, planned, started, finished, \
     failure, wish, rate, plan_state, plan_epoch, plan_time, plan_progressed, plan_strikes, plan_bound, plan_chunk, \
     user_bound, next_shard, open_shards, counters, inline IS NOT NULL";
const BROADCAST_COLUMNS: usize = 25;

/// A row of a [`BROADCAST`] query.
pub(super) fn read_broadcast(row: &Row) -> Done<BroadcastRow> {
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
        failure: row.try_get(10)?,
        wish: records::wish(number(row, 11)?)?,
        rate: number(row, 12)?,
        plan: lease(row, 13)?,
        plan_bound: seq_or_none(row, 18)?,
        plan_chunk: ChunkNo(number(row, 19)?),
        user_bound: row.try_get::<_, Option<i64>>(20)?.map(i64::unsigned_abs),
        next_shard: number(row, 21)?,
        open_shards: number(row, 22)?,
        sums: codec::decode_sums(row.try_get(23)?)?,
        inline: row.try_get(24)?,
    })
}

/// The broadcast's row, if there is one.
pub(super) async fn fetch_broadcast(on: &impl GenericClient, id: BroadcastId) -> Done<Option<BroadcastRow>> {
    let row = query_opt(on, &format!("{BROADCAST} FROM broadcast WHERE id = $1"), &[&uuid(id)]).await?;
    row.as_ref().map(read_broadcast).transpose()
}

/// The same, locked until the end of the transaction: nobody else changes it meanwhile.
pub(super) async fn lock_broadcast(tx: &Transaction<'_>, id: BroadcastId) -> Done<Option<BroadcastRow>> {
    let sql = format!("{BROADCAST} FROM broadcast WHERE id = $1 FOR NO KEY UPDATE");
    let row = query_opt(tx, &sql, &[&uuid(id)]).await?;
    row.as_ref().map(read_broadcast).transpose()
}

/// Inserts the row with its request.
pub(super) async fn insert_broadcast(
    tx: &Transaction<'_>,
    row: &BroadcastRow,
    request: &[u8],
    inline: Option<&[u8]>,
) -> Done<()> {
    let plan = LeaseColumns::from(&row.plan);
    let sql = "INSERT INTO broadcast (id, hub, lane, weight, accepted, due, expires, planned, started, finished, \
               failure, wish, rate, plan_state, plan_epoch, plan_time, plan_progressed, plan_strikes, plan_bound, \
               plan_chunk, user_bound, next_shard, open_shards, counters, inline) VALUES \
               ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12,$13,$14,$15,$16,$17,$18,$19,$20,$21,$22,$23,$24,$25)";
    execute(
        tx,
        sql,
        &[
            &uuid(row.id),
            &row.hub.0.cast_signed(),
            &i16::from(row.lane as u8),
            &row.weight.cast_signed(),
            &row.times.accepted.millis(),
            &row.times.due.millis(),
            &row.times.expires.millis(),
            &row.times.planned.map(Timestamp::millis),
            &row.times.started.map(Timestamp::millis),
            &row.times.finished.map(Timestamp::millis),
            &row.failure,
            &i16::from(row.wish.code()),
            &i64::from(row.rate),
            &i16::from(plan.state),
            &int(plan.epoch),
            &plan.time.millis(),
            &plan.progressed,
            &plan.strikes.cast_signed(),
            &row.plan_bound.map(|bound| int(bound.0)),
            &row.plan_chunk.0.cast_signed(),
            &row.user_bound.map(int),
            &row.next_shard.cast_signed(),
            &row.open_shards.cast_signed(),
            &codec::encode_sums(&row.sums),
            &inline,
        ],
    )
    .await?;
    let sql = "INSERT INTO broadcast_request (broadcast, request) VALUES ($1, $2)";
    execute(tx, sql, &[&uuid(row.id), &request]).await?;
    Ok(())
}

/// Writes back all that changes in the course of its life, its inline plan apart.
pub(super) async fn save_broadcast(tx: &Transaction<'_>, row: &BroadcastRow) -> Done<()> {
    let plan = LeaseColumns::from(&row.plan);
    let sql = "UPDATE broadcast SET planned = $2, started = $3, finished = $4, failure = $5, wish = $6, rate = $7, \
               plan_state = $8, plan_epoch = $9, plan_time = $10, plan_progressed = $11, plan_strikes = $12, \
               plan_bound = $13, plan_chunk = $14, user_bound = $15, next_shard = $16, open_shards = $17, \
               counters = $18 WHERE id = $1";
    execute(
        tx,
        sql,
        &[
            &uuid(row.id),
            &row.times.planned.map(Timestamp::millis),
            &row.times.started.map(Timestamp::millis),
            &row.times.finished.map(Timestamp::millis),
            &row.failure,
            &i16::from(row.wish.code()),
            &i64::from(row.rate),
            &i16::from(plan.state),
            &int(plan.epoch),
            &plan.time.millis(),
            &plan.progressed,
            &plan.strikes.cast_signed(),
            &row.plan_bound.map(|bound| int(bound.0)),
            &row.plan_chunk.0.cast_signed(),
            &row.user_bound.map(int),
            &row.next_shard.cast_signed(),
            &row.open_shards.cast_signed(),
            &codec::encode_sums(&row.sums),
        ],
    )
    .await?;
    Ok(())
}

/// The shares of an inline plan as they stand: its sets and the leases of its pseudo-shards.
pub(super) async fn shares(on: &impl GenericClient, row: &BroadcastRow) -> Done<Shares> {
    let sql = "SELECT inline, inline_leases FROM broadcast WHERE id = $1";
    let found = query_one(on, sql, &[&uuid(row.id)]).await?;
    decode_shares(row, found.try_get(0)?, found.try_get(1)?)
}

/// The same from its two columns.
pub(super) fn decode_shares(row: &BroadcastRow, inline: Option<&[u8]>, held: Option<&[u8]>) -> Done<Shares> {
    let missing = || StoreError::Corrupt(format!("the inline plan of {} is missing", row.id));
    let mut shares = Shares::planned(inline.ok_or_else(missing)?, row.times.due, Epoch(0))?;
    if let Some(held) = held {
        leases::decode(held, &mut shares)?;
    }
    Ok(shares)
}

/// Writes the inline plan and its leases, or takes them away.
pub(super) async fn save_inline(
    tx: &Transaction<'_>,
    id: BroadcastId,
    inline: Option<&[u8]>,
    held: Option<&[u8]>,
) -> Done<()> {
    let sql = "UPDATE broadcast SET inline = $2, inline_leases = $3 WHERE id = $1";
    execute(tx, sql, &[&uuid(id), &inline, &held]).await?;
    Ok(())
}

/// A broadcast's request.
pub(super) async fn request(on: &impl GenericClient, id: BroadcastId) -> Done<BroadcastRequest> {
    let row = query_one(on, "SELECT request FROM broadcast_request WHERE broadcast = $1", &[&uuid(id)]).await?;
    Ok(decode_request(id, row.try_get(0)?)?)
}

/// The same to share among the workers of a broadcast.
pub(super) async fn shared_request(on: &impl GenericClient, id: BroadcastId) -> Done<Arc<BroadcastRequest>> {
    request(on, id).await.map(Arc::new)
}

/// The broadcast as readers get it, with those sums.
pub(super) async fn view(
    on: &impl GenericClient,
    row: BroadcastRow,
    platforms: BTreeMap<Platform, Counters>,
) -> Done<Broadcast> {
    let request = request(on, row.id).await?;
    Ok(row.view(request, platforms))
}

/// Whether the hub is there: a broadcast of a deleted one goes on waiting for its removal, and is never sent.
pub(super) async fn hub_exists(on: &impl GenericClient, hub: HubId) -> Done<bool> {
    Ok(query_opt(on, "SELECT 1 FROM hub WHERE id = $1", &[&hub.0.cast_signed()]).await?.is_some())
}

/// The columns of [`ShardRow`].
pub(super) const SHARD: &str = "SELECT broadcast, shard, platform, first_chunk, last_chunk, state, epoch, time, \
     progressed, strikes, counters, narrow_first, narrow_to, narrow_last FROM shard";
const SHARD_COLUMNS: usize = 14;

/// A row of a [`SHARD`] query.
pub(super) fn read_shard(row: &Row) -> Done<ShardRow> {
    read_shard_from(row, 0)
}

/// The columns of [`SHARD`] from that one on.
fn read_shard_from(row: &Row, first: usize) -> Done<ShardRow> {
    let seq = |column| seq_or_none(row, first + column);
    let narrowed = match (seq(11)?, seq(12)?, seq(13)?) {
        (Some(first), Some(to), Some(last)) => Some(Narrowed { first, to, last }),
        _ => None,
    };
    Ok(ShardRow {
        at: ShardRef { broadcast: id(row, first)?, shard: ShardNo(number(row, first + 1)?) },
        platform: platform(row, first + 2)?,
        first_chunk: ChunkNo(number(row, first + 3)?),
        last_chunk: ChunkNo(number(row, first + 4)?),
        lease: lease(row, first + 5)?,
        counters: codec::decode_counters(row.try_get(first + 10)?)?,
        narrowed,
    })
}

/// A shard's row, locked as by [`lock_shard`], its broadcast's, and when that was read; `None` where there is no such
/// shard. All that recording needs to know first, in one statement: it is made a thousand times for a million devices. The
/// commit will not wait for the disk.
///
/// The broadcast's row is of the statement's beginning, and so is the time: what others wished while this waited for the
/// lock is not taken for older than it is.
pub(super) async fn lock_with_broadcast(
    tx: &Transaction<'_>,
    at: ShardRef,
    clock: &Time,
) -> Done<Option<(ShardRow, BroadcastRow, Timestamp)>> {
    let sql = format!(
        "SELECT b.*, s.*, {STATEMENT_TIME}, {RELAX} FROM ({BROADCAST} FROM broadcast WHERE id = $1) b, \
         ({SHARD} WHERE broadcast = $1 AND shard = $2) s FOR NO KEY UPDATE OF s"
    );
    let found = query_opt(tx, &sql, &[&uuid(at.broadcast), &at.shard.0.cast_signed()]).await?;
    let Some(found) = found else { return Ok(None) };
    let now = clock.of(time(&found, BROADCAST_COLUMNS + SHARD_COLUMNS)?);
    Ok(Some((read_shard_from(&found, BROADCAST_COLUMNS)?, read_broadcast(&found)?, now)))
}

/// The shard's row, if there is one, locked until the end of the transaction: whoever holds this lock moves the shard's bits, and nobody else.
pub(super) async fn lock_shard(tx: &Transaction<'_>, at: ShardRef) -> Done<Option<ShardRow>> {
    let sql = format!("{SHARD} WHERE broadcast = $1 AND shard = $2 FOR NO KEY UPDATE");
    let row = query_opt(tx, &sql, &[&uuid(at.broadcast), &at.shard.0.cast_signed()]).await?;
    row.as_ref().map(read_shard).transpose()
}

/// Inserts shards, all in one statement.
pub(super) async fn insert_shards(tx: &Transaction<'_>, shards: &[ShardRow]) -> Done<()> {
    let leases: Vec<LeaseColumns> = shards.iter().map(|shard| LeaseColumns::from(&shard.lease)).collect();
    let narrowed = |seq: fn(Narrowed) -> Seq| -> Vec<Option<i64>> {
        shards.iter().map(|shard| shard.narrowed.map(|narrowed| int(seq(narrowed).0))).collect()
    };
    let sql = "INSERT INTO shard (broadcast, shard, platform, first_chunk, last_chunk, state, epoch, time, progressed, \
               strikes, counters, narrow_first, narrow_to, narrow_last) SELECT * FROM unnest($1::uuid[], $2::int4[], \
               $3::int2[], $4::int4[], $5::int4[], $6::int2[], $7::int8[], $8::int8[], $9::bool[], $10::int4[], \
               $11::bytea[], $12::int8[], $13::int8[], $14::int8[])";
    execute(
        tx,
        sql,
        &[
            &shards.iter().map(|shard| uuid(shard.at.broadcast)).collect::<Vec<_>>(),
            &shards.iter().map(|shard| shard.at.shard.0.cast_signed()).collect::<Vec<_>>(),
            &shards.iter().map(|shard| i16::from(shard.platform.code())).collect::<Vec<_>>(),
            &shards.iter().map(|shard| shard.first_chunk.0.cast_signed()).collect::<Vec<_>>(),
            &shards.iter().map(|shard| shard.last_chunk.0.cast_signed()).collect::<Vec<_>>(),
            &leases.iter().map(|lease| i16::from(lease.state)).collect::<Vec<_>>(),
            &leases.iter().map(|lease| int(lease.epoch)).collect::<Vec<_>>(),
            &leases.iter().map(|lease| lease.time.millis()).collect::<Vec<_>>(),
            &leases.iter().map(|lease| lease.progressed).collect::<Vec<_>>(),
            &leases.iter().map(|lease| lease.strikes.cast_signed()).collect::<Vec<_>>(),
            &shards.iter().map(|shard| codec::encode_counters(&shard.counters)).collect::<Vec<_>>(),
            &narrowed(|narrowed| narrowed.first),
            &narrowed(|narrowed| narrowed.to),
            &narrowed(|narrowed| narrowed.last),
        ],
    )
    .await?;
    Ok(())
}

/// Writes lease, counters and range back.
pub(super) async fn save_shard(tx: &Transaction<'_>, shard: &ShardRow) -> Done<()> {
    let lease = LeaseColumns::from(&shard.lease);
    let sql = "UPDATE shard SET state = $3, epoch = $4, time = $5, progressed = $6, strikes = $7, counters = $8, \
               narrow_first = $9, narrow_to = $10, narrow_last = $11 WHERE broadcast = $1 AND shard = $2";
    execute(
        tx,
        sql,
        &[
            &uuid(shard.at.broadcast),
            &shard.at.shard.0.cast_signed(),
            &i16::from(lease.state),
            &int(lease.epoch),
            &lease.time.millis(),
            &lease.progressed,
            &lease.strikes.cast_signed(),
            &codec::encode_counters(&shard.counters),
            &shard.narrowed.map(|narrowed| int(narrowed.first.0)),
            &shard.narrowed.map(|narrowed| int(narrowed.to.0)),
            &shard.narrowed.map(|narrowed| int(narrowed.last.0)),
        ],
    )
    .await?;
    Ok(())
}

/// The sums of broadcasts with ordinary shards: those of closed ones from their rows, the others added up.
pub(super) async fn sums(
    on: &impl GenericClient,
    rows: &[BroadcastRow],
) -> Done<BTreeMap<BroadcastId, BTreeMap<Platform, Counters>>> {
    let mut sums: BTreeMap<_, _> = rows.iter().map(|row| (row.id, row.sums.clone())).collect();
    let open: Vec<Uuid> =
        rows.iter().filter(|row| row.open_shards > 0 && !row.inline).map(|row| uuid(row.id)).collect();
    if !open.is_empty() {
        let sql = "SELECT broadcast, platform, counters FROM shard WHERE broadcast = ANY ($1) AND state < 2";
        for row in query(on, sql, &[&open]).await? {
            let counters = codec::decode_counters(row.try_get(2)?)?;
            *sums.entry(id(&row, 0)?).or_default().entry(platform(&row, 1)?).or_default() += counters;
        }
    }
    Ok(sums)
}
