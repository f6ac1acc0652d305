//! Whom the hub refused: nodes that are revoked, copies, another hub's, too old or too new, and what only says it is one.
//!
//! Somebody has to see them, and nobody may fill the disk with them: refusals gather here, one entry for each node named
//! and each reason, and are written down once a second at most. What is more than there is room for within that second
//! is counted in the metrics only.

use desk::ledger::{RefusedRow, SharedLedger};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use sync_protocol::message::refusal;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// The reasons that a person has to hear of.
const NOTED: [&str; 5] =
    [refusal::UNKNOWN_NODE, refusal::SUPERSEDED, refusal::REVOKED, refusal::WRONG_HUB, refusal::VERSION];
/// How often they are written down at most.
const EVERY: Duration = Duration::from_secs(1);
/// Most entries that gather in between.
const MAX_WAITING: usize = 200;
/// Longest name of a program that is kept, in characters.
const MAX_AGENT_CHARS: usize = 80;

/// Refusals that are not written down yet.
#[derive(Debug, Default)]
pub struct Strangers {
    waiting: Mutex<BTreeMap<(Uuid, &'static str), RefusedRow>>,
    bell: Notify,
}

impl Strangers {
    /// Notes that a request which named `node_id` was refused as `code`. `proven`: it knew a secret that was once the
    /// node's. `agent`: what the program called itself.
    pub fn note(&self, node_id: Uuid, code: &str, proven: bool, agent: &str, now_ms: i64) {
        let Some(code) = NOTED.into_iter().find(|noted| *noted == code) else {
            return;
        };
        metrics::counter!("hub_refused_requests_total", "code" => code).increment(1);
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(row) = waiting.get_mut(&(node_id, code)) {
            row.count += 1;
            row.proven |= proven;
            row.last_ms = now_ms;
        } else if waiting.len() < MAX_WAITING || (proven && waiting.len() < 2 * MAX_WAITING) {
            // Made-up names leave room for nodes that proved a secret.
            let agent = agent.chars().filter(|c| !c.is_control()).take(MAX_AGENT_CHARS).collect();
            let row = RefusedRow {
                node_id,
                code: code.to_owned(),
                proven,
                agent,
                count: 1,
                first_ms: now_ms,
                last_ms: now_ms,
                known_as: None,
            };
            waiting.insert((node_id, code), row);
        }
        drop(waiting);
        self.bell.notify_one();
    }

    fn take(&self) -> Vec<RefusedRow> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *waiting).into_values().collect()
    }

    /// Writes down what gathers, until `stop` is cancelled; then what is left.
    pub async fn keep(&self, ledger: &SharedLedger, stop: CancellationToken) {
        while !stop.is_cancelled() {
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = self.bell.notified() => {}
            }
            let rows = self.take();
            if rows.is_empty() {
                continue;
            }
            if let Err(error) = ledger.note_refused(rows).await {
                tracing::warn!(%error, "whom the hub refused cannot be written down");
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => {}
                () = tokio::time::sleep(EVERY) => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_gather_by_node_and_reason_and_never_grow_without_end() {
        let (strangers, node) = (Strangers::default(), Uuid::from_u128(1));
        strangers.note(node, refusal::SUPERSEDED, true, "aincident-node/0.1.0\n", 5);
        strangers.note(node, refusal::SUPERSEDED, false, "x", 9);
        strangers.note(node, refusal::REVOKED, true, "x", 7);
        strangers.note(node, refusal::BUSY, true, "x", 7);
        let rows = strangers.take();
        assert_eq!(rows.len(), 2);
        let copy = rows.iter().find(|row| row.code == refusal::SUPERSEDED).unwrap();
        assert_eq!((copy.count, copy.first_ms, copy.last_ms, copy.proven), (2, 5, 9, true));
        assert_eq!(copy.agent, "aincident-node/0.1.0");
        for n in 0..10 * MAX_WAITING as u128 {
            strangers.note(Uuid::from_u128(n), refusal::UNKNOWN_NODE, false, "", 1);
        }
        assert_eq!(strangers.take().len(), MAX_WAITING);
        assert!(strangers.take().is_empty());
    }
}
