//! Outbound HTTP: one client per service we depend on, with a circuit breaker and its own measurements.

pub mod backoff;
pub mod breaker;
mod names;
pub mod pins;

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use metrics::{counter, gauge, histogram};
use tokio::time::Instant;
use tracing::{Instrument as _, Span};

use crate::slow::{self, Kind};
use crate::telemetry::traces;

pub use backoff::{Backoff, retry_after};
pub use breaker::{Breaker, BreakerConfig};
pub use pins::{MAX_PINS, Pin};
pub use reqwest::{Body, Method, Request, RequestBuilder, Response, Url};

/// Installs the one TLS implementation of the process. First thing in `main` and harmless when repeated.
pub fn install_crypto() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // Fails only when another provider is installed already, and then there is one.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
}

/// How to talk to a service.
#[derive(Debug, Clone)]
pub struct OutboundConfig {
    /// Until a connection stands; default 5 s.
    pub connect_timeout: Duration,
    /// Until the whole answer is there; default 60 s. `None` for streams: then `idle_timeout` alone bounds them.
    pub total_timeout: Option<Duration>,
    /// Between two pieces of an answer; default 30 s.
    pub idle_timeout: Duration,
    /// Never HTTP/2: each request under way has a connection of its own. Default false.
    pub http1_only: bool,
    /// Certificates (PEM) to trust besides the system's: a private authority.
    pub extra_ca_pem: Option<Vec<u8>>,
    /// Certificates that alone are believed; none: whatever a trusted authority vouches for.
    pub pins: Vec<Pin>,
    /// Names that lead to this machine or to its own links are not followed. Default false.
    pub away_only: bool,
    /// `User-Agent`.
    pub user_agent: String,
    /// When to stop asking for a while.
    pub breaker: BreakerConfig,
}

impl Default for OutboundConfig {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(5),
            total_timeout: Some(Duration::from_secs(60)),
            idle_timeout: Duration::from_secs(30),
            http1_only: false,
            extra_ca_pem: None,
            pins: Vec::new(),
            away_only: false,
            user_agent: concat!("aincident/", env!("CARGO_PKG_VERSION")).to_owned(),
            breaker: BreakerConfig::default(),
        }
    }
}

/// Why there is no answer. The words are for a status page: what happened, without the address.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The service failed repeatedly and is left alone for a while.
    #[error("not asked: it failed repeatedly, next try in {} s", retry_in.as_secs().max(1))]
    Open {
        /// Until the next request is let through.
        retry_in: Duration,
    },
    /// No connection: refused, unreachable, name unknown, certificate not trusted.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke, or what came over it made no sense.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// The client could not be set up, or the request makes no sense.
    #[error("{0}")]
    Setup(String),
}

/// Carries requests in the place of a network: for simulations.
#[async_trait]
pub trait Carrier: Send + Sync {
    /// Brings `request` to whoever its address names, and the answer back.
    ///
    /// # Errors
    /// When there is no answer.
    async fn carry(&self, request: Request) -> Result<Response, OutboundError>;
}

/// A client for one service. Cheap to clone? No: share it, its breaker is the point.
pub struct Outbound {
    service: Arc<str>,
    client: reqwest::Client,
    carrier: Option<Arc<dyn Carrier>>,
    breaker: Mutex<Breaker>,
    epoch: Instant,
    /// Whether the paths of its addresses are nobody's business.
    secret_paths: bool,
    /// Whether what it asks is no part of any trace.
    untraced: bool,
}

impl Outbound {
    /// A client for the service called `service` in metrics and logs: one of few, each makes figures of its own. Ignores proxy settings of the environment,
    /// follows no redirects and unpacks no compressed answers.
    ///
    /// # Errors
    ///
    /// [`OutboundError::Setup`] when the extra certificates cannot be read or TLS cannot be set up.
    pub fn new(service: impl Into<Arc<str>>, config: OutboundConfig) -> Result<Self, OutboundError> {
        install_crypto();
        let failed = |cause: reqwest::Error| {
            OutboundError::Setup(format!("the HTTP client cannot be set up: {}", chain(&cause)))
        };
        let mut builder = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(config.connect_timeout)
            .read_timeout(config.idle_timeout)
            .tcp_nodelay(true)
            .user_agent(config.user_agent);
        if config.http1_only {
            builder = builder.http1_only();
        }
        if config.away_only {
            builder = builder.dns_resolver(names::Away);
        }
        if let Some(total) = config.total_timeout {
            builder = builder.timeout(total);
        }
        if !config.pins.is_empty() {
            let tls = pins::tls(config.pins, config.http1_only);
            builder = builder.tls_backend_preconfigured(tls.map_err(|error| OutboundError::Setup(error.to_string()))?);
        } else if let Some(pem) = &config.extra_ca_pem {
            let certificates = reqwest::Certificate::from_pem_bundle(pem)
                .map_err(|_| OutboundError::Setup("the CA file holds no readable PEM certificate".to_owned()))?;
            if certificates.is_empty() {
                return Err(OutboundError::Setup("the CA file holds no PEM certificate".to_owned()));
            }
            builder = builder.tls_certs_merge(certificates);
        }
        Ok(Self {
            service: service.into(),
            client: builder.build().map_err(failed)?,
            carrier: None,
            breaker: Mutex::new(Breaker::new(config.breaker)),
            epoch: Instant::now(),
            secret_paths: false,
            untraced: false,
        })
    }

    /// A client whose requests go by `carrier`, with none of the limits of an [`OutboundConfig`] but its breaker.
    #[must_use]
    pub fn over(service: impl Into<Arc<str>>, carrier: Arc<dyn Carrier>, breaker: BreakerConfig) -> Self {
        // It sends nothing: requests are built with it. Making one takes milliseconds.
        static CLIENT: OnceLock<reqwest::Client> = OnceLock::new();
        install_crypto();
        Self {
            service: service.into(),
            client: CLIENT.get_or_init(reqwest::Client::new).clone(),
            carrier: Some(carrier),
            breaker: Mutex::new(Breaker::new(breaker)),
            epoch: Instant::now(),
            secret_paths: false,
            untraced: false,
        }
    }

    /// The same client, that keeps the paths of its addresses out of the log: some services have a secret there.
    #[must_use]
    pub fn with_secret_paths(mut self) -> Self {
        self.secret_paths = true;
        self
    }

    /// The same client, whose requests are no part of any trace: those that carry traces.
    #[must_use]
    pub(crate) fn untraced(mut self) -> Self {
        self.untraced = true;
        self
    }

    /// A request to be filled in, `build()`-ed and given to [`Outbound::request`].
    pub fn build(&self, method: Method, url: Url) -> RequestBuilder {
        self.client.request(method, url)
    }

    /// Sends `request`, unless the breaker is open. An answer of any status is an answer; 5xx and 429 count as
    /// failures for the breaker.
    ///
    /// # Errors
    ///
    /// When there is no answer; see [`OutboundError`].
    pub async fn request(&self, request: Request) -> Result<Response, OutboundError> {
        self.request_that_waits(request, Duration::ZERO).await
    }

    /// The same for a request whose answer may wait so long on purpose: it is slow when it takes longer still.
    ///
    /// # Errors
    ///
    /// As [`Outbound::request`].
    pub async fn request_that_waits(&self, mut request: Request, wait: Duration) -> Result<Response, OutboundError> {
        if let Err(retry_in) = self.with_breaker(|breaker, now| breaker.admit(now)) {
            counter!("outbound_requests_total", "service" => Arc::clone(&self.service), "outcome" => "open")
                .increment(1);
            return Err(OutboundError::Open { retry_in });
        }
        let mut trial = Trial { of: self, settled: false };
        let begun = Instant::now();
        let path = if self.secret_paths { "" } else { request.url().path() };
        let asked = format!("{} {}{path}", self.service, request.method());
        let span = if self.untraced {
            Span::none()
        } else {
            let method = request.method().clone();
            traces::asked(&self.service, &method, request.headers_mut())
        };
        let exchange = async {
            match &self.carrier {
                None => self.client.execute(request).await.map_err(|cause| OutboundError::from(&cause)),
                Some(carrier) => carrier.carry(request).await,
            }
        };
        let answer = exchange.instrument(span.clone()).await;
        match &answer {
            Ok(answer) => traces::answered(&span, answer.status().as_u16()),
            Err(error) => traces::unanswered(&span, error),
        }
        let took = begun.elapsed();
        // How long an answer took that waits on purpose says nothing of how quick the service is.
        if wait.is_zero() {
            histogram!("outbound_request_seconds", "service" => Arc::clone(&self.service)).record(took.as_secs_f64());
        }
        slow::note(Kind::Outbound, took.saturating_sub(wait), || asked);
        let healthy = answer.as_ref().is_ok_and(|response| {
            let status = response.status();
            !status.is_server_error() && status != http::StatusCode::TOO_MANY_REQUESTS
        });
        trial.settle(healthy);
        let outcome = match &answer {
            Ok(_) if healthy => "ok",
            Ok(_) => "refused",
            Err(_) => "failed",
        };
        counter!("outbound_requests_total", "service" => Arc::clone(&self.service), "outcome" => outcome).increment(1);
        answer
    }

    /// Lets the next request through at once: a person asked for it, or the network came back.
    pub fn reset(&self) {
        self.with_breaker(|breaker, _| breaker.reset());
    }

    fn with_breaker<T>(&self, f: impl FnOnce(&mut Breaker, Duration) -> T) -> T {
        let mut breaker = self.breaker.lock().unwrap_or_else(PoisonError::into_inner);
        let answer = f(&mut breaker, self.epoch.elapsed());
        gauge!("outbound_breaker_open", "service" => Arc::clone(&self.service)).set(if breaker.is_closed() {
            0.0
        } else {
            1.0
        });
        answer
    }
}

impl Drop for Outbound {
    /// Nobody asks any more: what the breaker last was says nothing from now on.
    fn drop(&mut self) {
        let breaker = self.breaker.get_mut().unwrap_or_else(PoisonError::into_inner);
        if !breaker.is_closed() {
            gauge!("outbound_breaker_open", "service" => Arc::clone(&self.service)).set(0.0);
        }
    }
}

impl fmt::Debug for Outbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbound").field("service", &self.service).finish_non_exhaustive()
    }
}

/// A request the breaker let through. One that is dropped unanswered (its caller gave up) counts as failed:
/// a half-open breaker would wait for its verdict for ever.
struct Trial<'a> {
    of: &'a Outbound,
    settled: bool,
}

impl Trial<'_> {
    fn settle(&mut self, healthy: bool) {
        self.settled = true;
        self.of.with_breaker(|breaker, now| if healthy { breaker.succeeded() } else { breaker.failed(now) });
    }
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        if !self.settled {
            self.settle(false);
        }
    }
}

impl From<&reqwest::Error> for OutboundError {
    fn from(cause: &reqwest::Error) -> Self {
        if cause.is_timeout() {
            Self::Timeout
        } else if cause.is_connect() {
            Self::Connect(innermost(cause))
        } else if cause.is_builder() {
            Self::Setup(innermost(cause))
        } else {
            Self::Broken(innermost(cause))
        }
    }
}

impl From<reqwest::Error> for OutboundError {
    fn from(cause: reqwest::Error) -> Self {
        Self::from(&cause)
    }
}

/// The last cause of an error: the part that says something.
fn innermost(error: &dyn std::error::Error) -> String {
    let mut last = error;
    while let Some(source) = last.source() {
        last = source;
    }
    // What a verifier of ours says stands for itself.
    let text = last.to_string();
    text.strip_prefix("other error: ").map_or_else(|| text.clone(), str::to_owned)
}

/// An error with all its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
