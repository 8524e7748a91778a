//! A peer that asks for replies without end and reads none of them.

use std::time::Duration;

use fanfare::gateway::senders::Senders;
use loadtest::http2::frame::{self, kind};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::bench::{Bench, How, Identity, quick};

/// What a socket's buffers take of the replies, many times over.
const MOST_PINGS: usize = 8_000_000;
const AT_ONCE: usize = 1_000;
const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until it is left, and answers how often.
async fn ask(listener: TcpListener, tls: TlsAcceptor) -> usize {
    let (tcp, _) = listener.accept().await.unwrap();
    let mut stream = tls.accept(tcp).await.unwrap();
    let mut pings = Vec::new();
    frame::write_settings(&mut pings, &[]);
    stream.write_all(&pings).await.unwrap();
    pings.clear();
    for _ in 0..AT_ONCE {
        frame::write_header(&mut pings, 8, kind::PING, 0, 0);
        pings.extend_from_slice(b"and thou");
    }
    let mut asked = 0;
    while asked < MOST_PINGS && stream.write_all(&pings).await.is_ok() {
        asked += AT_ONCE;
    }
    asked
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_left_before_its_replies_fill_our_memory() {
    let identity = Identity::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let senders = Senders::start(1).unwrap();
    let how = How { connections: 1, length: |_| 10, tuning: quick() };
    let bench = Bench::new(port, &identity, &senders, how);
    let asking = tokio::time::timeout(PATIENCE, ask(listener, TlsAcceptor::from(identity.server())));
    let targets = [(1, "/push/1".to_owned())];
    let asked = tokio::select! {
        asked = asking => asked.expect("it is neither read nor left"),
        _ = bench.send(&targets, 1) => panic!("nobody answers"),
    };
    assert!(asked < MOST_PINGS, "{asked} pings were taken in, and no reply was read");
}
