//! Reads that others may make as long as they like.

use super::*;

struct Nobody;

impl Participant for Nobody {
    fn before_commit(&self, _: &Connection) -> Result<()> {
        Ok(())
    }

    fn ended(&self, _: bool) {}
}

fn engine(folder: &Path, readers: usize) -> Engine {
    Engine::open(&folder.join("engine.db"), Mode::Threads { readers }, Arc::new(Nobody), |_| Ok(())).unwrap()
}

/// How many numbers there are up to that one.
fn counted(connection: &Connection, last: i64) -> Result<i64> {
    let sql = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?1) SELECT count(*) FROM n";
    Ok(connection.query_row(sql, [last], |row| row.get(0))?)
}

#[tokio::test]
async fn a_read_that_has_no_end_is_ended_and_the_next_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), 1);
    let ended = engine.read_within(Duration::from_millis(20), |connection| counted(connection, i64::MAX)).await;
    assert!(matches!(&ended, Err(StoreError::Engine(words)) if words.contains("interrupted")), "{ended:?}");
    assert_eq!(engine.read(|connection| counted(connection, 100_000)).await.unwrap(), 100_000);
    let within = engine.read_within(Duration::from_secs(60), |connection| counted(connection, 5_000)).await;
    assert_eq!(within.unwrap(), 5_000);
}

#[tokio::test]
async fn long_reads_leave_a_reader_to_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let engine = engine(folder.path(), 3);
    let long = || engine.read_within(Duration::from_secs(1), |connection| counted(connection, i64::MAX));
    let long = async { tokio::join!(long(), long(), long(), long()) };
    tokio::select! {
        biased;
        ended = long => panic!("{ended:?}"),
        one = engine.read(|connection| counted(connection, 1)) => assert_eq!(one.unwrap(), 1),
    }
}
