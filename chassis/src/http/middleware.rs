//! The stack around every route, from the outside in:
//!
//! 1. `observe`: request id, log span, counters, security headers, every error a problem;
//! 2. compression of texts, never of event streams;
//! 3. admission: 429 for whoever asks too often, a place or 503, a time limit, panics caught;
//! 4. the body limit.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::{Body, HttpBody};
use axum::extract::{DefaultBodyLimit, FromRequestParts, MatchedPath, Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::Response;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use tokio::sync::Semaphore;
use tower_http::CompressionLevel;
use tower_http::compression::{CompressionLayer, Predicate};
use tracing::Instrument as _;
use tracing::field::Empty;

use super::limits::{Admission, JSON_LIMIT_BYTES, LongLived, admit};
use super::problem::{MEDIA_TYPE, Problem};
use crate::figures::Held;
use crate::ids::Ids;
use crate::slow::{self, Kind};
use crate::telemetry::traces;

/// What the stack is made of.
#[derive(Clone)]
pub struct StackConfig {
    /// Makes request ids.
    pub ids: Ids,
    /// How long a request may take before it is answered 503; default 30 s. See [`long_lived`](super::long_lived).
    pub time_limit: Duration,
    /// The body limit in bytes for axum's extractors and [`Json`](super::Json); default 256 KiB. A route that reads
    /// the raw body must bound it itself.
    pub body_limit_bytes: usize,
    /// Requests handled at once; one more is answered 503. Default 512.
    pub concurrent: usize,
    /// Who has places of their own; by default nobody.
    pub apart: Apart,
    /// `Content-Security-Policy` of answers that bring none of their own.
    pub content_security_policy: &'static str,
}

/// Requests that have places of their own, so that those who send them and everybody else do not crowd each other out.
#[derive(Clone, Copy, Debug)]
pub struct Apart {
    /// How their paths begin.
    pub paths: &'static [&'static str],
    /// How many of them are handled at once; one more is answered 503.
    pub places: usize,
}

impl StackConfig {
    /// The defaults.
    #[must_use]
    pub fn new(ids: Ids) -> Self {
        Self {
            ids,
            time_limit: Duration::from_secs(30),
            body_limit_bytes: JSON_LIMIT_BYTES,
            concurrent: 512,
            apart: Apart { paths: &[], places: 0 },
            content_security_policy: "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; base-uri 'none'; \
                                      form-action 'self'; frame-ancestors 'none'",
        }
    }
}

/// Wraps `router` in the middleware. Call it once, on the finished router: later routes would be outside.
pub fn stack(router: Router, config: StackConfig) -> Router {
    let admission = Admission {
        places: Arc::new(Semaphore::new(config.concurrent)),
        time_limit: config.time_limit,
        apart: config.apart.paths,
        places_apart: Arc::new(Semaphore::new(config.apart.places)),
    };
    let compression = CompressionLayer::new().quality(CompressionLevel::Fastest).compress_when(WorthCompressing);
    router
        .layer(DefaultBodyLimit::max(config.body_limit_bytes))
        .layer(from_fn_with_state(admission, admit))
        .layer(compression)
        .layer(from_fn_with_state(Arc::new(config), observe))
}

/// Below this many bytes compression costs more than it saves.
const WORTH_BYTES: u64 = 860;

/// Which answers are compressed.
#[derive(Clone, Copy)]
struct WorthCompressing;

impl Predicate for WorthCompressing {
    fn should_compress<B: HttpBody>(&self, response: &http::Response<B>) -> bool {
        let status = response.status();
        let kind = response.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        // Not a part of something (its ranges count the bytes as they are), not a live stream (it must not be held back).
        status.is_success()
            && status != StatusCode::PARTIAL_CONTENT
            && response.body().size_hint().exact().is_none_or(|length| length >= WORTH_BYTES)
            && COMPRESSED.contains(&kind)
    }
}

/// Texts. Photos and archives are compressed already; an event stream must never be.
const COMPRESSED: [&str; 9] = [
    "application/javascript",
    "application/json",
    "application/manifest+json",
    "image/svg+xml",
    "text/css",
    "text/csv",
    "text/html",
    "text/javascript",
    "text/plain",
];

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The id of the request at hand: its own, if it brought a sane one, else ours. Also an extractor.
#[derive(Debug, Clone)]
pub struct RequestId(pub Arc<str>);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| Problem::internal("a route outside the stack asked for its request id"))
    }
}

fn request_id(headers: &HeaderMap, ids: &Ids) -> Arc<str> {
    let sane = |text: &&str| {
        (8..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
    };
    let brought = headers.get(REQUEST_ID).and_then(|value| value.to_str().ok()).filter(sane);
    brought.map_or_else(|| crate::secret::to_base64url(&ids.random_bytes::<12>()).into(), Arc::from)
}

/// Only methods with a name of their own: a label anyone can invent would fill the memory.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

async fn observe(State(config): State<Arc<StackConfig>>, mut request: Request, next: Next) -> Response {
    let begun = Instant::now();
    let id = request_id(request.headers(), &config.ids);
    let method = method_label(request.method());
    // The pattern, not the path: bounded in number, and without what people put into addresses.
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or_else(|| Arc::from("unmatched"), |path| Arc::<str>::from(path.as_str()));
    // HTTP/2 says it in another place; whoever asks later need not know that.
    let authority = request.uri().authority().and_then(|authority| HeaderValue::from_str(authority.as_str()).ok());
    if let Some(authority) = authority {
        request.headers_mut().entry(HOST).or_insert(authority);
    }
    request.extensions_mut().insert(RequestId(Arc::clone(&id)));
    let named = Arc::clone(&route);
    let span = tracing::info_span!("request", id = &*id, method, route = &*route, otel.name = Empty, otel.kind = Empty);
    traces::served(&span, request.headers(), method, &route);
    let traced = span.clone();

    // Counted out also when its client has gone and it is dropped half-way.
    let in_flight = Held::of(metrics::gauge!("http_requests_in_flight"));
    let mut response = async {
        let response = next.run(request).await;
        let response = as_problem(response, &id).await;
        let latency_ms = begun.elapsed().as_millis();
        let status = response.status().as_u16();
        traces::answered(&traced, status);
        // 503 is often a state (stopping, not set up yet) and whoever brings it about logs it once.
        if status >= 500 && status != 503 {
            tracing::warn!(status, latency_ms, "answered");
        } else {
            tracing::debug!(status, latency_ms, "answered");
        }
        if !is_long_lived(&response) {
            slow::note(Kind::Request, begun.elapsed(), || format!("{method} {named}"));
        }
        response
    }
    .instrument(span)
    .await;
    drop(in_flight);

    let class = match response.status().as_u16() {
        100..=199 => "1xx",
        200..=299 => "2xx",
        300..=399 => "3xx",
        400..=499 => "4xx",
        _ => "5xx",
    };
    let route = route.to_string();
    metrics::counter!("http_requests_total", "method" => method, "route" => route.clone(), "status" => class)
        .increment(1);
    // Apart from the others: a long poll that waits for 25 s, as it should, would make the site look slow for ever.
    let figure = if is_long_lived(&response) {
        "http_long_lived_seconds"
    } else {
        "http_request_seconds"
    };
    metrics::histogram!(figure, "method" => method, "route" => route).record(begun.elapsed().as_secs_f64());
    dress(response.headers_mut(), &id, config.content_security_policy);
    response
}

/// Whether how long the answer took says nothing of how quick the site is.
fn is_long_lived(response: &Response) -> bool {
    response.extensions().get::<LongLived>().is_some()
}

fn dress(headers: &mut HeaderMap, id: &str, content_security_policy: &'static str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    for (name, value) in [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "same-origin"),
        (CONTENT_SECURITY_POLICY, content_security_policy),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}

/// What a layer's own words may be, at most, in bytes, before they are left out.
const WORDS_BYTES: usize = 512;

/// Turns errors that are bare or plain text (axum's own: 404, 405, 413 …) into problems, and puts the request's id
/// into the ones that are our fault. Pages and problems pass as they are; `Allow` and the like are kept.
async fn as_problem(mut response: Response, id: &str) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let problem = match response.extensions_mut().remove::<Problem>() {
        Some(_) if !status.is_server_error() => return response,
        Some(problem) => problem,
        None => {
            let kind = response.headers().get(CONTENT_TYPE);
            if kind.is_some_and(|kind| !kind.as_bytes().starts_with(b"text/plain"))
                || response.headers().contains_key(CONTENT_ENCODING)
            {
                return response;
            }
            let body = std::mem::take(response.body_mut());
            let words = axum::body::to_bytes(body, WORDS_BYTES).await.unwrap_or_default();
            Problem::from_status(status, String::from_utf8_lossy(&words).into_owned())
        }
    };
    let id = status.is_server_error().then_some(id);
    *response.body_mut() = Body::from(problem.body(id));
    let headers = response.headers_mut();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
    response
}
