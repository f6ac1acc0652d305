//! Options of the scrub, and of the comparison with headquarters.

use super::UsageError;
use crate::replicator::proof;
use clap::Args;
use desk::scrub::Scrub;
use serde::Deserialize;
use std::time::Duration;

/// How what is kept is read through for what the disk has lost.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ScrubArgs {
    /// From the end of one round of the scrub (reading everything slowly, to find what the disk has lost) to the next, in
    /// seconds, 1 to 31536000 [default: 86400].
    #[arg(long, value_name = "S", env = "AINCIDENT_NODE_SCRUB_INTERVAL_S")]
    scrub_interval_s: Option<u64>,
    /// Most that the scrub reads, in KiB a second, 16 to 1048576 [default: 4096].
    #[arg(long, value_name = "KIB", env = "AINCIDENT_NODE_SCRUB_KIB_S")]
    scrub_kib_s: Option<u64>,
    /// The scrub holds still; it goes on where it was once this is taken away.
    #[arg(long, env = "AINCIDENT_NODE_SCRUB_PAUSED", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    scrub_paused: Option<bool>,
    /// How often it is made sure that this node and headquarters hold the same, in seconds, 1 to 86400 [default: 900].
    #[arg(long, value_name = "S", env = "AINCIDENT_NODE_VERIFY_INTERVAL_S")]
    verify_interval_s: Option<u64>,
}

/// `[scrub]` of the file.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScrubLayer {
    interval_s: Option<u64>,
    kib_s: Option<u64>,
    paused: Option<bool>,
}

impl ScrubArgs {
    pub(super) fn verify_every(self, file: Option<u64>) -> Result<Duration, UsageError> {
        match self.verify_interval_s.or(file) {
            None => Ok(proof::EVERY),
            Some(s @ 1..=86_400) => Ok(Duration::from_secs(s)),
            Some(s) => Err(UsageError::Range(format!("verify_interval_s is {s}; give 1 to 86400 seconds"))),
        }
    }

    pub(super) fn over(self, file: Option<ScrubLayer>) -> Result<Scrub, UsageError> {
        let (file, defaults) = (file.unwrap_or_default(), Scrub::default());
        let interval_s = self.scrub_interval_s.or(file.interval_s).unwrap_or(defaults.interval.as_secs());
        let kib_s = self.scrub_kib_s.or(file.kib_s).unwrap_or(defaults.bytes_per_s / 1024);
        if !(1..=31_536_000).contains(&interval_s) {
            return Err(UsageError::Range(format!("scrub.interval_s is {interval_s}; give 1 to 31536000 seconds")));
        }
        if !(16..=1_048_576).contains(&kib_s) {
            return Err(UsageError::Range(format!("scrub.kib_s is {kib_s}; give 16 to 1048576 KiB")));
        }
        Ok(Scrub {
            interval: Duration::from_secs(interval_s),
            bytes_per_s: kib_s * 1024,
            paused: self.scrub_paused.or(file.paused).unwrap_or(false),
        })
    }
}
