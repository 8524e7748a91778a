//! The life of a broadcast: accepted, planned, leased, recorded, over.

mod control;
mod direct;
mod lives;
mod narrowing;
mod plans;
mod shards;

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare::model::audience::{Audience, AudienceLimits};
use fanfare::model::broadcast::{Broadcast, BroadcastRequest, Content, Lane, Notification, Payloads, Priority};
use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{BroadcastId, ChunkNo, Epoch, HubId, HubName, InstallationId, Seq, ShardRef};
use fanfare::model::installation::{Installation, InstallationLimits};
use fanfare::model::outcome::{Outcome, Place};
use fanfare::model::shard::LeaseError;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::Reason;
use fanfare::store::{
    Accepted, Change, Checkpoint, CheckpointReply, Destination, Evidence, Handover, Move, NewBroadcast, OutcomeItem,
    OutcomeQuery, ReadyWork, ShardWork, Store, Suspected, Work,
};
use serde_json::{Value, json};

use super::wait;

pub(crate) const LENGTH: Duration = Duration::from_secs(30);
pub(crate) const HOUR: Duration = Duration::from_secs(3_600);
/// More than an inline plan takes.
pub(crate) const MANY: u32 = 2_100;

/// A store with a hub, in the words of the tests.
#[derive(Clone, Copy)]
pub(crate) struct Life<'a> {
    pub(crate) store: &'a dyn Store,
    pub(crate) hub: HubId,
}

impl<'a> Life<'a> {
    /// The hub `demo`, made when missing.
    pub(crate) fn on(store: &'a dyn Store) -> Self {
        let hub = wait(store.put_hub(&HubName::parse("demo").unwrap(), b"{}".to_vec())).unwrap().id;
        Self { store, hub }
    }

    pub(crate) fn apply(&self, changes: Vec<Change>) {
        wait(self.store.apply(self.hub, changes)).unwrap();
    }

    /// Registers devices `0..devices`: each on apns but every third, which is on fcm; all tagged `all`, every tenth `few`.
    pub(crate) fn register(&self, devices: u32) {
        self.apply((0..devices).map(|n| put(device(n))).collect());
    }

    pub(crate) fn delete(&self, n: u32) {
        self.apply(vec![Change::Delete(id_of(n))]);
    }

    pub(crate) fn accept(&self, request: BroadcastRequest) -> Accepted {
        wait(self.store.accept(new(self.hub, request, None))).unwrap()
    }

    /// Accepts a broadcast and plans it to the end.
    pub(crate) fn planned(&self, request: BroadcastRequest) -> BroadcastId {
        let id = self.accept(request).id;
        if self.broadcast(id).times.planned.is_none() {
            let epoch = wait(self.store.lease_plan(id, LENGTH)).unwrap().unwrap();
            while !wait(self.store.plan_step(id, epoch, LENGTH)).unwrap().unwrap().done {}
        }
        id
    }

    pub(crate) fn broadcast(&self, id: BroadcastId) -> Broadcast {
        wait(self.store.broadcast(self.hub, id)).unwrap().unwrap()
    }

    pub(crate) fn ready(&self, id: BroadcastId) -> Vec<ReadyWork> {
        wait(self.store.ready(Some(id), Duration::ZERO, 1_000)).unwrap()
    }

    /// The shards that could be taken now.
    pub(crate) fn shards(&self, id: BroadcastId) -> Vec<ShardRef> {
        let shard = |work: ReadyWork| match work.work {
            Work::Run(shard, _) => Some(shard),
            Work::Plan(_) => None,
        };
        self.ready(id).into_iter().filter_map(shard).collect()
    }

    pub(crate) fn lease(&self, shard: ShardRef) -> Result<ShardWork, LeaseError> {
        wait(self.store.lease(shard, LENGTH, Suspected::Take)).unwrap()
    }

    pub(crate) fn record(
        &self,
        shard: ShardRef,
        epoch: Epoch,
        checkpoint: Checkpoint,
    ) -> Result<CheckpointReply, LeaseError> {
        wait(self.store.checkpoint(shard, epoch, checkpoint)).unwrap()
    }

    /// Sends to everyone who is left, with what `answer` says of each, and closes all shards.
    pub(crate) fn run(&self, id: BroadcastId, answer: impl Fn(Seq) -> (Outcome, Option<Reason>)) {
        for shard in self.shards(id) {
            let work = self.lease(shard).unwrap();
            let moves =
                work.chunks.iter().flat_map(|chunk| settle(chunk.chunk, Place::Pending, &chunk.pending, &answer));
            let checkpoint = Checkpoint { moves: moves.collect(), then: Handover::Close, ..Checkpoint::default() };
            self.record(shard, work.epoch, checkpoint).unwrap();
        }
    }

    pub(crate) fn outcomes(&self, id: BroadcastId, query: OutcomeQuery) -> Vec<OutcomeItem> {
        let (mut items, mut query) = (Vec::new(), OutcomeQuery { limit: query.limit.max(500), ..query });
        loop {
            let page = wait(self.store.outcomes(self.hub, id, query.clone())).unwrap().unwrap();
            assert!(page.items.len() <= query.limit);
            items.extend(page.items);
            query.from = page.next;
            if query.from.is_none() {
                return items;
            }
        }
    }

    /// The counters are those of the sets, and nobody is lost.
    pub(crate) fn assert_conserved(&self, id: BroadcastId) {
        let broadcast = self.broadcast(id);
        let mut listed: BTreeMap<_, u64> = BTreeMap::new();
        for item in self.outcomes(id, OutcomeQuery::default()) {
            *listed.entry((item.platform, item.outcome)).or_default() += 1;
        }
        for (platform, counters) in &broadcast.platforms {
            assert_eq!(counters.difference(), 0, "{platform} {counters:?}");
            let count = |outcome| listed.get(&(*platform, outcome)).copied().unwrap_or_default();
            assert_eq!(counters.pending, count(None), "{platform} {counters:?}");
            for outcome in Outcome::ALL {
                assert_eq!(counters.of(outcome), count(Some(outcome)), "{platform} {outcome} {counters:?}");
            }
        }
        assert_eq!(broadcast.counters().targeted, listed.values().sum::<u64>());
        assert!(wait(self.store.conservation()).unwrap().values().all(|difference| *difference == 0));
    }
}

/// Moves of a set, one for each outcome.
pub(crate) fn settle(
    chunk: ChunkNo,
    from: Place,
    set: &ChunkSet,
    answer: impl Fn(Seq) -> (Outcome, Option<Reason>),
) -> Vec<Move> {
    let mut sets: BTreeMap<(Outcome, Option<Reason>), ChunkSet> = BTreeMap::new();
    for offset in set {
        sets.entry(answer(Seq::at(chunk, offset))).or_default().insert(offset);
    }
    let step = |((outcome, reason), set)| Move { chunk, from, to: Destination::Done { outcome, reason }, set };
    sets.into_iter().map(step).collect()
}

/// Everything pending of a shard, delivered.
pub(crate) fn all_delivered(work: &ShardWork) -> Vec<Move> {
    let delivered = |_| (Outcome::Delivered, None);
    work.chunks.iter().flat_map(|chunk| settle(chunk.chunk, Place::Pending, &chunk.pending, delivered)).collect()
}

/// Evidence against one target.
pub(crate) fn dead(seq: Seq, since: Timestamp, timed: bool) -> Evidence {
    Evidence { seq, from: Place::Pending, since, timed, reason: Reason::known("Unregistered") }
}

pub(crate) fn id_of(n: u32) -> InstallationId {
    InstallationId::parse(&format!("dev-{n}")).unwrap()
}

pub(crate) fn device(n: u32) -> Value {
    let (platform, tags) = (
        if n % 3 == 2 { "fcmv1" } else { "apns" },
        if n.is_multiple_of(10) { vec!["all", "few"] } else { vec!["all"] },
    );
    json!({"installationId": format!("dev-{n}"), "platform": platform, "pushChannel": format!("{n:064x}"), "tags": tags})
}

pub(crate) fn put(value: Value) -> Change {
    let text = value.to_string();
    Change::Put(Box::new(Installation::parse(text.as_bytes(), None, &InstallationLimits::default()).unwrap()))
}

pub(crate) fn request(audience: &str) -> BroadcastRequest {
    BroadcastRequest {
        audience: audience.to_owned(),
        content: Content::Notification { notification: Notification::default(), payloads: Payloads::new() },
        ttl_seconds: 3_600,
        collapse_key: None,
        priority: Priority::High,
        lane: Lane::Bulk,
        weight: 3,
        rate_per_second: 7,
        schedule_at: None,
    }
}

pub(crate) fn new(hub: HubId, request: BroadcastRequest, idempotency: Option<(String, [u8; 32])>) -> NewBroadcast {
    let audience = Audience::parse(&request.audience, &AudienceLimits::default()).unwrap();
    NewBroadcast { hub, request, audience, idempotency, sample: None }
}
