//! The tables about broadcasts lie in partitions, one for each day of acceptance (UTC): what is over for good goes by
//! dropping a table, which costs the same whatever it holds.
//!
//! A partition is made before the first accept of its day, by whichever node comes first. It is made apart and attached:
//! that takes no lock that a reader or writer of the other days would wait for. One is dropped when its broadcasts have
//! all been removed; by then retention has seen every one of them finished and past its time.

use std::collections::HashSet;

use deadpool_postgres::Transaction;
use parking_lot::Mutex;
use uuid::Uuid;

use super::super::Parts;
use super::super::error::{Done, Fault, FaultKind};
use super::super::pool::{Durability, begin, commit, query, retrying};
use crate::model::id::BroadcastId;
use crate::model::time::Timestamp;

/// The partitioned tables and how their rows lie: those that are written again and again find room for their next version
/// beside them, and a set of 2 KB stays in its row.
const TABLES: [(&str, &str); 5] = [
    ("broadcast", "fillfactor = 50"),
    ("broadcast_request", "fillfactor = 100"),
    ("shard", "fillfactor = 50"),
    ("outcome_chunk", "fillfactor = 50, toast_tuple_target = 4096"),
    ("reason", "fillfactor = 100"),
];

/// The lock on making and dropping partitions.
const LOCK: i64 = 0x7061_7274_6974;

const DAY_MS: i64 = 86_400_000;

/// A day of acceptance, counted from 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(i64);

impl Day {
    /// The day that a broadcast was accepted on: its id begins with the milliseconds (RFC 9562 section 5.7).
    pub(super) fn of(id: BroadcastId) -> Self {
        let mut millis = [0; 8];
        millis[2..].copy_from_slice(&id.as_bytes()[..6]);
        Self(i64::from_be_bytes(millis).div_euclid(DAY_MS))
    }

    /// The day of a time.
    pub(super) fn at(time: Timestamp) -> Self {
        Self(time.millis().div_euclid(DAY_MS))
    }

    /// The first id that its broadcasts can have.
    fn first_id(self) -> Uuid {
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&(self.0 * DAY_MS).to_be_bytes()[2..]);
        Uuid::from_bytes(bytes)
    }

    fn partition(self, table: &str) -> String {
        format!("{table}_d{}", self.0)
    }
}

/// The days whose partitions this process knows to be there.
#[derive(Debug, Default)]
pub(super) struct Partitions {
    known: Mutex<HashSet<Day>>,
}

impl Partitions {
    /// Makes the partitions of a broadcast's day unless they are there.
    pub(super) async fn ensure(&self, parts: &Parts, id: BroadcastId) -> Done<()> {
        let day = Day::of(id);
        if self.known.lock().contains(&day) {
            return Ok(());
        }
        retrying(|| make(parts, day)).await?;
        self.known.lock().insert(day);
        Ok(())
    }

    /// Drops one day's partitions when that day is over and nothing in it is kept. Answers whether another may follow.
    pub(super) async fn drop_one(&self, parts: &Parts, now: Timestamp) -> Done<bool> {
        let dropped = match retrying(|| drop_oldest(parts, now)).await {
            Err(fault) if fault.kind == FaultKind::Final => {
                // Somebody reads it just now; the next sweep comes by.
                tracing::debug!(error = %fault.error, "a partition cannot be dropped yet");
                None
            }
            dropped => dropped?,
        };
        if let Some(day) = dropped {
            self.known.lock().remove(&day);
        }
        Ok(dropped.is_some())
    }
}

async fn make(parts: &Parts, day: Day) -> Done<()> {
    let mut client = parts.pool.get().await?;
    let tx = begin(&mut client, Durability::Synced).await?;
    tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
    for (table, options) in TABLES {
        let partition = day.partition(table);
        if !exists(&tx, &partition).await? {
            let (from, below) = (day.first_id(), Day(day.0 + 1).first_id());
            tx.batch_execute(&format!(
                "CREATE TABLE {partition} (LIKE {table} INCLUDING ALL) WITH ({options}); \
                 ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ('{from}') TO ('{below}')"
            ))
            .await?;
        }
    }
    commit(tx).await
}

async fn exists(tx: &Transaction<'_>, table: &str) -> Done<bool> {
    let rows = query(tx, "SELECT to_regclass($1::text) IS NOT NULL", &[&table]).await?;
    rows.first().map_or(Ok(false), |row| Ok(row.try_get(0)?))
}

async fn drop_oldest(parts: &Parts, now: Timestamp) -> Done<Option<Day>> {
    let mut client = parts.pool.get().await?;
    let days = "SELECT substring(c.relname FROM 'broadcast_d(-?[0-9]+)$')::bigint FROM pg_inherits i \
                JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'broadcast'::regclass ORDER BY 1";
    for row in query(&client, days, &[]).await? {
        let Some(day) = row.try_get::<_, Option<i64>>(0)?.map(Day) else { continue };
        // The day before this one may still be written by a node whose clock is behind.
        if day.0 + 1 >= Day::at(now).0 {
            return Ok(None);
        }
        let tx = begin(&mut client, Durability::Relaxed).await?;
        // Nobody's read is to wait behind us.
        tx.batch_execute("SET LOCAL lock_timeout = '200ms'").await?;
        tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        let kept = format!("SELECT 1 FROM {} LIMIT 1", day.partition("broadcast"));
        if !tx.query(kept.as_str(), &[]).await?.is_empty() {
            continue;
        }
        for (table, _) in TABLES {
            tx.batch_execute(&format!("DROP TABLE IF EXISTS {}", day.partition(table))).await?;
        }
        commit(tx).await.map_err(|fault| Fault { kind: FaultKind::Final, ..fault })?;
        return Ok(Some(day));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_days_ids_lie_between_its_first_and_the_next_days() {
        for millis in [0, 1, DAY_MS - 1, DAY_MS, 1_769_941_800_000] {
            let id = BroadcastId::new(u64::try_from(millis).unwrap());
            let day = Day::of(id);
            assert_eq!(day, Day::at(Timestamp::from_millis(millis)));
            let id = Uuid::from_bytes(*id.as_bytes());
            assert!(day.first_id() <= id && id < Day(day.0 + 1).first_id());
        }
    }
}
