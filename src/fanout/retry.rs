//! When to try again.
//!
//! Delays double with full jitter between two bounds, or are the service's own. Due times are rounded up to a grid that
//! is coarser the longer the delay, so that repeats of a chunk share a row (design.md section 4).

use std::time::Duration;

use crate::model::platform::Platform;
use crate::model::time::Timestamp;

/// The longest delay that a service may ask for (`push-services.md` 0.2).
pub(super) const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(3_600);

/// The longest of our own delays.
const LONGEST: Duration = Duration::from_secs(900);

/// Target-wide throttling without a delay of the service's own: one to two minutes (`push-services.md` 1.5).
const THROTTLED_TARGET: Duration = Duration::from_secs(60);

/// How long to wait before attempt `next` (2 is the first repeat). `chance` is in 0..1.
///
/// APNs: one early repeat after 1 to 5 s, then steps of about 15 minutes (1.5). The others begin at 10 s and double.
pub(super) fn backoff(platform: Platform, next: u8, asked: Option<Duration>, chance: f64) -> Duration {
    if let Some(asked) = asked {
        return asked.min(LONGEST_RETRY_AFTER) + Duration::from_secs(2).mul_f64(chance);
    }
    match (platform, next) {
        (Platform::Apns, ..=2) => Duration::from_secs(1) + Duration::from_secs(4).mul_f64(chance),
        (Platform::Apns, _) => LONGEST + Duration::from_secs(60).mul_f64(chance),
        (_, next) => {
            let doubled = Duration::from_secs(10) * (1 << u32::from(next.saturating_sub(2)).min(7));
            let ceiling = doubled.min(LONGEST);
            Duration::from_secs(10).max(ceiling.mul_f64(0.5 + chance / 2.0))
        }
    }
}

/// How long a throttled device, topic or channel rests.
pub(super) fn target_rest(asked: Option<Duration>, chance: f64) -> Duration {
    asked.map_or_else(|| THROTTLED_TARGET.mul_f64(1.0 + chance), |asked| asked.min(LONGEST_RETRY_AFTER))
}

/// `now + delay`, rounded up to the grid of that delay: 1 s, 5 s, 15 s, 1, 5 or 15 minutes.
pub(super) fn due(now: Timestamp, delay: Duration) -> Timestamp {
    let seconds: i64 = match delay.as_secs() {
        0..=10 => 1,
        11..=60 => 5,
        61..=300 => 15,
        301..=1_200 => 60,
        1_201..=7_200 => 300,
        _ => 900,
    };
    let grid = seconds * 1_000;
    let at = now.plus(delay).millis();
    Timestamp::from_millis(at.saturating_add(grid - 1).div_euclid(grid) * grid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn apns_repeats_once_early_and_then_in_quarter_hours() {
        assert!(backoff(Platform::Apns, 2, None, 0.99) <= Duration::from_secs(5));
        assert!(backoff(Platform::Apns, 3, None, 0.0) >= Duration::from_secs(900));
    }

    #[test]
    fn a_services_own_delay_is_kept_but_clamped() {
        assert_eq!(backoff(Platform::Fcm, 2, Some(Duration::from_secs(30)), 0.0), Duration::from_secs(30));
        let ten_years = Duration::from_secs(10 * 365 * 86_400);
        assert!(backoff(Platform::Fcm, 2, Some(ten_years), 0.5) <= LONGEST_RETRY_AFTER + Duration::from_secs(2));
    }

    proptest! {
        #[test]
        fn due_is_never_early_and_at_most_one_step_late(now in 0i64..4_000_000_000_000, seconds in 0u64..100_000) {
            let delay = Duration::from_secs(seconds);
            let exact = Timestamp::from_millis(now).plus(delay);
            let rounded = due(Timestamp::from_millis(now), delay);
            prop_assert!(rounded >= exact);
            let late = rounded.since(exact);
            prop_assert!(late < Duration::from_secs(900));
            prop_assert!(late <= Duration::from_secs(1).max(delay / 2));
        }

        #[test]
        fn backoff_is_at_least_ten_seconds_elsewhere_and_bounded(next in 2u8..=20, chance in 0.0f64..1.0) {
            let delay = backoff(Platform::Fcm, next, None, chance);
            prop_assert!(delay >= Duration::from_secs(10) && delay <= LONGEST);
        }
    }
}
