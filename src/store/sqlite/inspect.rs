//! A look at a store's file that changes nothing and disturbs nobody: for `doctor`, also beside a running service.

use std::fs::File;
use std::path::Path;

use rusqlite::{Connection, OpenFlags};
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{Result, SCHEMA_VERSION, StoreError, lock_path, registry};
use crate::store::HubRecord;

/// What a look found.
#[derive(Debug)]
pub struct Inspection {
    /// Whether a process has the file.
    pub in_use: bool,
    pub schema_version: i64,
    /// The version that this build brings a file to.
    pub known_version: i64,
    /// Every hub, by name; none before the schema is there.
    pub hubs: Vec<HubRecord>,
}

/// Looks into the file, read-only.
pub fn inspect(path: &Path) -> Result<Inspection> {
    let in_use = is_locked(path)?;
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    let schema_version = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let hubs = if schema_version == SCHEMA_VERSION { registry::hubs_of(&connection)? } else { Vec::new() };
    Ok(Inspection { in_use, schema_version, known_version: SCHEMA_VERSION, hubs })
}

/// Asks for a shared lock and lets it go at once. A service that starts in this very moment would be refused; one that
/// runs notices nothing.
fn is_locked(path: &Path) -> Result<bool> {
    let failed = |error: std::io::Error| StoreError::Unavailable(format!("the lock beside the file: {error}"));
    let file = match File::open(lock_path(path)) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    match flock(&file, FlockOperation::NonBlockingLockShared) {
        Ok(()) => Ok(false),
        Err(Errno::WOULDBLOCK) => Ok(true),
        Err(error) => Err(failed(error.into())),
    }
}
