//! How long a name waits after failed logins. Pure.

use crate::ledger::Failures;

/// Failures that cost nothing: fingers slip.
pub const FREE: u32 = 5;
/// The longest wait.
pub const LONGEST_MS: i64 = 15 * 60 * 1000;

/// Milliseconds until the next try is taken; `None`: now. One second after the fifth failure, twice as long after each
/// further one, fifteen minutes at most.
#[must_use]
pub fn wait_ms(failures: Failures, now_ms: i64) -> Option<i64> {
    let doublings = failures.count.checked_sub(FREE)?;
    let wait = 1000_i64.checked_shl(doublings.min(20)).unwrap_or(LONGEST_MS).min(LONGEST_MS);
    let passed = now_ms.saturating_sub(failures.last_ms);
    // A failure in the future was noted by a clock that has been set right since: nobody waits for that day.
    if passed < -LONGEST_MS {
        return None;
    }
    let left = wait - passed.max(0);
    (left > 0).then_some(left)
}

/// Whole seconds to tell the client, never too few.
#[must_use]
pub const fn retry_after_s(wait_ms: i64) -> u64 {
    (wait_ms.unsigned_abs()).div_ceil(1000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_begins_at_the_fifth_failure_doubles_and_has_an_end() {
        let wait = |count| wait_ms(Failures { count, last_ms: 0 }, 0);
        assert_eq!(wait(0), None);
        assert_eq!(wait(4), None);
        assert_eq!(wait(5), Some(1000));
        assert_eq!(wait(6), Some(2000));
        assert_eq!(wait(8), Some(8000));
        assert_eq!(wait(40), Some(LONGEST_MS));
        assert_eq!(wait(u32::MAX), Some(LONGEST_MS));
    }

    #[test]
    fn waiting_helps_and_a_clock_set_back_locks_nobody_out_for_years() {
        let failures = Failures { count: 6, last_ms: 10_000 };
        assert_eq!(wait_ms(failures, 11_500), Some(500));
        assert_eq!(retry_after_s(500), 1);
        assert_eq!(wait_ms(failures, 12_000), None);
        assert_eq!(wait_ms(failures, 9_000), Some(2000));
        assert_eq!(wait_ms(failures, -LONGEST_MS), None);
    }
}
