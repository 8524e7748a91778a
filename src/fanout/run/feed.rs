//! Feeding the gateway: picked targets become rows, rows become parcels of one request each, and these batches, at the pace
//! that is allowed.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use super::handed::HandedTemplates;
use super::ledger::Pick;
use super::parcels::{Message, Page, Parcel};
use crate::clock::BootInstant;
use crate::fanout::Worker;
use crate::fanout::active::Active;
use crate::fanout::pace::{Asker, Grant};
use crate::fanout::sender::Sender;
use crate::fanout::slots::Slot;
use crate::gateway::{Batch, Gateway, Reply, Targets};
use crate::model::broadcast::{BroadcastRequest, Lane};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{ChunkNo, HubId, Seq};
use crate::model::outcome::{Outcome, reason};
use crate::model::platform::Platform;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::store::{StoreError, TargetRow};

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
    pub content: Arc<BroadcastRequest>,
    pub message: Message,
    /// The end of the message's life.
    pub expires: Timestamp,
    pub handed: Arc<HandedTemplates>,
    pub user_bound: Option<u64>,
    pub deadline: BootInstant,
    pub replies: mpsc::UnboundedSender<Vec<Reply>>,
    pub slot: Slot,
    pub pick: Pick,
}

/// Where the rows of a pick come from.
pub(super) enum Rows {
    /// They were read with those of an earlier one.
    Read(Page),
    /// To be read, with some that follow.
    Unread(ChunkSet),
}

/// Targets that get nothing, and why.
pub(super) type Left = (Outcome, Reason, ChunkSet);

/// What was not handed to the gateway, and why. The rest of the pick will be answered.
pub(super) struct Fed {
    pub chunk: ChunkNo,
    pub slot: Slot,
    /// What may serve the next pick.
    pub page: Option<Page>,
    /// Waits again.
    pub unsent: ChunkSet,
    /// Left since the plan, or cannot be sent to.
    pub left: Vec<Left>,
    /// The pace does not allow more before that long.
    pub wait: Option<Duration>,
    pub failed: Option<StoreError>,
}

/// Starts feeding.
pub(super) fn start(order: Order, rows: Rows) -> Feed {
    Box::pin(feed(order, rows))
}

async fn feed(order: Order, rows: Rows) -> Fed {
    let worker = order.worker.clone();
    let chunk = order.pick.chunk;
    let page = match rows {
        Rows::Read(page) => page,
        Rows::Unread(set) => match Page::read(&worker, &order, chunk, set).await {
            Ok(page) => page,
            Err(error) => {
                let (wait, failed) = (Some(UNREADABLE_REST), Some(error));
                return Fed {
                    chunk,
                    slot: order.slot,
                    page: None,
                    unsent: order.pick.set,
                    left: Vec::new(),
                    wait,
                    failed,
                };
            }
        },
    };
    let now = worker.clock.now();
    let mut leavers = Leavers::default();
    let picked = order.pick.set.len() as usize;
    let mut sendable: Vec<(&TargetRow, &[u8])> = Vec::with_capacity(picked);
    let mut present: Vec<u16> = Vec::with_capacity(picked);
    let mut wanted = order.pick.set.iter().peekable();
    for (row, channel) in page.rows.iter_from(Seq::at(chunk, order.pick.set.first().unwrap_or_default())) {
        while wanted.next_if(|&offset| offset < row.seq.offset()).is_some() {}
        match wanted.peek() {
            None => break,
            Some(&offset) if offset == row.seq.offset() => {}
            Some(_) => continue,
        }
        present.push(row.seq.offset());
        if !leavers.take(row, now) {
            sendable.push((row, channel));
        }
    }
    let gone = order.pick.set.and_not(&present.into_iter().collect());
    let mut left = leavers.with_gone(gone);
    let (parcels, unsendable) = page.parcels(&order, &sendable);
    left.extend(unsendable);
    let mut waiting = Waiting::new(parcels);
    let mut slot = order.slot;

    let mut wait = None;
    let asker = Asker { id: order.active.id, weight: slot.weight };
    // Granted by the broadcast's pacer and not yet by the gateway's: asked for once, so that neither is overdrawn.
    let mut allowed = 0;
    while waiting.left > 0 {
        let rest = waiting.left;
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
                slot.used();
                continue;
            }
        };
        allowed -= granted;
        let granted = (granted as usize).min(rest);
        if stopped(&worker, &order.active, order.deadline) {
            break;
        }
        let mut granted = granted;
        let mut batches = Vec::new();
        while let Some((parcel, targets)) = waiting.take(granted) {
            granted -= targets.len();
            if let Some(template) = parcel.template
                && !order.active.has_delivered(order.platform, Some(template))
            {
                order.handed.note(chunk, template, targets.iter().map(|(seq, _)| seq.offset()).collect());
            }
            batches.push(Batch {
                request: parcel.request.clone(),
                targets,
                deadline: order.deadline,
                stop: order.active.stop.clone(),
                replies: order.replies.clone(),
            });
        }
        order.gateway.submit_all(batches).await;
    }
    let unsent = waiting.offsets();
    let page = (!unsent.is_empty() || page.outlasts(&order.pick.set)).then_some(page);
    Fed { chunk, slot, page, unsent, left, wait, failed: None }
}

/// Parcels that are not handed over yet, or not as a whole.
struct Waiting<'a> {
    parcels: Vec<Parcel<'a>>,
    /// The first that is not empty, and how far it is taken.
    at: usize,
    taken: usize,
    /// Targets in all.
    left: usize,
}

impl<'a> Waiting<'a> {
    fn new(parcels: Vec<Parcel<'a>>) -> Self {
        let left = parcels.iter().map(|parcel| parcel.targets.len()).sum();
        Self { parcels, at: 0, taken: 0, left }
    }

    /// Up to `most` targets of the next parcel.
    fn take(&mut self, most: usize) -> Option<(&Parcel<'a>, Targets)> {
        while self.parcels.get(self.at)?.targets.len() == self.taken {
            (self.at, self.taken) = (self.at + 1, 0);
        }
        let parcel = self.parcels.get(self.at)?;
        let next = &parcel.targets[self.taken..];
        let next = &next[..next.len().min(most)];
        if next.is_empty() {
            return None;
        }
        let mut targets = Targets::with_capacity(next.len());
        for (seq, channel) in next {
            targets.push(*seq, channel);
        }
        self.taken += next.len();
        self.left -= next.len();
        Some((parcel, targets))
    }

    fn offsets(&self) -> ChunkSet {
        let rest = self.parcels.iter().skip(self.at).enumerate();
        let rest = rest.flat_map(|(n, parcel)| &parcel.targets[if n == 0 { self.taken } else { 0 }..]);
        // In the order of their parcels, not of their seqs.
        let mut offsets: Vec<u16> = rest.map(|(seq, _)| seq.offset()).collect();
        offsets.sort_unstable();
        offsets.into_iter().collect()
    }
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
    fn take(&mut self, row: &TargetRow, now: Timestamp) -> bool {
        if row.expires.is_some_and(|expires| expires <= now) {
            self.expired.push(row.seq.offset());
            return true;
        }
        if row.user_changed {
            self.changed.push(row.seq.offset());
            return true;
        }
        false
    }

    fn with_gone(self, gone: ChunkSet) -> Vec<Left> {
        let sets = [
            (reason::GONE, gone),
            (reason::TARGET_EXPIRED, self.expired.into_iter().collect()),
            (reason::USER_CHANGED, self.changed.into_iter().collect()),
        ];
        let some = sets.into_iter().filter(|(_, set)| !set.is_empty());
        some.map(|(why, set)| (Outcome::Skipped, why, set)).collect()
    }
}
