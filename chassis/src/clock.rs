//! The only place that asks the machine what time it is, and the one spelling of a moment in text.

use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use jiff::fmt::temporal::{DateTimeParser, DateTimePrinter};

/// Where a program gets its wall-clock time from.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970-01-01T00:00:00Z. May jump in either direction; never use it to measure a duration.
    fn now_ms(&self) -> i64;

    /// Milliseconds since the machine started, those included in which it slept. Nobody can set it; it begins anew with the machine.
    fn boot_ms(&self) -> i64;

    /// Tells one start of the machine from another; empty where it has no name. A program that may not see `/proc/sys` has none: nothing
    /// else tells it without the clock that may be wrong, so what follows from it (headquarters' time right after a start of the
    /// program, for one) has to wait until headquarters is heard again.
    fn boot_id(&self) -> String;
}

/// A clock as it is passed around.
pub type SharedClock = Arc<dyn Clock>;

/// Linux's name for the time between two starts.
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// For tests of what a wrong clock does, over real processes: milliseconds to add to what the machine says.
const TEST_OFFSET: &str = "AINCIDENT_TEST_CLOCK_OFFSET_MS";

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl SystemClock {
    /// The machine's clock, ready to be passed around. Moved where a test asks for it in the environment, and the log
    /// says so.
    #[must_use]
    pub fn shared() -> SharedClock {
        let Ok(asked) = std::env::var(TEST_OFFSET) else {
            return Arc::new(Self);
        };
        let Ok(offset_ms) = asked.parse() else {
            tracing::warn!(asked, "{TEST_OFFSET} is set to no number of milliseconds; the clock is not moved");
            return Arc::new(Self);
        };
        tracing::warn!(
            offset_ms,
            "{TEST_OFFSET} is set: THIS PROGRAM'S CLOCK IS MOVED AND EVERY TIME IT WRITES IS WRONG; it is for tests only"
        );
        Arc::new(MovedClock { offset_ms })
    }
}

/// The machine's clock, moved by a test.
struct MovedClock {
    offset_ms: i64,
}

impl Clock for MovedClock {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms().saturating_add(self.offset_ms)
    }

    fn boot_ms(&self) -> i64 {
        SystemClock.boot_ms()
    }

    fn boot_id(&self) -> String {
        SystemClock.boot_id()
    }
}

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "this is the one place")]
    fn now_ms(&self) -> i64 {
        let signed = |span: std::time::Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        match SystemTime::now().duration_since(UNIX_EPOCH) {
            Ok(after) => signed(after),
            // A PC with an empty CMOS battery can start before 1970.
            Err(before) => -signed(before.duration()),
        }
    }

    fn boot_ms(&self) -> i64 {
        let since = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        since.tv_sec.saturating_mul(1000).saturating_add(since.tv_nsec / 1_000_000)
    }

    fn boot_id(&self) -> String {
        // It outlives the process, and is asked for with every answer of the hub.
        static ID: OnceLock<String> = OnceLock::new();
        let read = || std::fs::read_to_string(BOOT_ID).map(|id| id.trim().to_owned()).unwrap_or_default();
        ID.get_or_init(read).clone()
    }
}

/// A clock that moves only when it is told to: for tests and for simulation.
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicI64,
    boot_ms: AtomicI64,
}

impl ManualClock {
    /// A clock standing at `now_ms` (milliseconds since 1970).
    #[must_use]
    pub fn new(now_ms: i64) -> Arc<Self> {
        Arc::new(Self { now_ms: AtomicI64::new(now_ms), boot_ms: AtomicI64::new(0) })
    }

    /// Sets the clock to `now_ms`, backwards too; no time passes.
    pub fn set(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::SeqCst);
    }

    /// Lets `by_ms` pass and returns the new time; negative sets the clock back.
    pub fn advance(&self, by_ms: i64) -> i64 {
        self.boot_ms.fetch_add(by_ms.max(0), Ordering::SeqCst);
        self.now_ms.fetch_add(by_ms, Ordering::SeqCst) + by_ms
    }
}

impl Clock for ManualClock {
    fn now_ms(&self) -> i64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn boot_ms(&self) -> i64 {
        self.boot_ms.load(Ordering::SeqCst)
    }

    fn boot_id(&self) -> String {
        String::new()
    }
}

/// 1900-01-01T00:00:00Z.
const EARLIEST_MS: i64 = -2_208_988_800_000;
/// 2199-12-31T23:59:59.999Z.
const LATEST_MS: i64 = 7_258_118_399_999;

/// `ms` since 1970 as RFC 3339 in UTC: `2026-01-02T03:04:05Z`, with `.mmm` only when there is a fraction.
///
/// A value outside what a calendar can say (years -9999..=9999) is shown as the nearest one it can.
#[must_use]
pub fn format_rfc3339(ms: i64) -> String {
    let clamped = ms.clamp(Timestamp::MIN.as_millisecond(), Timestamp::MAX.as_millisecond());
    let moment = Timestamp::from_millisecond(clamped).unwrap_or(Timestamp::UNIX_EPOCH);
    let precision = if clamped.rem_euclid(1000) == 0 { 0 } else { 3 };
    DateTimePrinter::new().precision(Some(precision)).timestamp_to_string(&moment)
}

/// Reads an RFC 3339 moment (`Z` or any numeric offset) as milliseconds since 1970, cutting off what is finer.
///
/// `None` when it is not one, has no offset, or lies outside the years 1900..=2199 (UTC).
#[must_use]
pub fn parse_rfc3339(text: &str) -> Option<i64> {
    // The parser reads more than RFC 3339 (time-zone annotations, ISO week dates); what goes in here is echoed
    // to other programs, so only the plain form is taken.
    let plain = |c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | ':' | '.' | 'T' | 't' | 'Z' | 'z' | ' ');
    if text.len() < 20 || text.len() > 40 || !text.chars().all(plain) || text.starts_with(['+', '-']) {
        return None;
    }
    static PARSER: DateTimeParser = DateTimeParser::new();
    let moment = PARSER.parse_timestamp(text).ok()?;
    // Rounds down, not towards zero, so that order is kept before 1970.
    let ms = i64::try_from(moment.as_nanosecond().div_euclid(1_000_000)).ok()?;
    (EARLIEST_MS..=LATEST_MS).contains(&ms).then_some(ms)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fraction_is_written_only_when_there_is_one() {
        assert_eq!(format_rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(format_rfc3339(1_767_323_045_000), "2026-01-02T03:04:05Z");
        assert_eq!(format_rfc3339(1_767_323_045_007), "2026-01-02T03:04:05.007Z");
        assert_eq!(format_rfc3339(-1), "1969-12-31T23:59:59.999Z");
        assert!(!format_rfc3339(i64::MIN).is_empty());
        assert!(!format_rfc3339(i64::MAX).is_empty());
    }

    #[test]
    fn offsets_are_read_and_what_is_written_reads_back() {
        assert_eq!(parse_rfc3339("2026-01-02T03:04:05Z"), Some(1_767_323_045_000));
        assert_eq!(parse_rfc3339("2026-01-02T05:04:05.5+02:00"), Some(1_767_323_045_500));
        assert_eq!(parse_rfc3339("2026-01-01T22:04:05-05:00"), Some(1_767_323_045_000));
        for ms in [EARLIEST_MS, LATEST_MS, -1, 0, 1, 1_767_323_045_007] {
            assert_eq!(parse_rfc3339(&format_rfc3339(ms)), Some(ms));
        }
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for bad in [
            "",
            "2026-01-02",
            "2026-01-02T03:04:05",
            "2026-02-30T03:04:05Z",
            "2026-01-02T25:04:05Z",
            "1899-12-31T23:59:59Z",
            "2200-01-01T00:00:00Z",
            "-002026-01-02T03:04:05Z",
            "2026-01-02T03:04:05Z[UTC]",
            "tomorrow at half past nine!",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn leap_days_exist_in_leap_years_only_and_a_leap_second_is_the_second_before_it() {
        for good in ["2028-02-29T00:00:00Z", "2000-02-29T23:59:59Z"] {
            assert!(parse_rfc3339(good).is_some(), "{good}");
        }
        for bad in ["2026-02-29T00:00:00Z", "2100-02-29T00:00:00Z", "1900-02-29T00:00:00Z", "2026-12-31T23:59:61Z"] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
        // 1970's milliseconds have no room for it; RFC 3339 allows it, so who sends it is not sent away.
        assert_eq!(parse_rfc3339("2016-12-31T23:59:60Z"), parse_rfc3339("2016-12-31T23:59:59Z"));
    }

    #[test]
    fn a_manual_clock_moves_only_by_hand() {
        let clock = ManualClock::new(5);
        assert_eq!((clock.now_ms(), clock.advance(-7), clock.now_ms()), (5, -2, -2));
        clock.set(9);
        assert_eq!(clock.now_ms(), 9);
    }
}
