//! Frames as bytes (RFC 9113 sections 4 and 6): their heads, and the few that a client writes besides requests.

/// What a client says first (RFC 9113 section 3.4).
pub const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame's head.
pub const HEAD: usize = 9;
/// The longest payload that we accept: SETTINGS_MAX_FRAME_SIZE as it is when nothing is said.
pub const LONGEST_PAYLOAD: usize = 16_384;
/// Stream ids have 31 bits.
pub const LAST_STREAM: u32 = 0x7fff_ffff;
/// The largest flow-control window (RFC 9113 section 6.9.1).
pub const LARGEST_WINDOW: i64 = 0x7fff_ffff;

/// Types of frames.
pub mod kind {
    pub const DATA: u8 = 0x0;
    pub const HEADERS: u8 = 0x1;
    pub const PRIORITY: u8 = 0x2;
    pub const RST_STREAM: u8 = 0x3;
    pub const SETTINGS: u8 = 0x4;
    pub const PUSH_PROMISE: u8 = 0x5;
    pub const PING: u8 = 0x6;
    pub const GOAWAY: u8 = 0x7;
    pub const WINDOW_UPDATE: u8 = 0x8;
    pub const CONTINUATION: u8 = 0x9;
}

/// Flags of frames.
pub mod flag {
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
}

/// Parameters of SETTINGS.
pub mod setting {
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    pub const ENABLE_PUSH: u16 = 0x2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
}

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHead {
    /// Bytes of the payload, below 2^24.
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    /// 0 is the connection itself.
    pub stream: u32,
}

impl FrameHead {
    /// Reads a head; the reserved bit is ignored (RFC 9113 section 4.1).
    pub fn read(bytes: [u8; HEAD]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        Self {
            length: usize::from(l0) << 16 | usize::from(l1) << 8 | usize::from(l2),
            kind,
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & LAST_STREAM,
        }
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; HEAD] {
        let [_, l0, l1, l2] = u32::try_from(self.length).unwrap_or(u32::MAX).to_be_bytes();
        let [s0, s1, s2, s3] = self.stream.to_be_bytes();
        [l0, l1, l2, self.kind, self.flags, s0, s1, s2, s3]
    }

    /// Whether a flag is set.
    pub const fn has(self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

fn head(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    out.extend_from_slice(&FrameHead { length, kind, flags, stream }.bytes());
}

/// Appends SETTINGS with these parameters.
pub fn settings(out: &mut Vec<u8>, parameters: &[(u16, u32)]) {
    head(out, parameters.len() * 6, kind::SETTINGS, 0, 0);
    for (parameter, value) in parameters {
        out.extend_from_slice(&parameter.to_be_bytes());
        out.extend_from_slice(&value.to_be_bytes());
    }
}

/// Appends the acknowledgement of the peer's SETTINGS.
pub fn settings_ack(out: &mut Vec<u8>) {
    head(out, 0, kind::SETTINGS, flag::ACK, 0);
}

/// Appends a PING, or with `ack` the answer to one.
pub fn ping(out: &mut Vec<u8>, opaque: [u8; 8], ack: bool) {
    head(out, 8, kind::PING, if ack { flag::ACK } else { 0 }, 0);
    out.extend_from_slice(&opaque);
}

/// Appends a WINDOW_UPDATE; stream 0 is the connection.
pub fn window_update(out: &mut Vec<u8>, stream: u32, increment: u32) {
    head(out, 4, kind::WINDOW_UPDATE, 0, stream);
    out.extend_from_slice(&increment.to_be_bytes());
}

/// Appends a RST_STREAM.
pub fn rst_stream(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    head(out, 4, kind::RST_STREAM, 0, stream);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Appends a GOAWAY: we take no stream of the peer's, so the last one is 0.
pub fn goaway(out: &mut Vec<u8>, code: ErrorCode) {
    head(out, 8, kind::GOAWAY, 0, 0);
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(&code.0.to_be_bytes());
}

/// Why a stream or a connection ends (RFC 9113 section 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    pub const NO_ERROR: Self = Self(0x0);
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    pub const REFUSED_STREAM: Self = Self(0x7);
    pub const CANCEL: Self = Self(0x8);
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_read_as_written() {
        for head in [
            FrameHead { length: 0, kind: kind::SETTINGS, flags: flag::ACK, stream: 0 },
            FrameHead { length: 0x00ff_ffff, kind: 0xff, flags: 0xff, stream: LAST_STREAM },
            FrameHead { length: 250, kind: kind::DATA, flags: flag::END_STREAM, stream: 7 },
        ] {
            assert_eq!(FrameHead::read(head.bytes()), head);
        }
        assert_eq!(FrameHead::read([0, 0, 0, 0, 0, 0x80, 0, 0, 1]).stream, 1, "the reserved bit");
    }

    #[test]
    fn frames_have_the_layout_of_the_rfc() {
        let mut out = Vec::new();
        settings(&mut out, &[(setting::ENABLE_PUSH, 0)]);
        assert_eq!(out, [0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0]);
        out.clear();
        ping(&mut out, *b"12345678", true);
        assert_eq!(out, *b"\0\0\x08\x06\x01\0\0\0\x0012345678");
        out.clear();
        window_update(&mut out, 3, 0x0102_0304);
        rst_stream(&mut out, 3, ErrorCode::CANCEL);
        goaway(&mut out, ErrorCode::PROTOCOL_ERROR);
        assert_eq!(out[..13], [0, 0, 4, 8, 0, 0, 0, 0, 3, 1, 2, 3, 4]);
        assert_eq!(out[13..26], [0, 0, 4, 3, 0, 0, 0, 0, 3, 0, 0, 0, 8]);
        assert_eq!(out[26..], [0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
    }
}
