//! How much one of those who ask may ask, and that whoever waits as told loses nothing.

use crate::reload::{reload, start};
use aincident_tests::http::Client;
use aincident_tests::hub::PASSWORD;
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::site::Site;
use aincident_tests::{Hub, Node, Rng, Scratch, wait_for, wait_until};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

/// Whether a figure of the site is above nothing.
async fn is_counted(site: &Site, figure: &str) -> bool {
    let figures = String::from_utf8(site.client().get("/metrics").await.body).unwrap();
    figures.lines().any(|line| line.strip_prefix(figure).is_some_and(|value| value.trim() != "0"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_asks_too_often_is_told_when_to_come_back_and_a_reload_lifts_the_limit() {
    let scratch = Scratch::new("limits");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    node.stop().await;
    let file = scratch.join("node.toml");
    let low = "[limits]\nloopback = true\naccount_per_s = 1\naccount_burst = 5\nlogin_failures = 6\n";
    std::fs::write(&file, low).unwrap();
    start(&mut node, &file).await;

    let employee = node.employee().await;
    let refused = wait_for("a refusal", PATIENCE, async || {
        let answer = employee.get("/api/v1/me").await;
        let policy = answer.header("ratelimit-policy").unwrap_or_default();
        assert!(policy.contains(r#""address";q=5000;w=5"#) && policy.contains(r#""account";q=5;w=5"#), "{policy}");
        (answer.status == 429).then_some(answer)
    })
    .await;
    assert_eq!(refused.problem(429)["type"], "urn:aincident:problem:too-many-requests");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.header("ratelimit").is_some_and(|text| text.ends_with(r#""account";r=0;t=1"#)));
    let _ = node.manager().await.get("/api/v1/me").await.expect(200);
    wait_until("its next request", PATIENCE, async || employee.get("/api/v1/me").await.status == 200).await;
    assert!(is_counted(&node, "requests_limited_total{by=\"account\"}").await);

    // Many names from one address.
    let guess = async |name: &str, password: &str| {
        node.client().post("/api/v1/login", &json!({ "username": name, "password": password })).await
    };
    for n in 0..6 {
        let _ = guess(&format!("somebody-{n}"), "guess").await.problem(401);
    }
    let slow = guess("employee-042", PASSWORD).await;
    let _ = slow.problem(429);
    assert!(
        slow.header("retry-after")
            .and_then(|text| text.parse::<u64>().ok())
            .is_some_and(|s| (1..=60).contains(&s))
    );
    wait_until("the address to be let in", PATIENCE, async || guess("employee-042", PASSWORD).await.status == 200)
        .await;

    // Taken while it runs.
    let lifted = "[limits]\nloopback = true\naccount_per_s = 0\n";
    reload(&node, &file, lifted, "the configuration was read again").await;
    for _ in 0..30 {
        let _ = employee.get("/api/v1/me").await.expect(200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_may_ask_rarely_brings_everything_all_the_same() {
    let mut rng = Rng::announced("limits-node");
    let scratch = Scratch::new("limits-node");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    hub.stop().await;
    let manager = node.manager().await;
    let mut photographed = Vec::new();
    for n in 0..20 {
        let made = manager
            .post("/api/v1/incidents", &json!({ "description": format!("number {n}") }))
            .await
            .expect(201);
        if n < 3 {
            let id = made["id"].as_str().unwrap().to_owned();
            let _ = add_photo(&manager, &id, "a.jpg", noisy_jpeg(&mut rng, 320, 240)).await.expect(201);
            photographed.push(id);
        }
    }
    let file = scratch.join("hub.toml");
    std::fs::write(&file, "[limits]\nloopback = true\n[nodes]\nper_s = 5\nburst = 5\n").unwrap();
    start(&mut hub, &file).await;
    node.follow(&hub);
    node.drained(&manager, PATIENCE).await;
    let harriet: Client = hub.harriet().await;
    wait_until("all reports at headquarters", PATIENCE, async || harriet.total().await == 20).await;
    for id in photographed {
        let path = format!("/api/v1/incidents/{id}");
        let arrived = async || manager.get(&path).await.expect(200)["photos"][0]["at_hub"] == "verified";
        wait_until("a photo at headquarters", PATIENCE, arrived).await;
    }
    assert!(is_counted(&hub, "requests_limited_total{by=\"node\"}").await);
    assert!(is_counted(&node, "aincident_moderated_total").await);
    // Being asked to wait is no trouble, and no reason to take the hub for gone.
    let status = node.status().await;
    assert_eq!(status["hub_reachable"], true, "{status}");
    let log = node.daemon().log_tail(usize::MAX);
    assert!(!log.contains("refuses (429)"), "{log}");
    hub.audit().await;
}
