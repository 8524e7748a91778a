//! Carrying wishes to the holders: pause, cancel, pace and expiry take effect on every node within a second.
//!
//! A poke says which broadcast to look at now; the look each second is what holds when pokes are lost.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;

use super::Worker;
use crate::model::id::BroadcastId;
use crate::queue::Poke;

/// How often standings are read without any poke. The rest of the second is for the read itself.
const LOOK_EVERY: Duration = Duration::from_millis(500);

pub(super) fn start(worker: &Arc<Worker>) {
    // Subscribed before the first look, so that a wish in between is not missed.
    let pokes = worker.queue.pokes();
    worker.tasks.spawn(follow(worker.clone(), pokes));
}

async fn follow(worker: Arc<Worker>, mut pokes: tokio::sync::broadcast::Receiver<Poke>) {
    loop {
        let poked = tokio::select! {
            () = worker.shutdown.cancelled() => return,
            poke = pokes.recv() => match poke {
                Ok(Poke(id)) => Some(id),
                Err(RecvError::Lagged(_)) => None,
                Err(RecvError::Closed) => return,
            },
            () = tokio::time::sleep(LOOK_EVERY) => None,
        };
        match poked {
            Some(id) => {
                look(&worker, &[id]).await;
                // A resumed broadcast has shards to run, a cancelled one shards to close.
                worker.refill(id).await;
            }
            None => {
                let held: Vec<_> = worker.actives.held().iter().map(|active| active.id).collect();
                look(&worker, &held).await;
            }
        }
    }
}

async fn look(worker: &Worker, ids: &[BroadcastId]) {
    if ids.is_empty() {
        return;
    }
    match worker.store.standings(ids).await {
        Ok(standings) => {
            for (id, standing) in standings {
                if let Some(active) = worker.actives.get(id) {
                    active.learn(standing);
                }
            }
        }
        Err(error) => worker.trouble.say("cannot read what broadcasts are to do", &error),
    }
}
