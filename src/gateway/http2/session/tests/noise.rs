//! Whatever comes, in whatever pieces: every request has exactly one word, and nothing panics.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Begin(usize),
    Write(usize),
    Cancel(prop::sample::Index),
    Hear(u8, u8, u32, Vec<u8>),
    Noise(Vec<u8>),
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        Just(ANSWER_200.to_vec()),
        Just(b"\x08\x03410".to_vec()),
        (0_u32..200_000).prop_map(|value| value.to_be_bytes().to_vec()),
        (1_u16..7, 0_u32..70_000).prop_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()),
        proptest::collection::vec(any::<u8>(), 8),
        proptest::collection::vec(any::<u8>(), 0..40),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let stream = prop_oneof![Just(0_u32), (0_u32..40).prop_map(|at| 2 * at + 1)];
    prop_oneof![
        6 => (0_usize..300).prop_map(Step::Begin),
        3 => (0_usize..2_000).prop_map(Step::Write),
        1 => any::<prop::sample::Index>().prop_map(Step::Cancel),
        8 => (0_u8..10, prop_oneof![Just(5_u8), Just(4), Just(0), any::<u8>()], stream, payload())
            .prop_map(|(kind, flags, stream, payload)| Step::Hear(kind, flags, stream, payload)),
        1 => proptest::collection::vec(any::<u8>(), 0..30).prop_map(Step::Noise),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn every_request_has_one_word(steps in proptest::collection::vec(step(), 1..120), cut in 1_usize..50) {
        let mut scene = Scene::new(&[(setting::MAX_CONCURRENT_STREAMS, 12)]);
        let mut begun = 0;
        let mut words: BTreeMap<u32, u32> = BTreeMap::new();
        let mut held = Vec::new();
        'steps: for step in steps {
            let heard = match step {
                Step::Begin(length) => {
                    if scene.session.room() > 0 {
                        scene.begin(begun, &vec![b'x'; length]);
                        begun += 1;
                    }
                    continue;
                }
                Step::Write(bytes) => {
                    let bytes = bytes.min(scene.session.output().len());
                    scene.session.wrote(bytes);
                    continue;
                }
                Step::Cancel(which) => {
                    let open: Vec<u32> = scene.session.each_open().map(|(stream, ..)| stream).collect();
                    if !open.is_empty() {
                        let (user, _) = scene.session.cancel(*which.get(&open)).unwrap();
                        *words.entry(user).or_default() += 1;
                    }
                    continue;
                }
                Step::Hear(kind, flags, stream, payload) => frame_of(kind, flags, stream, &payload),
                Step::Noise(bytes) => bytes,
            };
            for piece in heard.chunks(cut) {
                held.extend_from_slice(piece);
                match scene.session.receive(&held, &mut |user, _| *words.entry(user).or_default() += 1) {
                    Ok(taken) => drop(held.drain(..taken)),
                    Err(error) => {
                        scene.session.say_goodbye(error.code);
                        break 'steps;
                    }
                }
            }
        }
        let open = scene.session.open();
        let abandoned = scene.session.abandon();
        prop_assert_eq!(abandoned.len(), open);
        abandoned.into_iter().for_each(|(user, _)| *words.entry(user).or_default() += 1);
        prop_assert_eq!(words, (0..begun).map(|user| (user, 1)).collect());
    }
}
