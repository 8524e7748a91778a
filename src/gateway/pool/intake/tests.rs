use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use super::*;
use crate::gateway::pool::job::RecentFields;
use crate::gateway::transport::{Addressed, Held, Judgement, RawAnswer, Resend, Service};
use crate::gateway::{Answer, Batch, Reply, SharedRequest, StopFlag, Targets};
use crate::model::id::{BroadcastId, Seq};

#[derive(Debug)]
struct Plain;

impl Service for Plain {
    fn id_field(&self) -> Option<&'static str> {
        None
    }
    fn never_indexed(&self, _field: &str) -> bool {
        false
    }
    fn address(&self, _request: &SharedRequest, _seq: Seq, _channel: &[u8], _out: &mut Addressed) {}
    fn authorize(&self, _held: &mut Held) {}
    fn judge(&self, _answer: &RawAnswer<'_>, _held: &mut Held) -> Judgement {
        Judgement::plain(Verdict::Delivered, None)
    }
}

struct Kit {
    intake: Arc<Intake>,
    replies: UnboundedReceiver<Vec<Reply>>,
    stop: StopFlag,
    outbox: Outbox,
}

const NOW: fn() -> BootInstant = || BootInstant::from_boot(Duration::from_secs(100));

impl Kit {
    /// One batch in each lane: seqs 0.. bulk, 1000.. transactional.
    async fn with(bulk: u64, transactional: u64) -> Self {
        let (tell, replies) = unbounded_channel();
        let kit =
            Self { intake: Arc::new(Intake::new(1)), replies, stop: StopFlag::default(), outbox: Outbox::default() };
        for (lane, seqs) in [(Lane::Bulk, 0..bulk), (Lane::Transactional, 1_000..1_000 + transactional)] {
            let mut targets = Targets::default();
            seqs.for_each(|seq| targets.push(Seq(seq), b"token"));
            let request = SharedRequest { headers: vec![], body: Bytes::new(), broadcast: BroadcastId::new(0), lane };
            let batch = Batch {
                request: Arc::new(request),
                targets,
                deadline: NOW().plus(Duration::from_secs(10)),
                stop: kit.stop.clone(),
                replies: tell.clone(),
            };
            let room = kit.intake.room(lane, batch.targets.len()).await.unwrap();
            let job = Job::new(batch, &RecentFields::default(), &Plain, NOW(), 1).unwrap();
            kit.intake.push(vec![job], room);
        }
        kit
    }

    fn take(&mut self, any: usize, bulk: usize, now: BootInstant) -> Vec<Item> {
        let mut into = Vec::new();
        self.intake.take(Room { any, bulk }, now, &mut into, &mut self.outbox);
        into
    }

    fn told(&mut self) -> Vec<(u64, Answer)> {
        self.outbox.flush();
        let mut told = Vec::new();
        while let Ok(pile) = self.replies.try_recv() {
            told.extend(pile.into_iter().map(|reply| (reply.seq.0, reply.what)));
        }
        told.sort_by_key(|(seq, _)| *seq);
        told
    }
}

fn seqs(items: &[Item]) -> Vec<u64> {
    items.iter().map(|item| item.target().0.0).collect()
}

#[tokio::test]
async fn transactional_goes_first_and_bulk_leaves_its_reserve() {
    let mut kit = Kit::with(5, 2).await;
    assert_eq!(seqs(&kit.take(4, 1, NOW())), [1_000, 1_001, 0]);
    assert_eq!(seqs(&kit.take(4, 0, NOW())), Vec::<u64>::new());
    assert_eq!(seqs(&kit.take(10, 10, NOW())), [1, 2, 3, 4]);
    assert!(!kit.intake.has_work());
}

#[tokio::test]
async fn what_comes_back_goes_before_what_is_fresh() {
    let mut kit = Kit::with(3, 0).await;
    let mut first = kit.take(1, 1, NOW());
    assert!(first[0].retry(Resend::Elsewhere));
    kit.intake.give_back(first.drain(..), &mut kit.outbox);
    assert_eq!(seqs(&kit.take(9, 9, NOW())), [0, 1, 2]);
}

#[tokio::test]
async fn a_stopped_or_late_batch_is_handed_back_whole_and_once() {
    let mut kit = Kit::with(3, 1).await;
    let first = kit.take(2, 1, NOW());
    kit.stop.raise();
    assert!(kit.take(9, 9, NOW()).is_empty());
    let stopped = |seq| (seq, Answer::Unsent(Unsent::Stopped));
    assert_eq!(kit.told(), [stopped(1), stopped(2)]);
    drop(first);
    let closed = |seq| (seq, Answer::Unsent(Unsent::Closed));
    assert_eq!(kit.told(), [closed(0), closed(1_000)], "an item that falls answers as it falls");

    let mut kit = Kit::with(2, 0).await;
    assert!(kit.take(9, 9, NOW().plus(Duration::from_secs(10))).is_empty());
    assert_eq!(kit.told(), [0, 1].map(|seq| (seq, Answer::Unsent(Unsent::Deadline))));
}

#[tokio::test]
async fn the_sweep_hands_back_what_is_given_up() {
    let mut kit = Kit::with(2, 0).await;
    let mut taken = kit.take(1, 1, NOW());
    assert!(taken[0].retry(Resend::Elsewhere));
    kit.intake.give_back(taken.drain(..), &mut kit.outbox);
    kit.intake.sweep(NOW(), |_| false, &mut kit.outbox);
    assert_eq!(kit.told(), []);
    kit.intake.sweep(NOW(), |_| true, &mut kit.outbox);
    let told = kit.told();
    assert!(matches!(told[0], (0, Answer::Verdict { verdict: Verdict::ConnSafe, written_at: None, .. })), "{told:?}");
    assert_eq!(told[1], (1, Answer::Unsent(Unsent::Unreachable)));
}

#[tokio::test]
async fn a_closed_intake_hands_everything_back() {
    let mut kit = Kit::with(2, 0).await;
    let taken = kit.take(1, 1, NOW());
    kit.intake.close();
    kit.intake.give_back(taken, &mut kit.outbox);
    assert_eq!(kit.told(), [0, 1].map(|seq| (seq, Answer::Unsent(Unsent::Closed))));
    assert!(kit.intake.room(Lane::Bulk, 1).await.is_none());
}

#[tokio::test]
async fn a_full_lane_does_not_fill_the_other() {
    let kit = Kit::with(0, 0).await;
    let held = kit.intake.room(Lane::Bulk, ROOM_PER_CONNECTION).await.unwrap();
    assert!(kit.intake.room[Lane::Bulk as usize].try_acquire().is_err());
    assert!(kit.intake.room(Lane::Transactional, 1_000).await.is_some());
    drop(held);
    assert!(kit.intake.room(Lane::Bulk, 1).await.is_some());
}

#[test]
fn bulk_leaves_one_stream_in_twenty() {
    let kept: Vec<_> = [0, 1, 2, 20, 39, 40, 100, 1_000].into_iter().map(reserved).collect();
    assert_eq!(kept, [0, 0, 1, 1, 1, 2, 5, 50]);
}
