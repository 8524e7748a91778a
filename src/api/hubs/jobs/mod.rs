//! J1–J3: jobs over all registrations of a hub (`notification-hubs.md` 2.9), and the containers that they use.
//!
//! ```text
//!  POST jobs ─▶ a row ─▶ run: lease ▶ [fetch the input] ▶ batch, batch, … ▶ [deliver the output] ─▶ Completed or Failed
//! ```
//!
//! - [`container`]: containers that Fanfare serves itself, in the store.
//! - [`state`]: what a job's row holds.
//! - [`run`]: whoever works jobs off; [`export`], [`import`] what a step of them does, [`remote`] the way to containers
//!   of others.
//!
//! A job is known by its row alone: any node goes on with it where the last whole step ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use http::{HeaderValue, StatusCode, header};
use rustls::RootCertStore;
use tokio::sync::Notify;

use super::here::{Here, Whole, on};
use crate::api::error::ApiError;
use crate::api::request::Visit;
use crate::api::{App, Route};
use crate::config::{ConfigError, HostPattern, HubConfig, JobsConfig};
use crate::directory::Hub;
use crate::gateway::tls;
use crate::identity::keys::Rights;
use crate::model::job::JobRequest;
use crate::model::registration;
use crate::store::JobRecord;

mod container;
mod export;
mod import;
mod remote;
mod run;
mod state;

pub use run::work;

use state::JobState;

pub(super) fn routes() -> Vec<Route> {
    vec![
        ("/{hub}/jobs", post(create).get(list)),
        ("/{hub}/jobs/{id}", get(show)),
        ("/{hub}/jobs/containers", post(container::make)),
        ("/{hub}/jobs/containers/{container}", get(container::list)),
        ("/{hub}/jobs/containers/{container}/{*name}", put(container::write).get(container::read)),
    ]
}

/// What jobs of this process have at hand besides the store.
#[derive(Debug, Default)]
pub struct Jobs {
    /// By the hub's name in lower case: where its jobs may read and write besides containers of ours.
    elsewhere: BTreeMap<String, Elsewhere>,
    /// A job was written down.
    wake: Notify,
}

/// Containers of others that a hub's jobs may use.
#[derive(Debug)]
struct Elsewhere {
    allowed_hosts: Vec<HostPattern>,
    /// Whom to trust there.
    roots: RootCertStore,
}

impl Elsewhere {
    fn open(hub: &str, config: &JobsConfig) -> Result<Self, ConfigError> {
        let refused = |rule: String| ConfigError {
            key: format!("hubs.{hub}.jobs.ca_file"),
            rule,
            got: config.ca_file.as_deref().map(|file| file.display().to_string()).unwrap_or_default(),
        };
        let pem = config.ca_file.as_deref().map(std::fs::read_to_string).transpose();
        let pem = pem.map_err(|error| refused(format!("must name a readable file; {error}")))?;
        let roots = tls::roots(pem.as_deref()).map_err(|error| refused(error.rule.into_owned()))?;
        Ok(Self { allowed_hosts: config.allowed_hosts.clone(), roots })
    }
}

impl Jobs {
    /// What the configuration says of its hubs.
    ///
    /// # Errors
    /// Names a file of roots that cannot be used.
    pub fn new(hubs: &BTreeMap<String, HubConfig>) -> Result<Self, ConfigError> {
        let elsewhere =
            |(name, hub): (&String, &HubConfig)| Ok((name.to_ascii_lowercase(), Elsewhere::open(name, &hub.jobs)?));
        Ok(Self { elsewhere: hubs.iter().map(elsewhere).collect::<Result<_, ConfigError>>()?, wake: Notify::new() })
    }

    fn elsewhere(&self, hub: &str) -> Option<&Elsewhere> {
        self.elsewhere.get(&hub.to_ascii_lowercase())
    }
}

const ENTRY: HeaderValue = HeaderValue::from_static("application/atom+xml; type=entry; charset=utf-8");
const FEED: HeaderValue = HeaderValue::from_static("application/atom+xml; type=feed; charset=utf-8");

/// How long a job is kept, and what it wrote to containers of ours.
const KEPT: std::time::Duration = std::time::Duration::from_hours(7 * 24);

/// J1.
async fn create(
    State(app): State<Arc<App>>,
    visit: Visit,
    here: Here,
    Whole(body): Whole,
) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::MANAGE)?;
    let request = JobRequest::read(&body)?;
    let state = JobState::begin(&app, hub, here.host(), request)?;
    let now = app.clock.now();
    let id = fresh_id(now.millis());
    let record = JobRecord {
        state: state.sealed(&app, &id)?,
        id,
        finished: false,
        created: now,
        updated: now,
        expires: now.plus(KEPT),
    };
    app.store.put_job(hub.id, record.clone()).await?;
    app.jobs.wake.notify_one();
    let location = here.location(&format!("/{}/jobs/{}", hub.name, record.id))?;
    let entry = entry(&app, hub, &here, &record)?;
    Ok((StatusCode::CREATED, [(header::CONTENT_TYPE, ENTRY), (header::LOCATION, location)], entry).into_response())
}

/// J2.
async fn show(State(app): State<Arc<App>>, visit: Visit, here: Here) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::MANAGE)?;
    let found = app.store.job(hub.id, visit.param("id")).await?;
    let record = found.ok_or_else(|| ApiError::not_found("no_job", "there is no such job in this hub"))?;
    Ok(([(header::CONTENT_TYPE, ENTRY)], entry(&app, hub, &here, &record)?).into_response())
}

/// J3.
async fn list(State(app): State<Arc<App>>, visit: Visit, here: Here) -> Result<Response, ApiError> {
    let hub = on(&visit, Rights::MANAGE)?;
    let mut entries = String::new();
    for record in app.store.jobs(hub.id).await? {
        entries.push_str(&entry(&app, hub, &here, &record)?);
    }
    let address = here.address(&format!("/{}/jobs", hub.name));
    let feed = registration::feed("jobs", &address, None, app.clock.now(), &entries);
    Ok(([(header::CONTENT_TYPE, FEED)], feed).into_response())
}

fn entry(app: &App, hub: &Hub, here: &Here, record: &JobRecord) -> Result<String, ApiError> {
    let state = JobState::open(app, record)?;
    let mut out = String::with_capacity(1_024);
    state.shown(record).entry(&mut out, &here.address(&format!("/{}/jobs/{}", hub.name, record.id)));
    Ok(out)
}

/// Nineteen digits that grow, and a GUID, as the field has them.
fn fresh_id(millis: i64) -> String {
    let nanos = millis.max(0).unsigned_abs() * 1_000_000 + fastrand::u64(0..1_000_000);
    let guid = uuid::Builder::from_random_bytes(fastrand::u128(..).to_be_bytes()).into_uuid();
    format!("{nanos:019}{guid}")
}
