//! What Xiaomi's answers mean (`push-services.md` 5.3), and 0.4 for what stands in no row.

use serde::Deserialize;
use serde_json::Value;

use crate::gateway::requests::one_host::Judged;
use crate::gateway::retry_after;
use crate::model::time::Timestamp;
use crate::model::verdict::{Reason, ThrottleScope, Verdict};

/// The extras are longer than the service takes.
const EXTRAS_TOO_LONG: i64 = 65_015;

#[derive(Default, Deserialize)]
struct Said {
    code: Option<i64>,
    #[serde(default)]
    data: Value,
}

/// The meaning, and why: `code NNN`, else `status NNN`; no reason when delivered. Devices that the service calls bad are
/// apart from the others.
pub(super) fn judge(status: u16, body: &[u8], retry_after: Option<&str>, now: Timestamp) -> Judged {
    let Said { code, data } = serde_json::from_slice(body).unwrap_or_default();
    let after = || retry_after.and_then(|text| retry_after::parse(text, now));
    let for_all = Verdict::FixRequest { for_all: true };
    let verdict = match (status, code) {
        (200, Some(0) | None) => {
            let dead = |id: &str| (id.as_bytes().into(), (DEAD, Some(Reason::known("bad_regids"))));
            let apart = bad_ids(&data).map(dead).collect();
            return Judged { verdict: Verdict::Delivered, reason: None, apart };
        }
        (_, Some(EXTRAS_TOO_LONG)) => for_all,
        // What these say HTTP itself says, whatever stands in the body.
        (401, _) => Verdict::Credentials,
        (413, _) => for_all,
        (429, _) => Verdict::Throttle { scope: ThrottleScope::Project, after: after() },
        (500.., _) => Verdict::Retry { after: after() },
        _ => Verdict::FixRequest { for_all: false },
    };
    let reason = match code {
        Some(code) if code != 0 => format!("code {code}"),
        _ => format!("status {status}"),
    };
    (verdict, Some(Reason::foreign(&reason))).into()
}

const DEAD: Verdict = Verdict::DropToken { since: None };

/// One text with commas between, or a list of texts.
fn bad_ids(data: &Value) -> impl Iterator<Item = &str> {
    let named = data.get("bad_regids");
    let one = named.and_then(Value::as_str).into_iter().flat_map(|text| text.split(','));
    let listed = named.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    one.chain(listed).map(str::trim).filter(|id| !id.is_empty())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_792_567_600_000);
    const ONE: Verdict = Verdict::FixRequest { for_all: false };
    const ALL: Verdict = Verdict::FixRequest { for_all: true };
    const RETRY: Verdict = Verdict::Retry { after: None };
    const SLOW: Verdict = Verdict::Throttle { scope: ThrottleScope::Project, after: None };

    #[test]
    fn every_code_and_status() {
        for (status, code, verdict) in [
            (200, 65_015, ALL),
            (400, 65_015, ALL),
            (200, 99_999, ONE),
            (400, 99_999, ONE),
            (401, 99_999, Verdict::Credentials),
            (429, 99_999, SLOW),
            (500, 99_999, RETRY),
        ] {
            let body = format!(r#"{{"result":"error","code":{code},"reason":"words"}}"#);
            let told = judge(status, body.as_bytes(), None, NOW);
            let expected = (verdict, Some(Reason::foreign(&format!("code {code}"))));
            assert_eq!(told, expected.into(), "{status} {code}");
        }
        for (status, verdict) in
            [(302, ONE), (400, ONE), (401, Verdict::Credentials), (413, ALL), (429, SLOW), (500, RETRY), (503, RETRY)]
        {
            let told = judge(status, b"<html>", None, NOW);
            assert_eq!(told, (verdict, Some(Reason::foreign(&format!("status {status}")))).into(), "{status}");
        }
        let accepted = (Verdict::Delivered, None).into();
        assert_eq!(judge(200, br#"{"result":"ok","code":0,"data":{"id":"m1"}}"#, None, NOW), accepted);
        assert_eq!(judge(200, b"", None, NOW), accepted);
    }

    #[test]
    fn bad_ids_are_dead_and_the_others_have_it() {
        for data in [r#""a,, b""#, r#"["a","b"]"#] {
            let body = format!(r#"{{"result":"ok","code":0,"data":{{"id":"m1","bad_regids":{data}}}}}"#);
            let told = judge(200, body.as_bytes(), None, NOW);
            assert_eq!(told.verdict, Verdict::Delivered);
            let mut dead: Vec<_> = told.apart.iter().map(|(id, said)| (&**id, said.clone())).collect();
            dead.sort_by_key(|(id, _)| *id);
            let said = (DEAD, Some(Reason::known("bad_regids")));
            assert_eq!(dead, [(&b"a"[..], said.clone()), (b"b", said)], "{data}");
        }
    }

    #[test]
    fn a_delay_is_obeyed() {
        let after = |status| judge(status, b"", Some("30"), NOW).verdict;
        let half_minute = Some(Duration::from_secs(30));
        assert_eq!(after(429), Verdict::Throttle { scope: ThrottleScope::Project, after: half_minute });
        assert_eq!(after(503), Verdict::Retry { after: half_minute });
    }
}
