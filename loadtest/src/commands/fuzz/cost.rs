//! What an input may cost: time and memory by its length, whatever is in it.
use std::{fmt, time::Duration};

use rustix::time::{ClockId, clock_gettime};
use tikv_jemalloc_ctl::thread;

use crate::figures::grouped;

/// CPU of the thread, for an input of no length and for each byte.
const TIME: Duration = Duration::from_millis(25);
const TIME_A_BYTE: Duration = Duration::from_nanos(60);
/// Bytes that the thread allocates, likewise. Buffers that grow are counted at each of their sizes, so this is above what is
/// ever held at once. The dearest is a JSON array of digits, where two bytes become a value of 32 in a buffer that doubles,
/// and which a round reads in each of five formats.
const MEMORY: u64 = 24 << 20;
const MEMORY_A_BYTE: u64 = 192;

/// What the reading of one input took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Cost {
    pub time: Duration,
    pub memory: u64,
}

/// A reading of what this thread has used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meter(Cost);

impl Meter {
    pub(super) fn start() -> Self {
        Self(used())
    }

    pub(super) fn stop(self) -> Cost {
        let now = used();
        Cost { time: now.time.saturating_sub(self.0.time), memory: now.memory.saturating_sub(self.0.memory) }
    }
}

fn used() -> Cost {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let time = Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).unwrap_or(0));
    // Nothing is counted where the program has another allocator: in unit tests.
    let memory = thread::allocatedp::read().map_or(0, |bytes| bytes.get());
    Cost { time, memory }
}

impl Cost {
    /// What an input of that length may take at most.
    pub(super) fn limit(length: usize) -> Self {
        let (times, bytes) = (u32::try_from(length).unwrap_or(u32::MAX), length as u64);
        Self { time: TIME + TIME_A_BYTE * times, memory: MEMORY + MEMORY_A_BYTE * bytes }
    }

    /// Whether it is within a limit.
    pub(super) fn is_within(self, limit: Self) -> bool {
        self.time <= limit.time && self.memory <= limit.memory
    }

    /// The lesser of each.
    pub(super) fn least(self, other: Self) -> Self {
        Self { time: self.time.min(other.time), memory: self.memory.min(other.memory) }
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { time, memory } = self;
        write!(f, "{:.2} ms of CPU, {} bytes allocated", time.as_secs_f64() * 1e3, grouped(*memory))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_grow_with_the_input() {
        let (small, large) = (Cost::limit(0), Cost::limit(4 << 20));
        assert!(small.is_within(large) && !large.is_within(small));
        let slow = Cost { time: large.time * 2, memory: 1 };
        assert!(!slow.is_within(large) && slow.least(small).is_within(small));
    }
}
