//! Windows both ways, and how many requests a peer allows.

use super::*;

fn grow(increment: u32) -> [u8; 4] {
    increment.to_be_bytes()
}

fn data(frames: &[Frame]) -> Vec<(u32, usize, bool)> {
    let data = frames.iter().filter(|(head, _)| head.kind == kind::DATA);
    data.map(|(head, payload)| (head.stream, payload.len(), head.flags & flag::END_STREAM != 0)).collect()
}

#[test]
fn the_number_of_streams_grows_and_shrinks() {
    let mut scene = Scene::new(&[(setting::MAX_CONCURRENT_STREAMS, 1)]);
    scene.begin(0, b"{}");
    assert_eq!(scene.session.room(), 0);
    let mut settings = Vec::new();
    frame::settings(&mut settings, &[(setting::MAX_CONCURRENT_STREAMS, 10)]);
    scene.hear(&settings).unwrap();
    assert_eq!(scene.session.room(), 9);
    (1..6).for_each(|user| _ = scene.begin(user, b"{}"));
    settings.clear();
    frame::settings(&mut settings, &[(setting::MAX_CONCURRENT_STREAMS, 2)]);
    scene.hear(&settings).unwrap();
    assert_eq!(scene.session.room(), 0);
    (0..5).for_each(|at| scene.answer(2 * at + 1));
    assert_eq!((scene.session.open(), scene.session.room()), (1, 1));
}

#[test]
fn a_body_waits_for_the_streams_window_and_others_for_it() {
    let mut scene = Scene::new(&[(setting::INITIAL_WINDOW_SIZE, 10)]);
    let stream = scene.begin(0, &[b'x'; 25]);
    assert_eq!(data(&scene.frames()), [(1, 10, false)]);
    assert_eq!((scene.session.room(), scene.session.is_stalled()), (0, true));
    assert_eq!(scene.session.each_open().next(), Some((stream, &0, false)));
    scene.hear_frame(kind::WINDOW_UPDATE, 0, stream, &grow(5)).unwrap();
    assert_eq!(data(&scene.frames()), [(1, 5, false)]);
    // The window of an open stream moves with the initial one, below zero even.
    let mut settings = Vec::new();
    frame::settings(&mut settings, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    scene.hear(&settings).unwrap();
    scene.hear_frame(kind::WINDOW_UPDATE, 0, stream, &grow(10)).unwrap();
    assert_eq!(data(&scene.frames()), []);
    settings.clear();
    frame::settings(&mut settings, &[(setting::INITIAL_WINDOW_SIZE, 10)]);
    scene.hear(&settings).unwrap();
    assert_eq!(data(&scene.frames()), [(1, 10, true)]);
    assert!(scene.session.room() > 0);
    assert_eq!(scene.session.each_open().next(), Some((stream, &0, true)));
}

#[test]
fn a_body_waits_for_the_connections_window() {
    let mut scene = Scene::new(&[]);
    let body = [b'x'; 16_000];
    (0..4).for_each(|user| _ = scene.begin(user, &body));
    assert_eq!(scene.session.room(), 96);
    scene.begin(4, &body);
    let sent = data(&scene.frames());
    assert_eq!(sent.last(), Some(&(9, 65_535 - 64_000, false)));
    assert_eq!(scene.session.room(), 0);
    scene.hear_frame(kind::WINDOW_UPDATE, 0, 0, &grow(1 << 20)).unwrap();
    assert_eq!(data(&scene.frames()), [(9, 80_000 - 65_535, true)]);
    assert!(scene.session.room() > 0);
}

#[test]
fn a_body_longer_than_a_frame_is_cut_into_frames() {
    let mut scene = Scene::new(&[]);
    scene.begin(0, &[b'x'; 20_000]);
    assert_eq!(data(&scene.frames()), [(1, 16_384, false), (1, 20_000 - 16_384, true)]);
}

#[test]
fn a_stalled_body_may_be_cancelled_or_answered() {
    let mut scene = Scene::new(&[(setting::INITIAL_WINDOW_SIZE, 1)]);
    let first = scene.begin(0, b"{}");
    assert_eq!(scene.session.cancel(first), Some((0, false)));
    let second = scene.begin(1, b"{}");
    scene.frames();
    scene.answer(second);
    assert_eq!(scene.words, [(1, ok())]);
    assert_eq!(kinds(&scene.frames()), [(kind::RST_STREAM, second)], "the rest is not wanted");
    assert!(scene.session.room() > 0);
}

#[test]
fn what_was_consumed_is_granted_again() {
    let mut scene = Scene::new(&[]);
    let mut granted = 0;
    for user in 0..200 {
        let stream = scene.begin(user, b"{}");
        scene.frames();
        scene.hear_frame(kind::HEADERS, flag::END_HEADERS, stream, ANSWER_200).unwrap();
        scene.hear_frame(kind::DATA, flag::END_STREAM, stream, &[b'x'; 16_000]).unwrap();
        for (head, payload) in scene.frames() {
            assert_eq!((head.kind, head.stream), (kind::WINDOW_UPDATE, 0));
            granted += u32::from_be_bytes(payload.try_into().unwrap());
        }
    }
    assert!(granted > 200 * 16_000 - RECEIVE_WINDOW, "{granted}");
    assert_eq!(scene.words.len(), 200);
}

#[test]
fn more_than_was_granted_ends_the_connection() {
    let mut scene = Scene::new(&[]);
    scene.begin(0, b"{}");
    scene.session.receive_window = 99;
    scene.hear_frame(kind::HEADERS, flag::END_HEADERS, 1, ANSWER_200).unwrap();
    let error = scene.hear_frame(kind::DATA, 0, 1, &[0; 100]).unwrap_err();
    assert_eq!(error.code, ErrorCode::FLOW_CONTROL_ERROR);
}
