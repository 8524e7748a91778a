//! Two writers whose transactions overlap (spec 3.3 R1, acceptance 5): the other one is a connection of the test's own, so
//! that the order in which things happen is the test's.

use fanfare::store::sqlite::Mode;
use rusqlite::Connection;
use tokio_postgres::NoTls;

use super::*;
use crate::SqliteBench;
use crate::postgres::PostgresBench;

/// What the other writer does before it commits: a row with a stamp of the table's clock, which it moves on.
fn writes(ahead: Timestamp) -> String {
    let at = ahead.millis();
    format!(
        "INSERT INTO app_overlap (id, created, updated, deleted) VALUES ('other', {at}, {at}, false); \
         UPDATE data_table SET clock = {at} WHERE key = 'overlap'"
    )
}

fn begun(bench: &dyn Bench) -> (Arc<Definition>, Timestamp) {
    let tables = bench.store().tables();
    let table = open(tables, soft("overlap"));
    let first = wait(tables.write_row(&table, insert("a", json!({"text": "x"})))).unwrap();
    // Later than the clock that the engine goes by.
    (table, first.row.updated.plus(Duration::from_secs(5)))
}

/// What a pull from the first row on sees.
fn seen(bench: &dyn Bench, table: &Arc<Definition>) -> Vec<String> {
    let page = wait(bench.store().tables().list_rows(table, asked("updatedAt ge 2020-01-01", "updatedAt"))).unwrap();
    assert!(page.rows.iter().all(|row| row.updated <= page.clock), "nobody is shown a stamp beyond the clock");
    ids(&page)
}

#[test]
fn point_05_in_postgresql_the_later_commit_has_the_later_stamp() {
    let bench = PostgresBench::new();
    let ((table, ahead), tables) = (begun(&bench), bench.store().tables());
    let connect = || {
        let (client, driver) = wait(tokio_postgres::connect(bench.url(), NoTls)).unwrap();
        wait(async { drop(tokio::spawn(driver)) });
        client
    };
    let (other, watcher) = (connect(), connect());
    let holds = "BEGIN; SELECT clock FROM data_table WHERE key = 'overlap' FOR UPDATE";
    wait(other.batch_execute(holds)).unwrap();
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| wait(tables.write_row(&table, insert("late", json!({})))).unwrap());
        let waits = "SELECT count(*) FROM pg_stat_activity \
                     WHERE datname = current_database() AND wait_event_type = 'Lock'";
        while wait(watcher.query_one(waits, &[])).unwrap().get::<_, i64>(0) == 0 {
            assert!(!late.is_finished(), "it did not wait for the writer before it");
        }
        wait(other.batch_execute(&writes(ahead))).unwrap();
        assert_eq!(seen(&bench, &table), ["a"], "neither is committed");
        wait(other.batch_execute("COMMIT")).unwrap();
        late.join().unwrap()
    });
    assert_eq!(late.row.updated.millis(), ahead.millis() + 1);
    assert_eq!(seen(&bench, &table), ["a", "other", "late"]);
}

#[test]
fn point_05_in_sqlite_the_later_commit_has_the_later_stamp() {
    let bench = SqliteBench::new(Mode::Threads { readers: 2 });
    let ((table, ahead), tables) = (begun(&bench), bench.store().tables());
    let other = Connection::open(bench.file()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let late = std::thread::scope(|scope| {
        let late = scope.spawn(|| wait(tables.write_row(&table, insert("late", json!({})))).unwrap());
        other.execute_batch(&writes(ahead)).unwrap();
        assert_eq!(seen(&bench, &table), ["a"], "neither is committed");
        assert!(!late.is_finished(), "there is one writer at a time");
        other.execute_batch("COMMIT").unwrap();
        late.join().unwrap()
    });
    assert_eq!(late.row.updated.millis(), ahead.millis() + 1);
    assert_eq!(seen(&bench, &table), ["a", "other", "late"]);
}
