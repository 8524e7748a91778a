//! Figures of a run as people read them, and medians.
use std::time::Duration;

use indicatif::HumanCount;

/// The middle one, of an even number the mean of the two in the middle; 0 of none. Sorts them.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let (before, after) = values.split_at(values.len() / 2);
    match (before.last(), after.first()) {
        (Some(low), Some(high)) if values.len().is_multiple_of(2) => f64::midpoint(*low, *high),
        (_, Some(middle)) => *middle,
        _ => 0.0,
    }
}

/// So many in that time, a second; 0 in no time.
pub fn per_second(count: u64, took: Duration) -> f64 {
    if took.is_zero() { 0.0 } else { count as f64 / took.as_secs_f64() }
}

/// Microseconds for each of `count`; 0 for none.
pub fn micros_each(spent: Duration, count: u64) -> f64 {
    if count == 0 { 0.0 } else { spent.as_secs_f64() * 1e6 / count as f64 }
}

/// `1,234,567`
pub fn grouped(count: u64) -> String {
    HumanCount(count).to_string()
}

/// A rate to three digits, which is more than a shared machine repeats: `704,000`.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rounded to a whole number")]
pub fn rate(per_second: f64) -> String {
    let step = 10_f64.powf((per_second.max(1.0).log10().floor() - 2.0).max(0.0));
    grouped(((per_second / step).round() * step) as u64)
}

/// `61.5 MiB`
pub fn mebibytes(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), 2.5);
        assert_eq!(median(&mut []), 0.0);
    }

    #[test]
    fn figures_read_well() {
        assert_eq!((rate(704_321.0), rate(12.4), rate(0.0)), ("704,000".to_owned(), "12".to_owned(), "0".to_owned()));
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(mebibytes(64_487_424), "61.5 MiB");
        assert_eq!(per_second(10, Duration::from_secs(2)), 5.0);
        assert_eq!(micros_each(Duration::from_secs(1), 1_000_000), 1.0);
    }
}
