//! The ledger checked against itself: targeted = all targets in the sets (design.md 3.3).

use std::collections::BTreeMap;

use deadpool_postgres::GenericClient;

use super::super::Parts;
use super::super::error::Done;
use super::super::pool::{query, retrying, snapshot};
use super::rows::{BROADCAST, decode_shares, number, read_broadcast, sums, time, uuid};
use crate::model::id::HubId;
use crate::store::life::codec;
use crate::store::life::conservation::{LOOK_BACK, MOST_FINISHED, difference};
use crate::store::life::records::BroadcastRow;

/// Counts every unfinished broadcast and those that ended within the last hour (at most [`MOST_FINISHED`] of each form).
/// Every hub with such a broadcast has an entry. All of it is one state of the database, in which nothing moves.
pub(in super::super) async fn conservation(parts: &Parts) -> Done<BTreeMap<HubId, u64>> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = snapshot(&mut client).await?;
        let look_back = i64::try_from(LOOK_BACK.as_millis()).unwrap_or(i64::MAX);
        let since = parts.time.now(&tx).await?.millis() - look_back;
        let mut differences = BTreeMap::new();
        let mut ordinary = Vec::new();
        for conditions in [
            "finished IS NULL AND $1::int8 IS NOT NULL AND $2::int8 IS NOT NULL",
            "finished > $1 AND inline IS NOT NULL ORDER BY finished DESC LIMIT $2",
            "finished > $1 AND inline IS NULL ORDER BY finished DESC LIMIT $2",
        ] {
            let sql = format!("{BROADCAST}, inline FROM broadcast WHERE {conditions}");
            for found in query(&tx, &sql, &[&since, &MOST_FINISHED]).await? {
                let row = read_broadcast(&found)?;
                if row.inline {
                    let shares = decode_shares(&row, found.try_get(25)?, None)?;
                    let apart = shares.platforms.values().map(|share| difference(&share.ledger)).sum::<u64>();
                    *differences.entry(row.hub).or_default() += apart;
                } else {
                    ordinary.push(row);
                }
            }
        }
        let mut sums = sums(&tx, &ordinary).await?;
        for row in &ordinary {
            let sums = sums.remove(&row.id).unwrap_or_default();
            let targeted: u64 = sums.values().map(|counters| counters.targeted).sum();
            *differences.entry(row.hub).or_default() += targeted.abs_diff(in_rows(&tx, row).await?);
        }
        Ok(differences)
    })
    .await
}

async fn in_rows(on: &impl GenericClient, row: &BroadcastRow) -> Done<u64> {
    let sql = "SELECT place, detail, due, at, seqs FROM outcome_chunk WHERE broadcast = $1";
    let mut sum = 0;
    for row in query(on, sql, &[&uuid(row.id)]).await? {
        let place = codec::place_of(number(&row, 0)?, number(&row, 1)?, row.try_get(2)?)?;
        let cell = codec::decode_cell(place, time(&row, 3)?, row.try_get(4)?, None)?;
        sum += u64::from(cell.set.len());
    }
    Ok(sum)
}
