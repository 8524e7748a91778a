//! What of each request has left for the network.
//!
//! The `h2` crate does not say which of its streams were written when a connection dies, and on that hangs whether a
//! target may be sent again without the risk of a second push (`push-services.md` 0.5). So its output passes through
//! here, and the frame headers in it are read (RFC 9113 section 4.1): a request counts as written once its last frame
//! was handed to TLS whole.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Length of the client's preface (RFC 9113 section 3.4).
const PREFACE: usize = 24;
const FRAME_HEADER: usize = 9;
const DATA: u8 = 0x0;
const HEADERS: u8 = 0x1;
const RST_STREAM: u8 = 0x3;
const END_STREAM: u8 = 0x1;

/// A view of the requests that were written, shared with the connection's owner on the same thread.
#[derive(Clone, Debug, Default)]
pub(super) struct Written(Rc<RefCell<Scanner>>);

impl Written {
    /// Whether all of this stream's request was handed to TLS.
    pub(super) fn whole(&self, stream: u32) -> bool {
        let scanner = self.0.borrow();
        stream <= scanner.opened && !scanner.unfinished.contains(&stream)
    }

    /// Whether the network takes no more for now.
    pub(super) fn is_blocked(&self) -> bool {
        self.0.borrow().blocked
    }
}

#[derive(Debug)]
struct Scanner {
    /// Bytes of preface or payload that are still to pass.
    skip: usize,
    header: [u8; FRAME_HEADER],
    have: usize,
    /// The stream that ends when `skip` bytes have passed.
    ending: Option<u32>,
    /// Ids grow as streams open (RFC 9113 section 5.1.1).
    opened: u32,
    unfinished: HashSet<u32>,
    blocked: bool,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            skip: PREFACE,
            header: [0; FRAME_HEADER],
            have: 0,
            ending: None,
            opened: 0,
            unfinished: HashSet::new(),
            blocked: false,
        }
    }
}

impl Scanner {
    fn pass(&mut self, mut bytes: &[u8]) {
        loop {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            if self.skip > 0 {
                return;
            }
            if let Some(stream) = self.ending.take() {
                self.unfinished.remove(&stream);
            }
            let missing = (FRAME_HEADER - self.have).min(bytes.len());
            self.header[self.have..self.have + missing].copy_from_slice(&bytes[..missing]);
            self.have += missing;
            bytes = &bytes[missing..];
            if self.have < FRAME_HEADER {
                return;
            }
            self.have = 0;
            self.begin_frame();
        }
    }

    fn begin_frame(&mut self) {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = self.header;
        self.skip = usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2);
        let stream = u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]);
        match kind {
            HEADERS if stream > self.opened => {
                self.opened = stream;
                self.unfinished.insert(stream);
            }
            RST_STREAM => {
                self.unfinished.remove(&stream);
            }
            _ => {}
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            self.ending = Some(stream);
        }
    }
}

/// A connection whose output is read along.
#[derive(Debug)]
pub(super) struct Tap<Io> {
    io: Io,
    written: Written,
}

impl<Io> Tap<Io> {
    pub(super) fn new(io: Io) -> (Self, Written) {
        let written = Written::default();
        (Self { io, written: written.clone() }, written)
    }

    fn note<'a>(&self, done: &Poll<io::Result<usize>>, slices: impl Iterator<Item = &'a [u8]>) {
        let mut scanner = self.written.0.borrow_mut();
        scanner.blocked = done.is_pending();
        let mut left = match *done {
            Poll::Pending => 0,
            Poll::Ready(Ok(written)) => written,
            // TLS writes in several steps, and does not say how many went well before the one that failed.
            Poll::Ready(Err(_)) => usize::MAX,
        };
        for slice in slices {
            let passed = left.min(slice.len());
            scanner.pass(&slice[..passed]);
            left -= passed;
        }
    }
}

impl<Io: AsyncRead + Unpin> AsyncRead for Tap<Io> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<Io: AsyncWrite + Unpin> AsyncWrite for Tap<Io> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write(cx, buf);
        self.note(&done, std::iter::once(buf));
        done
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.note(&done, bufs.iter().map(|slice| &**slice));
        done
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_flush(cx))?;
        self.written.0.borrow_mut().blocked = false;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, stream: u32, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut bytes = vec![length[1], length[2], length[3], kind, flags];
        bytes.extend(stream.to_be_bytes());
        bytes.resize(FRAME_HEADER + payload, 0xee);
        bytes
    }

    fn output() -> Vec<u8> {
        let mut bytes = vec![b'P'; PREFACE];
        bytes.extend(frame(0x4, 0, 0, 18));
        bytes.extend(frame(HEADERS, 0x4, 1, 40));
        bytes.extend(frame(HEADERS, 0x4, 3, 40));
        bytes.extend(frame(DATA, END_STREAM, 1, 100));
        bytes
    }

    #[test]
    fn a_request_is_whole_when_its_last_byte_has_passed() {
        let bytes = output();
        for cut in [1, 8, 9, 10, 50] {
            let written = Written::default();
            let (most, last) = bytes.split_at(bytes.len() - 1);
            most.chunks(cut).for_each(|piece| written.0.borrow_mut().pass(piece));
            assert!(!written.whole(1), "in pieces of {cut}");
            written.0.borrow_mut().pass(last);
            assert!(written.whole(1) && !written.whole(3) && !written.whole(5));
        }
    }

    #[test]
    fn what_a_failed_write_was_offered_may_have_left() {
        let (tap, written) = Tap::new(());
        tap.note(&Poll::Pending, std::iter::once(&output()[..]));
        assert!(!written.whole(1));
        tap.note(&Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())), std::iter::once(&output()[..]));
        assert!(written.whole(1));
    }

    #[test]
    fn a_request_without_body_ends_with_its_headers() {
        let written = Written::default();
        written.0.borrow_mut().pass(&[b'P'; PREFACE]);
        written.0.borrow_mut().pass(&frame(HEADERS, 0x4 | END_STREAM, 1, 10));
        assert!(written.whole(1));
    }
}
