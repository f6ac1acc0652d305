//! What the hub counts that alerts look at is there from the start: see [`chassis::figures`].

/// Has every figure that alerts look at begin at 0. Once, when metrics are collected; the fleet is counted right after the start.
pub fn begin() {
    desk::figures::begin();
    for state in ["online", "away", "silent"] {
        metrics::gauge!("hub_nodes", "state" => state).set(0.0);
    }
    for name in [
        "hub_nodes_most_pending_changes",
        "hub_nodes_longest_silence_seconds",
        "hub_nodes_worst_clock_offset_seconds",
        "hub_quarantined_changes",
        "hub_scopes_different",
    ] {
        metrics::gauge!(name).set(0.0);
    }
}
