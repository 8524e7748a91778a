//! Reads what a run of the rules needs: one statement for each way to find rows, whatever their number.

use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::super::error::Done;
use super::super::pool::query;
use super::base::{Base, Installation, Needs, OF_A_CHANNEL, Target};
use super::{Shared, unfolded};
use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::time::Timestamp;
use crate::store::StoreError;
use crate::store::index::Touch;
use crate::store::registration::{InstallationRow, decode_seqs, keys_of};

/// Columns of an installation, in the order of [`installation`].
pub(super) const INSTALLATION: &str =
    "no, document, expires, confirmed, updated, channel_dead, seqs, id_hash, user_hash";
const TARGET: &str = "key, installation, class, platform, name, channel, channel_hash, expires, confirmed, user_mark";

/// Tells `base` what is needed. The statements are sent one behind the other, without waiting for each.
pub(super) async fn load(
    tx: &Transaction<'_>,
    registry: &Shared,
    hub: HubId,
    base: &mut Base,
    needs: Needs,
) -> Done<()> {
    let (from, below) = keys_of(hub);
    let by_hash: Vec<i64> = needs.id_hashes.iter().copied().collect();
    let by_no: Vec<i64> = needs.installations.iter().copied().collect();
    let by_key: Vec<i64> = needs.targets.iter().copied().collect();
    let some: Vec<i64> = needs.channels.iter().copied().collect();
    let all: Vec<i64> = needs.whole_channels.iter().copied().collect();
    let (installations_by_hash, installations_by_no, targets_by_key, of_channels, whole_channels) = (
        format!("SELECT {INSTALLATION} FROM installation WHERE id_hash = ANY ($1) AND no >= $2 AND no < $3"),
        format!("SELECT {INSTALLATION} FROM installation WHERE no = ANY ($1)"),
        format!("SELECT {TARGET} FROM target WHERE key = ANY ($1) AND gone_why IS NULL"),
        format!(
            "SELECT t.* FROM unnest($1::bigint[]) AS wanted (hash) CROSS JOIN LATERAL (SELECT {TARGET} FROM target \
             WHERE channel_hash = wanted.hash AND gone_why IS NULL AND key >= $2 AND key < $3 LIMIT $4) AS t"
        ),
        format!(
            "SELECT {TARGET} FROM target WHERE channel_hash = ANY ($1) AND gone_why IS NULL AND key >= $2 AND key < $3"
        ),
    );
    let found = futures_util::try_join!(
        when(!by_hash.is_empty(), async { query(tx, &installations_by_hash, &[&by_hash, &from, &below]).await }),
        when(!by_no.is_empty(), async { query(tx, &installations_by_no, &[&by_no]).await }),
        when(!by_key.is_empty(), async { query(tx, &targets_by_key, &[&by_key]).await }),
        when(!some.is_empty(), async { query(tx, &of_channels, &[&some, &from, &below, &OF_A_CHANNEL]).await }),
        when(!all.is_empty(), async { query(tx, &whole_channels, &[&all, &from, &below]).await }),
    )?;
    for row in found.0.iter().chain(&found.1) {
        base.add_installation(installation(row)?);
    }
    for row in found.2.iter().chain(&found.3).chain(&found.4) {
        base.add_target(row.try_get(0)?, target(row)?);
    }
    if needs.touches {
        base.set_touches(unfolded::newest_touches(tx, registry, hub).await?);
    }
    base.told(needs);
    Ok(())
}

async fn when(wanted: bool, rows: impl Future<Output = Done<Vec<Row>>>) -> Done<Vec<Row>> {
    if wanted { rows.await } else { Ok(Vec::new()) }
}

/// Reads columns [`INSTALLATION`].
pub(super) fn installation(row: &Row) -> Done<Installation> {
    Ok(Installation { row: installation_row(row)?, id_hash: row.try_get(7)?, user_hash: row.try_get(8)? })
}

fn installation_row(row: &Row) -> Done<InstallationRow> {
    let updated: i64 = row.try_get(4)?;
    Ok(InstallationRow {
        no: row.try_get(0)?,
        document: row.try_get(1)?,
        times: times(row, 2)?,
        updated: Timestamp::from_millis(updated),
        channel_dead: row.try_get(5)?,
        seqs: decode_seqs(row.try_get(6)?),
    })
}

/// Reads the expiry in that column and the confirmation in the next.
fn times(row: &Row, column: usize) -> Done<Touch> {
    let expires: Option<i64> = row.try_get(column)?;
    let confirmed: i64 = row.try_get(column + 1)?;
    Ok(Touch { expires: expires.map(Timestamp::from_millis), confirmed: Timestamp::from_millis(confirmed) })
}

fn target(row: &Row) -> Done<Target> {
    let key: i64 = row.try_get(0)?;
    let broken = || StoreError::Corrupt(format!("target {key}"));
    let code = |column: usize| -> Done<u8> {
        let code: i16 = row.try_get(column)?;
        Ok(u8::try_from(code).map_err(|_| broken())?)
    };
    let user_mark: i64 = row.try_get(9)?;
    Ok(Target {
        installation: row.try_get(1)?,
        class: TargetClass::from_code(code(2)?).ok_or_else(broken)?,
        platform: Platform::from_code(code(3)?).ok_or_else(broken)?,
        name: row.try_get(4)?,
        channel: row.try_get(5)?,
        channel_hash: row.try_get(6)?,
        times: times(row, 7)?,
        user_mark: user_mark.cast_unsigned(),
        template: None,
    })
}
