//! hyper's server, shut down gracefully after a hundred requests a connection.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

use super::{Seen, assert_seen, assert_told, kind, note, send, targets};
use crate::bench::Identity;

/// Requests on a connection before it is told to shut down.
const REQUESTS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hyper() {
    let identity = Identity::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Seen::default();
    let server = tokio::spawn(listen(listener, TlsAcceptor::from(identity.server()), Arc::clone(&seen)));

    let targets = targets(&["plain", "gone", "plain"], 4_000);
    let told = send(port, &identity, &targets).await;
    assert_told(&targets, &told);
    server.abort();
    assert_seen(&targets, std::mem::take(&mut *seen.lock()));
}

async fn listen(listener: TcpListener, tls: TlsAcceptor, seen: Seen) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(tcp, tls.clone(), Arc::clone(&seen)));
    }
}

async fn serve(tcp: TcpStream, tls: TlsAcceptor, seen: Seen) {
    let stream = TokioIo::new(tls.accept(tcp).await.unwrap());
    let (count, enough) = (Arc::new(AtomicUsize::new(0)), CancellationToken::new());
    let told = enough.clone();
    let service = service_fn(move |request| {
        if count.fetch_add(1, Ordering::Relaxed) + 1 == REQUESTS {
            told.cancel();
        }
        answer(request, Arc::clone(&seen))
    });
    let mut builder = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    builder.max_concurrent_streams(30).initial_stream_window_size(20_000).initial_connection_window_size(70_000);
    let mut connection = std::pin::pin!(builder.serve_connection(stream, service));
    // How the connection ends is the client's business here: what counts is what each target was told.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = enough.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

async fn answer(request: Request<Incoming>, seen: Seen) -> Result<Response<Full<Bytes>>, Infallible> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    // A request that breaks off was not taken.
    let Ok(body) = body.collect().await else { return Ok(Response::default()) };
    note(&seen, &path, body.to_bytes().to_vec());
    let (status, text) = match kind(&path) {
        "gone" => (410, format!("gone {path}")),
        _ => (200, String::new()),
    };
    Ok(Response::builder().status(status).body(Full::from(text)).unwrap())
}
