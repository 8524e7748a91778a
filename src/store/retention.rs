//! How long what is over is kept.

use std::time::Duration;

/// How long finished broadcasts are kept (`[retention]`).
#[derive(Clone, Copy, Debug)]
pub struct Retention {
    /// Broadcasts with set rows, counted from their end.
    pub large: Duration,
    /// Broadcasts that were planned inline.
    pub small: Duration,
}

impl Default for Retention {
    fn default() -> Self {
        Self { large: Duration::from_secs(30 * 86_400), small: Duration::from_secs(86_400) }
    }
}
