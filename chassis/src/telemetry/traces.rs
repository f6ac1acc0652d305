//! Spans for an OpenTelemetry collector, where one is named: OTLP over HTTP, as protobuf. There is one for each request that is answered, each
//! request to another service and each job, of what the log's level lets through, and nothing that is logged meanwhile; what a node asks of the
//! hub is one trace on both sides (`traceparent`, W3C Trace Context, which is believed of nodes alone).
//!
//! Nothing waits for a collector. Spans go out in batches, from a thread of their own, and where that one falls behind its queue is full
//! and what does not fit is not traced. Where no collector is named nothing of this exists.

use super::TelemetryError;
use crate::outbound::{Body, Outbound, OutboundConfig, OutboundError, Url};
use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator as _;
use opentelemetry::trace::{Status, TraceContextExt as _, TracerProvider as _};
use opentelemetry_http::{HeaderExtractor, HeaderInjector, HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use serde::Deserialize;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::runtime::Handle;
use tracing::{Span, Subscriber};
use tracing_opentelemetry::OpenTelemetrySpanExt as _;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Whose spans are sent.
const OURS: [&str; 4] = ["aincident", "chassis", "desk", "pages"];
/// What nodes ask of the hub.
const OF_NODES: &str = "/sync/";
/// How long the collector may take for a batch.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the program waits at its end for the last batch.
const AT_THE_END: Duration = Duration::from_secs(3);
/// Longest answer of a collector that is read, in bytes.
const MOST_ANSWER: usize = 64 * 1024;

/// `[traces]` of a configuration file, or what options say of it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TracesLayer {
    /// Where the collector is, such as `http://127.0.0.1:4318`; empty: nowhere.
    pub url: Option<String>,
    /// How many of a hundred traces that begin here are kept, 1 to 100.
    pub percent: Option<u8>,
}

/// Which traces go where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Traces {
    /// The collector's address without `/v1/traces`; none: there are no traces.
    pub url: Option<String>,
    /// How many of a hundred that begin here are kept.
    pub percent: u8,
}

impl TracesLayer {
    /// What this layer says, and where it says nothing the one `below`.
    ///
    /// # Errors
    /// An address that is none, or a share out of range; one line.
    pub fn over(self, below: Option<Self>) -> Result<Traces, String> {
        let below = below.unwrap_or_default();
        let percent = self.percent.or(below.percent).unwrap_or(100);
        if !(1..=100).contains(&percent) {
            return Err(format!("traces.percent is {percent}; give 1 to 100"));
        }
        let url = self.url.or(below.url).map(|url| url.trim().trim_end_matches('/').to_owned());
        let url = url.filter(|url| !url.is_empty());
        if let Some(url) = &url
            && !matches!(Url::parse(url), Ok(parsed) if matches!(parsed.scheme(), "http" | "https") && parsed.has_host())
        {
            return Err(format!("traces.url is {url:?}; give an address such as http://127.0.0.1:4318"));
        }
        Ok(Traces { url, percent })
    }
}

/// What sends the spans of this process; none: it makes none.
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// What turns spans of the log into spans for the collector, where there is one.
pub(super) fn layer<S>(traces: &Traces, program: &'static str) -> Result<Option<impl Layer<S>>, TelemetryError>
where
    S: Subscriber + for<'span> LookupSpan<'span>,
{
    let Some(url) = &traces.url else {
        return Ok(None);
    };
    let failed = |why: String| TelemetryError::Traces(why);
    let config = OutboundConfig { total_timeout: Some(PATIENCE), ..OutboundConfig::default() };
    let outbound = Outbound::new("traces", config).map_err(|error| failed(error.to_string()))?.untraced();
    let collector = Collector {
        outbound: outbound.into(),
        runtime: Handle::current(),
        fails: AtomicBool::new(false).into(),
    };
    let exporter = SpanExporter::builder()
        .with_http()
        .with_http_client(collector)
        .with_endpoint(format!("{url}/v1/traces"))
        .with_protocol(Protocol::HttpBinary)
        .with_timeout(PATIENCE)
        .build()
        .map_err(|error| failed(error.to_string()))?;
    let host = crate::machine::host_name().unwrap_or_default();
    let resource = Resource::builder_empty()
        .with_service_name(program)
        .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
        .with_attribute(KeyValue::new("host.name", host))
        .build();
    let share = Sampler::TraceIdRatioBased(f64::from(traces.percent) / 100.0);
    let provider = SdkTracerProvider::builder()
        .with_batch_exporter(exporter)
        .with_sampler(Sampler::ParentBased(Box::new(share)))
        .with_resource(resource)
        .build();
    let tracer = provider.tracer(program);
    PROVIDER.set(provider).map_err(|_| TelemetryError::Taken("tracing"))?;
    let spans = tracing_opentelemetry::layer().with_tracer(tracer).with_location(false).with_threads(false);
    Ok(Some(spans.with_filter(filter_fn(|of| {
        of.is_span() && OURS.iter().any(|ours| of.target().starts_with(ours))
    }))))
}

/// Whether this process makes spans for a collector.
fn is_on() -> bool {
    PROVIDER.get().is_some()
}

/// Sends what is left, and no more after that: for the program's end.
pub(super) fn close() {
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(AT_THE_END)
    {
        tracing::debug!(%error, "the last traces were not sent");
    }
}

/// Makes `span` the one of a request that came with `headers`: part of its client's trace, where that is a node's. `span` has empty fields
/// `otel.name` and `otel.kind`.
pub(crate) fn served(span: &Span, headers: &HeaderMap, method: &'static str, route: &str) {
    if !is_on() {
        return;
    }
    let context = TraceContextPropagator::new().extract(&HeaderExtractor(headers));
    if route.starts_with(OF_NODES) && context.span().span_context().is_valid() {
        // Fails where the span is not kept, and then it has no parent either.
        let _ = span.set_parent(context);
    }
    span.record("otel.name", format!("{method} {route}"));
    span.record("otel.kind", "server");
    span.set_attribute("http.request.method", method);
    span.set_attribute("http.route", route.to_owned());
}

/// That a request was not answered which [`asked`] began.
pub(crate) fn unanswered(span: &Span, why: &impl std::fmt::Display) {
    if is_on() {
        span.set_status(Status::error(why.to_string()));
    }
}

/// How a request was answered that [`served`] or [`asked`] began.
pub(crate) fn answered(span: &Span, status: u16) {
    if is_on() {
        span.set_attribute("http.response.status_code", i64::from(status));
        if status >= 500 {
            span.set_status(Status::error(format!("status {status}")));
        }
    }
}

/// The span of a request to another service, and what it has to say of it in its headers.
pub(crate) fn asked(service: &str, method: &http::Method, headers: &mut HeaderMap) -> Span {
    if !is_on() {
        return Span::none();
    }
    let name = format!("{method} {service}");
    let span = tracing::info_span!("outbound", service, otel.name = name, otel.kind = "client");
    span.set_attribute("http.request.method", method.to_string());
    TraceContextPropagator::new().inject_context(&span.context(), &mut HeaderInjector(headers));
    span
}

/// The span of a job.
pub(crate) fn worked(kind: &str, key: &str) -> Span {
    if is_on() {
        tracing::info_span!("job", kind, key, otel.name = format!("job {kind}"), otel.kind = "internal")
    } else {
        Span::none()
    }
}

/// Where spans are sent. The exporter asks from a thread of its own, which has no runtime.
#[derive(Clone, Debug)]
struct Collector {
    outbound: Arc<Outbound>,
    runtime: Handle,
    fails: Arc<AtomicBool>,
}

#[async_trait]
impl HttpClient for Collector {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let sending = self.clone();
        self.runtime.spawn(async move { sending.send(request).await }).await?
    }
}

impl Collector {
    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let answer = self.exchange(request).await;
        let why = match &answer {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("the collector answers with status {}", answer.status().as_u16())),
            Err(error) => Some(error.to_string()),
        };
        // Said once, until it is well again.
        match why {
            Some(why) if !self.fails.swap(true, Ordering::Relaxed) => {
                tracing::warn!(why, "traces are not sent; nothing else is kept up by it");
            }
            None if self.fails.swap(false, Ordering::Relaxed) => tracing::info!("traces are sent again"),
            Some(_) | None => {}
        }
        answer
    }

    async fn exchange(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, Body::from(body)).try_into()?;
        let mut answer = self.outbound.request(request).await?;
        let (status, mut body) = (answer.status(), Vec::new());
        while let Some(piece) = answer.chunk().await.map_err(OutboundError::from)? {
            if body.len() + piece.len() > MOST_ANSWER {
                break;
            }
            body.extend_from_slice(&piece);
        }
        Ok(Response::builder().status(status).body(body.into())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_a_share_are_looked_at_and_options_stand_above_the_file() {
        let file = TracesLayer { url: Some("http://collector:4318/".to_owned()), percent: Some(10) };
        let told = TracesLayer { url: None, percent: Some(50) }.over(Some(file.clone())).unwrap();
        assert_eq!(told, Traces { url: Some("http://collector:4318".to_owned()), percent: 50 });
        assert_eq!(TracesLayer::default().over(None).unwrap(), Traces { url: None, percent: 100 });
        let off = TracesLayer { url: Some(String::new()), percent: None };
        assert_eq!(off.over(Some(file)).unwrap().url, None);
        for wrong in ["collector:4318", "ftp://collector", "http://", "4318"] {
            let layer = TracesLayer { url: Some(wrong.to_owned()), percent: None };
            assert!(layer.over(None).is_err_and(|why| why.contains("traces.url")), "{wrong}");
        }
        let none = TracesLayer { url: None, percent: Some(0) };
        assert!(none.over(None).is_err_and(|why| why.contains("traces.percent")));
    }
}
