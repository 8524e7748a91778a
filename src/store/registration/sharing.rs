//! Targets that share their dedupe key (design.md section 4): (channel, native | template name | tile key). Of those in
//! one plan only one is sent to, so the planner must know them; it finds them by the tag [`index_tag::SHARED`].
//!
//! A live target carries the tag exactly while another live target has its key. A hub has one writer at a
//! time, so that is the lock on the key.

use super::commit::HubCommit;
use super::row::Described;
use super::rows::Rows;
use crate::model::hash;
use crate::model::id::{HubId, Seq};
use crate::model::platform::Platform;
use crate::model::target::index_tag::SHARED;
use crate::store::Result;

/// What only one target of a plan may have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(in crate::store) struct DedupeKey {
    platform: Platform,
    channel: Vec<u8>,
    /// The kind's text, `None` for native.
    name: Option<String>,
}

impl DedupeKey {
    /// `name` is the kind's text, `None` for native.
    pub(in crate::store) fn new(platform: Platform, channel: Vec<u8>, name: Option<String>) -> Self {
        Self { platform, channel, name }
    }

    /// The hash that finds targets with this key by their channel.
    pub(in crate::store) fn channel_hash(&self, hub: HubId) -> u64 {
        hash::channel(hub, self.platform, &self.channel)
    }
}

/// `seq` is about to have this target's key.
pub(super) fn joins(
    rows: &mut impl Rows,
    commit: &mut HubCommit,
    platform: Platform,
    target: &Described,
    seq: Seq,
) -> Result<()> {
    let others = rows.sharing(commit.hub, platform, target, seq)?;
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
    rows: &mut impl Rows,
    commit: &mut HubCommit,
    platform: Platform,
    target: &Described,
    seq: Seq,
) -> Result<()> {
    let others = rows.sharing(commit.hub, platform, target, seq)?;
    if !others.is_empty() {
        commit.remove(SHARED, seq);
    }
    if let [other] = others[..] {
        commit.remove(SHARED, other);
    }
    Ok(())
}
