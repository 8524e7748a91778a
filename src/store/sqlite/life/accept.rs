//! Acceptance: after it the broadcast is durable, and small ones that are due are planned.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::Parts;
use super::super::engine::Precedence;
use super::codec;
use super::draft::{Draft, From, ledger_of};
use super::reasons::Reasons;
use super::rows::{BroadcastRow, hub_exists};
use crate::model::broadcast::{BroadcastRequest, Milestones, Wish};
use crate::model::id::{BroadcastId, ChunkNo, HubId, ShardNo, ShardRef};
use crate::model::platform::Platform;
use crate::model::shard::Lease;
use crate::model::time::Timestamp;
use crate::store::{AcceptError, Accepted, NewBroadcast, ReadyWork, StoreError, Work};

/// How long an idempotency key is kept.
const KEY_LIFE: Duration = Duration::from_secs(86_400);

pub(in super::super) async fn accept(parts: &Arc<Parts>, new: NewBroadcast) -> Result<Accepted, AcceptError> {
    let now = parts.clock.now();
    let new = Arc::new(new);
    let due = new.request.schedule_at.filter(|at| *at > now).unwrap_or(now);
    let draft = if due > now {
        None
    } else {
        let (registry, new) = (parts.registry.clone(), new.clone());
        let small = move |connection: &Connection| {
            let from = From {
                hub: new.hub,
                audience: &new.audience,
                content: &new.request.content,
                broadcast: None,
                chunk: ChunkNo(0),
                bound: None,
            };
            Draft::evaluate(&registry, connection, from, true, now)
        };
        Some(parts.engine.read(small).await?).filter(|draft| draft.small)
    };

    let request = serde_json::to_vec(&new.request)
        .map_err(|error| StoreError::Engine(format!("the request cannot be written: {error}")))?;
    let mut row = new_row(BroadcastId::new(now.millis().unsigned_abs()), new.hub, &new.request, now, due);
    let inline = draft.map(|draft| plan_inline(&mut row, &draft, now));
    let write = move |tx: &Connection| write(tx, &new, &row, &request, inline.as_deref(), now);
    parts.engine.write(Precedence::Accept, 1, write).await?
}

fn new_row(id: BroadcastId, hub: HubId, request: &BroadcastRequest, now: Timestamp, due: Timestamp) -> BroadcastRow {
    BroadcastRow {
        id,
        hub,
        lane: request.lane,
        weight: request.weight,
        times: Milestones { accepted: now, due, expires: due.plus(request.ttl()), ..Milestones::default() },
        failure: None,
        wish: Wish::Run,
        rate: request.rate_per_second,
        plan: Lease::new(due),
        plan_bound: None,
        plan_chunk: ChunkNo(0),
        user_bound: None,
        next_shard: 0,
        open_shards: 0,
        sums: BTreeMap::new(),
        inline: false,
    }
}

/// Plans a small audience in the broadcast's own row. One with nobody in it is over at once.
pub(super) fn plan_inline(row: &mut BroadcastRow, draft: &Draft, now: Timestamp) -> Vec<u8> {
    let mut reasons = Reasons::default();
    let ledgers: Vec<_> =
        draft.platforms.iter().map(|(platform, chunks)| (*platform, ledger_of(chunks, &mut reasons, now))).collect();
    row.sums = ledgers.iter().map(|(platform, ledger)| (*platform, ledger.counters)).collect();
    // The lowest seq of a handle stays pending, so every platform here has something to send.
    row.open_shards = u32::try_from(ledgers.len()).unwrap_or(u32::MAX);
    row.plan_bound = Some(draft.bound);
    row.user_bound = draft.user_bound;
    row.inline = true;
    row.end_planning(now);
    codec::encode_inline(&reasons, ledgers.iter().map(|(platform, ledger)| (*platform, ledger)))
}

/// The pseudo-shard of an inline plan's platform.
pub(super) fn inline_shard(broadcast: BroadcastId, platform: Platform) -> ShardRef {
    ShardRef { broadcast, shard: ShardNo(u32::from(platform.code())) }
}

fn write(
    tx: &Connection,
    new: &NewBroadcast,
    row: &BroadcastRow,
    request: &[u8],
    inline: Option<&[u8]>,
    now: Timestamp,
) -> Result<Result<Accepted, AcceptError>, StoreError> {
    if !hub_exists(tx, new.hub)? {
        return Ok(Err(AcceptError::NoHub));
    }
    if let Some((key, hash)) = &new.idempotency {
        let known = tx
            .prepare_cached("SELECT broadcast, request FROM idempotency WHERE hub = ? AND key = ? AND until > ?")?
            .query_row(params![new.hub.0, key, now.millis()], |row| Ok((row.get(0)?, row.get::<_, [u8; 32]>(1)?)))
            .optional()?;
        if let Some((id, request)) = known {
            let id = BroadcastId::from_bytes(id);
            let replay = Accepted { id, replayed: true, work: Vec::new() };
            return Ok(if request == *hash { Ok(replay) } else { Err(AcceptError::KeyReused(id)) });
        }
        tx.prepare_cached("REPLACE INTO idempotency (hub, key, broadcast, request, until) VALUES (?,?,?,?,?)")?
            .execute(params![new.hub.0, key, row.id.as_bytes(), hash, now.plus(KEY_LIFE).millis()])?;
    }
    row.insert(tx, request, inline)?;
    Ok(Ok(Accepted { id: row.id, replayed: false, work: work(row) }))
}

fn work(row: &BroadcastRow) -> Vec<ReadyWork> {
    if row.times.planned.is_none() {
        return vec![row.ready(Work::Plan(row.id), row.times.due)];
    }
    let platforms = row.sums.keys().filter(|_| row.times.finished.is_none());
    platforms.map(|platform| row.ready(Work::Run(inline_shard(row.id, *platform), *platform), row.times.due)).collect()
}
