//! Which parts of a configuration this build can run.
//!
//! Every key is read and checked whatever is built in, so that a file for a whole cluster can be checked anywhere; what
//! is missing is refused when the service would have to use it.

use super::{Config, ConfigError, QueueUrl, StoreUrl};

/// A part that a configuration may ask for and a build may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Tls,
    Postgres,
    Redis,
    Fcm,
    Wns,
    WebPush,
    Mobile,
    Site,
}

impl Part {
    /// Whether this build has it. The one place to change when a part is built.
    pub fn is_built(self) -> bool {
        match self {
            Self::Fcm | Self::Postgres | Self::Redis | Self::Tls | Self::WebPush | Self::Wns => true,
            Self::Mobile | Self::Site => false,
        }
    }

    fn missing(self, key: impl Into<String>, got: &str) -> Option<ConfigError> {
        let rule = match self {
            Self::Tls => "must be absent: this build has no TLS listener",
            Self::Postgres => "must be sqlite:PATH: this build has no PostgreSQL store",
            Self::Redis => "must be memory:: this build has no Redis queue",
            Self::Fcm | Self::Wns | Self::WebPush => "must be absent: this build has no sender for it",
            Self::Mobile => "must be absent: this build has no table and auth API",
            Self::Site => "must be absent: this build serves no static files",
        };
        (!self.is_built()).then(|| ConfigError::new(key, rule, got))
    }
}

impl Config {
    /// Refuses the first thing that is asked for and not built; for `serve`.
    pub fn require_built(&self) -> Result<(), ConfigError> {
        self.missing().into_iter().next().map_or(Ok(()), Err)
    }

    /// Everything that is asked for and not built, in the order of the file's sections.
    pub fn missing(&self) -> Vec<ConfigError> {
        let mut missing = Vec::new();
        if self.server.tls.is_some() {
            missing.extend(Part::Tls.missing("server.tls", "a section"));
        }
        if let StoreUrl::Postgres(url) = &self.store.url {
            missing.extend(Part::Postgres.missing("store.url", &url.to_string()));
        }
        if let QueueUrl::Redis(url) | QueueUrl::Sentinel(url) | QueueUrl::Cluster(url) = &self.queue.url {
            missing.extend(Part::Redis.missing("queue.url", &url.to_string()));
        }
        for (name, hub) in &self.hubs {
            let asked = [
                ("fcm", hub.fcm.is_some(), Part::Fcm),
                ("wns", hub.wns.is_some(), Part::Wns),
                ("web_push", hub.web_push.is_some(), Part::WebPush),
            ];
            for (gateway, _, part) in asked.into_iter().filter(|(_, is_asked, _)| *is_asked) {
                missing.extend(part.missing(super::section::dotted(&["hubs", name, gateway]), "a section"));
            }
        }
        if self.mobile.is_some() {
            missing.extend(Part::Mobile.missing("mobile", "a section"));
        }
        if self.site.is_some() {
            missing.extend(Part::Site.missing("site", "a section"));
        }
        missing
    }
}
