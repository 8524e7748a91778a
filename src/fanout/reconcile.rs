//! The reconciler: the store is the truth, the queue is a messenger that may lose everything.
//!
//! Each round it queues what is unfinished, unheld and due soon. The queue knows what it holds already, and taking work
//! is a compare-and-set, so a round too many does nothing. Of the nodes that share a queue one makes the round, whoever
//! comes first; when the queue has lost what it held, the node that learns it makes one at once.

use std::sync::Arc;
use std::time::Duration;

use super::Worker;

const CANNOT_LOOK: &str = "cannot look for unfinished work";

/// How far ahead due work is queued.
pub(super) const HORIZON: Duration = Duration::from_secs(5);

pub(super) fn start(worker: &Arc<Worker>) {
    let worker = worker.clone();
    worker.tasks.clone().spawn(async move {
        loop {
            let every = worker.settings.reconcile_every;
            match worker.queue.reconcile_turn(every).await {
                Ok(true) => once(&worker).await,
                Ok(false) => {}
                // The store need not be read for a queue that takes nothing.
                Err(error) => tracing::debug!(%error, "nothing can be queued now"),
            }
            tokio::select! {
                () = worker.shutdown.cancelled() => return,
                () = tokio::time::sleep(every) => {}
                () = worker.queue.lost() => once(&worker).await,
            }
        }
    });
}

/// One round.
pub(super) async fn once(worker: &Worker) {
    match worker.store.ready(None, HORIZON, worker.window()).await {
        Ok(work) => {
            worker.trouble.over(CANNOT_LOOK);
            worker.publish(work).await;
        }
        Err(error) => worker.trouble.say(CANNOT_LOOK, &error),
    }
}
