//! The rows of the sets.

use rusqlite::{Connection, Row, params};

use super::rows::{number, time};
use crate::model::chunk_set::ChunkSet;
use crate::model::id::{BroadcastId, ChunkNo};
use crate::model::outcome::Place;
use crate::model::platform::Platform;
use crate::store::life::codec;
use crate::store::life::ledger::{Cell, Ledger, Source, Unfinished};
use crate::store::life::reasons::Reasons;
use crate::store::life::records::ShardRow;
use crate::store::{ChunkWork, Result};

/// The sets of one shard in the table.
pub(super) struct Table<'a> {
    pub(super) connection: &'a Connection,
    pub(super) shard: &'a ShardRow,
}

impl Table<'_> {
    fn key(&self) -> (&[u8; 16], u8) {
        (self.shard.at.broadcast.as_bytes(), self.shard.platform.code())
    }

    /// All that is unfinished, chunk by chunk.
    pub(super) fn unfinished(&self) -> Result<Vec<ChunkWork>> {
        let mut query = self.connection.prepare_cached(
            "SELECT chunk, place, detail, due, at, seqs FROM outcome_chunk \
             WHERE broadcast = ? AND platform = ? AND chunk BETWEEN ? AND ? AND place < 3 ORDER BY chunk",
        )?;
        let (broadcast, platform) = self.key();
        let mut rows = query.query(params![broadcast, platform, self.shard.first_chunk.0, self.shard.last_chunk.0])?;
        let mut work = Unfinished::default();
        while let Some(row) = rows.next()? {
            let place = place(row, 1)?;
            let cell = codec::decode_cell(place, time(row, 4)?, blob(row, 5)?, None)?;
            work.add(ChunkNo(number(row, 0)?), place, cell.set);
        }
        Ok(work.into_chunks())
    }

    /// Writes back the sets that changed.
    pub(super) fn save(&self, ledger: &Ledger) -> Result<()> {
        let (broadcast, platform) = self.key();
        for ((chunk, place), cell) in ledger.changed() {
            match cell.row {
                Some(row) if cell.set.is_empty() => {
                    self.connection.prepare_cached("DELETE FROM outcome_chunk WHERE id = ?")?.execute([row])?;
                }
                Some(row) => {
                    self.connection
                        .prepare_cached("UPDATE outcome_chunk SET at = ?, seqs = ? WHERE id = ?")?
                        .execute(params![cell.at.millis(), codec::encode_cell(place, cell), row])?;
                }
                // Filled and emptied within one checkpoint.
                None if cell.set.is_empty() => {}
                None => {
                    let (code, detail, due) = codec::place_columns(place);
                    self.connection
                        .prepare_cached(
                            "INSERT INTO outcome_chunk (broadcast, platform, chunk, place, detail, due, at, seqs) \
                             VALUES (?,?,?,?,?,?,?,?)",
                        )?
                        .execute(params![
                            broadcast,
                            platform,
                            chunk.0,
                            code,
                            detail,
                            due,
                            cell.at.millis(),
                            codec::encode_cell(place, cell)
                        ])?;
                }
            }
        }
        Ok(())
    }
}

impl Source for Table<'_> {
    fn load(&self, chunk: ChunkNo, place: Place) -> Result<Option<Cell>> {
        self.shard.check_chunk(chunk)?;
        let mut query = self.connection.prepare_cached(
            "SELECT id, at, seqs FROM outcome_chunk \
             WHERE broadcast = ? AND platform = ? AND chunk = ? AND place = ? AND detail = ? AND due = ?",
        )?;
        let (broadcast, platform) = self.key();
        let (code, detail, due) = codec::place_columns(place);
        let mut rows = query.query(params![broadcast, platform, chunk.0, code, detail, due])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        codec::decode_cell(place, time(row, 1)?, blob(row, 2)?, Some(row.get(0)?)).map(Some)
    }

    fn staged(&self) -> Result<Vec<ChunkNo>> {
        let mut query = self.connection.prepare_cached(
            "SELECT chunk FROM outcome_chunk \
             WHERE broadcast = ? AND platform = ? AND chunk BETWEEN ? AND ? AND place = 2",
        )?;
        let (broadcast, platform) = self.key();
        let mut rows = query.query(params![broadcast, platform, self.shard.first_chunk.0, self.shard.last_chunk.0])?;
        let mut chunks = Vec::new();
        while let Some(row) = rows.next()? {
            chunks.push(ChunkNo(number(row, 0)?));
        }
        Ok(chunks)
    }
}

/// Calls `each` for every set of one chunk, all platforms. `only` restricts it to places with codes in that range of
/// (place, detail).
pub(super) fn of_chunk(
    connection: &Connection,
    broadcast: BroadcastId,
    platform: Platform,
    chunk: ChunkNo,
    mut each: impl FnMut(Place, Cell) -> Result<()>,
) -> Result<()> {
    let mut query = connection.prepare_cached(
        "SELECT place, detail, due, at, seqs FROM outcome_chunk WHERE broadcast = ? AND platform = ? AND chunk = ?",
    )?;
    let mut rows = query.query(params![broadcast.as_bytes(), platform.code(), chunk.0])?;
    while let Some(row) = rows.next()? {
        let place = place(row, 0)?;
        each(place, codec::decode_cell(place, time(row, 3)?, blob(row, 4)?, None)?)?;
    }
    Ok(())
}

/// All targets planned in a chunk, in whatever place they are now.
pub(super) fn planned(
    connection: &Connection,
    broadcast: BroadcastId,
    platform: Platform,
    chunk: ChunkNo,
) -> Result<ChunkSet> {
    let mut all = ChunkSet::new();
    of_chunk(connection, broadcast, platform, chunk, |_, cell| {
        all.union_with(&cell.set);
        Ok(())
    })?;
    Ok(all)
}

/// Place, detail and due from that column on.
pub(super) fn place(row: &Row<'_>, first: usize) -> Result<Place> {
    codec::place_of(number(row, first)?, number(row, first + 1)?, row.get(first + 2)?)
}

/// The bytes of a column.
pub(super) fn blob<'r>(row: &'r Row<'_>, column: usize) -> Result<&'r [u8]> {
    Ok(row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?)
}

/// The reasons that the table holds.
pub(super) fn load_reasons(connection: &Connection, broadcast: BroadcastId) -> Result<Reasons> {
    let mut query = connection.prepare_cached("SELECT text FROM reason WHERE broadcast = ? ORDER BY number")?;
    let texts = query.query_map([broadcast.as_bytes()], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(Reasons::stored(texts))
}

/// Writes the reasons that the table does not hold yet.
pub(super) fn save_reasons(tx: &Connection, broadcast: BroadcastId, reasons: &Reasons) -> Result<()> {
    let mut insert = tx.prepare_cached("INSERT INTO reason (broadcast, number, text) VALUES (?, ?, ?)")?;
    for (number, text) in reasons.unsaved() {
        insert.execute(params![broadcast.as_bytes(), number, text])?;
    }
    Ok(())
}
