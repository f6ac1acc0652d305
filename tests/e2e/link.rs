//! A link that cuts, loses replies, garbles, swallows and breaks down: it takes longer, and nothing is lost or doubled.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::load::{self, post_all};
use aincident_tests::wait::let_run;
use aincident_tests::{Hub, Node, Rng, Scratch, Weather, figures, tell, wait_until};
use serde_json::json;
use std::time::{Duration, Instant};

const INCIDENTS: usize = 250;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_link_delays_and_neither_loses_nor_doubles() {
    let mut rng = Rng::announced("link");
    let scratch = Scratch::new("link");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);

    let link = node.link();
    link.seed(rng.fork());
    let bad = Weather {
        latency: Duration::from_millis(3),
        refuse: 0.05,
        cut_request: 0.08,
        lose_reply: 0.12,
        cut_reply: 0.06,
        garble_request: 0.05,
        garble_reply: 0.05,
        ..Weather::default()
    };
    link.set(bad);
    let began = Instant::now();
    let mut promised = load::Promised::new();
    let clients = [manager.another(), manager.another(), manager.another(), manager.another()];
    // In pieces, so that there is something to lose all the time, with cuts in between.
    for _ in 0..10 {
        let bodies = (0..INCIDENTS / 10).map(|_| load::incident(&mut rng, 30)).collect();
        promised.append(&mut post_all(&clients, bodies).await);
        let_run(Duration::from_millis(rng.between(20, 250))).await;
        link.cut();
    }
    node.drained(&manager, Duration::from_secs(120)).await;
    tell(&format!(
        "link: {INCIDENTS} incidents in bad weather in {}: {:?}",
        figures::time(began.elapsed()),
        link.traffic()
    ));
    assert!(link.traffic().spoilt >= 5, "the weather was not bad: {:?}", link.traffic());

    // Down as well: headquarters edits what the store has, in the same weather.
    for id in promised.keys().take(20) {
        let path = format!("/api/v1/incidents/{id}");
        let _ = harriet.patch(&path, &json!({ "location": "seen by headquarters" })).await.expect(200);
    }
    wait_until("twenty edits in the store", Duration::from_secs(120), async || {
        let items = manager.list("").await;
        items.iter().filter(|item| item["location"] == "seen by headquarters").count() == 20
    })
    .await;
    link.heal();
    node.drained(&manager, Duration::from_secs(60)).await;
    let agreed = store_and_headquarters("042", &manager, &harriet, &promised, &["location"]).await;
    assert_eq!(agreed.incidents, INCIDENTS as u64);
    hub.audit().await;
    let status = node.status().await;
    assert_eq!(status["quarantined"], 0, "{status}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_link_that_swallows_everything_is_noticed_and_left_behind() {
    let scratch = Scratch::new("black-hole");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    node.link().set(Weather { black_hole: 1.0, ..Weather::default() });
    node.link().cut();
    for n in 0..20 {
        let _ = manager
            .post("/api/v1/incidents", &json!({ "description": format!("number {n}") }))
            .await
            .expect(201);
    }
    let sync = manager.get("/api/v1/sync").await.expect(200);
    assert!(sync["pending_changes"].as_u64().unwrap() >= 20, "{sync}");
    // Good weather comes without a cut: what hangs in the hole has to be given up by the node itself.
    node.link().set(Weather::default());
    wait_until("twenty incidents at headquarters", Duration::from_secs(120), async || harriet.total().await == 20)
        .await;
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captive_portal_that_answers_200_to_everything_is_not_believed() {
    let scratch = Scratch::new("portal");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let portal = axum::Router::new().fallback(async || "{\"welcome\":\"please accept our terms\"}");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let portal = tokio::spawn(async move { axum::serve(listener, portal).await });

    node.link().lead_to(port);
    node.link().cut();
    let made = manager.post("/api/v1/incidents", &json!({ "description": "behind a portal" })).await.expect(201);
    wait_until("the node to say that this is not headquarters", Duration::from_secs(30), async || {
        manager.get("/api/v1/sync").await.expect(200)["hub_reachable"] == false
    })
    .await;
    assert_ne!(manager.get("/api/v1/sync").await.expect(200)["pending_changes"], 0);
    portal.abort();
    node.follow(&hub);
    node.link().cut();
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    wait_until("the incident at headquarters", Duration::from_secs(60), async || {
        harriet.get(&path).await.status == 200
    })
    .await;
}
