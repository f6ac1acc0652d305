//! What takes longer than it should is said aloud and counted: a line in the log while somebody waits is worth more than a
//! figure afterwards.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Deserialize;

/// Unless the configuration says otherwise, in milliseconds.
const DEFAULT_MS: u64 = 1000;
/// The longest that can be configured, in milliseconds: an hour.
const MOST_MS: u64 = 3_600_000;

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Answering a request, but for those that wait on purpose or move files.
    Request,
    /// Reading from the database.
    Read,
    /// One transaction of the database, with all that shares it.
    Write,
    /// The answer of another service, beyond what it waits on purpose.
    Outbound,
    /// A job.
    Job,
}

impl Kind {
    /// Every one.
    pub(crate) const ALL: [Self; 5] = [Self::Request, Self::Read, Self::Write, Self::Outbound, Self::Job];

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Request => "request",
            Self::Read => "read",
            Self::Write => "write",
            Self::Outbound => "outbound",
            Self::Job => "job",
        }
    }
}

/// `[slow]` of a configuration file, or what options say of it.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SlowLayer {
    /// Of [`Kind::Request`].
    pub request_ms: Option<u64>,
    /// Of [`Kind::Read`].
    pub read_ms: Option<u64>,
    /// Of [`Kind::Write`].
    pub write_ms: Option<u64>,
    /// Of [`Kind::Outbound`].
    pub outbound_ms: Option<u64>,
    /// Of [`Kind::Job`].
    pub job_ms: Option<u64>,
}

/// From when on each kind is slow, in milliseconds; 0: never.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds([u64; 5]);

impl SlowLayer {
    /// What this layer says, and where it says nothing the one `below`.
    ///
    /// # Errors
    /// A number out of range; one line.
    pub fn over(self, below: Option<Self>) -> Result<Thresholds, String> {
        let below = below.unwrap_or_default();
        let one = |name: &str, here: Option<u64>, below: Option<u64>| match here.or(below).unwrap_or(DEFAULT_MS) {
            ms if ms <= MOST_MS => Ok(ms),
            ms => Err(format!("slow.{name} is {ms}; give 0 (never) to {MOST_MS} milliseconds")),
        };
        Ok(Thresholds([
            one("request_ms", self.request_ms, below.request_ms)?,
            one("read_ms", self.read_ms, below.read_ms)?,
            one("write_ms", self.write_ms, below.write_ms)?,
            one("outbound_ms", self.outbound_ms, below.outbound_ms)?,
            one("job_ms", self.job_ms, below.job_ms)?,
        ]))
    }
}

/// One process has one set: operations are everywhere.
static IN_FORCE: [AtomicU64; 5] = [const { AtomicU64::new(DEFAULT_MS) }; 5];

/// Has these thresholds from now on.
pub fn set(thresholds: Thresholds) {
    for (now, ms) in IN_FORCE.iter().zip(thresholds.0) {
        now.store(ms, Ordering::Relaxed);
    }
}

/// Tells of an operation that took `took`, where that is slow for its kind; `what` says which one it was.
pub fn note(kind: Kind, took: Duration, what: impl FnOnce() -> String) {
    let limit_ms = IN_FORCE[kind as usize].load(Ordering::Relaxed);
    if limit_ms == 0 || took < Duration::from_millis(limit_ms) {
        return;
    }
    let (kind, took_ms) = (kind.as_str(), took.as_millis());
    metrics::counter!("slow_operations_total", "kind" => kind).increment(1);
    tracing::warn!(kind, what = what(), took_ms, limit_ms, "an operation was slow");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_slow_for_its_kind_is_counted_and_what_is_switched_off_is_not() {
        let metrics = crate::telemetry::install_metrics().unwrap();
        let text = "request_ms = 0\njob_ms = 50000\nread_ms = 3600000\nwrite_ms = 3600000\noutbound_ms = 3600000\n";
        set(SlowLayer::default().over(Some(crate::config::parse(text).unwrap())).unwrap());
        note(Kind::Request, Duration::from_secs(9000), || unreachable!("it is switched off"));
        note(Kind::Job, Duration::from_millis(49_999), || unreachable!("it was quick"));
        note(Kind::Job, Duration::from_millis(50_000), || "a photo".to_owned());
        assert!(metrics.render().contains("slow_operations_total{kind=\"job\"} 1"), "{}", metrics.render());
        let wrong = SlowLayer { read_ms: Some(MOST_MS + 1), ..SlowLayer::default() };
        assert!(wrong.over(None).unwrap_err().contains("slow.read_ms"));
        assert_eq!(SlowLayer::default().over(None), Ok(Thresholds([DEFAULT_MS; 5])));
    }
}
