use super::*;
use crate::http2::{frame::FrameHeader, hpack};

/// A connection and the client's half of it, written by hand.
struct Peer {
    connection: Connection,
    events: VecDeque<Event>,
    input: Vec<u8>,
}

fn settings() -> Settings {
    Settings {
        max_concurrent_streams: 2,
        header_table_size: 4096,
        max_header_list: 8000,
        stream_window: 65_535,
        connection_window: 65_535,
    }
}

impl Peer {
    /// Preface and SETTINGS exchanged, the server's acknowledged.
    fn new(settings: Settings) -> Self {
        let mut peer = Self { connection: Connection::new(settings), events: VecDeque::new(), input: Vec::new() };
        peer.input.extend_from_slice(frame::PREFACE);
        peer.frame(kind::SETTINGS, 0, 0, &[]);
        peer.acknowledge();
        peer.sent();
        peer
    }

    fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        frame::write_header(&mut self.input, payload.len(), kind, flags, stream);
        self.input.extend_from_slice(payload);
    }

    fn acknowledge(&mut self) {
        self.frame(kind::SETTINGS, flag::ACK, 0, &[]);
        self.receive().unwrap();
    }

    fn receive(&mut self) -> Result<(), ConnectionError> {
        let used = self.connection.receive(&self.input, &mut self.events)?;
        self.input.drain(..used);
        Ok(())
    }

    fn request(&mut self, stream: u32) {
        self.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, stream, &head());
        self.receive().unwrap();
    }

    /// What the server sent since last asked: (type, flags, stream, payload).
    fn sent(&mut self) -> Vec<(u8, u8, u32, Vec<u8>)> {
        let output = std::mem::take(self.connection.output());
        let mut rest = output.as_slice();
        let mut frames = Vec::new();
        while let Some(header) = FrameHeader::read(rest) {
            let end = frame::HEADER_BYTES + header.length;
            frames.push((header.kind, header.flags, header.stream, rest[frame::HEADER_BYTES..end].to_vec()));
            rest = &rest[end..];
        }
        assert!(rest.is_empty());
        frames
    }

    fn next_request(&mut self) -> Option<Request> {
        self.events.pop_front().map(|event| match event {
            Event::Request(request) => request,
            Event::Cancelled { .. } => panic!("cancelled"),
        })
    }
}

fn head() -> Vec<u8> {
    let mut block = vec![0x83, 0x87];
    hpack::encode_literal(&mut block, b":path", b"/3/device/00");
    block
}

#[test]
fn a_request_in_pieces_of_every_kind() {
    let mut peer = Peer::new(settings());
    let block = head();
    let priority = [&[3][..], &[0, 0, 0, 0, 16], &block[..1], &[0; 3]].concat();
    peer.frame(kind::HEADERS, flag::PADDED | flag::PRIORITY, 1, &priority);
    peer.frame(kind::CONTINUATION, 0, 1, &block[1..4]);
    peer.frame(kind::CONTINUATION, flag::END_HEADERS, 1, &block[4..]);
    peer.frame(kind::DATA, flag::PADDED, 1, b"\x02{\"\0\0");
    peer.frame(kind::DATA, 0, 1, b"a\":1}");
    let mut trailers = Vec::new();
    hpack::encode_literal(&mut trailers, b"checksum", b"1");
    peer.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &trailers);
    let whole = std::mem::take(&mut peer.input);
    for byte in whole {
        peer.input.push(byte);
        peer.receive().unwrap();
    }
    let request = peer.next_request().unwrap();
    assert_eq!((request.stream, request.body.as_slice()), (1, &b"{\"a\":1}"[..]));
    assert_eq!(request.field(b":path"), Some(&b"/3/device/00"[..]));
    assert_eq!(request.field(b"checksum"), None);
}

#[test]
fn streams_over_the_limit_are_refused_and_the_table_stays_in_step() {
    let mut peer = Peer::new(settings());
    peer.request(1);
    peer.request(3);
    let mut block = vec![0x83, 0x87, 0x44];
    block.extend_from_slice(b"\x04/new");
    peer.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 5, &block);
    peer.receive().unwrap();
    let refused = ErrorCode::REFUSED_STREAM.0.to_be_bytes().to_vec();
    assert_eq!(peer.sent(), [(kind::RST_STREAM, 0, 5, refused)]);
    assert_eq!((peer.connection.tally().refused, peer.connection.tally().limit_violations), (1, 1));
    peer.connection.respond(1, &[0x88], b"");
    // The path that the refused stream put into the table.
    peer.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 7, &[0x83, 0x87, 0xbe]);
    peer.receive().unwrap();
    let paths: Vec<_> = std::iter::from_fn(|| peer.next_request())
        .map(|request| String::from_utf8_lossy(request.field(b":path").unwrap()).into_owned())
        .collect();
    assert_eq!(paths, ["/3/device/00", "/3/device/00", "/new"]);
}

#[test]
fn a_lower_limit_binds_once_it_is_acknowledged() {
    let mut peer = Peer::new(settings());
    peer.connection.limit_streams(1);
    peer.request(1);
    peer.request(3);
    assert_eq!(peer.connection.tally().refused, 0, "sent before the client could know");
    peer.acknowledge();
    peer.connection.respond(1, &[0x88], b"");
    peer.request(5);
    assert_eq!(peer.connection.tally().limit_violations, 1);
    peer.connection.limit_streams(2);
    peer.request(7);
    assert_eq!(peer.connection.tally().limit_violations, 1, "a higher limit may be used at once");
}

#[test]
fn before_the_first_acknowledgement_refusals_are_no_violations() {
    let connection = Connection::new(Settings { max_concurrent_streams: 0, ..settings() });
    let mut peer = Peer { connection, events: VecDeque::new(), input: frame::PREFACE.to_vec() };
    peer.frame(kind::SETTINGS, 0, 0, &[]);
    peer.request(1);
    assert_eq!((peer.connection.tally().refused, peer.connection.tally().limit_violations), (1, 0));
}

#[test]
fn windows_are_granted_at_half_or_held() {
    let mut peer = Peer::new(settings());
    peer.frame(kind::HEADERS, flag::END_HEADERS, 1, &head());
    peer.frame(kind::DATA, 0, 1, &[0; 16_384]);
    peer.receive().unwrap();
    assert_eq!(peer.sent(), []);
    peer.frame(kind::DATA, 0, 1, &[0; 16_384]);
    peer.receive().unwrap();
    let increment = 32_768u32.to_be_bytes().to_vec();
    let granted = [(kind::WINDOW_UPDATE, 0, 1, increment.clone()), (kind::WINDOW_UPDATE, 0, 0, increment)];
    assert_eq!(peer.sent(), granted);
    peer.connection.hold_windows(true);
    for _ in 0..2 {
        peer.frame(kind::DATA, 0, 1, &[0; 16_384]);
    }
    peer.receive().unwrap();
    assert_eq!(peer.sent(), []);
    peer.connection.hold_windows(false);
    let mut released = peer.sent();
    released.sort_by_key(|frame| std::cmp::Reverse(frame.2));
    assert_eq!(released, granted);
}

#[test]
fn more_than_the_window_ends_the_connection() {
    let mut peer = Peer::new(settings());
    peer.connection.hold_windows(true);
    peer.frame(kind::HEADERS, flag::END_HEADERS, 1, &head());
    for _ in 0..4 {
        peer.frame(kind::DATA, 0, 1, &[0; 16_384]);
    }
    assert_eq!(peer.receive(), Err(ConnectionError::FlowControl("connection")));
    let (kind, _, _, payload) = peer.sent().pop().unwrap();
    assert_eq!((kind, payload[7]), (kind::GOAWAY, 3));
}

#[test]
fn an_answer_waits_for_the_window_of_the_peer() {
    let mut peer = Peer::new(settings());
    let none = [&setting::INITIAL_WINDOW_SIZE.to_be_bytes()[..], &0u32.to_be_bytes()].concat();
    peer.frame(kind::SETTINGS, 0, 0, &none);
    peer.request(1);
    peer.sent();
    assert!(peer.connection.respond(1, &[0x8c], b"{\"reason\":\"X\"}"));
    assert_eq!(peer.sent(), [(kind::HEADERS, flag::END_HEADERS, 1, vec![0x8c])]);
    assert_eq!(peer.connection.open_streams(), 1);
    peer.frame(kind::WINDOW_UPDATE, 0, 1, &4u32.to_be_bytes());
    peer.receive().unwrap();
    assert_eq!(peer.sent(), [(kind::DATA, 0, 1, b"{\"re".to_vec())]);
    let some = [&setting::INITIAL_WINDOW_SIZE.to_be_bytes()[..], &100u32.to_be_bytes()].concat();
    peer.frame(kind::SETTINGS, 0, 0, &some);
    peer.receive().unwrap();
    let sent = peer.sent();
    assert_eq!(sent[0].0, kind::SETTINGS);
    assert_eq!(sent[1], (kind::DATA, flag::END_STREAM, 1, b"ason\":\"X\"}".to_vec()));
    assert_eq!(peer.connection.open_streams(), 0);
}

#[test]
fn go_away_forgets_higher_streams_and_keeps_lower_ones() {
    let mut peer = Peer::new(settings());
    peer.request(1);
    peer.request(3);
    peer.connection.go_away(1, ErrorCode::NO_ERROR, b"{}");
    assert_eq!(peer.sent(), [(kind::GOAWAY, 0, 0, [&[0, 0, 0, 1, 0, 0, 0, 0][..], b"{}"].concat())]);
    peer.events.clear();
    peer.request(5);
    assert!(peer.events.is_empty() && peer.sent().is_empty());
    assert!(!peer.connection.respond(3, &[0x88], b""));
    assert!(peer.connection.respond(1, &[0x88], b""));
}

#[test]
fn malformed_requests_are_reset() {
    let mut upper = head();
    hpack::encode_literal(&mut upper, b"Apns-Topic", b"x");
    let mut hop = head();
    hpack::encode_literal(&mut hop, b"connection", b"close");
    let mut late = head();
    hpack::encode_literal(&mut late, b"a", b"b");
    late.push(0x81);
    let mut length = head();
    hpack::encode_literal(&mut length, b"content-length", b"3");
    let mut long = head();
    hpack::encode_literal(&mut long, b"a", &[b'x'; 8000]);
    late.push(0x83);
    for (at, block) in (0u32..).zip([vec![0x83, 0x87], upper, hop, late, length, long]) {
        let mut peer = Peer::new(settings());
        peer.frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, &block);
        peer.receive().unwrap();
        assert_eq!(peer.sent(), [(kind::RST_STREAM, 0, 1, vec![0, 0, 0, 1])], "{at}");
        assert_eq!((peer.connection.tally().malformed, peer.connection.open_streams()), (1, 0), "{at}");
    }
}

#[test]
fn broken_connections_end_with_the_right_code() {
    type Breaks = fn(&mut Peer);
    let cases: [(Breaks, ErrorCode); 9] = [
        (|peer| peer.frame(kind::DATA, 0, 1, b"x"), ErrorCode::PROTOCOL_ERROR),
        (|peer| peer.frame(kind::HEADERS, flag::END_HEADERS, 2, &head()), ErrorCode::PROTOCOL_ERROR),
        (|peer| peer.frame(kind::CONTINUATION, flag::END_HEADERS, 1, &head()), ErrorCode::PROTOCOL_ERROR),
        (|peer| peer.frame(kind::HEADERS, flag::END_HEADERS, 1, &[0xfe]), ErrorCode::COMPRESSION_ERROR),
        (|peer| peer.frame(kind::PING, 0, 0, b"short"), ErrorCode::FRAME_SIZE_ERROR),
        (|peer| peer.frame(kind::SETTINGS, 0, 0, b"short"), ErrorCode::FRAME_SIZE_ERROR),
        (|peer| peer.frame(kind::WINDOW_UPDATE, 0, 0, &[0; 4]), ErrorCode::PROTOCOL_ERROR),
        (|peer| peer.frame(kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff]), ErrorCode::FLOW_CONTROL_ERROR),
        (|peer| peer.frame(kind::SETTINGS, flag::ACK, 0, &[]), ErrorCode::PROTOCOL_ERROR),
    ];
    for (breaks, code) in cases {
        let mut peer = Peer::new(settings());
        breaks(&mut peer);
        let error = peer.receive().unwrap_err();
        let (kind, _, _, payload) = peer.sent().pop().unwrap();
        assert_eq!((kind, &payload[4..8]), (kind::GOAWAY, &code.0.to_be_bytes()[..]), "{error}");
    }
    let mut connection = Connection::new(settings());
    let http1 = connection.receive(b"GET / HTTP/1.1\r\n\r\n", &mut VecDeque::new());
    assert_eq!(http1, Err(ConnectionError::Preface));
}

#[test]
fn ping_is_acknowledged_and_a_cancelled_stream_reported() {
    let mut peer = Peer::new(settings());
    peer.frame(kind::PING, 0, 0, b"12345678");
    peer.frame(kind::HEADERS, flag::END_HEADERS, 1, &head());
    peer.frame(kind::RST_STREAM, 0, 1, &8u32.to_be_bytes());
    peer.frame(0x42, 0xff, 1, b"nobody knows");
    peer.receive().unwrap();
    assert_eq!(peer.sent(), [(kind::PING, flag::ACK, 0, b"12345678".to_vec())]);
    let event = peer.events.pop_front().unwrap();
    assert!(matches!(event, Event::Cancelled { stream: 1, code: ErrorCode::CANCEL }), "{event:?}");
}

proptest::proptest! {
    /// Whatever comes behind the preface, cut wherever: an error or not, but no panic, and no memory without bound.
    #[test]
    fn noise_is_survived(frames: Vec<(u8, u8, u8, Vec<u8>)>) {
        let mut peer = Peer::new(settings());
        for (kind, flags, stream, payload) in frames {
            peer.frame(kind % 11, flags, u32::from(stream % 8), &payload);
            if peer.receive().is_err() {
                break;
            }
        }
        assert!(peer.connection.open_streams() <= 2);
    }
}
