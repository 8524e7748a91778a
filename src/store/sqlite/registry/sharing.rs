//! Targets that share their dedupe key (design.md section 4): (channel, native | template name | tile key). Of those in
//! one plan only one is sent to, so the planner must know them; it finds them by the tag [`index_tag::SHARED`].
//!
//! A live target carries the tag exactly while another live target has its key. The writer is alone, so that is the
//! lock on the key.

use rusqlite::{Connection, OptionalExtension, Row};

use super::super::Result;
use super::commit::HubCommit;
use super::rows::{Described, key, of_key};
use crate::model::id::{HubId, Seq};
use crate::model::platform::Platform;
use crate::model::target::index_tag::SHARED;

/// What only one target of a plan may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store::sqlite) struct DedupeKey {
    platform: u8,
    channel: Vec<u8>,
    /// The kind's text, `None` for native.
    name: Option<String>,
}

/// The dedupe key of a live target; `None` when it has left.
pub(in crate::store::sqlite) fn dedupe_key(connection: &Connection, hub: HubId, seq: Seq) -> Result<Option<DedupeKey>> {
    let read = |row: &Row<'_>| Ok(DedupeKey { platform: row.get(0)?, channel: row.get(1)?, name: row.get(2)? });
    let found = connection
        .prepare_cached("SELECT platform, channel, name FROM target WHERE key = ?1 AND gone_why IS NULL")?
        .query_row([key(hub, seq)], read)
        .optional()?;
    Ok(found)
}

/// `seq` is about to have this target's key.
pub(super) fn joins(
    tx: &Connection,
    commit: &mut HubCommit,
    platform: Platform,
    target: &Described,
    seq: Seq,
) -> Result<()> {
    let others = others(tx, commit, platform, target, seq)?;
    if !others.is_empty() {
        commit.add(SHARED, seq);
    }
    // With two or more others, they carry it already.
    if let [other] = others[..] {
        commit.add(SHARED, other);
    }
    Ok(())
}

/// `seq` has this target's key no longer.
pub(super) fn leaves(
    tx: &Connection,
    commit: &mut HubCommit,
    platform: Platform,
    target: &Described,
    seq: Seq,
) -> Result<()> {
    let others = others(tx, commit, platform, target, seq)?;
    if !others.is_empty() {
        commit.remove(SHARED, seq);
    }
    if let [other] = others[..] {
        commit.remove(SHARED, other);
    }
    Ok(())
}

/// Live targets with this key besides `seq`; no more than two are looked for.
fn others(tx: &Connection, commit: &HubCommit, platform: Platform, target: &Described, seq: Seq) -> Result<Vec<Seq>> {
    let mut statement = tx.prepare_cached(
        "SELECT key, class, platform, name, channel FROM target WHERE channel_hash = ?1 AND gone_why IS NULL",
    )?;
    let mut rows = statement.query([target.channel_hash.cast_signed()])?;
    let own = key(commit.hub, seq);
    let mut others = Vec::new();
    while let Some(row) = rows.next()? {
        let other: i64 = row.get(0)?;
        if other != own
            && of_key(other).0 == commit.hub
            && row.get::<_, u8>(1)? == target.kind.class().code()
            && row.get::<_, u8>(2)? == platform.code()
            && row.get_ref(3)?.as_str_or_null().ok().flatten() == target.name.as_deref()
            && row.get_ref(4)?.as_blob_or_null().ok().flatten() == Some(&*target.channel)
        {
            others.push(of_key(other).1);
            if others.len() == 2 {
                break;
            }
        }
    }
    Ok(others)
}
