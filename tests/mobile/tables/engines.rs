//! The engines that tables are on: what clients see must be the same.

use std::sync::atomic::{AtomicU32, Ordering};

use loadtest::servers::postgres::{Postgres, PostgresOptions};

use super::*;

/// A PostgreSQL server of this test's own, with a database for each world. No test here cuts its power.
pub struct Server {
    postgres: Postgres,
    databases: AtomicU32,
}

impl Server {
    pub async fn start() -> Self {
        let settings = ["fsync = off", "full_page_writes = off", "shared_buffers = 64MB"].map(str::to_owned).to_vec();
        let start = || Postgres::start_with(&PostgresOptions { settings, inside: None }).unwrap();
        let postgres = tokio::task::spawn_blocking(start).await.unwrap();
        Self { postgres, databases: AtomicU32::new(0) }
    }

    /// The address of a new database.
    pub fn database(&self) -> String {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        self.postgres.database(&format!("world_{number}")).unwrap()
    }
}

/// Plays a test with the tables of the record on each engine.
pub async fn on_both(play: impl AsyncFn(World)) {
    play(world().await).await;
    let server = Server::start().await;
    play(world_over(Some(server.database())).await).await;
}
