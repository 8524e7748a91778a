//! The schema, brought up to date where it is behind.
//!
//! A migration only adds: the previous version of the service runs beside it until the last of its nodes has been
//! replaced. `oldest` in the `schema` table is the version that a build must know at least; a later migration raises it
//! when it takes something away that no build of that age needs any more.

use deadpool_postgres::GenericClient;

use super::error::Done;
use super::pool::{Durability, Pool, begin, commit, query_opt, retrying};
use crate::store::StoreError;

/// Each with the version that it brings the schema to and the oldest build that may go on beside it.
const MIGRATIONS: &[(i32, i32, &str)] = &[
    (1, 1, include_str!("schema.sql")),
    (2, 1, include_str!("templates.sql")),
    (3, 1, include_str!("jobs.sql")),
    (4, 1, include_str!("tables/tables.sql")),
    (5, 1, include_str!("sign_in.sql")),
    (6, 1, include_str!("kept.sql")),
];

/// This build's schema version.
pub const SCHEMA_VERSION: i32 = 6;

/// The lock that nodes which start at once stand in line for.
const LOCK: i64 = 0x66616e_66617265;

/// What a database holds of us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SchemaVersion {
    /// 0: nothing yet.
    pub version: i32,
    /// The oldest build's version that may use it.
    pub oldest: i32,
}

/// Brings the schema to this build's version. A newer one is left alone when it allows this build, and refused else.
pub(super) async fn migrate(pool: &Pool) -> Done<SchemaVersion> {
    retrying(|| attempt(pool)).await
}

async fn attempt(pool: &Pool) -> Done<SchemaVersion> {
    let mut client = pool.get().await?;
    let found = look(&client).await?;
    if found.version < SCHEMA_VERSION {
        let tx = begin(&mut client, Durability::Synced).await?;
        tx.execute("SELECT pg_advisory_xact_lock($1)", &[&LOCK]).await?;
        tx.batch_execute("CREATE TABLE IF NOT EXISTS schema (version integer NOT NULL, oldest integer NOT NULL)")
            .await?;
        // Another node may have done it meanwhile.
        let found = look(&tx).await?;
        for (version, oldest, sql) in MIGRATIONS.iter().filter(|(version, ..)| *version > found.version) {
            tx.batch_execute(sql).await?;
            tx.batch_execute("DELETE FROM schema").await?;
            tx.execute("INSERT INTO schema (version, oldest) VALUES ($1, $2)", &[version, oldest]).await?;
        }
        commit(tx).await?;
    }
    let found = look(&client).await?;
    if found.oldest > SCHEMA_VERSION {
        let words = format!(
            "the database has schema version {}, which builds before version {} cannot use; this one is {SCHEMA_VERSION}",
            found.version, found.oldest
        );
        return Err(StoreError::Corrupt(words).into());
    }
    Ok(found)
}

/// What the database holds of us; changes nothing.
pub(super) async fn look(on: &impl GenericClient) -> Done<SchemaVersion> {
    let exists: bool = on.query_one("SELECT to_regclass('schema') IS NOT NULL", &[]).await?.try_get(0)?;
    if !exists {
        return Ok(SchemaVersion { version: 0, oldest: 0 });
    }
    let row = query_opt(on, "SELECT version, oldest FROM schema", &[]).await?;
    row.map_or(Ok(SchemaVersion { version: 0, oldest: 0 }), |row| {
        Ok(SchemaVersion { version: row.try_get(0)?, oldest: row.try_get(1)? })
    })
}
