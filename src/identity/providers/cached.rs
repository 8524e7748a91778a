//! A provider's document, kept for a while. One request fetches it for all who wait; one that fails is not repeated at
//! once; and whoever finds something missing in it may have it fetched afresh, but not more often than every half
//! minute, however many strangers ask for what does not exist.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use tokio::sync::Mutex;

use super::error::ProviderError;
use crate::clock::{BootInstant, SharedClock};

/// For so long a document is used without a look at its provider.
const LIFE: Duration = Duration::from_hours(1);
/// For so long it is used while its provider cannot be asked.
const LONGEST: Duration = Duration::from_hours(24);
/// Between two requests when the first failed.
const REST: Duration = Duration::from_secs(5);
/// Between two requests for something that was missing.
const AGAIN: Duration = Duration::from_secs(30);

/// A document and its age.
#[derive(Debug)]
pub(super) struct Entry<T> {
    pub(super) value: T,
    number: u64,
    ages: BootInstant,
    dies: BootInstant,
}

#[derive(Default)]
struct Flight {
    fetched: u64,
    /// Nobody asks before this.
    rests: Option<BootInstant>,
    /// Nobody asks for something missing before this.
    again: Option<BootInstant>,
}

/// The place of one document.
pub(super) struct Cached<T> {
    current: ArcSwapOption<Entry<T>>,
    flight: Mutex<Flight>,
    clock: SharedClock,
}

impl<T> fmt::Debug for Cached<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cached")
    }
}

impl<T> Cached<T> {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self { current: ArcSwapOption::empty(), flight: Mutex::default(), clock }
    }

    /// The document, fetched where it is missing or old.
    pub(super) async fn get(
        &self,
        fetch: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<Arc<Entry<T>>, ProviderError> {
        let fresh = |now| self.current.load_full().filter(|entry| now < entry.ages);
        if let Some(entry) = fresh(self.clock.boot()) {
            return Ok(entry);
        }
        let mut flight = self.flight.lock().await;
        let now = self.clock.boot();
        if let Some(entry) = fresh(now) {
            return Ok(entry);
        }
        let fetched = match flight.rests {
            Some(rests) if now < rests => Err(ProviderError::Spared("it was not reached a moment ago")),
            _ => self.fetch(&mut flight, fetch).await,
        };
        // One that is old is better than none.
        let old = || self.current.load_full().filter(|entry| self.clock.boot() < entry.dies);
        fetched.or_else(|error| old().ok_or(error))
    }

    /// A later document than this one, which lacks something. The same when it is too soon to ask.
    pub(super) async fn later_than(
        &self,
        seen: Arc<Entry<T>>,
        fetch: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<Arc<Entry<T>>, ProviderError> {
        let mut flight = self.flight.lock().await;
        if let Some(entry) = self.current.load_full().filter(|entry| entry.number != seen.number) {
            return Ok(entry);
        }
        let now = self.clock.boot();
        if [flight.again, flight.rests].into_iter().flatten().any(|until| now < until) {
            return Ok(seen);
        }
        flight.again = Some(now.plus(AGAIN));
        self.fetch(&mut flight, fetch).await
    }

    async fn fetch(
        &self,
        flight: &mut Flight,
        fetch: impl Future<Output = Result<T, ProviderError>>,
    ) -> Result<Arc<Entry<T>>, ProviderError> {
        let asked = self.clock.boot();
        match fetch.await {
            Ok(value) => {
                flight.fetched += 1;
                flight.rests = None;
                let (ages, dies) = (asked.plus(LIFE), asked.plus(LONGEST));
                let entry = Arc::new(Entry { value, number: flight.fetched, ages, dies });
                self.current.store(Some(Arc::clone(&entry)));
                Ok(entry)
            }
            Err(error) => {
                flight.rests = Some(self.clock.boot().plus(REST));
                Err(error)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::clock::ManualClock;
    use crate::model::time::Timestamp;

    struct Bench {
        cached: Cached<u32>,
        clock: Arc<ManualClock>,
        asked: AtomicU32,
        away: std::sync::atomic::AtomicBool,
    }

    impl Bench {
        fn new() -> Self {
            let clock = ManualClock::starting_at(Timestamp::from_millis(0));
            let cached = Cached::new(clock.clone() as SharedClock);
            Self { cached, clock, asked: AtomicU32::new(0), away: false.into() }
        }

        async fn fetch(&self) -> Result<u32, ProviderError> {
            let number = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
            match self.away.load(Ordering::SeqCst) {
                true => Err(ProviderError::Away("it is not reached")),
                false => Ok(number),
            }
        }

        async fn get(&self) -> Result<Arc<Entry<u32>>, ProviderError> {
            self.cached.get(self.fetch()).await
        }

        async fn later(&self, seen: &Arc<Entry<u32>>) -> u32 {
            self.cached.later_than(seen.clone(), self.fetch()).await.unwrap().value
        }
    }

    #[tokio::test]
    async fn a_document_is_fetched_once_and_again_when_it_is_old() {
        let bench = Bench::new();
        assert_eq!(bench.get().await.unwrap().value, 1);
        assert_eq!(bench.get().await.unwrap().value, 1);
        bench.clock.advance(LIFE);
        assert_eq!(bench.get().await.unwrap().value, 2);
    }

    #[tokio::test]
    async fn strangers_cannot_have_it_fetched_all_the_time() {
        let bench = Bench::new();
        let first = bench.get().await.unwrap();
        assert_eq!(bench.later(&first).await, 2, "something was missing: once at once");
        let second = bench.get().await.unwrap();
        assert_eq!((bench.later(&first).await, bench.later(&second).await), (2, 2));
        assert_eq!(bench.asked.load(Ordering::SeqCst), 2);
        bench.clock.advance(AGAIN);
        assert_eq!(bench.later(&second).await, 3);
    }

    #[tokio::test]
    async fn an_outage_is_asked_about_now_and_then_and_the_old_one_serves() {
        let bench = Bench::new();
        bench.away.store(true, Ordering::SeqCst);
        assert!(bench.get().await.is_err() && bench.get().await.is_err());
        assert_eq!(bench.asked.load(Ordering::SeqCst), 1);
        bench.away.store(false, Ordering::SeqCst);
        bench.clock.advance(REST);
        assert_eq!(bench.get().await.unwrap().value, 2);
        bench.away.store(true, Ordering::SeqCst);
        bench.clock.advance(LIFE);
        assert_eq!(bench.get().await.unwrap().value, 2);
        bench.clock.advance(LONGEST);
        assert!(bench.get().await.is_err());
    }
}
