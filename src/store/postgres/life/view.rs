//! Broadcasts as their owners see them.

use deadpool_postgres::GenericClient;
use uuid::Uuid;

use super::super::Parts;
use super::super::error::Done;
use super::super::pool::{query, retrying, snapshot};
use super::rows::{BROADCAST, fetch_broadcast, read_broadcast, sums, uuid, view};
use crate::model::broadcast::Broadcast;
use crate::model::id::{BroadcastId, HubId};
use crate::store::life::records::BroadcastRow;

pub(in super::super) async fn broadcast(parts: &Parts, hub: HubId, id: BroadcastId) -> Done<Option<Broadcast>> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = snapshot(&mut client).await?;
        let Some(row) = fetch_broadcast(&tx, id).await?.filter(|row| row.hub == hub) else { return Ok(None) };
        Ok(views(&tx, vec![row]).await?.pop())
    })
    .await
}

pub(in super::super) async fn broadcasts(
    parts: &Parts,
    hub: HubId,
    before: Option<BroadcastId>,
    limit: usize,
) -> Done<Vec<Broadcast>> {
    let before = before.map_or(Uuid::max(), uuid);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = snapshot(&mut client).await?;
        let sql = format!("{BROADCAST} FROM broadcast WHERE hub = $1 AND id < $2 ORDER BY id DESC LIMIT $3");
        let rows = query(&tx, &sql, &[&hub.0.cast_signed(), &before, &limit]).await?;
        let rows = rows.iter().map(read_broadcast).collect::<Done<Vec<_>>>()?;
        views(&tx, rows).await
    })
    .await
}

/// The counters of an inline plan at work are in its row, as those of one that is over.
async fn views(on: &impl GenericClient, rows: Vec<BroadcastRow>) -> Done<Vec<Broadcast>> {
    let mut sums = sums(on, &rows).await?;
    let mut views = Vec::with_capacity(rows.len());
    for row in rows {
        let platforms = sums.remove(&row.id).unwrap_or_default();
        views.push(view(on, row, platforms).await?);
    }
    Ok(views)
}
