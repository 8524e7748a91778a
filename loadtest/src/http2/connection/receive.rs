//! What the peer sends about the connection itself: frames in general, settings, windows, resets.
use std::collections::VecDeque;

use super::{Connection, ConnectionError, Event};
use crate::http2::frame::{self, ErrorCode, FrameHeader, flag, kind, setting};

impl Connection {
    pub(super) fn receive_frames(
        &mut self,
        rest: &mut &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        if self.preface_left > 0 {
            let length = self.preface_left.min(rest.len());
            let (preface, after) = rest.split_at(length);
            let at = frame::PREFACE.len() - self.preface_left;
            if preface != &frame::PREFACE[at..at + length] {
                return Err(ConnectionError::Preface);
            }
            self.preface_left -= length;
            *rest = after;
        }
        while let Some(header) = FrameHeader::read(rest) {
            if header.length > frame::MAX_PAYLOAD {
                return Err(ConnectionError::FrameSize(header.length));
            }
            let Some(payload) = rest.get(frame::HEADER_BYTES..frame::HEADER_BYTES + header.length) else { break };
            *rest = &rest[frame::HEADER_BYTES + header.length..];
            self.frame(header, payload, events)?;
        }
        Ok(())
    }

    fn frame(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        if !self.peer_settings_seen {
            if header.kind != kind::SETTINGS || header.has(flag::ACK) {
                return Err(ConnectionError::Protocol("the first frame is not SETTINGS"));
            }
            self.peer_settings_seen = true;
        }
        if self.partial.is_some() && header.kind != kind::CONTINUATION {
            return Err(ConnectionError::Protocol("another frame inside a header block"));
        }
        match header.kind {
            kind::DATA => self.data(header, payload, events),
            kind::HEADERS => self.headers(header, payload, events),
            kind::CONTINUATION => self.continuation(header, payload, events),
            kind::SETTINGS => self.peer_settings(header, payload),
            kind::PING => self.ping(header, payload),
            kind::WINDOW_UPDATE => self.window_update(header, payload),
            kind::RST_STREAM => self.peer_reset(header, payload, events),
            kind::PUSH_PROMISE => Err(ConnectionError::Protocol("PUSH_PROMISE from a client")),
            // PRIORITY is ignored as APNs ignores it, GOAWAY because the peer closes when it is done, types that
            // nobody knows because RFC 9113 section 5.5 says so.
            _ => Ok(()),
        }
    }

    fn peer_settings(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), ConnectionError> {
        if header.stream != 0 {
            return Err(ConnectionError::Protocol("SETTINGS on a stream"));
        }
        if header.has(flag::ACK) {
            let acknowledged = self.announced_limits.pop_front();
            self.acknowledged_limit =
                Some(acknowledged.ok_or(ConnectionError::Protocol("SETTINGS acknowledged that were never sent"))?);
            return Ok(());
        }
        let (settings, odd) = payload.as_chunks::<6>();
        if !odd.is_empty() {
            return Err(ConnectionError::FrameSize(payload.len()));
        }
        for [id_high, id_low, value @ ..] in settings {
            let value = u32::from_be_bytes(*value);
            match u16::from_be_bytes([*id_high, *id_low]) {
                setting::INITIAL_WINDOW_SIZE => self.peer_stream_window(value)?,
                setting::MAX_FRAME_SIZE if !(16_384..=0xff_ffff).contains(&value) => {
                    return Err(ConnectionError::Protocol("SETTINGS_MAX_FRAME_SIZE out of range"));
                }
                setting::ENABLE_PUSH if value > 1 => {
                    return Err(ConnectionError::Protocol("SETTINGS_ENABLE_PUSH is neither 0 nor 1"));
                }
                // The others bind an encoder with a dynamic table, a server that pushes, or larger frames than ours.
                _ => {}
            }
        }
        frame::write_header(&mut self.output, 0, kind::SETTINGS, flag::ACK, 0);
        self.send_unsent();
        Ok(())
    }

    fn peer_stream_window(&mut self, window: u32) -> Result<(), ConnectionError> {
        if window > frame::MAX_31_BITS {
            return Err(ConnectionError::FlowControl("SETTINGS_INITIAL_WINDOW_SIZE"));
        }
        let change = i64::from(window) - i64::from(self.peer_stream_window);
        self.peer_stream_window = window;
        for stream in self.streams.values_mut() {
            stream.send_window += change;
        }
        Ok(())
    }

    fn ping(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), ConnectionError> {
        if payload.len() != 8 {
            return Err(ConnectionError::FrameSize(payload.len()));
        }
        if header.stream != 0 {
            return Err(ConnectionError::Protocol("PING on a stream"));
        }
        if !header.has(flag::ACK) {
            self.tally.pings += 1;
            frame::write_header(&mut self.output, 8, kind::PING, flag::ACK, 0);
            self.output.extend_from_slice(payload);
        }
        Ok(())
    }

    fn window_update(&mut self, header: FrameHeader, payload: &[u8]) -> Result<(), ConnectionError> {
        let increment = payload.try_into().map_err(|_| ConnectionError::FrameSize(payload.len()))?;
        let increment = u32::from_be_bytes(increment) & frame::MAX_31_BITS;
        if increment == 0 {
            return Err(ConnectionError::Protocol("WINDOW_UPDATE by 0"));
        }
        let window = if header.stream == 0 {
            &mut self.send_window
        } else if let Some(stream) = self.streams.get_mut(&header.stream) {
            &mut stream.send_window
        } else if header.stream > self.highest_stream {
            return Err(ConnectionError::Protocol("WINDOW_UPDATE on a stream that was never opened"));
        } else {
            return Ok(());
        };
        *window += i64::from(increment);
        if *window > i64::from(frame::MAX_31_BITS) {
            return Err(ConnectionError::FlowControl("WINDOW_UPDATE"));
        }
        self.send_unsent();
        Ok(())
    }

    fn peer_reset(
        &mut self,
        header: FrameHeader,
        payload: &[u8],
        events: &mut VecDeque<Event>,
    ) -> Result<(), ConnectionError> {
        let code = payload.try_into().map_err(|_| ConnectionError::FrameSize(payload.len()))?;
        if header.stream == 0 || header.stream > self.highest_stream {
            return Err(ConnectionError::Protocol("RST_STREAM on a stream that was never opened"));
        }
        if let Some(stream) = self.streams.remove(&header.stream) {
            if let Some(request) = stream.request {
                self.recycle(request);
            }
            events.push_back(Event::Cancelled { stream: header.stream, code: ErrorCode(u32::from_be_bytes(code)) });
        }
        Ok(())
    }
}
