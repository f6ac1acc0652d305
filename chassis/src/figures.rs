//! Figures that alerts look at are there from the start: the increase of a counter that first shows as 1 is none to Prometheus, so that
//! what happens once would be told to nobody.

use crate::slow;

/// Has every counter of this crate that alerts look at begin at 0. Once, when metrics are collected and before anything can count.
pub fn begin() {
    for name in ["http_shed_total", "sqlite_failed_batches_total", "sqlite_busy_total", "watchdog_silent_total"] {
        metrics::counter!(name).increment(0);
    }
    for outcome in crate::reload::OUTCOMES {
        metrics::counter!("configuration_reloads_total", "outcome" => outcome).increment(0);
    }
    for kind in slow::Kind::ALL {
        metrics::counter!("slow_operations_total", "kind" => kind.as_str()).increment(0);
    }
    // One of each is enough: those of routes come with their first request, and alerts look at the sum of all.
    let (method, route) = ("GET", "unmatched");
    metrics::counter!("http_requests_total", "method" => method, "route" => route, "status" => "5xx").increment(0);
    // Made, they show with no sample.
    let _ = metrics::histogram!("http_request_seconds", "method" => method, "route" => route);
    let _ = metrics::histogram!("sqlite_commit_seconds");
}

/// One more of what a gauge counts, for as long as it is held.
pub(crate) struct Held(metrics::Gauge);

impl Held {
    /// Counts it in.
    pub(crate) fn of(gauge: metrics::Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_never_happened_is_counted_as_nothing_and_not_left_out() {
        let metrics = crate::telemetry::install_metrics().unwrap();
        begin();
        let text = metrics.render();
        for series in [
            "watchdog_silent_total ",
            "sqlite_busy_total ",
            "configuration_reloads_total{outcome=\"refused\"} ",
            "slow_operations_total{kind=\"write\"} ",
            "sqlite_commit_seconds_bucket{le=\"1\"} ",
        ] {
            assert!(text.lines().any(|line| line.starts_with(series)), "no {series} in {text}");
        }
    }

    #[test]
    fn what_is_held_is_counted_until_it_is_dropped() {
        let metrics = crate::telemetry::install_metrics().unwrap();
        let held = (Held::of(metrics::gauge!("held_test")), Held::of(metrics::gauge!("held_test")));
        assert!(metrics.render().contains("held_test 2"));
        drop(held.0);
        assert!(metrics.render().contains("held_test 1"));
    }
}
