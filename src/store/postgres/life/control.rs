//! What owners want of a broadcast while it lives. A wish is written down here and carried out by whoever holds or takes
//! the broadcast's plan and shards.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::super::Parts;
use super::super::error::Done;
use super::super::pool::{Durability, begin, commit, query, retrying};
use super::rows::{BROADCAST, lock_broadcast, read_broadcast, save_broadcast, uuid};
use super::view;
use crate::model::broadcast::{Broadcast, Wish};
use crate::model::id::{BroadcastId, HubId};
use crate::model::time::Timestamp;
use crate::store::life::records::BroadcastRow;
use crate::store::{ControlError, Standing};

pub(in super::super) async fn wish(
    parts: &Parts,
    hub: HubId,
    id: BroadcastId,
    wish: Wish,
) -> Done<Result<Broadcast, ControlError>> {
    change(parts, hub, id, |row, now| row.wish_for(wish, now)).await
}

pub(in super::super) async fn set_rate(
    parts: &Parts,
    hub: HubId,
    id: BroadcastId,
    per_second: u32,
) -> Done<Result<Broadcast, ControlError>> {
    let apply = |row: &mut BroadcastRow, _: Timestamp| {
        row.rate = per_second;
        true
    };
    change(parts, hub, id, apply).await
}

/// Applies a change that may come too late. A wish is a promise to somebody outside, as acceptance is.
async fn change(
    parts: &Parts,
    hub: HubId,
    id: BroadcastId,
    apply: impl Fn(&mut BroadcastRow, Timestamp) -> bool,
) -> Done<Result<Broadcast, ControlError>> {
    let changed = retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        let Some(mut row) = lock_broadcast(&tx, id).await?.filter(|row| row.hub == hub) else {
            return Ok(Err(ControlError::NotFound));
        };
        let now = parts.time.now(&tx).await?;
        if row.times.finished.is_some() || !apply(&mut row, now) {
            return Ok(Err(ControlError::Over));
        }
        save_broadcast(&tx, &row).await?;
        commit(tx).await?;
        Ok(Ok(()))
    })
    .await?;
    if let Err(refused) = changed {
        return Ok(Err(refused));
    }
    Ok(view::broadcast(parts, hub, id).await?.ok_or(ControlError::NotFound))
}

pub(in super::super) async fn standings(parts: &Parts, ids: &[BroadcastId]) -> Done<BTreeMap<BroadcastId, Standing>> {
    let ids: Vec<Uuid> = ids.iter().copied().map(uuid).collect();
    retrying(|| async {
        let client = parts.pool.get().await?;
        let sql = format!("{BROADCAST} FROM broadcast WHERE id = ANY ($1) AND finished IS NULL");
        let bind: [&(dyn tokio_postgres::types::ToSql + Sync); 1] = [&ids];
        let (rows, now) = tokio::try_join!(query(&client, &sql, &bind), parts.time.now(&client))?;
        let rows = rows.iter().map(read_broadcast);
        rows.map(|row| row.map(|row| (row.id, row.standing(now)))).collect()
    })
    .await
}
