//! A hub that is its own authority: nodes that were told to trust it sync over TLS, others do not get as far as the code.

use aincident_tests::{Hub, Node, Scratch, wait_until};
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

/// What `doctor` tells of the hub's authority.
async fn fingerprint(hub: &Hub) -> String {
    let told = hub.run(&["doctor"]).await.ok("doctor");
    told.lines()
        .find_map(|line| line.split_once("SHA-256 ").map(|(_, pin)| pin.trim().to_owned()))
        .expect("a fingerprint")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_a_pinned_certificate_talks_to_no_other_hub_until_it_is_told_to() {
    let scratch = Scratch::new("pins");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    hub.stop().await;
    hub.env("AINCIDENT_HUB_TLS_ALWAYS", "true");
    hub.start().await;
    let url = hub.url().to_owned();
    hub.listen_on(url.strip_prefix("https://").unwrap());
    let pin = fingerprint(&hub).await;
    let wrong = pin.replace(&pin[..2], if pin.starts_with("00") { "11" } else { "00" });
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    let code = hub.node_code("042").await;
    let enroll = |url: &str, pin: &str| {
        let words = ["enroll", "--hub", url, "--code", &code, "--fingerprint", pin].map(str::to_owned);
        words.to_vec()
    };
    let run = async |words: Vec<String>| node.run(&words.iter().map(String::as_str).collect::<Vec<_>>()).await;
    let line = run(enroll(&url, &wrong)).await.refused(1, "another certificate");
    assert!(
        line.contains("not the pinned one") && line.contains(&pin) && line.contains("the code is still good"),
        "{line}"
    );
    assert_eq!(run(enroll(&url, "AB:CD")).await.code, Some(2));
    let plain = url.replace("https", "http");
    assert!(run(enroll(&plain, &pin)).await.refused(1, "without TLS").contains("no certificate"));
    run(enroll(&url, &pin.to_lowercase().replace(':', ""))).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "pinned" })).await.expect(201);
    node.drained(&manager, Duration::from_secs(60)).await;

    // The hub's certificate is another one at every start; its authority is the same.
    hub.stop().await;
    hub.start().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "renewed" })).await.expect(201);
    node.drained(&manager, Duration::from_secs(60)).await;

    // Somebody else's authority, at the same address.
    hub.stop().await;
    std::fs::rename(hub.folder().join("tls"), scratch.join("tls-of-before")).unwrap();
    hub.start().await;
    let anew = fingerprint(&hub).await;
    assert_ne!(anew, pin);
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "waits" })).await.expect(201);
    wait_until("the node to say what differs", Duration::from_secs(60), async || {
        let said = node.status().await["last_error"].to_string();
        said.contains("not the pinned one") && said.contains(&anew)
    })
    .await;
    assert_eq!(manager.get("/api/v1/sync").await.expect(200)["pending_changes"], 1);
    let line = node.run(&["trust", "--fingerprint", &wrong]).await.refused(1, "a third one");
    assert!(line.contains("nothing was changed"), "{line}");
    node.run(&["trust", "--fingerprint", &format!("{pin},{anew}")]).await.ok("both");
    node.drained(&manager, Duration::from_secs(60)).await;
    assert!(
        node.run(&["trust", "--unpin"])
            .await
            .refused(1, "no authority vouches")
            .contains("nothing was changed")
    );
    hub.audit().await;
}
