//! What is paced over a whole fleet, and the slices in which its tokens are leased.

use std::fmt;
use std::time::Duration;

use crate::model::id::{BroadcastId, HubId};
use crate::model::platform::Platform;

/// Whose rate it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Paced {
    Broadcast(BroadcastId),
    /// A hub's sender, over all its broadcasts.
    Sender(HubId, Platform),
}

impl fmt::Display for Paced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broadcast(id) => write!(f, "broadcast.{id}"),
            Self::Sender(hub, platform) => write!(f, "sender.{hub}.{platform}"),
        }
    }
}

/// Tokens that one process may use, and from when on. They are already counted against the rate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    pub tokens: u32,
    pub after: Duration,
}
