//! One kept connection.
use std::{fmt, net::SocketAddr, sync::Arc};

use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, tcp::OwnedReadHalf, tcp::OwnedWriteHalf},
};

use super::{
    ClientError,
    response::{Head, Incoming},
};

/// Where the service is and who asks: shared by the connections of a run.
#[derive(Clone)]
pub struct Peer {
    pub address: SocketAddr,
    /// The headers that every request has.
    headers: Arc<str>,
}

/// Without the key.
impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Peer {
    /// `key` is sent as a bearer token.
    pub fn new(address: SocketAddr, key: &str) -> Self {
        Self::authorized(address, &format!("Bearer {key}"))
    }

    /// `authorization` is sent as it is.
    pub fn authorized(address: SocketAddr, authorization: &str) -> Self {
        Self { address, headers: format!("host: {address}\r\nauthorization: {authorization}\r\n").into() }
    }

    /// Somebody without a key.
    pub fn nobody(address: SocketAddr) -> Self {
        Self { address, headers: format!("host: {address}\r\n").into() }
    }

    pub(super) fn headers(&self) -> &str {
        &self.headers
    }
}

/// One answer; the body is the connection's until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    pub status: u16,
    /// What the service says it took, milliseconds, where it says so.
    pub inside_ms: Option<f64>,
    /// Where it says that what was made is.
    pub location: Option<&'a str>,
    pub body: &'a [u8],
}

/// Requests are answered in their order, so several may be under way. After an error the connection is of no more use.
#[derive(Debug)]
pub struct Connection {
    peer: Peer,
    incoming: Incoming<OwnedReadHalf>,
    outgoing: OwnedWriteHalf,
    /// Requests that were pushed and not flushed.
    out: Vec<u8>,
    body: Vec<u8>,
    location: Option<String>,
    closed: bool,
}

impl Connection {
    /// # Errors
    /// [`ClientError::Io`]
    pub async fn open(peer: &Peer) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(peer.address).await?;
        stream.set_nodelay(true)?;
        let (read, write) = stream.into_split();
        Ok(Self {
            peer: peer.clone(),
            incoming: Incoming::new(read),
            outgoing: write,
            out: Vec::new(),
            body: Vec::new(),
            location: None,
            closed: false,
        })
    }

    /// The service announced the end of this connection.
    pub fn is_closed(&self) -> bool {
        self.closed
    }

    /// Puts a request behind those that wait for [`Self::flush`]. `write` appends the body.
    pub fn push(&mut self, method: &str, path: fmt::Arguments<'_>, write: impl FnOnce(&mut Vec<u8>)) {
        self.push_with(method, path, "", write);
    }

    /// As [`Self::push`], with further headers, each with its line end.
    pub fn push_with(
        &mut self,
        method: &str,
        path: fmt::Arguments<'_>,
        headers: &str,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        use std::io::Write;
        self.body.clear();
        write(&mut self.body);
        // Writing into memory cannot fail.
        drop(write!(self.out, "{method} {path} HTTP/1.1\r\n{}{headers}", self.peer.headers));
        if !self.body.is_empty() {
            self.out.extend_from_slice(b"content-type: application/json\r\n");
        }
        drop(write!(self.out, "content-length: {}\r\n\r\n", self.body.len()));
        self.out.extend_from_slice(&self.body);
    }

    /// Sends what was pushed, in one write.
    ///
    /// # Errors
    /// [`ClientError::Io`]
    pub async fn flush(&mut self) -> Result<(), ClientError> {
        self.outgoing.write_all(&self.out).await?;
        self.out.clear();
        Ok(())
    }

    /// The answer to the oldest request that has none yet.
    ///
    /// # Errors
    /// [`ClientError::Io`], [`ClientError::Malformed`]
    pub async fn answer(&mut self) -> Result<Answer<'_>, ClientError> {
        let head = self.incoming.head().await?;
        let body = &mut self.body;
        body.clear();
        self.incoming.body(head.length, |piece| body.extend_from_slice(piece)).await?;
        self.closed |= head.close;
        self.location = head.location;
        let location = self.location.as_deref();
        Ok(Answer { status: head.status, inside_ms: head.inside_ms, location, body: &self.body })
    }

    /// One request and its answer.
    ///
    /// # Errors
    /// [`ClientError::Io`], [`ClientError::Malformed`]
    pub async fn call(&mut self, method: &str, path: &str, body: &[u8]) -> Result<Answer<'_>, ClientError> {
        self.push(method, format_args!("{path}"), |out| out.extend_from_slice(body));
        self.flush().await?;
        self.answer().await
    }

    /// The two directions of a connection on which nothing is under way.
    pub(super) fn split(self) -> (IncomingHalf, OwnedWriteHalf) {
        (IncomingHalf(self.incoming), self.outgoing)
    }
}

/// Answers of a connection whose requests are written elsewhere.
#[derive(Debug)]
pub(super) struct IncomingHalf(Incoming<OwnedReadHalf>);

impl IncomingHalf {
    pub(super) async fn head(&mut self) -> Result<Head, ClientError> {
        self.0.head().await
    }

    pub(super) async fn body(&mut self, head: &Head, take: impl FnMut(&[u8])) -> Result<(), ClientError> {
        self.0.body(head.length, take).await
    }
}
