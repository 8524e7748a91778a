//! Bare inserts: the rows that registrations left in the service's own database, put into another one and nothing else.
use std::{path::Path, time::Duration};

use anyhow::Context;
use rusqlite::{Connection, OpenFlags, params_from_iter, types::Value};
use tokio::time::Instant;

/// Its tables; each row of the first has one of the second.
const TABLES: [&str; 2] = ["installation", "target"];

/// The service's database, only read, and the one beside it.
#[derive(Debug)]
pub(super) struct Yardstick {
    service: Connection,
    bare: Connection,
    /// The next row to copy, by table.
    next: [i64; 2],
    inserts: [String; 2],
}

impl Yardstick {
    /// The bare database gets the tables and look-up indexes as they stand in the service's, and its settings.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub(super) fn beside(service: &Path, bare: &Path) -> anyhow::Result<Self> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let service = Connection::open_with_flags(service, flags).context("cannot read the service's database")?;
        service.busy_timeout(Duration::from_secs(5))?;
        let bare = Connection::open(bare).context("cannot make a database")?;
        let page_size: i64 = service.query_row("PRAGMA page_size", [], |row| row.get(0))?;
        // As the store sets its own writer up (`src/store/sqlite/engine/`); accepts and registrations are synced.
        bare.pragma_update(None, "page_size", page_size)?;
        bare.pragma_update(None, "journal_mode", "WAL")?;
        bare.pragma_update(None, "synchronous", "FULL")?;
        bare.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        bare.pragma_update(None, "journal_size_limit", 256 << 20)?;
        bare.pragma_update(None, "cache_size", -16_384)?;
        bare.pragma_update(None, "mmap_size", 0)?;
        bare.pragma_update(None, "temp_store", "MEMORY")?;
        let mut inserts = [String::new(), String::new()];
        for (table, insert) in TABLES.iter().zip(&mut inserts) {
            let mut schema = service.prepare(
                "SELECT sql FROM sqlite_master WHERE tbl_name = ?1 AND sql IS NOT NULL ORDER BY type = 'index'",
            )?;
            for sql in schema.query_map([table], |row| row.get::<_, String>(0))? {
                bare.execute_batch(&sql?)?;
            }
            let columns = bare.prepare(&format!("SELECT * FROM {table}"))?.column_count();
            *insert = format!("INSERT INTO {table} VALUES ({})", vec!["?"; columns].join(", "));
        }
        Ok(Self { service, bare, next: [i64::MIN; 2], inserts })
    }

    /// Inserts what came to the service's database since the last time, `transaction` installations at once, and returns
    /// how many they were and how long that took. Rows are read before the time is taken.
    ///
    /// # Errors
    /// When the rows cannot be read or written.
    pub(super) fn repeat(&mut self, transaction: f64) -> anyhow::Result<(u64, Duration)> {
        let (installations, targets) = (self.fresh(0)?, self.fresh(1)?);
        // Whole rows, so a mean of 300.4 alternates between 300 and 301.
        let mut end_of_transaction = transaction.max(1.0);
        let started = Instant::now();
        let [installation, target] = &self.inserts;
        let mut at = 0_u32;
        let mut rows = installations.iter().zip(&targets).peekable();
        while rows.peek().is_some() {
            self.bare.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
            for (one, other) in rows.by_ref() {
                self.bare.prepare_cached(installation)?.execute(params_from_iter(one))?;
                self.bare.prepare_cached(target)?.execute(params_from_iter(other))?;
                at += 1;
                if f64::from(at) >= end_of_transaction {
                    break;
                }
            }
            self.bare.prepare_cached("COMMIT")?.execute([])?;
            end_of_transaction += transaction.max(1.0);
        }
        Ok((u64::from(at), started.elapsed()))
    }

    /// Rows of a table that were not copied yet, in the order of their keys.
    fn fresh(&mut self, table: usize) -> anyhow::Result<Vec<Vec<Value>>> {
        let mut select =
            self.service.prepare(&format!("SELECT * FROM {} WHERE rowid >= ?1 ORDER BY rowid", TABLES[table]))?;
        let columns = select.column_count();
        let rows = select.query_map([self.next[table]], |row| (0..columns).map(|column| row.get(column)).collect())?;
        let rows: Vec<Vec<Value>> = rows.collect::<Result<_, _>>()?;
        // Both tables have their integer key in the first column.
        if let Some(Value::Integer(key)) = rows.last().and_then(|row| row.first()) {
            self.next[table] = key + 1;
        }
        Ok(rows)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_rows_arrive_once() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("service.db"), dir.path().join("bare.db"));
        let service = Connection::open(&from).unwrap();
        service
            .execute_batch(
                "PRAGMA journal_mode = WAL;
                 CREATE TABLE installation (no INTEGER PRIMARY KEY, id_hash INTEGER NOT NULL, document BLOB NOT NULL);
                 CREATE INDEX installation_id ON installation (id_hash);
                 CREATE TABLE target (key INTEGER PRIMARY KEY, name TEXT, channel BLOB);",
            )
            .unwrap();
        let mut yardstick = Yardstick::beside(&from, &to).unwrap();
        let register = |from: i64, to: i64| {
            for n in from..to {
                service.execute("INSERT INTO installation VALUES (?1, ?1 * 7, x'00ff')", [n]).unwrap();
                service.execute("INSERT INTO target VALUES (?1 + 100, NULL, x'aa')", [n]).unwrap();
            }
        };
        for (from, to) in [(0, 10), (10, 13)] {
            register(from, to);
            let (rows, took) = yardstick.repeat(2.5).unwrap();
            assert_eq!(rows, u64::try_from(to - from).unwrap());
            assert!(took > Duration::ZERO);
        }
        let sum: (i64, i64, i64) = yardstick
            .bare
            .query_row("SELECT count(*), sum(id_hash), (SELECT sum(key) FROM target) FROM installation", [], |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            })
            .unwrap();
        assert_eq!(sum, (13, 78 * 7, 78 + 1300));
        let index: String = yardstick
            .bare
            .query_row("SELECT name FROM sqlite_master WHERE type = 'index'", [], |row| row.get(0))
            .unwrap();
        assert_eq!(index, "installation_id");
    }
}
