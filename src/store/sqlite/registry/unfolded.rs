//! What is committed and not folded yet: index deltas and touches, kept decoded beside the file.
//!
//! The writer puts a commit's row in after the commit, the folder takes it out after the row is deleted; at open all
//! rows are read. Readers only look: a row that their snapshot names and that is not here (it was committed or folded a
//! moment ago) they decode from the snapshot, so what a reader sees is always its snapshot's and never newer. So the
//! content is also the measure of how much waits to be folded.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use rusqlite::{Connection, params};

use super::super::{Result, StoreError};
use super::rows::unsigned;
use crate::model::id::{CommitNo, HubId};
use crate::store::index::{Delta, Touches};

/// One kind of row that waits to be folded.
pub(super) trait Unfolded: Sized {
    /// Numbers of a hub's rows, oldest first.
    const NUMBERS: &'static str;
    /// The bytes of (hub, number).
    const BYTES: &'static str;
    /// (hub, number, bytes) of all rows.
    const ALL: &'static str;
    /// Deletes (hub, number).
    const DELETE: &'static str;

    fn read(bytes: Vec<u8>) -> Result<Self>;
    /// Bytes it takes.
    fn size(&self) -> usize;
}

impl Unfolded for Delta {
    const NUMBERS: &'static str = "SELECT number FROM index_delta WHERE hub = ?1 ORDER BY number";
    const BYTES: &'static str = "SELECT changes FROM index_delta WHERE hub = ?1 AND number = ?2";
    const ALL: &'static str = "SELECT hub, number, changes FROM index_delta";
    const DELETE: &'static str = "DELETE FROM index_delta WHERE hub = ?1 AND number = ?2";

    fn read(bytes: Vec<u8>) -> Result<Self> {
        Self::decode(bytes)
    }

    fn size(&self) -> usize {
        self.len()
    }
}

impl Unfolded for Touches {
    const NUMBERS: &'static str = "SELECT number FROM touch WHERE hub = ?1 ORDER BY number";
    const BYTES: &'static str = "SELECT touches FROM touch WHERE hub = ?1 AND number = ?2";
    const ALL: &'static str = "SELECT hub, number, touches FROM touch";
    const DELETE: &'static str = "DELETE FROM touch WHERE hub = ?1 AND number = ?2";

    fn read(bytes: Vec<u8>) -> Result<Self> {
        Self::decode(&bytes)
    }

    fn size(&self) -> usize {
        self.len()
    }
}

/// The rows of every hub.
pub(super) struct Waiting<T>(Mutex<HashMap<HubId, HubRows<T>>>);

struct HubRows<T> {
    rows: HashMap<CommitNo, Arc<T>>,
    bytes: usize,
}

impl<T> Default for Waiting<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T: Unfolded> Waiting<T> {
    /// Reads all rows, at open.
    pub(super) fn load(&self, connection: &Connection) -> Result<()> {
        let mut statement = connection.prepare(T::ALL)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            self.insert(HubId(row.get(0)?), CommitNo(unsigned(row, 1)?), T::read(row.get(2)?)?);
        }
        Ok(())
    }

    /// A row was committed.
    pub(super) fn insert(&self, hub: HubId, number: CommitNo, row: T) {
        let mut hubs = self.0.lock();
        let hub = hubs.entry(hub).or_insert_with(|| HubRows { rows: HashMap::new(), bytes: 0 });
        hub.bytes += row.size();
        hub.rows.insert(number, Arc::new(row));
    }

    /// Rows were folded and their deletion committed.
    pub(super) fn remove(&self, hub: HubId, numbers: &[CommitNo]) {
        let mut hubs = self.0.lock();
        let Some(waiting) = hubs.get_mut(&hub) else { return };
        for number in numbers {
            waiting.bytes -= waiting.rows.remove(number).map_or(0, |row| row.size());
        }
        if waiting.rows.is_empty() {
            hubs.remove(&hub);
        }
    }

    /// The hub was deleted.
    pub(super) fn forget(&self, hub: HubId) {
        self.0.lock().remove(&hub);
    }

    /// Rows and bytes that wait in a hub.
    pub(super) fn amount(&self, hub: HubId) -> (usize, usize) {
        self.0.lock().get(&hub).map_or((0, 0), |hub| (hub.rows.len(), hub.bytes))
    }

    /// Rows that wait in all hubs.
    pub(super) fn total(&self) -> usize {
        self.0.lock().values().map(|hub| hub.rows.len()).sum()
    }

    /// Hubs with anything waiting, ascending.
    pub(super) fn hubs(&self) -> Vec<HubId> {
        let mut hubs: Vec<_> = self.0.lock().keys().copied().collect();
        hubs.sort_unstable();
        hubs
    }

    /// A hub's rows as this connection's transaction sees them, oldest first.
    pub(super) fn rows(&self, connection: &Connection, hub: HubId) -> Result<Vec<(CommitNo, Arc<T>)>> {
        let numbers: Vec<u64> = connection
            .prepare_cached(T::NUMBERS)?
            .query_map([hub.0], |row| unsigned(row, 0))?
            .collect::<rusqlite::Result<_>>()?;
        if numbers.is_empty() {
            return Ok(Vec::new());
        }
        let known: Vec<Option<Arc<T>>> = {
            let hubs = self.0.lock();
            let waiting = hubs.get(&hub);
            numbers.iter().map(|&number| waiting.and_then(|w| w.rows.get(&CommitNo(number)).cloned())).collect()
        };
        let mut rows = Vec::with_capacity(numbers.len());
        for (number, known) in numbers.into_iter().zip(known) {
            let row = match known {
                Some(row) => row,
                None => Arc::new(T::read(read_bytes(connection, T::BYTES, hub, number)?)?),
            };
            rows.push((CommitNo(number), row));
        }
        Ok(rows)
    }
}

fn read_bytes(connection: &Connection, sql: &str, hub: HubId, number: u64) -> Result<Vec<u8>> {
    connection
        .prepare_cached(sql)?
        .query_row(params![hub.0, number.cast_signed()], |row| row.get(0))
        .map_err(StoreError::from)
}
