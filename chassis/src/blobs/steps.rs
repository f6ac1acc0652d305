//! How often what arrives is made durable: often enough that a crash costs little, rarely enough that the disk has time for
//! other work.

use std::time::Duration;
use tokio::time::Instant;

/// Fewer bytes are not worth a flush before [`LONGEST`] is over.
const STEP_BYTES: u64 = 64 * 1024;
/// What little arrives is durable after so long, all the same.
const LONGEST: Duration = Duration::from_millis(250);
/// A flush is followed by so many times its own length without one: a disk that is slow, or busy with other uploads, is asked
/// less often by itself.
const REST: u32 = 3;
/// However slow the disk.
const LONGEST_REST: Duration = Duration::from_millis(500);

/// Tells when the next step is due. Each is begun with [`Steps::begin`] and ends with [`Steps::done`].
#[derive(Clone, Copy, Debug)]
pub struct Steps {
    begun: Instant,
    ended: Instant,
    rest: Duration,
}

impl Steps {
    /// Begins to count at `now`.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self { begun: now, ended: now, rest: Duration::ZERO }
    }

    /// Whether `bytes` that arrived since the last step should be made durable now.
    #[must_use]
    pub fn is_due(&self, bytes: u64, now: Instant) -> bool {
        let since = now.saturating_duration_since(self.ended);
        bytes > 0 && since >= self.rest && (bytes >= STEP_BYTES || since >= LONGEST)
    }

    /// A step begins.
    pub fn begin(&mut self, now: Instant) {
        self.begun = now;
    }

    /// It has ended.
    pub fn done(&mut self, now: Instant) {
        self.rest = (now.saturating_duration_since(self.begun) * REST).min(LONGEST_REST);
        self.ended = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_step_is_due_for_enough_bytes_or_after_a_while_and_a_slow_disk_gets_its_rest() {
        let start = Instant::now();
        let mut steps = Steps::new(start);
        assert!(!steps.is_due(0, start + LONGEST * 10));
        assert!(!steps.is_due(STEP_BYTES - 1, start + LONGEST - MS));
        assert!(steps.is_due(1, start + LONGEST));
        assert!(steps.is_due(STEP_BYTES, start));
        steps.begin(start);
        steps.done(start + 5 * MS);
        assert!(!steps.is_due(10 * STEP_BYTES, start + 19 * MS));
        assert!(steps.is_due(STEP_BYTES, start + 20 * MS));
        steps.begin(start);
        steps.done(start + Duration::from_secs(5));
        assert!(!steps.is_due(STEP_BYTES, start + Duration::from_secs(5) + LONGEST_REST - MS));
        assert!(steps.is_due(STEP_BYTES, start + Duration::from_secs(5) + LONGEST_REST));
    }
}
