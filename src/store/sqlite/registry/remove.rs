//! Removal of targets whose push service says that their channel is dead, inside the writer's transaction.

use rusqlite::Connection;

use super::super::{Result, StoreError};
use super::Shared;
use super::rows::TxRows;
use crate::model::id::{HubId, Seq};
use crate::model::time::Timestamp;
use crate::store::registration::{self, Removal};

/// Judges one removal ([`registration::drop_dead`]). A deleted hub has no targets.
pub(in crate::store::sqlite) fn drop_dead(
    tx: &Connection,
    registry: &Shared,
    hub: HubId,
    seq: Seq,
    since: Timestamp,
    now: Timestamp,
) -> Result<Removal> {
    let mut gathering = registry.gathering.lock();
    match gathering.hub(tx, hub, &registry.live_tags) {
        Err(StoreError::NoHub) => Ok(Removal::Gone),
        commit => registration::drop_dead(&mut TxRows { tx, registry }, commit?, seq, since, now),
    }
}
