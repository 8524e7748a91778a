//! Registrations a second, durable, against bare inserts of the same rows.

use fanfare::clock::SystemClock;
use fanfare::model::id::HubName;
use fanfare::store::Store;
use fanfare::store::sqlite::{Mode, Retention, SqliteStore};

use super::bare::{Bare, Row};
use super::devices::{device, groups};
use super::{median, size, timed, wait};

/// Deltas are folded every so many registrations: about a second's.
const FOLD_EVERY: u32 = 16_384;

#[test]
#[ignore = "a measurement: registrations against bare inserts"]
fn new_installations() {
    let count = size("FIGURES_REGISTRATIONS", 32_768);
    for group in [64, 256, 1_024] {
        let (mut bare, mut ours, mut folding) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..3 {
            bare.push(bare_rate(count, group));
            let (rate, share) = our_rate(count, group);
            ours.push(rate);
            folding.push(share);
        }
        let middle = |runs: &[f64]| {
            let mut runs = runs.iter().copied();
            median(runs.len(), || runs.next().unwrap())
        };
        let (bare, ours, folding) = (middle(&bare), middle(&ours), middle(&folding));
        println!(
            "new installations, {group} a commit: {ours:.0}/s, bare {bare:.0}/s, ratio {:.2}; folding {:.1} %",
            ours / bare,
            folding * 100.0
        );
    }
}

fn bare_rate(count: u32, group: u32) -> f64 {
    let directory = tempfile::tempdir().unwrap();
    let mut bare = Bare::open(&directory.path().join("bare.db"));
    let rows: Vec<Row> = (0..count).map(|n| Row::of(&device(n))).collect();
    let (took, ()) = timed(|| {
        let mut first = 0;
        for rows in rows.chunks(group as usize) {
            bare.insert(first, rows);
            first += rows.len() as u64;
        }
    });
    f64::from(count) / took.as_secs_f64()
}

/// Registrations a second, and the share of the time that folding took.
fn our_rate(count: u32, group: u32) -> (f64, f64) {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fanfare.db");
    let store =
        SqliteStore::open(&file, Mode::Threads { readers: 2 }, SystemClock::shared(), Retention::default()).unwrap();
    let hub = wait(store.put_hub(&HubName::parse("demo").unwrap(), Vec::new())).unwrap().id;
    let groups = groups(0, count, group);
    let mut folding = 0.0;
    let (took, ()) = timed(|| {
        wait(async {
            let mut since_fold = 0;
            for group in groups {
                since_fold += u32::try_from(group.len()).unwrap();
                store.apply(hub, group).await.unwrap();
                if since_fold >= FOLD_EVERY {
                    since_fold = 0;
                    let start = fanfare::clock::Clock::boot(&SystemClock);
                    store.fold().await.unwrap();
                    folding += fanfare::clock::Clock::boot(&SystemClock).after(start).as_secs_f64();
                }
            }
        });
    });
    (f64::from(count) / took.as_secs_f64(), folding / took.as_secs_f64())
}

#[test]
#[ignore = "a measurement: re-registrations"]
fn known_installations() {
    let count = size("FIGURES_REGISTRATIONS", 32_768);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("fanfare.db");
    let store =
        SqliteStore::open(&file, Mode::Threads { readers: 2 }, SystemClock::shared(), Retention::default()).unwrap();
    let hub = wait(store.put_hub(&HubName::parse("demo").unwrap(), Vec::new())).unwrap().id;
    let apply = |groups: Vec<Vec<fanfare::store::Change>>| {
        let (took, ()) = timed(|| {
            wait(async {
                for group in groups {
                    store.apply(hub, group).await.unwrap();
                }
            });
        });
        f64::from(count) / took.as_secs_f64()
    };
    apply(groups(0, count, 1_024));
    wait(store.fold()).unwrap();
    println!("unchanged, 256 a commit: {:.0}/s", apply(groups(0, count, 256)));
    let (took, _) = timed(|| wait(store.fold()).unwrap());
    println!("folding {count} touches: {:.0}/s", f64::from(count) / took.as_secs_f64());
    let mut changed = groups(0, count, 256);
    for change in changed.iter_mut().flatten() {
        if let fanfare::store::Change::Put(it) = change {
            it.tags[0] = fanfare::model::tag::Tag::parse("country:x", 120).unwrap();
            it.tags[3] = fanfare::model::tag::Tag::parse("team:x", 120).unwrap();
        }
    }
    println!("two tags changed, 256 a commit: {:.0}/s", apply(changed));
}
