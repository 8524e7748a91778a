//! The same notifications through several senders to one receiver, in one run: what each costs, and how the others stand
//! to h2load.
//!
//! Absolute figures drift on a shared machine, ratios within a run hold (figures.md). So the senders take turns, round by
//! round, the receiver on one core and the sender on another, and medians are told with their least and most.
//!
//! - [`senders`]: who sends. Each is a process of its own, so that its CPU is its own.
//! - [`receiver`]: what they send to: the lean sink, or nginx.
//! - [`process`]: processes bound to a core, with their output and their CPU.
//! - [`sheet`]: what came out.
pub mod process;
pub mod receiver;
pub mod senders;
pub mod sheet;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::{Deserialize, Serialize};

/// The body of every request: 250 bytes.
pub const BODY: &str = concat!(
    r#"{"aps":{"alert":{"title":"Fanfare","body":""#,
    "One notification of two hundred and fifty bytes, as an app which has something to say would send it: ",
    "not too long, nor too short, so that the way is measured and not the load.",
    r#""},"sound":"default","badge":1}}"#,
);

/// What one sender is to do; a child process and a script read it as JSON.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Task {
    /// `https://127.0.0.1:PORT`
    pub endpoint: String,
    pub host: String,
    pub port: u16,
    pub ca_file: PathBuf,
    pub topic: String,
    pub team_id: String,
    pub key_id: String,
    pub key_file: PathBuf,
    /// The value of `authorization`, for senders that do not sign.
    pub authorization: String,
    pub body: String,
    /// Tokens in hex, for senders that cannot compute them: they are used in turn.
    pub tokens: Vec<String>,
    /// Of the tokens.
    pub seed: u64,
    pub connections: usize,
    /// Requests in flight on each connection.
    pub streams: usize,
    /// Requests before the measured ones: connections are open and tables filled then.
    pub warm_up: u64,
    pub requests: u64,
}

/// What a sender says of its measured requests.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// User and system time of the process.
    pub cpu_micros: u64,
    pub wall_micros: u64,
    /// Requests by what came of them, the warm-up's included.
    pub outcomes: BTreeMap<String, u64>,
}

/// The outcome that requests should have.
pub const DELIVERED: &str = "delivered";

impl Done {
    pub(crate) fn new(cpu: Duration, wall: Duration, outcomes: BTreeMap<String, u64>) -> Self {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
        Self { cpu_micros: micros(cpu), wall_micros: micros(wall), outcomes }
    }
}

/// CPU time of this process, and the time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    cpu: Duration,
    wall: tokio::time::Instant,
}

impl Reading {
    pub(crate) fn now() -> Self {
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let cpu = Duration::new(cpu.tv_sec.unsigned_abs(), u32::try_from(cpu.tv_nsec).unwrap_or(0));
        Self { cpu, wall: tokio::time::Instant::now() }
    }

    pub(crate) fn done(self, outcomes: BTreeMap<String, u64>) -> Done {
        let now = Self::now();
        Done::new(now.cpu.saturating_sub(self.cpu), now.wall.duration_since(self.wall), outcomes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_body_has_250_bytes_of_json() {
        assert_eq!(BODY.len(), 250);
        assert!(serde_json::from_str::<serde_json::Value>(BODY).unwrap().is_object());
    }
}
