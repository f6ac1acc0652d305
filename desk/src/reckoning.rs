//! What time it is at headquarters, by dead reckoning: what its clock last said, and how long ago that is by the time since the
//! machine started, which nobody can set.
//!
//! A PC's clock may be hours off, and may be set while a report is typed. What is recorded then still says what that clock said
//! (`recorded_at`), but its place in the order of all changes goes by headquarters' time, so that a PC two hours ahead does not
//! win every edit of the next two hours. Where the clock is off by 5 minutes or less it is left alone: an order that is made of
//! seconds decides nothing between two people, and needs no correction.
//!
//! A headquarters whose own clock is years ahead is not followed there: a place once given stands, and all that comes after it would have to
//! stand behind it until that year has come. So nothing is ordered later than a day after the site's own clock.
//!
//! Only a node reckons. Headquarters goes by its own clock.

use std::sync::{PoisonError, RwLock};
use sync_protocol::hlc::MAX_AHEAD_MS;

/// How far ahead of the site's own clock headquarters' is believed, in milliseconds.
const MOST_AHEAD_MS: i64 = 24 * 3_600_000;

/// A reading of headquarters' clock, and the time since the machine started at which it was right.
#[derive(Clone, Copy, Debug)]
struct Reading {
    hub_ms: i64,
    boot_ms: i64,
}

/// The reckoning of one process.
#[derive(Debug, Default)]
pub struct Reckoning {
    last: RwLock<Option<Reading>>,
}

impl Reckoning {
    /// Headquarters' clock says `hub_ms` (milliseconds since 1970) when the machine has been running for `boot_ms`.
    pub fn begin(&self, hub_ms: i64, boot_ms: i64) {
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = Some(Reading { hub_ms, boot_ms });
    }

    /// What headquarters' clock says at `boot_ms`; none before it ever said anything.
    #[must_use]
    pub fn hub_ms(&self, boot_ms: i64) -> Option<i64> {
        let last = *self.last.read().unwrap_or_else(PoisonError::into_inner);
        last.map(|last| last.hub_ms.saturating_add(boot_ms.saturating_sub(last.boot_ms)))
    }

    /// How far the site's clock, which says `now_ms` at `boot_ms`, is ahead of headquarters'.
    #[must_use]
    pub fn offset_ms(&self, now_ms: i64, boot_ms: i64) -> Option<i64> {
        self.hub_ms(boot_ms).map(|hub_ms| now_ms.saturating_sub(hub_ms))
    }

    /// The time that the order of changes goes by, where the site's clock says `now_ms` at `boot_ms`: headquarters', where they are
    /// more than 5 minutes apart.
    #[must_use]
    pub fn order_ms(&self, now_ms: i64, boot_ms: i64) -> i64 {
        match self.hub_ms(boot_ms) {
            Some(hub_ms) if now_ms.abs_diff(hub_ms) > MAX_AHEAD_MS.unsigned_abs() => {
                hub_ms.min(now_ms.saturating_add(MOST_AHEAD_MS))
            }
            Some(_) | None => now_ms,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const T0: i64 = 1_795_132_800_000;
    const HOUR_MS: i64 = 3_600_000;

    #[test]
    fn a_clock_that_is_off_or_is_set_orders_nothing_and_one_that_is_right_enough_does() {
        let reckoning = Reckoning::default();
        assert_eq!(reckoning.order_ms(T0, 7), T0, "nobody said anything");
        // A PC two hours ahead, and three hours without headquarters.
        reckoning.begin(T0, 1000);
        assert_eq!(reckoning.order_ms(T0 + 2 * HOUR_MS, 1000), T0);
        assert_eq!(reckoning.order_ms(T0 + 5 * HOUR_MS, 1000 + 3 * HOUR_MS), T0 + 3 * HOUR_MS);
        // It is put right, then set to 1970 and to the end of time.
        assert_eq!(reckoning.order_ms(T0 + 3 * HOUR_MS + 5, 1000 + 3 * HOUR_MS), T0 + 3 * HOUR_MS + 5);
        assert_eq!(reckoning.order_ms(i64::MAX, 1000 + HOUR_MS), T0 + HOUR_MS);
        // In 1970 everything stands right behind what was there, as whatever is earlier than that does.
        assert_eq!(reckoning.order_ms(0, 1000 + HOUR_MS), MOST_AHEAD_MS);
        assert!(reckoning.order_ms(i64::MIN, 1000 + HOUR_MS) < 0);
        for off in [-MAX_AHEAD_MS, MAX_AHEAD_MS] {
            assert_eq!(reckoning.order_ms(T0 + off, 1000), T0 + off);
            assert_eq!(reckoning.offset_ms(T0 + off, 1000), Some(off));
            assert_eq!(reckoning.order_ms(T0 + off + off.signum(), 1000), T0);
        }
    }

    #[test]
    fn a_headquarters_in_2031_takes_no_right_clock_along() {
        let reckoning = Reckoning::default();
        reckoning.begin(T0 + 5 * 365 * MOST_AHEAD_MS, 1000);
        assert_eq!(reckoning.order_ms(T0, 1000), T0 + MOST_AHEAD_MS);
        reckoning.begin(T0, 2000);
        assert_eq!(reckoning.order_ms(T0, 2000), T0);
    }
}
