//! Following what other processes change: hubs and senders.
//!
//! One number of the store tells whether there is anything to learn, so that an idle fleet costs a query of one row each
//! half second and process. It is asked for often enough that a change holds everywhere within a second.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::directory::Directory;
use crate::fanout;
use crate::store::{Store, StoreError};

/// How often the number is looked at; the rest of a second is for the reading.
const LOOK_EVERY: Duration = Duration::from_millis(500);

const CANNOT: &str = "cannot look for changes of other processes";

/// What follows.
pub(super) struct Follower {
    pub store: Arc<dyn Store>,
    pub directory: Arc<Directory>,
    pub fanout: fanout::Service,
}

impl Follower {
    /// Looks once; `seen` is the revision that is known already. Answers the one that is known now.
    pub(super) async fn look(&self, seen: Option<u64>) -> Result<u64, StoreError> {
        let revision = self.store.hubs_revision().await?;
        if seen != Some(revision) {
            self.directory.catch_up(revision).await?;
            for (hub, platform) in self.directory.take_renewed() {
                self.fanout.renew_sender(hub, platform).await;
            }
            self.fanout.learn_senders(revision, |hub| self.directory.knows(hub)).await?;
        }
        Ok(revision)
    }

    /// Looks until the stop.
    pub(super) async fn follow(self, mut seen: Option<u64>, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            match self.look(seen).await {
                Ok(revision) => {
                    seen = Some(revision);
                    self.fanout.trouble().over(CANNOT);
                }
                Err(error) => self.fanout.trouble().say(CANNOT, &error),
            }
        }
    }
}
