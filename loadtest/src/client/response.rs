//! Reading HTTP/1.1 answers (RFC 9112): status, the few headers that matter here, and the body by its length or in
//! chunks.
use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::ClientError;

/// More than any answer's head takes.
const LONGEST_LINE: usize = 64 << 10;

/// Status line and headers.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) length: Length,
    /// The connection ends with this answer.
    pub(super) close: bool,
    /// The first `dur` of `Server-Timing`, milliseconds.
    pub(super) inside_ms: Option<f64>,
    /// `Location`, as it was written.
    pub(super) location: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Length {
    Fixed(usize),
    Chunked,
    /// Neither was given: up to the end of the connection.
    #[default]
    UntilClose,
}

/// Bytes that were read and not yet used.
#[derive(Debug)]
pub(super) struct Incoming<R> {
    from: R,
    buffer: Vec<u8>,
    used: usize,
}

impl<R: AsyncRead + Unpin> Incoming<R> {
    pub(super) fn new(from: R) -> Self {
        Self { from, buffer: Vec::with_capacity(16 << 10), used: 0 }
    }

    async fn fill(&mut self) -> io::Result<()> {
        if self.used == self.buffer.len() {
            self.buffer.clear();
            self.used = 0;
        } else if self.used > 32 << 10 {
            self.buffer.drain(..self.used);
            self.used = 0;
        }
        match self.from.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }

    /// One line without its end, which may be LF alone.
    async fn line(&mut self) -> Result<&[u8], ClientError> {
        let mut searched = 0;
        let length = loop {
            let fresh = &self.buffer[self.used..];
            if let Some(at) = fresh[searched..].iter().position(|byte| *byte == b'\n') {
                break searched + at;
            }
            searched = fresh.len();
            if searched > LONGEST_LINE {
                return Err(ClientError::Malformed("a line of the head is too long"));
            }
            self.fill().await?;
        };
        let line = &self.buffer[self.used..self.used + length];
        self.used += length + 1;
        Ok(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// The next answer's head; interim answers (1xx) are passed over.
    pub(super) async fn head(&mut self) -> Result<Head, ClientError> {
        loop {
            let mut head = Head { status: status(self.line().await?)?, ..Head::default() };
            loop {
                let line = self.line().await?;
                if line.is_empty() {
                    break;
                }
                head.header(line)?;
            }
            if matches!(head.status, 204 | 304) {
                head.length = Length::Fixed(0);
            }
            if head.status >= 200 {
                return Ok(head);
            }
        }
    }

    /// Hands the body over, piece by piece as it comes.
    pub(super) async fn body(&mut self, length: Length, mut take: impl FnMut(&[u8])) -> Result<(), ClientError> {
        match length {
            Length::Fixed(length) => self.piece(length, &mut take).await,
            Length::Chunked => loop {
                let line = self.line().await?;
                let digits = line.split(|byte| *byte == b';').next().unwrap_or_default();
                let length =
                    std::str::from_utf8(digits).ok().and_then(|text| usize::from_str_radix(text.trim(), 16).ok());
                let length = length.ok_or(ClientError::Malformed("a chunk has no length"))?;
                if length == 0 {
                    while !self.line().await?.is_empty() {}
                    return Ok(());
                }
                self.piece(length, &mut take).await?;
                if !self.line().await?.is_empty() {
                    return Err(ClientError::Malformed("a chunk does not end where it should"));
                }
            },
            Length::UntilClose => loop {
                take(&self.buffer[self.used..]);
                self.used = self.buffer.len();
                match self.fill().await {
                    Ok(()) => {}
                    Err(end) if end.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
                    Err(error) => return Err(error.into()),
                }
            },
        }
    }

    async fn piece(&mut self, mut left: usize, take: &mut impl FnMut(&[u8])) -> Result<(), ClientError> {
        while left > 0 {
            if self.used == self.buffer.len() {
                self.fill().await?;
            }
            let fresh = &self.buffer[self.used..];
            let now = &fresh[..fresh.len().min(left)];
            take(now);
            left -= now.len();
            self.used += now.len();
        }
        Ok(())
    }
}

fn status(line: &[u8]) -> Result<u16, ClientError> {
    let digits = line.strip_prefix(b"HTTP/1.").and_then(|rest| rest.get(2..5));
    let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    text.and_then(|text| text.parse().ok()).ok_or(ClientError::Malformed("no status line"))
}

impl Head {
    fn header(&mut self, line: &[u8]) -> Result<(), ClientError> {
        let colon =
            line.iter().position(|byte| *byte == b':').ok_or(ClientError::Malformed("a header has no colon"))?;
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        let text = || std::str::from_utf8(value).unwrap_or_default();
        if name.eq_ignore_ascii_case(b"content-length") {
            let length = text().parse().map_err(|_| ClientError::Malformed("Content-Length is no number"))?;
            self.length = Length::Fixed(length);
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            self.length = Length::Chunked;
        } else if name.eq_ignore_ascii_case(b"connection") {
            self.close = value.eq_ignore_ascii_case(b"close");
        } else if name.eq_ignore_ascii_case(b"server-timing") {
            self.inside_ms = duration(text());
        } else if name.eq_ignore_ascii_case(b"location") {
            self.location = Some(text().to_owned());
        }
        Ok(())
    }
}

/// `name;dur=1.5, other;dur=2` → 1.5 (W3C Server Timing).
fn duration(value: &str) -> Option<f64> {
    let first = value.split(',').next()?;
    first.split(';').find_map(|parameter| parameter.trim().strip_prefix("dur=")?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn read(answer: &[u8]) -> Result<(Head, Vec<u8>), ClientError> {
        // A byte at a time, so that every boundary is met.
        let (mut far, near) = tokio::io::duplex(1);
        let answer = answer.to_vec();
        let writing = tokio::spawn(async move {
            drop(tokio::io::AsyncWriteExt::write_all(&mut far, &answer).await);
        });
        let mut incoming = Incoming::new(near);
        let head = incoming.head().await?;
        let mut body = Vec::new();
        incoming.body(head.length, |piece| body.extend_from_slice(piece)).await?;
        drop(incoming);
        writing.await.unwrap();
        Ok((head, body))
    }

    #[tokio::test]
    async fn bodies_are_read_by_length_chunks_and_end() {
        let (head, body) = read(
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nServer-Timing: count;dur=1.25, x;dur=9\r\nConnection: close\r\n\r\nhello",
        )
        .await
        .unwrap();
        assert_eq!((head.status, head.close, head.inside_ms, body.as_slice()), (200, true, Some(1.25), &b"hello"[..]));
        let (head, _) = read(b"HTTP/1.1 201 Created\r\nLocation: /a/b?c\r\ncontent-length: 0\r\n\r\n").await.unwrap();
        assert_eq!(head.location.as_deref(), Some("/a/b?c"));
        let chunked =
            b"HTTP/1.1 400 No\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2;x=1\r\nlo\r\n0\r\nTrailer: x\r\n\r\n";
        let (head, body) = read(chunked).await.unwrap();
        assert_eq!((head.status, body.as_slice()), (400, &b"hello"[..]));
        let (_, body) = read(b"HTTP/1.1 200 OK\r\n\r\nhello").await.unwrap();
        assert_eq!(body, b"hello");
        let (head, body) = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n").await.unwrap();
        assert_eq!((head.status, body.len()), (204, 0));
    }

    #[tokio::test]
    async fn broken_answers_are_errors() {
        for broken in [
            &b"ICY 200 OK\r\n\r\n"[..],
            b"HTTP/1.1 2\r\n\r\n",
            b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nab\r\n",
        ] {
            assert!(matches!(read(broken).await, Err(ClientError::Malformed(_))), "{broken:?}");
        }
        assert!(matches!(read(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhell").await, Err(ClientError::Io(_))));
    }
}
