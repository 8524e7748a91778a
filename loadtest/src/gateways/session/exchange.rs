//! The bytes of a connection: both ways at once while it lives, and its end.
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{Service, Session};

/// With more than this unsent, nothing is read: a peer that does not read its answers must not fill our memory.
const UNSENT_LIMIT: usize = 1 << 20;
/// How long a closing connection waits for the peer to close too: without it the kernel would answer unread bytes with
/// a reset, which may overtake what was sent last.
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);
/// How long a connection that is about to be reset tries to send the answers of its last turn.
const ABORT_PATIENCE: Duration = Duration::from_millis(50);

impl<S: Service> Session<S> {
    pub(super) async fn close(mut self) {
        let output = std::mem::take(self.core.output());
        let farewell = async {
            self.stream.write_all(&output).await?;
            self.stream.shutdown().await?;
            while self.stream.read(&mut self.input).await? > 0 {}
            io::Result::Ok(())
        };
        // Whether it worked is the peer's business: the connection ends either way.
        drop(tokio::time::timeout(CLOSE_PATIENCE, farewell).await);
    }

    pub(super) async fn abort(mut self) {
        let output = std::mem::take(self.core.output());
        let last_words = async {
            self.stream.write_all(&output).await?;
            self.stream.flush().await
        };
        drop(tokio::time::timeout(ABORT_PATIENCE, last_words).await);
        // SO_LINGER 0 turns the close into a reset; should it fail the peer sees an end without close_notify.
        drop(self.stream.get_ref().0.set_zero_linger());
    }
}

pub(super) enum Moved {
    Read,
    Eof,
}

/// Sends what is there and reads what is there, both at once: ready when something was read.
pub(super) fn exchange(
    mut stream: Pin<&mut TlsStream<TcpStream>>,
    output: &mut Vec<u8>,
    input: &mut [u8],
    filled: &mut usize,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Moved>> {
    let mut sent = 0;
    while sent < output.len() {
        match stream.as_mut().poll_write(cx, &output[sent..]) {
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
            Poll::Ready(Ok(length)) => sent += length,
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => break,
        }
    }
    output.drain(..sent);
    if let Poll::Ready(Err(error)) = stream.as_mut().poll_flush(cx) {
        return Poll::Ready(Err(error));
    }
    if output.len() > UNSENT_LIMIT {
        return Poll::Pending;
    }
    let before = *filled;
    while *filled < input.len() {
        let mut room = ReadBuf::new(&mut input[*filled..]);
        match stream.as_mut().poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) if room.filled().is_empty() => {
                // What came before the end still counts; the end shows itself again at the next read.
                return Poll::Ready(Ok(if *filled > before { Moved::Read } else { Moved::Eof }));
            }
            Poll::Ready(Ok(())) => *filled += room.filled().len(),
            Poll::Ready(Err(_)) if *filled > before => return Poll::Ready(Ok(Moved::Read)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending if *filled > before => return Poll::Ready(Ok(Moved::Read)),
            Poll::Pending => return Poll::Pending,
        }
    }
    Poll::Ready(Ok(Moved::Read))
}
