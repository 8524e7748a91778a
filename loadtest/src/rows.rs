//! Rows of an app's table, written past the service: a table is large in seconds.
use std::path::Path;

use anyhow::Context;

use crate::servers::postgres::Postgres;

/// The table's section of the configuration; its name is `rows`.
pub const TABLE: &str =
    "[mobile.tables.rows]\nsoft_delete = true\ncolumns = { text = \"string\", complete = \"boolean\" }\n";

/// Fills the table in the file of a service that does not run: each row is a millisecond after the one before, the first
/// after `start`, and every tenth is deleted.
///
/// # Errors
/// When the table was not made, or the file cannot be written.
pub fn fill_sqlite(file: &Path, count: u32, start: i64) -> anyhow::Result<()> {
    let file = rusqlite::Connection::open(file).context("cannot open the database")?;
    let fill = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO app_rows (id, created, updated, deleted, c_text, c_complete) SELECT \
         lower(hex(randomblob(16))), {start} + i, {start} + i, i % 10 = 0, 'row ' || i, i % 2 FROM n"
    );
    file.execute(&fill, []).context("cannot fill the table")?;
    file.execute("UPDATE data_table SET clock = ?1 WHERE key = 'rows'", [start + i64::from(count)])?;
    Ok(())
}

/// The same in a database of a server.
///
/// # Errors
/// When the table was not made, or the server says no.
pub fn fill_postgres(server: &Postgres, database: &str, count: u32, start: i64) -> anyhow::Result<()> {
    let fill = format!(
        "INSERT INTO app_rows (id, created, updated, deleted, c_text, c_complete) SELECT md5(i::text), \
         {start} + i, {start} + i, i % 10 = 0, 'row ' || i, i % 2 = 1 FROM generate_series(1, {count}) i"
    );
    server.psql(database, &fill).context("cannot fill the table")?;
    server.psql(database, &format!("UPDATE data_table SET clock = {start} + {count} WHERE key = 'rows'"))?;
    server.psql(database, "VACUUM ANALYZE app_rows")?;
    Ok(())
}
