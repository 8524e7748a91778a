//! Hubs, installations and audiences.

use std::collections::BTreeMap;
use std::time::Duration;

use fanfare::clock::Clock;
use fanfare::model::audience::{Audience, AudienceLimits};
use fanfare::model::chunk_set::ChunkSet;
use fanfare::model::id::{ChunkNo, HubId, HubName, InstallationId, Seq};
use fanfare::model::installation::{Installation, InstallationLimits};
use fanfare::model::platform::Platform;
use fanfare::model::target::AudienceKind;
use fanfare::model::time::Timestamp;
use fanfare::store::{Applied, Change, Store, StoreError, TargetRow};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::model::Registry;
use super::postgres::server;
use super::{Bench, START, benches, wait};

pub(crate) fn hub(store: &dyn Store) -> HubId {
    wait(store.put_hub(&HubName::parse("demo").unwrap(), b"{}".to_vec())).unwrap().id
}

fn document(value: Value) -> Installation {
    Installation::parse(value.to_string().as_bytes(), None, &InstallationLimits::default()).unwrap()
}

pub(crate) fn put(value: Value) -> Change {
    Change::Put(Box::new(document(value)))
}

pub(crate) fn audience(text: &str) -> Audience {
    Audience::parse(text, &AudienceLimits::default()).unwrap()
}

/// One that is told apart by `n`, with these tags.
pub(crate) fn device(n: u32, tags: &[&str]) -> Value {
    json!({"installationId": format!("dev-{n}"), "platform": "apns", "pushChannel": format!("{n:064x}"), "tags": tags})
}

pub(crate) fn apply(store: &dyn Store, hub: HubId, changes: Vec<Change>) -> Vec<Applied> {
    wait(store.apply(hub, changes)).unwrap()
}

pub(crate) fn count(store: &dyn Store, hub: HubId, text: &str) -> u64 {
    wait(store.count(hub, &audience(text), AudienceKind::Native)).unwrap().values().sum()
}

pub(crate) fn seqs(store: &dyn Store, hub: HubId) -> Vec<Seq> {
    let rows = wait(store.read_rows(hub, ChunkNo(0), &ChunkSet::full(), None)).unwrap();
    rows.iter().map(|(row, _)| row.seq).collect()
}

/// What is done to a store before it is looked at.
pub(crate) type Settle<'a> = &'a dyn Fn(&mut dyn Bench);

/// Runs a test on every engine, as it is, after a fold, and after a crash.
pub(crate) fn on_every_bench(test: impl Fn(&mut dyn Bench, Settle<'_>)) {
    let settles: [Settle<'_>; 3] =
        [&|_| (), &|bench| assert!(!wait(bench.store().fold()).unwrap()), &|bench| bench.crash()];
    // Held over all rounds, which would each start one of their own.
    let _server = server();
    for settle in settles {
        for mut bench in benches() {
            test(&mut *bench, settle);
        }
    }
}

#[test]
fn hubs_keep_their_number_and_a_deleted_one_is_never_reused() {
    on_every_bench(|bench, settle| {
        let name = |text| HubName::parse(text).unwrap();
        let first = wait(bench.store().put_hub(&name("b"), b"1".to_vec())).unwrap();
        let same = wait(bench.store().put_hub(&name("b"), b"1".to_vec())).unwrap();
        assert_eq!(first, same);
        let changed = wait(bench.store().put_hub(&name("b"), b"2".to_vec())).unwrap();
        assert_eq!((changed.id, changed.version), (first.id, first.version + 1));
        apply(bench.store(), first.id, vec![put(device(1, &["a"]))]);
        settle(bench);
        wait(bench.store().put_hub(&name("a"), Vec::new())).unwrap();
        let names: Vec<_> = wait(bench.store().hubs()).unwrap().into_iter().map(|hub| hub.name).collect();
        assert_eq!(names, [name("a"), name("b")]);
        assert!(wait(bench.store().delete_hub(&name("b"))).unwrap());
        assert!(!wait(bench.store().delete_hub(&name("b"))).unwrap());
        let lost = wait(bench.store().apply(first.id, vec![put(device(1, &["a"]))]));
        assert!(matches!(lost, Err(StoreError::NoHub)));
        settle(bench);
        let again = wait(bench.store().put_hub(&name("b"), b"1".to_vec())).unwrap();
        assert!(again.id > first.id);
        for hub in [first.id, again.id] {
            assert_eq!(count(bench.store(), hub, ""), 0);
            assert_eq!(seqs(bench.store(), hub), []);
        }
    });
}

#[test]
fn a_document_is_created_touched_updated_and_deleted() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let id = InstallationId::parse("dev-1").unwrap();
        assert_eq!(apply(bench.store(), hub, vec![put(device(1, &["a"]))]), [Applied::Created]);
        settle(bench);
        bench.clock().advance(Duration::from_secs(5));
        assert_eq!(apply(bench.store(), hub, vec![put(device(1, &["a"]))]), [Applied::Touched]);
        settle(bench);
        let stored = wait(bench.store().installation(hub, &id)).unwrap().unwrap();
        assert_eq!(stored.installation, document(device(1, &["a"])));
        assert_eq!((stored.updated, stored.confirmed), (START, START.plus(Duration::from_secs(5))));
        assert!(!stored.channel_expired);
        assert_eq!(apply(bench.store(), hub, vec![put(device(1, &["b"]))]), [Applied::Updated]);
        settle(bench);
        assert_eq!((count(bench.store(), hub, "a"), count(bench.store(), hub, "b")), (0, 1));
        assert_eq!(seqs(bench.store(), hub), [Seq(0)], "a changed tag keeps the seq");
        let twice = vec![Change::Delete(id.clone()), Change::Delete(id.clone())];
        assert_eq!(apply(bench.store(), hub, twice), [Applied::Deleted, Applied::Absent]);
        settle(bench);
        assert_eq!(wait(bench.store().installation(hub, &id)).unwrap(), None);
        assert_eq!(seqs(bench.store(), hub), []);
        assert_eq!(apply(bench.store(), hub, vec![put(device(1, &[]))]), [Applied::Created]);
        assert_eq!(seqs(bench.store(), hub), [Seq(1)], "a seq is never used again");
    });
}

#[test]
fn a_change_sees_those_before_it_in_the_same_call() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let delete = Change::Delete(InstallationId::parse("dev-1").unwrap());
        let changes = vec![
            put(device(1, &["a"])),
            put(device(1, &["a"])),
            put(device(1, &["b"])),
            delete,
            put(device(1, &["c"])),
            put(device(1, &["c", "d"])),
        ];
        let applied = apply(bench.store(), hub, changes);
        let expected = [
            Applied::Created,
            Applied::Touched,
            Applied::Updated,
            Applied::Deleted,
            Applied::Created,
            Applied::Updated,
        ];
        assert_eq!(applied, expected);
        settle(bench);
        let counts = ["", "a", "b", "c", "d", "c && d"].map(|text| count(bench.store(), hub, text));
        assert_eq!(counts, [1, 0, 0, 1, 1, 1]);
    });
}

#[test]
fn only_a_changed_platform_takes_a_new_seq() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let on = |platform: &str, channel: &str, user: &str| {
            put(json!({"installationId": "d", "platform": platform, "pushChannel": channel, "userId": user,
                       "tags": ["a"], "templates": {"t": {"body": "{}"}}}))
        };
        apply(bench.store(), hub, vec![on("gcm", "token-1", "u1")]);
        settle(bench);
        for change in [on("fcmv1", "token-1", "u1"), on("fcmv1", "token-2", "u1"), on("fcmv1", "token-2", "u2")] {
            assert_eq!(apply(bench.store(), hub, vec![change]), [Applied::Updated]);
            settle(bench);
            assert_eq!(seqs(bench.store(), hub), [Seq(0), Seq(1)]);
        }
        let rows = wait(bench.store().read_rows(hub, ChunkNo(0), &ChunkSet::full(), Some(1))).unwrap();
        assert!(rows.iter().all(|(row, channel)| channel == b"token-2" && row.user_changed));
        let counts = ["$UserId:{u1}", "$UserId:{u2}", "$InstallationId:{d}", "a"];
        assert_eq!(counts.map(|text| count(bench.store(), hub, text)), [0, 1, 1, 1]);
        apply(bench.store(), hub, vec![on("adm", "token-2", "u2")]);
        settle(bench);
        assert_eq!(seqs(bench.store(), hub), [Seq(2), Seq(3)]);
        let counts = wait(bench.store().count(hub, &audience("a"), AudienceKind::Template)).unwrap();
        assert_eq!(counts, BTreeMap::from([(Platform::Adm, 1)]));
    });
}

#[test]
fn templates_come_and_go_alone() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let with = |templates: Value| {
            let mut value = device(1, &["a"]);
            value["templates"] = templates;
            put(value)
        };
        apply(bench.store(), hub, vec![with(json!({"s": {"body": "{}"}, "t": {"body": "{}", "tags": ["x"]}}))]);
        settle(bench);
        assert_eq!(seqs(bench.store(), hub), [Seq(0), Seq(1), Seq(2)]);
        apply(bench.store(), hub, vec![with(json!({"r": {"body": "{}"}, "t": {"body": "{\"n\":1}", "tags": ["y"]}}))]);
        settle(bench);
        assert_eq!(seqs(bench.store(), hub), [Seq(0), Seq(2), Seq(3)]);
        let counts = ["", "a", "r", "s", "t", "x", "y"].map(|text| {
            wait(bench.store().count(hub, &audience(text), AudienceKind::Template)).unwrap().values().sum::<u64>()
        });
        assert_eq!(counts, [2, 2, 1, 0, 1, 0, 1]);
    });
}

#[test]
fn tiles_count_only_when_a_tag_of_theirs_is_named() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(
            bench.store(),
            hub,
            vec![put(json!({"installationId": "d", "platform": "wns", "pushChannel": "https://w.example/0",
                "tags": ["a"], "userId": "u", "secondaryTiles": {"t1": {"pushChannel": "https://w.example/1",
                "tags": ["tile", "a"], "templates": {"m": {"body": "<toast/>"}}}}}))],
        );
        settle(bench);
        let native = ["", "a", "tile", "!tile", "!a", "tile && !b", "$UserId:{u}", "$UserId:{u} && tile", "a || !tile"];
        let counts = native.map(|text| count(bench.store(), hub, text));
        assert_eq!(counts, [1, 2, 1, 1, 0, 1, 1, 1, 2]);
        let template = ["", "m", "tile", "!b"].map(|text| {
            wait(bench.store().count(hub, &audience(text), AudienceKind::Template)).unwrap().values().sum::<u64>()
        });
        assert_eq!(template, [0, 1, 1, 0]);
        let page = wait(bench.store().installations(hub, &audience("tile"), Seq(0), 9)).unwrap();
        assert!(page.items.is_empty(), "no native target has that tag");
    });
}

#[test]
fn what_has_expired_is_gone_before_and_after_the_sweep() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        let until = |n: u32, seconds: u64| {
            let mut value = device(n, &["a"]);
            value["expirationTime"] = json!(START.plus(Duration::from_secs(seconds)).to_string());
            put(value)
        };
        apply(bench.store(), hub, vec![until(1, 10), until(2, 10), until(3, 100), put(device(4, &["a"]))]);
        settle(bench);
        // Longer, shorter, and never became soon: all by touches alone.
        assert_eq!(apply(bench.store(), hub, vec![until(2, 50), until(3, 20), until(4, 20)]), [Applied::Touched; 3]);
        settle(bench);
        for (advance, expected) in [(0, 4), (10, 3), (10, 1), (30, 0)] {
            bench.clock().advance(Duration::from_secs(advance));
            let ids = |bench: &dyn Bench| {
                wait(bench.store().installations(hub, &audience("a"), Seq(0), 9)).unwrap().items.len() as u64
            };
            assert_eq!((count(bench.store(), hub, "a"), ids(bench)), (expected, expected), "after {advance} more");
            wait(bench.store().sweep()).unwrap();
            settle(bench);
            assert_eq!((count(bench.store(), hub, "a"), ids(bench)), (expected, expected), "swept, {advance} more");
            assert_eq!(seqs(bench.store(), hub).len() as u64, expected);
        }
        assert_eq!(apply(bench.store(), hub, vec![put(device(1, &["a"]))]), [Applied::Created]);
    });
}

#[test]
fn a_late_fold_does_not_bring_back_older_times() {
    for mut bench in benches() {
        let hub = hub(bench.store());
        let until = |seconds: u64, tags: &[&str]| {
            let mut value = device(1, tags);
            value["expirationTime"] = json!(START.plus(Duration::from_secs(seconds)).to_string());
            put(value)
        };
        for (seconds, tags) in [(100, ["a"]), (500, ["a"]), (50, ["b"]), (60, ["b"])] {
            apply(bench.store(), hub, vec![until(seconds, &tags)]);
        }
        wait(bench.store().fold()).unwrap();
        bench.crash();
        bench.clock().advance(Duration::from_secs(59));
        assert_eq!(count(bench.store(), hub, "b"), 1);
        bench.clock().advance(Duration::from_secs(1));
        assert_eq!(count(bench.store(), hub, "b"), 0);
    }
}

#[test]
fn pages_follow_one_another_in_the_order_of_the_seqs() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, (0..10).map(|n| put(device(n, if n % 2 == 0 { &["even"] } else { &[] }))).collect());
        settle(bench);
        let (mut from, mut ids) = (Some(Seq(0)), Vec::new());
        while let Some(at) = from {
            let page = wait(bench.store().installations(hub, &audience("even"), at, 2)).unwrap();
            ids.extend(page.items.iter().map(|item| item.installation.id.to_string()));
            from = page.next;
        }
        assert_eq!(ids, ["dev-0", "dev-2", "dev-4", "dev-6", "dev-8"]);
    });
}

#[test]
fn rows_are_read_dense_and_sparse_alike() {
    on_every_bench(|bench, settle| {
        let hub = hub(bench.store());
        apply(bench.store(), hub, (0..300).map(|n| put(device(n, &[]))).collect());
        apply(bench.store(), hub, vec![Change::Delete(InstallationId::parse("dev-200").unwrap())]);
        settle(bench);
        let read = |set: ChunkSet| {
            let rows = wait(bench.store().read_rows(hub, ChunkNo(0), &set, None)).unwrap();
            rows.iter().map(|(row, channel)| (row.seq.0, channel.to_vec())).collect::<Vec<_>>()
        };
        let row = |seq: u64| (seq, hex(&format!("{seq:064x}")));
        assert_eq!(read([0, 200, 299].into_iter().collect()), [row(0), row(299)]);
        assert_eq!(read(ChunkSet::from_range(198..=202)), [row(198), row(199), row(201), row(202)]);
        assert_eq!(read(ChunkSet::full()).len(), 299);
        for step in [2, 3, 4] {
            let wanted = (1..300_u16).step_by(step).filter(|seq| *seq != 200);
            assert_eq!(read((1..300_u16).step_by(step).collect()), wanted.map(u64::from).map(row).collect::<Vec<_>>());
        }
        assert_eq!(read(ChunkSet::new()), []);
    });
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn a_storm_folds_by_itself() {
    for mut bench in benches() {
        let hub = hub(bench.store());
        for n in 0..600 {
            apply(bench.store(), hub, vec![put(device(n, &["a"]))]);
        }
        bench.crash();
        assert_eq!((count(bench.store(), hub, "a"), count(bench.store(), hub, "!a")), (600, 0));
    }
}

// ── Any order of anything, against the plain map ────────────────────────────────────────────────────────────────────

#[derive(Clone, Debug)]
enum Step {
    Apply(Vec<Change>),
    Advance(u64),
    Fold,
    Sweep,
    Reopen,
    Crash,
}

fn tags() -> impl Strategy<Value = Vec<&'static str>> {
    prop::sample::subsequence(vec!["a", "b", "c", "d"], 0..=4)
}

fn any_document() -> impl Strategy<Value = Value> {
    let templates = prop::collection::btree_map(prop::sample::select(vec!["a", "t", "s p"]), tags(), 0..=2);
    let tiles =
        prop::collection::btree_map(prop::sample::select(vec!["x", "y"]), (0..3_u32, tags(), any::<bool>()), 0..=2);
    let platforms = prop::sample::select(vec!["apns", "gcm", "fcmv1", "wns", "wns"]);
    let expiry = prop_oneof![3 => Just(None), 2 => (0..40_u64).prop_map(Some)];
    (0..6_u32, platforms, 0..4_u32, tags(), 0..4_u32, expiry, templates, tiles).prop_map(
        |(id, platform, channel, tags, user, expiry, templates, tiles)| {
            // Few channels, so that installations take each other's.
            let address = |n| match platform {
                "apns" => format!("{n:064x}"),
                "wns" => format!("https://w.example/{n}"),
                _ => format!("token-{n}"),
            };
            // Few contents, so that they are shared and left; one of them reads a push variable.
            let body = |n: usize| match (platform, n % 3) {
                ("wns", n) => format!("<toast n=\"{n}\"/>"),
                (_, 2) => "{\"user\":\"$(Name)\"}".to_owned(),
                (_, n) => format!("{{\"n\":{n}}}"),
            };
            let templates: BTreeMap<_, _> = templates
                .into_iter()
                .map(|(name, tags)| (name, json!({"body": body(tags.len() + user as usize), "tags": tags})))
                .collect();
            let mut value = json!({"installationId": format!("dev-{id}"), "platform": platform,
                "pushChannel": address(channel), "tags": tags, "templates": templates,
                "pushVariables": {"name": format!("user {user}")}});
            if user > 0 {
                value["userId"] = json!(format!("user \"{user}"));
            }
            if let Some(seconds) = expiry {
                value["expirationTime"] = json!(START.plus(Duration::from_secs(seconds)).to_string());
            }
            if platform == "wns" {
                let tiles: BTreeMap<_, _> = tiles
                    .into_iter()
                    .map(|(name, (n, tags, templated))| {
                        let templates =
                            if templated { json!({"t": {"body": "<toast/>", "tags": ["d"]}}) } else { json!({}) };
                        (name, json!({"pushChannel": address(n), "tags": tags, "templates": templates}))
                    })
                    .collect();
                value["secondaryTiles"] = json!(tiles);
            }
            value
        },
    )
}

fn any_change() -> impl Strategy<Value = Change> {
    prop_oneof![
        5 => any_document().prop_map(put),
        1 => (0..6_u32).prop_map(|id| Change::Delete(InstallationId::parse(&format!("dev-{id}")).unwrap())),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => prop::collection::vec(any_change(), 1..5).prop_map(Step::Apply),
        2 => (1..15_u64).prop_map(Step::Advance),
        2 => Just(Step::Fold),
        2 => Just(Step::Sweep),
        1 => Just(Step::Reopen),
        1 => Just(Step::Crash),
    ]
}

fn any_audience() -> impl Strategy<Value = String> {
    let terms = vec!["a", "b", "c", "d", "t", "$UserId:{user \"1}", "$UserId:{user \"2}", "$InstallationId:{dev-3}"];
    let term = prop::sample::select(terms).prop_map(str::to_owned);
    let expression = term.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|inner| format!("!({inner})")),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|members| format!("({})", members.join(" && "))),
            prop::collection::vec(inner, 2..4).prop_map(|members| format!("({})", members.join(" || "))),
        ]
    });
    prop_oneof![1 => Just(String::new()), 9 => expression]
}

fn check(bench: &dyn Bench, hub: HubId, registry: &Registry, audiences: &[String]) -> Result<(), TestCaseError> {
    let (store, now) = (bench.store(), bench.clock().now());
    for text in audiences {
        let audience = audience(text);
        for kind in [AudienceKind::Native, AudienceKind::Template] {
            let counted = wait(store.count(hub, &audience, kind)).unwrap();
            prop_assert_eq!(counted, registry.count(&audience, kind, now), "{:?} of {:?}", kind, text);
        }
        let (mut from, mut found) = (Some(Seq(0)), Vec::new());
        while let Some(at) = from {
            let page = wait(store.installations(hub, &audience, at, 2)).unwrap();
            found.extend(page.items);
            from = page.next;
        }
        let mut ids: Vec<_> = found.iter().map(|item| item.installation.id.clone()).collect();
        ids.sort();
        prop_assert_eq!(
            ids,
            registry.ids(&audience, now).into_iter().collect::<Vec<_>>(),
            "installations of {:?}",
            text
        );
    }
    for id in (0..6).map(|id| InstallationId::parse(&format!("dev-{id}")).unwrap()) {
        let stored = wait(store.installation(hub, &id)).unwrap();
        let stored = stored.map(|it| (it.installation, it.confirmed, it.updated));
        let known = registry.get(&id, now).cloned();
        prop_assert_eq!(stored, known.map(|it| (it.installation, it.confirmed, it.updated)));
    }
    let rows = wait(store.read_rows(hub, ChunkNo(0), &ChunkSet::full(), None)).unwrap();
    prop_assert!(rows.iter().is_sorted_by(|(a, _), (b, _)| a.seq < b.seq));
    let live = rows.iter().filter(|(row, _)| row.expires.is_none_or(|expires: Timestamp| expires > now));
    let ids: Vec<_> = rows.iter().filter_map(|(row, _)| row.template).collect();
    let contents: BTreeMap<_, _> = wait(store.templates(hub, &ids)).unwrap().into_iter().collect();
    let sends = |row: &TargetRow| {
        let body = row.template.map(|id| contents.get(&id).map(|content| content.body.clone()).unwrap());
        (body, String::from_utf8(rows.variables(row).to_vec()).unwrap())
    };
    let mut live: Vec<_> = live.map(|(row, channel)| (row.class, row.platform, channel.to_vec(), sends(row))).collect();
    live.sort();
    prop_assert_eq!(live, registry.rows(now));
    Ok(())
}

fn run(bench: &mut dyn Bench, steps: Vec<Step>, audiences: &[String]) -> Result<(), TestCaseError> {
    let hub = hub(bench.store());
    let mut registry = Registry::default();
    for step in steps {
        match step {
            Step::Apply(changes) => {
                let now = bench.clock().now();
                let expected: Vec<_> = changes.iter().map(|change| registry.apply(change, now)).collect();
                prop_assert_eq!(apply(bench.store(), hub, changes), expected);
            }
            Step::Advance(seconds) => bench.clock().advance(Duration::from_secs(seconds)),
            Step::Fold => assert!(!wait(bench.store().fold()).unwrap()),
            Step::Sweep => assert!(!wait(bench.store().sweep()).unwrap()),
            Step::Reopen => bench.reopen(),
            Step::Crash => bench.crash(),
        }
        check(bench, hub, &registry, audiences)?;
    }
    Ok(())
}

#[test]
fn the_registry_is_a_plain_map() {
    let _server = server();
    let config = ProptestConfig { cases: 48, max_shrink_iters: 2_000, ..ProptestConfig::with_source_file(file!()) };
    let cases = (prop::collection::vec(any_step(), 1..25), prop::collection::vec(any_audience(), 4));
    let outcome = proptest::test_runner::TestRunner::new(config).run(&cases, |(steps, audiences)| {
        for mut bench in benches() {
            run(&mut *bench, steps.clone(), &audiences)?;
        }
        Ok(())
    });
    outcome.unwrap_or_else(|failed| panic!("{failed}"));
}
