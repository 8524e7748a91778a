//! The index of one hub as one transaction of an engine sees it.

use std::collections::BTreeMap;

use super::delta::Overlay;
use super::evaluation::{Evaluation, Reach};
use super::live_tags::LiveTags;
use crate::model::audience::{Audience, ChunkList};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, CommitNo, Seq};
use crate::model::platform::Platform;
use crate::model::target::AudienceKind;
use crate::store::Result;
use crate::store::registration::DedupeKey;

/// The index of one hub as one transaction sees it: set rows, and over them the deltas that are not folded yet. Every
/// answer is of the same moment. Calls wait for the store, so they are made where waiting is allowed.
pub(in crate::store) trait IndexView {
    /// The texts of the live tags.
    fn live_tags(&self) -> &LiveTags;

    /// The seq that the next new target takes. 0 for a hub that does not exist.
    fn next_seq(&self) -> Seq;

    /// The hub's last registry commit: the `user_bound` of a plan made now.
    fn commit_no(&self) -> CommitNo;

    /// What unfolded deltas do to the sets of a tag.
    fn overlay(&self, tag: &str) -> Overlay;

    /// For each tag the chunks in which it can have members, with no fewer than it has in each.
    fn chunk_lists(&self, tags: &[(&str, &Overlay)]) -> Result<Vec<ChunkList>>;

    /// The sets of a tag in the chunks from `first` to `last`; absent ones are empty.
    fn sets(&self, tag: &str, overlay: &Overlay, first: u32, last: u32) -> Result<BTreeMap<u32, ChunkSet>>;

    /// For each user the targets, wherever they are.
    fn seqs_of_users(&self, users: &[&str]) -> Result<Vec<Vec<Seq>>>;

    /// For each installation the targets. An id that no installation can have has none.
    fn seqs_of_installations(&self, ids: &[&str]) -> Result<Vec<Vec<Seq>>>;

    /// Live targets whose time is over and that the sweep has not taken yet, by chunk.
    fn due(&self) -> Result<BTreeMap<u32, ChunkSet>>;

    /// Targets of a chunk marked as sharing their dedupe key.
    fn shared(&self, chunk: ChunkNo) -> Result<ChunkSet>;

    /// The dedupe keys of those of `seqs` that are live; ascending when `seqs` are.
    fn dedupe_keys(&self, seqs: &[Seq]) -> Result<Vec<(Seq, DedupeKey)>>;

    /// Live targets with this key whose seq is lower than `below`, ascending.
    fn twins(&self, key: &DedupeKey, below: Seq) -> Result<Vec<Seq>>;

    /// The last chunk that any seq lies in; `None` when the hub never had a target.
    fn last_chunk(&self) -> Option<ChunkNo> {
        self.next_seq().0.checked_sub(1).map(|last| Seq(last).chunk())
    }

    /// Prepares an audience: resolves keyed terms once, bounds it to chunks. `platforms: None` is all.
    fn evaluate(
        &self,
        audience: &Audience,
        kind: AudienceKind,
        platforms: Option<&[Platform]>,
    ) -> Result<Evaluation<'_, Self>>
    where
        Self: Sized,
    {
        Evaluation::new(self, audience, Reach::of(kind), platforms)
    }
}
