//! Removal of targets whose push service says that their channel is dead (design.md 3.8).

use super::commit::HubCommit;
use super::row::{Departure, Record, describe, key};
use super::rows::Rows;
use super::targets::{Leaving, leave, remove};
use crate::model::id::Seq;
use crate::model::target::TargetKind;
use crate::model::time::Timestamp;
use crate::store::{Result, StoreError};

/// How a removal was judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) enum Removal {
    /// Every live target of the installation on that channel has left.
    Dropped,
    /// Confirmed after `since`: it stays.
    Fresher,
    /// It had left already.
    Gone,
}

/// Judges one removal: every live target of that installation on the target's channel leaves, unless the app confirmed
/// the target after `since`. The document stays, marked when its own channel is the dead one; a registration goes. Index
/// changes go to this commit's delta.
pub(in crate::store) fn drop_dead(
    rows: &mut impl Rows,
    commit: &mut HubCommit,
    seq: Seq,
    since: Timestamp,
    now: Timestamp,
) -> Result<Removal> {
    let hub = commit.hub;
    let Some(target) = rows.live_target(key(hub, seq))? else { return Ok(Removal::Gone) };
    let no = target.installation;
    let touched = commit.newest_touch(rows, no)?;
    if touched.map_or(target.confirmed, |touch| touch.confirmed) > since {
        return Ok(Removal::Fresher);
    }
    let mut row = rows
        .installation(no)?
        .ok_or_else(|| StoreError::Corrupt(format!("live target {seq} of hub {hub} has no installation")))?;
    let record = row.record()?;
    // A registration is its channel: nothing is left of it that the app could revive.
    if let Record::Registration(..) = record {
        remove(rows, commit, &row, Departure::Dropped, now)?;
        return Ok(Removal::Dropped);
    }
    let id = record.key();
    let leaving = Leaving { id: &id, platform: record.platform(), why: Departure::Dropped, now };
    for (described, place) in describe(hub, &record).iter().zip(&mut row.seqs) {
        if *described.channel == *target.channel
            && let Some(seq) = place.take()
        {
            leave(rows, commit, &leaving, described, seq)?;
            row.channel_dead |= described.kind == TargetKind::Native;
        }
    }
    commit.number();
    rows.set_seqs(no, &row.seqs, row.channel_dead)?;
    Ok(Removal::Dropped)
}
