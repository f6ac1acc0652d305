//! Logs to standard error (to systemd's journal as it likes them, where that is what standard error is), metrics as Prometheus text, traces to
//! a collector where one is named. Standard output belongs to the program's own words.

mod journal;
mod process;
pub(crate) mod traces;

use std::io::IsTerminal as _;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Registry, reload};

use journal::{Entries, Journal};
pub use traces::{Traces, TracesLayer};

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("must be text or json".to_owned()),
        }
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TelemetryConfig {
    /// A filter such as `info` or `info,chassis=debug`. Default `info`.
    pub log: String,
    /// Default [`LogFormat::Text`].
    pub format: LogFormat,
    /// Default: none. Of what the filter lets through.
    pub traces: Traces,
}

impl Default for TelemetryConfig {
    fn default() -> Self {
        Self { log: "info".to_owned(), format: LogFormat::Text, traces: Traces::default() }
    }
}

/// Why telemetry could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter does not parse.
    #[error("the log filter {filter:?} is not valid: {cause}")]
    Filter {
        /// As it was given.
        filter: String,
        /// What is wrong with it.
        cause: tracing_subscriber::filter::ParseError,
    },
    /// Traces cannot be sent.
    #[error("traces cannot be sent: {0}")]
    Traces(String),
    /// Something else already took over logging or metrics in this process.
    #[error("{0} is already set up in this process")]
    Taken(&'static str),
}

/// Whether logging could be started like this.
///
/// # Errors
///
/// When the filter does not parse.
pub fn check(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    filter(config).map(|_| ())
}

fn filter(config: &TelemetryConfig) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::try_new(&config.log).map_err(|cause| TelemetryError::Filter { filter: config.log.clone(), cause })
}

/// Starts logging to standard error, and tracing as `program` where a collector is named; within a runtime.
///
/// # Errors
///
/// When the filter does not parse, traces cannot be sent, or logging is already set up.
pub fn init(config: &TelemetryConfig, program: &'static str) -> Result<(), TelemetryError> {
    let filter = filter(config)?;
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let (filter, handle) = reload::Layer::new(filter);
    let registry = tracing_subscriber::registry().with(filter).with(traces::layer(&config.traces, program)?);
    let done = match config.format {
        LogFormat::Text if journal::is_standard_error() => match Journal::connect(Path::new(journal::SOCKET)) {
            Ok(journal) => {
                let entries = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(journal);
                registry.with(entries.event_format(Entries { program })).try_init()
            }
            Err(_) => registry.with(layer.event_format(journal::Lines)).try_init(),
        },
        LogFormat::Text => registry.with(layer).try_init(),
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
    };
    done.map_err(|_| TelemetryError::Taken("logging"))?;
    let _ = FILTER.set(handle);
    Ok(())
}

/// Sends the traces that are left, for the program's end.
pub async fn close() {
    let _ = tokio::task::spawn_blocking(traces::close).await;
}

/// The filter of the running process.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// Logs what `config` says from now on; how lines look stays.
///
/// # Errors
///
/// When the filter does not parse.
pub fn refilter(config: &TelemetryConfig) -> Result<(), TelemetryError> {
    let filter = filter(config)?;
    if let Some(handle) = FILTER.get() {
        // Fails only once the subscriber is gone, and then nobody logs.
        let _ = handle.reload(filter);
    }
    Ok(())
}

/// Gives out what has been measured.
#[derive(Clone)]
pub struct MetricsHandle {
    inner: PrometheusHandle,
}

impl MetricsHandle {
    /// Everything measured so far, in Prometheus' text format; what the process takes of its machine is measured now.
    #[must_use]
    pub fn render(&self) -> String {
        process::measure();
        self.inner.render()
    }
}

impl std::fmt::Debug for MetricsHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MetricsHandle")
    }
}

/// Upper bounds, in seconds, of every histogram whose name ends in `_seconds`.
const SECONDS: [f64; 14] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0];
/// Upper bounds of every histogram whose name ends in `_jobs`.
const JOBS: [f64; 8] = [1.0, 2.0, 4.0, 8.0, 32.0, 128.0, 256.0, 512.0];
/// How often collected samples are folded into buckets; without it they pile up until someone asks.
const UPKEEP: Duration = Duration::from_secs(5);

/// Notes in the metrics which program this is, and since when it runs.
#[allow(clippy::cast_precision_loss, reason = "seconds since 1970")]
pub fn introduce(program: &'static str, version: &'static str, now_ms: i64) {
    metrics::gauge!("aincident_build_info", "program" => program, "version" => version).set(1.0);
    metrics::gauge!("process_start_time_seconds").set(now_ms as f64 / 1000.0);
}

/// Starts collecting metrics; asked again, it returns the same collection.
///
/// # Errors
///
/// When another recorder is already installed in this process.
pub fn install_metrics() -> Result<MetricsHandle, TelemetryError> {
    static INSTALLED: OnceLock<Option<MetricsHandle>> = OnceLock::new();
    INSTALLED.get_or_init(start_metrics).clone().ok_or(TelemetryError::Taken("metrics"))
}

fn start_metrics() -> Option<MetricsHandle> {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .ok()?
        .set_buckets_for_metric(Matcher::Suffix("_jobs".to_owned()), &JOBS)
        .ok()?
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).ok()?;
    let upkeep = handle.clone();
    std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(move || {
            loop {
                // Nobody unparks it: a plain interval.
                std::thread::park_timeout(UPKEEP);
                upkeep.run_upkeep();
            }
        })
        .ok()?;
    Some(MetricsHandle { inner: handle })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_counted_is_rendered_and_installing_twice_is_harmless() {
        let first = install_metrics().unwrap();
        metrics::counter!("telemetry_test_total").increment(3);
        metrics::histogram!("telemetry_test_seconds").record(0.002);
        let text = install_metrics().unwrap().render();
        assert!(text.contains("telemetry_test_total 3"), "{text}");
        assert!(text.contains("telemetry_test_seconds_bucket{le=\"0.0025\"} 1"), "{text}");
        drop(first);
    }

    #[test]
    fn a_bad_filter_is_refused_before_anything_is_set_up() {
        let config = TelemetryConfig { log: "chassis=loud".into(), ..TelemetryConfig::default() };
        assert!(matches!(init(&config, "test"), Err(TelemetryError::Filter { .. })));
    }
}
