//! What ADM's answers mean (`push-services.md` 5.1), and 0.4 for what stands in no row.

use serde::Deserialize;

use crate::gateway::retry_after;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

#[derive(Default, Deserialize)]
struct Said<'a> {
    /// A word: one that needs escapes is none.
    #[serde(borrow)]
    reason: Option<&'a str>,
}

/// The meaning, and why: the service's word, else `status NNN`; no reason when delivered.
pub fn judge(status: u16, body: &[u8], retry_after: Option<&str>, now: Timestamp) -> (Verdict, Option<Reason>) {
    let Said { reason } = serde_json::from_slice(body).unwrap_or_default();
    let is_word = |text: &&str| text.len() <= 64 && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let word = reason.filter(is_word);
    let after = || retry_after.and_then(|text| retry_after::parse(text, now));
    let for_all = Verdict::FixRequest { for_all: true };
    let verdict = match (status, word) {
        (200, _) => return (Verdict::Delivered, None),
        (400, Some("InvalidRegistrationId" | "Unregistered")) => Verdict::DropToken { since: None },
        (
            400,
            Some("InvalidData" | "InvalidConsolidationKey" | "InvalidExpiration" | "InvalidChecksum" | "InvalidType"),
        )
        | (413, _) => for_all,
        // Refused twice: with a new token too.
        (401, _) => Verdict::Credentials,
        (429, _) => Verdict::Throttle { scope: ThrottleScope::Project, after: after() },
        (500.., _) => Verdict::Retry { after: after() },
        _ => Verdict::FixRequest { for_all: false },
    };
    let reason = word.map_or_else(|| Reason::foreign(&format!("status {status}")), Reason::foreign);
    (verdict, Some(reason))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_792_567_600_000);

    fn of(status: u16, reason: &str) -> (Verdict, String) {
        let body = if reason.is_empty() { String::new() } else { format!(r#"{{"reason":"{reason}"}}"#) };
        let (verdict, reason) = judge(status, body.as_bytes(), None, NOW);
        (verdict, reason.map_or(String::new(), |reason| reason.to_string()))
    }

    #[test]
    fn every_row_of_the_table() {
        let all = Verdict::FixRequest { for_all: true };
        let drop = Verdict::DropToken { since: None };
        let slow = Verdict::Throttle { scope: ThrottleScope::Project, after: None };
        for (status, reason, verdict) in [
            (400, "InvalidRegistrationId", drop.clone()),
            (400, "Unregistered", drop),
            (400, "InvalidData", all.clone()),
            (400, "InvalidConsolidationKey", all.clone()),
            (400, "InvalidExpiration", all.clone()),
            (400, "InvalidChecksum", all.clone()),
            (400, "InvalidType", all.clone()),
            (400, "SomethingNew", Verdict::FixRequest { for_all: false }),
            (401, "AccessTokenExpired", Verdict::Credentials),
            (413, "MessageTooLarge", all),
            (429, "MaxRateExceeded", slow),
            (500, "InternalServerError", Verdict::Retry { after: None }),
            (503, "ServiceUnavailable", Verdict::Retry { after: None }),
        ] {
            assert_eq!(of(status, reason), (verdict, reason.to_owned()), "{status} {reason}");
        }
        assert_eq!(of(200, ""), (Verdict::Delivered, String::new()));
        assert_eq!(of(302, ""), (Verdict::FixRequest { for_all: false }, "status 302".to_owned()));
        assert_eq!(judge(500, b"<html>", None, NOW).1, Some(Reason::foreign("status 500")));
    }

    #[test]
    fn a_delay_is_obeyed() {
        let after = |status| judge(status, b"", Some("30"), NOW).0;
        let half_minute = Some(Duration::from_secs(30));
        assert_eq!(after(429), Verdict::Throttle { scope: ThrottleScope::Project, after: half_minute });
        assert_eq!(after(503), Verdict::Retry { after: half_minute });
    }
}
