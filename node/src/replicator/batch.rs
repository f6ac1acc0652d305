//! How much to send or to ask for at once: little over a bad link, much over a good one. Pure.
//!
//! A batch starts small, doubles while batches of its size get through quickly, and is halved whenever one does not,
//! down to a single change. The size that works is found anew after each restart; nothing is remembered.

use std::time::Duration;

/// A batch that took longer than this did not get through quickly; the next one is not larger.
const QUICK: Duration = Duration::from_secs(5);

/// A size that follows what the link can carry, between 1 and a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    size: u64,
    most: u64,
}

impl Batch {
    /// Starts at `start`, never above `most`; both at least 1.
    #[must_use]
    pub fn new(start: u64, most: u64) -> Self {
        let most = most.max(1);
        Self { size: start.clamp(1, most), most }
    }

    /// How much to send now.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The same as a count.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::try_from(self.size).unwrap_or(u32::MAX)
    }

    /// The other side's limit, as it was last told.
    pub fn set_most(&mut self, most: u64) {
        self.most = most.max(1);
        self.size = self.size.min(self.most);
    }

    /// A batch of `sent` got through. A batch far below the size says nothing about larger ones; a single change that was
    /// larger than the size says that the size was too small, or a link that lost many in a row would take as many
    /// successes before two changes go together again.
    pub fn succeeded(&mut self, sent: u64, took: Duration) {
        if sent.saturating_mul(2) >= self.size && took <= QUICK {
            self.size = self.size.max(sent).saturating_mul(2).min(self.most);
        }
    }

    /// A batch of `sent` did not get through: the next one is half of that.
    pub fn failed(&mut self, sent: u64) {
        self.size = (self.size.min(sent) / 2).max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_limit_and_no_further() {
        let mut batch = Batch::new(16 * 1024, 100_000);
        let mut sizes = Vec::new();
        for _ in 0..5 {
            sizes.push(batch.size());
            batch.succeeded(batch.size(), Duration::from_millis(80));
        }
        assert_eq!(sizes, [16_384, 32_768, 65_536, 100_000, 100_000]);
    }

    #[test]
    fn it_halves_down_to_a_single_change_and_comes_back() {
        let mut batch = Batch::new(1000, 1000);
        for _ in 0..20 {
            batch.failed(batch.size());
        }
        assert_eq!(batch.size(), 1);
        for _ in 0..20 {
            batch.succeeded(batch.size(), Duration::ZERO);
        }
        assert_eq!(batch.size(), 1000);
    }

    #[test]
    fn after_many_failures_one_success_of_a_large_change_is_enough() {
        let mut batch = Batch::new(16 * 1024, 100_000);
        for _ in 0..20 {
            batch.failed(700);
        }
        assert_eq!(batch.size(), 1);
        batch.succeeded(700, Duration::ZERO);
        assert_eq!(batch.size(), 1400);
    }

    #[test]
    fn half_of_what_was_sent_is_what_a_failure_leaves() {
        let mut batch = Batch::new(1000, 1000);
        batch.failed(40);
        assert_eq!(batch.size(), 20, "1000 would send the same 40 again");
        batch.failed(390_000);
        assert_eq!(batch.size(), 10, "a single change may be larger than the size");
    }

    #[test]
    fn small_or_slow_batches_do_not_grow_it() {
        let mut batch = Batch::new(1000, 4000);
        batch.succeeded(100, Duration::ZERO);
        batch.succeeded(1000, Duration::from_secs(6));
        assert_eq!(batch.size(), 1000);
        batch.succeeded(500, Duration::from_secs(5));
        assert_eq!(batch.size(), 2000);
        batch.set_most(300);
        assert_eq!(batch.size(), 300);
        assert_eq!(Batch::new(0, 0).count(), 1);
    }
}
