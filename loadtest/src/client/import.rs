//! `POST …/installations:import`: the installations of generated devices as one stream of NDJSON.
use std::ops::Range;

use serde::Deserialize;
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::{
    ClientError, Connection,
    connection::{IncomingHalf, Peer},
};
use crate::devices::Devices;

/// Body bytes that go into one chunk, roughly.
const CHUNK: usize = 64 << 10;
/// Bad lines that are kept in words.
const KEPT: usize = 3;

/// What the service says of a stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    pub imported: u64,
    pub failed: u64,
    /// The first bad lines as they were answered.
    pub bad: Vec<String>,
}

/// Streams `range` into the hub and returns when the service has answered for all of it. `sent` is told the number of
/// lines that were handed to the connection.
///
/// # Errors
/// [`ClientError`]; what was read before stays imported.
pub async fn import(
    peer: &Peer,
    path: &str,
    devices: &Devices,
    range: Range<u64>,
    sent: impl FnMut(u64),
) -> Result<Imported, ClientError> {
    let (incoming, mut outgoing) = Connection::open(peer).await?.split();
    let request = format!(
        "POST {path} HTTP/1.1\r\n{}content-type: application/x-ndjson\r\ntransfer-encoding: chunked\r\n\r\n",
        peer.headers()
    );
    // Both at once: answers come while lines still go out, and a service whose answers nobody reads stops reading.
    let writing = async {
        outgoing.write_all(request.as_bytes()).await?;
        write_lines(&mut outgoing, devices, range, sent).await
    };
    let (written, read): (Result<(), std::io::Error>, _) = tokio::join!(writing, read(incoming, path));
    // A refused stream breaks while it is written, and the reason stands in the answer.
    match (written, read) {
        (Err(error), Err(ClientError::Io(_))) => Err(error.into()),
        (_, read) => read,
    }
}

async fn write_lines(
    to: &mut (impl AsyncWrite + Unpin),
    devices: &Devices,
    range: Range<u64>,
    mut sent: impl FnMut(u64),
) -> std::io::Result<()> {
    use std::io::Write;
    let mut lines = Vec::with_capacity(CHUNK + 1024);
    let mut framed = Vec::with_capacity(CHUNK + 1024);
    let (first, end) = (range.start, range.end);
    for n in range {
        devices.write_document(n, &mut lines);
        lines.push(b'\n');
        if lines.len() >= CHUNK || n + 1 == end {
            framed.clear();
            write!(framed, "{:x}\r\n", lines.len())?;
            framed.extend_from_slice(&lines);
            framed.extend_from_slice(b"\r\n");
            to.write_all(&framed).await?;
            lines.clear();
            sent(n + 1 - first);
        }
    }
    to.write_all(b"0\r\n\r\n").await
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Sum { imported: u64, failed: u64 },
    Bad {},
}

async fn read(mut incoming: IncomingHalf, path: &str) -> Result<Imported, ClientError> {
    let head = incoming.head().await?;
    let request = || format!("POST {path}");
    let mut answer = Lines::default();
    incoming.body(&head, |piece| answer.take(piece)).await?;
    if head.status != 200 {
        let body = String::from_utf8_lossy(&answer.last).into_owned();
        return Err(ClientError::Refused { request: request(), status: head.status, body });
    }
    match serde_json::from_slice(&answer.last) {
        Ok(Line::Sum { imported, failed }) => Ok(Imported { imported, failed, bad: answer.kept }),
        // A stream that ends without its sum was broken off.
        Ok(Line::Bad {}) => Err(ClientError::Malformed("the import ended without its sum")),
        Err(source) => {
            let body = String::from_utf8_lossy(&answer.last).into_owned();
            Err(ClientError::Unexpected { request: request(), source, body })
        }
    }
}

/// The answer line by line: the last one, and the first few of the others.
#[derive(Default)]
struct Lines {
    last: Vec<u8>,
    complete: bool,
    kept: Vec<String>,
}

impl Lines {
    fn take(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if self.complete {
                if self.kept.len() < KEPT {
                    self.kept.push(String::from_utf8_lossy(&self.last).trim_end().to_owned());
                }
                self.last.clear();
            }
            self.last.extend_from_slice(part);
            self.complete = part.ends_with(b"\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use fanfare::model::installation::{Installation, InstallationLimits};

    use super::*;

    #[test]
    fn the_last_line_is_the_sum_wherever_the_pieces_end() {
        let answer = b"{\"line\":7,\"error\":{}}\n{\"line\":9,\"error\":{}}\n{\"imported\":8,\"failed\":2}\n";
        for size in 1..answer.len() {
            let mut lines = Lines::default();
            answer.chunks(size).for_each(|piece| lines.take(piece));
            assert_eq!(lines.kept, ["{\"line\":7,\"error\":{}}", "{\"line\":9,\"error\":{}}"]);
            assert!(matches!(serde_json::from_slice(&lines.last).unwrap(), Line::Sum { imported: 8, failed: 2 }));
        }
    }

    #[tokio::test]
    async fn the_stream_is_chunked_lines_of_documents() {
        let mut stream = Vec::new();
        let mut told = Vec::new();
        write_lines(&mut stream, &Devices::new(1), 5..1005, |lines| told.push(lines)).await.unwrap();
        let mut rest = stream.as_slice();
        let mut text = Vec::new();
        loop {
            let end = rest.windows(2).position(|two| two == b"\r\n").unwrap();
            let length = usize::from_str_radix(std::str::from_utf8(&rest[..end]).unwrap(), 16).unwrap();
            let (chunk, after) = rest[end + 2..].split_at(length);
            text.extend_from_slice(chunk);
            rest = after.strip_prefix(b"\r\n").unwrap();
            if length == 0 {
                break;
            }
        }
        assert!(rest.is_empty());
        assert_eq!(told.last(), Some(&1000));
        let lines: Vec<_> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
        assert_eq!(lines.len(), 1000);
        let last = Installation::parse(lines[999], None, &InstallationLimits::default()).unwrap();
        assert_eq!(last.id.as_str(), Devices::new(1).id(1004).to_string());
    }
}
