//! The queue that the configuration names.

use std::sync::Arc;

use super::StartError;
use crate::clock::SharedClock;
use crate::config::{Config, ConfigError, QueueUrl};
use crate::queue::Queue;
use crate::queue::memory::MemoryQueue;
use crate::queue::redis::{RedisQueue, Tuning};

/// Opens the queue. A Redis that is away now is no failure: accepted broadcasts wait, and readiness says so.
pub(super) fn open_queue(config: &Config, clock: SharedClock) -> Result<Arc<dyn Queue>, StartError> {
    match &config.queue.url {
        QueueUrl::Memory => Ok(Arc::new(MemoryQueue::new(clock))),
        QueueUrl::Redis(url) | QueueUrl::Sentinel(url) | QueueUrl::Cluster(url) => {
            let opened = RedisQueue::open(url, clock, Tuning::default());
            let queue = opened.map_err(|error| ConfigError {
                key: "queue.url".to_owned(),
                rule: error.0,
                got: url.to_string(),
            })?;
            Ok(Arc::new(queue))
        }
    }
}
