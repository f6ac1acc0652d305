//! A circuit breaker as a pure state machine: time comes in as a parameter.
//!
//! Closed: requests pass; enough failures in a row open it. Open: nothing passes until its time is up. Half-open: one
//! request passes; its success closes the breaker, its failure opens it again, for longer.

use std::time::Duration;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerConfig {
    /// Failures in a row that open it; default 5.
    pub failures: u32,
    /// How long it stays open the first time; doubles with every failed trial. Default 5 s.
    pub open_for: Duration,
    /// The longest it stays open. Default 60 s.
    pub open_at_most: Duration,
}

impl Default for BreakerConfig {
    fn default() -> Self {
        Self {
            failures: 5,
            open_for: Duration::from_secs(5),
            open_at_most: Duration::from_secs(60),
        }
    }
}

/// A circuit breaker. Times are durations since any fixed moment; they must not run backwards.
#[derive(Debug, Clone)]
pub struct Breaker {
    config: BreakerConfig,
    state: State,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Closed {
        failures: u32,
    },
    Open {
        until: Duration,
        span: Duration,
    },
    /// One request is on its way.
    HalfOpen {
        span: Duration,
    },
}

impl Breaker {
    /// A closed breaker.
    #[must_use]
    pub fn new(config: BreakerConfig) -> Self {
        Self { config, state: State::Closed { failures: 0 } }
    }

    /// Asks to send a request at `now`. Whoever is let through must report back.
    ///
    /// # Errors
    ///
    /// How long to wait when nothing may pass.
    pub fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        match self.state {
            State::Closed { .. } => Ok(()),
            State::Open { until, span } if now >= until => {
                self.state = State::HalfOpen { span };
                Ok(())
            }
            State::Open { until, .. } => Err(until - now),
            State::HalfOpen { .. } => Err(Duration::from_secs(1)),
        }
    }

    /// A request was answered.
    pub fn succeeded(&mut self) {
        // A straggler from before the breaker opened proves nothing about now.
        if !matches!(self.state, State::Open { .. }) {
            self.reset();
        }
    }

    /// A request failed at `now`.
    pub fn failed(&mut self, now: Duration) {
        match self.state {
            State::Closed { failures } if failures + 1 < self.config.failures => {
                self.state = State::Closed { failures: failures + 1 };
            }
            State::Closed { .. } => self.open(now, self.config.open_for),
            State::HalfOpen { span } => self.open(now, span.saturating_mul(2)),
            State::Open { .. } => {}
        }
    }

    /// Closes it, whatever happened.
    pub fn reset(&mut self) {
        self.state = State::Closed { failures: 0 };
    }

    /// Whether requests pass.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed { .. })
    }

    fn open(&mut self, now: Duration, span: Duration) {
        let span = span.min(self.config.open_at_most);
        self.state = State::Open { until: now + span, span };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn opened() -> Breaker {
        let mut breaker = Breaker::new(BreakerConfig { failures: 3, open_for: s(5), open_at_most: s(12) });
        for _ in 0..3 {
            breaker.admit(s(0)).unwrap();
            breaker.failed(s(0));
        }
        breaker
    }

    #[test]
    fn failures_in_a_row_open_it_and_a_success_between_does_not() {
        let mut breaker = Breaker::new(BreakerConfig { failures: 2, ..BreakerConfig::default() });
        breaker.failed(s(0));
        breaker.succeeded();
        breaker.failed(s(0));
        assert!(breaker.is_closed());
        breaker.failed(s(0));
        assert!(!breaker.is_closed());
    }

    #[test]
    fn after_its_time_one_trial_passes_and_decides() {
        let mut breaker = opened();
        assert_eq!(breaker.admit(s(4)), Err(s(1)));
        assert_eq!(breaker.admit(s(5)), Ok(()));
        assert!(breaker.admit(s(5)).is_err());
        breaker.succeeded();
        assert!(breaker.is_closed());
    }

    #[test]
    fn failed_trials_keep_it_open_for_longer_up_to_a_limit() {
        let mut breaker = opened();
        breaker.admit(s(5)).unwrap();
        breaker.failed(s(5));
        assert_eq!(breaker.admit(s(5)), Err(s(10)));
        breaker.admit(s(15)).unwrap();
        breaker.failed(s(15));
        assert_eq!(breaker.admit(s(15)), Err(s(12)));
        breaker.reset();
        assert_eq!(breaker.admit(s(15)), Ok(()));
    }

    #[test]
    fn a_straggler_does_not_close_an_open_breaker() {
        let mut breaker = opened();
        breaker.succeeded();
        breaker.failed(s(1));
        assert_eq!(breaker.admit(s(1)), Err(s(4)));
    }
}
