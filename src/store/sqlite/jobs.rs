//! Jobs and files of the embedded store.

use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, params};

use super::engine::Precedence;
use super::registry::unsigned;
use super::{FileId, FileInfo, JobRecord, JobStep, LeasedJob, Parts, Result, StoreError};
use crate::model::id::{Epoch, HubId};
use crate::model::time::Timestamp;

/// Rows of one kind in a slice of the sweep. A piece of a file may have a megabyte.
const SLICE: u32 = 16;

fn time(row: &Row<'_>, column: usize) -> rusqlite::Result<Timestamp> {
    row.get(column).map(Timestamp::from_millis)
}

const JOB: &str = "id, state, finished, created, updated, expires";

fn job_of(row: &Row<'_>) -> rusqlite::Result<JobRecord> {
    Ok(JobRecord {
        id: row.get(0)?,
        state: row.get(1)?,
        finished: row.get(2)?,
        created: time(row, 3)?,
        updated: time(row, 4)?,
        expires: time(row, 5)?,
    })
}

const FILE: &str = "id, name, bytes, pieces, written";

fn file_of(row: &Row<'_>) -> rusqlite::Result<FileInfo> {
    Ok(FileInfo {
        id: FileId(row.get(0)?),
        name: row.get(1)?,
        bytes: unsigned(row, 2)?,
        pieces: row.get(3)?,
        written: time(row, 4)?,
    })
}

fn check_hub(tx: &Connection, hub: HubId) -> Result<()> {
    let there = tx.prepare_cached("SELECT 1 FROM hub WHERE id = ?1")?.exists([hub.0])?;
    if there { Ok(()) } else { Err(StoreError::NoHub) }
}

pub(super) async fn put(parts: &Parts, hub: HubId, job: JobRecord) -> Result<()> {
    let put = move |tx: &Connection| {
        check_hub(tx, hub)?;
        let sql = "INSERT INTO job (hub, id, state, finished, created, updated, expires) \
                   VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)";
        tx.prepare_cached(sql)?.execute(params![
            hub.0,
            job.id,
            job.state,
            job.finished,
            job.created.millis(),
            job.updated.millis(),
            job.expires.millis(),
        ])?;
        Ok(())
    };
    parts.engine.write(Precedence::Accept, 1, put).await
}

pub(super) async fn job(parts: &Parts, hub: HubId, id: &str) -> Result<Option<JobRecord>> {
    let id = id.to_owned();
    let read = move |connection: &Connection| {
        let sql = format!("SELECT {JOB} FROM job WHERE hub = ?1 AND id = ?2");
        Ok(connection.prepare_cached(&sql)?.query_row(params![hub.0, id], job_of).optional()?)
    };
    parts.engine.read(read).await
}

pub(super) async fn jobs(parts: &Parts, hub: HubId) -> Result<Vec<JobRecord>> {
    let read = move |connection: &Connection| {
        let sql = format!("SELECT {JOB} FROM job WHERE hub = ?1 ORDER BY created DESC, id DESC");
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_map([hub.0], job_of)?.collect::<rusqlite::Result<_>>()?)
    };
    parts.engine.read(read).await
}

fn until(now: Timestamp, length: Duration) -> i64 {
    now.plus(length).millis()
}

/// Leases that an earlier process held are void: nobody else works on this file.
pub(super) fn recover(connection: &Connection) -> Result<()> {
    connection.execute("UPDATE job SET until = 0 WHERE finished = 0", [])?;
    Ok(())
}

pub(super) async fn lease(parts: &Parts, length: Duration) -> Result<Option<LeasedJob>> {
    let clock = parts.clock.clone();
    // Mostly there is none, and asking takes no writer.
    let open = "SELECT hub, id FROM job WHERE finished = 0 AND until <= ?1 ORDER BY created LIMIT 1";
    let now = clock.moment().lease;
    let any = move |connection: &Connection| Ok(connection.prepare_cached(open)?.exists([now.millis()])?);
    if !parts.engine.read(any).await? {
        return Ok(None);
    }
    let lease = move |tx: &Connection| {
        let now = clock.moment().lease;
        let key: Option<(u32, String)> =
            tx.prepare_cached(open)?.query_row([now.millis()], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        let Some((hub, id)) = key else { return Ok(None) };
        let sql =
            format!("UPDATE job SET epoch = epoch + 1, until = ?3 WHERE hub = ?1 AND id = ?2 RETURNING {JOB}, epoch");
        let leased = tx
            .prepare_cached(&sql)?
            .query_row(params![hub, id, until(now, length)], |row| Ok((job_of(row)?, unsigned(row, 6)?)))?;
        Ok(Some(LeasedJob { hub: HubId(hub), epoch: Epoch(leased.1), job: leased.0 }))
    };
    parts.engine.write(Precedence::Checkpoint, 1, lease).await
}

pub(super) async fn step(
    parts: &Parts,
    hub: HubId,
    id: &str,
    epoch: Epoch,
    step: JobStep,
    length: Duration,
) -> Result<bool> {
    let (clock, id, weight) = (parts.clock.clone(), id.to_owned(), 1 + step.pieces.len());
    let write = move |tx: &Connection| {
        let sql = "UPDATE job SET state = ?4, finished = ?5, updated = ?6, until = ?7 \
                   WHERE hub = ?1 AND id = ?2 AND epoch = ?3 AND finished = 0";
        let now = clock.now();
        let changed = tx.prepare_cached(sql)?.execute(params![
            hub.0,
            id,
            epoch.0.cast_signed(),
            step.state,
            step.finished,
            now.millis(),
            until(clock.moment().lease, length),
        ])?;
        if changed == 0 {
            return Ok(false);
        }
        for (file, number, bytes) in &step.pieces {
            append(tx, *file, *number, bytes, now)?;
        }
        for file in &step.whole {
            finish(tx, *file)?;
        }
        Ok(true)
    };
    parts.engine.write(Precedence::Registration, weight, write).await
}

fn append(tx: &Connection, file: FileId, number: u32, bytes: &[u8], now: Timestamp) -> Result<()> {
    let grow = "UPDATE file SET bytes = bytes + ?2, pieces = pieces + 1, written = ?3 WHERE id = ?1 AND pieces = ?4";
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    if tx.prepare_cached(grow)?.execute(params![file.0, length, now.millis(), number])? == 0 {
        return Err(StoreError::Engine("a file is gone, or its pieces came in another order".to_owned()));
    }
    let sql = "INSERT INTO file_piece (file, number, bytes) VALUES (?1, ?2, ?3)";
    tx.prepare_cached(sql)?.execute(params![file.0, number, bytes])?;
    Ok(())
}

fn finish(tx: &Connection, file: FileId) -> Result<()> {
    // Those that it takes the place of go with the next sweep.
    let sql = "UPDATE file SET whole = 0, expires = 0 WHERE whole = 1 AND id <> ?1 AND (hub, container, name) IN \
               (SELECT hub, container, name FROM file WHERE id = ?1)";
    tx.prepare_cached(sql)?.execute([file.0])?;
    let done = tx.prepare_cached("UPDATE file SET whole = 1 WHERE id = ?1")?.execute([file.0])?;
    if done == 0 { Err(StoreError::Engine("a file is gone".to_owned())) } else { Ok(()) }
}

pub(super) async fn begin_file(
    parts: &Parts,
    hub: HubId,
    container: &str,
    name: &str,
    keep: Duration,
) -> Result<FileId> {
    let (clock, container, name) = (parts.clock.clone(), container.to_owned(), name.to_owned());
    let begin = move |tx: &Connection| {
        check_hub(tx, hub)?;
        let now = clock.now();
        let sql = "INSERT INTO file (hub, container, name, written, expires) VALUES (?1, ?2, ?3, ?4, ?5)";
        let expires = now.plus(keep).millis();
        tx.prepare_cached(sql)?.execute(params![hub.0, container, name, now.millis(), expires])?;
        Ok(FileId(tx.last_insert_rowid()))
    };
    parts.engine.write(Precedence::Checkpoint, 1, begin).await
}

pub(super) async fn append_file(parts: &Parts, file: FileId, number: u32, piece: Vec<u8>) -> Result<()> {
    let clock = parts.clock.clone();
    let write = move |tx: &Connection| append(tx, file, number, &piece, clock.now());
    parts.engine.write(Precedence::Checkpoint, 1, write).await
}

pub(super) async fn finish_file(parts: &Parts, file: FileId) -> Result<()> {
    parts.engine.write(Precedence::Accept, 1, move |tx: &Connection| finish(tx, file)).await
}

pub(super) async fn file(parts: &Parts, hub: HubId, container: &str, name: &str) -> Result<Option<FileInfo>> {
    let (container, name) = (container.to_owned(), name.to_owned());
    let read = move |connection: &Connection| {
        let sql = format!("SELECT {FILE} FROM file WHERE hub = ?1 AND container = ?2 AND name = ?3 AND whole = 1");
        Ok(connection.prepare_cached(&sql)?.query_row(params![hub.0, container, name], file_of).optional()?)
    };
    parts.engine.read(read).await
}

pub(super) async fn files(parts: &Parts, hub: HubId, container: &str) -> Result<Vec<FileInfo>> {
    let container = container.to_owned();
    let read = move |connection: &Connection| {
        let sql = format!("SELECT {FILE} FROM file WHERE hub = ?1 AND container = ?2 AND whole = 1 ORDER BY name");
        let mut statement = connection.prepare_cached(&sql)?;
        Ok(statement.query_map(params![hub.0, container], file_of)?.collect::<rusqlite::Result<_>>()?)
    };
    parts.engine.read(read).await
}

pub(super) async fn piece(parts: &Parts, file: FileId, number: u32) -> Result<Option<Vec<u8>>> {
    let read = move |connection: &Connection| {
        let sql = "SELECT bytes FROM file_piece WHERE file = ?1 AND number = ?2";
        Ok(connection.prepare_cached(sql)?.query_row(params![file.0, number], |row| row.get(0)).optional()?)
    };
    parts.engine.read(read).await
}

/// One slice of what is over. Answers whether it was full.
pub(super) async fn sweep(parts: &Parts) -> Result<bool> {
    let now = parts.clock.now();
    let any = move |connection: &Connection| {
        let sql = "SELECT 1 FROM job WHERE expires <= ?1 UNION ALL SELECT 1 FROM file WHERE expires <= ?1 LIMIT 1";
        Ok(connection.prepare_cached(sql)?.exists([now.millis()])?)
    };
    if !parts.engine.read(any).await? {
        return Ok(false);
    }
    let slice = move |tx: &Connection| {
        let jobs = "DELETE FROM job WHERE (hub, id) IN (SELECT hub, id FROM job WHERE expires <= ?1 LIMIT ?2)";
        let jobs = tx.prepare_cached(jobs)?.execute(params![now.millis(), SLICE])?;
        let pieces = "DELETE FROM file_piece WHERE (file, number) IN (SELECT p.file, p.number FROM file f \
                      JOIN file_piece p ON p.file = f.id WHERE f.expires <= ?1 LIMIT ?2)";
        let pieces = tx.prepare_cached(pieces)?.execute(params![now.millis(), SLICE])?;
        let mut files = 0;
        if pieces < SLICE as usize {
            let sql = "DELETE FROM file WHERE id IN (SELECT id FROM file WHERE expires <= ?1 LIMIT ?2) \
                       AND NOT EXISTS (SELECT 1 FROM file_piece WHERE file = file.id)";
            files = tx.prepare_cached(sql)?.execute(params![now.millis(), SLICE])?;
        }
        Ok(jobs.max(pieces).max(files) == SLICE as usize)
    };
    parts.engine.write(Precedence::Sweep, SLICE as usize, slice).await
}
