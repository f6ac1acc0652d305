//! Whether a loop still turns: somebody asks, and the loop answers when it comes by. For a watchdog, which must not
//! believe in a loop only because the program around it runs.

use std::sync::Arc;

use tokio::sync::watch;

/// Joins a loop with whoever wants to know whether it turns. Clones share it.
#[derive(Clone, Debug)]
pub struct Pulse {
    asked: Arc<watch::Sender<u64>>,
    answered: Arc<watch::Sender<u64>>,
}

impl Default for Pulse {
    fn default() -> Self {
        Self {
            asked: Arc::new(watch::Sender::new(0)),
            answered: Arc::new(watch::Sender::new(0)),
        }
    }
}

impl Pulse {
    /// In the loop, beside what it waits for anyway: answers the next question. May be dropped and begun again at any time.
    pub async fn beat(&self) {
        let mut asked = self.asked.subscribe();
        let open = *self.answered.borrow();
        if let Ok(question) = asked.wait_for(|asked| *asked > open).await {
            self.answered.send_replace(*question);
        }
    }

    /// Answers every question, for as long as it is polled.
    pub async fn beats(&self) {
        loop {
            self.beat().await;
        }
    }

    /// Asks, and returns once the loop has answered.
    pub async fn felt(&self) {
        let mut question = 0;
        self.asked.send_modify(|asked| {
            *asked += 1;
            question = *asked;
        });
        let _ = self.answered.subscribe().wait_for(|answered| *answered >= question).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[tokio::test]
    async fn a_loop_that_turns_is_felt_and_one_that_stands_still_is_not() {
        let pulse = Pulse::default();
        let (other, soon) = (pulse.clone(), Duration::from_millis(20));
        assert!(tokio::time::timeout(soon, pulse.felt()).await.is_err(), "nobody was there");
        let turning = tokio::spawn(async move { other.beats().await });
        for _ in 0..3 {
            tokio::time::timeout(Duration::from_secs(8), pulse.felt()).await.unwrap();
        }
        turning.abort();
        let _ = turning.await;
        assert!(tokio::time::timeout(soon, pulse.felt()).await.is_err(), "nobody is there any more");
    }
}
