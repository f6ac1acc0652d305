//! What a node counts that alerts look at is there from the start: see [`chassis::figures`].

/// Has every figure that alerts look at begin at 0. Once, when metrics are collected.
pub fn begin() {
    desk::figures::begin();
    metrics::counter!("aincident_stalls_total").increment(0);
    // Nothing was tried yet.
    metrics::gauge!("aincident_link_breaker").set(1.0);
    metrics::gauge!("clock_offset_seconds").set(0.0);
    metrics::gauge!("aincident_oldest_pending_seconds").set(0.0);
    metrics::gauge!("aincident_quarantined_changes").set(0.0);
}
