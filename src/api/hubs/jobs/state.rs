//! What a job's row holds: what was asked for, and how far it is. The addresses in it may be keys to somebody's
//! containers, so they are sealed as credentials are.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use super::{container, remote};
use crate::api::App;
use crate::api::error::ApiError;
use crate::directory::Hub;
use crate::model::field::FieldError;
use crate::model::job::{JobKind, JobRequest, JobStatus, ShownJob};
use crate::store::{FileId, FileInfo, JobRecord};

/// A job between two steps.
#[derive(Clone)]
pub(super) struct JobState {
    pub(super) request: JobRequest,
    pub(super) rest: Rest,
}

/// All but the addresses.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct Rest {
    kind: JobKind,
    /// The caller's host and the hub, as paths of results begin.
    namespace: String,
    pub(super) hub: String,
    pub(super) status: JobStatus,
    pub(super) phase: Phase,
    pub(super) failure: Option<String>,
    /// Of an import bytes, of an export registrations.
    pub(super) done: u64,
    pub(super) total: u64,
    /// The container of ours that results lie in; where they go elsewhere, one that nobody has the address of.
    pub(super) container: Option<String>,
    /// Results leave for a container of somebody else.
    pub(super) delivers: bool,
    /// The file of ours that an import reads.
    pub(super) input: Option<(String, String)>,
    pub(super) reads: Option<Read>,
    pub(super) output: Option<Written>,
    pub(super) failed: Option<Written>,
    /// Of an export: the next seq. Of an import: lines that were read.
    pub(super) cursor: u64,
}

/// Where a job is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Phase {
    /// The input is fetched from elsewhere.
    Fetch,
    Work,
    /// The results leave for elsewhere.
    Deliver,
}

/// The whole file that an import reads.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Read {
    pub(super) file: FileId,
    pub(super) bytes: u64,
    pub(super) pieces: u32,
}

impl From<&FileInfo> for Read {
    fn from(file: &FileInfo) -> Self {
        Self { file: file.id, bytes: file.bytes, pieces: file.pieces }
    }
}

/// A file that grows.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Written {
    pub(super) file: FileId,
    pub(super) pieces: u32,
}

#[derive(Serialize, Deserialize)]
struct Sealed {
    output_address: String,
    input_address: Option<String>,
    rest: Rest,
}

impl JobState {
    /// A job as it is asked for; refused when an address leads where jobs of this hub may not go.
    pub(super) fn begin(app: &App, hub: &Hub, namespace: &str, request: JobRequest) -> Result<Self, FieldError> {
        let own = container::place(app, hub, &request.output);
        let container = match own {
            Some(place) if place.name.is_none() => Some(place.container),
            Some(_) => {
                return Err(FieldError::new("OutputContainerUri", "must be a container's address, not a file's"));
            }
            None => {
                remote::check(app, hub, &request.output, "OutputContainerUri")?;
                None
            }
        };
        let mut input = None;
        if let Some(address) = &request.input {
            match container::place(app, hub, address) {
                Some(container::Place { container, name: Some(name) }) => input = Some((container, name)),
                Some(_) => return Err(FieldError::new("ImportFileUri", "must be a file's address, not a container's")),
                None => remote::check(app, hub, address, "ImportFileUri")?,
            }
        }
        let fetches = request.kind.is_import() && input.is_none();
        let rest = Rest {
            kind: request.kind,
            namespace: namespace.to_owned(),
            hub: hub.name.as_str().to_owned(),
            status: JobStatus::Started,
            phase: if fetches { Phase::Fetch } else { Phase::Work },
            failure: None,
            done: 0,
            total: 0,
            delivers: container.is_none(),
            container,
            input,
            reads: None,
            output: None,
            failed: None,
            cursor: 0,
        };
        Ok(Self { request, rest })
    }

    /// The bytes of the row of this job.
    pub(super) fn sealed(&self, app: &App, id: &str) -> Result<Vec<u8>, ApiError> {
        let seal = |field: &str, text: &str| -> Result<String, ApiError> {
            let sealed = app.directory.vault().seal(id, field, text.as_bytes());
            Ok(STANDARD.encode(sealed.map_err(ApiError::internal)?))
        };
        let sealed = Sealed {
            output_address: seal("output", &self.request.output)?,
            input_address: self.request.input.as_deref().map(|input| seal("input", input)).transpose()?,
            rest: self.rest.clone(),
        };
        serde_json::to_vec(&sealed).map_err(ApiError::internal)
    }

    /// Reads a row.
    pub(super) fn open(app: &App, record: &JobRecord) -> Result<Self, ApiError> {
        let Sealed { output_address, input_address, rest } =
            serde_json::from_slice(&record.state).map_err(ApiError::internal)?;
        let open = |field: &str, sealed: &str| -> Result<String, ApiError> {
            let sealed = STANDARD.decode(sealed).map_err(ApiError::internal)?;
            let opened = app.directory.vault().open_sealed(&record.id, field, &sealed);
            String::from_utf8(opened.map_err(ApiError::internal)?).map_err(ApiError::internal)
        };
        let output = open("output", &output_address)?;
        let input = input_address.map(|input| open("input", &input)).transpose()?;
        Ok(Self { request: JobRequest { kind: rest.kind, output, input }, rest })
    }

    /// The container that results lie in while they grow.
    pub(super) fn container(&self, id: &str) -> String {
        self.rest.container.clone().unwrap_or_else(|| format!("of job {id}"))
    }

    /// The name of a result: `Output.txt` or `Failed.txt`.
    pub(super) fn name(&self, id: &str, file: &str) -> String {
        format!("{}/{id}/{file}", self.rest.hub)
    }

    /// As its owner sees it.
    pub(super) fn shown<'a>(&'a self, record: &'a JobRecord) -> Shown<'a> {
        let rest = &self.rest;
        let path = |file| {
            (rest.status == JobStatus::Completed)
                .then(|| format!("{}//{}", rest.namespace, self.name(&record.id, file)))
        };
        let failed = path("Failed.txt").filter(|_| rest.kind.is_import());
        Shown { state: self, record, output: path("Output.txt"), failed }
    }
}

/// A job on its way into a document.
pub(super) struct Shown<'a> {
    state: &'a JobState,
    record: &'a JobRecord,
    output: Option<String>,
    failed: Option<String>,
}

impl Shown<'_> {
    pub(super) fn entry(&self, out: &mut String, address: &str) {
        let rest = &self.state.rest;
        #[expect(clippy::cast_precision_loss, reason = "a share of whole numbers, shown with two digits")]
        let share = if rest.total == 0 { 0.0 } else { rest.done as f64 / rest.total as f64 };
        let progress = if rest.status == JobStatus::Completed { 100.0 } else { (share * 100.0).min(99.99) };
        let job = ShownJob {
            id: &self.record.id,
            request: &self.state.request,
            status: rest.status,
            progress,
            failure: rest.failure.as_deref(),
            output_path: self.output.as_deref(),
            failed_path: self.failed.as_deref(),
            created: self.record.created,
            updated: self.record.updated,
        };
        job.entry(out, address);
    }
}
