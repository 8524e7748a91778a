//! Opening what callers packed under a password ([`pkcs12`](crate::gateway::pkcs12)): a file says itself how much work its
//! password takes, and one that is made for it takes minutes. So it is done beside the threads that answer requests, a few
//! at once, and nobody waits for long.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::error::ApiError;
use crate::gateway::pkcs12::{Opened, Packed};
use crate::model::field::FieldError;

/// Files that are opened at once: an honest one takes milliseconds.
const AT_ONCE: usize = 2;

/// How long one may take, and how long another waits for its turn.
const PATIENCE: Duration = Duration::from_secs(10);

/// Where files are opened.
#[derive(Debug)]
pub struct Unpacking {
    slots: Arc<Semaphore>,
    patience: Duration,
}

impl Default for Unpacking {
    fn default() -> Self {
        Self::with(AT_ONCE, PATIENCE)
    }
}

impl Unpacking {
    fn with(at_once: usize, patience: Duration) -> Self {
        Self { slots: Arc::new(Semaphore::new(at_once)), patience }
    }

    /// Opens what there is to open. What takes too long is the file's fault; it keeps its place until it ends, so that no
    /// caller holds more threads than there are places.
    pub async fn open(&self, packed: Option<Packed>) -> Result<Option<Opened>, ApiError> {
        let Some(packed) = packed else { return Ok(None) };
        self.run(packed.file_field, move || packed.open()).await.map(Some)
    }

    async fn run<T: Send + 'static>(
        &self,
        field: &'static str,
        work: impl FnOnce() -> Result<T, FieldError> + Send + 'static,
    ) -> Result<T, ApiError> {
        let slot = timeout(self.patience, Arc::clone(&self.slots).acquire_owned()).await;
        let slot = slot.map_err(|_| ApiError::overloaded())?.map_err(ApiError::internal)?;
        let work = tokio::task::spawn_blocking(move || {
            let _slot = slot;
            work()
        });
        let done = timeout(self.patience, work).await;
        let done = done.map_err(|_| FieldError::new(field, "must be a file that opens within 10 seconds"))?;
        Ok(done.map_err(ApiError::internal)??)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_is_refused_and_keeps_its_place_until_it_ends() {
        let place = Unpacking::with(1, Duration::from_millis(20));
        let (go, wait) = mpsc::channel::<()>();
        let slow = place.run("file", move || Ok(wait.recv().is_ok())).await.unwrap_err();
        assert!(slow.inner_text().starts_with("file must be a file that opens"), "{}", slow.inner_text());
        let behind = place.run("file", || Ok(())).await.unwrap_err();
        assert!(behind.inner_text().contains("try again"), "{}", behind.inner_text());
        go.send(()).unwrap();
        let patient = Unpacking { patience: Duration::from_secs(60), ..place };
        assert!(patient.run("file", || Ok(7)).await.is_ok_and(|done| done == 7));
        let own = patient.run("file", || Err::<(), _>(FieldError::new("file", "must be whole"))).await.unwrap_err();
        assert_eq!(own.inner_text(), "file must be whole");
    }
}
