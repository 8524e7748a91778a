//! The clock: tokens, expiry and schedules are as right as it is.

use super::Finding;
use crate::clock::{Clock, SystemClock};
use crate::model::time::Timestamp;

/// No build is older: a clock before this was never set.
const EARLIEST: &str = "2026-01-01T00:00:00Z";
/// Certificates and tokens would all have run out.
const LATEST: &str = "2100-01-01T00:00:00Z";
/// What nobody notices, in milliseconds: a date says whole seconds, and the answer took its way.
const CLOSE: u64 = 5_000;
/// What tokens and signatures bear, in milliseconds: as much as our own check of signed tokens does.
const BORNE: u64 = 300_000;

/// Our clock beside that of a push service, which is `ahead` of it in milliseconds.
pub(super) fn beside(about: &str, ahead: i64) -> Finding {
    let about = format!("{about} clock");
    let apart = ahead.unsigned_abs();
    let way = if ahead > 0 { "behind" } else { "ahead of" };
    let text = format!("this machine is {} s {way} the service", apart / 1_000);
    let mend = "keep the system's clock by NTP";
    match apart {
        ..CLOSE => Finding::ok(about, "agrees with the service's to some seconds"),
        CLOSE..BORNE => Finding::warn(about, format!("{text}; {mend}, tokens and schedules are as right as it is")),
        _ => Finding::fail(about, format!("{text}; {mend}, push services refuse tokens from another time")),
    }
}

pub(super) fn system() -> Vec<Finding> {
    vec![judge(SystemClock.now())]
}

fn judge(now: Timestamp) -> Finding {
    let year = |text: &str| Timestamp::parse(text).map_or(0, Timestamp::millis);
    if (year(EARLIEST)..year(LATEST)).contains(&now.millis()) {
        return Finding::ok("clock", format!("{now}"));
    }
    Finding::fail(
        "clock",
        format!(
            "{now} cannot be; set the system's clock and keep it by NTP, push services refuse tokens from another time"
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::super::State;
    use super::*;

    #[test]
    fn a_clock_that_was_never_set_fails() {
        assert_eq!(judge(Timestamp::from_millis(86_400_000)).state, State::Fail);
        assert_eq!(system()[0].state, State::Ok);
    }

    #[test]
    fn a_clock_apart_from_the_services_is_told_with_its_direction() {
        for (ahead, state, way) in [
            (0, State::Ok, "agrees"),
            (-4_999, State::Ok, "agrees"),
            (60_000, State::Warn, "60 s behind the service"),
            (-61_000, State::Warn, "61 s ahead of the service"),
            (3_600_000, State::Fail, "3600 s behind"),
            (i64::MIN, State::Fail, "ahead of"),
        ] {
            let found = beside("hub demo apns", ahead);
            assert!(found.state == state && found.text.contains(way), "{found}");
            assert_eq!(found.about, "hub demo apns clock");
        }
    }
}
