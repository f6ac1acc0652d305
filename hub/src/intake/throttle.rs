//! How many wrong enrolment codes are looked at. One bound for all askers: addresses are cheap, codes are not.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Wrong codes in a row before the next one has to wait.
const BURST: u32 = 30;
/// One more wrong code is looked at each time this has passed.
const REFILL: Duration = Duration::from_secs(2);

/// Counts wrong codes. Forgotten at a restart, which costs an attacker more than it gives.
#[derive(Debug)]
pub struct Throttle {
    /// The moment at which as many wrong codes as the burst allows will have been forgotten.
    settled: Mutex<Option<Instant>>,
}

impl Throttle {
    pub(super) const fn new() -> Self {
        Self { settled: Mutex::new(None) }
    }

    /// Whether a code is looked at `now`; else how long to wait. It counts as wrong until [`Throttle::right`] says
    /// otherwise, so that many askers at once gain nothing.
    ///
    /// # Errors
    /// The time until the next one is looked at.
    pub fn ask(&self, now: Instant) -> Result<(), Duration> {
        let most = REFILL * (BURST - 1);
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        let from = settled.map_or(now, |settled| settled.max(now));
        let owed = from.duration_since(now);
        if owed > most {
            return Err(owed - most);
        }
        *settled = Some(from + REFILL);
        Ok(())
    }

    /// Takes back what the last [`Throttle::ask`] counted.
    pub fn right(&self) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        *settled = settled.and_then(|settled| settled.checked_sub(REFILL));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_codes_are_slowed_down_and_forgotten() {
        let (throttle, begin) = (Throttle::new(), Instant::now());
        for _ in 0..BURST {
            assert_eq!(throttle.ask(begin), Ok(()));
        }
        assert_eq!(throttle.ask(begin), Err(REFILL));
        assert_eq!(throttle.ask(begin + REFILL), Ok(()));
        assert!(throttle.ask(begin + REFILL).is_err());
        let later = begin + REFILL * (BURST + 1);
        for _ in 0..BURST {
            assert_eq!(throttle.ask(later), Ok(()));
        }
        assert!(throttle.ask(later).is_err());
    }

    #[test]
    fn right_codes_are_not_counted() {
        let (throttle, now) = (Throttle::new(), Instant::now());
        for _ in 0..10 * BURST {
            assert_eq!(throttle.ask(now), Ok(()));
            throttle.right();
        }
    }
}
