//! The transport (checklist 1): both protocols on the TLS listener, under a certificate that clients trust. A client that
//! speaks HTTP/2 alone, for those whose own does.

use std::sync::Arc;

use bytes::Bytes;
use h2::client::SendRequest;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::client::Answer;
use crate::world::{World, apple, apple_token};

async fn connect(world: &World, roots: RootCertStore, protocols: &[&str]) -> std::io::Result<TlsStream<TcpStream>> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(world.running.tls_address().unwrap()).await.unwrap();
    TlsConnector::from(Arc::new(config)).connect(ServerName::try_from("localhost").unwrap(), stream).await
}

/// A client that offers HTTP/2 and nothing else.
pub struct Http2 {
    requests: SendRequest<Bytes>,
    /// `localhost:port`, as its connection string says.
    pub authority: String,
}

impl Http2 {
    pub async fn connect(world: &World) -> Self {
        let stream = connect(world, world.authority.roots(), &["h2"]).await.unwrap();
        let (requests, connection) = h2::client::handshake(stream).await.unwrap();
        // It ends with its last request.
        tokio::spawn(connection);
        Self { requests, authority: format!("localhost:{}", world.running.tls_address().unwrap().port()) }
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut request = http::Request::builder().method(method).uri(format!("https://{}{path}", self.authority));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let mut requests = self.requests.clone().ready().await.unwrap();
        let (answer, mut sending) = requests.send_request(request.body(()).unwrap(), false).unwrap();
        sending.send_data(Bytes::copy_from_slice(body), true).unwrap();
        let (head, mut content) = answer.await.unwrap().into_parts();
        let text = |value: &http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let mut body = Vec::new();
        while let Some(piece) = content.data().await {
            let piece = piece.unwrap();
            content.flow_control().release_capacity(piece.len()).unwrap();
            body.extend(piece);
        }
        Answer { status: head.status.as_u16(), headers, body }
    }
}

#[tokio::test]
async fn c01_both_protocols_are_offered_under_a_trusted_certificate() {
    let world = World::over_tls().await;
    for (offered, chosen) in [
        (&["h2"][..], Some("h2")),
        (&["http/1.1"], Some("http/1.1")),
        (&["h2", "http/1.1"], Some("h2")),
        (&["http/1.1", "h2"], Some("h2")),
        (&[], None),
    ] {
        let stream = connect(&world, world.authority.roots(), offered).await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), chosen.map(str::as_bytes), "{offered:?}");
    }
    connect(&world, RootCertStore::empty(), &["h2"]).await.expect_err("a client that does not know the root");
    // The face answers there as it does in the clear.
    let client = Http2::connect(&world).await;
    let token = world.token(&format!("https://{}/", client.authority)).await;
    let headers = [("authorization", token.as_str()), ("content-type", "application/json")];
    let path = "/hub1/installations/dev-1?api-version=2020-06";
    client.send("PUT", path, &headers, apple(1).to_string().as_bytes()).await.expect(200);
    let read = client.send("GET", path, &headers, b"").await.expect(200);
    assert_eq!(read.json()["pushChannel"], apple_token(1));
}
