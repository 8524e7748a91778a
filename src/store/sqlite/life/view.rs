//! Broadcasts as their owners see them.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Connection, params};

use super::super::Parts;
use super::inline::{Run, of_runs};
use super::rows::{self, BROADCAST, fetch_broadcast, read_broadcast, sums};
use crate::model::broadcast::Broadcast;
use crate::model::id::{BroadcastId, HubId};
use crate::model::outcome::Counters;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::life::records::BroadcastRow;

pub(in super::super) async fn broadcast(parts: &Arc<Parts>, hub: HubId, id: BroadcastId) -> Result<Option<Broadcast>> {
    let running = of_runs(parts, Some(id), Progress::of).await;
    let read = move |connection: &Connection| match fetch_broadcast(connection, id)? {
        Some(row) if row.hub == hub => view(connection, row, &running).map(Some),
        _ => Ok(None),
    };
    parts.engine.read(read).await
}

pub(in super::super) async fn broadcasts(
    parts: &Arc<Parts>,
    hub: HubId,
    before: Option<BroadcastId>,
    limit: usize,
) -> Result<Vec<Broadcast>> {
    let running = of_runs(parts, None, Progress::of).await;
    let before = before.map_or([u8::MAX; 16], |id| *id.as_bytes());
    let read = move |connection: &Connection| {
        let mut query =
            connection.prepare_cached(&format!("{BROADCAST} WHERE hub = ? AND id < ? ORDER BY id DESC LIMIT ?"))?;
        let mut rows = query.query(params![hub.0, before, i64::try_from(limit).unwrap_or(i64::MAX)])?;
        let mut broadcasts = Vec::new();
        while let Some(row) = rows.next()? {
            broadcasts.push(view(connection, read_broadcast(row)?, &running)?);
        }
        Ok(broadcasts)
    };
    parts.engine.read(read).await
}

/// What only memory knows of an inline plan at work.
struct Progress {
    started: Option<Timestamp>,
    sums: BTreeMap<Platform, Counters>,
}

impl Progress {
    fn of(run: &Run) -> Self {
        Self { started: run.started, sums: run.shares.sums() }
    }
}

fn view(
    connection: &Connection,
    mut row: BroadcastRow,
    running: &BTreeMap<BroadcastId, Progress>,
) -> Result<Broadcast> {
    let platforms = match running.get(&row.id).filter(|_| row.is_running_inline()) {
        Some(progress) => {
            row.times.started = progress.started;
            progress.sums.clone()
        }
        None => sums(connection, &row)?,
    };
    rows::view(connection, row, platforms)
}
