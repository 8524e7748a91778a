//! `Retry-After` (RFC 9110 section 10.2.3; `push-services.md` 0.2): seconds, or a date.

use std::time::Duration;

use crate::model::time::Timestamp;

/// The longest delay that is believed: what is longer is taken for a mistake of the service's and asked about again.
pub const LONGEST: Duration = Duration::from_secs(3_600);

/// The delay from `now` on; none for a text in neither form. A date that has passed is no delay.
pub fn parse(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let delay = match text.parse() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => http_date(text)?.since(now),
    };
    Some(delay.min(LONGEST))
}

/// A date as HTTP's fields write it (RFC 9110 section 5.6.7).
pub fn http_date(text: &str) -> Option<Timestamp> {
    let at = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text.trim()).ok()?;
    Some(Timestamp::from_millis(at.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_are_read_and_bounded() {
        // Wed, 21 Oct 2026 07:28:00 GMT
        let now = Timestamp::from_millis(1_792_567_680_000);
        let seconds = |text| parse(text, now).map(|delay| delay.as_secs());
        assert_eq!(seconds("120"), Some(120));
        assert_eq!(seconds(" 0 "), Some(0));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:30:00 GMT"), Some(120));
        assert_eq!(seconds("Wed, 21 Oct 2026 07:00:00 GMT"), Some(0));
        assert_eq!(seconds("999999999"), Some(3_600));
        for bad in ["", "-1", "soon", "12x", "99999999999999999999999"] {
            assert_eq!(seconds(bad), None, "{bad}");
        }
    }
}
