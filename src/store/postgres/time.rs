//! Whose clock leases, due times and expiries go by.

use deadpool_postgres::GenericClient;

use super::error::Done;
use super::pool::query_one;
use crate::clock::SharedClock;
use crate::model::time::Timestamp;

/// Whose clock everything in the store goes by.
#[derive(Clone, Debug)]
pub enum Time {
    /// The database's: one clock for all nodes, however theirs are set.
    Database,
    /// A clock that a test turns by hand.
    Given(SharedClock),
}

/// Milliseconds since 1970 by the database's clock, as part of any statement.
pub(super) const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint";

/// The same at the beginning of the statement, before anything that it waited for.
pub(super) const STATEMENT_TIME: &str = "(extract(epoch FROM statement_timestamp()) * 1000)::bigint";

impl Time {
    /// The time that counts where a statement said what the database's clock shows.
    pub(super) fn of(&self, database: Timestamp) -> Timestamp {
        match self {
            Self::Given(clock) => clock.now(),
            Self::Database => database,
        }
    }

    /// The time now. Over the database's clock it is a statement of its own, which the driver sends together with those
    /// that are polled beside it.
    pub(super) async fn now(&self, on: &impl GenericClient) -> Done<Timestamp> {
        match self {
            Self::Given(clock) => Ok(clock.now()),
            Self::Database => {
                let row = query_one(on, &format!("SELECT {NOW}"), &[]).await?;
                Ok(Timestamp::from_millis(row.try_get(0)?))
            }
        }
    }
}
