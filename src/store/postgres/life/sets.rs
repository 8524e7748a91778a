//! The rows of the sets. A checkpoint reads the few that it touches in one statement, writes back what changed in one
//! more, and deletes what was emptied.

use std::collections::BTreeSet;

use deadpool_postgres::{GenericClient, Transaction};
use futures_util::future::try_join_all;
use tokio_postgres::Row;

use super::super::error::Done;
use super::super::pool::{execute, query};
use super::rows::{number, time, uuid};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo};
use crate::model::outcome::Place;
use crate::model::platform::Platform;
use crate::store::life::codec;
use crate::store::life::ledger::{Cell, Ledger, Source, Unfinished};
use crate::store::life::records::ShardRow;
use crate::store::{ChunkWork, Result, StoreError};

/// The columns of a set after its chunk: [`read`] takes them from the given column on.
const SET: &str = "place, detail, due, at, seqs";

/// The row numbers of the embedded engine stand for "stored" alone here.
const STORED: Option<i64> = Some(0);

fn read(row: &Row, first: usize) -> Done<(Place, Cell)> {
    let place = codec::place_of(number(row, first)?, number(row, first + 1)?, row.try_get(first + 2)?)?;
    let cell = codec::decode_cell(place, time(row, first + 3)?, row.try_get(first + 4)?, STORED)?;
    Ok((place, cell))
}

/// All that is unfinished of a shard, chunk by chunk.
pub(super) async fn unfinished(on: &impl GenericClient, shard: &ShardRow) -> Done<Vec<ChunkWork>> {
    let sql = format!(
        "SELECT chunk, {SET} FROM outcome_chunk \
         WHERE broadcast = $1 AND platform = $2 AND chunk BETWEEN $3 AND $4 AND place < 3"
    );
    let mut work = Unfinished::default();
    let (first, last) = (shard.first_chunk.0.cast_signed(), shard.last_chunk.0.cast_signed());
    let bind: [&(dyn tokio_postgres::types::ToSql + Sync); 4] =
        [&uuid(shard.at.broadcast), &i16::from(shard.platform.code()), &first, &last];
    for row in query(on, &sql, &bind).await? {
        let (place, cell) = read(&row, 1)?;
        work.add(ChunkNo(number(&row, 0)?), place, cell.set);
    }
    Ok(work.into_chunks())
}

/// All targets planned in a chunk, in whatever place they are now.
pub(super) async fn planned(
    on: &impl GenericClient,
    broadcast: BroadcastId,
    platform: Platform,
    chunk: ChunkNo,
) -> Done<ChunkSet> {
    let sql = format!("SELECT {SET} FROM outcome_chunk WHERE broadcast = $1 AND platform = $2 AND chunk = $3");
    let mut all = ChunkSet::new();
    for row in query(on, &sql, &[&uuid(broadcast), &i16::from(platform.code()), &chunk.0.cast_signed()]).await? {
        all.union_with(&read(&row, 0)?.1.set);
    }
    Ok(all)
}

/// The sets of one shard that were read so far. A ledger that asks for another finds an error and no empty set: it would
/// write over what is stored.
pub(super) struct Loaded<'a> {
    shard: &'a ShardRow,
    known: BTreeSet<(ChunkNo, Place)>,
    staged: bool,
}

impl<'a> Loaded<'a> {
    pub(super) fn new(shard: &'a ShardRow) -> Self {
        Self { shard, known: BTreeSet::new(), staged: false }
    }

    fn key(&self) -> (uuid::Uuid, i16) {
        (uuid(self.shard.at.broadcast), i16::from(self.shard.platform.code()))
    }

    /// Reads these sets into the ledger, those apart that it holds already.
    pub(super) async fn fetch(
        &mut self,
        tx: &Transaction<'_>,
        ledger: &mut Ledger,
        places: impl IntoIterator<Item = (ChunkNo, Place)>,
    ) -> Done<()> {
        let wanted: BTreeSet<_> = places.into_iter().filter(|key| !self.known.contains(key)).collect();
        if wanted.is_empty() {
            return Ok(());
        }
        for (chunk, _) in &wanted {
            self.shard.check_chunk(*chunk)?;
        }
        let keys = Keys::of(wanted.iter().copied());
        // Each by its key: what is in brackets is not turned into a join, for which all sets of the broadcast were read
        // where the server knows nothing of a day's partition yet.
        let sql = format!(
            "SELECT o.* FROM unnest($3::int4[], $4::int2[], $5::int4[], $6::int8[]) AS w (chunk, place, detail, due) \
             CROSS JOIN LATERAL (SELECT chunk, {SET} FROM outcome_chunk o WHERE o.broadcast = $1 AND o.platform = $2 \
             AND o.chunk = w.chunk AND o.place = w.place AND o.detail = w.detail AND o.due = w.due OFFSET 0) o"
        );
        let (broadcast, platform) = self.key();
        let bind: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
            [&broadcast, &platform, &keys.chunks, &keys.places, &keys.details, &keys.dues];
        for row in query(tx, &sql, &bind).await? {
            let (place, cell) = read(&row, 1)?;
            ledger.put(ChunkNo(number(&row, 0)?), place, cell);
        }
        self.known.extend(wanted);
        Ok(())
    }

    /// Reads every staged set of the shard into the ledger.
    pub(super) async fn fetch_staged(&mut self, tx: &Transaction<'_>, ledger: &mut Ledger) -> Done<()> {
        let sql = "SELECT chunk FROM outcome_chunk \
                   WHERE broadcast = $1 AND platform = $2 AND chunk BETWEEN $3 AND $4 AND place = 2";
        let (broadcast, platform) = self.key();
        let (first, last) = (self.shard.first_chunk.0.cast_signed(), self.shard.last_chunk.0.cast_signed());
        let rows = query(tx, sql, &[&broadcast, &platform, &first, &last]).await?;
        let chunks = rows.iter().map(|row| number(row, 0).map(ChunkNo)).collect::<Done<Vec<_>>>()?;
        self.fetch(tx, ledger, chunks.into_iter().map(|chunk| (chunk, Place::Staged))).await?;
        self.staged = true;
        Ok(())
    }
}

impl Source for Loaded<'_> {
    fn load(&self, chunk: ChunkNo, place: Place) -> Result<Option<Cell>> {
        self.shard.check_chunk(chunk)?;
        if self.known.contains(&(chunk, place)) {
            return Ok(None);
        }
        Err(StoreError::Engine(format!("{}: a set of chunk {chunk} in {place:?} was not read", self.shard.at)))
    }

    fn staged(&self) -> Result<Vec<ChunkNo>> {
        if self.staged {
            return Ok(Vec::new());
        }
        Err(StoreError::Engine(format!("{}: the staged sets were not read", self.shard.at)))
    }
}

/// Keys of sets, column by column.
#[derive(Default)]
struct Keys {
    chunks: Vec<i32>,
    places: Vec<i16>,
    details: Vec<i32>,
    dues: Vec<i64>,
}

impl Keys {
    fn of(keys: impl IntoIterator<Item = (ChunkNo, Place)>) -> Self {
        let mut columns = Self::default();
        for (chunk, place) in keys {
            columns.push(chunk, place);
        }
        columns
    }

    fn push(&mut self, chunk: ChunkNo, place: Place) {
        let (code, detail, due) = codec::place_columns(place);
        self.chunks.push(chunk.0.cast_signed());
        self.places.push(i16::from(code));
        self.details.push(i32::from(detail));
        self.dues.push(due);
    }
}

/// Writes back the sets that changed, of any platforms of a broadcast.
pub(super) async fn save<'a>(
    tx: &Transaction<'_>,
    broadcast: BroadcastId,
    ledgers: impl IntoIterator<Item = (Platform, &'a Ledger)>,
) -> Done<()> {
    let (mut filled, mut ats, mut seqs) = (Keys::default(), Vec::new(), Vec::new());
    let (mut filled_on, mut emptied) = (Vec::new(), Vec::new());
    for (platform, ledger) in ledgers {
        let platform = i16::from(platform.code());
        for ((chunk, place), cell) in ledger.changed() {
            if !cell.set.is_empty() {
                filled.push(chunk, place);
                filled_on.push(platform);
                ats.push(cell.at.millis());
                seqs.push(codec::encode_cell(place, cell));
            } else if cell.row.is_some() {
                emptied.push((platform, (chunk, place)));
            }
        }
    }
    let fill = async {
        if seqs.is_empty() {
            return Ok(0);
        }
        let sql = "INSERT INTO outcome_chunk (broadcast, platform, chunk, place, detail, due, at, seqs) \
                   SELECT $1, s.* FROM unnest($2::int2[], $3::int4[], $4::int2[], $5::int4[], $6::int8[], $7::int8[], \
                   $8::bytea[]) AS s (platform, chunk, place, detail, due, at, seqs) \
                   ON CONFLICT (broadcast, platform, chunk, place, detail, due) \
                   DO UPDATE SET at = excluded.at, seqs = excluded.seqs";
        let Keys { chunks, places, details, dues } = &filled;
        execute(tx, sql, &[&uuid(broadcast), &filled_on, chunks, places, details, dues, &ats, &seqs]).await
    };
    let empty = try_join_all(emptied.iter().map(|(platform, at)| remove(tx, broadcast, *platform, *at)));
    // Different rows, sent together.
    tokio::try_join!(fill, empty)?;
    Ok(())
}

/// Deletes a set, by its key: as few as they are, the server must not think of reading all those of the broadcast.
async fn remove(
    tx: &Transaction<'_>,
    broadcast: BroadcastId,
    platform: i16,
    (chunk, place): (ChunkNo, Place),
) -> Done<u64> {
    let sql = "DELETE FROM outcome_chunk WHERE broadcast = $1 AND platform = $2 AND chunk = $3 AND place = $4 \
               AND detail = $5 AND due = $6";
    let (code, detail, due) = codec::place_columns(place);
    let (chunk, code, detail) = (chunk.0.cast_signed(), i16::from(code), i32::from(detail));
    execute(tx, sql, &[&uuid(broadcast), &platform, &chunk, &code, &detail, &due]).await
}
