//! Numbers for people: bytes, durations, percentiles, bars.

use std::time::Duration;

/// `1.4 KB`, `23 B`, `5.0 MB`; a thousand bytes to the kilobyte.
#[must_use]
pub fn bytes(count: u64) -> String {
    match count {
        0..1_000 => format!("{count} B"),
        1_000..1_000_000 => format!("{:.1} KB", count as f64 / 1e3),
        _ => format!("{:.1} MB", count as f64 / 1e6),
    }
}

/// `12,345`.
#[must_use]
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `0.42 ms`, `18 ms`, `3.1 s`.
#[must_use]
pub fn time(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1e3;
    match ms {
        ..10.0 => format!("{ms:.2} ms"),
        ..1000.0 => format!("{ms:.0} ms"),
        _ => format!("{:.1} s", ms / 1e3),
    }
}

/// `done` of `all` as a bar of `width` characters.
#[must_use]
pub fn bar(done: u64, all: u64, width: usize) -> String {
    let filled = (done.min(all) * width as u64).checked_div(all).unwrap_or(width as u64) as usize;
    format!("{}{}", "█".repeat(filled), "░".repeat(width - filled))
}

/// The value that `share` (0.0 to 1.0) of `times` do not exceed; zero when there are none.
#[must_use]
pub fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let rank = (times.len() as f64 * share).ceil() as usize;
    times.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!((bytes(999), bytes(1_400), bytes(5_000_000)), ("999 B".into(), "1.4 KB".into(), "5.0 MB".into()));
        assert_eq!((count(7), count(1_000), count(1_234_567)), ("7".into(), "1,000".into(), "1,234,567".into()));
        assert_eq!((bar(0, 4, 4), bar(3, 4, 4), bar(9, 4, 2)), ("░░░░".into(), "███░".into(), "██".into()));
        assert_eq!(bar(0, 0, 2), "██");
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let mut times: Vec<Duration> = (1..=100).rev().map(Duration::from_millis).collect();
        assert_eq!(percentile(&mut times, 0.5), Duration::from_millis(50));
        assert_eq!(percentile(&mut times, 0.99), Duration::from_millis(99));
        assert_eq!(percentile(&mut [], 0.5), Duration::ZERO);
    }
}
