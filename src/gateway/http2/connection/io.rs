//! Bytes in, bytes out: large buffers, and one write for what many requests put out.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::Connection;
use crate::clock::BootInstant;
use crate::gateway::pool::dial::Stream;

/// Bytes that are read at once. A frame that has not come whole waits in here: the longest has 16,393.
const READ: usize = 64 * 1024;
/// Bytes that are written at once: as many as the TLS layer holds by its own limit, which must stay. Without it what is
/// put out for a peer that does not read would pile up there, where nothing bounds it.
const WRITE: usize = 64 * 1024;
/// Bytes that are read before anything is written again.
const READ_IN_A_ROUND: usize = 4 * READ;

/// A TLS stream with what was read of it and not taken yet.
pub(super) struct Socket {
    stream: Stream,
    buffer: Box<[u8]>,
    filled: usize,
    /// What was written may still lie in the TLS layer.
    unflushed: bool,
    /// The network takes no more for now.
    pub(super) blocked: bool,
}

impl Socket {
    pub(super) fn new(stream: Stream) -> Self {
        let buffer = vec![0; READ].into_boxed_slice();
        Self { stream, buffer, filled: 0, unflushed: false, blocked: false }
    }

    /// Reads once. Ready with what there is to take now, which is nothing new when the peer has closed.
    pub(super) fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Result<usize, String>> {
        let mut space = ReadBuf::new(&mut self.buffer[self.filled..]);
        match Pin::new(&mut self.stream).poll_read(cx, &mut space) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Err(error)) => Poll::Ready(Err(error.to_string())),
            Poll::Ready(Ok(())) => {
                let read = space.filled().len();
                self.filled += read;
                Poll::Ready(Ok(read))
            }
        }
    }

    /// What was read and not taken.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[..self.filled]
    }

    /// So many bytes of it were taken.
    pub(super) fn take(&mut self, bytes: usize) {
        self.buffer.copy_within(bytes..self.filled, 0);
        self.filled -= bytes;
    }

    /// Writes once.
    pub(super) fn poll_write(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize, String>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.blocked = done.is_pending();
        self.unflushed |= matches!(done, Poll::Ready(Ok(_)));
        done.map_err(|error| error.to_string())
    }

    /// Hands the network what lies in the TLS layer.
    pub(super) fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        if !self.unflushed {
            return Ok(());
        }
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Ok(())) => {
                (self.unflushed, self.blocked) = (false, false);
                Ok(())
            }
            Poll::Ready(Err(error)) => Err(error.to_string()),
            Poll::Pending => {
                self.blocked = true;
                Ok(())
            }
        }
    }
}

impl Connection {
    /// Takes in what has come. Answers whether anything did.
    pub(super) fn read(&mut self, cx: &mut Context<'_>, now: BootInstant) -> Result<bool, String> {
        let mut total = 0;
        while total < READ_IN_A_ROUND {
            let Poll::Ready(read) = self.socket.poll_read(cx)? else { break };
            if read == 0 {
                return Err("closed by the peer".to_owned());
            }
            total += read;
            let settling = &mut self.settling;
            let heard = self.session.receive(self.socket.unread(), &mut |open, ended| settling.word(open, ended, now));
            match heard {
                Ok(taken) => self.socket.take(taken),
                Err(error) => {
                    self.session.say_goodbye(error.code);
                    // The peer may not read it, and nothing follows from that.
                    drop(self.write(cx, now));
                    return Err(format!("the peer sent {error}"));
                }
            }
        }
        Ok(total > 0)
    }

    /// The network takes no more. What the peer said before it went may still lie there: answers, and how far it got.
    pub(super) fn hear_out(&mut self, cx: &mut Context<'_>, now: BootInstant) {
        while matches!(self.read(cx, now), Ok(true)) {}
    }

    /// Writes what the session put out. Answers whether any of it left.
    pub(super) fn write(&mut self, cx: &mut Context<'_>, now: BootInstant) -> Result<bool, String> {
        let mut moved = false;
        while !self.session.output().is_empty() {
            let output = self.session.output();
            let offered = output.len().min(WRITE);
            match self.socket.poll_write(cx, &output[..offered]) {
                Poll::Pending => break,
                Poll::Ready(Ok(written)) => {
                    self.session.wrote(written);
                    moved |= written > 0;
                }
                Poll::Ready(Err(error)) => {
                    // The TLS layer writes in several steps, and does not say how many went well before the one that
                    // failed: any of these bytes may have left, and so may be processed.
                    self.session.wrote(offered);
                    return Err(error);
                }
            }
        }
        self.socket.flush(cx)?;
        self.stalled_since = self.session.is_stalled().then(|| self.stalled_since.unwrap_or(now));
        Ok(moved)
    }
}

#[cfg(test)]
mod tests;
