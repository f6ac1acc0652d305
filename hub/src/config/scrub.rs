//! Options of the scrub, and of `verify`.

use super::{AdminConfig, Layer, OutputArgs, PlaceArgs, Task, UsageError};
use clap::Args;
use desk::scrub::Scrub;
use serde::Deserialize;
use std::time::Duration;

/// How what is kept is read through for what the disk has lost.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct ScrubArgs {
    /// From the end of one round of the scrub (reading everything slowly, to find what the disk has lost) to the next, in
    /// seconds, 1 to 31536000 [default: 86400].
    #[arg(long, value_name = "S", env = "AINCIDENT_HUB_SCRUB_INTERVAL_S")]
    scrub_interval_s: Option<u64>,
    /// Most that the scrub reads, in KiB a second, 16 to 1048576 [default: 4096].
    #[arg(long, value_name = "KIB", env = "AINCIDENT_HUB_SCRUB_KIB_S")]
    scrub_kib_s: Option<u64>,
    /// The scrub holds still; it goes on where it was once this is taken away.
    #[arg(long, env = "AINCIDENT_HUB_SCRUB_PAUSED", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    scrub_paused: Option<bool>,
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

/// Options of `verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    #[command(flatten)]
    place: PlaceArgs,
    #[command(flatten)]
    output: OutputArgs,
    /// Only the nodes of the store with this code.
    #[arg(long, value_name = "CODE", env = "AINCIDENT_HUB_STORE")]
    store: Option<String>,
}

impl VerifyArgs {
    pub(super) fn resolve(self) -> Result<AdminConfig, UsageError> {
        let given = Layer { json: self.output.json, store: self.store, ..Layer::default() };
        let (data_dir, layer) = self.place.layered(given)?;
        Ok(AdminConfig {
            data_dir,
            json: layer.json.unwrap_or(false),
            task: Task::Verify { store: layer.store },
        })
    }
}
