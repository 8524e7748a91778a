//! Registrations a second, durable, against bare inserts of the same rows.

use std::cell::{Cell, RefCell};
use std::time::Duration;

use fanfare::model::id::HubName;

use super::bare::{Bare, Row};
use super::devices::{device, groups};
use super::engine::{Engine, is_postgres};
use super::{median, size, timed, timed_with_cpu, wait};

/// Deltas are folded every so many registrations: about a second's.
const FOLD_EVERY: u32 = 16_384;

#[test]
#[ignore = "a measurement: registrations against bare inserts"]
fn new_installations() {
    let count = size("FIGURES_REGISTRATIONS", 32_768);
    let only = size("FIGURES_GROUP", 0);
    for group in [64, 256, 1_024].into_iter().filter(|&group| only == 0 || only == group) {
        let mut rates = Vec::new();
        for _ in 0..size("FIGURES_ROUNDS", 5) {
            let (ours, a_commit) = our_rate(count, group);
            // Its yardstick is a file, so beside a server it says nothing.
            let bare = if is_postgres() { ours } else { bare_rate(count, a_commit) };
            rates.push((bare, ours, a_commit));
        }
        let middle = |of: &dyn Fn(&(Rate, Rate, u32)) -> f64| {
            let mut runs = rates.iter().map(of);
            median(rates.len(), || runs.next().unwrap())
        };
        println!(
            "new installations, {:.0} a commit, folded: {:.0}/s, bare {:.0}/s, ratio {:.2}; CPU {:.1} µs, bare {:.1} µs",
            middle(&|it| f64::from(it.2)),
            middle(&|it| it.1.a_second),
            middle(&|it| it.0.a_second),
            middle(&|it| it.1.a_second / it.0.a_second),
            middle(&|it| it.1.cpu_micros),
            middle(&|it| it.0.cpu_micros),
        );
    }
}

#[derive(Clone, Copy)]
struct Rate {
    a_second: f64,
    cpu_micros: f64,
}

impl Rate {
    fn of(count: u32, took: Duration, cpu: Duration) -> Self {
        let count = f64::from(count);
        Self { a_second: count / took.as_secs_f64(), cpu_micros: cpu.as_secs_f64() * 1e6 / count }
    }
}

fn bare_rate(count: u32, group: u32) -> Rate {
    let directory = tempfile::tempdir().unwrap();
    let mut bare = Bare::open(&directory.path().join("bare.db"));
    let rows: Vec<Row> = (0..count).map(|n| Row::of(&device(n))).collect();
    let (took, cpu, ()) = timed_with_cpu(|| {
        let mut first = 0;
        for rows in rows.chunks(group as usize) {
            bare.insert(first, rows);
            first += rows.len() as u64;
        }
    });
    Rate::of(count, took, cpu)
}

/// Registrations a second, and how many a commit had. Two callers take turns, so that one's work before the commit goes on beside the other's
/// commit; a third folds, as a running service does.
fn our_rate(count: u32, group: u32) -> (Rate, u32) {
    let engine = Engine::open();
    let store = &*engine.store;
    let hub = wait(store.put_hub(&HubName::parse("demo").unwrap(), Vec::new())).unwrap().id;
    let groups = RefCell::new(groups(0, count, group).into_iter());
    let (fold_due, since_fold, callers) = (tokio::sync::Notify::new(), Cell::new(0), Cell::new(2));
    let caller = async || {
        loop {
            let Some(group) = groups.borrow_mut().next() else { break };
            since_fold.set(since_fold.get() + u32::try_from(group.len()).unwrap());
            store.apply(hub, group).await.unwrap();
            if since_fold.get() >= size("FIGURES_FOLD_EVERY", FOLD_EVERY) {
                since_fold.set(0);
                fold_due.notify_one();
            }
        }
        callers.set(callers.get() - 1);
        fold_due.notify_one();
    };
    let folder = async {
        while callers.get() > 0 {
            fold_due.notified().await;
            store.fold().await.unwrap();
        }
    };
    let (took, cpu, _) = timed_with_cpu(|| wait(async { tokio::join!(caller(), caller(), folder) }));
    let commits = store.commits();
    let a_commit = u32::try_from(commits.registrations / commits.registration_groups).unwrap();
    (Rate::of(count, took, cpu), a_commit)
}

#[test]
#[ignore = "a measurement: re-registrations"]
fn known_installations() {
    let count = size("FIGURES_REGISTRATIONS", 32_768);
    let engine = Engine::open();
    let store = &*engine.store;
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
