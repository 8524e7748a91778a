//! What keeps senders, and the number that tells whether hubs or senders changed.
//!
//! Its row is locked first by whatever changes either, so these changes commit in the order of their numbers: whoever
//! reads the number has seen, or will see with the next statement, everything up to it.

use deadpool_postgres::{GenericClient, Transaction};
use tokio_postgres::Row;

use super::error::Done;
use super::pool::{Durability, begin, commit, execute, query, query_one, query_opt, retrying};
use super::{Parts, StoreError};
use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::store::{Hold, HoldKind, InsteadOf, Noted, SenderRecord};

const COLUMNS: &str = "hub, platform, kind, reason, since, until, version";

pub(super) async fn revision(parts: &Parts) -> Done<u64> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        number(&query_one(&client, "SELECT number FROM hubs_revision", &[]).await?)
    })
    .await
}

/// Counts a change, before it is made: changes wait for each other here.
pub(super) async fn changes(tx: &Transaction<'_>) -> Done<u64> {
    let sql = "UPDATE hubs_revision SET number = number + 1 RETURNING number";
    number(&query_one(tx, sql, &[]).await?)
}

fn number(row: &Row) -> Done<u64> {
    let number: i64 = row.try_get(0)?;
    Ok(number.unsigned_abs())
}

pub(super) async fn all(parts: &Parts) -> Done<Vec<SenderRecord>> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        let sql = format!("SELECT {COLUMNS} FROM sender ORDER BY hub, platform");
        query(&client, &sql, &[]).await?.iter().map(record).collect()
    })
    .await
}

async fn one(on: &impl GenericClient, hub: HubId, platform: Platform) -> Done<Option<SenderRecord>> {
    let sql = format!("SELECT {COLUMNS} FROM sender WHERE hub = $1 AND platform = $2");
    let row = query_opt(on, &sql, &[&hub.0.cast_signed(), &i16::from(platform.code())]).await?;
    row.as_ref().map(record).transpose()
}

fn record(row: &Row) -> Done<SenderRecord> {
    let corrupt = |what: &str| StoreError::Corrupt(format!("a sender has an unknown {what}"));
    let code = |column: usize| -> Done<u8> {
        let code: i16 = row.try_get(column)?;
        Ok(u8::try_from(code).unwrap_or(u8::MAX))
    };
    let (hub, since, until, version): (i32, i64, i64, i64) =
        (row.try_get(0)?, row.try_get(4)?, row.try_get(5)?, row.try_get(6)?);
    let hold = Hold {
        kind: HoldKind::from_code(code(2)?).ok_or_else(|| corrupt("kind"))?,
        reason: Reason::foreign(row.try_get(3)?),
        since: Timestamp::from_millis(since),
        until: Timestamp::from_millis(until),
    };
    let platform = Platform::from_code(code(1)?).ok_or_else(|| corrupt("platform"))?;
    Ok(SenderRecord { hub: HubId(hub.cast_unsigned()), platform, hold, version: version.unsigned_abs() })
}

pub(super) async fn hold(
    parts: &Parts,
    hub: HubId,
    platform: Platform,
    hold: &Hold,
    instead_of: InsteadOf,
) -> Done<Noted> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Relaxed).await?;
        let version = changes(&tx).await?;
        let id = hub.0.cast_signed();
        if query_opt(&tx, "SELECT 1 FROM hub WHERE id = $1", &[&id]).await?.is_none() {
            return Err(StoreError::NoHub.into());
        }
        let stands = one(&tx, hub, platform).await?;
        if !instead_of.allows(stands.as_ref(), hold) {
            return Ok(Noted { stands, written: false });
        }
        let sql = "INSERT INTO sender (hub, platform, kind, reason, since, until, version) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (hub, platform) DO UPDATE SET kind = excluded.kind, \
                   reason = excluded.reason, since = excluded.since, until = excluded.until, version = excluded.version";
        let (platform_code, kind) = (i16::from(platform.code()), i16::from(hold.kind.code()));
        let (since, until, number) = (hold.since.millis(), hold.until.millis(), version.cast_signed());
        execute(&tx, sql, &[&id, &platform_code, &kind, &hold.reason.as_str(), &since, &until, &number]).await?;
        commit(tx).await?;
        Ok(Noted { stands: Some(SenderRecord { hub, platform, hold: hold.clone(), version }), written: true })
    })
    .await
}

pub(super) async fn release(
    parts: &Parts,
    hub: HubId,
    platform: Platform,
    only: Option<u64>,
) -> Done<Option<SenderRecord>> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        changes(&tx).await?;
        let stands = one(&tx, hub, platform).await?.filter(|record| only.is_none_or(|only| record.version == only));
        if stands.is_some() {
            forget(&tx, hub, &[platform]).await?;
            commit(tx).await?;
        }
        Ok(stands)
    })
    .await
}

/// Ends the holds of these senders.
pub(super) async fn forget(tx: &Transaction<'_>, hub: HubId, platforms: &[Platform]) -> Done<()> {
    let codes: Vec<i16> = platforms.iter().map(|platform| i16::from(platform.code())).collect();
    execute(tx, "DELETE FROM sender WHERE hub = $1 AND platform = ANY ($2)", &[&hub.0.cast_signed(), &codes]).await?;
    Ok(())
}
