//! Recording what became of targets, renewing the lease with it, and handing the shard over at the end.

use std::pin::Pin;
use std::time::Duration;

use super::ledger::Unrecorded;
use super::{Ended, Run};
use crate::clock::BootInstant;
use crate::model::outcome::Outcome;
use crate::model::shard::LeaseError;
use crate::model::time::Timestamp;
use crate::store::{Checkpoint, CheckpointReply, Destination, Handover, Judgement, Result};

/// Answers are recorded at the latest this long after the first that is not; half of what design.md 3.4 allows, the
/// other half is for the commit.
const RECORD_WITHIN: Duration = Duration::from_millis(100);

/// A shard whose sender is paused is looked at again after this long at the latest.
const PAUSED_LOOK: Duration = Duration::from_secs(5);

/// How long to wait before a checkpoint that the store could not take is tried again.
const STORE_RETRY: Duration = Duration::from_millis(100);

/// A checkpoint under way: what it took out of the ledger, and the store's answer.
pub(super) type Saving =
    Pin<Box<dyn Future<Output = (Unrecorded, Result<Result<CheckpointReply, LeaseError>>)> + Send>>;

impl Run {
    /// Whether a checkpoint is due: enough answers, or old enough ones, or a lease to renew.
    pub(super) fn should_record(&self) -> bool {
        let unrecorded = self.ledger.unrecorded();
        let boot = self.worker.clock.boot();
        let old = self.unrecorded_since.is_some_and(|since| boot >= since.plus(RECORD_WITHIN));
        // A checkpoint costs what sending to some hundred targets does: not too often. The last quarter of the credit is what
        // the connections go on with meanwhile.
        let credit = self.worker.settings.checkpoint_every;
        let enough = (credit - credit / 4).max(1);
        (unrecorded > 0 && (unrecorded >= enough || old)) || boot >= self.renew_at()
    }

    /// A third of the lease is gone by then.
    fn renew_at(&self) -> BootInstant {
        self.deadline.minus(self.worker.settings.lease.mul_f64(2.0 / 3.0))
    }

    /// How long the run may wait for others before it must look at the time again.
    pub(super) fn wake_after(&self, saving: bool) -> Duration {
        let (boot, now) = (self.worker.clock.boot(), self.worker.clock.now());
        let mut wake = self.deadline.after(boot);
        if self.standing.expires > now {
            wake = wake.min(self.standing.expires.since(now));
        }
        if !saving {
            wake = wake.min(self.renew_at().after(boot));
            if let Some(since) = self.unrecorded_since {
                wake = wake.min(since.plus(RECORD_WITHIN).after(boot));
            }
        }
        wake.clamp(Duration::from_millis(1), Duration::from_secs(1))
    }

    /// Starts a checkpoint with all that is unrecorded. A renewed lease runs from before the call.
    pub(super) fn record(&mut self, then: Handover) -> Saving {
        if let Handover::Keep { length } = then {
            self.renewed = self.worker.clock.boot().plus(length);
        }
        let taken = self.ledger.take_unrecorded();
        self.unrecorded_since = None;
        let checkpoint = Checkpoint {
            moves: taken.moves.clone(),
            judge: self.judgement(&taken, then),
            evidence: taken.evidence.clone(),
            retries: taken.retries,
            then,
        };
        let (worker, shard, epoch, deadline) = (self.worker.clone(), self.shard, self.epoch, self.deadline);
        Box::pin(async move {
            loop {
                match worker.store.checkpoint(shard, epoch, checkpoint.clone()).await {
                    // Nothing was applied; the same checkpoint may work while the lease stands.
                    Err(error) if error.is_passing() && worker.clock.boot() < deadline => {
                        worker.trouble.say("cannot record a checkpoint yet", &error);
                        tokio::time::sleep(STORE_RETRY).await;
                    }
                    answer => return (taken, answer),
                }
            }
        })
    }

    /// How staged removals are judged now (design.md 3.8): those with the service's own time at once; the others once
    /// the breaker has seen enough, at the latest when the shard closes.
    fn judgement(&self, taken: &Unrecorded, then: Handover) -> Option<Judgement> {
        let any = self.ledger.has_staged() || !taken.evidence.is_empty();
        match then {
            _ if !any => None,
            Handover::Close if self.sender.breaker.believes() => Some(Judgement::All),
            Handover::Close => Some(Judgement::KeepUntimed),
            Handover::GiveBack { .. } if self.sender.breaker.believes() => Some(Judgement::All),
            _ => taken.evidence.iter().any(|evidence| evidence.timed).then_some(Judgement::TimedOnly),
        }
    }

    /// Takes the store's answer; `false` when the lease is lost.
    pub(super) fn take_recorded(
        &mut self,
        taken: Unrecorded,
        answer: Result<Result<CheckpointReply, LeaseError>>,
    ) -> bool {
        match answer {
            Ok(Ok(reply)) => {
                self.deadline = self.renewed;
                self.count(&taken, &reply);
                self.ledger.recorded(taken);
                self.ledger.judged(reply.dropped + reply.kept);
                self.active.learn(reply.standing);
                if reply.finished {
                    tracing::info!(broadcast = %self.shard.broadcast, "broadcast finished");
                }
                true
            }
            Ok(Err(error)) => {
                tracing::warn!(shard = %self.shard, %error, "lost the lease of a shard");
                false
            }
            Err(error) => {
                tracing::error!(shard = %self.shard, %error, "cannot record a checkpoint");
                false
            }
        }
    }

    fn count(&self, taken: &Unrecorded, reply: &CheckpointReply) {
        let meter = &self.worker.meter;
        for moved in &taken.moves {
            let targets = u64::from(moved.set.len());
            match &moved.to {
                Destination::Done { outcome, .. } => meter.outcomes(self.hub, self.platform, *outcome, targets),
                Destination::Retry { .. } => meter.retries(self.hub, self.platform, targets),
            }
        }
        meter.outcomes(self.hub, self.platform, Outcome::Dropped, reply.dropped);
        meter.outcomes(self.hub, self.platform, Outcome::Rejected, reply.kept);
    }

    /// The last checkpoint: closes the shard when nothing waits any more, else gives it back until it is worth taking. One
    /// of which we had a part only is always given back: what else is in it, whoever takes it next learns.
    /// Nothing is with the gateway when this is called.
    pub(super) async fn hand_over(mut self, shutting_down: bool) -> Ended {
        if let Some(end) = self.closing() {
            self.ledger.end_waiting(&end);
        }
        let then = if self.ledger.nothing_waits() && !self.narrowed {
            Handover::Close
        } else {
            Handover::GiveBack { due: self.due_again(shutting_down) }
        };
        let (taken, answer) = self.record(then).await;
        if !self.take_recorded(taken, answer) {
            return Ended::Lost;
        }
        match then {
            Handover::GiveBack { due } => Ended::GivenBack { due },
            _ => Ended::Closed,
        }
    }

    /// When the shard is worth taking again.
    fn due_again(&self, shutting_down: bool) -> Timestamp {
        let now = self.worker.clock.now();
        if shutting_down {
            return now;
        }
        let sender = self.sender.blocked(now).map(|hold| match hold.is_paused() {
            // Somebody may resume it earlier than any time it names.
            true => now.plus(PAUSED_LOOK),
            false => hold.until,
        });
        let retries = if self.narrowed || self.ledger.can_pick(now) { None } else { self.ledger.next_due() };
        [sender, self.not_before, retries].into_iter().flatten().fold(now, Timestamp::max)
    }
}
