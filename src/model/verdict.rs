//! What one gateway answer means for one target (`specs/push-services.md` section 0).

use std::borrow::Cow;
use std::fmt;
use std::time::Duration;

use super::time::Timestamp;

/// The word that a push service gave for its answer, or ours where it gave none. Known words cost nothing; an unknown
/// one is kept as it came, because a closed list would lose it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(Cow<'static, str>);

impl Reason {
    /// The longest text that is kept of a foreign reason, in bytes.
    const LONGEST: usize = 120;

    /// A reason known when this was written.
    pub const fn known(text: &'static str) -> Self {
        Self(Cow::Borrowed(text))
    }

    /// A reason as a service sent it: cut to 120 bytes, control characters replaced, so that it can stand in a log.
    pub fn foreign(text: &str) -> Self {
        let mut kept: String = text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
        if kept.len() > Self::LONGEST {
            let cut = (0..=Self::LONGEST).rev().find(|at| kept.is_char_boundary(*at)).unwrap_or(0);
            kept.truncate(cut);
        }
        Self(Cow::Owned(kept))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// How far a THROTTLE reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ThrottleScope {
    /// This target alone: a device, topic or channel.
    Target,
    /// One connection; the others go on.
    Connection,
    /// All that the hub sends through this gateway.
    Project,
}

/// What an answer means. The names are those of the specification's action classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The service accepted the message.
    Delivered,
    /// The address is dead, since the service's own timestamp where it gives one.
    DropToken { since: Option<Timestamp> },
    /// The address may live, but not for this environment, app or project.
    EnvMismatch,
    /// Our request is wrong. `for_all`: it would be for every target of this broadcast and platform, so that a few
    /// equal answers condemn the rest; not set for unknown reasons and for `BadPath` (0.4).
    FixRequest { for_all: bool },
    /// The service refuses this one message for good (WNS `dropped`).
    Refused,
    /// Key, certificate, topic or project set-up. The sender pauses; the target waits.
    Credentials,
    /// Too fast for that scope; `after` is the service's own delay.
    Throttle { scope: ThrottleScope, after: Option<Duration> },
    /// A passing fault of the service; the message was not accepted.
    Retry { after: Option<Duration> },
    /// The connection failed; this request was surely not processed.
    ConnSafe,
    /// The connection failed; this request may have been processed.
    ConnAmbiguous,
}

impl Verdict {
    /// The label that metrics carry.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Delivered => "delivered",
            Self::DropToken { .. } => "drop_token",
            Self::EnvMismatch => "env_mismatch",
            Self::FixRequest { .. } => "fix_request",
            Self::Refused => "refused",
            Self::Credentials => "credentials",
            Self::Throttle { .. } => "throttle",
            Self::Retry { .. } => "retry",
            Self::ConnSafe => "conn_safe",
            Self::ConnAmbiguous => "conn_ambiguous",
        }
    }

    /// Whether this is an answer about the address that speaks for mass invalidation (0.3).
    pub const fn condemns_address(&self) -> bool {
        matches!(self, Self::DropToken { since: None } | Self::EnvMismatch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_reasons_are_cut_at_a_character_and_cleaned() {
        let long = "é".repeat(100);
        assert_eq!(Reason::foreign(&long).as_str().len(), 120);
        assert_eq!(Reason::foreign("a\nb").as_str(), "a\u{fffd}b");
    }
}
