//! What Baidu's answers mean (`push-services.md` 5.2), and 0.4 for what stands in no row.

use serde::Deserialize;

use crate::gateway::retry_after;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

#[derive(Default, Deserialize)]
struct Said {
    error_code: Option<u32>,
}

/// The meaning, and why: `error_code NNN`, else `status NNN`; no reason when delivered.
pub fn judge(status: u16, body: &[u8], retry_after: Option<&str>, now: Timestamp) -> (Verdict, Option<Reason>) {
    let Said { error_code } = serde_json::from_slice(body).unwrap_or_default();
    let after = || retry_after.and_then(|text| retry_after::parse(text, now));
    let for_all = Verdict::FixRequest { for_all: true };
    let slower = || Verdict::Throttle { scope: ThrottleScope::Project, after: after() };
    let verdict = match (status, error_code) {
        (_, Some(30_600)) => Verdict::Retry { after: after() },
        (_, Some(30_601 | 30_602)) => for_all,
        (_, Some(30_603 | 30_612)) => Verdict::Credentials,
        (_, Some(30_604)) => slower(),
        (_, Some(30_607 | 30_608)) => Verdict::DropToken { since: None },
        (200, None) => return (Verdict::Delivered, None),
        // What these say HTTP itself says, whatever stands in the body.
        (401, _) => Verdict::Credentials,
        (413, _) => for_all,
        (429, _) => slower(),
        (500.., _) => Verdict::Retry { after: after() },
        _ => Verdict::FixRequest { for_all: false },
    };
    let reason = match error_code {
        Some(code) => format!("error_code {code}"),
        None => format!("status {status}"),
    };
    (verdict, Some(Reason::foreign(&reason)))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_792_567_600_000);
    const SLOW: Verdict = Verdict::Throttle { scope: ThrottleScope::Project, after: None };
    const DROP: Verdict = Verdict::DropToken { since: None };
    const ALL: Verdict = Verdict::FixRequest { for_all: true };
    const ONE: Verdict = Verdict::FixRequest { for_all: false };
    const RETRY: Verdict = Verdict::Retry { after: None };

    #[test]
    fn every_row_of_the_table() {
        for (status, code, verdict) in [
            (500, 30_600, RETRY),
            (405, 30_601, ALL),
            (400, 30_602, ALL),
            (400, 30_603, Verdict::Credentials),
            (403, 30_604, SLOW),
            (400, 30_607, DROP),
            (404, 30_608, DROP),
            (400, 30_612, Verdict::Credentials),
            (200, 30_608, DROP),
            (400, 30_699, ONE),
            (200, 1, ONE),
            (503, 30_699, RETRY),
        ] {
            let body = format!(r#"{{"request_id":1,"error_code":{code},"error_msg":"words"}}"#);
            let told = judge(status, body.as_bytes(), None, NOW);
            assert_eq!(told, (verdict, Some(Reason::foreign(&format!("error_code {code}")))), "{status} {code}");
        }
        let accepted = br#"{"request_id":1,"response_params":{"msg_id":"2","send_time":3}}"#;
        assert_eq!(judge(200, accepted, None, NOW), (Verdict::Delivered, None));
    }

    #[test]
    fn what_is_no_json_is_judged_by_its_status() {
        for (status, verdict) in [
            (302, ONE),
            (400, ONE),
            (401, Verdict::Credentials),
            (404, ONE),
            (413, ALL),
            (429, SLOW),
            (500, RETRY),
            (503, RETRY),
        ] {
            let told = judge(status, b"<html>", None, NOW);
            assert_eq!(told, (verdict, Some(Reason::foreign(&format!("status {status}")))));
        }
    }

    #[test]
    fn a_delay_is_obeyed() {
        let after = |status, body: &[u8]| judge(status, body, Some("30"), NOW).0;
        let half_minute = Some(Duration::from_secs(30));
        let slow = Verdict::Throttle { scope: ThrottleScope::Project, after: half_minute };
        assert_eq!(after(403, br#"{"error_code":30604}"#), slow);
        assert_eq!(after(503, b""), Verdict::Retry { after: half_minute });
    }
}
