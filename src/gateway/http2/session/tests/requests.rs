//! Requests as a peer reads them, and answers as they come back.

use super::*;

#[test]
fn nothing_is_sent_before_the_peers_settings() {
    let mut scene = Scene::silent();
    assert_eq!(scene.session.room(), 0);
    let first = scene.session.output().to_vec();
    assert!(first.starts_with(PREFACE));
    assert_eq!(kinds(&scene.frames()), [(kind::SETTINGS, 0), (kind::WINDOW_UPDATE, 0)]);
    scene.hear_frame(kind::SETTINGS, 0, 0, &[]).unwrap();
    assert_eq!(scene.session.room(), 100, "as many as we like");
    let frames = scene.frames();
    assert_eq!((frames.len(), frames[0].0.kind, frames[0].0.flags), (1, kind::SETTINGS, flag::ACK));
}

#[test]
fn requests_are_whole_and_shared_fields_cost_a_byte_each() {
    let mut scene = Scene::new(&[]);
    for user in 0..3 {
        assert_eq!(scene.begin(user, b"{\"aps\":{}}"), 2 * user + 1);
    }
    let frames = scene.frames();
    assert_eq!(kinds(&frames), [(1, 1), (0, 1), (1, 3), (0, 3), (1, 5), (0, 5)]);
    for (user, pair) in frames.chunks(2).enumerate() {
        assert_eq!((pair[0].0.flags, pair[1].0.flags), (flag::END_HEADERS, flag::END_STREAM));
        assert_eq!(
            scene.fields(&pair[0].1),
            [
                ":method: POST",
                ":scheme: https",
                ":authority: api.push.example",
                &format!(":path: /3/device/{user:04}"),
                "authorization: bearer token",
                "apns-topic: com.example.app",
                &format!("apns-id: id-{user}"),
            ]
        );
        assert_eq!(pair[1].1, b"{\"aps\":{}}");
    }
    // Five indices, two bytes and a path, three bytes and an id.
    assert_eq!(frames[4].1.len(), 5 + 2 + "/3/device/0002".len() + 3 + "id-2".len());
}

#[test]
fn a_request_without_body_ends_with_its_head() {
    let mut scene = Scene::new(&[]);
    scene.begin(0, b"");
    let frames = scene.frames();
    assert_eq!(kinds(&frames), [(kind::HEADERS, 1)]);
    assert_eq!(frames[0].0.flags, flag::END_HEADERS | flag::END_STREAM);
}

#[test]
fn templates_take_turns() {
    let mut scene = Scene::new(&[]);
    for turn in 0..6 {
        scene.template.number = u64::from(turn % 2);
        let topic = if turn % 2 == 0 { "even" } else { "odd" };
        scene.template.fields[1].value = Bytes::from_static(topic.as_bytes());
        scene.begin(turn, b"");
        let block = scene.frames().remove(0).1;
        assert!(scene.fields(&block).contains(&format!("apns-topic: {topic}")));
    }
}

#[test]
fn a_block_over_the_longest_frame_goes_on_in_continuations() {
    let mut scene = Scene::new(&[]);
    scene.template.fields[1].value = Bytes::from(vec![b'x'; 40_000]);
    scene.begin(0, b"body");
    let frames = scene.frames();
    assert_eq!(kinds(&frames), [(kind::HEADERS, 1), (kind::CONTINUATION, 1), (kind::CONTINUATION, 1), (kind::DATA, 1)]);
    assert_eq!(
        frames.iter().map(|(head, _)| head.flags).collect::<Vec<_>>(),
        [0, 0, flag::END_HEADERS, flag::END_STREAM]
    );
    let block: Vec<u8> = frames[..3].iter().flat_map(|(_, payload)| payload.clone()).collect();
    assert_eq!(scene.fields(&block).len(), 7);
}

#[test]
fn a_peer_may_change_its_header_table() {
    let mut scene = Scene::new(&[(setting::HEADER_TABLE_SIZE, 0)]);
    for (turn, size) in [0_u32, 4_096, 200, 1 << 20].into_iter().enumerate() {
        let user = u32::try_from(turn).unwrap() * 2;
        scene.begin(user, b"");
        scene.begin(user + 1, b"");
        for (_, block) in scene.frames() {
            assert_eq!(scene.fields(&block).len(), 7);
        }
        let mut settings = Vec::new();
        frame::settings(&mut settings, &[(setting::HEADER_TABLE_SIZE, size)]);
        scene.hear(&settings).unwrap();
        scene.frames();
    }
}

#[test]
fn answers_come_in_any_order_and_shape() {
    let mut scene = Scene::new(&[]);
    (0..6).for_each(|user| _ = scene.begin(user, b"{}"));
    scene.answer(5);
    // With padding and a priority; a body in two pieces, one of them padded; trailers.
    let padded = [&[2, 0, 0, 0, 1, 7][..], b"\x08\x03410", &[0, 0]].concat();
    let flags = flag::PADDED | flag::PRIORITY | flag::END_HEADERS;
    scene.hear_frame(kind::HEADERS, flags, 1, &padded).unwrap();
    scene.hear_frame(kind::DATA, flag::PADDED, 1, b"\x03{\"reason\":\0\0\0").unwrap();
    scene.hear_frame(kind::DATA, 0, 1, b"\"Unregistered\"}").unwrap();
    scene.hear_frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 1, b"\0\x01a\x01b").unwrap();
    // 103 before the answer, which comes in pieces.
    scene.hear_frame(kind::HEADERS, flag::END_HEADERS, 3, b"\x08\x03103").unwrap();
    scene.hear_frame(kind::HEADERS, 0, 3, b"\x08\x03").unwrap();
    scene.hear_frame(kind::CONTINUATION, 0, 3, b"503").unwrap();
    scene.hear_frame(kind::CONTINUATION, flag::END_HEADERS, 3, b"\x0f\x26\x0230").unwrap();
    scene.hear_frame(kind::DATA, flag::END_STREAM, 3, b"busy").unwrap();
    // Reset after its status: an answer all the same.
    scene.hear_frame(kind::HEADERS, flag::END_HEADERS, 7, ANSWER_200).unwrap();
    scene.hear_frame(kind::RST_STREAM, 0, 7, &[0; 4]).unwrap();
    let answered = |status, after: Option<&str>, body: &str| {
        Word::Answered(status, after.map(str::to_owned), body.as_bytes().to_vec())
    };
    assert_eq!(
        scene.words,
        [
            (2, ok()),
            (0, answered(410, None, "{\"reason\":\"Unregistered\"}")),
            (1, answered(503, Some("30"), "busy")),
            (3, ok()),
        ]
    );
    assert_eq!(scene.session.open(), 2);
    scene.hear_frame(kind::HEADERS, flag::END_HEADERS | flag::END_STREAM, 5, ANSWER_200).unwrap();
    assert_eq!(scene.words.len(), 4, "what is closed is answered no more");
}

#[test]
fn a_body_beyond_its_window_is_cut() {
    let mut scene = Scene::new(&[]);
    scene.begin(0, b"{}");
    scene.frames();
    scene.hear_frame(kind::HEADERS, flag::END_HEADERS, 1, b"\x8d").unwrap();
    (0..4).for_each(|_| scene.hear_frame(kind::DATA, 0, 1, &[b'x'; 16_384]).unwrap());
    let [(0, Word::Answered(404, None, body))] = &scene.words[..] else { panic!("{:?}", scene.words) };
    assert_eq!(body.len(), 16 * 1024);
    assert_eq!(kinds(&scene.frames()), [(kind::RST_STREAM, 1)]);
}

#[test]
fn what_was_written_is_known_to_the_byte() {
    let mut scene = Scene::new(&[]);
    scene.begin(7, b"{}");
    let all = scene.session.output().len();
    scene.session.wrote(all - 1);
    scene.begin(8, b"{}");
    let whole = |scene: &Scene| scene.session.each_open().map(|(_, user, whole)| (*user, whole)).collect::<Vec<_>>();
    assert_eq!(whole(&scene), [(7, false), (8, false)]);
    scene.session.wrote(1);
    assert_eq!(whole(&scene), [(7, true), (8, false)]);
    let rest = scene.session.output().len();
    scene.session.wrote(rest - 1);
    assert_eq!(scene.session.abandon(), [(7, true), (8, false)]);
    assert_eq!((scene.session.open(), scene.session.abandon()), (0, vec![]));
}

#[test]
fn a_cancelled_request_is_reset_and_not_heard_of_again() {
    let mut scene = Scene::new(&[]);
    let stream = scene.begin(7, b"{}");
    scene.frames();
    assert_eq!(scene.session.cancel(stream), Some((7, true)));
    assert_eq!(scene.session.cancel(stream), None);
    let frames = scene.frames();
    assert_eq!((kinds(&frames), &frames[0].1[..]), (vec![(kind::RST_STREAM, 1)], &[0, 0, 0, 8][..]));
    scene.answer(stream);
    assert_eq!(scene.words, []);
}
