//! What could be worked on: the reconciler's view of the store.

use std::time::Duration;

use uuid::Uuid;

use super::super::Parts;
use super::super::error::Done;
use super::super::pool::{query, retrying, snapshot};
use super::rows::{BROADCAST, SHARD, decode_shares, read_broadcast, read_shard, uuid};
use crate::model::id::BroadcastId;
use crate::model::time::Moment;
use crate::store::life::ready as rules;
use crate::store::life::records::BroadcastRow;
use crate::store::{ReadyWork, Work};

pub(in super::super) async fn ready(
    parts: &Parts,
    only: Option<BroadcastId>,
    horizon: Duration,
    window: usize,
) -> Done<Vec<ReadyWork>> {
    let only = only.map(uuid);
    retrying(|| look(parts, only, horizon, window)).await
}

async fn look(parts: &Parts, only: Option<Uuid>, horizon: Duration, window: usize) -> Done<Vec<ReadyWork>> {
    let mut client = parts.pool.get().await?;
    let tx = snapshot(&mut client).await?;
    let now = parts.time.now(&tx).await?;
    let (moment, until) = (Moment::of_one_clock(now), now.plus(horizon));
    let mut ready = Vec::new();
    let of_hubs = "hub IN (SELECT id FROM hub)";
    // Two texts and not one with `$ IS NULL OR`: each has a plan of its own.
    let chosen = if only.is_some() { "AND id = $1" } else { "AND $1::uuid IS NULL" };

    let plans = format!("{BROADCAST} FROM broadcast WHERE planned IS NULL AND plan_time <= $2 AND {of_hubs} {chosen}");
    for row in query(&tx, &plans, &[&only, &until.millis()]).await? {
        ready.extend(rules::plan(&read_broadcast(&row)?, moment, until));
    }

    // Those that are over have no open shards.
    let open = format!(
        "{BROADCAST}, inline, inline_leases FROM broadcast \
         WHERE finished IS NULL AND open_shards > 0 AND {of_hubs} {chosen}"
    );
    let mut ordinary = Vec::new();
    for found in query(&tx, &open, &[&only]).await? {
        let row = read_broadcast(&found)?;
        if rules::rests(&row, until) {
            continue;
        }
        if row.is_running_inline() {
            let leases = decode_shares(&row, found.try_get(25)?, found.try_get(26)?)?.leases();
            let shards = rules::inline_shards(&row, Some(&leases), moment);
            ready.extend(shards.into_iter().filter(|work| work.due <= until).take(window));
        } else {
            ordinary.push(row);
        }
    }

    // A window of each, in one statement however many there are.
    let sql = format!(
        "SELECT s.* FROM unnest($1::uuid[], $2::int8[]) AS b (id, horizon) CROSS JOIN LATERAL ({SHARD} \
         WHERE broadcast = b.id AND state < 2 AND ((state = 0 AND time <= b.horizon) OR (state = 1 AND time <= $3)) \
         ORDER BY time LIMIT $4) s"
    );
    if !ordinary.is_empty() {
        let ids: Vec<Uuid> = ordinary.iter().map(|row: &BroadcastRow| uuid(row.id)).collect();
        let horizons: Vec<i64> = ordinary.iter().map(|row| rules::horizon(row, until).millis()).collect();
        let window = i64::try_from(window).unwrap_or(i64::MAX);
        let shards = query(&tx, &sql, &[&ids, &horizons, &now.millis(), &window]).await?;
        for found in shards {
            let shard = read_shard(&found)?;
            let Some(row) = ordinary.iter().find(|row| row.id == shard.at.broadcast) else { continue };
            let due = rules::shard_due(row, &shard.lease, moment).filter(|due| *due <= until);
            ready.extend(due.map(|due| row.ready(Work::Run(shard.at, shard.platform), due)));
        }
    }
    Ok(ready)
}
