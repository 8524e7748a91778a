//! Jobs and files in PostgreSQL.

use std::time::Duration;

use deadpool_postgres::Transaction;
use tokio_postgres::Row;

use super::error::Done;
use super::pool::{Durability, begin, commit, execute, query, query_one, query_opt, retrying};
use super::{FileId, FileInfo, JobRecord, JobStep, LeasedJob, Parts, StoreError};
use crate::model::id::{Epoch, HubId};
use crate::model::time::Timestamp;

/// Rows of one kind in a slice of the sweep. A piece of a file may have a megabyte.
const SLICE: i64 = 16;

fn time(row: &Row, column: usize) -> Done<Timestamp> {
    Ok(Timestamp::from_millis(row.try_get(column)?))
}

const JOB: &str = "id, state, finished, created, updated, expires";

fn job_of(row: &Row) -> Done<JobRecord> {
    Ok(JobRecord {
        id: row.try_get(0)?,
        state: row.try_get(1)?,
        finished: row.try_get(2)?,
        created: time(row, 3)?,
        updated: time(row, 4)?,
        expires: time(row, 5)?,
    })
}

const FILE: &str = "id, name, bytes, pieces, written";

fn file_of(row: &Row) -> Done<FileInfo> {
    let (bytes, pieces): (i64, i32) = (row.try_get(2)?, row.try_get(3)?);
    let (id, name) = (FileId(row.try_get(0)?), row.try_get(1)?);
    Ok(FileInfo { id, name, bytes: bytes.unsigned_abs(), pieces: pieces.unsigned_abs(), written: time(row, 4)? })
}

/// Held until the transaction's end, so that the hub is not deleted beside.
async fn check_hub(tx: &Transaction<'_>, hub: HubId) -> Done<()> {
    let sql = "SELECT 1 FROM hub WHERE id = $1 FOR SHARE";
    query_opt(tx, sql, &[&hub.0.cast_signed()]).await?.map(drop).ok_or_else(|| StoreError::NoHub.into())
}

pub(super) async fn put(parts: &Parts, hub: HubId, job: JobRecord) -> Done<()> {
    let job = &job;
    retrying(|| async move {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        check_hub(&tx, hub).await?;
        let sql = "INSERT INTO job (hub, id, state, finished, created, updated, expires) \
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let (created, updated, expires) = (job.created.millis(), job.updated.millis(), job.expires.millis());
        let hub = hub.0.cast_signed();
        execute(&tx, sql, &[&hub, &job.id, &job.state, &job.finished, &created, &updated, &expires]).await?;
        commit(tx).await
    })
    .await
}

pub(super) async fn job(parts: &Parts, hub: HubId, id: &str) -> Done<Option<JobRecord>> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        let sql = format!("SELECT {JOB} FROM job WHERE hub = $1 AND id = $2");
        query_opt(&client, &sql, &[&hub.0.cast_signed(), &id]).await?.as_ref().map(job_of).transpose()
    })
    .await
}

pub(super) async fn jobs(parts: &Parts, hub: HubId) -> Done<Vec<JobRecord>> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        let sql = format!("SELECT {JOB} FROM job WHERE hub = $1 ORDER BY created DESC, id DESC");
        query(&client, &sql, &[&hub.0.cast_signed()]).await?.iter().map(job_of).collect()
    })
    .await
}

fn until(now: Timestamp, length: Duration) -> i64 {
    now.plus(length).millis()
}

pub(super) async fn lease(parts: &Parts, length: Duration) -> Done<Option<LeasedJob>> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let now = parts.time.now(&client).await?;
        let any = "SELECT EXISTS (SELECT 1 FROM job WHERE NOT finished AND until <= $1)";
        let any: bool = query_one(&client, any, &[&now.millis()]).await?.try_get(0)?;
        if !any {
            return Ok(None);
        }
        let tx = begin(&mut client, Durability::Relaxed).await?;
        // One that another node is just taking is left to it.
        let sql = format!(
            "UPDATE job SET epoch = epoch + 1, until = $2 WHERE (hub, id) IN (SELECT hub, id FROM job \
             WHERE NOT finished AND until <= $1 ORDER BY created LIMIT 1 FOR UPDATE SKIP LOCKED) \
             RETURNING {JOB}, epoch, hub"
        );
        let Some(row) = query_opt(&tx, &sql, &[&now.millis(), &until(now, length)]).await? else { return Ok(None) };
        commit(tx).await?;
        let (epoch, hub): (i64, i32) = (row.try_get(6)?, row.try_get(7)?);
        let (hub, epoch) = (HubId(hub.cast_unsigned()), Epoch(epoch.cast_unsigned()));
        Ok(Some(LeasedJob { hub, epoch, job: job_of(&row)? }))
    })
    .await
}

pub(super) async fn step(
    parts: &Parts,
    hub: HubId,
    id: &str,
    epoch: Epoch,
    step: JobStep,
    length: Duration,
) -> Done<bool> {
    let step = &step;
    retrying(|| async move {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        let now = parts.time.now(&tx).await?;
        let sql = "UPDATE job SET state = $4, finished = $5, updated = $6, until = $7 \
                   WHERE hub = $1 AND id = $2 AND epoch = $3 AND NOT finished";
        let (hub, epoch) = (hub.0.cast_signed(), epoch.0.cast_signed());
        let (millis, until) = (now.millis(), until(now, length));
        let changed = execute(&tx, sql, &[&hub, &id, &epoch, &step.state, &step.finished, &millis, &until]).await?;
        if changed == 0 {
            return Ok(false);
        }
        for (file, number, bytes) in &step.pieces {
            append(&tx, *file, *number, bytes, now).await?;
        }
        for file in &step.whole {
            finish(&tx, *file).await?;
        }
        commit(tx).await?;
        Ok(true)
    })
    .await
}

async fn append(tx: &Transaction<'_>, file: FileId, number: u32, bytes: &[u8], now: Timestamp) -> Done<()> {
    let grow = "UPDATE file SET bytes = bytes + $2, pieces = pieces + 1, written = $3 WHERE id = $1 AND pieces = $4";
    let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
    let number = number.cast_signed();
    if execute(tx, grow, &[&file.0, &length, &now.millis(), &number]).await? == 0 {
        return Err(StoreError::Engine("a file is gone, or its pieces came in another order".to_owned()).into());
    }
    execute(tx, "INSERT INTO file_piece (file, number, bytes) VALUES ($1, $2, $3)", &[&file.0, &number, &bytes])
        .await?;
    Ok(())
}

async fn finish(tx: &Transaction<'_>, file: FileId) -> Done<()> {
    // Those that it takes the place of go with the next sweep.
    let sql = "UPDATE file SET whole = false, expires = 0 WHERE whole AND id <> $1 AND (hub, container, name) IN \
               (SELECT hub, container, name FROM file WHERE id = $1)";
    execute(tx, sql, &[&file.0]).await?;
    if execute(tx, "UPDATE file SET whole = true WHERE id = $1", &[&file.0]).await? == 0 {
        return Err(StoreError::Engine("a file is gone".to_owned()).into());
    }
    Ok(())
}

pub(super) async fn begin_file(parts: &Parts, hub: HubId, container: &str, name: &str, keep: Duration) -> Done<FileId> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Relaxed).await?;
        check_hub(&tx, hub).await?;
        let now = parts.time.now(&tx).await?;
        let sql = "INSERT INTO file (hub, container, name, written, expires) VALUES ($1, $2, $3, $4, $5) RETURNING id";
        let (written, expires) = (now.millis(), now.plus(keep).millis());
        let row = query_one(&tx, sql, &[&hub.0.cast_signed(), &container, &name, &written, &expires]).await?;
        commit(tx).await?;
        Ok(FileId(row.try_get(0)?))
    })
    .await
}

pub(super) async fn append_file(parts: &Parts, file: FileId, number: u32, piece: Vec<u8>) -> Done<()> {
    let piece = &piece;
    retrying(|| async move {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Relaxed).await?;
        let now = parts.time.now(&tx).await?;
        append(&tx, file, number, piece, now).await?;
        commit(tx).await
    })
    .await
}

pub(super) async fn finish_file(parts: &Parts, file: FileId) -> Done<()> {
    retrying(|| async {
        let mut client = parts.pool.get().await?;
        let tx = begin(&mut client, Durability::Synced).await?;
        finish(&tx, file).await?;
        commit(tx).await
    })
    .await
}

pub(super) async fn file(parts: &Parts, hub: HubId, container: &str, name: &str) -> Done<Option<FileInfo>> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        let sql = format!("SELECT {FILE} FROM file WHERE hub = $1 AND container = $2 AND name = $3 AND whole LIMIT 1");
        let row = query_opt(&client, &sql, &[&hub.0.cast_signed(), &container, &name]).await?;
        row.as_ref().map(file_of).transpose()
    })
    .await
}

pub(super) async fn files(parts: &Parts, hub: HubId, container: &str) -> Done<Vec<FileInfo>> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        let sql = format!("SELECT {FILE} FROM file WHERE hub = $1 AND container = $2 AND whole ORDER BY name");
        query(&client, &sql, &[&hub.0.cast_signed(), &container]).await?.iter().map(file_of).collect()
    })
    .await
}

pub(super) async fn piece(parts: &Parts, file: FileId, number: u32) -> Done<Option<Vec<u8>>> {
    retrying(|| async {
        let client = parts.pool.get().await?;
        let sql = "SELECT bytes FROM file_piece WHERE file = $1 AND number = $2";
        let row = query_opt(&client, sql, &[&file.0, &number.cast_signed()]).await?;
        Ok(row.map(|row| row.try_get(0)).transpose()?)
    })
    .await
}

/// One slice of what is over. Answers whether it was full. Every node sweeps; a row that another has taken is simply
/// gone.
pub(super) async fn sweep(parts: &Parts) -> Done<bool> {
    let client = parts.pool.get().await?;
    let now = parts.time.now(&client).await?.millis();
    let jobs = "DELETE FROM job WHERE ctid = ANY (ARRAY (SELECT ctid FROM job WHERE expires <= $1 LIMIT $2)) \
                AND expires <= $1";
    let jobs = execute(&client, jobs, &[&now, &SLICE]).await?;
    let pieces = "DELETE FROM file_piece WHERE ctid = ANY (ARRAY (SELECT p.ctid FROM file f \
                  JOIN file_piece p ON p.file = f.id WHERE f.expires <= $1 LIMIT $2))";
    let pieces = execute(&client, pieces, &[&now, &SLICE]).await?;
    let mut files = 0;
    if pieces.cast_signed() < SLICE {
        let sql = "DELETE FROM file WHERE id = ANY (ARRAY (SELECT id FROM file WHERE expires <= $1 LIMIT $2)) \
                   AND expires <= $1";
        files = execute(&client, sql, &[&now, &SLICE]).await?;
    }
    Ok(jobs.max(pieces).max(files).cast_signed() == SLICE)
}
