//! A small HTTP/1.1 client, so that tests see the bytes as they are.

use std::net::SocketAddr;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What no test takes unless something hangs.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Somebody with a key.
#[derive(Clone)]
pub struct Client {
    address: SocketAddr,
    /// Value of the `Authorization` header.
    authorization: Option<String>,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Each line of the body.
    pub fn lines(&self) -> Vec<Value> {
        self.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Status, and code and field of an error; empty where there is none.
    pub fn refusal(&self) -> (u16, String, String) {
        let body: Value = serde_json::from_slice(&self.body).unwrap_or_default();
        let part = |name: &str| body["error"][name].as_str().unwrap_or_default().to_owned();
        (self.status, part("code"), part("field"))
    }

    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}", String::from_utf8_lossy(&self.body));
        self
    }
}

impl Client {
    pub fn new(address: SocketAddr, authorization: Option<String>) -> Self {
        Self { address, authorization }
    }

    pub fn bearer(address: SocketAddr, key: &str) -> Self {
        Self::new(address, Some(format!("Bearer {key}")))
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], b"").await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], b"").await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Answer {
        self.send("POST", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Answer {
        self.send("PUT", path, &[("content-type", "application/json")], body.to_string().as_bytes()).await
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let length = body.len().to_string();
        let mut headers = headers.to_vec();
        if !body.is_empty() {
            headers.push(("content-length", &length));
        }
        let mut exchange = self.begin(method, path, &headers).await;
        exchange.write(body).await;
        exchange.answer().await
    }

    /// Follows the events of the broadcast at this path until one is as wanted.
    pub async fn follow(&self, broadcast: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        let following = async {
            let mut events = self.begin("GET", &format!("{broadcast}/events"), &[]).await;
            events.head().await.expect(200);
            while let Some(event) = events.next_chunk().await {
                let event = String::from_utf8(event).unwrap();
                let Some((_, data)) = event.trim_end().split_once("\ndata: ") else { continue };
                last = serde_json::from_str(data).unwrap();
                if wanted(&last) {
                    return true;
                }
            }
            false
        };
        let came = tokio::time::timeout(PATIENCE, following).await == Ok(true);
        assert!(came, "{last}");
        last
    }

    /// Imports installations into the hub at this path.
    pub async fn import(&self, hub: &str, documents: impl IntoIterator<Item = Value>) {
        let lines: Vec<String> = documents.into_iter().map(|document| document.to_string()).collect();
        let path = format!("{hub}/installations:import");
        let answer = self.send("POST", &path, &[], lines.join("\n").as_bytes()).await.expect(200);
        assert_eq!(answer.lines(), [serde_json::json!({"imported": lines.len(), "failed": 0})]);
    }

    /// What became of an installation's first target in the broadcast at this path.
    pub async fn outcome(&self, broadcast: &str, installation: &str) -> Value {
        self.get(&format!("{broadcast}/outcomes/{installation}")).await.expect(200).json()["items"][0].take()
    }

    /// Sends the head of a request; what follows is the caller's.
    pub async fn begin(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Exchange {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        let mut head = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
        if !headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("host")) {
            head.push_str(&format!("host: {}\r\n", self.address));
        }
        if let Some(authorization) = &self.authorization {
            head.push_str(&format!("authorization: {authorization}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.unwrap();
        Exchange { stream: BufReader::new(stream) }
    }
}

/// A request under way.
pub struct Exchange {
    stream: BufReader<TcpStream>,
}

impl Exchange {
    /// Sends bytes; a server that has answered already may not take them.
    pub async fn write(&mut self, bytes: &[u8]) {
        let _ = self.stream.get_mut().write_all(bytes).await;
    }

    /// Sends a chunk of a body of unknown length; an empty one ends it.
    pub async fn chunk(&mut self, bytes: &[u8]) {
        self.write(format!("{:x}\r\n", bytes.len()).as_bytes()).await;
        self.write(bytes).await;
        self.write(b"\r\n").await;
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Status and headers.
    pub async fn head(&mut self) -> Answer {
        let status = self.line().await;
        let status = status.split(' ').nth(1).and_then(|code| code.parse().ok());
        let mut headers = Vec::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_owned(), value.trim().to_owned()));
        }
        Answer { status: status.expect("a status line"), headers, body: Vec::new() }
    }

    /// The next chunk of a chunked body; `None` at its end or when the connection closed.
    pub async fn next_chunk(&mut self) -> Option<Vec<u8>> {
        let length = usize::from_str_radix(&self.line().await, 16).ok().filter(|length| *length > 0)?;
        let mut chunk = vec![0; length];
        self.stream.read_exact(&mut chunk).await.ok()?;
        self.line().await;
        Some(chunk)
    }

    /// The whole answer.
    pub async fn answer(mut self) -> Answer {
        let mut answer = self.head().await;
        if answer.header("transfer-encoding").is_some_and(|coding| coding == "chunked") {
            while let Some(chunk) = self.next_chunk().await {
                answer.body.extend(chunk);
            }
        } else {
            // A reset after the answer is how a server ends a body that it does not want.
            let _ = self.stream.read_to_end(&mut answer.body).await;
        }
        answer
    }
}
