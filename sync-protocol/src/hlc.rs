//! Hybrid logical clock: wall time where clocks agree, a counter where they do not.
//!
//! Format: 47 bits of milliseconds since 1970 (UTC) and 16 bits of counter, so that the number sorts as
//! the pair does and fits a signed SQL integer. After Kulkarni et al., "Logical Physical Clocks" (2014).
//! Pure: the caller brings the time and the last value, and keeps the result.

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::fmt;

/// One reading of a hybrid logical clock. Ordered by milliseconds, then counter.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Hlc(u64);

/// The largest wall time a reading can hold, in milliseconds since 1970: in the year 6429.
pub const MAX_MS: i64 = (1 << 47) - 1;

/// How far ahead of the hub's clock a change may stand, in milliseconds; the hub clamps what stands further.
pub const MAX_AHEAD_MS: i64 = 5 * 60 * 1000;

impl Hlc {
    /// The reading at `ms` milliseconds since 1970 with `counter`. Times outside `0..=MAX_MS` are clamped:
    /// a PC whose clock says 1965 still has to be able to record.
    #[must_use]
    pub const fn new(ms: i64, counter: u16) -> Self {
        let ms = if ms < 0 {
            0
        } else if ms > MAX_MS {
            MAX_MS
        } else {
            ms
        };
        Self(((ms as u64) << 16) | counter as u64)
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub const fn ms(self) -> i64 {
        (self.0 >> 16) as i64
    }

    /// How many readings of the same millisecond came before.
    #[must_use]
    pub const fn counter(self) -> u16 {
        (self.0 & 0xffff) as u16
    }

    /// The reading as an SQL integer; sorts as the reading does.
    #[must_use]
    pub const fn to_i64(self) -> i64 {
        self.0 as i64
    }

    /// The reverse of [`Hlc::to_i64`]; negative numbers are no readings and become zero.
    #[must_use]
    pub const fn from_i64(raw: i64) -> Self {
        if raw < 0 { Self(0) } else { Self(raw as u64) }
    }

    /// The reading after `self` when the wall clock says `now_ms`: later than `self`, and equal to the wall clock
    /// whenever that moved on. Only after the very last reading, in the year 6429, there is no later one.
    #[must_use]
    pub const fn next(self, now_ms: i64) -> Self {
        let wall = Self::new(now_ms, 0);
        if wall.0 > self.0 {
            wall
        } else if self.0 < i64::MAX as u64 {
            Self(self.0 + 1)
        } else {
            self
        }
    }

    /// The later of what this site last said and what it has now `seen` from another.
    #[must_use]
    pub const fn observe(self, seen: Self) -> Self {
        if seen.0 > self.0 { seen } else { self }
    }

    /// Whether a change that stands here and says it was made at `at_ms` was made by a clock that was off: it says a later
    /// time than the place it was given, or one long before everything its site had seen.
    #[must_use]
    pub const fn tells_a_wrong_clock(self, at_ms: i64) -> bool {
        let ahead_ms = at_ms.saturating_sub(self.ms());
        // What another site recorded may stand 5 minutes ahead, by a clock that is a little off itself.
        ahead_ms > 0 || ahead_ms < -2 * MAX_AHEAD_MS
    }

    /// `self`, or the latest reading allowed when it lies more than `max_ahead_ms` after `now_ms`:
    /// a PC that believes in 2031 must not win every edit.
    #[must_use]
    pub const fn clamp(self, now_ms: i64, max_ahead_ms: i64) -> Self {
        let limit = Self::new(now_ms.saturating_add(max_ahead_ms), 0);
        if self.0 > limit.0 { limit } else { self }
    }
}

impl fmt::Display for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.ms(), self.counter())
    }
}

impl fmt::Debug for Hlc {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A text that is not a reading of the form `MILLISECONDS-COUNTER`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a clock reading of the form 1763851234567-0")]
pub struct NotAReading;

impl std::str::FromStr for Hlc {
    type Err = NotAReading;

    fn from_str(text: &str) -> Result<Self, NotAReading> {
        let (ms, counter) = text.split_once('-').ok_or(NotAReading)?;
        let ms: i64 = ms.parse().map_err(|_| NotAReading)?;
        let counter: u16 = counter.parse().map_err(|_| NotAReading)?;
        if !(0..=MAX_MS).contains(&ms) {
            return Err(NotAReading);
        }
        let reading = Self::new(ms, counter);
        // One reading, one spelling: "007-01" is refused.
        if reading.to_string() == text { Ok(reading) } else { Err(NotAReading) }
    }
}

impl Serialize for Hlc {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Hlc {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(d)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_tells_whether_the_clock_was_off() {
        let place = Hlc::new(1_000_000_000, 3);
        assert!(!place.tells_a_wrong_clock(1_000_000_000));
        assert!(!place.tells_a_wrong_clock(1_000_000_000 - 2 * MAX_AHEAD_MS), "others may be ahead");
        assert!(place.tells_a_wrong_clock(999_999_999 - 2 * MAX_AHEAD_MS), "1970");
        assert!(place.tells_a_wrong_clock(1_000_000_001), "it was placed earlier than it said");
        assert!(place.tells_a_wrong_clock(i64::MAX) && place.tells_a_wrong_clock(i64::MIN));
    }
}
