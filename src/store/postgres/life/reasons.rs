//! The texts of a broadcast's reasons.
//!
//! New ones are numbered under the lock of the broadcast's row, so that two nodes never give one number twice; a number
//! once given stays, so that reading needs no lock.

use deadpool_postgres::{GenericClient, Transaction};

use super::super::error::Done;
use super::super::pool::{execute, query};
use super::rows::uuid;
use crate::model::id::BroadcastId;
use crate::store::life::reasons::Reasons;

/// Those that the table holds.
pub(super) async fn load(on: &impl GenericClient, id: BroadcastId) -> Done<Reasons> {
    let rows = query(on, "SELECT text FROM reason WHERE broadcast = $1 ORDER BY number", &[&uuid(id)]).await?;
    let texts = rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Done<Vec<String>>>()?;
    Ok(Reasons::stored(texts))
}

/// Writes those that the table does not hold yet. The broadcast's row is locked when there are any.
pub(super) async fn save(tx: &Transaction<'_>, id: BroadcastId, reasons: &Reasons) -> Done<()> {
    let (numbers, texts): (Vec<i16>, Vec<&str>) =
        reasons.unsaved().map(|(number, text)| (i16::from(number), text)).unzip();
    if !numbers.is_empty() {
        let sql = "INSERT INTO reason (broadcast, number, text) \
                   SELECT $1, n.number, n.text FROM unnest($2::int2[], $3::text[]) AS n (number, text)";
        execute(tx, sql, &[&uuid(id), &numbers, &texts]).await?;
    }
    Ok(())
}
