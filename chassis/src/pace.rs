//! How fast the bytes of a body have to come. Whoever sends a byte a minute holds a place that somebody else needs; a phone at the edge
//! of its network, and a line of 64 kbit/s that several share, are far above what is asked for.

use std::time::Duration;

/// Counts what comes and how long it is waited for. Time that passes while nobody waits (the disk is slow, say) does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    least_bytes_per_s: u64,
    window: Duration,
    waited: Duration,
    bytes: u64,
}

impl Default for Pace {
    /// 1 KiB a second over a minute.
    fn default() -> Self {
        Self::new(1024, Duration::from_secs(60))
    }
}

impl Pace {
    /// At least so many bytes a second, over each `window` of waiting. Nothing is said before the first one is over.
    #[must_use]
    pub const fn new(least_bytes_per_s: u64, window: Duration) -> Self {
        Self { least_bytes_per_s, window, waited: Duration::ZERO, bytes: 0 }
    }

    /// Notes that `bytes` came after `waited`; whether that is fast enough.
    pub fn keeps_up(&mut self, bytes: usize, waited: Duration) -> bool {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.waited = self.waited.saturating_add(waited);
        if self.waited < self.window {
            return true;
        }
        let least = u128::from(self.least_bytes_per_s) * self.waited.as_millis() / 1000;
        let enough = u128::from(self.bytes) >= least;
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_byte_a_minute_is_too_slow_and_a_bad_line_is_not() {
        let s = Duration::from_secs;
        let mut drip = Pace::default();
        assert!(drip.keeps_up(1, s(59)));
        assert!(!drip.keeps_up(1, s(59)));
        // A third of 64 kbit/s, and a phone that was out of reach for most of a minute.
        let mut node = Pace::default();
        assert!((0..600).all(|_| node.keeps_up(2600, s(1))));
        let mut phone = Pace::default();
        assert!(phone.keeps_up(0, s(50)) && (0..60).all(|_| phone.keeps_up(8_000, s(1))));
    }

    #[test]
    fn what_came_fast_once_does_not_pay_for_ever() {
        let mut pace = Pace::new(100, Duration::from_secs(10));
        assert!(pace.keeps_up(1_000_000, Duration::from_secs(10)));
        assert!(!pace.keeps_up(999, Duration::from_secs(10)));
        assert!(pace.keeps_up(1000, Duration::from_secs(10)));
    }
}
