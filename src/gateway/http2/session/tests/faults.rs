//! Peers that go away, refuse, reset, or break the rules.

use super::*;

#[test]
fn going_away_hands_back_what_was_not_processed_and_waits_for_the_rest() {
    let mut scene = Scene::new(&[]);
    (0..4).for_each(|user| _ = scene.begin(user, b"{}"));
    // Gracefully, in two steps (RFC 9113 section 6.8).
    scene.hear_frame(kind::GOAWAY, 0, 0, &[0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0]).unwrap();
    assert_eq!((scene.words.len(), scene.session.room(), scene.session.takes_requests()), (0, 0, false));
    scene.hear_frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 5, 0, 0, 0, 0, b'w', b'h', b'y']).unwrap();
    assert_eq!(scene.words, [(3, Word::GoingAway)]);
    (0..3).for_each(|at| scene.answer(2 * at + 1));
    assert_eq!(scene.words[1..], [(0, ok()), (1, ok()), (2, ok())]);
    // A last stream that grows again does not revive anything.
    scene.hear_frame(kind::GOAWAY, 0, 0, &[0, 0, 0, 9, 0, 0, 0, 0]).unwrap();
    assert_eq!(scene.session.going_away, Some(5));
}

#[test]
fn refused_is_told_apart_from_reset() {
    let mut scene = Scene::new(&[]);
    (0..3).for_each(|user| _ = scene.begin(user, b"{}"));
    scene.hear_frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 7]).unwrap();
    scene.hear_frame(kind::RST_STREAM, 0, 3, &[0, 0, 0, 2]).unwrap();
    scene.hear_frame(kind::RST_STREAM, 0, 3, &[0, 0, 0, 2]).unwrap();
    assert_eq!(scene.words, [(0, Word::Refused), (1, Word::Reset(ErrorCode(2)))]);
    assert_eq!(scene.session.open(), 1);
}

#[test]
fn a_status_that_came_is_an_answer_however_its_stream_ends() {
    let begun = || {
        // A window of nothing: the body of the first request waits.
        let mut scene = Scene::new(&[(setting::INITIAL_WINDOW_SIZE, 0)]);
        scene.begin(0, b"{}");
        scene.hear_frame(kind::HEADERS, flag::END_HEADERS, 1, ANSWER_200).unwrap();
        scene.frames();
        scene
    };
    let mut reset = begun();
    reset.hear_frame(kind::RST_STREAM, 0, 1, &[0, 0, 0, 7]).unwrap();
    assert_eq!((reset.words.clone(), reset.frames()), (vec![(0, ok())], vec![]), "a reset is not answered by one");
    let mut away = begun();
    away.hear_frame(kind::GOAWAY, 0, 0, &[0; 8]).unwrap();
    assert_eq!((away.words.clone(), away.frames()), (vec![(0, ok())], vec![]));
    let mut long = begun();
    for _ in 0..4 {
        long.hear_frame(kind::DATA, 0, 1, &[0; 16_384]).unwrap();
    }
    assert_eq!((long.words.len(), kinds(&long.frames())), (1, vec![(kind::RST_STREAM, 1)]), "one reset is enough");
    // Not all of it was written, yet it may be processed.
    assert_eq!(begun().session.abandon(), [(0, true)]);
    assert_eq!(begun().session.cancel(1), Some((0, true)));
}

#[test]
fn malformed_answers_cost_their_request_alone() {
    let end = flag::END_HEADERS | flag::END_STREAM;
    let cases: [(u8, u8, &[u8]); 6] = [
        (kind::HEADERS, end, b"\0\x01a\x01b"),
        (kind::HEADERS, end, b"\x08\x03100"),
        (kind::HEADERS, flag::END_HEADERS, b"\x08\x03101"),
        (kind::HEADERS, end, b"\x08\x03abc"),
        (kind::HEADERS, flag::END_HEADERS, b"\x08\x0299"),
        (kind::DATA, flag::END_STREAM, b"no head"),
    ];
    for (kind, flags, payload) in cases {
        let mut scene = Scene::new(&[]);
        scene.begin(0, b"{}");
        scene.begin(1, b"{}");
        scene.frames();
        scene.hear_frame(kind, flags, 1, payload).unwrap();
        assert_eq!(scene.words, [(0, Word::Malformed)], "{payload:?}");
        assert_eq!(kinds(&scene.frames()), [(super::kind::RST_STREAM, 1)]);
        scene.answer(3);
        assert_eq!(scene.words[1..], [(1, ok())]);
    }
    // Trailers must end their stream, and a second head is none.
    let mut scene = Scene::new(&[]);
    scene.begin(0, b"{}");
    scene.hear_frame(kind::HEADERS, flag::END_HEADERS, 1, ANSWER_200).unwrap();
    scene.hear_frame(kind::HEADERS, flag::END_HEADERS, 1, ANSWER_200).unwrap();
    assert_eq!(scene.words, [(0, Word::Malformed)]);
}

#[test]
fn each_breach_ends_the_connection_with_the_code_of_the_rfc() {
    const PROTOCOL: ErrorCode = ErrorCode::PROTOCOL_ERROR;
    const SIZE: ErrorCode = ErrorCode::FRAME_SIZE_ERROR;
    let cases: [(u8, u8, u32, &[u8], ErrorCode); 24] = [
        (kind::HEADERS, flag::END_HEADERS, 0, ANSWER_200, PROTOCOL),
        (kind::HEADERS, flag::END_HEADERS, 2, ANSWER_200, PROTOCOL),
        (kind::HEADERS, flag::END_HEADERS, 5, ANSWER_200, PROTOCOL),
        (kind::HEADERS, flag::PADDED, 1, &[2, 1], PROTOCOL),
        (kind::HEADERS, flag::PADDED, 1, &[], PROTOCOL),
        (kind::HEADERS, flag::PRIORITY, 1, &[0; 4], SIZE),
        (kind::HEADERS, flag::END_HEADERS, 1, &[0x80], ErrorCode::COMPRESSION_ERROR),
        (kind::DATA, 0, 0, b"", PROTOCOL),
        (kind::DATA, 0, 7, b"", PROTOCOL),
        (kind::DATA, flag::PADDED, 1, &[9], PROTOCOL),
        (kind::PRIORITY, 0, 1, &[0; 4], SIZE),
        (kind::RST_STREAM, 0, 1, &[0; 5], SIZE),
        (kind::RST_STREAM, 0, 9, &[0; 4], PROTOCOL),
        (kind::SETTINGS, 0, 1, &[], PROTOCOL),
        (kind::SETTINGS, 0, 0, &[0; 7], SIZE),
        (kind::SETTINGS, flag::ACK, 0, &[0; 6], SIZE),
        (kind::PUSH_PROMISE, flag::END_HEADERS, 1, &[0; 8], PROTOCOL),
        (kind::PING, 0, 0, &[0; 7], SIZE),
        (kind::PING, 0, 1, &[0; 8], PROTOCOL),
        (kind::GOAWAY, 0, 1, &[0; 8], PROTOCOL),
        (kind::GOAWAY, 0, 0, &[0; 7], SIZE),
        (kind::WINDOW_UPDATE, 0, 0, &[0; 4], PROTOCOL),
        (kind::WINDOW_UPDATE, 0, 0, &[0x7f, 0xff, 0xff, 0xff], ErrorCode::FLOW_CONTROL_ERROR),
        (kind::CONTINUATION, flag::END_HEADERS, 1, ANSWER_200, PROTOCOL),
    ];
    for (kind, flags, stream, payload, code) in cases {
        let mut scene = Scene::new(&[]);
        scene.begin(0, b"{}");
        let error = scene.hear_frame(kind, flags, stream, payload).unwrap_err();
        assert_eq!(error.code, code, "{kind} {flags} {stream} {payload:?}: {error}");
        assert_eq!(scene.session.abandon(), [(0, false)]);
    }
}

#[test]
fn breaches_of_order_end_the_connection() {
    let mut scene = Scene::silent();
    assert_eq!(scene.hear_frame(kind::PING, 0, 0, &[0; 8]).unwrap_err().code, ErrorCode::PROTOCOL_ERROR);
    let mut scene = Scene::silent();
    assert!(scene.hear_frame(kind::SETTINGS, flag::ACK, 0, &[]).is_err());
    let mut scene = Scene::new(&[]);
    scene.begin(0, b"{}");
    scene.begin(1, b"{}");
    scene.hear_frame(kind::HEADERS, 0, 1, ANSWER_200).unwrap();
    assert!(scene.hear_frame(kind::PING, 0, 0, &[0; 8]).is_err(), "inside a header block");
    let mut scene = Scene::new(&[]);
    scene.begin(0, b"{}");
    scene.begin(1, b"{}");
    scene.hear_frame(kind::HEADERS, 0, 1, ANSWER_200).unwrap();
    assert!(scene.hear_frame(kind::CONTINUATION, flag::END_HEADERS, 3, &[]).is_err(), "of another stream");
    let mut scene = Scene::new(&[]);
    let long = FrameHead { length: 16_385, kind: 0xee, flags: 0, stream: 0 }.bytes();
    assert_eq!(scene.session.receive(&long, &mut |_, _| ()).unwrap_err().code, ErrorCode::FRAME_SIZE_ERROR);
}

#[test]
fn unknown_frames_flags_and_settings_are_ignored() {
    let mut scene = Scene::new(&[(0x99, 1)]);
    scene.begin(0, b"{}");
    scene.frames();
    scene.hear_frame(0xee, 0xff, 77, b"anything").unwrap();
    scene.hear_frame(kind::PRIORITY, 0, 1, &[0; 5]).unwrap();
    scene.hear_frame(kind::HEADERS, 0xd2 | flag::END_HEADERS | flag::END_STREAM, 1, ANSWER_200).unwrap();
    assert_eq!((scene.words.clone(), scene.frames()), (vec![(0, ok())], vec![]));
}

#[test]
fn pings_are_answered_and_heard() {
    let mut scene = Scene::new(&[]);
    scene.hear_frame(kind::PING, 0, 0, b"12345678").unwrap();
    let frames = scene.frames();
    assert_eq!((frames[0].0.kind, frames[0].0.flags, &frames[0].1[..]), (kind::PING, flag::ACK, &b"12345678"[..]));
    scene.session.ping(*b"abcdefgh");
    assert!(!scene.session.ponged());
    scene.frames();
    scene.hear_frame(kind::PING, flag::ACK, 0, b"abcdefgh").unwrap();
    assert!(scene.session.ponged());
}

#[test]
fn a_peer_that_asks_and_never_reads_is_left() {
    let mut scene = Scene::new(&[]);
    let asked = (0..100_000).take_while(|_| scene.hear_frame(kind::PING, 0, 0, &[0; 8]).is_ok()).count();
    assert_eq!(asked, MOST_REPLIES as usize);
    let mut scene = Scene::new(&[]);
    for _ in 0..100_000 {
        scene.hear_frame(kind::PING, 0, 0, &[0; 8]).unwrap();
        scene.frames();
    }
}
