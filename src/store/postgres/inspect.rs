//! A look at a database that changes nothing: for `doctor`, also beside running services.

use crate::clock::Clock;
use crate::model::time::Timestamp;
use crate::store::{HubRecord, Result};

use super::migrate::{self, SchemaVersion};
use super::pool::{query, query_one};
use super::{Options, PostgresStore, SCHEMA_VERSION, Time, registry, within};
use crate::store::Retention;

/// What a look found.
#[derive(Debug)]
pub struct Inspection {
    /// `server_version_num`: 160004 is 16.4.
    pub version: i32,
    pub schema: SchemaVersion,
    /// Whether this user may make tables where ours would be.
    pub may_create: bool,
    /// A standby takes no writes.
    pub is_standby: bool,
    /// Whether the look itself went over TLS.
    pub is_encrypted: bool,
    pub synchronous_commit: String,
    pub fsync: String,
    pub full_page_writes: String,
    /// For users like ours: `max_connections` without those that are reserved.
    pub connections: i64,
    /// In use by anybody now.
    pub used_connections: i64,
    /// How far the database's clock is ahead of this machine's, in milliseconds.
    pub clock_ahead: i64,
    /// Every hub, by name; none before the schema is there.
    pub hubs: Vec<HubRecord>,
}

const SETTINGS: &str = "SELECT current_setting('server_version_num')::int, \
     coalesce(has_schema_privilege(current_schema(), 'CREATE'), false), \
     pg_is_in_recovery(), \
     coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false), \
     current_setting('synchronous_commit'), current_setting('fsync'), current_setting('full_page_writes'), \
     current_setting('max_connections')::bigint - current_setting('superuser_reserved_connections')::bigint \
         - coalesce(current_setting('reserved_connections', true), '0')::bigint, \
     (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')";

/// Looks into the database.
pub async fn inspect(options: &Options, clock: &dyn Clock) -> Result<Inspection> {
    let store = PostgresStore::unopened(options, Time::Database, Retention::default())?;
    let found = within(async {
        let client = store.parts.pool.get().await?;
        // The first answer pays for the connection; the second is as quick as the network.
        let schema = migrate::look(&client).await?;
        let before = clock.now();
        let row = query_one(&client, "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint", &[]).await?;
        let (theirs, after): (i64, Timestamp) = (row.try_get(0)?, clock.now());
        let row = query(&client, SETTINGS, &[]).await?;
        let row = row.first().ok_or_else(|| crate::store::StoreError::Engine("no settings".to_owned()))?;
        Ok(Inspection {
            version: row.try_get(0)?,
            schema,
            may_create: row.try_get(1)?,
            is_standby: row.try_get(2)?,
            is_encrypted: row.try_get(3)?,
            synchronous_commit: row.try_get(4)?,
            fsync: row.try_get(5)?,
            full_page_writes: row.try_get(6)?,
            connections: row.try_get(7)?,
            used_connections: row.try_get(8)?,
            clock_ahead: theirs - (before.millis() + after.millis()) / 2,
            hubs: Vec::new(),
        })
    })
    .await?;
    if found.schema.version == 0 || found.schema.oldest > SCHEMA_VERSION {
        return Ok(found);
    }
    Ok(Inspection { hubs: within(registry::hubs(&store.parts)).await?, ..found })
}
