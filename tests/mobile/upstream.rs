//! An app's own code behind the service: it says back what it was asked, and does some odd things by name.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use http::{HeaderMap, StatusCode, header};
use loadtest::gateways::{Authority, TlsListener};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::{Mutex, mpsc};

pub struct Upstream {
    pub address: SocketAddr,
    said: Arc<Said>,
    /// Pieces of bodies sent to `/live`, as they came.
    pub pieces: Mutex<mpsc::UnboundedReceiver<Bytes>>,
    /// What `/live` answers next; gone with the sender.
    pub answer: mpsc::UnboundedSender<Bytes>,
}

struct Said {
    asked: Mutex<Vec<Value>>,
    pieces: mpsc::UnboundedSender<Bytes>,
    answer: Mutex<Option<mpsc::UnboundedReceiver<Bytes>>>,
}

impl Upstream {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (upstream, router) = Self::with(address);
        tokio::spawn(async move { axum::serve(listener, router).await });
        upstream
    }

    pub async fn over_tls(authority: &Authority) -> Self {
        let listener = TlsListener::bind(authority).await.unwrap();
        let (upstream, router) = Self::with(listener.address());
        tokio::spawn(async move { axum::serve(listener, router).await });
        upstream
    }

    fn with(address: SocketAddr) -> (Self, Router) {
        let ((pieces, came), (answer, answers)) = (mpsc::unbounded_channel(), mpsc::unbounded_channel());
        let said = Arc::new(Said { asked: Mutex::default(), pieces, answer: Mutex::new(Some(answers)) });
        let router = Router::new().fallback(answer_to).with_state(said.clone());
        (Self { address, said, pieces: Mutex::new(came), answer }, router)
    }

    /// The section of a configuration that leads here, below `/functions`.
    pub fn section(&self) -> String {
        format!("[mobile.api]\nupstream = 'http://{}/functions/'\n", self.address)
    }

    /// What it was asked so far.
    pub async fn asked(&self) -> Vec<Value> {
        self.said.asked.lock().await.clone()
    }
}

fn shown(headers: &HeaderMap) -> Value {
    let mut shown = serde_json::Map::new();
    for (name, value) in headers {
        shown.insert(name.to_string(), String::from_utf8_lossy(value.as_bytes()).into());
    }
    shown.into()
}

async fn answer_to(State(said): State<Arc<Said>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let target = head.uri.path_and_query().map(ToString::to_string);
    let mut asked = json!({"method": head.method.as_str(), "target": target, "headers": shown(&head.headers)});
    if path.ends_with("/live") {
        said.asked.lock().await.push(asked);
        return live(said, body).await;
    }
    // A body that breaks off is not asked anything.
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else { return StatusCode::BAD_REQUEST.into_response() };
    asked["body"] = String::from_utf8_lossy(&body).into();
    said.asked.lock().await.push(asked.clone());
    match path.rsplit('/').next().unwrap_or_default() {
        "silent" => std::future::pending().await,
        "empty" => StatusCode::NO_CONTENT.into_response(),
        "page" => {
            (StatusCode::INTERNAL_SERVER_ERROR, [(header::CONTENT_TYPE, "text/html")], "<h1>no</h1>").into_response()
        }
        "unmodified" => (StatusCode::NOT_MODIFIED, [(header::ETAG, "\"7\"")]).into_response(),
        "back" => (StatusCode::OK, body).into_response(),
        "odd" => {
            let headers = [
                ("etag", "W/\"7\""),
                ("link", "http://127.0.0.1/?$skip=1; rel=next"),
                ("content-type", "application/vnd.own+json"),
                ("access-control-allow-origin", "*"),
                ("set-cookie", "a=1"),
                ("vary", "Accept"),
                ("keep-alive", "timeout=5"),
                ("x-own", "1"),
            ];
            (StatusCode::CREATED, headers, "[ 1,2 ]").into_response()
        }
        _ => axum::Json(asked).into_response(),
    }
}

/// Tells of each piece of the body as it comes, and then answers piece by piece as it is told.
async fn live(said: Arc<Said>, body: Body) -> Response {
    let mut pieces = body.into_data_stream();
    while let Some(Ok(piece)) = pieces.next().await {
        said.pieces.send(piece).unwrap();
    }
    let answers = said.answer.lock().await.take().expect("one answer");
    let answers = futures_util::stream::unfold(answers, async |mut answers| {
        let next = answers.recv().await?;
        Some((Ok::<_, Infallible>(next), answers))
    });
    Body::from_stream(answers).into_response()
}
