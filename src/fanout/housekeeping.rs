//! What is done beside the sending: folding, sweeping, measuring, and asking services whether a paused sender may go on.

use std::sync::Arc;
use std::time::Duration;

use super::sender::Sender;
use super::{Worker, holds};
use crate::gateway::Probe;
use crate::model::broadcast::Lane;
use crate::model::id::HubId;
use crate::model::platform::Platform;
use crate::store::Result;

const FOLD_EVERY: Duration = Duration::from_secs(1);
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const MEASURE_EVERY: Duration = Duration::from_secs(5);
const PROBE_EVERY: Duration = Duration::from_secs(1);

pub(super) fn start(worker: &Arc<Worker>) {
    for job in [Job::Fold, Job::Sweep, Job::Measure, Job::Probe] {
        worker.tasks.spawn(repeat(worker.clone(), job));
    }
}

#[derive(Clone, Copy, Debug)]
enum Job {
    Fold,
    Sweep,
    Measure,
    Probe,
}

impl Job {
    /// How long it rests. What concerns the store as a whole is done by all workers in turn, so that more of them do not
    /// do it more often; each rests a little more or less, so that they do not meet.
    fn every(self, worker: &Worker) -> Duration {
        let alone = match self {
            Self::Fold => FOLD_EVERY,
            Self::Sweep => SWEEP_EVERY,
            Self::Measure => MEASURE_EVERY,
            Self::Probe => return PROBE_EVERY,
        };
        match u32::try_from(worker.queue.workers()).unwrap_or(u32::MAX) {
            ..=1 => alone,
            workers => alone.saturating_mul(workers).mul_f64(0.8 + fastrand::f64() * 0.4),
        }
    }

    /// What a failure of it means.
    const fn cannot(self) -> &'static str {
        match self {
            Self::Fold => "cannot fold the index",
            Self::Sweep => "cannot sweep what is over",
            Self::Measure => "cannot measure conservation",
            Self::Probe => "cannot probe paused senders",
        }
    }
}

async fn repeat(worker: Arc<Worker>, job: Job) {
    loop {
        let every = job.every(&worker);
        let more = match job {
            Job::Fold => worker.store.fold().await,
            Job::Sweep => worker.store.sweep().await,
            Job::Measure => measure(&worker).await.map(|()| false),
            Job::Probe => {
                probe(&worker).await;
                Ok(false)
            }
        };
        let rest = match more {
            Ok(true) => Duration::from_millis(1),
            Ok(false) => every,
            Err(error) => {
                worker.trouble.say(job.cannot(), &error);
                every
            }
        };
        tokio::select! {
            () = worker.shutdown.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
    }
}

async fn measure(worker: &Worker) -> Result<()> {
    let now = worker.clock.now();
    for lane in Lane::ALL {
        if let Ok(oldest) = worker.queue.oldest(lane).await {
            worker.meter.queue_age(lane, oldest.map_or(Duration::ZERO, |oldest| now.since(oldest)));
        }
    }
    for ((hub, platform), sender) in worker.senders.all() {
        let blocked = sender.blocked(now).map(|hold| hold.is_paused());
        worker.meter.sender(hub, platform, blocked == Some(true), sender.breaker.is_tripped());
        worker.meter.resting(hub, platform, blocked == Some(false));
    }
    worker.meter.conservation(&worker.store.conservation().await?);
    Ok(())
}

async fn probe(worker: &Worker) {
    for ((hub, platform), sender) in worker.senders.all() {
        if holds::claim_probe(worker, hub, platform, &sender).await {
            probe_one(worker, hub, platform, &sender).await;
        }
    }
}

async fn probe_one(worker: &Worker, hub: HubId, platform: Platform, sender: &Sender) {
    let Some(gateway) = worker.gateways.gateway(hub, platform) else { return };
    match gateway.probe().await {
        Probe::Works => match holds::release(worker, hub, platform, sender.paused_version()).await {
            Ok(true) => tracing::info!(%hub, %platform, "the service takes our credentials again; sender resumed"),
            Ok(false) => {}
            Err(error) => worker.trouble.say("cannot release a paused sender", &error),
        },
        Probe::Refused(reason) => tracing::warn!(%hub, %platform, %reason, "the service still refuses our credentials"),
        Probe::Unreachable(error) => tracing::warn!(%hub, %platform, %error, "cannot ask the service"),
    }
}
