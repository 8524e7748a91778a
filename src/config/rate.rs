//! How often one key may ask for what: an action has its keys, defaults and message here and nowhere else.

use super::{error::ConfigError, section::Section};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// What a request asks for, as far as rates go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Writing or deleting an installation; an import counts as one.
    Registrations,
    /// Accepting a broadcast, dry runs among them.
    Broadcasts,
    /// Reading and counting; a stream counts as one.
    Reads,
    /// Everything else: settings of hubs, keys, control of broadcasts.
    Changes,
}

impl Action {
    pub const ALL: [Self; 4] = [Self::Registrations, Self::Broadcasts, Self::Reads, Self::Changes];

    /// The keys in `[limits]`: requests a second, and how many may come at once.
    pub const fn keys(self) -> (&'static str, &'static str) {
        match self {
            Self::Registrations => ("registrations_per_second", "registrations_burst"),
            Self::Broadcasts => ("broadcasts_per_second", "broadcasts_burst"),
            Self::Reads => ("reads_per_second", "reads_burst"),
            Self::Changes => ("changes_per_second", "changes_burst"),
        }
    }

    /// Rate and burst unless configured: against a caller that runs away, not a price list. Apps share one key to
    /// register with, so that rate is none.
    pub const fn default_rate(self) -> Rate {
        match self {
            Self::Registrations => Rate { per_second: 0, burst: 100_000 },
            Self::Broadcasts | Self::Reads => Rate { per_second: 50_000, burst: 100_000 },
            Self::Changes => Rate { per_second: 1_000, burst: 5_000 },
        }
    }

    /// What a caller over its rate is told.
    pub const fn message(self) -> &'static str {
        match self {
            Self::Registrations => "this key registers faster than limits.registrations_per_second allows",
            Self::Broadcasts => "this key sends broadcasts faster than limits.broadcasts_per_second allows",
            Self::Reads => "this key reads faster than limits.reads_per_second allows",
            Self::Changes => "this key changes settings faster than limits.changes_per_second allows",
        }
    }
}

/// How many requests of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// 0 = no limit.
    pub per_second: u32,
    /// How many may come at once after a pause.
    pub burst: u32,
}

/// The rate of each action, in each process.
#[derive(Debug, Clone, Copy)]
pub struct Rates([Rate; Action::ALL.len()]);

impl Rates {
    pub(super) fn keys() -> impl Iterator<Item = &'static str> {
        Action::ALL.into_iter().map(Action::keys).flat_map(|(rate, burst)| [rate, burst])
    }

    pub(super) fn read(s: &Section<'_>) -> Result<Self, ConfigError> {
        let mut rates = Action::ALL.map(Action::default_rate);
        for (rate, action) in rates.iter_mut().zip(Action::ALL) {
            let (per_second, burst) = action.keys();
            rate.per_second = s.integer(per_second, rate.per_second, 0..=10_000_000)?;
            rate.burst = s.integer(burst, rate.burst, 1..=10_000_000)?;
        }
        Ok(Self(rates))
    }

    /// Each action with its rate.
    pub fn iter(&self) -> impl Iterator<Item = (Action, Rate)> {
        Action::ALL.into_iter().zip(self.0)
    }
}

impl Serialize for Rates {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(Action::ALL.len() * 2))?;
        for (action, rate) in self.iter() {
            let (per_second, burst) = action.keys();
            map.serialize_entry(per_second, &rate.per_second)?;
            map.serialize_entry(burst, &rate.burst)?;
        }
        map.end()
    }
}
