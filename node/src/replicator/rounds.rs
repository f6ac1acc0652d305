//! Rounds: each question to headquarters, with what comes before and after it, ends within a time of its own. A loop whose round
//! does not is one that stands still, though the task that it is part of is polled: that is what the watchdog asks about.
//!
//! Contents are not counted: a photo travels for as long as the line takes, and whoever sends it gives up when nothing moves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// What a round may take beside its question: the ledger's part of it, behind whatever else is written.
const LEDGER: Duration = Duration::from_secs(120);

/// The rounds under way, by the name of their loop, and by when each has to have ended. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Rounds {
    open: Arc<Mutex<BTreeMap<&'static str, Instant>>>,
}

/// A round under way; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Round {
    rounds: Rounds,
    of: &'static str,
}

impl Rounds {
    /// Begins a round of the loop `of`, whose question is answered or given up within `question`.
    #[must_use]
    pub(super) fn begin(&self, of: &'static str, question: Duration) -> Round {
        let due = Instant::now() + question + LEDGER;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(of, due);
        Round { rounds: self.clone(), of }
    }

    /// Whether every round under way is within its time.
    ///
    /// # Errors
    /// Names those that are not, in one line.
    pub fn in_time(&self) -> Result<(), String> {
        let now = Instant::now();
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let late: Vec<&str> = open.iter().filter(|(_, due)| **due < now).map(|(of, _)| *of).collect();
        if late.is_empty() {
            Ok(())
        } else {
            Err(format!("no end of a round in time: {}", late.join(", ")))
        }
    }
}

impl Drop for Round {
    fn drop(&mut self) {
        self.rounds.open.lock().unwrap_or_else(PoisonError::into_inner).remove(self.of);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_round_that_does_not_end_in_time_is_named_and_one_that_ended_is_not() {
        let rounds = Rounds::default();
        let (hello, push) =
            (rounds.begin("hello", Duration::from_secs(15)), rounds.begin("push", Duration::from_secs(300)));
        tokio::time::advance(Duration::from_secs(130)).await;
        assert_eq!(rounds.in_time(), Ok(()));
        tokio::time::advance(Duration::from_secs(10)).await;
        assert_eq!(rounds.in_time(), Err("no end of a round in time: hello".to_owned()));
        drop(hello);
        assert_eq!(rounds.in_time(), Ok(()));
        tokio::time::advance(Duration::from_secs(3600)).await;
        assert!(rounds.in_time().is_err());
        drop(push);
        assert_eq!(rounds.in_time(), Ok(()));
    }
}
