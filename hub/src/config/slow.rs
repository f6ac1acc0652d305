//! Options of what counts as slow.

use chassis::slow::SlowLayer;
use clap::Args;

/// From when on an operation is slow, and told of in the log.
#[derive(Clone, Copy, Debug, Default, Args)]
pub struct SlowArgs {
    /// From when on answering a request is slow, in milliseconds; 0: never [default: 1000].
    #[arg(long, value_name = "MS", env = "AINCIDENT_HUB_SLOW_REQUEST_MS")]
    slow_request_ms: Option<u64>,
    /// The same of reading from the database [default: 1000].
    #[arg(long, value_name = "MS", env = "AINCIDENT_HUB_SLOW_READ_MS")]
    slow_read_ms: Option<u64>,
    /// The same of a transaction of the database [default: 1000].
    #[arg(long, value_name = "MS", env = "AINCIDENT_HUB_SLOW_WRITE_MS")]
    slow_write_ms: Option<u64>,
    /// The same of another service's answer [default: 1000].
    #[arg(long, value_name = "MS", env = "AINCIDENT_HUB_SLOW_OUTBOUND_MS")]
    slow_outbound_ms: Option<u64>,
    /// The same of a job [default: 1000].
    #[arg(long, value_name = "MS", env = "AINCIDENT_HUB_SLOW_JOB_MS")]
    slow_job_ms: Option<u64>,
}

impl SlowArgs {
    /// These as the layer that stands above the file's.
    pub(super) const fn layer(self) -> SlowLayer {
        SlowLayer {
            request_ms: self.slow_request_ms,
            read_ms: self.slow_read_ms,
            write_ms: self.slow_write_ms,
            outbound_ms: self.slow_outbound_ms,
            job_ms: self.slow_job_ms,
        }
    }
}
