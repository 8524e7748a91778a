//! From the queue to a slot: takes entries of both lanes and runs each in a task of its own.
//!
//! An entry is acknowledged once its lease stands, or once it is clear that there is nothing to take. Taking it is the
//! store's compare-and-set, so an entry that came twice finds the work taken. What this process cannot begin soon is
//! given back when others share the queue: an entry that waits here is one that they cannot take.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::run::{Ended, Run};
use super::{Worker, plan};
use crate::model::broadcast::Lane;
use crate::model::id::ShardRef;
use crate::model::platform::Platform;
use crate::model::shard::LeaseError;
use crate::queue::Delivery;
use crate::store::{ReadyWork, Suspected, Work};

/// Entries of a lane that may wait here for slots; the others wait in the queue.
const WAITING: usize = 256;

/// How long to rest after the queue or the store failed.
const REST: Duration = Duration::from_secs(1);

/// How long an entry rests that was given back, unless it is queued again meanwhile: work that was done asks for more.
const GIVEN_BACK: Duration = Duration::from_millis(200);

/// How long a shard rests that came before its time: the clocks of queue, store and this process differ somewhat.
const EARLY: Duration = Duration::from_millis(100);

/// How long a suspected shard waits while another one is being sent for.
const CROWDED_REST: Duration = Duration::from_secs(1);

pub(super) fn start(worker: &Arc<Worker>) {
    for lane in Lane::ALL {
        worker.tasks.spawn(receive(worker.clone(), lane));
    }
}

async fn receive(worker: Arc<Worker>, lane: Lane) {
    let room = Arc::new(Semaphore::new(WAITING));
    loop {
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let deliveries = tokio::select! {
            () = worker.shutdown.cancelled() => return,
            deliveries = worker.queue.receive(lane, 1) => deliveries,
        };
        match deliveries {
            Ok(deliveries) => {
                let mut permit = Some(permit);
                for delivery in deliveries {
                    worker.tasks.spawn(take(worker.clone(), delivery, permit.take()));
                }
            }
            Err(error) => {
                worker.trouble.say("cannot receive from the queue", &error);
                tokio::time::sleep(REST).await;
            }
        }
    }
}

async fn take(worker: Arc<Worker>, delivery: Delivery, room: Option<OwnedSemaphorePermit>) {
    let acknowledge = || async {
        if let Err(error) = worker.queue.acknowledge(vec![delivery.receipt.clone()]).await {
            tracing::debug!(%error, "cannot acknowledge; the entry will come again and find its work taken");
        }
    };
    match delivery.work.work {
        Work::Plan(id) => plan::run(&worker, id, acknowledge).await,
        Work::Run(shard, platform) => run(&worker, &delivery, shard, platform, acknowledge, room).await,
    }
}

async fn give_back(worker: &Worker, delivery: &Delivery, after: Duration) {
    if let Err(error) = worker.queue.give_back(vec![delivery.clone()], after).await {
        tracing::debug!(%error, "cannot give an entry back; it will come again by itself");
    }
}

async fn run<A: Future<Output = ()>>(
    worker: &Arc<Worker>,
    delivery: &Delivery,
    shard: ShardRef,
    platform: Platform,
    acknowledge: impl Fn() -> A,
    room: Option<OwnedSemaphorePermit>,
) {
    let work = &delivery.work;
    let active = worker.actives.enter(shard.broadcast);
    let places = active.places(platform, worker.settings.shards_in_flight);
    let place = places.try_acquire();
    if place.is_err() && worker.queue.workers() > 1 {
        give_back(worker, delivery, GIVEN_BACK.mul_f64(1.0 + fastrand::f64())).await;
        return;
    }
    let waiting = async {
        let place = match place {
            Ok(place) => Ok(place),
            Err(_) => places.acquire().await,
        };
        (worker.slots.take((work.hub, platform, work.lane), shard.broadcast, work.weight).await, place)
    };
    let (mut slot, place) = tokio::select! {
        () = worker.shutdown.cancelled() => {
            give_back(worker, delivery, Duration::ZERO).await;
            return;
        }
        waited = waiting => waited,
    };
    drop(room);
    // Another process may have made the hub or its account a moment ago: nobody is rejected for what is not known here.
    if worker.gateways.gateway(work.hub, platform).is_none()
        && let Err(error) = worker.gateways.learn().await
    {
        worker.trouble.say("cannot look for a hub's gateway", &error);
        give_back(worker, delivery, REST).await;
        return;
    }
    // The lease counts from before the call: it can only end earlier here than in the store.
    let mut deadline = worker.clock.boot().plus(worker.settings.lease);
    let mut leased = worker.store.lease(shard, worker.settings.lease, Suspected::Leave).await;
    let mut alone = None;
    if let Ok(Err(LeaseError::Suspected)) = leased {
        alone = worker.suspects.clone().try_acquire_owned().ok();
        if alone.is_some() {
            deadline = worker.clock.boot().plus(worker.settings.lease);
            leased = worker.store.lease(shard, worker.settings.lease, Suspected::Take).await;
        }
    }
    acknowledge().await;
    let ended = match leased {
        Ok(Ok(leased)) => {
            slot.used();
            worker.meter.holds(work.hub, platform, true);
            let (run, replies) = Run::new(worker.clone(), shard, leased, deadline, active, slot, alone);
            let ended = run.run(replies).await;
            worker.meter.holds(work.hub, platform, false);
            ended
        }
        Ok(Err(LeaseError::NotDue { due })) => Ended::GivenBack { due: due.max(worker.clock.now().plus(EARLY)) },
        Ok(Err(LeaseError::Suspected)) => Ended::GivenBack { due: worker.clock.now().plus(CROWDED_REST) },
        // Taken by somebody else, over, or paused: there is nothing to do until somebody says so.
        Ok(Err(_)) => return,
        Err(error) => {
            worker.trouble.say("cannot lease a shard", &error);
            Ended::GivenBack { due: worker.clock.now().plus(REST) }
        }
    };
    // Before more is asked for: it would come at once, find no place and rest.
    drop(place);
    match ended {
        Ended::Closed => worker.refill(shard.broadcast).await,
        Ended::GivenBack { due } => worker.publish(vec![ReadyWork { due, ..work.clone() }]).await,
        Ended::Lost => {}
    }
}
