//! Running one shard: from its lease to its close.
//!
//! A run is one task. It holds the shard's [`ledger`](ledger), feeds the gateway up to its credit, takes the answers,
//! decides each target's [`fate`](fate) and records it. It never evaluates an audience and holds nothing that grows
//! with one.
//!
//! What it promises (design.md 3.4, 3.5):
//!
//! - Targets handed over and not yet recorded never exceed `checkpoint_every`; it stalls rather than exceed it.
//! - What is answered is recorded within 200 ms.
//! - After its lease it starts nothing and writes nothing: batches carry the lease's deadline, the store refuses the
//!   epoch.
//! - A shard that cannot send now is given back with a due time.
//! - Of a shard that is suspected of killing its workers it sends the part that it was given, no other suspected shard
//!   beside it, and gives the shard back; a target found to be the killer it rejects.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, mpsc, watch};

use futures_util::future::OptionFuture;

use super::Worker;
use super::active::Active;
use super::sender::Sender;
use super::slots::Slot;
use crate::clock::BootInstant;
use crate::gateway::{BATCH_TARGETS, Gateway, Reply};
use crate::model::broadcast::{BroadcastRequest, Content, Lane, closing};
use crate::model::id::{Epoch, HubId, ShardRef};
use crate::model::outcome::{Outcome, reason};
use crate::model::platform::Platform;
use crate::model::template::Properties;
use crate::model::time::Timestamp;
use crate::model::verdict::Reason;
use crate::store::{Destination, Handover, ShardWork, Standing};

mod answers;
pub mod fate;
mod feed;
mod handed;
pub mod ledger;
mod parcels;
mod record;

use feed::{Fed, Feed, Rows};
use handed::HandedTemplates;
use ledger::Ledger;
use parcels::{Message, Page};
use record::Saving;

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Nothing is pending any more.
    Closed,
    /// Somebody may take it from then on.
    GivenBack { due: Timestamp },
    /// The lease was lost, or the store failed; whoever leases it next goes on from the last checkpoint.
    Lost,
}

/// One run of one shard.
pub(super) struct Run {
    worker: Arc<Worker>,
    shard: ShardRef,
    hub: HubId,
    platform: Platform,
    epoch: Epoch,
    user_bound: Option<u64>,
    /// Only a part of the shard is ours: it is given back after it.
    narrowed: bool,
    /// Held by the one suspected shard that this process sends for at a time.
    _alone: Option<OwnedSemaphorePermit>,
    active: Arc<Active>,
    sender: Arc<Sender>,
    gateway: Option<Arc<dyn Gateway>>,
    message: Option<Message>,
    content: Arc<BroadcastRequest>,
    /// Templates with the gateway of which nothing was delivered yet.
    handed: Arc<HandedTemplates>,
    ledger: Ledger,
    /// When the lease ends.
    deadline: BootInstant,
    /// When it ends once the checkpoint under way is recorded.
    renewed: BootInstant,
    standing: Standing,
    news: watch::Receiver<Option<Standing>>,
    slot: Option<Slot>,
    /// Why the rest is rejected, if it is.
    condemned: Option<Reason>,
    /// When the oldest unrecorded answer came.
    unrecorded_since: Option<BootInstant>,
    /// Set when a feed found that it cannot go on before then.
    not_before: Option<Timestamp>,
    /// Rows that were read ahead.
    page: Option<Page>,
    /// How many rows are read at once: as many as are used while they may be.
    read: usize,
    replies_in: mpsc::UnboundedSender<Vec<Reply>>,
}

/// The most rows that are read at once: some hundred kilobytes a shard in flight.
const READ_TARGETS: usize = 4 * BATCH_TARGETS;

impl Run {
    pub(super) fn new(
        worker: Arc<Worker>,
        shard: ShardRef,
        work: ShardWork,
        deadline: BootInstant,
        active: Arc<Active>,
        slot: Slot,
        alone: Option<OwnedSemaphorePermit>,
    ) -> (Self, mpsc::UnboundedReceiver<Vec<Reply>>) {
        // Unbounded, but bounded by the credit: at most that many targets are ever with the gateway.
        let (replies_in, replies) = mpsc::unbounded_channel();
        active.learn(work.standing);
        let sender = worker.senders.get(work.hub, work.platform);
        sender.pacer.set(worker.gateways.rate_per_second(work.hub, work.platform));
        let condemned = active.condemned(work.platform, None);
        let mut ledger = Ledger::new(work.chunks);
        if let Some((seq, _)) = work.poison {
            tracing::error!(%shard, %seq, "a target kills its workers: it is rejected");
            // It is all that the lease is for.
            ledger.end_waiting(&Destination::Done { outcome: Outcome::Rejected, reason: Some(reason::POISON) });
        }
        let mut run = Self {
            shard,
            hub: work.hub,
            platform: work.platform,
            epoch: work.epoch,
            user_bound: work.user_bound,
            narrowed: work.narrowed,
            _alone: alone,
            news: active.watch(),
            active,
            sender,
            gateway: None,
            message: None,
            content: work.request,
            handed: Arc::default(),
            ledger,
            deadline,
            renewed: deadline,
            standing: work.standing,
            slot: Some(slot),
            condemned,
            unrecorded_since: None,
            not_before: None,
            page: None,
            read: BATCH_TARGETS,
            replies_in,
            worker,
        };
        run.find_gateway();
        (run, replies)
    }

    /// Looks up the hub's gateway and has it prepare the request: at the start, and when the gateway was closed because
    /// its settings changed.
    fn find_gateway(&mut self) {
        self.gateway = self.worker.gateways.gateway(self.hub, self.platform);
        let Some(gateway) = &self.gateway else {
            self.condemned = Some(reason::no_gateway(self.platform));
            return;
        };
        let gateway = gateway.clone();
        self.prepare(&gateway);
    }

    /// Has the gateway prepare the request, or takes what it prepared a moment ago. What templates make is prepared when
    /// their rows are read.
    fn prepare(&mut self, gateway: &Arc<dyn Gateway>) {
        if let Content::Template(properties) = &self.content.content {
            if self.message.is_none() {
                self.message = Some(Message::Template(Arc::new(Properties::new(properties))));
            }
            return;
        }
        let prepare = || gateway.prepare(self.shard.broadcast, &self.content, self.standing.expires);
        match self.active.prepared(gateway, None, prepare) {
            Ok(request) => self.message = Some(Message::Native(request)),
            Err(why) => self.condemned = Some(why),
        }
    }

    /// Runs until the shard is closed, given back or lost.
    pub(super) async fn run(mut self, mut replies: mpsc::UnboundedReceiver<Vec<Reply>>) -> Ended {
        let mut feed: Option<Feed> = None;
        let mut saving: Option<Saving> = None;
        let shutdown = self.worker.shutdown.clone();
        loop {
            if self.worker.clock.boot() >= self.deadline {
                // Nothing may be written any more; what is under way at the gateway stops by its own deadline.
                return Ended::Lost;
            }
            self.look_around();
            let may_send = !self.must_stop(shutdown.is_cancelled());
            if feed.is_none() && may_send {
                feed = self.start_feed();
            }
            if saving.is_none() {
                let idle = feed.is_none() && self.ledger.handed() == 0;
                if idle && (!may_send || !self.ledger.can_pick(self.worker.clock.now())) {
                    return self.hand_over(shutdown.is_cancelled()).await;
                }
                if self.should_record() {
                    saving = Some(self.record(Handover::Keep { length: self.worker.settings.lease }));
                }
            }
            let wake = self.wake_after(saving.is_some());
            tokio::select! {
                Some(batch) = replies.recv() => {
                    self.take_replies(batch);
                    // What else has come is taken in the same turn.
                    while let Ok(batch) = replies.try_recv() {
                        self.take_replies(batch);
                    }
                }
                Some(fed) = OptionFuture::from(feed.as_mut()) => {
                    feed = None;
                    self.take_fed(fed);
                }
                Some((taken, answer)) = OptionFuture::from(saving.as_mut()) => {
                    saving = None;
                    if !self.take_recorded(taken, answer) {
                        return Ended::Lost;
                    }
                }
                // `active` holds the other end, so this never fails.
                _ = self.news.changed() => {}
                () = shutdown.cancelled(), if !shutdown.is_cancelled() => {}
                () = tokio::time::sleep(wake) => {}
            }
        }
    }

    /// Takes in what others have found out meanwhile.
    fn look_around(&mut self) {
        if let Some(standing) = *self.news.borrow_and_update() {
            self.standing = standing;
        }
        if self.condemned.is_none() {
            self.condemned = self.active.condemned(self.platform, None);
        }
        // Condemnation is for one platform; the flag is the broadcast's.
        if closing(self.standing.wish, self.standing.expires, self.worker.clock.now()).is_some() {
            self.active.stop.raise();
        }
    }

    /// What becomes of all that waits, when the broadcast is to be closed rather than sent.
    fn closing(&self) -> Option<Destination> {
        let now = self.worker.clock.now();
        if let Some(outcome) = closing(self.standing.wish, self.standing.expires, now) {
            let why = if outcome == Outcome::Expired { reason::TTL } else { reason::CANCELLED };
            return Some(Destination::Done { outcome, reason: Some(why) });
        }
        let condemned = self.condemned.clone()?;
        Some(Destination::Done { outcome: Outcome::Rejected, reason: Some(condemned) })
    }

    /// Whether nothing more may be handed over now.
    fn must_stop(&self, shutting_down: bool) -> bool {
        let now = self.worker.clock.now();
        shutting_down
            || self.active.stop.is_raised()
            || self.condemned.is_some()
            || self.not_before.is_some_and(|not_before| not_before > now)
            || self.sender.blocked(now).is_some()
    }

    fn start_feed(&mut self) -> Option<Feed> {
        let gateway = self.gateway.clone()?;
        self.prepare(&gateway);
        let message = self.message.clone()?;
        let credit = self.worker.settings.checkpoint_every.saturating_sub(self.ledger.credit_used());
        // Rows are read at most about a second ahead of the pace (design.md 3.9).
        let ahead = self.active.pacer.ahead().min(self.sender.pacer.ahead());
        let most = usize::try_from(credit).unwrap_or(usize::MAX).min(BATCH_TARGETS).min(ahead);
        if most == 0 {
            return None;
        }
        let slot = self.slot.take()?;
        let Some(pick) = self.ledger.pick(self.worker.clock.now(), most) else {
            self.slot = Some(slot);
            return None;
        };
        self.count_first_send(self.content.lane);
        let rows = self.rows_of(&pick, ahead);
        let order = feed::Order {
            worker: self.worker.clone(),
            hub: self.hub,
            platform: self.platform,
            lane: self.content.lane,
            active: self.active.clone(),
            sender: self.sender.clone(),
            gateway,
            content: self.content.clone(),
            message,
            expires: self.standing.expires,
            handed: self.handed.clone(),
            user_bound: self.user_bound,
            deadline: self.deadline,
            replies: self.replies_in.clone(),
            slot,
            pick,
        };
        Some(feed::start(order, rows))
    }

    /// The rows of a pick, or what to read for it.
    fn rows_of(&mut self, pick: &ledger::Pick, ahead: usize) -> Rows {
        match self.page.take() {
            Some(page) if page.serves(pick, self.worker.clock.boot()) => return Rows::Read(page),
            // What was read in vain is read once more.
            Some(_) => self.read = (self.read / 2).max(BATCH_TARGETS),
            None => self.read = (self.read * 2).min(READ_TARGETS),
        }
        Rows::Unread(self.ledger.following(pick, self.read.min(ahead)))
    }

    /// Measures how long the broadcast waited, when these are its first targets here.
    fn count_first_send(&self, lane: Lane) {
        let now = self.worker.clock.now();
        let lifetime = i64::from(self.content.ttl_seconds) * 1_000;
        let due = Timestamp::from_millis(self.standing.expires.millis().saturating_sub(lifetime));
        if self.worker.begun.begins(self.active.id, due) {
            self.worker.meter.first_send(lane, now.since(due));
        }
    }

    fn take_fed(&mut self, fed: Fed) {
        self.slot = Some(fed.slot);
        self.page = fed.page;
        self.ledger.put_back_set(fed.chunk, &fed.unsent);
        for (outcome, why, set) in fed.left {
            let to = Destination::Done { outcome, reason: Some(why) };
            self.ledger.settle_set(fed.chunk, &set, &to, false);
            self.mark_unrecorded();
        }
        if let Some(wait) = fed.wait {
            self.not_before = Some(self.worker.clock.now().plus(wait));
        }
        if let Some(error) = fed.failed {
            self.worker.trouble.say("cannot read the rows of a chunk", &error);
        }
    }
}
