//! The clock: tokens, expiry and schedules are as right as it is.

use super::Finding;
use crate::clock::{Clock, SystemClock};
use crate::model::time::Timestamp;

/// No build is older: a clock before this was never set.
const EARLIEST: &str = "2026-01-01T00:00:00Z";
/// Certificates and tokens would all have run out.
const LATEST: &str = "2100-01-01T00:00:00Z";
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
}
