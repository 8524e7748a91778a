//! Points in time as the store and the wire know them.

use std::fmt;
use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::DateTime;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Times are counted on the calendar: jiff's own ends a day before the year 9999 does, whose last moment is what clients
/// of .NET call the largest date.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

/// Milliseconds since 1970-01-01T00:00:00Z. On the wire an RFC 3339 text with three fraction digits and `Z`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A time that many milliseconds after 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// The time that much later; saturates.
    #[must_use]
    pub fn plus(self, later: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(later.as_millis()).unwrap_or(i64::MAX)))
    }

    /// How long from `earlier` until this time, zero when it is not later.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Reads RFC 3339 / ISO 8601 in the forms that clients send (`specs/notification-hubs.md` 2.2.1): seconds and
    /// fraction optional (up to nine digits), zone `Z`, `+01:00`, `+0100` or none, which means UTC.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let (date, rest) = text.split_at_checked(10)?;
        let rest = rest.strip_prefix(['T', 't', ' '])?;
        let zone_at = rest.find(['Z', 'z', '+', '-']).unwrap_or(rest.len());
        let (clock, zone) = rest.split_at(zone_at);
        let date: jiff::civil::Date = date.parse().ok()?;
        let clock: jiff::civil::Time = clock.parse().ok()?;
        let utc = i64::try_from(date.to_datetime(clock).duration_since(EPOCH).as_millis()).ok()?;
        Some(Self(utc - zone_offset_millis(zone)?))
    }

    /// On the calendar, in UTC; `None` beyond the year 9999.
    pub fn civil(self) -> Option<DateTime> {
        EPOCH.checked_add(SignedDuration::from_millis(self.0)).ok()
    }
}

/// One moment on the two clocks of a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// What is written down, what is due and what expires. May jump either way when somebody sets the clock.
    pub wall: Timestamp,
    /// What leases run by. Says nothing about the time of day, and never jumps.
    pub lease: Timestamp,
}

impl Moment {
    /// On a store whose one clock serves for both.
    pub const fn of_one_clock(now: Timestamp) -> Self {
        Self { wall: now, lease: now }
    }
}

/// Milliseconds east of UTC that a zone suffix stands for.
fn zone_offset_millis(zone: &str) -> Option<i64> {
    if zone.is_empty() || zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let digits: String = zone[1..].chars().filter(|c| *c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours: i64 = digits[..2].parse().ok()?;
    let minutes: i64 = digits[2..].parse().ok()?;
    (hours < 24 && minutes < 60).then_some(sign * (hours * 60 + minutes) * 60_000)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.civil() {
            Some(time) => write!(f, "{time:.3}Z"),
            None => write!(f, "{}ms", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        Self::parse(&text)
            .ok_or_else(|| serde::de::Error::custom("must be an ISO 8601 date and time such as 2027-01-01T09:00:00Z"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_that_clients_send() {
        let expected = Timestamp::from_millis(1_769_941_800_000);
        for text in [
            "2026-02-01T10:30:00Z",
            "2026-02-01T10:30Z",
            "2026-02-01T10:30:00.0000000Z",
            "2026-02-01T10:30+0000",
            "2026-02-01T11:30:00+01:00",
            "2026-02-01T09:30:00-01:00",
            "2026-02-01T10:30:00",
        ] {
            assert_eq!(Timestamp::parse(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in ["", "tomorrow", "2026-02-30T10:30Z", "2026-02-01", "2026-02-01T25:00Z", "2026-02-01T10:30+1"] {
            assert_eq!(Timestamp::parse(text), None, "{text}");
        }
    }

    #[test]
    fn prints_three_fraction_digits() {
        for (millis, text) in [
            (1_769_941_800_005, "2026-02-01T10:30:00.005Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
            (253_402_300_800_000, "253402300800000ms"),
        ] {
            assert_eq!(Timestamp::from_millis(millis).to_string(), text);
        }
        for largest in ["9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59.9999999"] {
            assert_eq!(Timestamp::parse(largest), Some(Timestamp::from_millis(253_402_300_799_999)));
        }
    }
}
