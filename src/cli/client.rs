//! The native API as a client of it sees it: where the service is, who calls, and what came back.
//!
//! One connection a request: what these commands do is one request, or a stream that wants a connection of its own.
//! Errors are whole sentences for whoever reads stderr at night: what was tried, what came back, what to look at. None
//! of them holds the key.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use bytes::{Bytes, BytesMut};
use clap::Args;
use futures_util::StreamExt;
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode, header};
use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use serde::Deserialize;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::gateway::tls;
use crate::identity::key_file;
use crate::identity::secret::Secret;

mod base;

pub(super) use base::Base;

/// What a connection may take to open.
const OPENING: Duration = Duration::from_secs(10);
/// What the service may be silent within an answer. Streams of events speak each second.
const SILENCE: Duration = Duration::from_secs(120);

/// Where the service is and who calls.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Talking to a running service (hub, send, watch, installations)")]
pub struct Connection {
    /// Where the service is, http:// or https://
    #[arg(
        long,
        global = true,
        env = "FANFARE_URL",
        value_name = "URL",
        hide_env_values = true,
        default_value = "http://127.0.0.1:8080"
    )]
    url: String,
    /// The admin key or a key of the hub; better given as FANFARE_KEY, which other users of the machine cannot see
    #[arg(
        long,
        global = true,
        env = "FANFARE_KEY",
        value_name = "KEY",
        hide_env_values = true,
        value_parser = secret
    )]
    key: Option<Secret>,
    /// A file that holds the key, such as data/admin.key; goes before FANFARE_KEY
    #[arg(long, global = true, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// PEM file of a root certificate to trust besides the public ones, for https://
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[expect(clippy::unnecessary_wraps, reason = "the form that clap asks for")]
fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    #[error("--url (FANFARE_URL) {0}")]
    BadUrl(&'static str),
    #[error("no key: set FANFARE_KEY, or give --key-file; the admin key of a service stands in its data/admin.key")]
    NoKey,
    #[error("the key holds characters that no key has; is it the right file?")]
    BadKey,
    #[error("cannot use --ca {}: {why}", path.display())]
    BadRoot { path: PathBuf, why: String },
    #[error("cannot use --key-file: {0}")]
    KeyFile(#[from] key_file::KeyFileError),
    #[error("cannot reach {url}: {why}; is `fanfare serve` running there, and is --url (FANFARE_URL) right?")]
    Unreachable { url: String, why: String },
    #[error("no TLS with {url}: {why}; is it an https:// listener, and does --ca name its root certificate?")]
    Tls { url: String, why: String },
    #[error("the connection to {url} broke: {why}")]
    Broken { url: String, why: String },
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error("{url} answered something that is not Fanfare's: {why}; is --url (FANFARE_URL) right?")]
    Foreign { url: String, why: String },
}

impl ClientError {
    /// Whether nothing was tried because of what stands on the command line or in the environment.
    pub(super) const fn is_usage(&self) -> bool {
        matches!(self, Self::BadUrl(_) | Self::NoKey | Self::BadKey | Self::BadRoot { .. } | Self::KeyFile(_))
    }

    /// Whether the same request may work in a moment.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Refused(refusal) => {
                refusal.status.is_server_error() || refusal.status == StatusCode::TOO_MANY_REQUESTS
            }
            _ => false,
        }
    }
}

/// The service's own word against a request.
#[derive(Debug, Deserialize, thiserror::Error)]
#[error("{}", self.text())]
pub(super) struct Refusal {
    #[serde(skip)]
    pub status: StatusCode,
    pub code: String,
    pub message: String,
    pub field: Option<String>,
}

impl Refusal {
    fn text(&self) -> String {
        let Self { status, code, message, field } = self;
        let field = field.as_ref().map(|field| format!(", field {field}")).unwrap_or_default();
        let hint = match *status {
            StatusCode::UNAUTHORIZED => "; check FANFARE_KEY, --key or --key-file",
            StatusCode::FORBIDDEN => "; the admin key may do everything",
            _ => "",
        };
        format!("{message} ({code}{field}, status {}){hint}", status.as_u16())
    }
}

/// Somebody with a key.
pub(super) struct Client {
    base: Base,
    authorization: HeaderValue,
    /// For https.
    tls: Option<TlsConnector>,
}

impl Client {
    pub(super) fn new(connection: &Connection) -> Result<Self, ClientError> {
        // Read here and not with the command line: a bad FANFARE_URL is no business of `fanfare serve`.
        let base: Base = connection.url.parse().map_err(ClientError::BadUrl)?;
        let key = match (&connection.key, &connection.key_file) {
            (_, Some(file)) => key_file::read(file)?,
            (Some(key), None) if !key.expose().trim().is_empty() => key.clone(),
            _ => return Err(ClientError::NoKey),
        };
        let mut authorization =
            HeaderValue::from_str(&format!("Bearer {}", key.expose().trim())).map_err(|_| ClientError::BadKey)?;
        authorization.set_sensitive(true);
        let tls = match base.is_https() {
            true => Some(connector(connection.ca.as_ref())?),
            false => None,
        };
        Ok(Self { base, authorization, tls })
    }

    /// Where the service is.
    pub(super) fn base(&self) -> &Base {
        &self.base
    }

    pub(super) async fn get(&self, path: &str) -> Result<Answer, ClientError> {
        self.send(Method::GET, path, HeaderMap::new(), Bytes::new()).await
    }

    /// A request with a JSON body.
    pub(super) async fn json(
        &self,
        method: Method,
        path: &str,
        body: &impl serde::Serialize,
    ) -> Result<Answer, ClientError> {
        let body = serde_json::to_vec(body).map_err(|error| self.broken(error))?;
        self.send(method, path, HeaderMap::new(), body.into()).await
    }

    /// Sends a request and answers what came back when that is a success, and else the service's reason.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Answer, ClientError> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        let target = self.base.target(path);
        *request.uri_mut() = target.parse().map_err(|_| self.broken("bad path"))?;
        *request.headers_mut() = headers;
        let own = request.headers_mut();
        own.insert(header::AUTHORIZATION, self.authorization.clone());
        own.entry(header::CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));
        own.insert(header::HOST, HeaderValue::from_str(self.base.authority()).map_err(|_| self.broken("bad host"))?);
        let response = tokio::time::timeout(SILENCE, self.exchange(request)).await;
        let response = response.map_err(|_| self.broken(format!("no answer within {} s", SILENCE.as_secs())))??;
        let (head, body) = response.into_parts();
        let answer = Answer {
            status: head.status,
            url: self.base.to_string(),
            body: body.into_data_stream(),
            read: BytesMut::new(),
        };
        if head.status.is_success() { Ok(answer) } else { Err(answer.refusal().await) }
    }

    /// The connection broke in the caller's eyes.
    pub(super) fn broken(&self, why: impl ToString) -> ClientError {
        ClientError::Broken { url: self.base.to_string(), why: why.to_string() }
    }

    /// The answer is nothing that the API gives.
    pub(super) fn foreign(&self, why: impl ToString) -> ClientError {
        ClientError::Foreign { url: self.base.to_string(), why: why.to_string() }
    }

    async fn exchange(&self, request: Request<Body>) -> Result<http::Response<Body>, ClientError> {
        let stream = self.dial().await?;
        match &self.tls {
            None => self.speak(TokioIo::new(stream), request).await,
            Some(connector) => {
                let failed = |why: String| ClientError::Tls { url: self.base.to_string(), why };
                let name =
                    ServerName::try_from(self.base.host().to_owned()).map_err(|error| failed(error.to_string()))?;
                let stream = tokio::time::timeout(OPENING, connector.connect(name, stream)).await;
                let stream =
                    stream.map_err(|_| failed("no answer".into()))?.map_err(|error| failed(error.to_string()))?;
                self.speak(TokioIo::new(stream), request).await
            }
        }
    }

    async fn dial(&self) -> Result<TcpStream, ClientError> {
        let failed = |why: String| ClientError::Unreachable { url: self.base.to_string(), why };
        let dialled = TcpStream::connect((self.base.host(), self.base.port()));
        let stream = tokio::time::timeout(OPENING, dialled).await;
        let stream = stream.map_err(|_| failed("no answer".into()))?.map_err(|error| failed(reason(&error)))?;
        // Requests are small and wait for nothing.
        drop(stream.set_nodelay(true));
        Ok(stream)
    }

    async fn speak<I>(&self, io: I, request: Request<Body>) -> Result<http::Response<Body>, ClientError>
    where
        I: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
    {
        let broken = |error: hyper::Error| self.broken(error);
        let (mut requests, connection) = hyper::client::conn::http1::handshake(io).await.map_err(broken)?;
        // It ends by itself when the answer was read or dropped; its errors also reach whoever reads the answer.
        tokio::spawn(async move { drop(connection.await) });
        Ok(requests.send_request(request).await.map_err(broken)?.map(Body::new))
    }
}

/// What the system says of a connection, without its number.
fn reason(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "connection refused".into(),
        _ => error.to_string(),
    }
}

fn connector(ca: Option<&PathBuf>) -> Result<TlsConnector, ClientError> {
    let bad = |why: String| ClientError::BadRoot { path: ca.cloned().unwrap_or_default(), why };
    let pem = ca.map(std::fs::read_to_string).transpose().map_err(|error| bad(error.to_string()))?;
    let roots = tls::roots(pem.as_deref()).map_err(|error| bad(error.to_string()))?;
    let config = tls::client_config(roots, None, &[b"http/1.1"]).map_err(|error| bad(error.to_string()))?;
    Ok(TlsConnector::from(Arc::new(config)))
}

/// A successful answer, its body still on the way.
pub(super) struct Answer {
    pub status: StatusCode,
    url: String,
    body: BodyDataStream,
    read: BytesMut,
}

impl Answer {
    /// The next line without its end; `None` when the body is over. A broken body is an error, never an end.
    pub(super) async fn line(&mut self) -> Result<Option<String>, ClientError> {
        let mut looked_at = 0;
        loop {
            if let Some(end) = self.read[looked_at..].iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(looked_at + end + 1);
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                return Ok(Some(String::from_utf8_lossy(line).into_owned()));
            }
            looked_at = self.read.len();
            match self.piece().await? {
                Some(piece) => self.read.extend_from_slice(&piece),
                None if self.read.is_empty() => return Ok(None),
                None => return Ok(Some(String::from_utf8_lossy(&self.read.split()).into_owned())),
            }
        }
    }

    /// The whole body as JSON.
    pub(super) async fn into_json<T: serde::de::DeserializeOwned>(mut self) -> Result<T, ClientError> {
        let body = self.whole().await?;
        serde_json::from_slice(&body).map_err(|error| ClientError::Foreign { url: self.url, why: error.to_string() })
    }

    async fn whole(&mut self) -> Result<BytesMut, ClientError> {
        while let Some(piece) = self.piece().await? {
            self.read.extend_from_slice(&piece);
        }
        Ok(self.read.split())
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, ClientError> {
        let broken = |why: String| ClientError::Broken { url: self.url.clone(), why };
        let piece = tokio::time::timeout(SILENCE, self.body.next()).await;
        let piece = piece.map_err(|_| broken(format!("silent for {} s", SILENCE.as_secs())))?;
        piece.transpose().map_err(|error| broken(error.to_string()))
    }

    /// The reason that the body gives.
    async fn refusal(mut self) -> ClientError {
        #[derive(Deserialize)]
        struct Said {
            error: Refusal,
        }
        let body = match self.whole().await {
            Ok(body) => body,
            Err(error) => return error,
        };
        let status = self.status;
        match serde_json::from_slice::<Said>(&body) {
            Ok(said) => Refusal { status, ..said.error }.into(),
            Err(_) => ClientError::Foreign { url: self.url, why: format!("status {status} without a reason") },
        }
    }
}

/// A path below `/v1/hubs/{hub}`.
pub(super) fn hub_path(hub: &str, rest: &str) -> String {
    format!("/v1/hubs/{}{rest}", segment(hub))
}

/// A text as one segment of a path or one value of a query.
pub(super) fn segment(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') => out.push(char::from(b)),
            b => out.push_str(&format!("%{b:02X}")),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_escaped() {
        assert_eq!(segment("a b/ü?"), "a%20b%2F%C3%BC%3F");
        assert_eq!(hub_path("a/b", "/x"), "/v1/hubs/a%2Fb/x");
    }

    #[test]
    fn a_refusal_names_code_and_field() {
        let mut refusal: Refusal =
            serde_json::from_str(r#"{"code":"invalid","message":"ttl must be small","field":"ttl"}"#).unwrap();
        refusal.status = StatusCode::BAD_REQUEST;
        assert_eq!(refusal.to_string(), "ttl must be small (invalid, field ttl, status 400)");
    }
}
