//! What the senders of all processes tell each other, through the store (`store::senders`).
//!
//! A worker notes a hold when it finds one out, and once; every process reads what is noted when the store's revision
//! has moved (`service::follow`). Releasing is the record's end: whoever knew it goes on. A probe is claimed first, so
//! that one process asks the service for all.

use std::sync::Arc;
use std::time::Duration;

use super::Worker;
use super::sender::Sender;
use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::store::{InsteadOf, Result, StoreError};

/// How long to wait before the store is told again what it could not take.
const AGAIN: Duration = Duration::from_secs(1);

pub(super) fn start(worker: &Arc<Worker>) {
    worker.tasks.spawn(tell(worker.clone()));
}

async fn tell(worker: Arc<Worker>) {
    loop {
        tokio::select! {
            () = worker.shutdown.cancelled() => return,
            () = worker.senders.news() => {}
        }
        while let Err(error) = tell_all(&worker).await {
            worker.trouble.say("cannot note what keeps a sender", &error);
            tokio::select! {
                () = worker.shutdown.cancelled() => return,
                () = tokio::time::sleep(AGAIN) => {}
            }
        }
    }
}

async fn tell_all(worker: &Worker) -> Result<()> {
    for ((hub, platform), sender) in worker.senders.all() {
        let Some(hold) = sender.untold() else { continue };
        match worker.store.hold_sender(hub, platform, hold.clone(), InsteadOf::Weaker).await {
            Ok(noted) => {
                let in_vain = sender.told(worker.clock.now(), &hold, &noted);
                if in_vain.is_some() {
                    release(worker, hub, platform, in_vain).await?;
                    continue;
                }
                worker.senders.note(hub, platform, noted.stands.map(|stands| stands.hold));
            }
            Err(StoreError::NoHub) => sender.nobody_to_tell(),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether this process may ask the service now whether a paused sender may go on.
pub(super) async fn claim_probe(worker: &Worker, hub: HubId, platform: Platform, sender: &Sender) -> bool {
    let Some(claim) = sender.probe_due(worker.clock.now()) else { return false };
    let instead_of = InsteadOf::Version(claim.version);
    match worker.store.hold_sender(hub, platform, claim.hold, instead_of).await {
        Ok(noted) => match noted.stands.filter(|_| noted.written) {
            Some(stands) => {
                worker.senders.note(hub, platform, Some(stands.hold.clone()));
                sender.claimed(stands.hold, stands.version);
                true
            }
            // Somebody else asks, or it was released; either is read in a moment.
            None => false,
        },
        Err(error) => {
            worker.trouble.say("cannot claim the probe of a paused sender", &error);
            false
        }
    }
}

/// Lets a sender go on everywhere; with `only`, if that version of its record stands. Answers whether it was paused.
pub(super) async fn release(worker: &Worker, hub: HubId, platform: Platform, only: Option<u64>) -> Result<bool> {
    let released = worker.store.release_sender(hub, platform, only).await?;
    if only.is_some() && released.is_none() {
        return Ok(false);
    }
    worker.senders.note(hub, platform, None);
    let was = released.is_some_and(|record| record.hold.is_paused());
    Ok(worker.senders.get(hub, platform).resume() || was)
}
