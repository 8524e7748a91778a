//! Fanfare's gateway, used as a worker uses it: batches of 1,000 targets go in, replies are counted by verdict, and
//! delivered targets move from one set to another, chunk by chunk.
use std::sync::Arc;

use anyhow::Context;
use fanfare::{
    clock::{BootInstant, Clock, SystemClock},
    gateway::{
        Answer, BATCH_TARGETS, Batch, Gateway, Reply, SharedRequest, StopFlag, Targets,
        apns::{ApnsAuth, ApnsGateway, ApnsSettings, Mints, Shared},
        connect::Client,
        pool::Tuning,
        senders::Senders,
        transport::GatewayMeter,
    },
    model::{
        broadcast::{BroadcastRequest, Content, Lane, Payloads, Priority},
        chunk_set::ChunkSet,
        id::{BroadcastId, ChunkNo, Seq},
        platform::Platform,
        verdict::Verdict,
    },
};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::Tally;
use crate::{
    compare::{Done, Reading, Task},
    devices::Devices,
};

const HOUR: std::time::Duration = std::time::Duration::from_hours(1);

/// Does the task through a gateway on this client: device numbers are seqs.
///
/// # Errors
/// When the gateway cannot be opened.
pub async fn send(task: &Task, client: Client) -> anyhow::Result<Done> {
    let clock = SystemClock::shared();
    let shared = Shared {
        clock: Arc::clone(&clock),
        mints: Mints::new(Arc::clone(&clock)),
        senders: Senders::start_with(1, client)?,
    };
    let key = std::fs::read_to_string(&task.key_file)?;
    let ca = std::fs::read_to_string(&task.ca_file)?;
    let settings = ApnsSettings::new(&task.endpoint, &task.topic, ApnsAuth::token(&task.team_id, &task.key_id, &key)?)?
        .with_ca(Some(&ca))
        .with_connections(task.connections)?
        .with_tuning(Tuning { streams: task.streams, stagger: std::time::Duration::ZERO, ..Tuning::default() });
    let gateway = ApnsGateway::open(&settings, &shared, Arc::new(GatewayMeter::default()))?;
    let run = Run {
        request: Arc::new(prepared(&gateway, task)?),
        gateway: &gateway,
        devices: Devices::new(task.seed),
        deadline: SystemClock.boot().plus(HOUR),
    };
    let mut ledger = Ledger::planned(task.warm_up + task.requests);
    run.send(0, task.warm_up, &mut ledger).await?;
    let start = Reading::now();
    run.send(task.warm_up, task.requests, &mut ledger).await?;
    let done = start.done(ledger.tally.into_owned());
    gateway.close(std::time::Duration::from_secs(5)).await;
    Ok(done)
}

fn prepared(gateway: &ApnsGateway, task: &Task) -> anyhow::Result<SharedRequest> {
    let request = BroadcastRequest {
        audience: String::new(),
        content: Content::Payloads(Payloads::from([(Platform::Apns.label().to_owned(), task.body.clone())])),
        ttl_seconds: 3_600,
        collapse_key: None,
        priority: Priority::High,
        lane: Lane::Bulk,
        weight: 1,
        rate_per_second: 0,
        schedule_at: None,
    };
    let now = SystemClock.now();
    Ok(gateway.prepare(BroadcastId::new(now.millis().unsigned_abs()), &request, now.plus(HOUR))?)
}

struct Run<'a> {
    gateway: &'a ApnsGateway,
    request: Arc<SharedRequest>,
    devices: Devices,
    deadline: BootInstant,
}

impl Run<'_> {
    /// Sends to so many devices and waits for the word on each.
    async fn send(&self, from: u64, count: u64, ledger: &mut Ledger) -> anyhow::Result<()> {
        let (tell, replies) = unbounded_channel();
        let until = ledger.tally.total() + count;
        let (_, taken) = tokio::join!(self.submit(from, from + count, tell), ledger.take_until(until, replies));
        taken
    }

    async fn submit(&self, from: u64, end: u64, replies: UnboundedSender<Vec<Reply>>) {
        let stop = StopFlag::default();
        for first in (from..end).step_by(BATCH_TARGETS) {
            let mut targets = Targets::with_capacity(BATCH_TARGETS);
            for number in first..end.min(first + BATCH_TARGETS as u64) {
                targets.push(Seq(number), &self.devices.token(number));
            }
            let (request, stop, replies) = (Arc::clone(&self.request), stop.clone(), replies.clone());
            self.gateway.submit(Batch { request, targets, deadline: self.deadline, stop, replies }).await;
        }
    }
}

/// What is known of each target.
struct Ledger {
    tally: Tally,
    pending: Vec<ChunkSet>,
    delivered: Vec<ChunkSet>,
}

impl Ledger {
    /// Targets `0..count` are pending.
    fn planned(count: u64) -> Self {
        let last = Seq(count.saturating_sub(1));
        let full = (0..last.chunk().0).map(|_| ChunkSet::full());
        let pending: Vec<_> = full.chain([ChunkSet::from_range(0..=last.offset())]).collect();
        let delivered = pending.iter().map(|_| ChunkSet::default()).collect();
        Self { tally: Tally::default(), pending, delivered }
    }

    async fn take_until(&mut self, total: u64, mut replies: UnboundedReceiver<Vec<Reply>>) -> anyhow::Result<()> {
        while self.tally.total() < total {
            let pile = replies.recv().await.context("the gateway forgot a target")?;
            self.take(pile);
            while let Ok(pile) = replies.try_recv() {
                self.take(pile);
            }
        }
        Ok(())
    }

    /// Nearly every reply is a delivery, and they come in runs of one chunk.
    fn take(&mut self, pile: Vec<Reply>) {
        let mut chunks: Vec<(ChunkNo, Vec<u16>)> = Vec::new();
        let length = pile.len();
        for Reply { seq, what } in pile {
            match what {
                Answer::Verdict { verdict: Verdict::Delivered, .. } => {
                    match chunks.iter_mut().rfind(|(chunk, _)| *chunk == seq.chunk()) {
                        Some((_, offsets)) => offsets.push(seq.offset()),
                        None => {
                            let mut offsets = Vec::with_capacity(length);
                            offsets.push(seq.offset());
                            chunks.push((seq.chunk(), offsets));
                        }
                    }
                }
                Answer::Verdict { verdict, .. } => self.tally.add(verdict.label(), 1),
                Answer::Unsent(_) => self.tally.add("unsent", 1),
            }
        }
        for (chunk, offsets) in chunks {
            let set: ChunkSet = offsets.into_iter().collect();
            let Some((pending, delivered)) =
                usize::try_from(chunk.0).ok().and_then(|at| self.pending.get_mut(at).zip(self.delivered.get_mut(at)))
            else {
                continue;
            };
            // One that is not pending was told twice, or never asked for.
            let fresh = u64::from(pending.and_len(&set));
            self.tally.add(super::super::DELIVERED, fresh);
            pending.subtract(&set);
            delivered.union_with(&set);
        }
    }
}
