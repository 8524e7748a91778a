//! Connections to the file, and what SQLite's errors mean to the store.

use std::path::Path;

use rusqlite::{Connection, OpenFlags};

use crate::store::sqlite::tables;
use crate::store::{Result, StoreError};

/// Page caches in SQLite's negative KiB. Small, so that memory does not follow the size of the file: what they miss the
/// system's own cache has, a copy away. The writer's holds the upper pages of the look-up indexes.
const WRITER_CACHE: i64 = -16_384;
const READER_CACHE: i64 = -4_096;

/// A connection with the pragmas that every one of ours has.
pub(super) fn connect(path: &Path, read_only: bool) -> Result<Connection> {
    let flags = if read_only {
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
    };
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(256);
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    if !read_only {
        connection.pragma_update(None, "journal_mode", "WAL")?;
        // A checkpoint of the log is not a sync of each commit: 64 MiB between them keeps random index pages together.
        connection.pragma_update(None, "wal_autocheckpoint", 16_384)?;
        connection.pragma_update(None, "journal_size_limit", 256 << 20)?;
    }
    connection.pragma_update(None, "cache_size", if read_only { READER_CACHE } else { WRITER_CACHE })?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    tables::add_functions(&connection)?;
    Ok(connection)
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode;
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full(error.to_string()),
            Some(
                ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::CannotOpen
                | ErrorCode::SystemIoFailure,
            ) => Self::Unavailable(error.to_string()),
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => Self::Corrupt(error.to_string()),
            _ => Self::Engine(error.to_string()),
        }
    }
}
