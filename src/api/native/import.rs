//! `POST …/installations:import`: any number of installations in one stream.
//!
//! ```text
//!  body ─▶ Lines ─▶ parse ─▶ batches of 512 ─▶ up to 4 commits under way ─▶ one line for each bad line, then the sum
//! ```
//!
//! Memory is bounded by what is under way, whatever the stream's length: when the store is slow, or the caller does not
//! read its answer, the body is not read either. A stream that breaks imports what was read; so does a caller that
//! hangs up. Lines are applied in their order as far as that matters: two lines of one installation are never under way
//! in two commits.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::stream::{self, FuturesUnordered};
use futures_util::{FutureExt, Stream, StreamExt};
use http::header;
use serde::Serialize;
use tokio::sync::mpsc;

use super::super::error::Inner;
use super::installation_schema::{self as schema, ImportLine};
use crate::api::error::ApiError;
use crate::api::refusals::{Refused, Unpacked};
use crate::api::request::{Visit, check_is_plain};
use crate::api::{App, Limits};
use crate::directory::Hub;
use crate::identity::keys::Rights;
use crate::model::field::FieldError;
use crate::model::id::HubId;
use crate::model::installation::Installation;
use crate::store::Change;

mod lines;

use lines::{Line, Lines};

/// Installations in one commit: the engine groups more, but a batch also is what one failure costs.
const BATCH: usize = 512;

/// Commits under way at once: while one is synced the next is prepared.
const UNDER_WAY: usize = 4;

/// Lines of the answer that may wait for the caller to read them.
const ANSWERS_WAITING: usize = 4_096;

/// What is said of a bad line, counted from 1.
#[derive(Serialize)]
struct BadLine<'a> {
    line: u64,
    error: Inner<'a>,
}

/// The last line.
#[derive(Serialize, Clone, Copy, Default)]
struct Sum {
    imported: u64,
    failed: u64,
}

#[utoipa::path(
    post,
    path = "/v1/hubs/{hub}/installations:import",
    tag = "installations",
    operation_id = "import_installations",
    summary = "Imports any number of installations (manage)",
    params(
        ("hub" = String, Path, description = "Name of the hub"),
    ),
    request_body(content = schema::Installation, content_type = "application/x-ndjson", description = "One installation a line"),
    responses(
        (status = 200, description = "A line for each bad line, the sum last", body = ImportLine, content_type = "application/x-ndjson"),
        Refused,
        Unpacked,
    ),
)]
pub(super) async fn import(State(app): State<Arc<App>>, visit: Visit, request: Request) -> Result<Response, ApiError> {
    let hub = visit.hub(Rights::MANAGE)?.clone();
    check_is_plain(request.headers())?;
    let (answers, waiting) = mpsc::channel(ANSWERS_WAITING);
    // A task of its own: a caller that hangs up must not drop what it sent.
    tokio::spawn(Import { app, hub, answers, sum: Sum::default() }.run(request.into_body()));
    let lines = stream::unfold(waiting, async |mut waiting| Some((waiting.recv().await?, waiting)));
    let body = Body::from_stream(lines.map(Ok::<_, std::convert::Infallible>));
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], body).into_response())
}

/// The pieces of a body, each awaited so long; a stream that stalls is a stream that broke.
fn patient(body: Body, patience: Duration) -> impl Stream<Item = Result<Bytes, ()>> {
    stream::unfold(body.into_data_stream(), move |mut pieces| async move {
        let piece = tokio::time::timeout(patience, pieces.next()).await;
        let piece = piece.map_or(Some(Err(())), |piece| piece.map(|piece| piece.map_err(|_| ())));
        piece.map(|piece| (piece, pieces))
    })
}

struct Import {
    app: Arc<App>,
    hub: Arc<Hub>,
    answers: mpsc::Sender<Bytes>,
    sum: Sum,
}

/// Installations for one commit, with the lines that they came from.
#[derive(Default)]
struct Batch {
    changes: Vec<Change>,
    lines: Vec<u64>,
    ids: Vec<Box<str>>,
}

/// A commit that is over.
struct Committed {
    lines: Vec<u64>,
    ids: Vec<Box<str>>,
    failure: Option<ApiError>,
}

impl Import {
    async fn run(mut self, body: Body) {
        let pieces = std::pin::pin!(patient(body, self.app.patience));
        let mut lines = Lines::new(pieces, self.app.limits.import_line_bytes);
        let mut batch = Batch::default();
        let mut under_way = FuturesUnordered::new();
        let mut ids_under_way: HashSet<Box<str>> = HashSet::new();
        while let Some((number, line)) = lines.next().await {
            let installation = match parse(&line, &self.app.limits) {
                Ok(Some(mut installation)) => {
                    let now = self.app.clock.now();
                    installation.expires = self.hub.settings.latest_end(installation.expires, now);
                    installation
                }
                Ok(None) => continue,
                Err(error) => {
                    self.bad(&[number], &error).await;
                    continue;
                }
            };
            let id: Box<str> = installation.id.as_str().into();
            while ids_under_way.contains(&id) {
                let Some(committed) = under_way.next().await else { break };
                self.settle(committed, &mut ids_under_way).await;
            }
            batch.push(number, id, installation);
            if batch.lines.len() < BATCH {
                continue;
            }
            if under_way.len() == UNDER_WAY
                && let Some(committed) = under_way.next().await
            {
                self.settle(committed, &mut ids_under_way).await;
            }
            ids_under_way.extend(batch.ids.iter().cloned());
            under_way.push(commit(self.app.clone(), self.hub.id, std::mem::take(&mut batch)));
            // The first poll hands it to the store, so that the next batch is read meanwhile.
            while let Some(Some(committed)) = under_way.next().now_or_never() {
                self.settle(committed, &mut ids_under_way).await;
            }
        }
        if !batch.lines.is_empty() {
            under_way.push(commit(self.app.clone(), self.hub.id, batch));
        }
        while let Some(committed) = under_way.next().await {
            self.settle(committed, &mut ids_under_way).await;
        }
        let sum = self.sum;
        self.answer(&sum).await;
    }

    async fn settle(&mut self, committed: Committed, ids_under_way: &mut HashSet<Box<str>>) {
        for id in &committed.ids {
            ids_under_way.remove(id);
        }
        match committed.failure {
            None => self.sum.imported += committed.lines.len() as u64,
            Some(error) => {
                if let Some(fault) = error.fault() {
                    fault.log(self.app.fanout.trouble());
                }
                self.bad(&committed.lines, &error).await;
            }
        }
    }

    async fn bad(&mut self, lines: &[u64], error: &ApiError) {
        for line in lines {
            self.sum.failed += 1;
            self.answer(&BadLine { line: *line, error: error.inner() }).await;
        }
    }

    async fn answer(&self, line: &impl Serialize) {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        // Whoever does not listen any more misses the answer; the import goes on.
        let _ = self.answers.send(text.into()).await;
    }
}

impl Batch {
    fn push(&mut self, line: u64, id: Box<str>, installation: Installation) {
        self.changes.push(Change::Put(Box::new(installation)));
        self.lines.push(line);
        self.ids.push(id);
    }
}

async fn commit(app: Arc<App>, hub: HubId, batch: Batch) -> Committed {
    let failure = match app.store.apply(hub, batch.changes).await {
        Ok(applied) => {
            app.metrics.registered(hub, &applied);
            None
        }
        Err(error) => Some(error.into()),
    };
    Committed { lines: batch.lines, ids: batch.ids, failure }
}

/// An installation, or nothing for a blank line.
fn parse(line: &Line, limits: &Limits) -> Result<Option<Installation>, ApiError> {
    match line {
        Line::TooLong => {
            Err(FieldError::new("line", format!("must have at most {} bytes", limits.import_line_bytes)).into())
        }
        Line::Text(text) if text.trim_ascii().is_empty() => Ok(None),
        Line::Text(text) => Ok(Some(Installation::parse(text, None, &limits.installation)?)),
    }
}
