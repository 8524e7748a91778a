//! Rates that are kept, and lines that are climbed and never exceeded.

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::clock::{ManualClock, TokioClock};
use crate::model::id::{BroadcastId, HubId};
use crate::model::platform::Platform;
use crate::model::time::Timestamp;

fn clock() -> SharedClock {
    Arc::new(TokioClock::starting_at(Timestamp::from_millis(0)))
}

const OF: Paced = Paced::Sender(HubId(1), Platform::Fcm);

fn asker() -> Asker {
    Asker { id: BroadcastId::from_bytes([1; 16]), weight: 1 }
}

fn paced(per_second: u32) -> Pacer {
    let pacer = Pacer::new(clock(), &Fleet::default(), OF);
    pacer.set(per_second);
    pacer
}

fn gentle(per_second: u32) -> Pacer {
    let pacer = Pacer::gentle(clock(), &Fleet::default(), OF);
    pacer.set(per_second);
    pacer
}

async fn sent_in(pacer: &Pacer, span: Duration) -> u32 {
    let end = tokio::time::Instant::now() + span;
    let mut sent = 0;
    loop {
        match pacer.take(Lane::Bulk, asker(), 1_000) {
            Grant::Now(n) => sent += n,
            Grant::After(wait) if tokio::time::Instant::now() + wait > end => {
                tokio::time::sleep_until(end).await;
                return sent;
            }
            Grant::After(wait) => tokio::time::sleep(wait).await,
        }
    }
}

async fn each_second(pacer: &Pacer, seconds: usize) -> Vec<u32> {
    let mut sent = Vec::new();
    for _ in 0..seconds {
        sent.push(sent_in(pacer, Duration::from_secs(1)).await);
    }
    sent
}

#[tokio::test(start_paused = true)]
async fn keeps_its_rate_and_follows_a_change() {
    let pacer = paced(100);
    let sent = sent_in(&pacer, Duration::from_secs(10)).await;
    assert!((1_000..=1_010).contains(&sent), "{sent}");
    pacer.set(10_000);
    let sent = sent_in(&pacer, Duration::from_secs(10)).await;
    assert!((100_000..=101_000).contains(&sent), "{sent}");
    pacer.set(0);
    assert_eq!(pacer.take(Lane::Bulk, asker(), 5_000), Grant::Now(5_000));
}

#[tokio::test(start_paused = true)]
async fn one_a_second_waits_a_second() {
    let pacer = gentle(1);
    assert_eq!(pacer.take(Lane::Bulk, asker(), 10), Grant::Now(1));
    let Grant::After(wait) = pacer.take(Lane::Bulk, asker(), 10) else { panic!("must wait") };
    assert!(wait > Duration::from_millis(900) && wait <= Duration::from_secs(1), "{wait:?}");
}

#[tokio::test(start_paused = true)]
async fn after_a_rest_a_gentle_pace_rises_evenly_for_a_minute() {
    let pacer = gentle(10_000);
    for _ in 0..2 {
        let sent = each_second(&pacer, 62).await;
        let near = |at: usize, wanted: u32| assert!(sent[at].abs_diff(wanted) <= wanted / 20, "{at}: {}", sent[at]);
        near(0, 1_000);
        near(20, 4_000);
        near(40, 7_000);
        near(61, 10_000);
        assert!(sent.windows(2).all(|two| two[1] < two[0] + 700), "no second bursts: {sent:?}");
        tokio::time::sleep(IDLE).await;
    }
    tokio::time::sleep(IDLE / 2).await;
    let others = each_second(&paced(1_000), 1).await[0];
    assert!((1_000..=1_050).contains(&others), "others begin at their rate: {others}");
}

#[tokio::test(start_paused = true)]
async fn transactional_sends_never_wait_for_a_line() {
    let pacer = gentle(1_000);
    while let Grant::Now(_) = pacer.take(Lane::Bulk, asker(), 1_000) {}
    assert_eq!(pacer.take(Lane::Transactional, asker(), 1), Grant::Now(1));
    let pacer = paced(0);
    pacer.slow(Duration::from_secs(30));
    while let Grant::Now(_) = pacer.take(Lane::Bulk, asker(), 1_000) {}
    assert_eq!(pacer.take(Lane::Transactional, asker(), 1), Grant::Now(1));
}

#[tokio::test(start_paused = true)]
async fn after_an_overload_a_rate_is_climbed_to_from_half_of_what_was_sent() {
    let pacer = paced(2_000);
    assert!(sent_in(&pacer, Duration::from_secs(20)).await >= 40_000);
    for _ in 0..3 {
        pacer.slow(Duration::from_secs(30));
    }
    tokio::time::sleep(Duration::from_secs(30)).await;
    let sent = each_second(&pacer, 62).await;
    assert!((950..=1_100).contains(&sent[0]), "{}", sent[0]);
    assert!((1_400..=1_600).contains(&sent[30]), "{}", sent[30]);
    assert!((1_950..=2_100).contains(&sent[61]), "{}", sent[61]);
}

#[tokio::test(start_paused = true)]
async fn after_an_overload_an_unpaced_sender_climbs_until_it_is_free_again() {
    let pacer = paced(0);
    for _ in 0..30 {
        assert_eq!(pacer.take(Lane::Bulk, asker(), 400), Grant::Now(400));
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    pacer.slow(Duration::from_secs(10));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let sent = each_second(&pacer, 59).await;
    assert!((1_900..=2_200).contains(&sent[0]), "{}", sent[0]);
    assert!((7_000..=8_200).contains(&sent[58]), "{}", sent[58]);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(pacer.take(Lane::Bulk, asker(), 50_000), Grant::Now(50_000));
}

proptest! {
    /// However it is asked, what a gentle pacer grants in its first minute never exceeds the area under its line.
    #[test]
    fn a_rise_never_exceeds_its_line(
        per_second in 11..200_000_u32,
        asks in proptest::collection::vec((1..3_000_usize, 0..800_u64), 1..300),
    ) {
        let clock = ManualClock::starting_at(Timestamp::from_millis(0));
        let pacer = Pacer::gentle(clock.clone(), &Fleet::default(), OF);
        pacer.set(per_second);
        let line = Line::warming(BootInstant::default(), per_second).unwrap();
        let (mut granted, mut elapsed) = (0, Duration::ZERO);
        for (wanted, pause) in asks {
            while let Grant::Now(some) = pacer.take(Lane::Bulk, asker(), wanted) {
                granted += u64::from(some);
            }
            let seconds = elapsed.as_secs_f64().min(60.0);
            let area = seconds * (line.from + (line.to - line.from) * seconds / 120.0);
            prop_assert!(granted as f64 <= area + 1e-3, "{granted} of {area} after {seconds} s");
            let pause = Duration::from_millis(pause);
            if elapsed + pause >= Duration::from_secs(60) {
                break;
            }
            clock.advance(pause);
            elapsed += pause;
        }
    }
}

/// What each of some broadcasts is granted of one rate, all of them asking for a quarter of it or less at once.
async fn shared(pacer: &Pacer, askers: &[(Asker, usize)], span: Duration) -> Vec<u32> {
    let end = tokio::time::Instant::now() + span;
    let each = askers.iter().map(async |&(asker, wanted)| {
        let mut granted = 0;
        loop {
            match pacer.take(Lane::Bulk, asker, wanted) {
                Grant::Now(n) => granted += n,
                Grant::After(wait) => tokio::time::sleep(wait).await,
            }
            if tokio::time::Instant::now() >= end {
                return granted;
            }
        }
    });
    futures_util::future::join_all(each).await
}

#[tokio::test(start_paused = true)]
async fn those_who_wait_for_one_rate_share_it_by_weight() {
    let asker = |number, weight| Asker { id: BroadcastId::from_bytes([number; 16]), weight };
    let pacer = paced(1_000);
    let shares = shared(&pacer, &[(asker(1, 1), 500), (asker(2, 3), 500)], Duration::from_secs(20)).await;
    assert!(shares[0].abs_diff(5_000) <= 500 && shares[1].abs_diff(15_000) <= 1_000, "{shares:?}");
    let shares = shared(&pacer, &[(asker(3, 1), 1), (asker(4, 1), 500)], Duration::from_secs(20)).await;
    assert!(shares[0].abs_diff(shares[1]) <= 1_000, "however much each asks for: {shares:?}");
    let alone = shared(&pacer, &[(asker(5, 1), 500)], Duration::from_secs(20)).await;
    assert!(alone[0].abs_diff(20_000) <= 1_000, "nobody waits for one that asks no more: {alone:?}");
}
