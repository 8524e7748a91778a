//! What the trait does not show: shared handles, drops, and folds that stop half-way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;
use serde_json::{Value, json};

use super::super::engine::Precedence;
use super::super::{Mode, SqliteStore};
use super::index::Snapshot;
use super::remove::drop_dead;
use super::*;
use crate::clock::{Clock, ManualClock};
use crate::model::audience::AudienceLimits;
use crate::model::installation::{Installation, InstallationLimits};
use crate::model::time::Timestamp;
use crate::store::Retention;
use crate::store::index::IndexView;
use crate::store::{Store, StoreError};

const START: Timestamp = Timestamp::from_millis(1_769_941_800_000);

struct Bench {
    store: SqliteStore,
    clock: Arc<ManualClock>,
    hub: HubId,
    _directory: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = ManualClock::starting_at(START);
        let file = directory.path().join("fanfare.db");
        let store = SqliteStore::open(&file, Mode::Inline, clock.clone(), Retention::default()).unwrap();
        let hub = wait(store.put_hub(&HubName::parse("demo").unwrap(), Vec::new())).unwrap().id;
        Self { store, clock, hub, _directory: directory }
    }

    fn put(&self, value: Value) -> Applied {
        let installation =
            Installation::parse(value.to_string().as_bytes(), None, &InstallationLimits::default()).unwrap();
        wait(self.store.apply(self.hub, vec![Change::Put(Box::new(installation))])).unwrap()[0]
    }

    fn delete(&self, id: &str) {
        wait(self.store.apply(self.hub, vec![Change::Delete(InstallationId::parse(id).unwrap())])).unwrap();
    }

    fn count(&self, text: &str, kind: AudienceKind) -> u64 {
        let audience = Audience::parse(text, &AudienceLimits::default()).unwrap();
        wait(self.store.count(self.hub, &audience, kind)).unwrap().values().sum()
    }

    fn write<T: Send + 'static>(&self, mut body: impl FnMut(&Connection, &Shared) -> Result<T> + Send + 'static) -> T {
        let registry = self.store.parts.registry.clone();
        wait(self.store.parts.engine.write(Precedence::Checkpoint, 1, move |tx| body(tx, &registry))).unwrap()
    }

    fn read<T: Send + 'static>(&self, body: impl FnOnce(&Snapshot<'_>) -> T + Send + 'static) -> T {
        let (registry, hub, now) = (self.store.parts.registry.clone(), self.hub, self.clock.now());
        let read = move |connection: &Connection| Ok(body(&Snapshot::open(&registry, connection, hub, now)?));
        wait(self.store.parts.engine.read(read)).unwrap()
    }

    fn shared(&self) -> Vec<u16> {
        self.read(|snapshot| snapshot.shared(ChunkNo(0)).unwrap().iter().collect())
    }

    fn drop_dead(&self, seq: u64, since: Timestamp) -> Removal {
        let (hub, now) = (self.hub, self.clock.now());
        self.write(move |tx, registry| drop_dead(tx, registry, hub, Seq(seq), since, now))
    }

    /// Why each target left.
    fn departures(&self) -> Vec<Option<u8>> {
        self.read(|snapshot| {
            let mut statement = snapshot.connection.prepare("SELECT gone_why FROM target ORDER BY key").unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(std::result::Result::unwrap).collect()
        })
    }
}

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

fn device(n: u32, channel: u32) -> Value {
    json!({"installationId": format!("dev-{n}"), "platform": "wns", "tags": ["a"],
           "pushChannel": format!("https://w.example/{channel}")})
}

fn with_templates(n: u32, channel: u32, names: &[&str]) -> Value {
    let mut value = device(n, channel);
    let templates = names.iter().map(|name| (name.to_string(), json!({"body": "<toast/>"})));
    value["templates"] = Value::Object(templates.collect());
    value
}

#[test]
fn targets_with_one_key_are_marked_as_long_as_there_are_two() {
    let bench = Bench::new();
    bench.put(with_templates(1, 7, &["s", "t"]));
    assert_eq!(bench.shared(), Vec::<u16>::new(), "templates of one device each get their message");
    bench.put(with_templates(2, 7, &["t"]));
    assert_eq!(bench.shared(), [0, 2, 3, 4], "natives, and the template of that name");
    bench.put(device(3, 7));
    assert_eq!(bench.shared(), [0, 2, 3, 4, 5]);
    bench.delete("dev-2");
    assert_eq!(bench.shared(), [0, 5]);
    wait(bench.store.fold()).unwrap();
    assert_eq!(bench.shared(), [0, 5]);
    bench.put(device(3, 8));
    assert_eq!(bench.shared(), Vec::<u16>::new());
    bench.put(device(3, 7));
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.drop_dead(0, bench.clock.now()), Removal::Dropped);
    assert_eq!(bench.shared(), Vec::<u16>::new(), "only dev-3 is left");
}

/// Any order of registrations on few channels: marked are exactly those with a twin.
#[test]
fn marks_are_exact() {
    let bench = Bench::new();
    let mut random = fastrand::Rng::with_seed(7);
    for round in 0..400 {
        let n = random.u32(0..8);
        match random.u32(0..10) {
            0 => bench.delete(&format!("dev-{n}")),
            1 => drop(bench.drop_dead(random.u64(0..400), START)),
            2 => drop(wait(bench.store.fold()).unwrap()),
            _ => {
                let names: Vec<_> = ["s", "t"].into_iter().filter(|_| random.bool()).collect();
                let mut value = with_templates(n, random.u32(0..3), &names);
                if random.bool() {
                    let channel = format!("https://w.example/{}", random.u32(0..3));
                    value["secondaryTiles"] = json!({"x": {"pushChannel": channel, "tags": ["tile"]}});
                }
                bench.put(value);
            }
        }
        bench.clock.advance(Duration::from_secs(1));
        let twins: BTreeSet<u16> = bench.read(|snapshot| {
            let twins = "SELECT a.key FROM target a JOIN target b ON a.channel = b.channel AND a.class = b.class \
                         AND a.name IS b.name AND a.platform = b.platform AND a.key <> b.key \
                         WHERE a.gone_why IS NULL AND b.gone_why IS NULL";
            let mut statement = snapshot.connection.prepare(twins).unwrap();
            let rows = statement.query_map([], |row| row.get(0)).unwrap();
            rows.map(|key| of_key(key.unwrap()).1.offset()).collect()
        });
        assert_eq!(bench.shared(), twins.into_iter().collect::<Vec<_>>(), "round {round}");
    }
}

#[test]
fn a_drop_takes_what_was_not_confirmed_since_and_the_next_put_revives_it() {
    let bench = Bench::new();
    let mut value = with_templates(1, 7, &["t"]);
    value["secondaryTiles"] = json!({"x": {"pushChannel": "https://w.example/8", "tags": ["tile"]}});
    bench.put(value.clone());
    bench.clock.advance(Duration::from_secs(10));
    bench.put(value.clone());
    assert_eq!(bench.drop_dead(0, START.plus(Duration::from_secs(9))), Removal::Fresher, "the touch counts");
    wait(bench.store.fold()).unwrap();
    assert_eq!(bench.drop_dead(0, START.plus(Duration::from_secs(9))), Removal::Fresher, "folded as well");
    assert_eq!(bench.drop_dead(1, START.plus(Duration::from_secs(10))), Removal::Dropped);
    assert_eq!(bench.drop_dead(0, START.plus(Duration::from_secs(10))), Removal::Gone);
    assert_eq!(bench.departures(), [Some(3), Some(3), None], "the tile has a channel of its own");
    assert_eq!((bench.count("a", AudienceKind::Native), bench.count("", AudienceKind::Template)), (0, 0));
    assert_eq!(bench.count("tile", AudienceKind::Native), 1);
    let id = InstallationId::parse("dev-1").unwrap();
    let stored = || wait(bench.store.installation(bench.hub, &id)).unwrap().unwrap();
    assert!(stored().channel_expired);
    assert_eq!(bench.put(value.clone()), Applied::Updated);
    assert!(!stored().channel_expired);
    assert_eq!((bench.count("a", AudienceKind::Native), bench.count("", AudienceKind::Template)), (1, 1));
    assert_eq!(bench.departures(), [Some(3), Some(3), Some(2), None, None, None], "all take new seqs");
    bench.clock.advance(Duration::from_secs(1));
    assert_eq!(bench.drop_dead(5, bench.clock.now()), Removal::Dropped);
    assert!(!stored().channel_expired, "only the tile's channel is dead");
    assert_eq!(bench.put(value), Applied::Updated);
    assert_eq!(bench.departures()[3..], [None, None, Some(3), None], "the tile alone takes a new seq");
}

#[test]
fn a_dropped_document_expires_all_the_same() {
    let bench = Bench::new();
    let mut value = device(1, 7);
    value["expirationTime"] = json!(START.plus(Duration::from_secs(60)).to_string());
    bench.put(value);
    assert_eq!(bench.drop_dead(0, START), Removal::Dropped);
    bench.clock.advance(Duration::from_secs(60));
    wait(bench.store.sweep()).unwrap();
    let left: i64 = bench.read(|snapshot| {
        snapshot.connection.query_row("SELECT count(*) FROM installation", [], |row| row.get(0)).unwrap()
    });
    assert_eq!(left, 0);
    assert_eq!(bench.departures(), Vec::new(), "nothing can name the seq");
}

#[test]
fn a_fold_that_stops_half_way_changes_nothing() {
    let bench = Bench::new();
    for n in 0..40 {
        let mut value = device(n, n);
        value["tags"] = json!(["a", format!("own:{n}")]);
        bench.put(value);
    }
    for n in 0..40 {
        if n % 3 == 0 {
            bench.delete(&format!("dev-{n}"));
        }
    }
    let counts =
        |bench: &Bench| ["", "a", "!a", "own:3", "own:4 || own:5"].map(|text| bench.count(text, AudienceKind::Native));
    let before = counts(&bench);
    assert_eq!(before, [26, 26, 0, 0, 2]);
    let hub = bench.hub;
    for stop_after in [1, 5, 20] {
        bench.write(move |tx, registry| {
            let deltas = registry.deltas.rows(tx, hub)?.into_iter().map(|(_, delta)| delta).collect();
            fold::fold_some(tx, hub, deltas, stop_after)
        });
        assert_eq!(counts(&bench), before);
        bench.put(device(99, 99));
        bench.delete("dev-99");
    }
    wait(bench.store.fold()).unwrap();
    assert_eq!(counts(&bench), before);
    let empty: i64 = bench.read(|snapshot| {
        let sql = "SELECT (SELECT count(*) FROM index_delta) + (SELECT count(*) FROM tag_chunk WHERE cardinality = 0)";
        snapshot.connection.query_row(sql, [], |row| row.get(0)).unwrap()
    });
    assert_eq!(empty, 0);
}

#[test]
fn those_who_leave_leave_no_set_behind() {
    let bench = Bench::new();
    for n in 0..5 {
        let mut value = with_templates(n, 7, &["t"]);
        value["secondaryTiles"] = json!({"x": {"pushChannel": "https://w.example/8", "tags": ["tile"]}});
        bench.put(value);
        wait(bench.store.fold()).unwrap();
    }
    for n in 0..5 {
        bench.delete(&format!("dev-{n}"));
    }
    wait(bench.store.fold()).unwrap();
    let sets: i64 =
        bench.read(|it| it.connection.query_row("SELECT count(*) FROM tag_chunk", [], |row| row.get(0)).unwrap());
    assert_eq!(sets, 0);
}

#[test]
fn the_sweep_gets_past_those_who_only_look_expired() {
    let bench = Bench::new();
    let until = |n: u32, seconds: u64| {
        let mut value = device(n, n);
        value["expirationTime"] = json!(START.plus(Duration::from_secs(seconds)).to_string());
        bench.put(value);
    };
    for n in 0..400 {
        until(n, 10);
    }
    for n in 0..390 {
        until(n, 100);
    }
    bench.clock.advance(Duration::from_secs(50));
    let mut slices = 1;
    while wait(bench.store.sweep()).unwrap() {
        slices += 1;
    }
    assert!(slices < 8, "{slices}");
    assert_eq!(bench.departures().len(), 390);
    assert_eq!(bench.count("", AudienceKind::Native), 390);
}

#[test]
fn a_failed_task_leaves_nothing_behind_in_memory() {
    let bench = Bench::new();
    bench.put(device(1, 1));
    let (registry, hub) = (bench.store.parts.registry.clone(), bench.hub);
    let failing = move |tx: &Connection| -> Result<()> {
        drop_dead(tx, &registry, hub, Seq(0), START, START)?;
        Err(StoreError::Engine("on purpose".to_owned()))
    };
    assert!(wait(bench.store.parts.engine.write(Precedence::Checkpoint, 1, failing)).is_err());
    bench.put(device(2, 2));
    assert_eq!(bench.count("a", AudienceKind::Native), 2);
    wait(bench.store.fold()).unwrap();
    assert_eq!(bench.count("a", AudienceKind::Native), 2);
}

#[test]
fn a_snapshot_in_the_writer_sees_what_its_transaction_changed() {
    let bench = Bench::new();
    bench.put(device(1, 1));
    let (hub, now) = (bench.hub, START);
    let counted = bench.write(move |tx, registry| {
        let before = Snapshot::open(registry, tx, hub, now)?.commit_no();
        drop_dead(tx, registry, hub, Seq(0), now, now)?;
        let snapshot = Snapshot::open(registry, tx, hub, now)?;
        assert_eq!(snapshot.commit_no().0, before.0 + 1);
        rules::count(&snapshot, &Audience::Everyone, AudienceKind::Native)
    });
    assert!(counted.is_empty());
    assert_eq!(bench.count("", AudienceKind::Native), 0);
}

fn pages(bench: &Bench) -> Vec<(u64, Option<crate::model::template::TemplateId>, Vec<u8>)> {
    let rows = wait(bench.store.read_rows(bench.hub, ChunkNo(0), &ChunkSet::full(), None)).unwrap();
    rows.iter().map(|(row, _)| (row.seq.0, row.template, rows.variables(row).to_vec())).collect()
}

#[test]
fn rows_that_were_written_before_templates_were_stored_are_told_theirs() {
    let bench = Bench::new();
    let mut value = with_templates(1, 7, &["s"]);
    value["templates"]["s"] = json!({"body": "<toast a=\"$(name)\"/>"});
    value["pushVariables"] = json!({"name": "Anna"});
    value["secondaryTiles"] =
        json!({"x": {"pushChannel": "https://w.example/8", "templates": {"t": {"body": "<tile/>"}}}});
    bench.put(value.clone());
    let told = pages(&bench);
    assert_eq!(told.iter().filter(|(_, id, _)| id.is_some()).count(), 2);
    bench.write(|tx, _| {
        tx.execute_batch("UPDATE target SET template = NULL, variables = NULL; DELETE FROM template")?;
        Ok(())
    });
    assert!(pages(&bench).iter().all(|(_, id, variables)| id.is_none() && variables.is_empty()));
    // The document is the same: nothing is written for it.
    assert_eq!(bench.put(value), Applied::Touched);
    wait(bench.store.relink_templates(bench.hub, ChunkNo(0), &ChunkSet::from_range(0..=9))).unwrap();
    assert_eq!(pages(&bench), told);
    let ids: Vec<_> = told.iter().filter_map(|(_, id, _)| *id).collect();
    assert_eq!(wait(bench.store.templates(bench.hub, &ids)).unwrap().len(), 2);
}

#[test]
fn two_contents_never_share_a_number() {
    let bench = Bench::new();
    bench.put(with_templates(1, 7, &["t"]));
    bench.write(|tx, _| {
        tx.execute_batch("UPDATE template SET content = x'7b7d'")?;
        Ok(())
    });
    let mut value = with_templates(2, 8, &["t"]);
    value["tags"] = json!(["b"]);
    let installation = Installation::parse(value.to_string().as_bytes(), None, &InstallationLimits::default()).unwrap();
    let refused = wait(bench.store.apply(bench.hub, vec![Change::Put(Box::new(installation))]));
    assert!(matches!(refused, Err(StoreError::Full(_))), "{refused:?}");
    assert_eq!(bench.count("b", AudienceKind::Native), 0);
}

#[test]
fn templates_of_a_hub_go_with_it() {
    let bench = Bench::new();
    bench.put(with_templates(1, 7, &["t"]));
    wait(bench.store.delete_hub(&HubName::parse("demo").unwrap())).unwrap();
    let left: i64 =
        bench.read(|it| it.connection.query_row("SELECT count(*) FROM template", [], |row| row.get(0)).unwrap());
    assert_eq!(left, 0);
}
