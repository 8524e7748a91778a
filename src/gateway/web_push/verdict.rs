//! What answers of push services mean: the rows of `push-services.md` 4.3, and 0.4 for what stands in no row. Each service
//! has its own way to say why: Mozilla `errno` in JSON, Apple `reason` in JSON, Google plain text, Microsoft header
//! fields.

use std::borrow::Cow;
use std::time::Duration;

use http::header::{LOCATION, RETRY_AFTER};
use serde::Deserialize;

use crate::gateway::requests::client::Answer;
use crate::gateway::retry_after;
use crate::gateway::wns::verdict::{ERROR_DESCRIPTION, STATUS};
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// How long a channel rests that Windows calls throttled: it gives no time (3.4).
const CHANNEL_REST: Duration = Duration::from_mins(10);

/// An answer as far as it matters.
#[derive(Clone, Copy, Debug, Default)]
pub struct Said<'a> {
    pub status: u16,
    pub body: &'a [u8],
    pub retry_after: Option<&'a str>,
    pub location: Option<&'a str>,
    /// `X-WNS-Status`.
    pub wns_status: Option<&'a str>,
    /// `X-WNS-Error-Description`.
    pub wns_description: Option<&'a str>,
}

impl<'a> Said<'a> {
    pub(super) fn read(answer: &'a Answer) -> Self {
        let text = |name: &str| answer.header(name).filter(|text| !text.is_empty());
        Self {
            status: answer.status,
            body: &answer.body,
            retry_after: answer.header(RETRY_AFTER),
            location: answer.header(LOCATION),
            wns_status: text(STATUS),
            wns_description: text(ERROR_DESCRIPTION),
        }
    }
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meaning {
    Verdict(Verdict),
    /// The origin has too much: whatever goes there waits, for so long where it says so.
    OriginRests(Option<Duration>),
    /// Not looked at: it may be sent again at once.
    Again,
    /// The subscription has another endpoint now; the answer's `Location` names it.
    Moved,
}

/// The meaning, and why; no reason when delivered.
pub fn judge(said: &Said<'_>, now: Timestamp) -> (Meaning, Option<Reason>) {
    let words = Words::read(said.body);
    let meaning = mean(said, &words, now);
    let reason = match meaning {
        Meaning::Verdict(Verdict::Delivered) => None,
        _ => Some(reason(said, &words)),
    };
    (meaning, reason)
}

fn mean(said: &Said<'_>, words: &Words<'_>, now: Timestamp) -> Meaning {
    let after = || said.retry_after.and_then(|text| retry_after::parse(text, now));
    let for_all = Verdict::FixRequest { for_all: true };
    let verdict = match said.status {
        200..=202 => taken(said.wns_status),
        301 | 302 | 307 | 308 if said.location.is_some() => return Meaning::Moved,
        400 | 401 | 403 if words.names_another_key(said.body) => Verdict::EnvMismatch,
        400 | 401 | 403 if words.refuses_credentials() => Verdict::Credentials,
        400 if words.condemns_keys() => Verdict::DropToken { since: None },
        400 if said.wns_description.is_some() || words.refuses_request() => for_all,
        401 => Verdict::Credentials,
        403 => Verdict::EnvMismatch,
        404 | 410 => Verdict::DropToken { since: None },
        405 | 413 => for_all,
        429 if words.reason == Some("TooManyRequests") => {
            Verdict::Throttle { scope: ThrottleScope::Target, after: after() }
        }
        406 | 429 => return Meaning::OriginRests(after()),
        503 if words.errno == Some(202) || words.reason == Some("Shutdown") => return Meaning::Again,
        500.. => Verdict::Retry { after: after() },
        // Unknown: this message alone fails (0.4).
        _ => Verdict::FixRequest { for_all: false },
    };
    Meaning::Verdict(verdict)
}

/// Windows says in a field what became of a message that it understood.
fn taken(wns_status: Option<&str>) -> Verdict {
    let is = |word: &str| wns_status.is_some_and(|status| status.eq_ignore_ascii_case(word));
    if is("dropped") {
        Verdict::Refused
    } else if is("channelthrottled") {
        Verdict::Throttle { scope: ThrottleScope::Target, after: Some(CHANNEL_REST) }
    } else {
        Verdict::Delivered
    }
}

/// The service's own word; a text that may hold anything, as a page of HTML or the endpoint itself, is not repeated.
fn reason(said: &Said<'_>, words: &Words<'_>) -> Reason {
    let is_word = |text: &str| (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if words.names_another_key(said.body) {
        Reason::known("made with another VAPID key")
    } else if let Some(reason) = words.reason.filter(|text| is_word(text)) {
        Reason::foreign(reason)
    } else if let Some(errno) = words.errno {
        Reason::foreign(&format!("errno {errno}"))
    } else if let Some(text) = said.wns_description.or(said.wns_status) {
        Reason::foreign(text)
    } else {
        status(said.status)
    }
}

/// What is said where nothing else may be repeated.
pub fn status(status: u16) -> Reason {
    Reason::foreign(&format!("status {status}"))
}

/// What a JSON body says: Mozilla's `errno` and `message`, Apple's `reason`.
#[derive(Debug, Default)]
struct Words<'a> {
    errno: Option<u32>,
    message: Option<Cow<'a, str>>,
    reason: Option<&'a str>,
}

#[derive(Deserialize)]
struct Json<'a> {
    errno: Option<u32>,
    #[serde(borrow)]
    message: Option<Cow<'a, str>>,
    /// A word: one that needs escapes is none.
    #[serde(borrow)]
    reason: Option<&'a str>,
}

impl<'a> Words<'a> {
    fn read(body: &'a [u8]) -> Self {
        match serde_json::from_slice(body) {
            Ok(Json { errno, message, reason }) => Self { errno, message, reason },
            Err(_) => Self::default(),
        }
    }

    /// The subscription was made with another VAPID key than ours.
    fn names_another_key(&self, body: &[u8]) -> bool {
        self.reason == Some("VapidPkHashMismatch") || body.windows(17).any(|text| text == b"do not correspond")
    }

    fn refuses_credentials(&self) -> bool {
        self.errno == Some(109)
            || matches!(self.reason, Some("BadAuthorizationHeader" | "BadJwtToken" | "BadVapidPublicKey"))
    }

    /// Mozilla's words for keys, when they are about those that the subscription brought.
    fn condemns_keys(&self) -> bool {
        let names = |key: &str| self.message.as_ref().is_some_and(|text| text.contains(key));
        matches!(self.errno, Some(101 | 110)) && (names("p256dh") || names("client"))
    }

    fn refuses_request(&self) -> bool {
        matches!(self.errno, Some(101 | 110..=113))
            || matches!(self.reason, Some("BadTtl" | "BadUrgency" | "BadWebPushRequest" | "BadWebPushTopic"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_792_567_600_000);

    const ALL: Meaning = Meaning::Verdict(Verdict::FixRequest { for_all: true });
    const ONE: Meaning = Meaning::Verdict(Verdict::FixRequest { for_all: false });
    const DROP: Meaning = Meaning::Verdict(Verdict::DropToken { since: None });
    const RETRY: Meaning = Meaning::Verdict(Verdict::Retry { after: None });
    const REFUSED: Meaning = Meaning::Verdict(Verdict::Credentials);
    const MISMATCH: Meaning = Meaning::Verdict(Verdict::EnvMismatch);
    const SENT: Meaning = Meaning::Verdict(Verdict::Delivered);
    const LATER: Meaning = Meaning::OriginRests(None);

    fn of(status: u16, body: &str) -> (Meaning, String) {
        let (meaning, reason) = judge(&Said { status, body: body.as_bytes(), ..Said::default() }, NOW);
        (meaning, reason.map_or(String::new(), |reason| reason.to_string()))
    }

    #[test]
    fn every_status_of_the_table() {
        for (status, meaning) in [
            (200, SENT),
            (201, SENT),
            (202, SENT),
            (400, ONE),
            (401, REFUSED),
            (403, MISMATCH),
            (404, DROP),
            (405, ALL),
            (406, LATER),
            (410, DROP),
            (413, ALL),
            (429, LATER),
            (500, RETRY),
            (502, RETRY),
            (503, RETRY),
        ] {
            let reason = if meaning == SENT { String::new() } else { format!("status {status}") };
            assert_eq!(of(status, ""), (meaning, reason), "{status}");
        }
    }

    #[test]
    fn every_word_of_mozilla() {
        for (status, errno, meaning) in [
            (400, 101, ALL),
            (400, 110, ALL),
            (400, 111, ALL),
            (400, 112, ALL),
            (400, 113, ALL),
            (400, 999, ONE),
            (401, 109, REFUSED),
            (404, 102, DROP),
            (410, 103, DROP),
            (410, 105, DROP),
            (410, 106, DROP),
            (413, 104, ALL),
            (500, 999, RETRY),
            (502, 900, RETRY),
            (502, 903, RETRY),
            (503, 201, RETRY),
            (503, 202, Meaning::Again),
        ] {
            let body = format!(r#"{{"code":{status},"errno":{errno},"error":"E","message":"Invalid \"x\""}}"#);
            assert_eq!(of(status, &body), (meaning, format!("errno {errno}")), "{errno}");
        }
        let keys = r#"{"errno":110,"message":"Invalid p256dh key"}"#;
        assert_eq!(of(400, keys), (DROP, "errno 110".to_owned()));
    }

    #[test]
    fn every_word_of_apple() {
        let device = Meaning::Verdict(Verdict::Throttle { scope: ThrottleScope::Target, after: None });
        for (status, word, meaning) in [
            (400, "BadTtl", ALL),
            (400, "BadUrgency", ALL),
            (400, "BadWebPushRequest", ALL),
            (400, "BadWebPushTopic", ALL),
            (400, "BadNews", ONE),
            (400, "BadAuthorizationHeader", REFUSED),
            (400, "BadJwtToken", REFUSED),
            (403, "BadJwtToken", REFUSED),
            (403, "BadVapidPublicKey", REFUSED),
            (403, "Forbidden", MISMATCH),
            (410, "Unregistered", DROP),
            (413, "PayloadTooLarge", ALL),
            (429, "TooManyRequests", device),
            (503, "ServiceUnavailable", RETRY),
            (503, "Shutdown", Meaning::Again),
        ] {
            assert_eq!(of(status, &format!(r#"{{"reason":"{word}"}}"#)), (meaning, word.to_owned()), "{word}");
        }
        let other = "made with another VAPID key".to_owned();
        assert_eq!(of(400, r#"{"reason":"VapidPkHashMismatch"}"#), (MISMATCH, other));
    }

    #[test]
    fn googles_text_and_microsofts_fields() {
        let text = "the VAPID credentials in the authorization header do not correspond to the credentials used";
        for status in [400, 403] {
            assert_eq!(of(status, text), (MISMATCH, "made with another VAPID key".to_owned()));
        }
        let page = "<html>https://fcm.googleapis.com/fcm/send/secret</html>";
        assert_eq!(of(404, page).1, "status 404", "what a body holds besides is not repeated");
        let of = |status, wns_status, wns_description| {
            judge(&Said { status, wns_status, wns_description, ..Said::default() }, NOW)
        };
        let why = "Ttl value conflicts with X-WNS-Cache-Policy";
        assert_eq!(of(400, None, Some(why)), (ALL, Some(Reason::foreign(why))));
        assert_eq!(of(201, Some("received"), None), (SENT, None));
        let dropped = Meaning::Verdict(Verdict::Refused);
        assert_eq!(of(201, Some("DROPPED"), None), (dropped, Some(Reason::foreign("DROPPED"))));
        let rest = Verdict::Throttle { scope: ThrottleScope::Target, after: Some(Duration::from_mins(10)) };
        assert_eq!(of(200, Some("channelthrottled"), None).0, Meaning::Verdict(rest));
    }

    #[test]
    fn what_stands_in_no_row_harms_one_message_at_most() {
        for status in [204, 301, 302, 307, 304, 402, 418] {
            assert_eq!(of(status, "").0, ONE, "{status}");
        }
        assert_eq!(of(599, "[]").0, RETRY);
        let moved = |status| judge(&Said { status, location: Some("/x"), ..Said::default() }, NOW).0;
        assert_eq!([301, 302, 307].map(moved), [Meaning::Moved, Meaning::Moved, Meaning::Moved]);
        assert_eq!(moved(304), ONE);
    }

    #[test]
    fn both_forms_of_a_delay_are_read() {
        let at = |status, text| judge(&Said { status, retry_after: Some(text), ..Said::default() }, NOW).0;
        assert_eq!(at(429, "120"), Meaning::OriginRests(Some(Duration::from_mins(2))));
        assert_eq!(at(429, "Wed, 21 Oct 2026 07:28:00 GMT"), Meaning::OriginRests(Some(Duration::from_secs(80))));
        assert_eq!(at(406, "soon"), LATER);
        assert_eq!(at(503, "7"), Meaning::Verdict(Verdict::Retry { after: Some(Duration::from_secs(7)) }));
        assert_eq!(at(429, "315360000"), Meaning::OriginRests(Some(retry_after::LONGEST)));
    }
}
