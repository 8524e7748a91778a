//! Containers of others: where a job fetches its input from and delivers its results to, when the hub's configuration
//! allows the host. Results are written to the store first and sent from there: the length is known then, as blob
//! services want it, and a delivery that fails is simply done again.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::KEPT;
use super::container::{PIECE, pieces};
use super::run::{Running, Stopped};
use super::state::{Phase, Read};
use crate::api::App;
use crate::directory::Hub;
use crate::gateway::tls;
use crate::model::field::FieldError;
use crate::model::job::JobStatus;
use crate::store::{FileInfo, JobStep};

/// Attempts at one transfer.
const ATTEMPTS: u32 = 5;
/// How long the other side may take to answer, or to send its next bytes.
const PATIENCE: Duration = Duration::from_secs(60);

/// Whether a job of this hub may go to this address.
pub(super) fn check(app: &App, hub: &Hub, address: &str, field: &'static str) -> Result<(), FieldError> {
    let rule = "must be a container address that this service gave, or an https:// address of a host in the hub's \
                jobs.allowed_hosts";
    let refused = || FieldError::new(field, rule);
    let uri: Uri = address.parse().map_err(|_| refused())?;
    let host = uri.host().ok_or_else(refused)?;
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = bare.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback()) || bare == "localhost";
    let port = match uri.scheme_str() {
        Some("https") => uri.port_u16().unwrap_or(443),
        Some("http") if is_loopback => uri.port_u16().unwrap_or(80),
        _ => return Err(refused()),
    };
    let elsewhere = app.jobs.elsewhere(hub.name.as_str()).ok_or_else(refused)?;
    let fits = elsewhere.allowed_hosts.iter().any(|pattern| pattern.matches(host, port) || pattern.matches(bare, port));
    if fits { Ok(()) } else { Err(refused()) }
}

type Client = legacy::Client<HttpsConnector<HttpConnector>, Body>;

fn client(running: &Running) -> Result<Client, Stopped> {
    let failed = |error: FieldError| Stopped::Failed(error.to_string());
    let roots = match running.app.jobs.elsewhere(&running.state.rest.hub) {
        Some(elsewhere) => elsewhere.roots.clone(),
        None => tls::roots(None).map_err(failed)?,
    };
    let config = tls::client_config(roots, None, &[]).map_err(failed)?;
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(PATIENCE));
    let connector =
        HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1().wrap_connector(tcp);
    Ok(legacy::Client::builder(TokioExecutor::new()).build(connector))
}

/// Why a transfer failed: in words without the address, which is a key.
struct Failure {
    words: String,
    /// Trying again may help.
    passing: bool,
}

impl Failure {
    fn passing(words: &str) -> Self {
        Self { words: words.to_owned(), passing: true }
    }
}

async fn exchange(client: &Client, request: Request<Body>) -> Result<http::Response<Incoming>, Failure> {
    let asked = tokio::time::timeout(PATIENCE * 60, client.request(request)).await;
    let response = asked.map_err(|_| Failure::passing("did not answer in time"))?;
    let response = response.map_err(|error| unreached(&error))?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let passing =
        status.is_server_error() || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT);
    Err(Failure { words: format!("answered {}", status.as_u16()), passing })
}

/// Why nothing came back. A certificate that is not trusted is none the next time either.
fn unreached(error: &(dyn Error + 'static)) -> Failure {
    match of_tls(error) {
        Some(rustls::Error::InvalidCertificate(_)) => Failure {
            words: "shows a certificate that is not trusted; jobs.ca_file of the hub names further roots".to_owned(),
            passing: false,
        },
        _ => Failure::passing("could not be reached"),
    }
}

/// What TLS said. An I/O error calls the source of what it holds its own, so what it holds is asked first.
fn of_tls<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a rustls::Error> {
    if let Some(own) = error.downcast_ref() {
        return Some(own);
    }
    match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(held) => of_tls(held),
        None => of_tls(error.source()?),
    }
}

/// Tries a transfer until it succeeds or trying again does not help.
async fn persistently<T, F>(field: &str, mut transfer: impl FnMut() -> F) -> Result<T, Stopped>
where
    F: Future<Output = Result<Result<T, Failure>, Stopped>>,
{
    let mut attempt = 0;
    loop {
        attempt += 1;
        match transfer().await? {
            Ok(done) => return Ok(done),
            Err(failure) if failure.passing && attempt < ATTEMPTS => {
                tokio::time::sleep(Duration::from_millis(500 << attempt)).await;
            }
            Err(failure) => return Err(Stopped::Failed(format!("{field} {}", failure.words))),
        }
    }
}

/// Copies the input into the store.
pub(super) async fn fetch(running: &mut Running) -> Result<JobStep, Stopped> {
    let missing = || Stopped::Failed("ImportFileUri is required".to_owned());
    let address: Uri = running.state.request.input.as_deref().and_then(|text| text.parse().ok()).ok_or_else(missing)?;
    let client = client(running)?;
    let (app, hub, container) = (running.app.clone(), running.hub, running.state.container(&running.leased.job.id));
    let fetching = persistently("ImportFileUri", || async {
        let request = Request::builder().method(Method::GET).uri(address.clone()).body(Body::empty());
        let request = request.map_err(|_| missing())?;
        let response = match exchange(&client, request).await {
            Ok(response) => response,
            Err(failure) => return Ok(Err(failure)),
        };
        copy(&app, hub, &container, response.into_body()).await
    });
    let file = running.holding(fetching).await??;
    running.state.rest.reads = Some(Read::from(&file));
    running.state.rest.total = file.bytes;
    running.state.rest.phase = Phase::Work;
    Ok(JobStep::default())
}

async fn copy(
    app: &Arc<App>,
    hub: crate::model::id::HubId,
    container: &str,
    mut body: Incoming,
) -> Result<Result<FileInfo, Failure>, Stopped> {
    let store = &app.store;
    let file = store.begin_file(hub, container, "input", KEPT).await?;
    let (mut gathered, mut number) = (Vec::with_capacity(PIECE), 0);
    loop {
        let frame = match tokio::time::timeout(PATIENCE, body.frame()).await {
            Err(_) | Ok(Some(Err(_))) => return Ok(Err(Failure::passing("broke off"))),
            Ok(Some(Ok(frame))) => frame,
            Ok(None) => break,
        };
        let mut piece: Bytes = frame.into_data().unwrap_or_default();
        while gathered.len() + piece.len() >= PIECE {
            gathered.extend_from_slice(&piece.split_to(PIECE - gathered.len()));
            let full = std::mem::replace(&mut gathered, Vec::with_capacity(PIECE));
            store.append_file(file, number, full).await?;
            number += 1;
        }
        gathered.extend_from_slice(&piece);
    }
    if !gathered.is_empty() {
        store.append_file(file, number, gathered).await?;
    }
    store.finish_file(file).await?;
    let whole = store.file(hub, container, "input").await?;
    Ok(Ok(whole.ok_or_else(|| Stopped::Failed("the input was lost".to_owned()))?))
}

/// Puts the results into the container.
pub(super) async fn deliver(running: &mut Running) -> Result<JobStep, Stopped> {
    let id = running.leased.job.id.clone();
    let container = running.state.container(&id);
    let client = client(running)?;
    let files =
        if running.state.request.kind.is_import() { &["Output.txt", "Failed.txt"][..] } else { &["Output.txt"] };
    for file in files {
        let name = running.state.name(&id, file);
        let lost = || Stopped::Failed("the results have expired".to_owned());
        let info = running.app.store.file(running.hub, &container, &name).await?.ok_or_else(lost)?;
        let address = within(&running.state.request.output, &name)
            .ok_or_else(|| Stopped::Failed("OutputContainerUri is no address".to_owned()))?;
        let app = running.app.clone();
        let delivering = persistently("OutputContainerUri", || async {
            let request = Request::builder()
                .method(Method::PUT)
                .uri(address.clone())
                .header("x-ms-blob-type", "BlockBlob")
                .header(header::CONTENT_TYPE, "text/plain; charset=utf-8")
                .header(header::CONTENT_LENGTH, info.bytes)
                .body(Body::from_stream(pieces(app.clone(), info.clone())))
                .map_err(|_| Stopped::Failed("OutputContainerUri is no address".to_owned()))?;
            Ok(exchange(&client, request).await.map(drop))
        });
        running.holding(delivering).await??;
    }
    running.state.rest.status = JobStatus::Completed;
    Ok(JobStep::default())
}

/// The address of a file in a container: before the query, which holds the signature.
fn within(container: &str, name: &str) -> Option<Uri> {
    let (path, query) = container.split_once('?').map_or((container, ""), |(path, query)| (path, query));
    let separator = if query.is_empty() { "" } else { "?" };
    format!("{}/{name}{separator}{query}", path.trim_end_matches('/')).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_lies_before_the_query() {
        for (container, expected) in [
            ("https://a.example/out?sv=1&sig=2", "https://a.example/out/h/j/Output.txt?sv=1&sig=2"),
            ("https://a.example/out/", "https://a.example/out/h/j/Output.txt"),
        ] {
            assert_eq!(within(container, "h/j/Output.txt").unwrap().to_string(), expected);
        }
    }
}
