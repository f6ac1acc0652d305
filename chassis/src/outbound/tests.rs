use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use http::StatusCode;
use http::header::LOCATION;
use tokio::net::TcpListener;

use super::*;
use crate::http::serve;
use crate::shutdown::Shutdown;

async fn start(router: Router) -> (Url, Shutdown) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let shutdown = Shutdown::manual();
    tokio::spawn(serve(listener, router, shutdown.clone()));
    (url, shutdown)
}

fn outbound(config: OutboundConfig) -> Outbound {
    Outbound::new("test", config).unwrap()
}

async fn ask(outbound: &Outbound, url: &Url) -> Result<StatusCode, OutboundError> {
    let request = outbound.build(Method::GET, url.clone()).build()?;
    outbound.request(request).await.map(|response| response.status())
}

#[tokio::test]
async fn a_service_that_keeps_failing_is_left_alone_until_reset() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&asked);
    let handler = move || async move {
        counted.fetch_add(1, Ordering::SeqCst);
        StatusCode::SERVICE_UNAVAILABLE
    };
    let (url, _shutdown) = start(Router::new().route("/", get(handler))).await;
    let breaker = BreakerConfig {
        failures: 3,
        open_for: Duration::from_secs(600),
        open_at_most: Duration::from_secs(600),
    };
    let outbound = outbound(OutboundConfig { breaker, ..OutboundConfig::default() });
    for _ in 0..3 {
        assert_eq!(ask(&outbound, &url).await.unwrap(), StatusCode::SERVICE_UNAVAILABLE);
    }
    let open = ask(&outbound, &url).await.unwrap_err();
    assert!(matches!(open, OutboundError::Open { .. }), "{open}");
    assert_eq!(asked.load(Ordering::SeqCst), 3);
    outbound.reset();
    ask(&outbound, &url).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn a_service_that_nobody_asks_any_more_is_not_said_to_fail_and_one_that_waits_on_purpose_is_not_slow() {
    let metrics = crate::telemetry::install_metrics().unwrap();
    let (url, _shutdown) = start(Router::new().route("/", get(|| async { StatusCode::BAD_GATEWAY }))).await;
    let breaker = BreakerConfig { failures: 1, ..BreakerConfig::default() };
    let outbound = Outbound::new("dropped-test", OutboundConfig { breaker, ..OutboundConfig::default() }).unwrap();
    let request = outbound.build(Method::GET, url.clone()).build().unwrap();
    outbound.request_that_waits(request, Duration::from_secs(25)).await.unwrap();
    let text = metrics.render();
    assert!(text.contains("outbound_breaker_open{service=\"dropped-test\"} 1"), "{text}");
    assert!(!text.contains("outbound_request_seconds_count{service=\"dropped-test\"}"), "{text}");
    drop(outbound);
    let text = metrics.render();
    assert!(text.contains("outbound_breaker_open{service=\"dropped-test\"} 0"), "{text}");
}

#[tokio::test]
async fn redirects_are_answers_and_refused_connections_are_named() {
    let handler = || async { (StatusCode::FOUND, [(LOCATION, "/elsewhere")]) };
    let (url, _shutdown) = start(Router::new().route("/", get(handler))).await;
    let outbound = outbound(OutboundConfig::default());
    assert_eq!(ask(&outbound, &url).await.unwrap(), StatusCode::FOUND);
    // Bound and dropped: a port where nobody listens.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let error = ask(&outbound, &format!("http://{free}/").parse().unwrap()).await.unwrap_err();
    assert!(matches!(error, OutboundError::Connect(_)), "{error}");
    assert!(!error.to_string().contains(&free.to_string()), "{error}");
}

#[tokio::test]
async fn a_service_that_does_not_answer_times_out_and_a_caller_that_gives_up_counts_as_failure() {
    let (url, _shutdown) = start(Router::new().route("/", get(std::future::pending::<()>))).await;
    let breaker = BreakerConfig { failures: 2, ..BreakerConfig::default() };
    let total_timeout = Some(Duration::from_millis(30));
    let outbound = outbound(OutboundConfig { breaker, total_timeout, ..OutboundConfig::default() });
    assert!(matches!(ask(&outbound, &url).await, Err(OutboundError::Timeout)));
    {
        let mut given_up = std::pin::pin!(ask(&outbound, &url));
        assert!(futures::poll!(given_up.as_mut()).is_pending());
    }
    assert!(matches!(ask(&outbound, &url).await, Err(OutboundError::Open { .. })));
}

#[test]
fn a_ca_file_without_a_certificate_is_refused() {
    for pem in ["", "-----BEGIN CERTIFICATE-----\nnonsense\n-----END CERTIFICATE-----\n"] {
        let config = OutboundConfig { extra_ca_pem: Some(pem.into()), ..OutboundConfig::default() };
        assert!(matches!(Outbound::new("test", config), Err(OutboundError::Setup(_))), "{pem:?}");
    }
}
