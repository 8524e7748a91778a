//! Servers nobody here wrote. Each gets thousands of requests over a few connections that it ends early and often; every
//! target has one word, and the server saw each path once, with its body.

use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare::gateway::Answer;
use fanfare::gateway::senders::Senders;
use fanfare::model::verdict::Verdict;

use crate::bench::{self, Bench, How, Identity, To, quick, verdict};

mod child;
mod crate_h2;
mod hyper;
mod nginx;
mod node;

/// Bodies of all sorts: none, a few bytes, what a push has, more than a frame.
fn length(seq: u64) -> usize {
    match seq % 20 {
        0 => 0,
        1 => 40_000,
        2..12 => 250,
        _ => usize::try_from(seq % 100).unwrap(),
    }
}

/// Targets in turn for each of these kinds, which is the first part of their path.
fn targets(kinds: &[&str], count: u64) -> Vec<To> {
    let kind = |seq: u64| kinds[usize::try_from(seq).unwrap() % kinds.len()];
    (0..count).map(|seq| (seq, format!("/{}/{seq}", kind(seq)))).collect()
}

fn kind(path: &str) -> &str {
    path.split('/').nth(1).unwrap()
}

async fn send(port: u16, identity: &Identity, targets: &[To]) -> BTreeMap<u64, Answer> {
    let senders = Senders::start(2).unwrap();
    let how = How { connections: 3, length, tuning: quick() };
    Bench::new(port, identity, &senders, how).send(targets, 700).await
}

/// Every target has the word that its kind asks for.
fn assert_told(targets: &[To], told: &BTreeMap<u64, Answer>) {
    for (seq, path) in targets {
        let (verdict, reason) = verdict(&told[seq]);
        let gone = format!("gone {path}");
        let wanted = match kind(path) {
            "gone" => (&Verdict::DropToken { since: None }, gone.as_str()),
            "reset" => (&Verdict::ConnAmbiguous, "stream reset"),
            "soon" => (&Verdict::FixRequest { for_all: false }, "too large"),
            _ => (&Verdict::Delivered, ""),
        };
        assert_eq!((verdict, reason), wanted, "{path}");
    }
}

/// Each of the paths was seen once, and with its body unless the server took none.
fn assert_seen(targets: &[To], seen: Vec<(String, Option<Vec<u8>>)>) {
    let mut paths = BTreeMap::new();
    for (path, body) in seen {
        let seq: u64 = path.rsplit('/').next().unwrap().parse().unwrap();
        if let Some(body) = body {
            assert!(body == bench::body(seq, length(seq)), "{path} came with {} bytes", body.len());
        }
        *paths.entry(path).or_insert(0) += 1;
    }
    let wanted: BTreeMap<String, i32> = targets.iter().map(|(_, path)| (path.clone(), 1)).collect();
    let wrong: Vec<_> = wanted.keys().filter(|path| paths.get(*path) != Some(&1)).collect();
    assert_eq!(wrong, Vec::<&String>::new(), "not seen exactly once");
    assert_eq!(paths, wanted);
}

/// What a server task of this process has seen.
type Seen = Arc<parking_lot::Mutex<Vec<(String, Option<Vec<u8>>)>>>;

fn note(seen: &Seen, path: &str, body: Vec<u8>) {
    seen.lock().push((path.to_owned(), Some(body)));
}
