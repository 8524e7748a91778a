//! Frames become words on requests, changed limits, and replies.

use super::answer::{Assembly, Head, Kept};
use super::streams::UNENDED;
use super::{ConnectionError, DEFAULT_WINDOW, Ended, MOST_REPLIES, RECEIVE_WINDOW, Session};
use crate::gateway::http2::frame::{self, ErrorCode, FrameHead, LARGEST_WINDOW, LONGEST_PAYLOAD, flag, kind};

/// Memory for answers that is kept for the next ones.
const SPARE: usize = 64;

/// What came of a frame.
type Heard = Result<(), ConnectionError>;

/// A whole frame.
#[derive(Clone, Copy)]
struct Frame<'a> {
    head: FrameHead,
    payload: &'a [u8],
}

impl<T> Session<T> {
    /// Takes in received bytes, whole frames only, and answers how many that were; the rest must come again with what
    /// follows. Tells `word` how requests ended. After an error the connection must be closed, with
    /// [`Session::say_goodbye`] and [`Session::abandon`].
    pub fn receive(&mut self, bytes: &[u8], word: &mut impl FnMut(T, Ended<'_>)) -> Result<usize, ConnectionError> {
        let mut rest = bytes;
        while let Some((head, after)) = rest.split_first_chunk::<{ frame::HEAD }>() {
            let head = FrameHead::read(*head);
            if head.length > LONGEST_PAYLOAD {
                return Err(ConnectionError::new(ErrorCode::FRAME_SIZE_ERROR, "a frame over 16384 bytes"));
            }
            let Some((payload, after)) = after.split_at_checked(head.length) else { break };
            self.frame(Frame { head, payload }, word)?;
            rest = after;
        }
        Ok(bytes.len() - rest.len())
    }

    fn frame(&mut self, frame: Frame<'_>, word: &mut impl FnMut(T, Ended<'_>)) -> Heard {
        let Frame { head, payload } = frame;
        if !self.peer.has_spoken() && (head.kind != kind::SETTINGS || head.has(flag::ACK)) {
            return Err(ConnectionError::protocol("no SETTINGS at the beginning"));
        }
        if self.assembly.is_some() && head.kind != kind::CONTINUATION {
            return Err(ConnectionError::protocol("a frame inside a header block"));
        }
        match head.kind {
            kind::HEADERS => self.headers(frame, word),
            kind::DATA => self.data(frame, word),
            kind::CONTINUATION => self.continuation(frame, word),
            kind::RST_STREAM => self.rst_stream(frame, word),
            kind::SETTINGS => self.settings(frame),
            kind::PING => self.hear_ping(frame),
            kind::GOAWAY => self.goaway(frame, word),
            kind::WINDOW_UPDATE => self.window_update(frame, word),
            kind::PUSH_PROMISE => Err(ConnectionError::protocol("a push, which we do not take")),
            kind::PRIORITY if payload.len() != 5 => {
                Err(ConnectionError::new(ErrorCode::FRAME_SIZE_ERROR, "PRIORITY of a wrong length"))
            }
            // PRIORITY means nothing any more, and unknown types are ignored (RFC 9113 sections 5.3.2 and 5.5).
            _ => Ok(()),
        }
    }

    /// Whether a frame may speak of this stream: one that we have opened at some time.
    fn check_stream(&self, stream: u32) -> Heard {
        if stream.is_multiple_of(2) || self.streams.is_idle(stream) {
            return Err(ConnectionError::protocol("a frame on a stream that is not open"));
        }
        Ok(())
    }

    fn headers(&mut self, frame: Frame<'_>, word: &mut impl FnMut(T, Ended<'_>)) -> Heard {
        let Frame { head, .. } = frame;
        self.check_stream(head.stream)?;
        let mut fragment = unpadded(frame)?;
        if head.has(flag::PRIORITY) {
            let what = "HEADERS too short for their priority";
            fragment = fragment.get(5..).ok_or(ConnectionError::new(ErrorCode::FRAME_SIZE_ERROR, what))?;
        }
        if head.has(flag::END_HEADERS) {
            return self.block(head.stream, head.has(flag::END_STREAM), fragment, word);
        }
        self.assembly = Some(Assembly::new(head.stream, head.has(flag::END_STREAM), fragment));
        Ok(())
    }

    fn continuation(&mut self, frame: Frame<'_>, word: &mut impl FnMut(T, Ended<'_>)) -> Heard {
        let Frame { head, payload } = frame;
        let Some(mut assembly) = self.assembly.take().filter(|assembly| assembly.stream == head.stream) else {
            return Err(ConnectionError::protocol("CONTINUATION without a beginning"));
        };
        assembly.add(payload)?;
        if head.has(flag::END_HEADERS) {
            return self.block(head.stream, assembly.end_stream, assembly.block(), word);
        }
        self.assembly = Some(assembly);
        Ok(())
    }

    /// A whole header block: an answer's head, one before it (1xx), or its trailers.
    fn block(&mut self, id: u32, end_stream: bool, block: &[u8], word: &mut impl FnMut(T, Ended<'_>)) -> Heard {
        let head = Head::read(&mut self.decoder, block, self.notes_date.then_some(&mut self.date))?;
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        match (&mut stream.kept, head.status, end_stream) {
            (None, 200.., true) => self.answered(id, head.status, head.retry_after.as_deref(), &[], word),
            (None, 200.., false) => {
                let mut kept = self.spare.pop().unwrap_or_default();
                (kept.status, kept.retry_after) = (head.status, head.retry_after);
                stream.kept = Some(kept);
            }
            // Others come before the answer; 101 has no place in HTTP/2 (RFC 9113 section 8.6).
            (None, 100 | 102..=199, false) => {}
            (Some(_), 0, true) => self.end(id, &[], word),
            _ => self.malformed(id, word),
        }
        Ok(())
    }

    fn data(&mut self, frame: Frame<'_>, word: &mut impl FnMut(T, Ended<'_>)) -> Heard {
        let Frame { head, payload } = frame;
        self.check_stream(head.stream)?;
        self.count(payload.len())?;
        let piece = unpadded(frame)?;
        let id = head.stream;
        let Some(stream) = self.streams.get_mut(id) else { return Ok(()) };
        let Some(kept) = &mut stream.kept else {
            self.malformed(id, word);
            return Ok(());
        };
        if head.has(flag::END_STREAM) {
            self.end(id, piece, word);
            return Ok(());
        }
        kept.add(piece);
        kept.received += u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if kept.received >= DEFAULT_WINDOW {
            // Its window is used up, and nobody wants to read more: what is known will do.
            self.drop_body(id);
            frame::rst_stream(&mut self.out, id, ErrorCode::CANCEL);
            self.end(id, &[], word);
        }
        Ok(())
    }

    /// Counts received DATA against what we granted, and grants it again.
    fn count(&mut self, length: usize) -> Heard {
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        self.receive_window -= i64::from(length);
        if self.receive_window < 0 {
            return Err(ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, "more DATA than was granted"));
        }
        self.consumed += length;
        if self.consumed >= RECEIVE_WINDOW / 2 {
            frame::window_update(&mut self.out, 0, self.consumed);
            self.receive_window += i64::from(self.consumed);
            self.consumed = 0;
        }
        Ok(())
    }

    /// An answer that had a body has come to its end.
    fn end(&mut self, id: u32, last: &[u8], word: &mut impl FnMut(T, Ended<'_>)) {
        let Some(stream) = self.streams.get_mut(id) else { return };
        let Some(mut kept) = stream.kept.take() else { return };
        // Most bodies come in one piece, and need not be copied.
        if !kept.body.is_empty() {
            kept.add(last);
        }
        let body = if kept.body.is_empty() { last } else { &kept.body };
        self.answered(id, kept.status, kept.retry_after.as_deref(), body, word);
        self.keep_spare(kept);
    }

    fn keep_spare(&mut self, mut kept: Box<Kept>) {
        if self.spare.len() < SPARE {
            kept.clear();
            self.spare.push(kept);
        }
    }

    fn answered(
        &mut self,
        id: u32,
        status: u16,
        retry_after: Option<&str>,
        body: &[u8],
        word: &mut impl FnMut(T, Ended<'_>),
    ) {
        let Some(stream) = self.streams.take(id) else { return };
        if stream.end == UNENDED {
            // Answered before its body was put out: the rest is not wanted (RFC 9113 section 8.1).
            self.pending.retain(|pending| pending.stream != id);
            frame::rst_stream(&mut self.out, id, ErrorCode::CANCEL);
        }
        word(stream.user, Ended::Answered { status, retry_after, body });
    }

    fn malformed(&mut self, id: u32, word: &mut impl FnMut(T, Ended<'_>)) {
        frame::rst_stream(&mut self.out, id, ErrorCode::PROTOCOL_ERROR);
        self.fail(id, Ended::Malformed, word);
    }

    fn fail(&mut self, id: u32, ended: Ended<'_>, word: &mut impl FnMut(T, Ended<'_>)) {
        let Some(stream) = self.streams.take(id) else { return };
        if stream.end == UNENDED {
            self.pending.retain(|pending| pending.stream != id);
        }
        if let Some(kept) = stream.kept {
            self.keep_spare(kept);
        }
        word(stream.user, ended);
    }

    fn rst_stream(&mut self, frame: Frame<'_>, word: &mut impl FnMut(T, Ended<'_>)) -> Heard {
        let Frame { head, payload } = frame;
        self.check_stream(head.stream)?;
        let code = ErrorCode(four(payload, "RST_STREAM of a wrong length")?);
        let ended = if code == ErrorCode::REFUSED_STREAM { Ended::Refused } else { Ended::Reset(code) };
        self.break_off(head.stream, ended, word);
        Ok(())
    }

    /// The peer will say no more on this stream. A status that came is an answer, even when its body breaks off.
    fn break_off(&mut self, id: u32, ended: Ended<'_>, word: &mut impl FnMut(T, Ended<'_>)) {
        if self.streams.get_mut(id).is_some_and(|stream| stream.kept.is_some()) {
            self.drop_body(id);
            self.end(id, &[], word);
        } else {
            self.fail(id, ended, word);
        }
    }

    /// What is left of a request's body will not be sent, and the peer needs not be told.
    fn drop_body(&mut self, id: u32) {
        if let Some(stream) = self.streams.get_mut(id).filter(|stream| stream.end == UNENDED) {
            stream.end = 0;
            self.pending.retain(|pending| pending.stream != id);
        }
    }

    fn settings(&mut self, Frame { head, payload }: Frame<'_>) -> Heard {
        on_connection(head)?;
        if head.has(flag::ACK) {
            let what = "an acknowledgement of SETTINGS with a payload";
            return if payload.is_empty() {
                Ok(())
            } else {
                Err(ConnectionError::new(ErrorCode::FRAME_SIZE_ERROR, what))
            };
        }
        let changes = self.peer.apply(payload)?;
        for pending in &mut self.pending {
            pending.window += changes.window;
            if pending.window > LARGEST_WINDOW {
                return Err(ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, "a window over 2^31-1"));
            }
        }
        if let Some((smallest, last)) = changes.header_table {
            self.encoder.resize(smallest);
            self.encoder.resize(last);
        }
        frame::settings_ack(&mut self.out);
        self.push_pending();
        self.count_reply()
    }

    fn hear_ping(&mut self, Frame { head, payload }: Frame<'_>) -> Heard {
        on_connection(head)?;
        let Some(opaque) = payload.first_chunk::<8>().filter(|_| payload.len() == 8) else {
            return Err(ConnectionError::new(ErrorCode::FRAME_SIZE_ERROR, "PING of a wrong length"));
        };
        if head.has(flag::ACK) {
            self.pong = true;
            return Ok(());
        }
        frame::ping(&mut self.out, *opaque, true);
        self.count_reply()
    }

    /// A peer that asks for more replies than it reads would fill our memory.
    fn count_reply(&mut self) -> Heard {
        self.unread_replies += 1;
        if self.unread_replies > MOST_REPLIES {
            return Err(ConnectionError::new(ErrorCode::ENHANCE_YOUR_CALM, "more SETTINGS and PINGs than it reads"));
        }
        Ok(())
    }

    fn goaway(&mut self, frame: Frame<'_>, word: &mut impl FnMut(T, Ended<'_>)) -> Heard {
        let Frame { head, payload } = frame;
        on_connection(head)?;
        let Some(last) = payload.first_chunk::<4>().filter(|_| payload.len() >= 8) else {
            return Err(ConnectionError::new(ErrorCode::FRAME_SIZE_ERROR, "GOAWAY of a wrong length"));
        };
        let last = u32::from_be_bytes(*last) & frame::LAST_STREAM;
        // It may come again with a lower last stream, never a higher one.
        let last = self.going_away.map_or(last, |before| before.min(last));
        self.going_away = Some(last);
        for id in self.streams.above(last) {
            self.break_off(id, Ended::GoingAway, word);
        }
        Ok(())
    }

    fn window_update(&mut self, frame: Frame<'_>, word: &mut impl FnMut(T, Ended<'_>)) -> Heard {
        let Frame { head, payload } = frame;
        let increment = i64::from(four(payload, "WINDOW_UPDATE of a wrong length")? & 0x7fff_ffff);
        if head.stream == 0 {
            self.send_window += increment;
            if increment == 0 {
                return Err(ConnectionError::protocol("a window that grows by nothing"));
            }
            if self.send_window > LARGEST_WINDOW {
                return Err(ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, "a window over 2^31-1"));
            }
        } else {
            self.check_stream(head.stream)?;
            // Only a body that waits has a window that matters.
            if let Some(pending) = self.pending.iter_mut().find(|pending| pending.stream == head.stream) {
                pending.window += increment;
                let code = match (increment, pending.window > LARGEST_WINDOW) {
                    (0, _) => Some(ErrorCode::PROTOCOL_ERROR),
                    (_, true) => Some(ErrorCode::FLOW_CONTROL_ERROR),
                    _ => None,
                };
                if let Some(code) = code {
                    frame::rst_stream(&mut self.out, head.stream, code);
                    self.fail(head.stream, Ended::Malformed, word);
                }
            }
        }
        self.push_pending();
        Ok(())
    }
}

fn on_connection(head: FrameHead) -> Heard {
    if head.stream == 0 { Ok(()) } else { Err(ConnectionError::protocol("a frame of the connection on a stream")) }
}

fn four(payload: &[u8], what: &'static str) -> Result<u32, ConnectionError> {
    let bytes = payload.try_into().map_err(|_| ConnectionError::new(ErrorCode::FRAME_SIZE_ERROR, what))?;
    Ok(u32::from_be_bytes(bytes))
}

/// A payload without its padding (RFC 9113 section 6.1).
fn unpadded<'a>(Frame { head, payload }: Frame<'a>) -> Result<&'a [u8], ConnectionError> {
    if !head.has(flag::PADDED) {
        return Ok(payload);
    }
    let rule = ConnectionError::protocol("padding longer than its frame");
    let (length, rest) = payload.split_first().ok_or(rule)?;
    let kept = rest.len().checked_sub(usize::from(*length)).ok_or(rule)?;
    Ok(&rest[..kept])
}
