//! Pulls of every client's kind (spec 3.1) beside writers: no row is lost, however pages and changes meet (spec 11.4; its
//! experiment D is in `overlaps.rs`).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

use fanfare::tables::odata::Cursor;
use fanfare::tables::query::{adapt_pull, place_after};
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::*;

/// Whose algorithm a device follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Engine {
    /// JavaScript, Android, iOS: asks again from the last stamp, and skips where that did not move.
    Js,
    /// .NET of the older kind: follows links, then as above.
    Net,
    /// Datasync: follows links; its token is the last row's stamp.
    Datasync,
    /// Community Toolkit: the same; its token is the largest stamp.
    Toolkit,
}

const ENGINES: [Engine; 4] = [Engine::Js, Engine::Net, Engine::Datasync, Engine::Toolkit];

/// A device with its copy of a table.
struct Device<'a> {
    engine: Engine,
    tables: &'a dyn TableStore,
    table: Arc<Definition>,
    page: u32,
    token: Timestamp,
    /// The latest stamp of this pull.
    latest: Timestamp,
    skip: u64,
    /// Where a link leads.
    link: Option<(ListOptions, Cursor)>,
    copy: BTreeMap<String, Row>,
}

impl<'a> Device<'a> {
    fn new(engine: Engine, tables: &'a dyn TableStore, table: &Arc<Definition>, page: u32) -> Self {
        let token = Timestamp::from_millis(0);
        let (table, copy) = (table.clone(), BTreeMap::new());
        Self { engine, tables, table, page, token, latest: token, skip: 0, link: None, copy }
    }

    /// One request; answers whether the pull goes on.
    fn step(&mut self) -> bool {
        let followed = self.link.is_some();
        let (mut options, after, mut skip) = match self.link.take() {
            Some((options, cursor)) => (options, Some(cursor), 0),
            None => {
                let operator = if matches!(self.engine, Engine::Js | Engine::Net) { "ge" } else { "gt" };
                let filter = format!("(updatedAt {operator} datetimeoffset'{}')", self.token);
                let pairs = [("$filter", filter.as_str()), ("$orderby", "updatedAt"), ("__includeDeleted", "true")];
                (ListOptions::read(pairs).unwrap(), None, self.skip)
            }
        };
        options.after = after;
        let asked = options.clone();
        adapt_pull(&mut options, &mut skip);
        let query = Query {
            filter: options.filter.clone(),
            order: options.order.clone(),
            skip,
            limit: self.page,
            after: options.after.as_ref().map(|cursor| cursor.place.clone()),
            ..everything()
        };
        let page = wait(self.tables.list_rows(&self.table, query)).unwrap();
        assert!(page.rows.is_sorted_by(|a, b| a.updated < b.updated), "each stamp once");
        for row in &page.rows {
            self.copy.insert(row.id.to_string(), row.clone());
        }
        let follows = self.engine != Engine::Js;
        if follows && page.more {
            let place = place_after(&asked, &page).unwrap();
            self.link = Some((asked, Cursor { place, count: None }));
        }
        let last = page.rows.last().map(|row| row.updated);
        self.latest = last.unwrap_or(self.latest).max(self.latest);
        if self.link.is_some() {
            return true;
        }
        if follows && self.engine != Engine::Net {
            self.token = self.latest;
            return false;
        }
        // Asked again from the latest stamp, until a page is empty that no link led to.
        let goes_on = last.is_some() || followed;
        let stays = self.latest == self.token;
        self.skip = if stays && goes_on && !followed { self.skip + page.rows.len() as u64 } else { 0 };
        self.token = self.latest;
        goes_on
    }

    fn pull(&mut self) {
        let mut steps = 0;
        while self.step() {
            steps += 1;
            assert!(steps < 10_000, "a pull ends");
        }
    }

    fn is_whole(&self) {
        let page = wait(self.tables.list_rows(&self.table, everything())).unwrap();
        let stands: BTreeMap<_, _> = page.rows.into_iter().map(|row| (row.id.to_string(), row)).collect();
        // A copy has the columns of its time.
        let shown = |rows: &BTreeMap<String, Row>| -> Vec<_> {
            rows.values().map(|row| (row.id.clone(), row.updated, row.deleted)).collect()
        };
        assert_eq!(shown(&self.copy), shown(&stands), "{:?}", self.engine);
    }
}

/// Eight rows `1` … `8`, and what is done after so many requests of a pull in pages of three.
fn experiment(name: &str, after: usize, done: impl Fn(&dyn TableStore, &Arc<Definition>), pulls: usize) {
    for bench in benches() {
        for engine in ENGINES {
            let tables = bench.store().tables();
            let table = Arc::new(soft(&format!("{name}_{engine:?}")));
            let seed = (1..=8).map(|n| item(json!({"id": n.to_string(), "text": "x"}))).collect();
            wait(tables.open_table(&table, seed)).unwrap();
            let mut device = Device::new(engine, tables, &table, 3);
            let mut goes_on = true;
            for _ in 0..after {
                goes_on = goes_on && device.step();
            }
            done(tables, &table);
            if goes_on {
                device.pull();
            }
            for _ in 1..pulls {
                device.pull();
            }
            device.is_whole();
        }
    }
}

fn change(tables: &dyn TableStore, table: &Arc<Definition>, id: &str, change: Change) {
    wait(tables.write_row(table, write(id, change))).unwrap();
}

fn touch() -> Change {
    Change::Merge(item(json!({"text": "y"})))
}

#[test]
fn point_03_a_b_rows_that_come_together_all_arrive() {
    experiment("ab", 0, |_, _| {}, 1);
}

#[test]
fn point_03_c_a_change_and_a_delete_during_a_pull_arrive() {
    for after in 0..5 {
        let edit = |tables: &dyn TableStore, table: &Arc<Definition>| {
            change(tables, table, "2", touch());
            change(tables, table, "5", Change::Delete);
        };
        experiment(&format!("c{after}"), after, edit, 2);
    }
}

#[test]
fn point_03_e_a_row_that_moves_behind_the_page_skips_nobody() {
    for after in 0..5 {
        let edit = |tables: &dyn TableStore, table: &Arc<Definition>| change(tables, table, "1", touch());
        experiment(&format!("e{after}"), after, edit, 2);
    }
}

#[test]
fn point_03_f_a_new_row_between_the_last_page_and_the_skip_is_not_skipped() {
    // A device that has everything; then between its two requests the last row moves and another one comes.
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, soft("f"));
        for id in ["a", "b"] {
            wait(tables.write_row(&table, insert(id, json!({"text": "x"})))).unwrap();
        }
        let mut device = Device::new(Engine::Js, tables, &table, 3);
        device.pull();
        assert!(device.step() && device.skip == 1);
        wait(tables.write_row(&table, insert("new", json!({"text": "x"})))).unwrap();
        change(tables, &table, "b", touch());
        device.pull();
        device.is_whole();
    }
}

#[test]
fn point_05_stamps_are_in_the_order_of_the_commits() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, soft("d"));
        let done = AtomicBool::new(false);
        let seen = std::thread::scope(|scope| {
            let writers: Vec<_> = (0..4)
                .map(|writer| {
                    let table = &table;
                    scope.spawn(move || {
                        for n in 0..40 {
                            let row = insert(&format!("{writer}-{n}"), json!({"text": "x"}));
                            wait(tables.write_row(table, row)).unwrap();
                        }
                    })
                })
                .collect();
            let reader = scope.spawn(|| {
                let (mut token, mut seen) = (Timestamp::from_millis(0), Vec::new());
                loop {
                    let last = done.load(Ordering::SeqCst);
                    let query = asked(&format!("updatedAt gt datetimeoffset'{token}'"), "updatedAt");
                    let page = wait(tables.list_rows(&table, query)).unwrap();
                    // Nobody is shown a stamp that the clock has not reached.
                    assert!(page.rows.iter().all(|row| row.updated <= page.clock));
                    token = page.rows.last().map_or(token, |row| row.updated);
                    seen.extend(ids(&page));
                    if last {
                        return seen;
                    }
                }
            });
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Ordering::SeqCst);
            reader.join().unwrap()
        });
        assert_eq!(seen.len(), 160, "a row that came into sight behind the token was lost");
    }
}

/// What happens next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// A row is changed in one of some ways.
    Change { row: u8, way: u8 },
    /// A device makes one request of its pull, or begins another one.
    Request(usize),
}

impl Next {
    fn happen(self, tables: &dyn TableStore, table: &Arc<Definition>, devices: &mut [Device<'_>]) {
        match self {
            Self::Change { row, way } => {
                let made = match way {
                    0 | 1 => Change::Insert(item(json!({"text": "x"}))),
                    2 => Change::Delete,
                    3 => Change::Undelete,
                    4 => Change::Replace(item(json!({"complete": true}))),
                    _ => touch(),
                };
                let made = wait(tables.write_row(table, write(&row.to_string(), made)));
                assert!(matches!(made, Ok(_) | Err(TableError::Refused(_))), "{made:?}");
            }
            Self::Request(device) => drop(devices[device].step()),
        }
    }
}

#[test]
fn point_04_no_order_of_changes_and_requests_loses_a_row() {
    let change = (0..8_u8, 0..6_u8).prop_map(|(row, way)| Next::Change { row, way });
    let request = (0..ENGINES.len()).prop_map(Next::Request);
    let story = proptest::collection::vec(proptest::prop_oneof![3 => change, 2 => request], 1..80);
    for (bench, cases) in benches().into_iter().zip([150, 30, 30]) {
        let config = Config { cases, failure_persistence: None, ..Config::default() };
        let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &[4; 32]));
        let told = std::cell::Cell::new(0);
        let played = runner.run(&story, |story| {
            told.set(told.get() + 1);
            let tables = bench.store().tables();
            let table = open(tables, soft(&format!("story_{}", told.get())));
            let mut devices = ENGINES.map(|engine| Device::new(engine, tables, &table, 3));
            for next in story {
                next.happen(tables, &table, &mut devices);
            }
            // The pull that was under way, and one more.
            for device in &mut devices {
                device.pull();
                device.pull();
                device.is_whole();
            }
            Ok(())
        });
        assert!(played.is_ok(), "{played:?}");
    }
}

#[test]
fn point_04_every_client_s_copy_is_whole_beside_writers() {
    for bench in benches() {
        let tables = bench.store().tables();
        let table = open(tables, soft("g"));
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let writers: Vec<_> = (0..3_u64)
                .map(|writer| {
                    let table = &table;
                    scope.spawn(move || {
                        let mut random = fastrand::Rng::with_seed(writer);
                        for _ in 0..60 {
                            let id = random.u32(0..25).to_string();
                            let made = match random.u32(0..6) {
                                0 | 1 => Change::Insert(item(json!({"text": "x"}))),
                                2 => Change::Delete,
                                3 => Change::Undelete,
                                _ => Change::Merge(item(json!({"text": "y", format!("c{}", random.u32(0..4)): 1}))),
                            };
                            match wait(tables.write_row(table, write(&id, made))) {
                                Ok(_) | Err(TableError::Refused(_)) => {}
                                Err(error) => panic!("{error}"),
                            }
                        }
                    })
                })
                .collect();
            for engine in ENGINES {
                let (table, done) = (&table, &done);
                scope.spawn(move || {
                    let mut device = Device::new(engine, tables, table, 4);
                    while !done.load(Ordering::SeqCst) {
                        device.pull();
                    }
                    device.pull();
                    device.pull();
                    device.is_whole();
                });
            }
            for writer in writers {
                writer.join().unwrap();
            }
            done.store(true, Ordering::SeqCst);
        });
    }
}
