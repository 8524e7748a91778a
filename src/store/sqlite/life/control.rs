//! What owners want of a broadcast while it lives. A wish is written down here and carried out by whoever holds or takes
//! the broadcast's plan and shards.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::Connection;

use super::super::Parts;
use super::super::engine::Precedence;
use super::rows::{fetch_broadcast, save_broadcast};
use super::view;
use crate::model::broadcast::{Broadcast, Wish};
use crate::model::id::{BroadcastId, HubId};
use crate::model::time::Timestamp;
use crate::store::life::records::BroadcastRow;
use crate::store::{ControlError, Result, Standing};

pub(in super::super) async fn wish(
    parts: &Arc<Parts>,
    hub: HubId,
    id: BroadcastId,
    wish: Wish,
) -> Result<Broadcast, ControlError> {
    let apply = move |row: &mut BroadcastRow, now: Timestamp| {
        if row.wish_for(wish, now) { Ok(()) } else { Err(ControlError::Over) }
    };
    change(parts, hub, id, apply).await
}

pub(in super::super) async fn set_rate(
    parts: &Arc<Parts>,
    hub: HubId,
    id: BroadcastId,
    per_second: u32,
) -> Result<Broadcast, ControlError> {
    let apply = move |row: &mut BroadcastRow, _: Timestamp| {
        row.rate = per_second;
        Ok(())
    };
    change(parts, hub, id, apply).await
}

async fn change(
    parts: &Arc<Parts>,
    hub: HubId,
    id: BroadcastId,
    apply: impl Fn(&mut BroadcastRow, Timestamp) -> Result<(), ControlError> + Send + 'static,
) -> Result<Broadcast, ControlError> {
    let clock = parts.clock.clone();
    let write = move |tx: &Connection| {
        let Some(mut row) = fetch_broadcast(tx, id)?.filter(|row| row.hub == hub) else {
            return Ok(Err(ControlError::NotFound));
        };
        if row.times.finished.is_some() {
            return Ok(Err(ControlError::Over));
        }
        if let Err(refused) = apply(&mut row, clock.now()) {
            return Ok(Err(refused));
        }
        save_broadcast(tx, &row)?;
        Ok(Ok(()))
    };
    // A wish is a promise to somebody outside, as acceptance is.
    parts.engine.write(Precedence::Accept, 1, write).await??;
    view::broadcast(parts, hub, id).await?.ok_or(ControlError::NotFound)
}

pub(in super::super) async fn standings(
    parts: &Arc<Parts>,
    ids: &[BroadcastId],
) -> Result<BTreeMap<BroadcastId, Standing>> {
    let (ids, now) = (ids.to_vec(), parts.clock.now());
    let read = move |connection: &Connection| {
        let mut standings = BTreeMap::new();
        for id in ids {
            if let Some(row) = fetch_broadcast(connection, id)?.filter(|row| row.times.finished.is_none()) {
                standings.insert(id, row.standing(now));
            }
        }
        Ok(standings)
    };
    parts.engine.read(read).await
}
