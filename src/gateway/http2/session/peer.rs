//! What the peer allows (RFC 9113 section 6.5.2).

use super::ConnectionError;
use crate::gateway::http2::frame::{ErrorCode, LARGEST_WINDOW, setting};

/// The peer's settings.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// None: its SETTINGS did not come yet.
    streams: Option<u32>,
    /// The window of a stream that begins now.
    pub window: i64,
    /// The longest payload it takes.
    pub longest_payload: usize,
}

impl Default for Peer {
    fn default() -> Self {
        Self { streams: None, window: 65_535, longest_payload: 16_384 }
    }
}

/// What a SETTINGS frame changed besides [`Peer`] itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// By how much the windows of open streams move.
    pub window: i64,
    /// The smallest size it named, and the last: the encoder must know of both (RFC 7541 section 4.2).
    pub header_table: Option<(usize, usize)>,
}

impl Peer {
    /// How many streams it takes at once: none before its SETTINGS came, as many as one likes when those do not say.
    pub fn streams(&self) -> usize {
        self.streams.map_or(0, |streams| usize::try_from(streams).unwrap_or(usize::MAX))
    }

    /// Whether its SETTINGS came.
    pub const fn has_spoken(&self) -> bool {
        self.streams.is_some()
    }

    /// Takes in the payload of a SETTINGS frame.
    pub fn apply(&mut self, payload: &[u8]) -> Result<Changes, ConnectionError> {
        let (parameters, rest) = payload.as_chunks::<6>();
        if !rest.is_empty() {
            return Err(ConnectionError::new(
                ErrorCode::FRAME_SIZE_ERROR,
                "SETTINGS of a length that is no multiple of 6",
            ));
        }
        self.streams.get_or_insert(u32::MAX);
        let mut changes = Changes::default();
        for [p0, p1, v0, v1, v2, v3] in parameters {
            let value = u32::from_be_bytes([*v0, *v1, *v2, *v3]);
            match u16::from_be_bytes([*p0, *p1]) {
                setting::HEADER_TABLE_SIZE => {
                    let value = value as usize;
                    let smallest = changes.header_table.map_or(value, |(smallest, _)| smallest.min(value));
                    changes.header_table = Some((smallest, value));
                }
                setting::ENABLE_PUSH if value != 0 => {
                    return Err(ConnectionError::protocol("a server that wants pushes enabled"));
                }
                setting::MAX_CONCURRENT_STREAMS => self.streams = Some(value),
                setting::INITIAL_WINDOW_SIZE => {
                    let value = i64::from(value);
                    if value > LARGEST_WINDOW {
                        let what = "an initial window over 2^31-1";
                        return Err(ConnectionError::new(ErrorCode::FLOW_CONTROL_ERROR, what));
                    }
                    changes.window += value - self.window;
                    self.window = value;
                }
                setting::MAX_FRAME_SIZE => {
                    if !(16_384..=16_777_215).contains(&value) {
                        return Err(ConnectionError::protocol("a longest frame outside 2^14 to 2^24-1"));
                    }
                    self.longest_payload = value as usize;
                }
                // Unknown parameters are ignored (RFC 9113 section 6.5.2).
                _ => {}
            }
        }
        Ok(changes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameter(name: u16, value: u32) -> Vec<u8> {
        [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
    }

    #[test]
    fn nothing_is_allowed_before_settings_and_everything_by_empty_ones() {
        let mut peer = Peer::default();
        assert_eq!((peer.streams(), peer.has_spoken()), (0, false));
        assert_eq!(peer.apply(&[]), Ok(Changes::default()));
        assert_eq!((peer.streams(), peer.has_spoken()), (u32::MAX as usize, true));
        peer.apply(&parameter(setting::MAX_CONCURRENT_STREAMS, 1)).unwrap();
        peer.apply(&parameter(0xf0f0, 7)).unwrap();
        assert_eq!(peer.streams(), 1);
    }

    #[test]
    fn windows_move_by_the_difference() {
        let mut peer = Peer::default();
        let both = [parameter(setting::INITIAL_WINDOW_SIZE, 10), parameter(setting::INITIAL_WINDOW_SIZE, 100)].concat();
        assert_eq!(peer.apply(&both).unwrap().window, 100 - 65_535);
        assert_eq!(peer.apply(&parameter(setting::INITIAL_WINDOW_SIZE, 300)).unwrap().window, 200);
        assert_eq!(peer.apply(&parameter(setting::HEADER_TABLE_SIZE, 0)).unwrap().header_table, Some((0, 0)));
        let sizes = [0, 100, 50].map(|size| parameter(setting::HEADER_TABLE_SIZE, size)).concat();
        assert_eq!(peer.apply(&sizes).unwrap().header_table, Some((0, 50)), "the smallest and the last");
    }

    #[test]
    fn values_out_of_bounds_are_errors_of_the_rfc() {
        for (payload, code) in [
            (vec![0; 5], ErrorCode::FRAME_SIZE_ERROR),
            (parameter(setting::ENABLE_PUSH, 1), ErrorCode::PROTOCOL_ERROR),
            (parameter(setting::INITIAL_WINDOW_SIZE, 1 << 31), ErrorCode::FLOW_CONTROL_ERROR),
            (parameter(setting::MAX_FRAME_SIZE, 16_383), ErrorCode::PROTOCOL_ERROR),
            (parameter(setting::MAX_FRAME_SIZE, 1 << 24), ErrorCode::PROTOCOL_ERROR),
        ] {
            assert_eq!(Peer::default().apply(&payload).unwrap_err().code, code, "{payload:?}");
        }
        assert!(Peer::default().apply(&parameter(setting::ENABLE_PUSH, 0)).is_ok());
    }
}
