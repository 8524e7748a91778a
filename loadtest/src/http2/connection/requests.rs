//! Requests as they arrive: header blocks, bodies, trailers.
use std::collections::VecDeque;

use super::{Connection, ConnectionError, Event, Partial, Stream};
use crate::http2::frame::{self, ErrorCode, FrameHeader, flag};

impl Connection {
    pub(super) fn headers(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        let mut block = unpadded(header, payload)?;
        if header.has(flag::PRIORITY) {
            block = block.get(5..).ok_or(ConnectionError::FrameSize(payload.len()))?;
        }
        if header.stream.is_multiple_of(2) {
            return Err(ConnectionError::Protocol("HEADERS on a stream that no client can open"));
        }
        let end_stream = header.has(flag::END_STREAM);
        if header.has(flag::END_HEADERS) {
            return self.header_block(header.stream, end_stream, block, events);
        }
        self.partial = Some(Partial { stream: header.stream, end_stream, block: block.to_vec() });
        Ok(())
    }

    pub(super) fn continuation(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        let Some(mut partial) = self.partial.take_if(|partial| partial.stream == header.stream) else {
            return Err(ConnectionError::Protocol("CONTINUATION without its HEADERS"));
        };
        partial.block.extend_from_slice(payload);
        // Compressed, a list within its limit is not this long: endless CONTINUATION must not fill the memory.
        if partial.block.len() > 4 * frame::MAX_PAYLOAD {
            return Err(ConnectionError::Protocol("a header block without end"));
        }
        if header.has(flag::END_HEADERS) {
            return self.header_block(partial.stream, partial.end_stream, &partial.block, events);
        }
        self.partial = Some(partial);
        Ok(())
    }

    fn header_block(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        if id <= self.highest_stream {
            return self.trailers(id, end_stream, block, events);
        }
        self.highest_stream = id;
        let mut request = self.spare.pop().unwrap_or_default();
        request.stream = id;
        let limit = self.settings.max_header_list as usize;
        let mut shape = Shape::default();
        self.decoder.decode(block, |name, value| {
            if request.head_bytes() + name.len() + value.len() <= limit {
                shape.field(name, value);
                request.push(name, value);
            } else {
                shape.bad = true;
            }
        })?;
        if self.last_stream.is_some_and(|last| id > last) {
            self.recycle(request);
            return Ok(());
        }
        if self.streams.len() >= self.stream_limit() as usize {
            self.tally.refused += 1;
            self.tally.limit_violations += u64::from(self.acknowledged_limit.is_some());
            frame::write_reset(&mut self.output, id, ErrorCode::REFUSED_STREAM);
            self.recycle(request);
            return Ok(());
        }
        if !shape.complete() {
            self.tally.malformed += 1;
            frame::write_reset(&mut self.output, id, ErrorCode::PROTOCOL_ERROR);
            self.recycle(request);
            return Ok(());
        }
        self.streams.insert(
            id,
            Stream {
                request: Some(request),
                announced: shape.length,
                receive_window: i64::from(self.settings.stream_window),
                used: 0,
                send_window: i64::from(self.peer_stream_window),
                unsent: Vec::new(),
            },
        );
        self.tally.max_open = self.tally.max_open.max(self.streams.len() as u64);
        if end_stream {
            self.request_complete(id, events);
        }
        Ok(())
    }

    fn trailers(
        &mut self,
        id: u32,
        end_stream: bool,
        block: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        self.decoder.decode(block, |_, _| ())?;
        let receiving = self.streams.get(&id).is_some_and(|stream| stream.request.is_some());
        match (receiving, end_stream) {
            (true, true) => self.request_complete(id, events),
            (true, false) => return Err(ConnectionError::Protocol("trailers do not end their stream")),
            // Closed by us meanwhile (reset, refused, answered early); the peer may not know yet.
            (false, _) => {}
        }
        Ok(())
    }

    pub(super) fn data(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        let id = header.stream;
        if id == 0 || id > self.highest_stream {
            return Err(ConnectionError::Protocol("DATA on a stream that was never opened"));
        }
        // Padding counts as well (RFC 9113 section 6.9.1), and so does DATA of streams that are closed meanwhile.
        let length = i64::try_from(payload.len()).unwrap_or(i64::MAX);
        self.receive_window -= length;
        if self.receive_window < 0 {
            return Err(ConnectionError::FlowControl("connection"));
        }
        self.used += u32::try_from(payload.len()).unwrap_or(u32::MAX);
        let body = unpadded(header, payload)?;
        let mut end_stream = false;
        if let Some(stream) = self.streams.get_mut(&id) {
            let Some(request) = &mut stream.request else {
                return Err(ConnectionError::Protocol("DATA behind the end of its stream"));
            };
            stream.receive_window -= length;
            if stream.receive_window < 0 {
                return Err(ConnectionError::FlowControl("stream"));
            }
            stream.used += u32::try_from(payload.len()).unwrap_or(u32::MAX);
            request.body.extend_from_slice(body);
            end_stream = header.has(flag::END_STREAM);
            if !end_stream && !self.windows_held && stream.used >= self.settings.stream_window / 2 {
                frame::write_window_update(&mut self.output, id, stream.used);
                stream.receive_window += i64::from(std::mem::take(&mut stream.used));
            }
        }
        if end_stream {
            self.request_complete(id, events);
        }
        self.grant_connection_window(self.settings.connection_window.max(frame::DEFAULT_WINDOW) / 2);
        Ok(())
    }

    pub(super) fn grant_connection_window(&mut self, threshold: u32) {
        if !self.windows_held && self.used > 0 && self.used >= threshold {
            frame::write_window_update(&mut self.output, 0, self.used);
            self.receive_window += i64::from(std::mem::take(&mut self.used));
        }
    }

    fn request_complete(&mut self, id: u32, events: &mut VecDeque<Event>) {
        let Some(stream) = self.streams.get_mut(&id) else { return };
        let Some(request) = stream.request.take() else { return };
        let truthful = stream.announced.is_none_or(|announced| announced == request.body.len());
        if truthful {
            events.push_back(Event::Request(request));
        } else {
            self.tally.malformed += 1;
            self.recycle(request);
            self.reset(id, ErrorCode::PROTOCOL_ERROR);
        }
    }
}

/// The payload without its padding (RFC 9113 section 6.1).
fn unpadded(header: FrameHeader, payload: &[u8]) -> Result<&[u8], ConnectionError> {
    if !header.has(flag::PADDED) {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(ConnectionError::FrameSize(0))?;
    let length = rest.len().checked_sub(usize::from(*padding));
    let length = length.ok_or(ConnectionError::Protocol("more padding than payload"))?;
    Ok(&rest[..length])
}

/// Whether a header list is a request (RFC 9113 sections 8.2 and 8.3).
#[derive(Default)]
struct Shape {
    method: bool,
    scheme: bool,
    path: bool,
    regular: bool,
    /// `content-length`.
    length: Option<usize>,
    bad: bool,
}

impl Shape {
    fn field(&mut self, name: &[u8], value: &[u8]) {
        if name.first() != Some(&b':') {
            self.regular = true;
            self.bad |= name.is_empty() || name.iter().any(u8::is_ascii_uppercase);
            match name {
                b"connection" | b"proxy-connection" | b"keep-alive" | b"transfer-encoding" | b"upgrade" => {
                    self.bad = true;
                }
                b"te" => self.bad |= value != b"trailers",
                b"content-length" => {
                    self.length = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    self.bad |= self.length.is_none();
                }
                _ => {}
            }
            return;
        }
        let seen = match name {
            b":method" => &mut self.method,
            b":scheme" => &mut self.scheme,
            b":path" => &mut self.path,
            b":authority" => return,
            _ => {
                self.bad = true;
                return;
            }
        };
        self.bad |= *seen || self.regular || value.is_empty();
        *seen = true;
    }

    fn complete(&self) -> bool {
        self.method && self.scheme && self.path && !self.bad
    }
}
