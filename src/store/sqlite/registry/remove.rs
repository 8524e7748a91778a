//! Removal of targets whose push service says that their channel is dead (design.md 3.8).

use rusqlite::{Connection, OptionalExtension, params};

use super::super::Result;
use super::Shared;
use super::rows::{Departure, InstallationRow, Leaving, describe, encode_seqs, key, leave};
use crate::model::id::{HubId, Seq};
use crate::model::target::TargetKind;
use crate::model::time::Timestamp;
use crate::store::StoreError;

/// How a removal was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store::sqlite) enum Removal {
    /// Every live target of the installation on that channel has left.
    Dropped,
    /// Confirmed after `since`: it stays.
    Fresher,
    /// It had left already.
    Gone,
}

/// Judges one removal inside the writer's transaction: every live target of that installation on the target's channel
/// leaves, unless the app confirmed the target after `since`. The document stays, marked when its own channel is the
/// dead one. Index changes go to this commit's delta.
pub(in crate::store::sqlite) fn drop_dead(
    tx: &Connection,
    registry: &Shared,
    hub: HubId,
    seq: Seq,
    since: Timestamp,
    now: Timestamp,
) -> Result<Removal> {
    let target: Option<(i64, Vec<u8>, i64)> = tx
        .prepare_cached("SELECT installation, channel, confirmed FROM target WHERE key = ?1 AND gone_why IS NULL")?
        .query_row([key(hub, seq)], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .optional()?;
    let Some((no, channel, confirmed)) = target else { return Ok(Removal::Gone) };
    let mut gathering = registry.gathering.lock();
    let commit = match gathering.hub(tx, hub, &registry.live_tags) {
        Err(StoreError::NoHub) => return Ok(Removal::Gone),
        commit => commit?,
    };
    let touched = commit.newest_touch(tx, registry, no)?;
    if touched.map_or(Timestamp::from_millis(confirmed), |touch| touch.confirmed) > since {
        return Ok(Removal::Fresher);
    }
    let mut row = InstallationRow::get(tx, no)?
        .ok_or_else(|| StoreError::Corrupt(format!("live target {seq} of hub {hub} has no installation")))?;
    let installation = row.installation()?;
    let platform = installation.platform.platform();
    let leaving = Leaving { id: installation.id.as_str(), platform, why: Departure::Dropped, now };
    for (target, place) in describe(hub, &installation).iter().zip(&mut row.seqs) {
        if *target.channel == *channel
            && let Some(seq) = place.take()
        {
            leave(tx, commit, &leaving, target, seq)?;
            row.channel_dead |= target.kind == TargetKind::Native;
        }
    }
    commit.number();
    tx.prepare_cached("UPDATE installation SET seqs = ?2, channel_dead = ?3 WHERE no = ?1")?.execute(params![
        no,
        encode_seqs(&row.seqs),
        row.channel_dead
    ])?;
    Ok(Removal::Dropped)
}
