//! Removal of targets whose push service says that their channel is dead, inside a transaction of the caller's.

use deadpool_postgres::Transaction;

use super::super::error::Done;
use super::super::{Parts, StoreError};
use super::base::Needs;
use super::transaction;
use super::working_set::WorkingSet;
use crate::model::id::{HubId, Seq};
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::registration::{self, HubCommit, Removal, key};

/// Judges removals, each with the time since when its channel is dead ([`registration::drop_dead`]); answers one for
/// each, in their order. Takes the hub's turn until the transaction's end, so whatever else the caller locks it must have
/// locked before. A deleted hub has no targets.
pub(in super::super) async fn drop_dead(
    parts: &Parts,
    tx: &Transaction<'_>,
    hub: HubId,
    dead: &[(Seq, Timestamp)],
    now: Timestamp,
) -> Done<Vec<Removal>> {
    if dead.is_empty() {
        return Ok(Vec::new());
    }
    let turn = match transaction::turn(tx, &parts.time, hub).await {
        Err(fault) if matches!(fault.error, StoreError::NoHub) => return Ok(vec![Removal::Gone; dead.len()]),
        turn => turn?,
    };
    let needs =
        Needs { targets: dead.iter().map(|(seq, _)| key(hub, *seq)).collect(), touches: true, ..Needs::default() };
    let rules = |set: &mut WorkingSet<'_>, commit: &mut HubCommit, _| -> Result<Vec<Removal>> {
        dead.iter().map(|(seq, since)| registration::drop_dead(set, commit, *seq, *since, now)).collect()
    };
    // What it wrote is not kept decoded: the caller's transaction may yet be undone.
    let (removals, _) = Box::pin(transaction::run(tx, &parts.registry, &turn, needs, rules)).await?;
    Ok(removals)
}
