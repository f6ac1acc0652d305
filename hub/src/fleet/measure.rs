//! The fleet in figures, so that headquarters hears of a store's trouble before the store does.

use std::collections::HashSet;
use std::time::Duration;

use desk::Desk;
use desk::ledger::NodeRow;
use sync_protocol::checksum::Compared;
use tokio_util::sync::CancellationToken;

use super::{ONLINE_MS, SILENT_MS};

/// How often the fleet is counted.
const EVERY: Duration = Duration::from_secs(30);

/// How many nodes there are, by how long ago they called: within a minute, within an hour, longer ago or never.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counted {
    online: u64,
    away: u64,
    silent: u64,
    pending_changes: u64,
    most_pending_changes: u64,
    quarantined: u64,
    /// Since when the one that was not heard of for the longest has not called; of those that ever did.
    longest_silence_ms: u64,
    /// How far the clock that is off the most is off, of those that were heard of within an hour.
    worst_clock_offset_ms: u64,
}

fn count(rows: &[NodeRow], now_ms: i64) -> Counted {
    let mut counted = Counted::default();
    // Those that are no more are nobody's trouble.
    for row in rows.iter().filter(|row| row.is_in_service()) {
        let silence_ms = row.last_contact_ms.map(|at_ms| now_ms.abs_diff(at_ms));
        match silence_ms {
            Some(..=ONLINE_MS) => counted.online += 1,
            Some(..=SILENT_MS) => counted.away += 1,
            _ => counted.silent += 1,
        }
        counted.longest_silence_ms = counted.longest_silence_ms.max(silence_ms.unwrap_or(0));
        if silence_ms.is_some_and(|ms| ms <= SILENT_MS) {
            counted.worst_clock_offset_ms = counted.worst_clock_offset_ms.max(row.clock_offset_ms.unsigned_abs());
        }
        counted.pending_changes += row.status.pending_changes;
        counted.most_pending_changes = counted.most_pending_changes.max(row.status.pending_changes);
        counted.quarantined += row.status.quarantined.max(row.quarantined);
    }
    counted
}

/// Keeps the figures up to date until `stop` is cancelled.
#[allow(clippy::cast_precision_loss, reason = "no fleet has so many")]
pub async fn measure(desk: Desk, stop: CancellationToken) {
    loop {
        match desk.ledger().nodes(None).await {
            Ok(rows) => {
                let counted = count(&rows, desk.now_ms());
                metrics::gauge!("hub_nodes", "state" => "online").set(counted.online as f64);
                metrics::gauge!("hub_nodes", "state" => "away").set(counted.away as f64);
                metrics::gauge!("hub_nodes", "state" => "silent").set(counted.silent as f64);
                metrics::gauge!("hub_nodes_pending_changes").set(counted.pending_changes as f64);
                metrics::gauge!("hub_nodes_most_pending_changes").set(counted.most_pending_changes as f64);
                metrics::gauge!("hub_nodes_longest_silence_seconds").set(counted.longest_silence_ms as f64 / 1000.0);
                metrics::gauge!("hub_nodes_worst_clock_offset_seconds")
                    .set(counted.worst_clock_offset_ms as f64 / 1000.0);
                metrics::gauge!("hub_quarantined_changes").set(counted.quarantined as f64);
                // One that is no more will never be equal again.
                let here: HashSet<_> = rows.iter().filter(|row| row.is_in_service()).map(|row| row.node_id).collect();
                if let Ok(mut all) = desk.ledger().checkpoints().await {
                    all.retain(|one| here.contains(&one.node_id));
                    let different = all.iter().filter(|one| one.state == Compared::Different).count();
                    let damaged: u64 = all.iter().map(|one| one.damaged).sum();
                    metrics::gauge!("hub_scopes_different").set(different as f64);
                    metrics::gauge!("hub_nodes_damaged").set(damaged as f64);
                }
            }
            Err(error) => tracing::debug!(%error, "the fleet cannot be counted"),
        }
        if let Err(error) = super::alarms::note(&desk).await {
            tracing::debug!(%error, "the alarms of the fleet cannot be noted");
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(EVERY) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sync_protocol::message::NodeStatus;

    #[test]
    fn nodes_are_counted_by_when_they_called_and_those_that_are_no_more_are_not() {
        let now_ms = 1_900_000_000_000;
        let node = |last_contact_ms, pending_changes| NodeRow {
            last_contact_ms,
            status: NodeStatus { pending_changes, quarantined: 1, ..NodeStatus::default() },
            quarantined: 2,
            ..NodeRow::default()
        };
        let rows = [
            node(Some(now_ms - 1000), 0),
            NodeRow { clock_offset_ms: -400_000, ..node(Some(now_ms + 1000), 5) },
            NodeRow { clock_offset_ms: 2000, ..node(Some(now_ms - 100_000), 7) },
            // What it last said of its clock is too old to be told.
            NodeRow { clock_offset_ms: 7_200_000, ..node(Some(now_ms - 4_000_000), 0) },
            node(None, 0),
            NodeRow { revoked_ms: Some(1), ..node(None, 100) },
            NodeRow { retired_ms: Some(1), ..node(None, 100) },
        ];
        let counted = Counted {
            online: 2,
            away: 1,
            silent: 2,
            pending_changes: 12,
            most_pending_changes: 7,
            quarantined: 10,
            longest_silence_ms: 4_000_000,
            worst_clock_offset_ms: 400_000,
        };
        assert_eq!(count(&rows, now_ms), counted);
    }
}
