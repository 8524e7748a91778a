//! Random lives: crashes between any two steps, whatever the service answers, and what must hold at the end.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use fanfare::fanout::Settings;
use fanfare::model::broadcast::{BroadcastState, Wish};
use fanfare::model::id::BroadcastId;
use fanfare::model::outcome::Outcome;
use fanfare::model::time::Timestamp;
use fanfare::model::verdict::{ThrottleScope, Verdict};
use proptest::prelude::*;

use crate::gate::Gate;
use crate::gateway::{Act, Script, Service};
use crate::world::{Process, World, request};

const CREDIT: u64 = 64;

/// Few attempts and rare looks: a life's hours are turned time, but each look is a real one.
fn settings() -> Settings {
    Settings {
        checkpoint_every: CREDIT,
        max_attempts: 3,
        reconcile_every: Duration::from_secs(10),
        ..Settings::default()
    }
}

/// Answers that depend on the device and on how often it was tried, so that a life can be told again from its seed.
fn moody(seed: u64) -> Script {
    Arc::new(move |device, nth| {
        let dice = fastrand::Rng::with_seed(seed ^ (device << 8) ^ u64::from(nth)).u32(..100);
        match dice {
            0..70 => Act::Accept,
            70..75 => Act::Answer(Verdict::Retry { after: None }, "InternalServerError"),
            75..80 => Act::AcceptAndVanish,
            80..84 => Act::Answer(Verdict::ConnAmbiguous, "connection_lost"),
            84..88 => Act::Answer(Verdict::EnvMismatch, "BadDeviceToken"),
            88..91 => Act::Answer(Verdict::DropToken { since: Some(Timestamp::from_millis(i64::MAX)) }, "Unregistered"),
            91..93 => Act::Answer(Verdict::DropToken { since: Some(Timestamp::from_millis(1)) }, "Unregistered"),
            93..95 => Act::Answer(Verdict::DropToken { since: None }, "Unregistered"),
            95..97 => Act::Answer(Verdict::FixRequest { for_all: false }, "FooBar"),
            97..98 => Act::Answer(Verdict::Throttle { scope: ThrottleScope::Target, after: None }, "TooManyRequests"),
            98..99 => Act::Answer(Verdict::ConnSafe, "REFUSED_STREAM"),
            _ => Act::Unreachable,
        }
    })
}

/// What must hold once a broadcast is over, whatever happened.
async fn judge(process: &Process, world: &World, id: BroadcastId, owed: u64, crashes: u64) {
    let broadcast = process.finished(id).await;
    let counters = broadcast.counters();
    assert_eq!(counters.difference(), 0, "{counters:?}");
    assert_eq!((counters.targeted, counters.pending), (owed, 0), "{counters:?}");
    assert!(process.store.conservation().await.unwrap().values().all(|difference| *difference == 0));

    let outcomes = process.outcomes(id).await;
    assert_eq!(outcomes.len() as u64, owed, "one outcome for each target");
    let mut sums: BTreeMap<Outcome, u64> = BTreeMap::new();
    for item in &outcomes {
        *sums.entry(item.outcome.expect("nothing is pending")).or_default() += 1;
    }
    for outcome in Outcome::ALL {
        assert_eq!(sums.get(&outcome).copied().unwrap_or(0), counters.of(outcome), "{outcome}");
    }

    let devices = world.service.by_device();
    for item in &outcomes {
        let name = item.installation().expect("a tombstone remembers");
        let device: u64 = name.as_str()["dev-".len()..].parse().unwrap();
        let received = devices.get(&device).cloned().unwrap_or_default();
        if item.outcome == Some(Outcome::Delivered) {
            assert!(received.accepted > 0, "{name} was called delivered and got nothing");
        }
        assert!(received.ids.len() <= 1, "{name} got different message ids");
    }
    let ambiguous = 8 * owed;
    let repeats = world.service.accepted() - world.service.reached();
    let vanished: u64 = devices.values().map(|device| u64::from(device.accepted.saturating_sub(1))).sum();
    assert_eq!(repeats, vanished);
    assert!(repeats <= ambiguous + crashes * CREDIT * 4);
}

fn live(seed: u64, devices: u64, steps: &[(i64, bool)], script: Script) {
    let world = World::new(Service::new(Duration::from_millis(40), script), settings());
    let id = world.live(Gate::open(), async |process| {
        process.register(0, devices).await;
        process.send(request(if seed.is_multiple_of(2) { "all" } else { "" })).await
    });
    let mut crashes = 1;
    for (step, counts) in steps {
        let gate = Gate::new(*step, *counts);
        let over = world.live(gate.clone(), async |process| {
            tokio::select! {
                () = gate.died.notified() => false,
                _ = process.finished(id) => true,
            }
        });
        if over {
            break;
        }
        crashes += 1;
    }
    world.live(Gate::open(), async |process| judge(process, &world, id, devices, crashes).await);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, ..ProptestConfig::default() })]

    /// Crashes between any two steps of a broadcast that is planned into shards, under a moody service.
    #[test]
    fn every_target_has_one_outcome_whatever_dies(
        seed in any::<u64>(),
        steps in proptest::collection::vec((1i64..60, any::<bool>()), 0..8),
    ) {
        live(seed, 2_300, &steps, moody(seed));
    }

    /// The same for a broadcast small enough to be planned inline.
    #[test]
    fn small_broadcasts_too(
        seed in any::<u64>(),
        steps in proptest::collection::vec((1i64..25, any::<bool>()), 0..6),
    ) {
        live(seed, 90, &steps, moody(seed));
    }

    /// With a service that takes everything, a crash repeats at most the credit of each shard in flight.
    #[test]
    fn a_crash_repeats_at_most_the_credit(
        steps in proptest::collection::vec((1i64..80, any::<bool>()), 1..6),
    ) {
        let world = World::new(Service::accepting(Duration::from_millis(40)), settings());
        let id = world.live(Gate::open(), async |process| {
            process.register(0, 2_300).await;
            process.send(request("all")).await
        });
        let mut crashes = 1;
        for (step, counts) in steps {
            let gate = Gate::new(step, counts);
            world.live(gate.clone(), async |process| tokio::select! {
                () = gate.died.notified() => (),
                _ = process.finished(id) => (),
            });
            crashes += 1;
        }
        world.live(Gate::open(), async |process| {
            let broadcast = process.finished(id).await;
            prop_assert_eq!(broadcast.counters().delivered, 2_300);
            Ok(())
        })?;
        prop_assert_eq!(world.service.reached(), 2_300);
        let repeats = world.service.accepted() - 2_300;
        // 2,300 targets are one shard.
        prop_assert!(repeats <= crashes * CREDIT, "{} repeats after {} crashes", repeats, crashes);
    }

    /// Wishes at any moment, with crashes around them: the state that was asked for, and every target accounted for.
    #[test]
    fn wishes_are_carried_out_across_crashes(
        seed in any::<u64>(),
        wishes in proptest::collection::vec((0u8..4, 0u64..3_000), 1..6),
        crash_at in 1i64..200,
    ) {
        let world = World::new(Service::new(Duration::from_millis(200), moody(seed)), settings());
        let id = world.live(Gate::open(), async |process| {
            process.register(0, 2_300).await;
            let id = process.send(request("all")).await;
            process.until(id, |broadcast| broadcast.times.planned.is_some()).await;
            id
        });
        let gate = Gate::new(crash_at, true);
        let mut cancelled = false;
        let wanted = wishes.clone();
        world.live(gate.clone(), async |process| {
            let wishing = async {
                for (wish, wait) in wanted {
                    tokio::time::sleep(Duration::from_millis(wait)).await;
                    let wish = match wish { 0 => Wish::Pause, 1 | 2 => Wish::Run, _ => Wish::Cancel };
                    if process.fanout.wish(process.hub, id, wish).await.is_ok() && wish == Wish::Cancel {
                        cancelled = true;
                    }
                }
            };
            tokio::select! {
                () = gate.died.notified() => (),
                () = wishing => (),
            }
        });
        world.live(Gate::open(), async |process| {
            if !cancelled {
                // A wish to run is refused only when all is over.
                drop(process.fanout.wish(process.hub, id, Wish::Run).await);
            }
            judge(process, &world, id, 2_300, 3).await;
            let state = process.broadcast(id).await.state(process.clock.now());
            if cancelled {
                assert_eq!(state, BroadcastState::Cancelled);
            }
        });
    }
}
