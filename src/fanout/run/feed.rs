//! Feeding the gateway: picked targets become rows, rows become a batch, at the pace that is allowed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::ledger::Pick;
use crate::clock::BootInstant;
use crate::fanout::Worker;
use crate::fanout::active::Active;
use crate::fanout::pace::{Asker, Grant};
use crate::fanout::sender::Sender;
use crate::fanout::slots::Slot;
use crate::gateway::{Batch, Gateway, Reply, SharedRequest, Targets};
use crate::model::broadcast::{BroadcastRequest, Lane};
use crate::model::channel::Channel;
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, Seq};
use crate::model::outcome::{Outcome, reason};
use crate::model::platform::Platform;
use crate::model::target::TargetClass;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::store::{StoreError, TargetRow, TargetRows};

/// A shard that would wait longer than this for its pace is given back instead.
const LONGEST_PACE_WAIT: Duration = Duration::from_secs(1);

/// How long a shard rests whose rows cannot be read.
const UNREADABLE_REST: Duration = Duration::from_secs(1);

/// A feed under way.
pub(super) type Feed = Pin<Box<dyn Future<Output = Fed> + Send>>;

/// What is to be fed, and with what.
pub(super) struct Order {
    pub worker: Arc<Worker>,
    pub hub: HubId,
    pub platform: Platform,
    pub lane: Lane,
    pub active: Arc<Active>,
    pub sender: Arc<Sender>,
    pub gateway: Arc<dyn Gateway>,
    pub request: Arc<SharedRequest>,
    pub content: Arc<BroadcastRequest>,
    pub user_bound: Option<u64>,
    pub deadline: BootInstant,
    pub replies: mpsc::UnboundedSender<Vec<Reply>>,
    pub slot: Slot,
    pub pick: Pick,
}

/// What was not handed to the gateway, and why. The rest of the pick will be answered.
pub(super) struct Fed {
    pub chunk: ChunkNo,
    pub slot: Slot,
    /// Waits again.
    pub unsent: ChunkSet,
    /// Left since the plan.
    pub left: Vec<(Outcome, Reason, ChunkSet)>,
    /// The pace does not allow more before that long.
    pub wait: Option<Duration>,
    pub failed: Option<StoreError>,
}

/// Starts feeding.
pub(super) fn start(order: Order) -> Feed {
    Box::pin(feed(order))
}

async fn feed(order: Order) -> Fed {
    let Order { worker, pick, mut slot, .. } = order;
    let chunk = pick.chunk;
    let rows = match order.content.content.handles() {
        Some(handles) => Ok(bare(handles, order.platform, chunk, &pick.set)),
        None => worker.store.read_rows(order.hub, chunk, &pick.set).await,
    };
    let rows = match rows {
        Ok(rows) => rows,
        Err(error) => {
            let (wait, failed) = (Some(UNREADABLE_REST), Some(error));
            return Fed { chunk, slot, unsent: pick.set, left: Vec::new(), wait, failed };
        }
    };
    let now = worker.clock.now();
    let mut leavers = Leavers::default();
    let mut sendable: Vec<(Seq, &[u8])> = Vec::with_capacity(rows.len());
    let mut present: Vec<u16> = Vec::with_capacity(rows.len());
    for (row, channel) in rows.iter() {
        present.push(row.seq.offset());
        if !leavers.take(row, now, order.user_bound) {
            sendable.push((row.seq, channel));
        }
    }
    let gone = pick.set.and_not(&present.into_iter().collect());
    let left = leavers.with_gone(gone);

    let (mut handed, mut wait) = (0, None);
    let asker = Asker { id: order.active.id, weight: slot.weight };
    // Granted by the broadcast's pacer and not yet by the gateway's: asked for once, so that neither is overdrawn.
    let mut allowed = 0;
    while handed < sendable.len() {
        let rest = sendable.len() - handed;
        let grant = match allowed {
            0 => order.active.pacer.take(order.lane, asker, rest),
            allowed => Grant::Now(allowed),
        };
        let grant = match grant {
            Grant::Now(granted) => {
                allowed = granted;
                order.sender.pacer.take(order.lane, asker, granted as usize)
            }
            wait => wait,
        };
        let granted = match grant {
            Grant::Now(granted) => granted.min(allowed),
            Grant::After(pause) if pause > LONGEST_PACE_WAIT => {
                wait = Some(pause);
                break;
            }
            Grant::After(pause) => {
                // The slot is for those who can send now.
                drop(slot);
                tokio::select! {
                    () = tokio::time::sleep(pause) => {}
                    () = worker.shutdown.cancelled() => {}
                }
                slot = worker.slots.take((order.hub, order.platform, order.lane), asker.id, asker.weight).await;
                if stopped(&worker, &order.active, order.deadline) {
                    break;
                }
                continue;
            }
        };
        allowed -= granted;
        let granted = (granted as usize).min(rest);
        if stopped(&worker, &order.active, order.deadline) {
            break;
        }
        let mut targets = Targets::with_capacity(granted);
        for (seq, channel) in &sendable[handed..handed + granted] {
            targets.push(*seq, channel);
        }
        handed += granted;
        let batch = Batch {
            request: order.request.clone(),
            targets,
            deadline: order.deadline,
            stop: order.active.stop.clone(),
            replies: order.replies.clone(),
        };
        order.gateway.submit(batch).await;
    }
    let unsent = sendable[handed..].iter().map(|(seq, _)| seq.offset()).collect();
    Fed { chunk, slot, unsent, left, wait, failed: None }
}

/// Bare handles as rows that never change.
fn bare(handles: &[Channel], platform: Platform, chunk: ChunkNo, set: &ChunkSet) -> TargetRows {
    let mut rows = TargetRows::with_capacity(set.len() as usize);
    for seq in set.iter().map(|offset| Seq::at(chunk, offset)) {
        if let Some(handle) = usize::try_from(seq.0).ok().and_then(|at| handles.get(at)) {
            rows.push(seq, TargetClass::Native, platform, handle.bytes(), None, 0);
        }
    }
    rows
}

fn stopped(worker: &Worker, active: &Active, deadline: BootInstant) -> bool {
    active.stop.is_raised() || worker.shutdown.is_cancelled() || worker.clock.boot() >= deadline
}

/// Targets that are not the plan's any more (design.md 3.9).
#[derive(Default)]
struct Leavers {
    expired: Vec<u16>,
    changed: Vec<u16>,
}

impl Leavers {
    /// Whether this row is one of them.
    fn take(&mut self, row: &TargetRow, now: Timestamp, user_bound: Option<u64>) -> bool {
        if row.expires.is_some_and(|expires| expires <= now) {
            self.expired.push(row.seq.offset());
            return true;
        }
        if user_bound.is_some_and(|bound| row.user_mark > bound) {
            self.changed.push(row.seq.offset());
            return true;
        }
        false
    }

    fn with_gone(self, gone: ChunkSet) -> Vec<(Outcome, Reason, ChunkSet)> {
        let sets = [
            (reason::GONE, gone),
            (reason::TARGET_EXPIRED, self.expired.into_iter().collect()),
            (reason::USER_CHANGED, self.changed.into_iter().collect()),
        ];
        let some = sets.into_iter().filter(|(_, set)| !set.is_empty());
        some.map(|(why, set)| (Outcome::Skipped, why, set)).collect()
    }
}
