//! Times and sizes of a gateway that sends with a library client.

use std::time::Duration;

/// Times and sizes; the defaults are those of `push-services.md` 0.5.
#[derive(Clone, Debug)]
pub struct Tuning {
    /// Requests open at once; over HTTP/1.1 as many connections, since each carries one request at a time.
    pub in_flight: usize,
    /// How often stop flags and deadlines are looked at while anything waits.
    pub tick: Duration,
    /// Name, TCP and TLS together.
    pub open_timeout: Duration,
    /// A request without its answer for so long is given up.
    pub hard_timeout: Duration,
    /// A connection that carries nothing for so long is closed.
    pub idle: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            in_flight: 256,
            tick: Duration::from_millis(100),
            open_timeout: Duration::from_secs(10),
            hard_timeout: Duration::from_secs(60),
            idle: Duration::from_secs(60),
        }
    }
}
