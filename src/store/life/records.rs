//! What is stored of broadcasts and shards, whichever engine stores it, and the rules that change it.

use std::collections::BTreeMap;

use crate::model::broadcast::{Broadcast, BroadcastRequest, Lane, Milestones, Wish, closing};
use crate::model::id::{BroadcastId, ChunkNo, Epoch, HubId, Seq, ShardNo, ShardRef};
use crate::model::narrowing::Narrowed;
use crate::model::outcome::{Counters, Outcome};
use crate::model::platform::Platform;
use crate::model::shard::{Lease, LeaseState};
use crate::model::time::Timestamp;
use crate::store::{ReadyWork, Result, Standing, StoreError, Work};

/// The error of a stored value that none of ours can be.
pub(in crate::store) fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(format!("{what} of a broadcast"))
}

/// A number as the engines hold it: signed, 64 bits. None of ours comes near the bound.
pub(in crate::store) fn int(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A lease in columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::store) struct LeaseColumns {
    /// 0 ready, 1 leased, 2 closed.
    pub(in crate::store) state: u8,
    pub(in crate::store) epoch: u64,
    /// Due when ready, until when leased.
    pub(in crate::store) time: Timestamp,
    pub(in crate::store) progressed: bool,
    pub(in crate::store) strikes: u32,
}

impl From<&Lease> for LeaseColumns {
    fn from(lease: &Lease) -> Self {
        let (state, time, progressed) = match lease.state {
            LeaseState::Ready { due } => (0, due, false),
            LeaseState::Leased { until, progressed } => (1, until, progressed),
            LeaseState::Closed => (2, Timestamp::default(), false),
        };
        Self { state, epoch: lease.epoch.0, time, progressed, strikes: lease.strikes }
    }
}

impl LeaseColumns {
    /// The lease of these columns.
    pub(in crate::store) fn lease(self) -> Result<Lease> {
        let state = match self.state {
            0 => LeaseState::Ready { due: self.time },
            1 => LeaseState::Leased { until: self.time, progressed: self.progressed },
            2 => LeaseState::Closed,
            _ => return Err(corrupt("a lease")),
        };
        Ok(Lease { epoch: Epoch(self.epoch), state, strikes: self.strikes })
    }
}

/// The lane of a stored number.
pub(in crate::store) fn lane(place: usize) -> Result<Lane> {
    Lane::ALL.get(place).copied().ok_or_else(|| corrupt("the lane"))
}

/// The wish of a stored number.
pub(in crate::store) fn wish(code: u8) -> Result<Wish> {
    Wish::from_code(code).ok_or_else(|| corrupt("the wish"))
}

/// The platform of a stored number.
pub(in crate::store) fn platform(code: u8) -> Result<Platform> {
    Platform::from_code(code).ok_or_else(|| corrupt("a platform"))
}

/// A request as it is stored.
pub(in crate::store) fn encode_request(request: &BroadcastRequest) -> Result<Vec<u8>> {
    serde_json::to_vec(request).map_err(|error| StoreError::Engine(format!("the request cannot be written: {error}")))
}

/// Reads what [`encode_request`] wrote.
pub(in crate::store) fn decode_request(id: BroadcastId, json: &[u8]) -> Result<BroadcastRequest> {
    serde_json::from_slice(json).map_err(|error| StoreError::Corrupt(format!("the request of {id}: {error}")))
}

/// A broadcast's row without its request and inline plan.
#[derive(Clone, Debug)]
pub(in crate::store) struct BroadcastRow {
    pub(in crate::store) id: BroadcastId,
    pub(in crate::store) hub: HubId,
    pub(in crate::store) lane: Lane,
    pub(in crate::store) weight: u32,
    pub(in crate::store) times: Milestones,
    pub(in crate::store) failure: Option<String>,
    pub(in crate::store) wish: Wish,
    pub(in crate::store) rate: u32,
    /// The lease of its planning; closed once planned.
    pub(in crate::store) plan: Lease,
    pub(in crate::store) plan_bound: Option<Seq>,
    /// The next chunk to plan.
    pub(in crate::store) plan_chunk: ChunkNo,
    pub(in crate::store) user_bound: Option<u64>,
    pub(in crate::store) next_shard: u32,
    pub(in crate::store) open_shards: u32,
    /// Sums of closed shards; of an inline plan as planned, when over as it ended.
    pub(in crate::store) sums: BTreeMap<Platform, Counters>,
    /// Whether it has an inline plan.
    pub(in crate::store) inline: bool,
}

impl BroadcastRow {
    /// One that was accepted `now`. The id carries the same time.
    pub(in crate::store) fn accepted(
        id: BroadcastId,
        hub: HubId,
        request: &BroadcastRequest,
        now: Timestamp,
        due: Timestamp,
    ) -> Self {
        Self {
            id,
            hub,
            lane: request.lane,
            weight: request.weight,
            times: Milestones { accepted: now, due, expires: due.plus(request.ttl()), ..Milestones::default() },
            failure: None,
            wish: Wish::Run,
            rate: request.rate_per_second,
            plan: Lease::new(due),
            plan_bound: None,
            plan_chunk: ChunkNo(0),
            user_bound: None,
            next_shard: 0,
            open_shards: 0,
            sums: BTreeMap::new(),
            inline: false,
        }
    }

    /// Whether it is an inline plan not yet over.
    pub(in crate::store) fn is_running_inline(&self) -> bool {
        self.inline && self.times.finished.is_none()
    }

    /// Ends it if nothing is left to plan or to send. Answers whether it did.
    pub(in crate::store) fn finish_if_done(&mut self, now: Timestamp) -> bool {
        let done = self.times.finished.is_none() && self.times.planned.is_some() && self.open_shards == 0;
        if done {
            self.times.finished = Some(now);
        }
        done
    }

    /// Ends planning where it is.
    pub(in crate::store) fn end_planning(&mut self, now: Timestamp) {
        self.times.planned = Some(now);
        self.plan.state = LeaseState::Closed;
        self.finish_if_done(now);
    }

    /// Takes a closed shard into the sums. Answers whether the broadcast is over with it.
    pub(in crate::store) fn close_shard(&mut self, shard: &ShardRow, now: Timestamp) -> Result<bool> {
        *self.sums.entry(shard.platform).or_default() += shard.counters;
        self.open_shards = self
            .open_shards
            .checked_sub(1)
            .ok_or_else(|| StoreError::Corrupt(format!("{} closes and no shard was open", shard.at)))?;
        Ok(self.finish_if_done(now))
    }

    /// Writes down a wish; `false` when it comes too late. A cancel is final: the same again changes nothing, and any
    /// other wish is refused.
    pub(in crate::store) fn wish_for(&mut self, wish: Wish, now: Timestamp) -> bool {
        if self.wish == Wish::Cancel && wish != Wish::Cancel {
            return false;
        }
        self.wish = wish;
        // Unheld and perhaps scheduled for much later: there is nothing to wait for any more.
        if wish == Wish::Cancel && matches!(self.plan.state, LeaseState::Ready { due } if due > now) {
            self.plan.state = LeaseState::Ready { due: now };
        }
        true
    }

    /// As what unfinished targets must be closed now, if at all.
    pub(in crate::store) fn closing(&self, now: Timestamp) -> Option<Outcome> {
        closing(self.wish, self.times.expires, now)
    }

    pub(in crate::store) fn standing(&self, now: Timestamp) -> Standing {
        Standing { wish: self.wish, rate_per_second: self.rate, expires: self.times.expires, read_at: now }
    }

    pub(in crate::store) fn ready(&self, work: Work, due: Timestamp) -> ReadyWork {
        ReadyWork { work, hub: self.hub, lane: self.lane, weight: self.weight, due }
    }

    /// The broadcast as readers get it, with those sums.
    pub(in crate::store) fn view(
        self,
        mut request: BroadcastRequest,
        platforms: BTreeMap<Platform, Counters>,
    ) -> Broadcast {
        request.rate_per_second = self.rate;
        Broadcast {
            id: self.id,
            hub: self.hub,
            request,
            times: self.times,
            wish: self.wish,
            failure: self.failure,
            platforms,
        }
    }
}

/// A shard's row.
#[derive(Clone, Debug)]
pub(in crate::store) struct ShardRow {
    pub(in crate::store) at: ShardRef,
    pub(in crate::store) platform: Platform,
    pub(in crate::store) first_chunk: ChunkNo,
    pub(in crate::store) last_chunk: ChunkNo,
    pub(in crate::store) lease: Lease,
    pub(in crate::store) counters: Counters,
    /// What of it may be sent while a target that kills its worker is looked for.
    pub(in crate::store) narrowed: Option<Narrowed>,
}

impl ShardRow {
    /// A chunk belongs to one shard for life: what lies outside is not this holder's to read or write.
    pub(in crate::store) fn check_chunk(&self, chunk: ChunkNo) -> Result<()> {
        if (self.first_chunk..=self.last_chunk).contains(&chunk) {
            return Ok(());
        }
        Err(StoreError::Corrupt(format!(
            "chunk {chunk} is none of shard {}, chunks {} to {}",
            self.at, self.first_chunk, self.last_chunk
        )))
    }
}

/// The pseudo-shard of an inline plan's platform: numbered by the platform's code.
pub(in crate::store) fn inline_shard(broadcast: BroadcastId, platform: Platform) -> ShardRef {
    ShardRef { broadcast, shard: ShardNo(u32::from(platform.code())) }
}

/// The platform of a pseudo-shard; `None` when the number is no platform's.
pub(in crate::store) fn inline_platform(shard: ShardNo) -> Option<Platform> {
    u8::try_from(shard.0).ok().and_then(Platform::from_code)
}
