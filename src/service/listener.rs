//! Connections: plain ones and TLS ones, each with a bound on how long its caller may take to say something.
//!
//! A connection must bring its first whole request head within the caller's time, TLS handshake included, and on
//! HTTP/1.1 every later head within that time after its first byte. HTTP/2 connections that do not answer a ping are
//! closed. (Bodies have their time where they are read.) When the service stops, requests under way are finished and
//! nothing else is taken.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::api::mobile::here::OverTls;

/// Between two attempts when the system gives no more connections.
const NO_DESCRIPTORS: Duration = Duration::from_millis(200);

/// The longest list of header fields over HTTP/2, in bytes: as over HTTP/1.1, whose parser takes some hundred kilobytes. A
/// mobile client's own field grows with every page that it reads (`mobile-apps.md` 6.4).
const HEADERS: u32 = 256 * 1024;

/// What every connection of a listener has in common.
#[derive(Clone)]
pub(super) struct Serving {
    pub(super) router: Router,
    pub(super) tls: Option<TlsAcceptor>,
    /// How long a caller may take with a request head.
    pub(super) patience: Duration,
    pub(super) stop: CancellationToken,
}

/// Takes connections until the stop, and ends when the last one has.
pub(super) async fn listen(listener: TcpListener, serving: Serving) {
    let connections = TaskTracker::new();
    let serving = Arc::new(serving);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = serving.stop.cancelled() => break,
        };
        match accepted {
            Ok((stream, _)) => drop(connections.spawn(connection(stream, serving.clone()))),
            Err(error) => {
                // One caller's failure costs nothing; running out of descriptors passes when others end.
                tracing::debug!(%error, "a connection was not accepted");
                tokio::time::sleep(NO_DESCRIPTORS).await;
            }
        }
    }
    drop(listener);
    connections.close();
    connections.wait().await;
}

async fn connection(stream: TcpStream, serving: Arc<Serving>) {
    // Answers are small and wait for nothing: without this their last packet may wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    match &serving.tls {
        None => serve(stream, &serving).await,
        Some(tls) => match tokio::time::timeout(serving.patience, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve(stream, &serving).await,
            Ok(Err(error)) => tracing::debug!(%error, "a TLS handshake failed"),
            Err(_) => tracing::debug!("a TLS handshake took too long"),
        },
    }
}

/// Whether a connection has brought its first request.
#[derive(Default)]
struct Begun {
    flag: AtomicBool,
    told: Notify,
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, serving: &Serving) {
    let begun = Arc::new(Begun::default());
    let (seen, router) = (begun.clone(), TowerToHyperService::new(serving.router.clone()));
    let over_tls = serving.tls.as_ref().map(|_| OverTls);
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        if let Some(mark) = over_tls {
            request.extensions_mut().insert(mark);
        }
        if !seen.flag.swap(true, Ordering::AcqRel) {
            seen.told.notify_one();
        }
        router.call(request.map(Body::new))
    });
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new()).header_read_timeout(serving.patience);
    builder
        .http2()
        .timer(TokioTimer::new())
        .keep_alive_interval(serving.patience)
        .keep_alive_timeout(serving.patience)
        .max_header_list_size(HEADERS);
    let mut served = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    // hyper's own bound does not count while it looks which protocol is spoken.
    let mut late = std::pin::pin!(tokio::time::sleep(serving.patience));
    let (mut waiting, mut stopping) = (true, false);
    loop {
        tokio::select! {
            ended = &mut served => {
                if let Err(error) = ended {
                    tracing::debug!(%error, "a connection broke");
                }
                return;
            }
            () = begun.told.notified(), if waiting => waiting = false,
            () = &mut late, if waiting => {
                if !begun.flag.load(Ordering::Acquire) {
                    tracing::debug!("a caller took too long with its first request");
                    return;
                }
                waiting = false;
            }
            () = serving.stop.cancelled(), if !stopping => {
                stopping = true;
                served.as_mut().graceful_shutdown();
            }
        }
    }
}
