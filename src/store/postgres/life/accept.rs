//! Acceptance: after it the broadcast is durable, and small ones that are due are planned.

use super::super::Parts;
use super::super::error::{Done, Fault, FaultKind};
use super::super::pool::{Durability, begin, commit, query_opt, retrying};
use super::plan::small;
use super::rows::{hub_exists, insert_broadcast, uuid};
use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;
use crate::store::life::plan::{Draft, KEY_LIFE, first_work, plan_inline};
use crate::store::life::records::{BroadcastRow, encode_request};
use crate::store::{AcceptError, Accepted, NewBroadcast};

/// Looks after a commit whose answer was lost.
const LOOKS: u32 = 3;

pub(in super::super) async fn accept(parts: &Parts, new: NewBroadcast) -> Done<Result<Accepted, AcceptError>> {
    let now = parts.time.now(&parts.pool.get().await?).await?;
    let due = new.request.schedule_at.filter(|at| *at > now).unwrap_or(now);
    let draft = if due > now { None } else { Some(small(parts, &new, now).await?).filter(|draft| draft.small) };
    accept_drafted(parts, &new, draft.as_ref(), now, due).await
}

/// Accepts a broadcast whose audience was looked at.
pub(super) async fn accept_drafted(
    parts: &Parts,
    new: &NewBroadcast,
    draft: Option<&Draft>,
    now: Timestamp,
    due: Timestamp,
) -> Done<Result<Accepted, AcceptError>> {
    let request = encode_request(&new.request)?;
    let id = BroadcastId::new(now.millis().unsigned_abs());
    let mut row = BroadcastRow::accepted(id, new.hub, &new.request, now, due);
    let inline = draft.map(|draft| plan_inline(&mut row, draft, now));
    parts.life.partitions.ensure(parts, id).await?;

    let mut looks = 0;
    loop {
        let written = retrying(|| write(parts, new, &row, &request, inline.as_deref(), now)).await;
        let Err(fault) = written else { return written };
        // Whether it stands is not known, or it was known not to and did after all: the same id is not written twice.
        if fault.kind != FaultKind::InDoubt && looks == 0 {
            return Err(fault);
        }
        if looks == LOOKS {
            return Err(fault);
        }
        looks += 1;
        if retrying(|| stands(parts, id)).await? {
            return Ok(Ok(accepted(&row)));
        }
    }
}

fn accepted(row: &BroadcastRow) -> Accepted {
    Accepted { id: row.id, replayed: false, work: first_work(row) }
}

async fn stands(parts: &Parts, id: BroadcastId) -> Done<bool> {
    let client = parts.pool.get().await?;
    Ok(query_opt(&client, "SELECT 1 FROM broadcast WHERE id = $1", &[&uuid(id)]).await?.is_some())
}

async fn write(
    parts: &Parts,
    new: &NewBroadcast,
    row: &BroadcastRow,
    request: &[u8],
    inline: Option<&[u8]>,
    now: Timestamp,
) -> Done<Result<Accepted, AcceptError>> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Synced).await?;
    if !hub_exists(&tx, new.hub).await? {
        return Ok(Err(AcceptError::NoHub));
    }
    if let Some((key, hash)) = &new.idempotency {
        let hub = new.hub.0.cast_signed();
        // Whoever writes the same key at the same moment is waited for.
        let sql = "INSERT INTO idempotency AS i (hub, key, broadcast, request, until) VALUES ($1, $2, $3, $4, $5) \
                   ON CONFLICT (hub, key) DO UPDATE SET broadcast = excluded.broadcast, request = excluded.request, \
                   until = excluded.until WHERE i.until <= $6 RETURNING 1";
        let until = now.plus(KEY_LIFE).millis();
        let bind: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&hub, key, &uuid(row.id), &hash.as_slice(), &until, &now.millis()];
        if query_opt(&tx, sql, &bind).await?.is_none() {
            let sql = "SELECT broadcast, request FROM idempotency WHERE hub = $1 AND key = $2";
            let Some(known) = query_opt(&tx, sql, &[&hub, key]).await? else {
                // Swept between the two statements.
                let swept = crate::store::StoreError::Unavailable("an idempotency key went just now".to_owned());
                return Err(Fault { error: swept, kind: FaultKind::Conflict });
            };
            let id = super::rows::id(&known, 0)?;
            if id == row.id {
                // An earlier attempt of ours stands.
                return Ok(Ok(accepted(row)));
            }
            let same = known.try_get::<_, &[u8]>(1)? == hash.as_slice();
            let replay = Accepted { id, replayed: true, work: Vec::new() };
            return Ok(if same { Ok(replay) } else { Err(AcceptError::KeyReused(id)) });
        }
    }
    insert_broadcast(&tx, row, request, inline).await?;
    commit(tx).await?;
    Ok(Ok(accepted(row)))
}
