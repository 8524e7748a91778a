//! The control port: receipts, scripts and credentials over plain HTTP on loopback.
//!
//! | | |
//! |---|---|
//! | `GET /receipts/summary` | numbers by answer, counts, violations; `?repeated=true` adds tokens accepted twice |
//! | `GET /receipts?cursor=N&limit=M` | NDJSON, from order N on |
//! | `GET /script`, `POST /script` | the script as JSON; POST takes TOML too (`content-type: application/toml`) |
//! | `POST /reset` | forgets receipts and counts |
//! | `GET /credentials` | where certificates and keys lie |
//!
//! All but the last take `?gateway=NAME`, which is `apns` unless given.
use std::{collections::BTreeMap, fmt, net::SocketAddr, sync::Arc};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::{FromRequestParts, Query, State},
    http::{StatusCode, header::CONTENT_TYPE, request::Parts},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde::{Deserialize, Serialize};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::{
    Counts, Script, Simulated,
    fleet::Credentials,
    listener::{self, ListenError},
    receipts::{AnswerCount, Repeat},
};

/// Receipts that one chunk of a dump holds.
const PAGE: usize = 4096;

type Services = BTreeMap<&'static str, Arc<dyn Simulated>>;

/// The running control port. Dropping it closes the port.
pub struct Control {
    address: SocketAddr,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Control").field("address", &self.address).finish_non_exhaustive()
    }
}

#[derive(Clone)]
struct Shared {
    services: Arc<Services>,
    credentials: Arc<Credentials>,
}

impl Control {
    pub(crate) async fn start(
        listen: SocketAddr,
        services: Services,
        credentials: Credentials,
    ) -> Result<Self, ListenError> {
        let (tcp, address) = listener::bind(listen).await?;
        let (tasks, stop) = (TaskTracker::new(), CancellationToken::new());
        let shared = Shared { services: Arc::new(services), credentials: Arc::new(credentials) };
        let serving = axum::serve(tcp, router(shared)).with_graceful_shutdown(stop.clone().cancelled_owned());
        tasks.spawn(serving.into_future());
        tasks.close();
        Ok(Self { address, tasks, stop })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets running answers end, then frees the port.
    pub async fn stop(self) {
        self.stop.cancel();
        self.tasks.wait().await;
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn router(shared: Shared) -> Router {
    Router::new()
        .route("/receipts/summary", get(summary))
        .route("/receipts", get(dump))
        .route("/script", get(script).post(set_script))
        .route("/reset", post(reset))
        .route("/credentials", get(credentials))
        .with_state(shared)
}

/// The service that `?gateway=` names.
struct Chosen(Arc<dyn Simulated>);

impl FromRequestParts<Shared> for Chosen {
    type Rejection = (StatusCode, String);

    async fn from_request_parts(parts: &mut Parts, shared: &Shared) -> Result<Self, Self::Rejection> {
        #[derive(Deserialize)]
        struct Gateway {
            gateway: Option<String>,
        }
        let query = Query::<Gateway>::try_from_uri(&parts.uri);
        let Query(Gateway { gateway }) = query.map_err(|error| (StatusCode::BAD_REQUEST, error.to_string()))?;
        let name = gateway.as_deref().unwrap_or("apns");
        let known = || shared.services.keys().copied().collect::<Vec<_>>().join(", ");
        let service = shared.services.get(name).cloned();
        service.map(Self).ok_or_else(|| {
            (StatusCode::NOT_FOUND, format!("gateway `{name}` is none of those that run: {}\n", known()))
        })
    }
}

#[derive(Serialize)]
struct Summary {
    receipts: u64,
    accepted: u64,
    answers: Vec<AnswerCount>,
    #[serde(flatten)]
    counts: Counts,
    #[serde(skip_serializing_if = "Option::is_none")]
    repeated: Option<Vec<Repeat>>,
}

#[derive(Deserialize)]
struct SummaryQuery {
    #[serde(default)]
    repeated: bool,
}

async fn summary(Chosen(service): Chosen, Query(query): Query<SummaryQuery>) -> Json<Summary> {
    let receipts = service.receipts();
    let (count, accepted, answers) = (receipts.len(), receipts.accepted(), receipts.answers());
    let counts = service.counts();
    let repeated = if query.repeated {
        // Sorts all receipts: seconds at ten million, too long for the runtime that serves the connections.
        tokio::task::spawn_blocking(move || service.receipts().repeated()).await.ok()
    } else {
        None
    };
    Json(Summary { receipts: count, accepted, answers, counts, repeated })
}

#[derive(Deserialize)]
struct DumpQuery {
    #[serde(default)]
    cursor: u64,
    limit: Option<usize>,
}

async fn dump(Chosen(service): Chosen, Query(query): Query<DumpQuery>) -> Response {
    let start = (query.cursor, query.limit.unwrap_or(usize::MAX));
    let pages = futures_util::stream::unfold(start, move |(cursor, left)| {
        let page = service.receipts().page(cursor, left.min(PAGE));
        std::future::ready((!page.is_empty()).then(|| {
            let mut text = Vec::new();
            for receipt in &page {
                // Writing into memory cannot fail, and a receipt has string keys only.
                drop(serde_json::to_writer(&mut text, receipt));
                text.push(b'\n');
            }
            let next = (cursor + page.len() as u64, left - page.len());
            (Ok::<_, std::convert::Infallible>(Bytes::from(text)), next)
        }))
    });
    ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pages)).into_response()
}

async fn script(Chosen(service): Chosen) -> Json<Script> {
    Json(service.script())
}

async fn set_script(Chosen(service): Chosen, headers: axum::http::HeaderMap, body: String) -> Response {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let parsed = if kind.starts_with("application/toml") {
        toml::from_str(&body).map_err(|error| error.to_string())
    } else {
        serde_json::from_str(&body).map_err(|error| error.to_string())
    };
    match parsed {
        Ok(script) => {
            service.set_script(script);
            StatusCode::NO_CONTENT.into_response()
        }
        Err(error) => (StatusCode::BAD_REQUEST, format!("{error}\n")).into_response(),
    }
}

async fn reset(Chosen(service): Chosen) -> StatusCode {
    service.reset();
    StatusCode::NO_CONTENT
}

async fn credentials(State(shared): State<Shared>) -> Json<Credentials> {
    Json(Credentials::clone(&shared.credentials))
}
