//! What is committed and not folded yet: index deltas and touches, kept decoded by each node.
//!
//! A commit's row never changes, so what was once decoded is right as long as the row is there; a reader asks for the
//! numbers that its snapshot shows and fetches only those that are not here. So what a reader sees is always its
//! snapshot's and never newer, whichever node wrote or folded meanwhile.

use std::collections::HashMap;
use std::sync::Arc;

use deadpool_postgres::GenericClient;
use parking_lot::Mutex;

use super::super::error::Done;
use super::super::pool::query;
use super::Shared;
use crate::model::id::{CommitNo, HubId};
use crate::store::Result;
use crate::store::index::{Delta, Touches};

/// One kind of row that waits to be folded.
pub(super) trait Unfolded: Sized {
    /// Numbers of a hub's rows, oldest first.
    const NUMBERS: &'static str;
    /// (number, bytes) of some of a hub's rows.
    const BYTES: &'static str;
    /// Deletes some of a hub's rows.
    const DELETE: &'static str;

    fn read(bytes: &[u8]) -> Result<Self>;
    /// Bytes it takes.
    fn size(&self) -> usize;
}

impl Unfolded for Delta {
    const NUMBERS: &'static str = "SELECT number FROM index_delta WHERE hub = $1 ORDER BY number";
    const BYTES: &'static str = "SELECT number, changes FROM index_delta WHERE hub = $1 AND number = ANY ($2)";
    const DELETE: &'static str = "DELETE FROM index_delta WHERE hub = $1 AND number = ANY ($2)";

    fn read(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes.to_vec())
    }

    fn size(&self) -> usize {
        self.len()
    }
}

impl Unfolded for Touches {
    const NUMBERS: &'static str = "SELECT number FROM touch WHERE hub = $1 ORDER BY number";
    const BYTES: &'static str = "SELECT number, touches FROM touch WHERE hub = $1 AND number = ANY ($2)";
    const DELETE: &'static str = "DELETE FROM touch WHERE hub = $1 AND number = ANY ($2)";

    fn read(bytes: &[u8]) -> Result<Self> {
        Self::decode(bytes)
    }

    fn size(&self) -> usize {
        self.len()
    }
}

/// The rows of every hub that this node has seen and that were not folded when it last looked.
pub(super) struct Known<T>(Mutex<HashMap<HubId, HashMap<CommitNo, Arc<T>>>>);

impl<T> Default for Known<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> std::fmt::Debug for Known<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Known").field("rows", &self.total()).finish()
    }
}

impl<T> Known<T> {
    /// A row was committed.
    pub(super) fn insert(&self, hub: HubId, number: CommitNo, row: Arc<T>) {
        self.0.lock().entry(hub).or_default().insert(number, row);
    }

    /// Rows were folded and their deletion committed.
    pub(super) fn remove(&self, hub: HubId, numbers: &[CommitNo]) {
        let mut hubs = self.0.lock();
        if let Some(rows) = hubs.get_mut(&hub) {
            numbers.iter().for_each(|number| drop(rows.remove(number)));
            if rows.is_empty() {
                hubs.remove(&hub);
            }
        }
    }

    /// Rows of all hubs.
    pub(super) fn total(&self) -> usize {
        self.0.lock().values().map(HashMap::len).sum()
    }

    /// Forgets what lies before all of these: somebody folded it.
    fn forget_before(&self, hub: HubId, first: Option<CommitNo>) {
        let mut hubs = self.0.lock();
        match first {
            Some(first) => hubs.get_mut(&hub).into_iter().for_each(|rows| rows.retain(|number, _| *number >= first)),
            None => drop(hubs.remove(&hub)),
        }
    }
}

impl<T: Unfolded> Known<T> {
    /// A hub's rows as this transaction sees them, oldest first.
    pub(super) async fn rows(&self, on: &impl GenericClient, hub: HubId) -> Done<Vec<(CommitNo, Arc<T>)>> {
        let id = hub.0.cast_signed();
        let mut numbers = Vec::new();
        for row in query(on, T::NUMBERS, &[&id]).await? {
            numbers.push(CommitNo(row.try_get::<_, i64>(0)?.cast_unsigned()));
        }
        self.forget_before(hub, numbers.first().copied());
        let mut found: HashMap<CommitNo, Arc<T>> = {
            let hubs = self.0.lock();
            let known = hubs.get(&hub);
            let row = |number: &CommitNo| Some((*number, known?.get(number)?.clone()));
            numbers.iter().filter_map(row).collect()
        };
        let unknown: Vec<i64> =
            numbers.iter().filter(|number| !found.contains_key(number)).map(|number| number.0.cast_signed()).collect();
        if !unknown.is_empty() {
            for row in query(on, T::BYTES, &[&id, &unknown]).await? {
                let number = CommitNo(row.try_get::<_, i64>(0)?.cast_unsigned());
                let read = Arc::new(T::read(row.try_get(1)?)?);
                self.insert(hub, number, read.clone());
                found.insert(number, read);
            }
        }
        // Outside a snapshot one may have been folded between the two statements: its rows then say what it said.
        Ok(numbers.into_iter().filter_map(|number| Some((number, found.remove(&number)?))).collect())
    }
}

/// A hub's touches as this transaction sees them, newest first.
pub(super) async fn newest_touches(on: &impl GenericClient, registry: &Shared, hub: HubId) -> Done<Vec<Arc<Touches>>> {
    Ok(registry.touches.rows(on, hub).await?.into_iter().rev().map(|(_, touches)| touches).collect())
}

/// How near a hub is to the bounds above which registrations fold first, 1 at them: reading lays every delta over the
/// sets.
pub(super) async fn load(on: &impl GenericClient, hub: HubId) -> Done<f64> {
    /// Rows and bytes of one kind.
    const MOST_ROWS: f64 = 512.0;
    const MOST_BYTES: f64 = (4 << 20) as f64;
    let sql = "SELECT greatest(d.rows, t.rows)::float8, greatest(d.bytes, t.bytes)::float8 FROM \
               (SELECT count(*) AS rows, coalesce(sum(octet_length(changes)), 0) AS bytes \
               FROM index_delta WHERE hub = $1) AS d, \
               (SELECT count(*) AS rows, coalesce(sum(octet_length(touches)), 0) AS bytes \
               FROM touch WHERE hub = $1) AS t";
    let row = super::super::pool::query_one(on, sql, &[&hub.0.cast_signed()]).await?;
    let (rows, bytes): (f64, f64) = (row.try_get(0)?, row.try_get(1)?);
    Ok((rows / MOST_ROWS).max(bytes / MOST_BYTES))
}
