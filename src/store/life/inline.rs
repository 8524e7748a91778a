//! Small plans: one pseudo-shard for each platform, whose lease and sets live together, in memory or in the broadcast's
//! own row. They take the same checkpoints as an ordinary shard, and can be written out as ordinary shards at any time.

use std::collections::BTreeMap;

use super::codec;
use super::lease::hand_over;
use super::ledger::{Cell, Judged, Ledger, Whole};
use super::reasons::Reasons;
use super::records::{BroadcastRow, ShardRow, inline_platform, inline_shard};
use crate::model::id::{Epoch, ShardRef};
use crate::model::narrowing::Narrowed;
use crate::model::outcome::Counters;
use crate::model::platform::Platform;
use crate::model::shard::{Lease, LeaseError, LeaseState};
use crate::model::time::{Moment, Timestamp};
use crate::store::{Checkpoint, Handover, Result};

/// An inline plan at work.
#[derive(Clone, Debug)]
pub(in crate::store) struct Shares {
    pub(in crate::store) reasons: Reasons,
    pub(in crate::store) platforms: BTreeMap<Platform, Share>,
}

/// One platform's share of it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Share {
    pub(in crate::store) lease: Lease,
    pub(in crate::store) narrowed: Option<Narrowed>,
    pub(in crate::store) ledger: Ledger,
}

/// A checkpoint applied to the shares, and what is left to do for it.
#[derive(Clone, Debug)]
pub(in crate::store) struct Recorded {
    /// The shares after it; removals whose turn has come are still to be judged.
    pub(in crate::store) after: Shares,
    pub(in crate::store) judged: Vec<Judged>,
    /// The shard's counters, before the judgement.
    pub(in crate::store) counters: Counters,
    /// Every platform is closed: the broadcast ends with this checkpoint.
    pub(in crate::store) ends: bool,
    /// Targets are given back unfinished: what is not final after the first pass becomes an ordinary shard.
    pub(in crate::store) leaves_some: bool,
}

impl Shares {
    /// An inline plan as it is stored, unheld. Epochs go on from `epoch`.
    pub(in crate::store) fn planned(plan: &[u8], due: Timestamp, epoch: Epoch) -> Result<Self> {
        let (reasons, ledgers) = codec::decode_inline(plan)?;
        let share = |ledger| Share { lease: Lease { epoch, ..Lease::new(due) }, narrowed: None, ledger };
        let platforms = ledgers.into_iter().map(|(platform, ledger)| (platform, share(ledger))).collect();
        Ok(Self { reasons, platforms })
    }

    /// The sets as they are stored.
    pub(in crate::store) fn encode(&self) -> Vec<u8> {
        codec::encode_inline(&self.reasons, self.platforms.iter().map(|(platform, share)| (*platform, &share.ledger)))
    }

    /// The share that a pseudo-shard stands for.
    pub(in crate::store) fn share_mut(&mut self, at: ShardRef) -> Option<(Platform, &mut Share)> {
        let platform = inline_platform(at.shard)?;
        self.platforms.get_mut(&platform).map(|share| (platform, share))
    }

    /// Whether every platform but this one is closed.
    fn is_last(&self, platform: Platform) -> bool {
        self.platforms.iter().all(|(other, share)| *other == platform || share.lease.state == LeaseState::Closed)
    }

    /// Counters by platform.
    pub(in crate::store) fn sums(&self) -> BTreeMap<Platform, Counters> {
        self.platforms.iter().map(|(platform, share)| (*platform, share.ledger.counters)).collect()
    }

    /// The leases by platform.
    pub(in crate::store) fn leases(&self) -> BTreeMap<Platform, Lease> {
        self.platforms.iter().map(|(platform, share)| (*platform, share.lease)).collect()
    }

    /// Applies a checkpoint, to a copy.
    pub(in crate::store) fn record(
        &self,
        at: ShardRef,
        epoch: Epoch,
        checkpoint: &Checkpoint,
        now: Moment,
    ) -> Result<Result<Recorded, LeaseError>> {
        let mut after = self.clone();
        let mut reasons = self.reasons.clone();
        let Some((platform, share)) = after.share_mut(at) else {
            return Ok(Err(LeaseError::Fenced { asked: epoch }));
        };
        if let Err(refused) = share.lease.check(epoch, now.lease) {
            return Ok(Err(refused));
        }
        share.ledger.record(&Whole, &mut reasons, checkpoint, now.wall)?;
        let judged = checkpoint.judge.map_or(Ok(Vec::new()), |judgement| share.ledger.judged(&Whole, judgement))?;
        let pending = share.ledger.counters.pending - judged.len() as u64;
        if let Err(refused) = hand_over(&mut share.lease, epoch, checkpoint, pending, now) {
            return Ok(Err(refused));
        }
        let counters = share.ledger.counters;
        after.reasons = reasons;
        let ends = checkpoint.then == Handover::Close && self.is_last(platform);
        let leaves_some = pending > 0 && matches!(checkpoint.then, Handover::GiveBack { .. });
        Ok(Ok(Recorded { after, judged, counters, ends, leaves_some }))
    }

    /// The end of all: counters and `finished` in the broadcast's row. Answers whether it is over with this.
    pub(in crate::store) fn end(&self, row: &mut BroadcastRow, now: Timestamp) -> bool {
        row.sums = self.sums();
        row.open_shards = 0;
        row.finish_if_done(now)
    }

    /// The ordinary shards that stand for it: one for each platform under the number that it has already, with its
    /// lease, sets and counters as they stand. The broadcast's row is changed to name them.
    pub(in crate::store) fn spill(&self, row: &mut BroadcastRow) -> Vec<(ShardRow, Ledger)> {
        row.inline = false;
        row.sums.clear();
        row.open_shards = 0;
        let mut shards = Vec::with_capacity(self.platforms.len());
        for (platform, share) in &self.platforms {
            let chunks = || share.ledger.cells().map(|((chunk, _), _)| chunk);
            let shard = ShardRow {
                at: inline_shard(row.id, *platform),
                platform: *platform,
                first_chunk: chunks().next().unwrap_or_default(),
                last_chunk: chunks().last().unwrap_or_default(),
                lease: share.lease,
                counters: share.ledger.counters,
                narrowed: share.narrowed,
            };
            row.next_shard = row.next_shard.max(shard.at.shard.0 + 1);
            if shard.lease.state == LeaseState::Closed {
                *row.sums.entry(*platform).or_default() += shard.counters;
            } else {
                row.open_shards += 1;
            }
            let mut rows = Ledger::with_counters(shard.counters);
            for ((chunk, place), cell) in share.ledger.cells() {
                rows.put(chunk, place, Cell { row: None, changed: true, ..cell.clone() });
            }
            shards.push((shard, rows));
        }
        shards
    }
}
