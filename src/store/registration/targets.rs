//! How targets enter and leave, and installations with them.

use super::commit::HubCommit;
use super::row::{Departure, Described, InstallationRow, describe, key};
use super::rows::{Gone, NewTarget, Rows};
use super::sharing;
use crate::model::id::{HubId, Seq};
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::store::Result;
use crate::store::index::Touch;

/// A new live target of an installation; answers its seq.
pub(super) fn enter(
    rows: &mut impl Rows,
    commit: &mut HubCommit,
    installation: i64,
    platform: Platform,
    target: &Described,
    times: Touch,
) -> Result<Seq> {
    let seq = commit.next_seq(target.kind.class())?;
    let user_mark = commit.number().0;
    sharing::joins(rows, commit, platform, target, seq)?;
    if let Some(link) = &target.template {
        rows.keep_template(commit.hub, link)?;
    }
    rows.insert_target(NewTarget {
        key: key(commit.hub, seq),
        installation,
        class: target.kind.class(),
        platform,
        name: target.name.as_deref(),
        channel: &target.channel,
        channel_hash: target.channel_hash,
        times,
        user_mark,
        template: target.template.as_ref(),
    })?;
    commit.set_live(target.kind.class(), platform, seq, true);
    for tag in &target.tags {
        commit.add(tag.as_str(), seq);
    }
    Ok(seq)
}

/// What the tombstones of one departure say.
pub(super) struct Leaving<'a> {
    pub(super) id: &'a str,
    pub(super) platform: Platform,
    pub(super) why: Departure,
    pub(super) now: Timestamp,
}

/// A live target leaves; its row stays as a tombstone.
pub(super) fn leave(
    rows: &mut impl Rows,
    commit: &mut HubCommit,
    leaving: &Leaving<'_>,
    target: &Described,
    seq: Seq,
) -> Result<()> {
    rows.bury_target(key(commit.hub, seq), Gone { why: leaving.why, at: leaving.now, id: leaving.id })?;
    sharing::leaves(rows, commit, leaving.platform, target, seq)?;
    commit.set_live(target.kind.class(), leaving.platform, seq, false);
    for tag in &target.tags {
        commit.remove(tag.as_str(), seq);
    }
    Ok(())
}

/// An installation goes with all of its targets, or a registration with its one.
pub(in crate::store) fn remove(
    rows: &mut impl Rows,
    commit: &mut HubCommit,
    row: &InstallationRow,
    why: Departure,
    now: Timestamp,
) -> Result<()> {
    let record = row.record()?;
    let key = record.key();
    let leaving = Leaving { id: &key, platform: record.platform(), why, now };
    for (target, seq) in describe(commit.hub, &record).iter().zip(&row.seqs) {
        if let Some(seq) = seq {
            leave(rows, commit, &leaving, target, *seq)?;
        }
    }
    rows.delete_installation(row.no)?;
    commit.forget_touch(row.no);
    commit.number();
    Ok(())
}

/// Brings the times of an installation's rows up to a touch, where they differ.
pub(in crate::store) fn write_times(
    rows: &mut impl Rows,
    row: &InstallationRow,
    hub: HubId,
    times: Touch,
) -> Result<()> {
    if row.times != times {
        rows.set_installation_times(row.no, times)?;
    }
    for seq in row.seqs.iter().flatten() {
        rows.correct_target_times(key(hub, *seq), times)?;
    }
    Ok(())
}

/// Takes out an installation that looks expired. One that lives on by a touch has its rows brought up to it, or it would
/// be found again and again.
pub(in crate::store) fn expire(
    rows: &mut impl Rows,
    commit: &mut HubCommit,
    row: &InstallationRow,
    now: Timestamp,
) -> Result<()> {
    let times = commit.newest_touch(rows, row.no)?.unwrap_or(row.times);
    if times.expires.is_some_and(|expires| expires <= now) {
        remove(rows, commit, row, Departure::Expired, now)
    } else {
        write_times(rows, row, commit.hub, times)
    }
}
