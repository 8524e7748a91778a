//! Counts and rows over a million installations.

use fanfare::model::audience::{Audience, AudienceLimits};
use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{ChunkNo, HubId, HubName, Seq};
use fanfare::model::target::AudienceKind;
use fanfare::store::Store;

use super::devices::groups;
use super::engine::Engine;
use super::{median, size, timed, wait};

#[test]
#[ignore = "a measurement: counts and rows of many installations"]
fn counts_and_rows() {
    let count = size("FIGURES_INSTALLATIONS", 1_000_000);
    let engine = Engine::open();
    let store = &*engine.store;
    let hub = wait(store.put_hub(&HubName::parse("demo").unwrap(), Vec::new())).unwrap().id;
    let fresh = 16_384.min(count / 2);
    let register = |from: u32, to: u32| {
        for at in (from..to).step_by(16_384) {
            for group in groups(at, 16_384.min(to - at), 2_048) {
                wait(store.apply(hub, group)).unwrap();
            }
            if to < count {
                wait(store.fold()).unwrap();
            }
        }
    };
    let (took, ()) = timed(|| register(0, count - fresh));
    println!("{count} installations in {:.0} s", took.as_secs_f64());
    println!("disk: {} bytes an installation", engine.bytes() / u64::from(count));
    counts(store, hub, "all folded");
    register(count - fresh, count);
    counts(store, hub, &format!("{fresh} registrations unfolded"));
    rows(store, hub);
}

fn counts(store: &dyn Store, hub: HubId, state: &str) {
    let users: Vec<_> = (0..2_000).map(|n| format!("$UserId:{{user-{}}}", n * 7)).collect();
    let ten = "(country:1 || country:2 || country:3) && (language:1 || language:2 || !language:3) && !version:4 \
               && (half:0 || tenth:7) && !team:9";
    for (name, text) in [
        ("everyone", ""),
        ("half", "half:1"),
        ("not half", "!half:1"),
        ("a city", "city:77"),
        ("ten terms", ten),
        ("one user", "$UserId:{user-4711}"),
        ("one user and a tag", "$UserId:{user-4711} && half:1"),
        ("one account tag", "account:4711"),
        ("2,000 users", &users.join(" || ")),
    ] {
        let audience = Audience::parse(text, &AudienceLimits::default()).unwrap();
        let mut found = 0;
        let millis = median(9, || {
            let (took, counts) = timed(|| wait(store.count(hub, &audience, AudienceKind::Native)).unwrap());
            found = counts.values().sum();
            took.as_secs_f64() * 1e3
        });
        println!("count of {name}, {state}: {millis:.2} ms ({found})");
    }
}

fn rows(store: &dyn Store, hub: HubId) {
    for (name, step) in [("all", 1), ("a third", 3), ("a sixth", 6), ("a tenth", 10), ("one in 200", 200)] {
        let set: ChunkSet = (0..16_384).step_by(step).collect();
        let micros = median(9, || {
            let mut chunk = 0;
            let (took, read) = timed(|| {
                let mut read = 0;
                for at in 0..8 {
                    chunk = at * 3;
                    read += wait(store.read_rows(hub, ChunkNo(chunk), &set, None)).unwrap().len();
                }
                read
            });
            took.as_secs_f64() * 1e6 / read.max(1) as f64
        });
        println!("rows, {name} of a chunk: {micros:.2} µs a row");
    }
    let page = timed(|| wait(store.installations(hub, &Audience::Everyone, Seq(0), 1_000)).unwrap());
    println!("a page of {} installations: {:.1} ms", page.1.items.len(), page.0.as_secs_f64() * 1e3);
}
