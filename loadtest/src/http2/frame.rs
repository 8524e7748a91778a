//! Frame headers and the control frames that a server writes (RFC 9113 sections 4 and 6).
use std::{fmt, str::FromStr};

/// The RFC's numbers, and frames that are the same from either side.
pub use fanfare::gateway::http2::frame::{
    PREFACE, flag, kind, setting, settings as write_settings, window_update as write_window_update,
};
use serde::{Deserialize, Serialize};

/// Bytes before each frame's payload.
pub const HEADER_BYTES: usize = 9;
/// The largest payload that we take; the smallest allowed value and the default (RFC 9113 section 4.2).
pub const MAX_PAYLOAD: usize = 16_384;
/// The window of a connection, and of a stream unless SETTINGS say otherwise (RFC 9113 section 6.9.2).
pub const DEFAULT_WINDOW: u32 = 65_535;
/// The largest stream id and the largest window.
pub const MAX_31_BITS: u32 = 0x7fff_ffff;

/// The nine bytes before a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    pub length: usize,
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
}

impl FrameHeader {
    /// Reads the header at the start of `bytes`; `None` when fewer than [`HEADER_BYTES`] are there.
    pub fn read(bytes: &[u8]) -> Option<Self> {
        let head = bytes.first_chunk::<HEADER_BYTES>()?;
        Some(Self {
            length: usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]),
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes([head[5], head[6], head[7], head[8]]) & MAX_31_BITS,
        })
    }

    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

/// Appends a frame header. `length` is below 2^24: callers cut payloads at [`MAX_PAYLOAD`].
pub fn write_header(out: &mut Vec<u8>, length: usize, kind: u8, flags: u8, stream: u32) {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    let stream = stream.to_be_bytes();
    out.extend_from_slice(&[length[1], length[2], length[3], kind, flags, stream[0], stream[1], stream[2], stream[3]]);
}

pub fn write_reset(out: &mut Vec<u8>, stream: u32, code: ErrorCode) {
    write_header(out, 4, kind::RST_STREAM, 0, stream);
    out.extend_from_slice(&code.0.to_be_bytes());
}

pub fn write_go_away(out: &mut Vec<u8>, last_stream: u32, code: ErrorCode, debug: &[u8]) {
    let debug = debug.get(..MAX_PAYLOAD - 8).unwrap_or(debug);
    write_header(out, 8 + debug.len(), kind::GOAWAY, 0, 0);
    out.extend_from_slice(&last_stream.to_be_bytes());
    out.extend_from_slice(&code.0.to_be_bytes());
    out.extend_from_slice(debug);
}

/// A code of RST_STREAM or GOAWAY (RFC 9113 section 7). Scripts write it by name (`"REFUSED_STREAM"`) or as a number in
/// text (`"7"`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ErrorCode(pub u32);

impl ErrorCode {
    pub const NO_ERROR: Self = Self(0x0);
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    pub const INTERNAL_ERROR: Self = Self(0x2);
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    pub const STREAM_CLOSED: Self = Self(0x5);
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    pub const REFUSED_STREAM: Self = Self(0x7);
    pub const CANCEL: Self = Self(0x8);
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    pub const CONNECT_ERROR: Self = Self(0xa);
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);
}

/// In the order of their codes.
const ERROR_NAMES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match ERROR_NAMES.get(self.0 as usize) {
            Some(name) => f.write_str(name),
            None => write!(f, "{}", self.0),
        }
    }
}

/// The text names no error code: neither one of RFC 9113 section 7 nor a number.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is no HTTP/2 error code: write a name such as REFUSED_STREAM, or a number")]
pub struct UnknownErrorCode(String);

impl FromStr for ErrorCode {
    type Err = UnknownErrorCode;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let named = (0u32..).zip(ERROR_NAMES).find(|(_, name)| name.eq_ignore_ascii_case(text)).map(|(code, _)| code);
        named.or_else(|| text.parse().ok()).map(Self).ok_or_else(|| UnknownErrorCode(text.to_owned()))
    }
}

impl TryFrom<String> for ErrorCode {
    type Error = UnknownErrorCode;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<ErrorCode> for String {
    fn from(code: ErrorCode) -> Self {
        code.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn header_is_read_as_written_and_the_reserved_bit_is_dropped() {
        let mut out = Vec::new();
        write_header(&mut out, 0x01_02_03, kind::HEADERS, flag::END_HEADERS, 7);
        out[5] |= 0x80;
        let header = FrameHeader::read(&out).unwrap();
        assert_eq!(header, FrameHeader { length: 0x01_02_03, kind: kind::HEADERS, flags: 4, stream: 7 });
        assert_eq!(FrameHeader::read(&out[..8]), None);
    }

    #[test]
    fn error_codes_are_written_by_name_or_number() {
        assert_eq!("refused_stream".parse::<ErrorCode>().unwrap(), ErrorCode::REFUSED_STREAM);
        assert_eq!("99".parse::<ErrorCode>().unwrap(), ErrorCode(99));
        assert!("REFUSED".parse::<ErrorCode>().is_err());
        assert_eq!(ErrorCode::HTTP_1_1_REQUIRED.to_string(), "HTTP_1_1_REQUIRED");
        assert_eq!(ErrorCode(99).to_string(), "99");
    }
}
