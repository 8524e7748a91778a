//! Group commit: registrations of a hub that wait on this node share one transaction, as many as gathered while the one
//! before it was under way. So the size of a group follows the load by itself, and a hub's writers on several nodes take
//! turns group by group.
//!
//! A group runs as a task of its own: a caller that goes away takes nothing of it along. A group that fails is run again
//! one by one, so that one bad change fails alone.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::oneshot;

use super::super::error::{Done, Fault, FaultKind};
use super::super::pool::{Durability, Pool, begin, commit, retrying};
use super::super::time::Time;
use super::base::Needs;
use super::transaction::{self, Written};
use super::working_set::WorkingSet;
use super::{Shared, fold};
use crate::clock::{Clock, SystemClock};
use crate::model::hash;
use crate::model::id::{HubId, InstallationId};
use crate::model::installation::{InstallationLimits, Patch, Report};
use crate::model::time::Timestamp;
use crate::store::registration::{Applier, HubCommit, Prepared, Single, key};
use crate::store::{Applied, PatchError, Registered, ReportError, Result, StoreError};

/// A group takes at most this much weight, so that a commit stays short for those who wait in front of it.
const GROUP_WEIGHT: usize = 2_048;

/// What a caller asks for.
#[derive(Debug)]
pub(super) enum Request {
    Apply(Vec<Prepared>),
    Patch(InstallationId, Patch, InstallationLimits),
    Report(Box<Report>, InstallationLimits),
    Register(Vec<Single>),
}

/// What became of it.
#[derive(Debug)]
pub(super) enum Answer {
    Applied(Vec<Applied>),
    Patched(Result<Applied, PatchError>),
    Reported(Result<Applied, ReportError>),
    Registered(Vec<Registered>),
}

impl Request {
    fn weight(&self) -> usize {
        match self {
            Self::Apply(changes) => changes.len(),
            Self::Patch(..) | Self::Report(..) => 1,
            Self::Register(changes) => changes.len(),
        }
    }

    fn needs(&self, hub: HubId, needs: &mut Needs) {
        match self {
            Self::Apply(changes) => {
                needs.id_hashes.extend(changes.iter().map(|change| change.id_hash().cast_signed()));
            }
            Self::Patch(id, ..) => {
                needs.id_hashes.insert(hash::installation(hub, id.as_str()).cast_signed());
                needs.touches = true;
            }
            Self::Report(report, _) => {
                needs.id_hashes.insert(hash::installation(hub, report.id.as_str()).cast_signed());
            }
            Self::Register(changes) => {
                for change in changes {
                    match change.target() {
                        Some(seq) => drop(needs.targets.insert(key(hub, seq))),
                        None => drop(needs.id_hashes.insert(change.id_hash().cast_signed())),
                    }
                }
            }
        }
    }

    fn run(&self, rows: &mut WorkingSet<'_>, commit: &mut HubCommit, now: Timestamp) -> Result<Answer> {
        let mut applier = Applier { rows, commit, now };
        match self {
            Self::Apply(changes) => {
                let applied: Result<_> = changes.iter().map(|change| applier.apply(change)).collect();
                applied.map(Answer::Applied)
            }
            Self::Patch(id, patch, limits) => applier.patch(id, patch, limits).map(Answer::Patched),
            Self::Report(report, limits) => applier.report(report, limits).map(Answer::Reported),
            Self::Register(changes) => {
                let registered: Result<_> = changes.iter().map(|change| applier.register(change)).collect();
                registered.map(Answer::Registered)
            }
        }
    }
}

struct Waiting {
    request: Request,
    reply: oneshot::Sender<Done<Answer>>,
}

/// Those that wait, by hub. A hub is here as long as a task works for it.
#[derive(Default)]
pub(super) struct Groups(Mutex<HashMap<HubId, VecDeque<Waiting>>>);

impl std::fmt::Debug for Groups {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Groups").field("hubs", &self.0.lock().len()).finish()
    }
}

/// What a group's task holds.
struct Worker {
    pool: Pool,
    time: Time,
    registry: Arc<Shared>,
    hub: HubId,
    /// It found nobody waiting any more, and somebody else may be at work by now.
    done: bool,
}

/// Puts a request into the hub's next group and waits for its commit.
pub(super) async fn submit(
    pool: &Pool,
    time: &Time,
    registry: &Arc<Shared>,
    hub: HubId,
    request: Request,
) -> Done<Answer> {
    let (reply, answer) = oneshot::channel();
    let idle = {
        let mut hubs = registry.groups.0.lock();
        let idle = !hubs.contains_key(&hub);
        hubs.entry(hub).or_default().push_back(Waiting { request, reply });
        idle
    };
    if idle {
        let worker = Worker { pool: pool.clone(), time: time.clone(), registry: registry.clone(), hub, done: false };
        tokio::spawn(worker.work());
    }
    let lost = || StoreError::Unavailable("the registration was given up".to_owned());
    answer.await.map_err(|_| lost())?
}

impl Drop for Worker {
    /// A task that was ended half-way leaves the hub free for the next one; who still waits is told by the end of the
    /// channel.
    fn drop(&mut self) {
        if !self.done {
            self.registry.groups.0.lock().remove(&self.hub);
        }
    }
}

impl Worker {
    async fn work(mut self) {
        let mut load = 0.0;
        while let Some(group) = self.next_group() {
            if load >= 1.0
                && let Err(fault) = fold::relieve(&self.pool, &self.time, &self.registry, self.hub).await
            {
                tracing::debug!(error = %fault.error, hub = %self.hub, "a fold before registrations failed");
            }
            load = self.run(group).await;
        }
        self.done = true;
    }

    /// The next group; `None`, and the hub is taken out, when nobody waits.
    fn next_group(&self) -> Option<Vec<Waiting>> {
        let mut hubs = self.registry.groups.0.lock();
        let waiting = hubs.entry(self.hub).or_default();
        let (mut group, mut weight) = (Vec::new(), 0);
        while weight < GROUP_WEIGHT {
            let Some(next) = waiting.pop_front() else { break };
            weight += next.request.weight();
            group.push(next);
        }
        if group.is_empty() {
            // Under the same lock: who comes next finds nobody at work and begins anew.
            hubs.remove(&self.hub);
            return None;
        }
        Some(group)
    }

    /// Commits a group and answers it. Answers how near the hub is to the bound of what may be unfolded.
    async fn run(&self, group: Vec<Waiting>) -> f64 {
        let (requests, replies): (Vec<_>, Vec<_>) =
            group.into_iter().map(|waiting| (waiting.request, waiting.reply)).unzip();
        match self.commit(&requests).await {
            Ok((answers, load)) => {
                for (reply, answer) in replies.into_iter().zip(answers) {
                    // The caller may have gone away; its work stands all the same.
                    drop(reply.send(Ok(answer)));
                }
                load
            }
            Err(fault) if fault.kind == FaultKind::Final && requests.len() > 1 => {
                let mut load = 0.0;
                for (request, reply) in requests.into_iter().zip(replies) {
                    let alone = self.commit(std::slice::from_ref(&request)).await;
                    let answer = alone.and_then(|(mut answers, after)| {
                        load = after;
                        answers.pop().ok_or_else(|| Fault::from(StoreError::Engine("no answer".to_owned())))
                    });
                    drop(reply.send(answer));
                }
                load
            }
            Err(fault) => {
                replies.into_iter().for_each(|reply| drop(reply.send(Err(fault.clone()))));
                0.0
            }
        }
    }

    /// One transaction of all of them.
    async fn commit(&self, requests: &[Request]) -> Done<(Vec<Answer>, f64)> {
        let begun = SystemClock.boot();
        let (answers, load, written) = retrying(|| self.attempt(requests)).await?;
        if let Some(written) = written {
            written.keep(&self.registry);
        }
        let mut commits = self.registry.commits.lock();
        commits.registration_groups += 1;
        commits.registrations += requests.iter().map(|request| request.weight() as u64).sum::<u64>();
        commits.count(SystemClock.boot().after(begun));
        Ok((answers, load))
    }

    async fn attempt(&self, requests: &[Request]) -> Done<(Vec<Answer>, f64, Option<Written>)> {
        let mut client = self.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        let turn = transaction::turn(&tx, &self.time, self.hub).await?;
        let mut needs = Needs::default();
        requests.iter().for_each(|request| request.needs(self.hub, &mut needs));
        let rules = |rows: &mut WorkingSet<'_>, commit: &mut HubCommit, now| {
            requests.iter().map(|request| request.run(rows, commit, now)).collect::<Result<Vec<_>>>()
        };
        let run = transaction::run(&tx, &self.registry, &turn, needs, rules);
        let (made, load) = futures_util::future::join(run, super::unfolded::load(&tx, self.hub)).await;
        // Both before the commit: a statement that failed has undone the transaction, and its COMMIT would not say so.
        let ((answers, written), load) = (made?, load?);
        commit(tx).await?;
        Ok((answers, load, written))
    }
}
