//! What happened on a service's connections, and the mistakes that a correct sender never makes.
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use serde::Serialize;
use tokio::sync::Notify;

/// How many faults are kept in words.
const KEPT_FAULTS: usize = 64;

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) connections_ever: AtomicU64,
    pub(crate) connections_open: AtomicU64,
    pub(crate) handshakes_failed: AtomicU64,
    pub(crate) requests: AtomicU64,
    pub(crate) cancelled: AtomicU64,
    pub(crate) pings: AtomicU64,
    pub(crate) go_aways: AtomicU64,
    pub(crate) max_open_streams: AtomicU64,
    pub(crate) refused_streams: AtomicU64,
    pub(crate) stream_limit: AtomicU64,
    pub(crate) malformed: AtomicU64,
    pub(crate) protocol: AtomicU64,
    pub(crate) payload: AtomicU64,
    faults: Mutex<Vec<String>>,
    changed: Notify,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    pub connections_ever: u64,
    pub connections_open: u64,
    pub handshakes_failed: u64,
    /// Requests whose last byte arrived, those above a GOAWAY included.
    pub requests: u64,
    /// Streams that the client reset before they were answered.
    pub cancelled: u64,
    pub pings: u64,
    /// GOAWAY frames sent by script.
    pub go_aways: u64,
    /// The most streams that one connection had open at once.
    pub max_open_streams: u64,
    /// Streams refused because of the limit; those opened before the client had seen it are no violation.
    pub refused_streams: u64,
    pub violations: Violations,
}

/// Mistakes of the sender: all zero for a correct one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Violations {
    /// Streams opened beyond a limit that the client had acknowledged.
    pub stream_limit: u64,
    /// Requests that HTTP/2 calls malformed.
    pub malformed: u64,
    /// Connections ended because of a protocol, flow-control or compression error.
    pub protocol: u64,
    /// Bodies that are not one JSON object.
    pub payload: u64,
    /// The latest faults in words.
    pub faults: Vec<String>,
}

impl Violations {
    pub fn any(&self) -> bool {
        self.stream_limit + self.malformed + self.protocol + self.payload > 0
    }
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, by: u64) {
        if by > 0 {
            counter.fetch_add(by, Ordering::Relaxed);
        }
    }

    pub(crate) fn fault(&self, text: String) {
        let mut faults = self.faults.lock();
        if faults.len() == KEPT_FAULTS {
            faults.remove(0);
        }
        faults.push(text);
    }

    /// Wakes whoever waits in [`Self::wait_until`].
    pub(crate) fn announce(&self) {
        self.changed.notify_waiters();
    }

    /// Gauges stay.
    pub(crate) fn reset(&self) {
        for counter in [
            &self.connections_ever,
            &self.handshakes_failed,
            &self.requests,
            &self.cancelled,
            &self.pings,
            &self.go_aways,
            &self.max_open_streams,
            &self.refused_streams,
            &self.stream_limit,
            &self.malformed,
            &self.protocol,
            &self.payload,
        ] {
            counter.store(0, Ordering::Relaxed);
        }
        self.faults.lock().clear();
    }

    pub(crate) fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            connections_ever: read(&self.connections_ever),
            connections_open: read(&self.connections_open),
            handshakes_failed: read(&self.handshakes_failed),
            requests: read(&self.requests),
            cancelled: read(&self.cancelled),
            pings: read(&self.pings),
            go_aways: read(&self.go_aways),
            max_open_streams: read(&self.max_open_streams),
            refused_streams: read(&self.refused_streams),
            violations: Violations {
                stream_limit: read(&self.stream_limit),
                malformed: read(&self.malformed),
                protocol: read(&self.protocol),
                payload: read(&self.payload),
                faults: self.faults.lock().clone(),
            },
        }
    }

    pub(crate) async fn wait_until(&self, mut reached: impl FnMut(&Counts) -> bool) -> Counts {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Subscribed before the look, so that a change between the two is not slept over.
            changed.as_mut().enable();
            let counts = self.counts();
            if reached(&counts) {
                return counts;
            }
            changed.await;
        }
    }
}
