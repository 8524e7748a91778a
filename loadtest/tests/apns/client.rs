//! A plain client: one connection, requests one by one or many at once.
use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use loadtest::gateways::{ApnsConfig, ApnsSim, ProviderKey, authority::ClientCertificate};
use rustls::{
    ClientConfig,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;

pub(crate) const TOPIC: &str = "com.example.app";
pub(crate) const BODY: &str = r#"{"aps":{"alert":"Hello"}}"#;

/// A service with one key, and that key.
pub(crate) struct Kit {
    pub(crate) sim: ApnsSim,
    pub(crate) key: ProviderKey,
    pub(crate) jwt: String,
}

pub(crate) async fn kit(config: ApnsConfig) -> Kit {
    let sim = ApnsSim::start(config).await.unwrap();
    let key = sim.issue_key("TEAM123456").unwrap();
    let jwt = key.sign(sim.clock().unix_seconds()).unwrap();
    Kit { sim, key, jwt }
}

/// The service that most tests want: requests are kept, one app exists.
pub(crate) fn config() -> ApnsConfig {
    ApnsConfig { topics: vec![TOPIC.to_owned()], keep_requests: true, ..ApnsConfig::default() }
}

/// 64 hex digits made of `number`.
pub(crate) fn token(number: u32) -> String {
    format!("{number:08x}").repeat(8)
}

/// What came of a request.
#[derive(Debug)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: serde_json::Value,
}

impl Answered {
    pub(crate) fn reason(&self) -> &str {
        self.body["reason"].as_str().unwrap_or_default()
    }
}

pub(crate) struct Client {
    pub(crate) send: SendRequest<Bytes>,
    pub(crate) ping: h2::PingPong,
    pub(crate) connection: tokio::task::JoinHandle<Result<(), h2::Error>>,
}

impl Kit {
    pub(crate) async fn connect(&self) -> Client {
        Client::connect(&self.sim, None).await.unwrap()
    }

    /// A connection whose streams are unlocked: one push was answered.
    pub(crate) async fn warm(&self) -> Client {
        let client = self.connect().await;
        let answered = client.push(self.request(&token(0))).await.unwrap();
        assert_eq!(answered.status, 200);
        client
    }

    pub(crate) fn request(&self, token: &str) -> http::request::Builder {
        request(token).header("authorization", format!("bearer {}", self.jwt))
    }
}

/// A request without credentials.
pub(crate) fn request(token: &str) -> http::request::Builder {
    Request::post(format!("https://localhost/3/device/{token}"))
        .header("apns-topic", TOPIC)
        .header("apns-push-type", "alert")
        .header("apns-priority", "10")
        .header("apns-expiration", "0")
}

impl Client {
    pub(crate) async fn connect(sim: &ApnsSim, certificate: Option<&ClientCertificate>) -> anyhow::Result<Self> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
        let tls = tls.with_root_certificates(sim.authority().roots());
        let mut tls = match certificate {
            None => tls.with_no_client_auth(),
            Some(client) => tls.with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(client.certificate_pem.as_bytes())?],
                PrivateKeyDer::from_pem_slice(client.key_pem.as_bytes())?,
            )?,
        };
        tls.alpn_protocols = vec![b"h2".to_vec()];
        let tcp = TcpStream::connect(sim.address()).await?;
        let name = ServerName::try_from("localhost")?;
        let tls = tokio_rustls::TlsConnector::from(Arc::new(tls)).connect(name, tcp).await?;
        // The client knows that APNs begins with one stream: by default `h2` would open a hundred before it has read the
        // settings, and see them refused.
        let (send, mut connection) = h2::client::Builder::new().initial_max_send_streams(1).handshake(tls).await?;
        let ping = connection.ping_pong().ok_or_else(|| anyhow::anyhow!("its ping is taken"))?;
        Ok(Self { send, ping, connection: tokio::spawn(connection) })
    }

    /// Sends with the usual body and waits for the answer.
    pub(crate) async fn push(&self, request: http::request::Builder) -> Result<Answered, h2::Error> {
        self.push_body(request, BODY.as_bytes()).await
    }

    pub(crate) async fn push_body(&self, request: http::request::Builder, body: &[u8]) -> Result<Answered, h2::Error> {
        answered(self.start(request, body).await?).await
    }

    /// Opens a stream, as soon as the limit allows.
    pub(crate) async fn start(
        &self,
        request: http::request::Builder,
        body: &[u8],
    ) -> Result<ResponseFuture, h2::Error> {
        let mut send = self.send.clone().ready().await?;
        let (response, mut stream) = send.send_request(request.body(()).unwrap(), body.is_empty())?;
        if !body.is_empty() {
            stream.send_data(Bytes::copy_from_slice(body), true)?;
        }
        Ok(response)
    }
}

pub(crate) async fn answered(response: ResponseFuture) -> Result<Answered, h2::Error> {
    let (head, mut stream) = response.await?.into_parts();
    let mut body = Vec::new();
    while let Some(chunk) = stream.data().await {
        let chunk = chunk?;
        stream.flow_control().release_capacity(chunk.len())?;
        body.extend_from_slice(&chunk);
    }
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Ok(Answered { status: head.status.as_u16(), headers: head.headers, body })
}

/// What never comes must fail the test, not hang it.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), future).await.expect("it did not come")
}
