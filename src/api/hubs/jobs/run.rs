//! Working jobs off. A process takes a few at a time under a lease and does them step by step; each step commits what it
//! wrote together with how far the job came, so whoever takes the job after a crash repeats at most one step.

use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;

use super::state::{JobState, Phase, Written};
use super::{KEPT, export, import, remote};
use crate::api::App;
use crate::api::error::ApiError;
use crate::model::id::HubId;
use crate::model::job::JobStatus;
use crate::store::{JobStep, LeasedJob, StoreError};

/// How long a job is held; a step takes milliseconds, a transfer renews it.
pub(super) const LEASE: Duration = Duration::from_secs(60);
/// How often a process looks for jobs that another one wrote down or left.
const LOOK: Duration = Duration::from_secs(5);
/// The epoch of a job's first lease; each one has the next.
const FIRST_LEASE: u64 = 1;
/// Jobs of one process under way.
const AT_ONCE: usize = 4;

/// Why a job does not go on here.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It cannot be done; the words are its owner's.
    Failed(String),
    Store(StoreError),
    /// Somebody else holds it by now.
    Lost,
    /// This process is stopping.
    Draining,
}

impl From<StoreError> for Stopped {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// One job under way.
pub(super) struct Running {
    pub(super) app: Arc<App>,
    pub(super) hub: HubId,
    pub(super) leased: LeasedJob,
    pub(super) state: JobState,
    /// The step that comes may have been done before, by somebody who could not write it down.
    pub(super) uncertain: bool,
}

/// Works jobs off until the process drains; what is under way then ends with its step.
pub async fn work(app: Arc<App>) {
    let mut running = JoinSet::new();
    while !app.draining.is_cancelled() {
        while running.len() < AT_ONCE {
            match app.store.lease_job(LEASE).await {
                Ok(Some(leased)) => drop(running.spawn(run(app.clone(), leased))),
                Ok(None) => break,
                Err(error) => {
                    log(&app, error);
                    break;
                }
            }
        }
        tokio::select! {
            () = app.draining.cancelled() => {}
            () = app.jobs.wake.notified() => {}
            () = tokio::time::sleep(LOOK) => {}
            _ = running.join_next(), if !running.is_empty() => {}
        }
    }
    while running.join_next().await.is_some() {}
}

fn log(app: &App, error: impl Into<ApiError>) {
    if let Some(fault) = error.into().fault() {
        fault.log(app.fanout.trouble());
    }
}

async fn run(app: Arc<App>, leased: LeasedJob) {
    let state = match JobState::open(&app, &leased.job) {
        Ok(state) => state,
        Err(error) => return log(&app, error),
    };
    // Whoever held it before may have done a step, the first one too, and not written it down.
    let uncertain = leased.epoch.0 > FIRST_LEASE;
    let mut running = Running { app, hub: leased.hub, leased, state, uncertain };
    let stopped = match running.go_on().await {
        Ok(()) => return,
        Err(stopped) => stopped,
    };
    let ended = match stopped {
        Stopped::Lost | Stopped::Store(StoreError::NoHub) => Ok(()),
        Stopped::Draining => running.give_back().await,
        Stopped::Failed(failure) => running.fail(failure).await,
        Stopped::Store(error) => {
            let passing = error.is_passing();
            log(&running.app, error);
            // Its lease runs out while the store is away, and somebody tries again.
            if passing { Ok(()) } else { running.fail("the service could not go on with the job".to_owned()).await }
        }
    };
    if let Err(Stopped::Store(error)) = ended {
        log(&running.app, error);
    }
}

impl Running {
    async fn go_on(&mut self) -> Result<(), Stopped> {
        self.state.rest.status = JobStatus::Running;
        self.open_results().await?;
        let mut reader = None;
        while !self.state.rest.status.is_final() {
            if self.app.draining.is_cancelled() {
                return Err(Stopped::Draining);
            }
            let step = match self.state.rest.phase {
                Phase::Fetch => remote::fetch(self).await?,
                Phase::Deliver => remote::deliver(self).await?,
                Phase::Work if self.state.request.kind.is_import() => import::step(self, &mut reader).await?,
                Phase::Work => export::step(self).await?,
            };
            self.write(step, LEASE).await?;
            self.uncertain = false;
        }
        Ok(())
    }

    /// Begins the files of the results. They are written down with the first step: what a crash leaves before it expires.
    async fn open_results(&mut self) -> Result<(), Stopped> {
        let id = self.leased.job.id.clone();
        let container = self.state.container(&id);
        if self.state.rest.output.is_none() {
            self.state.rest.output = Some(self.begin(&container, &id, "Output.txt").await?);
        }
        if self.state.rest.failed.is_none() && self.state.request.kind.is_import() {
            self.state.rest.failed = Some(self.begin(&container, &id, "Failed.txt").await?);
        }
        Ok(())
    }

    async fn begin(&self, container: &str, id: &str, file: &str) -> Result<Written, Stopped> {
        let name = self.state.name(id, file);
        Ok(Written { file: self.app.store.begin_file(self.hub, container, &name, KEPT).await?, pieces: 0 })
    }

    /// The work is done: results are whole, and leave or are there.
    pub(super) fn finish_work(&mut self, step: &mut JobStep) {
        let rest = &mut self.state.rest;
        step.whole.extend(rest.output.iter().chain(&rest.failed).map(|written| written.file));
        rest.done = rest.total;
        if rest.delivers {
            rest.phase = Phase::Deliver;
        } else {
            rest.status = JobStatus::Completed;
        }
    }

    /// Writes a step down under the lease.
    pub(super) async fn write(&mut self, mut step: JobStep, length: Duration) -> Result<(), Stopped> {
        let LeasedJob { epoch, job, .. } = &self.leased;
        let sealed = self.state.sealed(&self.app, &job.id);
        step.state = sealed.map_err(|_| Stopped::Failed("the job's state could not be sealed".to_owned()))?;
        step.finished = self.state.rest.status.is_final();
        let held = self.app.store.step_job(self.hub, &job.id, *epoch, step, length).await?;
        if held { Ok(()) } else { Err(Stopped::Lost) }
    }

    /// Renews the lease while something takes long.
    pub(super) async fn holding<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Stopped> {
        let mut work = std::pin::pin!(work);
        loop {
            match tokio::time::timeout(LEASE / 3, &mut work).await {
                Ok(done) => return Ok(done),
                Err(_) if self.app.draining.is_cancelled() => return Err(Stopped::Draining),
                Err(_) => self.write(JobStep::default(), LEASE).await?,
            }
        }
    }

    async fn give_back(&mut self) -> Result<(), Stopped> {
        self.write(JobStep::default(), Duration::ZERO).await
    }

    async fn fail(&mut self, failure: String) -> Result<(), Stopped> {
        self.state.rest.status = JobStatus::Failed;
        self.state.rest.failure = Some(failure);
        // What was written so far is worth having.
        let rest = &self.state.rest;
        let whole =
            if rest.delivers { Vec::new() } else { rest.output.iter().chain(&rest.failed).map(|it| it.file).collect() };
        self.write(JobStep { whole, ..JobStep::default() }, Duration::ZERO).await
    }
}

/// Text as pieces of a file that grows.
pub(super) fn append(step: &mut JobStep, written: &mut Option<Written>, text: &[u8]) {
    let Some(written) = written else { return };
    for piece in text.chunks(super::container::PIECE) {
        step.pieces.push((written.file, written.pieces, piece.to_vec()));
        written.pieces += 1;
    }
}
