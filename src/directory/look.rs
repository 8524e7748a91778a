//! A look at the store for a request that names a hub or a key that is not known here.
//!
//! Another process may have made it a moment ago: a client that was told so there must not be refused here. Anybody can
//! send such requests, so looks are bounded whatever comes: one after the other with a rest in between, shared by all
//! who wait for it, and so many may wait; each is one query for a number. What is refused is answered a little later for
//! it, which disturbs only those who guess.

use std::time::Duration;

use tokio::sync::{Mutex, Semaphore};
use tokio::time::Instant;

use super::Directory;
use crate::store::StoreError;

/// Between two looks.
const REST: Duration = Duration::from_millis(200);
/// Requests that may wait for one; the others are answered by what is known.
const WAITING: usize = 256;

#[derive(Debug)]
pub(super) struct Looking {
    room: Semaphore,
    /// When the last look began.
    last: Mutex<Option<Instant>>,
}

impl Default for Looking {
    fn default() -> Self {
        Self { room: Semaphore::new(WAITING), last: Mutex::default() }
    }
}

impl Directory {
    /// Returns when everything is known that other processes changed before the call, unless too many ask. An error says
    /// that the store cannot be asked, so that nobody knows.
    pub async fn look(&self) -> Result<(), StoreError> {
        let Some(looking) = &self.looking else { return Ok(()) };
        let Ok(_room) = looking.room.try_acquire() else { return Ok(()) };
        let came = Instant::now();
        let mut last = looking.last.lock().await;
        match *last {
            // Somebody looked while this one waited.
            Some(began) if began > came => return Ok(()),
            Some(began) => tokio::time::sleep_until(began + REST).await,
            None => {}
        }
        *last = Some(Instant::now());
        self.refresh().await
    }
}
