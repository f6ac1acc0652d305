//! Traces: what a node asks of the hub is one trace in a collector, and a collector that is gone holds nobody up.

use aincident_tests::{Hub, Node, Scratch, wait_until};
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use serde_json::json;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

const PATIENCE: Duration = Duration::from_secs(60);

/// Spans, each with the program that made it.
type Collected = Arc<Mutex<Vec<(String, Span)>>>;

fn text(attributes: &[KeyValue], key: &str) -> Option<String> {
    let found = attributes.iter().find(|one| one.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        _ => None,
    }
}

async fn collect(State(collected): State<Collected>, body: Bytes) -> StatusCode {
    let request = ExportTraceServiceRequest::decode(body).expect("OTLP");
    for of_program in request.resource_spans {
        let resource = of_program.resource.expect("a resource");
        let program = text(&resource.attributes, "service.name").expect("a service");
        assert!(text(&resource.attributes, "service.version").is_some());
        let spans = of_program.scope_spans.into_iter().flat_map(|scope| scope.spans);
        collected.lock().unwrap().extend(spans.map(|span| (program.clone(), span)));
    }
    StatusCode::OK
}

async fn collector() -> (String, Collected, JoinHandle<()>) {
    let collected = Collected::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().route("/v1/traces", post(collect)).with_state(Arc::clone(&collected));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (url, collected, serving)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_push_is_one_trace_on_both_sides_and_a_collector_that_is_gone_holds_nobody_up() {
    let scratch = Scratch::new("traced");
    let (url, collected, serving) = collector().await;
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    hub.stop().await;
    hub.env("AINCIDENT_HUB_TRACES_URL", &url);
    hub.env("OTEL_BSP_SCHEDULE_DELAY", "100");
    hub.start().await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_TRACES_URL", &url);
    node.env("OTEL_BSP_SCHEDULE_DELAY", "100");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "traced" })).await.expect(201);
    node.drained(&manager, PATIENCE).await;

    let find = |program: &str, name: &str, parent: Option<&Span>| {
        let all = collected.lock().unwrap();
        let is_it = |(of, span): &&(String, Span)| {
            let follows = |parent: &Span| span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id;
            of == program && span.name == name && parent.is_none_or(follows)
        };
        all.iter().find(is_it).map(|(_, span)| span.clone())
    };
    wait_until("the push on both sides", PATIENCE, async || {
        let pushes: Vec<Span> = {
            let all = collected.lock().unwrap();
            let asked = all.iter().filter(|(program, span)| program == "aincident-node" && span.name == "POST hub");
            asked.map(|(_, span)| span.clone()).collect()
        };
        pushes.iter().any(|asked| find("aincident-hub", "POST /sync/v1/push", Some(asked)).is_some())
    })
    .await;
    let mut made = None;
    wait_until("the person's own request", PATIENCE, async || {
        made = find("aincident-node", "POST /api/v1/incidents", None);
        made.is_some()
    })
    .await;
    let made = made.unwrap();
    assert_eq!(text(&made.attributes, "http.response.status_code").as_deref(), Some("201"), "{made:?}");
    // Nothing of what was written, and no secret.
    let all = format!("{:?}", collected.lock().unwrap());
    assert!(!all.contains("traced\"") && !all.contains("Bearer"), "{all}");

    serving.abort();
    for n in 0..20 {
        let _ = manager.post("/api/v1/incidents", &json!({ "description": format!("{n}") })).await.expect(201);
    }
    node.drained(&manager, PATIENCE).await;
    wait_until("the log to say so", PATIENCE, async || node.daemon().log_tail(400).contains("traces are not sent"))
        .await;
    assert_eq!(node.daemon().log_tail(400).matches("traces are not sent").count(), 1);
    node.stop().await;
    hub.stop().await;
}
