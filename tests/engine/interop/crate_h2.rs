//! The server of the `h2` crate: small windows, refusals, resets, trailers, and abrupt or graceful goodbyes.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, RecvStream};
use http::{HeaderMap, Request, Response};
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::{Seen, assert_seen, assert_told, kind, note, send, targets};
use crate::bench::Identity;

/// Requests on a connection before it goes away.
const REQUESTS: usize = 90;

#[derive(Clone, Default)]
struct World {
    seen: Seen,
    refused: Arc<Mutex<HashSet<String>>>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn h2() {
    let identity = Identity::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let world = World::default();
    let server = tokio::spawn(listen(listener, TlsAcceptor::from(identity.server()), world.clone()));

    let targets = targets(&["plain", "gone", "refused", "reset", "trailers"], 2_000);
    let told = send(port, &identity, &targets).await;
    assert_told(&targets, &told);
    server.abort();
    assert_seen(&targets, std::mem::take(&mut *world.seen.lock()));
}

async fn listen(listener: TcpListener, tls: TlsAcceptor, world: World) {
    loop {
        let (tcp, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(tcp, tls.clone(), world.clone()));
    }
}

async fn serve(tcp: TcpStream, tls: TlsAcceptor, world: World) {
    let stream = tls.accept(tcp).await.unwrap();
    let mut builder = h2::server::Builder::new();
    builder.max_concurrent_streams(25).initial_window_size(3_000).initial_connection_window_size(65_535);
    let mut connection = builder.handshake::<_, Bytes>(stream).await.unwrap();
    let mut count = 0;
    // A connection that fails ends here; what counts is what each target was told.
    while let Some(Ok((request, respond))) = connection.accept().await {
        count += 1;
        if count == REQUESTS {
            connection.graceful_shutdown();
        }
        tokio::spawn(answer(request, respond, world.clone()));
    }
}

async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>, world: World) -> Option<()> {
    let (head, mut incoming) = request.into_parts();
    let path = head.uri.path().to_owned();
    if kind(&path) == "refused" && world.refused.lock().insert(path.clone()) {
        respond.send_reset(Reason::REFUSED_STREAM);
        return None;
    }
    let mut body = Vec::new();
    while let Some(piece) = incoming.data().await {
        let piece = piece.ok()?;
        incoming.flow_control().release_capacity(piece.len()).ok()?;
        body.extend_from_slice(&piece);
    }
    note(&world.seen, &path, body);
    let response = |status: u16| Response::builder().status(status).body(()).unwrap();
    match kind(&path) {
        "reset" => respond.send_reset(Reason::CANCEL),
        "gone" => {
            let mut stream = respond.send_response(response(410), false).ok()?;
            stream.send_data(format!("gone {path}").into(), true).ok()?;
        }
        "trailers" => {
            let mut stream = respond.send_response(response(200), false).ok()?;
            stream.send_trailers(HeaderMap::from_iter([("x-end".parse().unwrap(), "yes".parse().unwrap())])).ok()?;
        }
        _ => drop(respond.send_response(response(200), true).ok()?),
    }
    Some(())
}
