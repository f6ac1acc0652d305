//! How long to wait before the next try.

use std::time::Duration;

use http::HeaderMap;
use http::header::RETRY_AFTER;

/// Growing pauses with jitter: after a power cut thousands of clients come back in the same second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Never shorter than this.
    pub floor: Duration,
    /// Never longer than this.
    pub cap: Duration,
}

impl Default for Backoff {
    /// 1 s to 5 min.
    fn default() -> Self {
        Self { floor: Duration::from_secs(1), cap: Duration::from_secs(300) }
    }
}

impl Backoff {
    /// The pause after `failures` failures in a row (counted from 1; 0 is taken as 1): evenly spread between the floor
    /// and a bound that doubles with each failure, from twice the floor up to the cap. `random` is any number over all of `u64`.
    #[must_use]
    pub fn delay(&self, failures: u32, random: u64) -> Duration {
        let floor = self.floor.as_nanos();
        let cap = self.cap.as_nanos().max(floor);
        let bound = floor.saturating_mul(1 << failures.clamp(1, 63)).min(cap);
        let spread = (bound - floor).min(u128::from(u64::MAX));
        // A fraction of the spread rather than a remainder: no bias.
        let step = (spread * u128::from(random)) >> 64;
        Duration::from_nanos(u64::try_from(floor + step).unwrap_or(u64::MAX))
    }
}

/// No server may send us away for longer than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// How long `Retry-After` asks to wait, seconds or a date (against `now_ms`), at most a day.
/// `None` when it is not there or makes no sense; zero when the date has passed.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now_ms: i64) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let wait = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Duration::from_secs(text.parse().unwrap_or(u64::MAX))
    } else {
        let moment = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        let wait_ms = moment.as_millisecond().saturating_sub(now_ms);
        Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0))
    };
    Some(wait.min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn pauses_grow_from_the_floor_to_the_cap_and_are_spread() {
        let backoff = Backoff::default();
        let bounds =
            |failures| (backoff.delay(failures, 0).as_secs(), backoff.delay(failures, u64::MAX).as_secs_f64().round());
        assert_eq!(bounds(0), (1, 2.0));
        assert_eq!(bounds(1), (1, 2.0));
        assert_eq!(bounds(2), (1, 4.0));
        assert_eq!(bounds(8), (1, 256.0));
        assert_eq!(bounds(9), (1, 300.0));
        assert_eq!(bounds(u32::MAX), (1, 300.0));
        assert_eq!(backoff.delay(2, u64::MAX / 2).as_millis(), 2499);
    }

    #[test]
    fn a_cap_below_the_floor_is_the_floor() {
        let backoff = Backoff { floor: Duration::from_secs(2), cap: Duration::ZERO };
        assert_eq!(backoff.delay(5, u64::MAX), Duration::from_secs(2));
    }

    fn asked(value: &'static str) -> Option<u64> {
        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static(value));
        // 2015-10-21T07:27:00Z
        retry_after(&headers, 1_445_412_420_000).map(|wait| wait.as_secs())
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        assert_eq!(asked("7"), Some(7));
        assert_eq!(asked("99999999999999999999999"), Some(86400));
        assert_eq!(asked("Wed, 21 Oct 2015 07:28:00 GMT"), Some(60));
        assert_eq!(asked("Wed, 21 Oct 2015 07:00:00 GMT"), Some(0));
        for nonsense in ["", "-1", "soon", "1.5"] {
            assert_eq!(asked(nonsense), None, "{nonsense}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), 0), None);
    }
}
