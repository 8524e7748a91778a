//! Connections: how many, how they are made, and how an operation is tried again.

use std::time::Duration;

use deadpool_postgres::{
    Client, GenericClient, Hook, HookError, Manager, ManagerConfig, RecyclingMethod, Runtime, Transaction,
};
use tokio_postgres::types::ToSql;
use tokio_postgres::{IsolationLevel, Row};

use super::error::{Done, Fault, FaultKind};
use super::options::Options;
use crate::store::{Result, StoreError};

/// How long an operation waits for a connection of the pool, and for a new one to be made.
const WAIT: Duration = Duration::from_secs(5);
/// A connection that was idle answers within this, or is thrown away.
const RECYCLE: Duration = Duration::from_secs(2);
/// A connection that was in use so lately is not asked whether its server is still there.
const FRESH: Duration = Duration::from_secs(1);
/// Attempts at what another transaction undid.
const CONFLICTS: u32 = 8;
/// Attempts over a connection that was lost.
const LOSSES: u32 = 3;

/// Whether a commit waits for the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Durability {
    /// Promises to somebody outside survive a power loss.
    Synced,
    /// May be repeated after one (design.md 3.4).
    Relaxed,
}

/// The connections of this process.
#[derive(Clone)]
pub(super) struct Pool {
    pool: deadpool_postgres::Pool,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pool").field("status", &self.pool.status()).finish()
    }
}

impl Pool {
    /// A pool that makes connections when they are asked for; contacts nobody yet.
    pub(super) fn new(options: &Options) -> Result<Self> {
        let (config, tls) = options.driver()?;
        // Sees that the socket is closed. Asking the server each time would be a round trip for every operation.
        let manager = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        // One whose server went away unnoticed would fail an operation that could have had another.
        let idle = Hook::async_fn(|client: &mut deadpool_postgres::ClientWrapper, metrics| {
            Box::pin(async move {
                if metrics.last_used() < FRESH {
                    return Ok(());
                }
                let asked = tokio::time::timeout(RECYCLE, client.simple_query("")).await;
                asked.map_err(|_| HookError::message("no answer"))?.map(drop).map_err(HookError::Backend)
            })
        });
        let pool = deadpool_postgres::Pool::builder(Manager::from_config(config, tls, manager))
            .max_size(options.connections.max(1))
            .wait_timeout(Some(WAIT))
            .create_timeout(Some(WAIT))
            .pre_recycle(idle)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| StoreError::Engine(error.to_string()))?;
        Ok(Self { pool })
    }

    /// A connection; it goes back when dropped.
    pub(super) async fn get(&self) -> Done<Client> {
        Ok(self.pool.get().await?)
    }

    /// Closes all connections as they come back.
    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// Begins a transaction that writes; every statement sees what is committed when it begins.
pub(super) async fn begin(client: &mut Client, durability: Durability) -> Done<Transaction<'_>> {
    let tx = client.transaction().await?;
    if durability == Durability::Relaxed {
        relax(&tx).await?;
    }
    Ok(tx)
}

/// Has a transaction's commit not wait for the disk ([`Durability::Relaxed`]), as a column of a query that answers a row.
pub(super) const RELAX: &str = "set_config('synchronous_commit', 'off', true)";

/// The same by itself.
pub(super) async fn relax(tx: &Transaction<'_>) -> Done<()> {
    Ok(tx.batch_execute("SET LOCAL synchronous_commit = off").await?)
}

/// Begins a transaction that reads one state of everything.
pub(super) async fn snapshot(client: &mut Client) -> Done<Transaction<'_>> {
    let builder = client.build_transaction().isolation_level(IsolationLevel::RepeatableRead).read_only(true);
    Ok(builder.start().await?)
}

/// Commits; from here on a lost connection leaves the outcome in doubt.
pub(super) async fn commit(tx: Transaction<'_>) -> Done<()> {
    tx.commit().await.map_err(|error| Fault::of_commit(&error))
}

/// Runs a whole transaction, again where it was undone for another's sake or its connection was lost before the commit.
pub(super) async fn retrying<T, F>(mut attempt: impl FnMut() -> F) -> Done<T>
where
    F: Future<Output = Done<T>>,
{
    let (mut conflicts, mut losses) = (0, 0);
    loop {
        let fault = match attempt().await {
            Ok(done) => return Ok(done),
            Err(fault) => fault,
        };
        let tries = match fault.kind {
            FaultKind::Conflict => {
                conflicts += 1;
                CONFLICTS.saturating_sub(conflicts)
            }
            FaultKind::Lost => {
                losses += 1;
                LOSSES.saturating_sub(losses)
            }
            FaultKind::InDoubt | FaultKind::Final => 0,
        };
        if tries == 0 {
            return Err(fault);
        }
        let pause = 5 << (conflicts + losses).min(7);
        tokio::time::sleep(Duration::from_millis(fastrand::u64(pause / 2..=pause))).await;
    }
}

/// All rows of a statement that is prepared once a connection.
pub(super) async fn query(on: &impl GenericClient, sql: &str, bind: &[&(dyn ToSql + Sync)]) -> Done<Vec<Row>> {
    let statement = on.prepare_cached(sql).await?;
    Ok(on.query(&statement, bind).await?)
}

/// The row of a statement that has at most one.
pub(super) async fn query_opt(on: &impl GenericClient, sql: &str, bind: &[&(dyn ToSql + Sync)]) -> Done<Option<Row>> {
    let statement = on.prepare_cached(sql).await?;
    Ok(on.query_opt(&statement, bind).await?)
}

/// The row of a statement that always has one.
pub(super) async fn query_one(on: &impl GenericClient, sql: &str, bind: &[&(dyn ToSql + Sync)]) -> Done<Row> {
    let statement = on.prepare_cached(sql).await?;
    Ok(on.query_one(&statement, bind).await?)
}

/// Runs a statement; answers how many rows it changed.
pub(super) async fn execute(on: &impl GenericClient, sql: &str, bind: &[&(dyn ToSql + Sync)]) -> Done<u64> {
    let statement = on.prepare_cached(sql).await?;
    Ok(on.execute(&statement, bind).await?)
}
