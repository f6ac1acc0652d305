use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::middleware::from_fn;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, RETRY_AFTER};
use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;
use uuid::Uuid;

use super::*;
use crate::ids::Ids;
use crate::shutdown::Shutdown;

fn config() -> StackConfig {
    StackConfig::new(Ids::seeded(1))
}

fn app() -> Router {
    Router::new()
        .route("/echo", post(|Json(value): Json<Value>| async { Json(value) }))
        .route("/things/{id}", get(|Path(id): Path<Uuid>| async move { id.to_string() }))
        .route("/panic", get(|| async { panic!("a secret") as () }))
        .route("/page", get(|| async { (StatusCode::FORBIDDEN, Html("<p>no</p>")) }))
        .route("/never", get(std::future::pending::<()>))
        .route("/large", get(|| async { Json("x".repeat(5000)) }))
        .route("/stream", get(|| async { ([(CONTENT_TYPE, "text/event-stream")], "data: x\n\n".repeat(500)) }))
        .route("/own", get(|| async { ([(CONTENT_SECURITY_POLICY, "default-src 'none'")], "x") }))
        .merge(health_routes(Health::new().check("disk", || async { Err("it is full".to_owned()) })))
}

async fn ask(router: &Router, request: Request<Body>) -> (Response, Vec<u8>) {
    let (parts, body) = router.clone().oneshot(request).await.unwrap().into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    (Response::from_parts(parts, Body::empty()), bytes.to_vec())
}

fn to(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

async fn problem(router: &Router, request: Request<Body>) -> (Response, Value) {
    let (response, body) = ask(router, request).await;
    assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["status"], response.status().as_u16());
    (response, body)
}

fn post_json(body: impl Into<Body>) -> Request<Body> {
    Request::post("/echo").header(CONTENT_TYPE, "application/json").body(body.into()).unwrap()
}

#[tokio::test]
async fn every_refusal_of_the_router_is_a_problem() {
    let app = stack(app(), config());
    let (_, body) = problem(&app, to("/nowhere")).await;
    assert_eq!(body["type"], "urn:aincident:problem:not-found");
    let (response, body) = problem(&app, to("/echo")).await;
    assert_eq!(response.headers()[ALLOW], "POST");
    assert_eq!((body["status"].as_u64(), body["title"].as_str()), (Some(405), Some("Method not allowed")));
    let (response, _) = problem(&app, to("/things/17")).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    let (response, body) = ask(&app, to("/page")).await;
    assert_eq!((response.status(), body), (StatusCode::FORBIDDEN, b"<p>no</p>".to_vec()));
}

#[tokio::test]
async fn bodies_are_bounded_typed_and_echoed() {
    let app = stack(app(), config());
    let (response, body) = ask(&app, post_json(r#"{"a":1}"#)).await;
    assert_eq!((response.status(), body), (StatusCode::OK, br#"{"a":1}"#.to_vec()));
    let refused = async |request| problem(&app, request).await.0.status().as_u16();
    assert_eq!(refused(post_json("{")).await, 400);
    assert_eq!(refused(Request::post("/echo").body(Body::from("{}")).unwrap()).await, 415);
    let exact = format!("\"{}\"", "x".repeat(JSON_LIMIT_BYTES - 2));
    assert_eq!(ask(&app, post_json(exact.clone())).await.0.status(), StatusCode::OK);
    assert_eq!(refused(post_json(format!("{exact} "))).await, 413);
    // Without a length, too.
    let pieces = futures::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024])));
    assert_eq!(refused(post_json(Body::from_stream(pieces))).await, 413);
}

#[tokio::test]
async fn a_panic_is_an_answer_that_gives_nothing_away_but_the_request_id() {
    let app = stack(app(), config());
    let request = Request::get("/panic").header("x-request-id", "from-the-client").body(Body::empty()).unwrap();
    let (response, body) = problem(&app, request).await;
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(response.headers()["x-request-id"], "from-the-client");
    assert_eq!(body["request_id"], "from-the-client");
    assert!(!body.to_string().contains("secret"));
}

#[tokio::test]
async fn a_request_id_that_could_forge_a_log_line_is_replaced() {
    let app = stack(app(), config());
    for bad in ["short", "with blank in it", "a\"quoted\"one", &"x".repeat(65)] {
        let request = Request::get("/own").header("x-request-id", bad).body(Body::empty()).unwrap();
        let (response, _) = ask(&app, request).await;
        assert_eq!(response.headers()["x-request-id"].len(), 16, "{bad}");
    }
}

#[tokio::test]
async fn a_request_that_hangs_is_given_up_and_one_too_many_is_turned_away() {
    let config = StackConfig { time_limit: Duration::from_millis(40), concurrent: 1, ..config() };
    let app = stack(app(), config);
    let hanging = tokio::spawn({
        let app = app.clone();
        async move { problem(&app, to("/never")).await }
    });
    let begun = Instant::now();
    loop {
        let (response, _) = ask(&app, to("/own")).await;
        if response.status() == StatusCode::SERVICE_UNAVAILABLE {
            assert_eq!(response.headers()[RETRY_AFTER], "1");
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(10), "never turned away");
        tokio::task::yield_now().await;
    }
    assert_eq!(ask(&app, to("/healthz")).await.0.status(), StatusCode::OK);
    let (response, body) = hanging.await.unwrap();
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(body["type"], "urn:aincident:problem:timeout");
    assert_eq!(ask(&app, to("/own")).await.0.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_long_lived_route_keeps_no_place_and_has_no_time_limit() {
    let (release, released) = tokio::sync::watch::channel(false);
    let (arrive, mut arrived) = tokio::sync::mpsc::channel::<()>(1);
    let handler = move || async move {
        arrive.send(()).await.unwrap();
        let mut released = released.clone();
        released.wait_for(|now| *now).await.map(|_| ()).map_err(|_| StatusCode::INTERNAL_SERVER_ERROR)
    };
    let router = app().merge(Router::new().route("/poll", get(handler)).route_layer(from_fn(long_lived)));
    let time_limit = Duration::from_millis(20);
    let app = stack(router, StackConfig { time_limit, concurrent: 1, ..config() });
    let polling = tokio::spawn({
        let app = app.clone();
        async move { ask(&app, to("/poll")).await.0.status() }
    });
    arrived.recv().await.unwrap();
    // Several times the limit, measured by requests that do run into it; none of them is turned away.
    for _ in 0..4 {
        let (_, body) = problem(&app, to("/never")).await;
        assert_eq!(body["type"], "urn:aincident:problem:timeout");
    }
    release.send(true).unwrap();
    assert_eq!(polling.await.unwrap(), StatusCode::OK);
}

#[tokio::test]
async fn who_has_places_of_their_own_is_not_crowded_out() {
    let app = stack(app(), StackConfig { concurrent: 0, apart: Apart { paths: &["/own"], places: 1 }, ..config() });
    assert_eq!(ask(&app, to("/own")).await.0.status(), StatusCode::OK);
    assert_eq!(ask(&app, to("/never")).await.0.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn texts_are_compressed_and_event_streams_never() {
    let app = stack(app(), config());
    let encoding = async |path: &str, accept: &str| {
        let request = Request::get(path).header("accept-encoding", accept).body(Body::empty()).unwrap();
        let (response, _) = ask(&app, request).await;
        response.headers().get(CONTENT_ENCODING).map(|value| value.to_str().unwrap().to_owned())
    };
    assert_eq!(encoding("/large", "gzip, zstd").await.as_deref(), Some("zstd"));
    assert_eq!(encoding("/large", "gzip").await.as_deref(), Some("gzip"));
    assert_eq!(encoding("/large", "identity").await, None);
    assert_eq!(encoding("/stream", "gzip, zstd").await, None);
    assert_eq!(encoding("/own", "gzip, zstd").await, None);
}

#[tokio::test]
async fn answers_carry_security_headers_and_keep_their_own() {
    let app = stack(app(), config());
    let (response, _) = ask(&app, to("/large")).await;
    assert_eq!(response.headers()["x-content-type-options"], "nosniff");
    let policy = response.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
    assert!(policy.contains("default-src 'self'") && policy.contains("frame-ancestors 'none'"), "{policy}");
    let (response, _) = ask(&app, to("/own")).await;
    assert_eq!(response.headers()[CONTENT_SECURITY_POLICY], "default-src 'none'");
}

#[tokio::test]
async fn readiness_names_what_fails() {
    let app = stack(app(), config());
    let (response, body) = ask(&app, to("/readyz")).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body, json!({"status": "not ready", "failing": {"disk": "it is full"}}));
}

#[tokio::test]
async fn requests_are_counted_by_pattern_not_by_path() {
    let metrics = crate::telemetry::install_metrics().unwrap();
    let router = app().merge(health_routes_at_once(metrics.clone()));
    let app = stack(router, config());
    ask(&app, to("/things/018f0000-0000-7000-8000-000000000001")).await;
    ask(&app, to("/made-up-by-a-scanner")).await;
    let text = metrics.render();
    assert!(text.contains(r#"route="/things/{id}""#), "{text}");
    assert!(text.contains(r#"route="unmatched""#) && !text.contains("scanner"), "{text}");
}

#[tokio::test]
async fn an_answer_that_waits_or_goes_on_on_purpose_makes_no_site_look_slow() {
    let metrics = crate::telemetry::install_metrics().unwrap();
    let polled = Router::new().route("/polled", post(|| async {})).route_layer(from_fn(long_lived));
    let told = Router::new().route("/told", get(|| async {})).route_layer(from_fn(streamed));
    let app = stack(app().merge(polled).merge(told), config());
    ask(&app, Request::post("/polled").body(Body::empty()).unwrap()).await;
    ask(&app, to("/told")).await;
    ask(&app, to("/large")).await;
    let text = metrics.render();
    for (figure, series, is_there) in [
        ("http_long_lived_seconds_count", r#"{method="POST",route="/polled"}"#, true),
        ("http_request_seconds_count", r#"{method="POST",route="/polled"}"#, false),
        ("http_long_lived_seconds_count", r#"{method="GET",route="/told"}"#, true),
        ("http_request_seconds_count", r#"{method="GET",route="/told"}"#, false),
        ("http_request_seconds_count", r#"{method="GET",route="/large"}"#, true),
        ("http_requests_total", r#"{method="POST",route="/polled",status="2xx"}"#, true),
    ] {
        assert_eq!(text.contains(&format!("{figure}{series}")), is_there, "{figure}{series}: {text}");
    }
}

fn health_routes_at_once(metrics: crate::telemetry::MetricsHandle) -> Router {
    Router::new().nest("/inner", health_routes(Health::new().metrics(metrics)))
}

/// A server on a free port.
async fn start(router: Router, header_time: Duration) -> (std::net::SocketAddr, Shutdown, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    let shutdown = Shutdown::manual();
    let served = Server::default().patient_for(header_time).serve(listener, router, shutdown.clone());
    (addr, shutdown, tokio::spawn(async move { served.await.unwrap() }))
}

const SOON: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_client_that_says_nothing_or_too_little_is_hung_up_on() {
    let (addr, shutdown, served) = start(stack(app(), config()), Duration::from_millis(50)).await;
    for start in ["", "P", "PRI * HTTP/2", "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "] {
        let mut stream = TcpStream::connect(addr).await.unwrap();
        stream.write_all(start.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(SOON, stream.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{start:?} was still listened to");
    }
    shutdown.begin();
    tokio::time::timeout(SOON, served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_that_is_full_still_answers_its_watchdog_and_one_that_is_gone_does_not() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (addr, shutdown) = (listener.local_addr().unwrap(), Shutdown::manual());
    let server = Server::up_to(1);
    let door = server.door();
    let routes = stack(health_routes(Health::new()), config());
    let served = tokio::spawn(server.serve(listener, routes, shutdown.clone()));
    let answers = async || tokio::time::timeout(SOON, door.answers(addr)).await.unwrap();
    assert_eq!(answers().await, Ok(()));
    let metrics = crate::telemetry::install_metrics().unwrap().render();
    assert!(metrics.contains("http_connections_limit ") && metrics.contains("http_connections "), "{metrics}");
    // The one place is taken as soon as something was said and answered.
    let mut guest = TcpStream::connect(addr).await.unwrap();
    guest.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    guest.read_exact(&mut [0; 12]).await.unwrap();
    assert_eq!(answers().await, Ok(()));
    drop(guest);
    shutdown.begin();
    tokio::time::timeout(SOON, served).await.unwrap().unwrap().unwrap();
    assert!(tokio::time::timeout(Duration::from_millis(50), door.answers(addr)).await.is_err());
}

#[tokio::test]
async fn http_1_and_http_2_are_spoken_and_the_peer_is_known() {
    crate::outbound::install_crypto();
    let peer = get(|ConnectInfo(peer): ConnectInfo<std::net::SocketAddr>| async move { peer.ip().to_string() });
    let (addr, shutdown, served) = start(Router::new().route("/peer", peer), SOON).await;
    for client in [
        reqwest::Client::builder().no_proxy().build().unwrap(),
        reqwest::Client::builder().no_proxy().http2_prior_knowledge().build().unwrap(),
    ] {
        let answer = client.get(format!("http://{addr}/peer")).send().await.unwrap();
        assert_eq!(answer.text().await.unwrap(), "127.0.0.1");
    }
    shutdown.begin();
    tokio::time::timeout(SOON, served).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_shutdown_finishes_what_is_in_flight_and_takes_nothing_new() {
    let (release, released) = tokio::sync::watch::channel(false);
    let (arrive, mut arrived) = tokio::sync::mpsc::channel::<()>(1);
    let handler = move || async move {
        arrive.send(()).await.unwrap();
        released.clone().wait_for(|now| *now).await.unwrap();
        "done"
    };
    let (addr, shutdown, served) = start(Router::new().route("/slow", get(handler)), SOON).await;
    let mut idle = TcpStream::connect(addr).await.unwrap();
    let mut busy = TcpStream::connect(addr).await.unwrap();
    busy.write_all(b"GET /slow HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    arrived.recv().await.unwrap();
    shutdown.begin();
    let mut rest = Vec::new();
    tokio::time::timeout(SOON, idle.read_to_end(&mut rest)).await.unwrap().unwrap();
    let begun = Instant::now();
    while TcpStream::connect(addr).await.is_ok() {
        assert!(begun.elapsed() < SOON, "still listening");
        tokio::task::yield_now().await;
    }
    release.send(true).unwrap();
    let mut answer = String::new();
    tokio::time::timeout(SOON, busy.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("done"), "{answer}");
    tokio::time::timeout(SOON, served).await.unwrap().unwrap();
}

#[tokio::test]
async fn who_was_let_in_just_before_the_end_is_still_answered() {
    let (addr, shutdown, served) = start(stack(app(), config()), SOON).await;
    let mut late = TcpStream::connect(addr).await.unwrap();
    // Connections are accepted in their order: once this one is answered, the other one was let in.
    let mut other = TcpStream::connect(addr).await.unwrap();
    let ask = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    other.write_all(ask).await.unwrap();
    other.read_to_end(&mut Vec::new()).await.unwrap();
    shutdown.begin();
    tokio::task::yield_now().await;
    late.write_all(ask).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(SOON, late.read_to_string(&mut answer)).await.unwrap().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    tokio::time::timeout(SOON, served).await.unwrap().unwrap();
}

#[test]
fn beyond_this_machine_there_is_tls_unless_plain_http_was_asked_for() {
    let needed = |addr: &str, plain| needs_tls(addr.parse().unwrap(), plain);
    assert!(!needed("127.0.0.1:0", false) && !needed("[::1]:80", false) && !needed("[::ffff:127.0.0.1]:80", false));
    assert!(needed("0.0.0.0:80", false) && needed("192.168.1.5:80", false) && needed("[::]:80", false));
    assert!(!needed("0.0.0.0:80", true));
}

#[tokio::test]
async fn an_answer_that_cannot_be_written_as_json_is_our_fault() {
    let unwritable = Json(std::collections::HashMap::from([((1, 2), 3)]));
    assert_eq!(unwritable.into_response().status(), StatusCode::INTERNAL_SERVER_ERROR);
}
