//! Acceptance: after it the broadcast is durable, and small ones that are due are planned.

use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension, params};

use super::super::Parts;
use super::super::engine::Precedence;
use super::super::registry::Snapshot;
use super::rows::{hub_exists, insert_broadcast};
use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;
use crate::store::life::draft::{self, From};
use crate::store::life::plan::{KEY_LIFE, first_work, plan_inline};
use crate::store::life::records::{BroadcastRow, encode_request};
use crate::store::{AcceptError, Accepted, NewBroadcast, StoreError};

pub(in super::super) async fn accept(parts: &Arc<Parts>, new: NewBroadcast) -> Result<Accepted, AcceptError> {
    let now = parts.clock.now();
    let new = Arc::new(new);
    let due = new.request.schedule_at.filter(|at| *at > now).unwrap_or(now);
    let draft = if due > now {
        None
    } else {
        let (registry, new) = (parts.registry.clone(), new.clone());
        let small = move |connection: &Connection| {
            let view = Snapshot::open(&registry, connection, new.hub, now)?;
            draft::small(&view, From::first(&new))
        };
        Some(parts.engine.read(small).await?).filter(|draft| draft.small)
    };

    let request = encode_request(&new.request)?;
    let id = BroadcastId::new(now.millis().unsigned_abs());
    let mut row = BroadcastRow::accepted(id, new.hub, &new.request, now, due);
    let inline = draft.map(|draft| plan_inline(&mut row, &draft, now));
    let write = move |tx: &Connection| write(tx, &new, &row, &request, inline.as_deref(), now);
    parts.engine.write(Precedence::Accept, 1, write).await?
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
    insert_broadcast(tx, row, request, inline)?;
    Ok(Ok(Accepted { id: row.id, replayed: false, work: first_work(row) }))
}
