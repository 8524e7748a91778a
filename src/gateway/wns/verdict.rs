//! What WNS' answers mean: the rows of `push-services.md` 3.4, and 0.4 for what stands in no row. The service says what
//! it has to say in header fields; the body is empty.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

use crate::gateway::retry_after;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

pub const STATUS: &str = "x-wns-status";
pub const ERROR_DESCRIPTION: &str = "x-wns-error-description";

/// How long a throttled channel rests: the service gives no time (3.4).
const CHANNEL_REST: Duration = Duration::from_mins(10);
/// How long a device that cannot be reached is left alone (3.4, row 412).
const DEVICE_REST: Duration = Duration::from_hours(1);

/// An answer as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    pub status: u16,
    /// `X-WNS-Status`.
    pub word: Option<&'a str>,
    /// `X-WNS-Error-Description`.
    pub description: Option<&'a str>,
    pub retry_after: Option<&'a str>,
}

impl<'a> Said<'a> {
    /// Reads the fields; one that is no text counts as absent.
    pub fn read(status: u16, headers: &'a HeaderMap) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).filter(|text| !text.is_empty());
        Self {
            status,
            word: text(STATUS),
            description: text(ERROR_DESCRIPTION),
            retry_after: headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()),
        }
    }
}

/// What an answer means for its target. The reason is the service's description, else its word, else `status NNN`; none
/// when delivered.
pub fn judge(said: &Said<'_>, now: Timestamp) -> (Verdict, Option<Reason>) {
    let after = || said.retry_after.and_then(|text| retry_after::parse(text, now));
    let project = || Verdict::Throttle { scope: ThrottleScope::Project, after: after() };
    let verdict = match said.status {
        200 => return taken(said.word),
        400 | 405 | 413 => Verdict::FixRequest { for_all: true },
        401 => Verdict::Credentials,
        403 => Verdict::EnvMismatch,
        // The second meaning of 410: the sending domain is blocked, which no device is at fault for.
        410 if said.description.is_some_and(|text| text.to_ascii_lowercase().contains("domain")) => {
            Verdict::Credentials
        }
        404 | 410 => Verdict::DropToken { since: None },
        406 | 429 => project(),
        412 => Verdict::Retry { after: Some(DEVICE_REST) },
        500.. => Verdict::Retry { after: after() },
        _ => Verdict::FixRequest { for_all: false },
    };
    let reason = match said.description.or(said.word) {
        Some(text) => Reason::foreign(text),
        None => Reason::foreign(&format!("status {}", said.status)),
    };
    (verdict, Some(reason))
}

/// 200 says that the request was understood; the word, what became of the notification.
fn taken(word: Option<&str>) -> (Verdict, Option<Reason>) {
    let Some(word) = word else { return (Verdict::Delivered, None) };
    if word.eq_ignore_ascii_case("received") {
        (Verdict::Delivered, None)
    } else if word.eq_ignore_ascii_case("channelthrottled") {
        let rest = Verdict::Throttle { scope: ThrottleScope::Target, after: Some(CHANNEL_REST) };
        (rest, Some(Reason::known("channelthrottled")))
    } else if word.eq_ignore_ascii_case("dropped") {
        (Verdict::Refused, Some(Reason::known("dropped")))
    } else {
        // Not known to have been delivered, and nobody knows what for: this message alone fails (0.4).
        (Verdict::FixRequest { for_all: false }, Some(Reason::foreign(word)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_792_567_600_000);

    fn of(status: u16) -> Verdict {
        judge(&Said { status, ..Said::default() }, NOW).0
    }

    fn word(word: &str) -> (Verdict, Option<Reason>) {
        judge(&Said { status: 200, word: Some(word), ..Said::default() }, NOW)
    }

    #[test]
    fn every_row_of_the_table() {
        let all = Verdict::FixRequest { for_all: true };
        let project = Verdict::Throttle { scope: ThrottleScope::Project, after: None };
        for (status, verdict) in [
            (200, Verdict::Delivered),
            (400, all.clone()),
            (401, Verdict::Credentials),
            (403, Verdict::EnvMismatch),
            (404, Verdict::DropToken { since: None }),
            (405, all.clone()),
            (406, project.clone()),
            (429, project),
            (410, Verdict::DropToken { since: None }),
            (412, Verdict::Retry { after: Some(Duration::from_hours(1)) }),
            (413, all),
            (500, Verdict::Retry { after: None }),
            (503, Verdict::Retry { after: None }),
        ] {
            assert_eq!(of(status), verdict, "{status}");
        }
    }

    #[test]
    fn the_word_of_a_200_decides() {
        assert_eq!(word("received"), (Verdict::Delivered, None));
        assert_eq!(word("RECEIVED"), (Verdict::Delivered, None));
        let rest = Verdict::Throttle { scope: ThrottleScope::Target, after: Some(Duration::from_mins(10)) };
        assert_eq!(word("channelthrottled"), (rest, Some(Reason::known("channelthrottled"))));
        assert_eq!(word("dropped"), (Verdict::Refused, Some(Reason::known("dropped"))));
        assert_eq!(word("odd"), (Verdict::FixRequest { for_all: false }, Some(Reason::foreign("odd"))));
    }

    #[test]
    fn a_blocked_domain_is_the_hubs_trouble() {
        let said = Said { status: 410, description: Some("The Domain is blocked"), ..Said::default() };
        assert_eq!(judge(&said, NOW), (Verdict::Credentials, Some(Reason::foreign("The Domain is blocked"))));
        let said = Said { status: 410, description: Some("Channel expired"), ..Said::default() };
        assert_eq!(judge(&said, NOW).0, Verdict::DropToken { since: None });
    }

    #[test]
    fn what_stands_in_no_row_harms_one_message_at_most() {
        for status in [201, 302, 418] {
            assert_eq!(of(status), Verdict::FixRequest { for_all: false }, "{status}");
        }
        assert_eq!(of(599), Verdict::Retry { after: None });
    }

    #[test]
    fn both_forms_of_a_delay_are_read() {
        let at = |status, text| judge(&Said { status, retry_after: Some(text), ..Said::default() }, NOW).0;
        let project = |after| Verdict::Throttle { scope: ThrottleScope::Project, after };
        assert_eq!(at(406, "120"), project(Some(Duration::from_mins(2))));
        assert_eq!(at(429, "Wed, 21 Oct 2026 07:28:00 GMT"), project(Some(Duration::from_secs(80))));
        assert_eq!(at(406, "Wed, 21 Oct 2020 07:28:00 GMT"), project(Some(Duration::ZERO)));
        assert_eq!(at(503, "soon"), Verdict::Retry { after: None });
        assert_eq!(at(503, "7"), Verdict::Retry { after: Some(Duration::from_secs(7)) });
    }
}
