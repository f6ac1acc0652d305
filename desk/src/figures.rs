//! What a site counts that alerts look at is there from the start: see [`chassis::figures`].

use crate::ledger::DamageKind;
use crate::{notifications, photos, reports};

/// The kinds of jobs that a site has.
const JOBS: [&str; 3] = [photos::job::KIND, reports::job::KIND, notifications::job::KIND];
/// How a job can stand.
const STATES: [&str; 3] = ["waiting", "running", "dead"];

/// Has every counter of this crate and of `chassis` that alerts look at begin at 0. Once, when metrics are collected.
pub fn begin() {
    chassis::figures::begin();
    for kind in JOBS {
        metrics::counter!("job_failures_total", "kind" => kind).increment(0);
        metrics::gauge!("jobs_oldest_waiting_seconds", "kind" => kind).set(0.0);
        for state in STATES {
            metrics::gauge!("jobs", "kind" => kind, "state" => state).set(0.0);
        }
    }
    for kind in DamageKind::ALL {
        metrics::counter!("damage_found_total", "kind" => kind.as_str()).increment(0);
        metrics::counter!("damage_mended_total", "kind" => kind.as_str()).increment(0);
    }
}
