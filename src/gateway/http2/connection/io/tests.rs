use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::io::{AsyncReadExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::server::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use super::*;
use crate::gateway::tls::{client_config, roots};

/// What a machine's socket buffers hold at the most, several times over.
const MORE_THAN_BUFFERS: usize = 64 << 20;

/// Two ends of one connection on this machine.
async fn ends() -> (Socket, TlsStream<TcpStream>) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let chain = vec![CertificateDer::from_pem_slice(made.cert.pem().as_bytes()).unwrap()];
    let key = PrivateKeyDer::from_pem_slice(made.signing_key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let server = builder.with_no_client_auth().with_single_cert(chain, key).unwrap();
    let client = client_config(roots(Some(&made.cert.pem())).unwrap(), None, &[]).unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let tcp = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let (connector, acceptor) = (TlsConnector::from(Arc::new(client)), TlsAcceptor::from(Arc::new(server)));
    let (ours, theirs) = tokio::join!(connector.connect(name, BufReader::new(tcp)), acceptor.accept(accepted));
    (Socket::new(ours.unwrap()), theirs.unwrap())
}

/// What a session puts out waits in the session, where it is bounded, and not without bound in the TLS layer.
#[tokio::test]
async fn while_the_network_is_full_no_more_is_taken() {
    let (mut socket, mut peer) = ends().await;
    let piece = vec![7; WRITE];
    let mut taken = 0;
    let filled = async {
        loop {
            let written = poll_fn(|cx| match socket.poll_write(cx, &piece) {
                Poll::Ready(written) => Poll::Ready(Some(written.unwrap())),
                Poll::Pending => Poll::Ready(None),
            });
            match written.await {
                Some(written) => taken += written,
                None => return,
            }
            assert!(taken < MORE_THAN_BUFFERS, "nobody reads, and {taken} bytes were taken");
        }
    };
    tokio::time::timeout(Duration::from_secs(30), filled).await.unwrap();
    assert!(socket.blocked);
    // Nothing of what was taken is lost.
    let read = async {
        let mut all = vec![0; taken];
        peer.read_exact(&mut all).await.unwrap();
        assert!(all.iter().all(|byte| *byte == 7));
    };
    let flushed = poll_fn(|cx| {
        socket.flush(cx).unwrap();
        if socket.blocked { Poll::Pending } else { Poll::Ready(()) }
    });
    tokio::time::timeout(Duration::from_secs(30), async { tokio::join!(read, flushed) }).await.unwrap();
}
