//! Options of traces.

use chassis::telemetry::TracesLayer;
use clap::Args;

/// Spans for an OpenTelemetry collector.
#[derive(Clone, Debug, Default, Args)]
pub struct TracesArgs {
    /// An OpenTelemetry collector that traces are sent to (OTLP over HTTP), such as <http://127.0.0.1:4318>; of what the log's level lets
    /// through [default: none].
    #[arg(long, value_name = "URL", env = "AINCIDENT_HUB_TRACES_URL")]
    traces_url: Option<String>,
    /// How many of a hundred traces are kept, 1 to 100 [default: 100].
    #[arg(long, value_name = "PERCENT", env = "AINCIDENT_HUB_TRACES_PERCENT")]
    traces_percent: Option<u8>,
}

impl TracesArgs {
    /// These as the layer that stands above the file's.
    pub(super) fn layer(self) -> TracesLayer {
        TracesLayer { url: self.traces_url, percent: self.traces_percent }
    }
}
