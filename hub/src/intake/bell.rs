//! Wakes the pulls that wait.
//!
//! Thousands of pulls wait, each for its store's scope and the company's. If each listened to every commit, one
//! incident in one store would make all of them read the ledger. So one loop listens to commits, reads the heads of
//! all scopes at most every [`PAUSE`], and wakes those whose scope moved.

use desk::ledger::SharedLedger;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use sync_protocol::scope::Scope;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Shortest time between two looks at the scopes' heads.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the loop waits when the ledger cannot be read.
const AFTER_FAILURE: Duration = Duration::from_secs(1);

/// Scopes somebody waits for, and their heads as last read. One entry for each store at most.
#[derive(Clone, Debug, Default)]
pub struct Bell {
    heads: Arc<Mutex<HashMap<Scope, watch::Sender<u64>>>>,
}

/// Some scopes' heads.
#[derive(Debug)]
pub struct Listener {
    heads: Vec<watch::Receiver<u64>>,
}

impl Bell {
    /// Listens to `scopes` from now on.
    pub fn listen<'a>(&self, scopes: impl Iterator<Item = &'a Scope>) -> Listener {
        let mut heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        let listen = |scope: &Scope| heads.entry(scope.clone()).or_default().subscribe();
        Listener { heads: scopes.map(listen).collect() }
    }

    /// Rings until `stop`.
    pub async fn run(self, ledger: SharedLedger, stop: CancellationToken) {
        let mut committed = ledger.committed();
        loop {
            let pause = match ledger.scope_heads().await {
                Ok(heads) => {
                    self.ring(heads.into_iter());
                    PAUSE
                }
                Err(error) => {
                    tracing::warn!(%error, "cannot see what changed; pulls that wait get it late");
                    // Look again even if nothing more is committed.
                    committed.mark_changed();
                    AFTER_FAILURE
                }
            };
            let again = async {
                tokio::time::sleep(pause).await;
                committed.changed().await
            };
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                alive = again => if alive.is_err() { return },
            }
        }
    }

    fn ring(&self, now: impl Iterator<Item = (Scope, u64)>) {
        let heads = self.heads.lock().unwrap_or_else(PoisonError::into_inner);
        for (scope, seq) in now {
            if let Some(head) = heads.get(&scope) {
                head.send_if_modified(|last| std::mem::replace(last, seq) != seq);
            }
        }
    }
}

impl Listener {
    /// Forgets what rang so far: call it before reading the ledger, so that nothing slips between.
    pub fn hush(&mut self) {
        for head in &mut self.heads {
            head.borrow_and_update();
        }
    }

    /// Returns once one of the scopes moved since the last [`Listener::hush`].
    pub async fn rung(&mut self) {
        if self.heads.is_empty() {
            return std::future::pending().await;
        }
        let moved = self.heads.iter_mut().map(|head| Box::pin(head.changed()));
        // The senders live as long as the bell: an error cannot come, and would only mean one look too many.
        let _ = futures::future::select_all(moved).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_those_whose_scope_moved_are_woken() {
        let bell = Bell::default();
        let [ours, theirs] = ["1", "2"].map(|code| Scope::Store(code.to_owned()));
        let mut us = bell.listen([&ours, &Scope::Company].into_iter());
        let mut them = bell.listen([&theirs, &Scope::Company].into_iter());
        bell.ring([(ours.clone(), 3), (theirs.clone(), 0)].into_iter());
        us.rung().await;
        assert!(futures::FutureExt::now_or_never(them.rung()).is_none());
        us.hush();
        bell.ring([(ours, 3)].into_iter());
        assert!(futures::FutureExt::now_or_never(us.rung()).is_none());
        bell.ring([(Scope::Company, 1)].into_iter());
        us.rung().await;
        them.rung().await;
    }
}
