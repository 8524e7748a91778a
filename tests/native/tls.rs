//! The TLS listener: both protocols, and a certificate that is renewed while connections are open.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::world::World;

/// A fresh certificate in the files that the service reads.
fn issue(folder: &Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(folder.join("server.crt"), made.cert.pem()).unwrap();
    std::fs::write(folder.join("server.key"), made.signing_key.serialize_pem()).unwrap();
    made.cert.der().clone()
}

async fn connect(
    address: SocketAddr,
    trusted: &CertificateDer<'static>,
    protocol: &[u8],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await
}

/// One request on a connection that stays open.
async fn alive(stream: &mut TlsStream<TcpStream>) {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut said = vec![0; 12];
    stream.read_exact(&mut said).await.unwrap();
    assert_eq!(said, b"HTTP/1.1 200");
    // The rest of the head and its body: they are small and come in one piece.
    let mut rest = vec![0; 4_096];
    let _ = stream.read(&mut rest).await.unwrap();
}

#[tokio::test]
async fn a_renewed_certificate_is_shown_and_open_connections_stay() {
    let files = tempfile::tempdir().unwrap();
    let old = issue(files.path());
    let path = |name: &str| files.path().join(name).display().to_string();
    let (certificate, key) = (path("server.crt"), path("server.key"));
    let world = World::bare(&[
        ("SERVER__TLS__LISTEN", "127.0.0.1:0"),
        ("SERVER__TLS__CERT_FILE", &certificate),
        ("SERVER__TLS__KEY_FILE", &key),
    ])
    .await;
    let address = world.running.tls_address().unwrap();
    let mut open = connect(address, &old, b"http/1.1").await.unwrap();
    alive(&mut open).await;

    let stream = connect(address, &old, b"h2").await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut requests, connection) = h2::client::handshake(stream).await.unwrap();
    let driver = tokio::spawn(connection);
    let ask = http::Request::get("https://localhost/healthz").body(()).unwrap();
    let (answer, _) = requests.send_request(ask.clone(), true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);

    // A file that is no certificate changes nothing.
    std::fs::write(&certificate, "half of").unwrap();
    connect(address, &old, b"http/1.1").await.unwrap();
    let new = issue(files.path());
    let renewed = async {
        while connect(address, &new, b"http/1.1").await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), renewed).await.expect("the new certificate is shown");
    connect(address, &old, b"http/1.1").await.expect_err("the old one is not shown any more");
    alive(&mut open).await;
    let mut requests = requests.ready().await.unwrap();
    let (answer, _) = requests.send_request(ask, true).unwrap();
    assert_eq!(answer.await.unwrap().status(), 200);
    drop((requests, open));
    assert!(world.running.stop().await);
    driver.await.unwrap().unwrap();
}
