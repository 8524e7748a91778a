//! The tokens of a rate that all processes share: leased from the queue in slices, a little ahead of their use.
//!
//! A slice is what this process may send of the rate in a tenth of a second, if all workers send alike. The next one is
//! asked for when half of the last is used, so sending does not wait for the queue. The queue grants slices in the order
//! of asking, for later when they are not due yet; so the sum over all processes keeps the rate, and it stays even.
//!
//! When the queue is away this process goes on with its last known share: the rate divided by the workers.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::clock::{BootInstant, SharedClock};
use crate::queue::{Paced, Queue};

/// The part of a second that a slice is for, over all workers.
const SLICE: f64 = 0.1;

/// When to look again for a slice that was asked for: an answer takes about this long.
const ANSWER: Duration = Duration::from_millis(2);

/// What this process shares its rates with.
#[derive(Clone, Default)]
pub(in crate::fanout) struct Fleet(Option<Arc<dyn Queue>>);

impl fmt::Debug for Fleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Fleet").field(&self.0.as_ref().map(|queue| queue.workers())).finish()
    }
}

impl Fleet {
    /// The processes that share this queue. One within the process shares nothing, and costs nothing.
    pub(in crate::fanout) fn of(queue: &Arc<dyn Queue>) -> Self {
        Self(queue.is_shared().then(|| queue.clone()))
    }

    /// Where tokens of a rate come from; `None` when this process has the rate to itself.
    pub(super) fn supply(&self, of: Paced, clock: SharedClock) -> Option<Supply> {
        let queue = self.0.clone()?;
        Some(Supply { queue, of, clock, stock: Arc::default() })
    }
}

/// Tokens of one rate.
pub(super) struct Supply {
    queue: Arc<dyn Queue>,
    of: Paced,
    clock: SharedClock,
    stock: Arc<Mutex<Stock>>,
}

#[derive(Debug, Default)]
struct Stock {
    lots: VecDeque<Lot>,
    /// A slice was asked for and has not come.
    asked: bool,
    /// Counts changes of the rate: a slice of the rate before is of no use.
    era: u64,
    /// Until when all that was granted so far lasts, at this process' own share.
    lasts: BootInstant,
}

#[derive(Debug)]
struct Lot {
    tokens: u32,
    from: BootInstant,
}

impl fmt::Debug for Supply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supply").field("of", &self.of).field("stock", &self.stock.lock()).finish_non_exhaustive()
    }
}

impl Supply {
    /// How many workers share the rate.
    #[expect(clippy::cast_precision_loss, reason = "a few workers")]
    pub(super) fn workers(&self) -> f64 {
        self.queue.workers() as f64
    }

    /// How many tokens may be used now, or how long to wait for some.
    pub(super) fn ready(&self, per_second: f64) -> Result<u32, Duration> {
        let now = self.clock.boot();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "positive; `as` saturates")]
        let slice = ((per_second * SLICE / self.workers()) as u32).max(1);
        let mut stock = self.stock.lock();
        if !stock.asked && stock.lots.iter().map(|lot| lot.tokens).sum::<u32>() <= slice / 2 {
            stock.asked = true;
            self.ask(per_second, slice, stock.era);
        }
        let ready = stock.lots.iter().take_while(|lot| lot.from <= now).map(|lot| lot.tokens).sum();
        if ready > 0 {
            return Ok(ready);
        }
        Err(stock.lots.front().map_or(ANSWER, |lot| lot.from.after(now)))
    }

    /// Uses up tokens that were ready.
    pub(super) fn used(&self, mut tokens: u32) {
        let mut stock = self.stock.lock();
        while let Some(lot) = stock.lots.front_mut() {
            let some = tokens.min(lot.tokens);
            (lot.tokens, tokens) = (lot.tokens - some, tokens - some);
            if lot.tokens > 0 {
                return;
            }
            stock.lots.pop_front();
        }
    }

    /// The rate changed.
    pub(super) fn reset(&self) {
        let mut stock = self.stock.lock();
        stock.lots.clear();
        stock.era += 1;
        stock.lasts = BootInstant::default();
    }

    fn ask(&self, per_second: f64, tokens: u32, era: u64) {
        let (queue, of, clock, stock) = (self.queue.clone(), self.of, self.clock.clone(), self.stock.clone());
        let share = Duration::from_secs_f64(f64::from(tokens) * self.workers() / per_second);
        tokio::spawn(async move {
            let slice = queue.lease_tokens(of, per_second, tokens).await;
            let now = clock.boot();
            let mut stock = stock.lock();
            stock.asked = false;
            if stock.era != era {
                return;
            }
            let (tokens, from) = match slice {
                Ok(slice) => (slice.tokens, now.plus(slice.after)),
                Err(_) => (tokens, stock.lasts.max(now)),
            };
            stock.lasts = from.plus(share);
            stock.lots.push_back(Lot { tokens, from });
        });
    }
}
