//! What a simulated service does beside verifying: answers, latency, faults. Written in TOML or JSON, or built in Rust;
//! it can be changed while connections are open.
//!
//! ```toml
//! seed = 7
//! latency_ms = { min = 5, max = 20 }          # or one number
//! mix = [                                     # drawn for each request that no rule matches
//!   { weight = 97, act = { answer = { status = 200 } } },
//!   { weight = 2, act = { answer = { status = 410, reason = "Unregistered" } } },
//!   { weight = 1, act = { reset = { code = "REFUSED_STREAM" } } },
//! ]
//! [[rules]]                                   # the first that matches decides
//! when = { token_prefix = "00ff" }
//! act = { answer = { status = 400, reason = "BadDeviceToken" } }
//! [[rules]]
//! when = { every = 1000 }
//! act = { stall = { accepted = true } }
//! [[events]]                                  # on each connection, after so many requests
//! after = 5000
//! act = { go_away = { lag = 10, reason = "Shutdown" } }
//! [quota]                                     # before all rules
//! requests = 10000
//! per_ms = 1000
//! beyond = { answer = { status = 429, reason = "QUOTA_EXCEEDED", retry_after = "2" } }
//! ```
use serde::{Deserialize, Serialize};

use super::answer::Answer;
use crate::http2::ErrorCode;

mod active;

pub(crate) use active::ActiveScript;

/// The default script accepts everything at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Script {
    /// Of `mix` and of a latency range: the same seed and the same order of requests draw the same.
    pub seed: u64,
    pub latency_ms: Latency,
    pub rules: Vec<Rule>,
    pub mix: Vec<Share>,
    /// What `mix` is drawn by.
    pub draw: Draw,
    pub events: Vec<Event>,
    /// After a 4xx answer other than 410 the stream limit falls to 1, and rises again with the next 200.
    pub cut_streams_on_error: bool,
    /// What becomes of new connections; absent = they are served.
    pub refuse_connections: Option<Refusal>,
    /// How many requests the service takes at most; absent = all that come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

/// Over all connections. A span begins with the first request after the last one ended; those beyond the quota do not
/// use it up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub requests: u64,
    /// Length of a span, milliseconds.
    pub per_ms: u64,
    /// What those beyond it get.
    pub beyond: Act,
}

/// Milliseconds from a request to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Latency {
    Fixed(u64),
    /// Evenly distributed, both ends included.
    Range {
        min: u64,
        max: u64,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Self::Fixed(0)
    }
}

/// By what a draw from `mix` is decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Draw {
    /// By the number of the request: a retry draws again.
    #[default]
    Request,
    /// By the token: a device answers the same each time, in every order of requests.
    Token,
}

/// An act for the requests that match.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    #[serde(default)]
    pub when: When,
    pub act: Act,
    /// The rule is spent after so many matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
}

/// All that are given must hold; none given matches every request. Requests are counted from 1, over all connections,
/// from when the script was set; those that failed verification are not counted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Lower-case hex digits that the token begins with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_prefix: Option<String>,
    /// Exactly this request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nth: Option<u64>,
    /// Each request whose number is a multiple.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Only requests with a number up to this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub up_to: Option<u64>,
}

/// One line of the mix.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Relative to the sum of all weights.
    pub weight: u32,
    pub act: Act,
}

/// What becomes of one request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Act {
    Answer(Answer),
    /// RST_STREAM. `accepted`: the device got the push all the same.
    Reset {
        code: ErrorCode,
        #[serde(default)]
        accepted: bool,
    },
    /// Taken, never answered; the stream stays open. `accepted` as above.
    Stall {
        #[serde(default)]
        accepted: bool,
    },
}

/// Something that happens to a connection.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// When that many requests have arrived on the connection since the script was set, or since the connection began;
    /// with 0 at once.
    #[serde(default)]
    pub after: u64,
    /// At most so many times, over all connections; absent = on each connection, once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    pub act: ConnectionAct,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ConnectionAct {
    GoAway(GoAway),
    /// TLS close and FIN; open streams stay unanswered.
    Close,
    /// TCP reset; open streams stay unanswered.
    Abort,
    /// No WINDOW_UPDATE for so many milliseconds; absent = ever.
    HoldWindows {
        for_ms: Option<u64>,
    },
    /// Another SETTINGS_MAX_CONCURRENT_STREAMS.
    LimitStreams(u32),
    /// Neither reads nor writes for so many milliseconds (absent = ever): a peer that is gone without a word.
    Freeze {
        for_ms: Option<u64>,
    },
    /// Goes on reading, acknowledges PING, answers no request any more: they are judged and booked as stalled.
    Mute,
}

/// GOAWAY with `last_stream_id` = the last request that was processed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GoAway {
    /// The last so many of the requests before it are not processed: they lie above `last_stream_id`, get no answer and
    /// leave no receipt.
    pub lag: u64,
    /// Sent as `{"reason":"…"}` in the debug data.
    pub reason: Option<String>,
    /// Absent = NO_ERROR.
    pub code: Option<ErrorCode>,
    /// In two steps (RFC 9113 section 6.8): GOAWAY with the highest possible id first, the real one so many
    /// milliseconds later.
    pub notice_ms: Option<u64>,
    pub then: Afterwards,
}

/// After the last GOAWAY.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Afterwards {
    /// Answers what it promised, then closes.
    #[default]
    Drain,
    /// Answers what it promised and stays open, as sessions that libraries mistake for usable ones do.
    Stay,
    /// Closes at once, promised answers unsent.
    Close,
    /// TCP reset at once.
    Abort,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// TCP reset before TLS.
    Reset,
    /// FIN before TLS.
    Close,
    /// Accepted, and never a byte.
    Silence,
}

impl Script {
    pub fn new() -> Self {
        Self::default()
    }

    /// Every answer after `millis`, unless an answer has a delay of its own.
    #[must_use]
    pub fn latency(mut self, millis: u64) -> Self {
        self.latency_ms = Latency::Fixed(millis);
        self
    }

    /// Every request gets this act, unless an earlier rule matches.
    #[must_use]
    pub fn always(self, act: Act) -> Self {
        self.rule(When::default(), act)
    }

    #[must_use]
    pub fn rule(mut self, when: When, act: Act) -> Self {
        self.rules.push(Rule { when, act, times: None });
        self
    }

    /// As [`Self::rule`], for the first `times` matches.
    #[must_use]
    pub fn rule_times(mut self, times: u64, when: When, act: Act) -> Self {
        self.rules.push(Rule { when, act, times: Some(times) });
        self
    }

    /// Tokens that begin with these hex digits get this act.
    #[must_use]
    pub fn token(self, prefix: &str, act: Act) -> Self {
        self.rule(When { token_prefix: Some(prefix.to_ascii_lowercase()), ..When::default() }, act)
    }

    /// The n-th request, counted from 1, gets this act.
    #[must_use]
    pub fn nth(self, nth: u64, act: Act) -> Self {
        self.rule(When { nth: Some(nth), ..When::default() }, act)
    }

    /// At most so many requests a second; those beyond get this act.
    #[must_use]
    pub fn quota(mut self, requests: u64, beyond: Act) -> Self {
        self.quota = Some(Quota { requests, per_ms: 1_000, beyond });
        self
    }

    #[must_use]
    pub fn share(mut self, weight: u32, act: Act) -> Self {
        self.mix.push(Share { weight, act });
        self
    }

    /// On each connection, after so many requests.
    #[must_use]
    pub fn event(mut self, after: u64, act: ConnectionAct) -> Self {
        self.events.push(Event { after, times: None, act });
        self
    }

    /// On the first `times` connections that come to so many requests.
    #[must_use]
    pub fn event_times(mut self, times: u64, after: u64, act: ConnectionAct) -> Self {
        self.events.push(Event { after, times: Some(times), act });
        self
    }
}

impl Act {
    /// An answer other than 200.
    pub fn refuse(status: u16, reason: &str) -> Self {
        Self::Answer(Answer::refused(status, reason))
    }
}

#[cfg(test)]
mod tests;
