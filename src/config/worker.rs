//! `[worker]`, `[limits]` and `[retention]`: numbers, each with the range in which the service keeps its promises.

use super::{error::ConfigError, rate::Rates, section::Section};
use serde::Serialize;

#[derive(Debug, Clone, Serialize)]
pub struct WorkerConfig {
    /// Cores that send; 0 = half of them, at least one. See [`WorkerConfig::threads_on`].
    pub sending_threads: u32,
    pub transport: Transport,
    /// Per hub and gateway, in each process.
    pub shards_in_flight: u32,
    /// Per shard, the most targets handed to a gateway whose outcome is not yet recorded; the most that a crash repeats.
    pub checkpoint_every: u32,
    pub lease_seconds: u32,
    /// Answers that cost an attempt before a target is given up.
    pub max_attempts: u32,
}

/// How the delivery engine speaks HTTP/2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// Pre-encoded frames on connections that the sending cores own.
    Frames,
    /// The `h2` crate: slower, and written by other hands.
    H2,
}

impl WorkerConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&[
            "sending_threads",
            "transport",
            "shards_in_flight",
            "checkpoint_every",
            "lease_seconds",
            "max_attempts",
        ])?;
        Ok(Self {
            // A fixed bound, not this machine's cores: the file is often checked on another machine than it runs on.
            sending_threads: s.integer("sending_threads", 0, 0..=256)?,
            transport: s.choice(
                "transport",
                Transport::Frames,
                &[("frames", Transport::Frames), ("h2", Transport::H2)],
            )?,
            shards_in_flight: s.integer("shards_in_flight", 4, 1..=1024)?,
            checkpoint_every: s.integer("checkpoint_every", 2048, 1..=1_000_000)?,
            lease_seconds: s.integer("lease_seconds", 30, 1..=3600)?,
            max_attempts: s.integer("max_attempts", 8, 1..=100)?,
        })
    }

    /// How many cores send on a machine with this many.
    pub fn threads_on(&self, cores: usize) -> usize {
        match self.sending_threads {
            0 => (cores / 2).max(1),
            n => n as usize,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
pub struct LimitsConfig {
    pub body_bytes: usize,
    pub tags_per_installation: usize,
    /// Characters of one tag.
    pub tag_length: usize,
    pub templates_per_installation: usize,
    pub expression_terms: usize,
    pub expression_depth: usize,
    pub import_line_bytes: usize,
    #[serde(flatten)]
    pub rates: Rates,
}

impl LimitsConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        let mut known = vec![
            "body_bytes",
            "tags_per_installation",
            "tag_length",
            "templates_per_installation",
            "expression_terms",
            "expression_depth",
            "import_line_bytes",
        ];
        known.extend(Rates::keys());
        s.only(&known)?;
        Ok(Self {
            body_bytes: integer(s, "body_bytes", 4_194_304, 1024, 1_073_741_824)?,
            tags_per_installation: integer(s, "tags_per_installation", 1000, 1, 100_000)?,
            tag_length: integer(s, "tag_length", 120, 1, 1024)?,
            templates_per_installation: integer(s, "templates_per_installation", 100, 1, 10_000)?,
            expression_terms: integer(s, "expression_terms", 10_000, 1, 1_000_000)?,
            // Depth is stack in every walk over an expression.
            expression_depth: integer(s, "expression_depth", 64, 1, 256)?,
            import_line_bytes: integer(s, "import_line_bytes", 65_536, 256, 16_777_216)?,
            rates: Rates::read(s)?,
        })
    }
}

fn integer(s: &Section<'_>, key: &str, default: usize, least: usize, most: usize) -> Result<usize, ConfigError> {
    s.integer(key, default, least..=most)
}

#[derive(Debug, Clone, Serialize)]
pub struct RetentionConfig {
    pub broadcast_days: u32,
    /// For broadcasts that were planned inline.
    pub small_hours: u32,
    /// 0 = no bound; else the oldest finished broadcasts go first.
    pub max_gigabytes: u32,
}

impl RetentionConfig {
    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        s.only(&["broadcast_days", "small_hours", "max_gigabytes"])?;
        Ok(Self {
            broadcast_days: s.integer("broadcast_days", 30, 1..=3650)?,
            small_hours: s.integer("small_hours", 24, 1..=87_600)?,
            max_gigabytes: s.integer("max_gigabytes", 0, 0..=1_000_000)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_the_cores_send_unless_told() {
        let worker = |sending_threads| WorkerConfig {
            sending_threads,
            transport: Transport::Frames,
            shards_in_flight: 4,
            checkpoint_every: 2048,
            lease_seconds: 30,
            max_attempts: 8,
        };
        assert_eq!([1, 2, 3, 8].map(|cores| worker(0).threads_on(cores)), [1, 1, 1, 4]);
        assert_eq!(worker(3).threads_on(2), 3);
    }
}
