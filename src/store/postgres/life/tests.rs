//! Two nodes on one database: what each must find when the other was faster. Plans are made by hand, so that every
//! shard is known.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use loadtest::servers::postgres::Postgres;

use super::super::{Options, PostgresStore, Time};
use super::accept::accept_drafted;
use super::plan;
use crate::clock::{Clock, ManualClock};
use crate::model::audience::{Audience, AudienceLimits};
use crate::model::broadcast::{BroadcastRequest, Content, Lane, Payloads, Priority, Wish};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo, Epoch, HubId, HubName, Seq, ShardRef};
use crate::model::outcome::{Outcome, Place, reason};
use crate::model::platform::Platform;
use crate::model::shard::LeaseError;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::store::Retention;
use crate::store::life::plan::{Draft, Planned, Step, Stepped};
use crate::store::{
    AcceptError, Accepted, Checkpoint, ChunkWork, Destination, Handover, Move, NewBroadcast, OutcomeQuery, ShardWork,
    Store, Suspected, Work,
};

const START: Timestamp = Timestamp::from_millis(1_769_941_800_000);
const LENGTH: Duration = Duration::from_secs(30);

/// A server with a database that two nodes have open.
struct Bench {
    _server: Postgres,
    clock: Arc<ManualClock>,
    nodes: [PostgresStore; 2],
    hub: HubId,
}

async fn bench() -> Bench {
    let server = Postgres::start().unwrap();
    let clock = ManualClock::starting_at(START);
    let options = Options { url: server.database("fanfare").unwrap(), connections: 8, base: "/".into() };
    let open = || PostgresStore::open(&options, Time::Given(clock.clone()), Retention::default());
    let nodes = [open().await.unwrap(), open().await.unwrap()];
    let hub = nodes[0].put_hub(&HubName::parse("demo").unwrap(), Vec::new()).await.unwrap().id;
    Bench { _server: server, clock, nodes, hub }
}

fn request() -> BroadcastRequest {
    BroadcastRequest {
        audience: "all".to_owned(),
        content: Content::Payloads(Payloads::from([("apns".to_owned(), "{}".to_owned())])),
        ttl_seconds: 3_600,
        collapse_key: None,
        priority: Priority::High,
        lane: Lane::Bulk,
        weight: 1,
        rate_per_second: 7,
        schedule_at: None,
    }
}

fn draft(chunks: &[(Platform, u32, u16)], small: bool, next: Option<u32>) -> Draft {
    let mut platforms: BTreeMap<Platform, Vec<Planned>> = BTreeMap::new();
    for (platform, chunk, targets) in chunks {
        let pending = ChunkSet::from_range(0..=targets - 1);
        let planned = Planned { chunk: ChunkNo(*chunk), pending, duplicates: ChunkSet::new() };
        platforms.entry(*platform).or_default().push(planned);
    }
    Draft { platforms, bound: Seq(1 << 20), user_bound: None, next: next.map(ChunkNo), small }
}

fn close(work: &ShardWork, reason: Option<Reason>) -> Checkpoint {
    let all = |work: &ChunkWork| Move {
        chunk: work.chunk,
        from: Place::Pending,
        to: Destination::Done { outcome: Outcome::Delivered, reason: reason.clone() },
        set: work.pending.clone(),
    };
    Checkpoint { moves: work.chunks.iter().map(all).collect(), then: Handover::Close, ..Checkpoint::default() }
}

impl Bench {
    fn broadcast(&self, key: Option<(&str, u8)>) -> NewBroadcast {
        let request = request();
        let audience = Audience::parse(&request.audience, &AudienceLimits::default()).unwrap();
        let idempotency = key.map(|(key, hash)| (key.to_owned(), [hash; 32]));
        NewBroadcast { hub: self.hub, request, audience, idempotency, sample: None }
    }

    async fn accept(
        &self,
        node: usize,
        draft: Option<&Draft>,
        key: Option<(&str, u8)>,
    ) -> Result<Accepted, AcceptError> {
        let now = self.clock.now();
        accept_drafted(&self.nodes[node].parts, &self.broadcast(key), draft, now, now).await.unwrap()
    }

    /// A broadcast in ordinary shards: one for each of the platforms in the draft.
    async fn planned(&self, draft: Draft) -> BroadcastId {
        let id = self.accept(0, None, None).await.unwrap().id;
        let epoch = self.nodes[0].lease_plan(id, LENGTH).await.unwrap().unwrap();
        assert!(matches!(self.step(0, id, epoch, draft, 0).await, Stepped::Made { step, .. } if step.done));
        id
    }

    async fn small(&self, chunks: &[(Platform, u32, u16)]) -> BroadcastId {
        self.accept(0, Some(&draft(chunks, true, None)), None).await.unwrap().id
    }

    async fn step(&self, node: usize, id: BroadcastId, epoch: Epoch, draft: Draft, from: u32) -> Stepped {
        let step = Step::Stretch(ChunkNo(from), Box::new(draft));
        plan::write(&self.nodes[node].parts, id, epoch, LENGTH, &step).await.unwrap()
    }

    async fn shards(&self, id: BroadcastId) -> Vec<ShardRef> {
        let ready = self.nodes[1].ready(Some(id), Duration::ZERO, 1_000).await.unwrap();
        let shard = |work| match work {
            Work::Run(shard, _) => Some(shard),
            Work::Plan(_) => None,
        };
        ready.into_iter().filter_map(|ready| shard(ready.work)).collect()
    }

    async fn assert_conserved(&self) {
        assert!(self.nodes[1].conservation().await.unwrap().values().all(|difference| *difference == 0));
    }
}

const TWO: [(Platform, u32, u16); 2] = [(Platform::Apns, 0, 90), (Platform::Fcm, 1, 40)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_nodes_that_lease_one_shard_at_once_one_holds_it() {
    let bench = bench().await;
    for id in [bench.planned(draft(&TWO, false, None)).await, bench.small(&TWO).await] {
        for shard in bench.shards(id).await {
            let [first, second] = &bench.nodes;
            let (first, second) =
                tokio::join!(first.lease(shard, LENGTH, Suspected::Take), second.lease(shard, LENGTH, Suspected::Take));
            let (first, second) = (first.unwrap(), second.unwrap());
            let held = LeaseError::Held { until: START.plus(LENGTH) };
            assert!(
                (first.is_ok() && second.as_ref().is_err_and(|error| *error == held))
                    || (second.is_ok() && first.as_ref().is_err_and(|error| *error == held)),
                "{first:?} {second:?}"
            );
        }
        bench.assert_conserved().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_closes_at_once_end_the_broadcast_once() {
    let bench = bench().await;
    for round in 0..8 {
        let id = if round % 2 == 0 { bench.planned(draft(&TWO, false, None)).await } else { bench.small(&TWO).await };
        let shards = bench.shards(id).await;
        let [first, second] = &bench.nodes;
        let one = first.lease(shards[0], LENGTH, Suspected::Take).await.unwrap().unwrap();
        let other = second.lease(shards[1], LENGTH, Suspected::Take).await.unwrap().unwrap();
        // Both give the same new reason, which has one number in the end, and one cancels beside them.
        let why = Some(Reason::known("why"));
        let (one, other, wish) = tokio::join!(
            first.checkpoint(shards[0], one.epoch, close(&one, why.clone())),
            second.checkpoint(shards[1], other.epoch, close(&other, why.clone())),
            second.wish(bench.hub, id, Wish::Cancel),
        );
        let finished = [one, other].map(|reply| reply.unwrap().unwrap().finished);
        assert_ne!(finished[0], finished[1], "exactly one of them ends it");
        drop(wish);
        let broadcast = first.broadcast(bench.hub, id).await.unwrap().unwrap();
        assert!(broadcast.times.finished.is_some());
        assert_eq!((broadcast.counters().delivered, broadcast.counters().pending), (130, 0));
        let page = first.outcomes(bench.hub, id, OutcomeQuery { limit: 500, ..OutcomeQuery::default() }).await;
        let items = page.unwrap().unwrap().items;
        assert!(items.len() == 130 && items.iter().all(|item| item.reason.as_deref() == Some("why")));
        assert_eq!(bench.shards(id).await, []);
        bench.assert_conserved().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_lease_writes_nothing_on_any_node() {
    let bench = bench().await;
    for id in [bench.planned(draft(&TWO, false, None)).await, bench.small(&TWO).await] {
        let shard = bench.shards(id).await[0];
        let [first, second] = &bench.nodes;
        let lost = first.lease(shard, LENGTH, Suspected::Take).await.unwrap().unwrap();
        bench.clock.advance(LENGTH);
        let held = second.lease(shard, LENGTH, Suspected::Take).await.unwrap().unwrap();
        assert_eq!((held.strikes, &held.chunks), (1, &lost.chunks));
        let late = first.checkpoint(shard, lost.epoch, close(&lost, None)).await.unwrap();
        assert_eq!(late, Err(LeaseError::Fenced { asked: lost.epoch }));
        assert_eq!(first.broadcast(bench.hub, id).await.unwrap().unwrap().counters().delivered, 0);
        second.checkpoint(shard, held.epoch, close(&held, None)).await.unwrap().unwrap();
        bench.assert_conserved().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_planner_writes_nothing_and_a_step_is_written_once() {
    let bench = bench().await;
    let id = bench.accept(0, None, None).await.unwrap().id;
    let [first, second] = &bench.nodes;
    let lost = first.lease_plan(id, LENGTH).await.unwrap().unwrap();
    assert!(matches!(second.lease_plan(id, LENGTH).await.unwrap(), Err(LeaseError::Held { .. })));
    bench.clock.advance(LENGTH);
    let held = second.lease_plan(id, LENGTH).await.unwrap().unwrap();
    let stretch = || draft(&TWO, false, Some(5));
    assert!(matches!(bench.step(0, id, lost, stretch(), 0).await, Stepped::Refused(LeaseError::Fenced { .. })));
    assert!(matches!(bench.step(1, id, held, stretch(), 0).await, Stepped::Made { step, .. } if !step.done));
    assert!(matches!(bench.step(1, id, held, stretch(), 0).await, Stepped::Stale));
    // What was planned runs meanwhile, and does not end the broadcast.
    for shard in bench.shards(id).await {
        let work = first.lease(shard, LENGTH, Suspected::Take).await.unwrap().unwrap();
        assert!(!first.checkpoint(shard, work.epoch, close(&work, None)).await.unwrap().unwrap().finished);
    }
    let last = draft(&[(Platform::Apns, 5, 10)], false, None);
    assert!(matches!(bench.step(1, id, held, last, 5).await, Stepped::Made { step, .. } if step.done));
    let shards = bench.shards(id).await;
    assert_eq!(shards.len(), 1);
    let work = second.lease(shards[0], LENGTH, Suspected::Take).await.unwrap().unwrap();
    assert!(second.checkpoint(shards[0], work.epoch, close(&work, None)).await.unwrap().unwrap().finished);
    assert_eq!(second.broadcast(bench.hub, id).await.unwrap().unwrap().counters().delivered, 140);
    bench.assert_conserved().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_key_at_once_on_two_nodes_is_one_broadcast() {
    let bench = bench().await;
    for round in 0..6 {
        let key = format!("key {round}");
        let (one, other) = tokio::join!(bench.accept(0, None, Some((&key, 1))), bench.accept(1, None, Some((&key, 1))));
        let (one, other) = (one.unwrap(), other.unwrap());
        assert_eq!(one.id, other.id);
        assert_ne!(one.replayed, other.replayed);
        assert!(
            matches!(bench.accept(1, None, Some((&key, 2))).await, Err(AcceptError::KeyReused(id)) if id == one.id)
        );
    }
    assert_eq!(bench.nodes[0].broadcasts(bench.hub, None, 99).await.unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_kills_its_workers_is_found_alone() {
    let bench = bench().await;
    for id in [
        bench.planned(draft(&[(Platform::Apns, 0, 90)], false, None)).await,
        bench.small(&[(Platform::Apns, 0, 90)]).await,
    ] {
        let killer = Seq(37);
        let shard = bench.shards(id).await[0];
        for lease in 0.. {
            assert!(lease < 60, "it must come to an end");
            // Each time another node takes it: no process remembers anything.
            let node = &bench.nodes[lease % 2];
            let work = node.lease(shard, LENGTH, Suspected::Take).await.unwrap().unwrap();
            let mut checkpoint = close(&work, None);
            if work.narrowed {
                checkpoint.then = Handover::GiveBack { due: bench.clock.now() };
            }
            if let Some((seq, place)) = work.poison {
                assert_eq!((seq, place), (killer, Place::Pending));
                checkpoint.moves[0].to = Destination::Done { outcome: Outcome::Rejected, reason: Some(reason::POISON) };
            } else if work.chunks.iter().any(|work| work.pending.contains(killer.offset())) {
                bench.clock.advance(LENGTH);
                continue;
            }
            if node.checkpoint(shard, work.epoch, checkpoint).await.unwrap().unwrap().finished {
                break;
            }
        }
        let counters = bench.nodes[0].broadcast(bench.hub, id).await.unwrap().unwrap().counters();
        assert_eq!((counters.delivered, counters.rejected), (89, 1));
        bench.assert_conserved().await;
    }
}
