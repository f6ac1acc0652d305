//! A hub that is its own authority: nodes that were told to trust it sync over TLS, others do not get as far as the code.

use aincident_tests::{Hub, Node, Scratch};
use serde_json::json;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_told_whom_to_trust_syncs_over_tls_and_one_that_was_not_keeps_its_code() {
    let scratch = Scratch::new("tls");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    hub.stop().await;
    hub.env("AINCIDENT_HUB_TLS_ALWAYS", "true");
    hub.start().await;
    assert!(hub.url().starts_with("https://127.0.0.1:"), "{}", hub.url());
    let authority = hub.folder().join("tls/ca.pem");
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    let code = hub.node_code("042").await;
    let url = hub.url().to_owned();
    let line = node.run(&["enroll", "--hub", &url, "--code", &code]).await.refused(1, "a stranger's certificate");
    assert!(line.contains("certificate") && line.contains("the code is still good"), "{line}");
    node.run(&["enroll", "--hub", &url, "--code", &code, "--ca", authority.to_str().unwrap()])
        .await
        .ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "over TLS" })).await.expect(201);
    node.drained(&manager, Duration::from_secs(60)).await;
    hub.audit().await;
    // The authority outlives a restart, and so does the trust in it.
    let port = hub.daemon().port();
    hub.stop().await;
    hub.listen_on(&format!("127.0.0.1:{port}"));
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "meanwhile" })).await.expect(201);
    hub.start().await;
    node.drained(&manager, Duration::from_secs(60)).await;
}
