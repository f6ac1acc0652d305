//! The line to headquarters breaks for as long as it likes: the stores go on, and afterwards everything is there once.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::load::{self, post_all};
use aincident_tests::{Hub, Node, Rng, Scratch, figures, tell, wait_until};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_incidents_of_an_outage_arrive_once_within_a_minute() {
    let mut rng = Rng::announced("outage");
    let scratch = Scratch::new("outage");
    let mut hub = Hub::with_stores(&scratch, &["042", "117"]).await;
    let nodes = [Node::enrolled(&scratch, &hub, "042").await, Node::enrolled(&scratch, &hub, "117").await];
    hub.stop().await;

    // Eight clients, four a store, as four people at a time.
    let mut sites = Vec::new();
    for node in &nodes {
        let manager = node.manager().await;
        let employee = node.employee().await;
        let clients = [manager.another(), manager.another(), employee.another(), employee.another()];
        sites.push((node, manager, clients));
    }
    let mut bodies = |count: usize| -> Vec<_> { (0..count).map(|_| load::incident(&mut rng, 60)).collect() };
    let (left, right) = tokio::join!(post_all(&sites[0].2, bodies(150)), post_all(&sites[1].2, bodies(150)));
    let mut promised = [left, right];
    for ((_, manager, _), promised) in sites.iter().zip(&mut promised) {
        let (first, second) = (promised.keys().next().unwrap().clone(), promised.keys().nth(1).unwrap().clone());
        let path = format!("/api/v1/incidents/{first}");
        let _ = manager
            .patch(&path, &json!({ "status": "in_review", "title": "edited in the outage" }))
            .await
            .expect(200);
        let _ = manager
            .post(&format!("{path}/comments"), &json!({ "body": "said in the outage" }))
            .await
            .expect(201);
        // Deleted before headquarters ever heard of it.
        assert_eq!(manager.delete(&format!("/api/v1/incidents/{second}")).await.status, 204);
        promised.remove(&second);
        let sync = manager.get("/api/v1/sync").await.expect(200);
        assert!(sync["pending_changes"].as_u64().unwrap() >= 153, "{sync}");
        assert_eq!(sync["hub_reachable"], false, "{sync}");
    }

    hub.start().await;
    let back = Instant::now();
    for node in &nodes {
        node.follow(&hub);
    }
    let harriet = hub.harriet().await;
    wait_until("298 incidents at headquarters", Duration::from_secs(60), async || harriet.total().await == 298).await;
    for (node, manager, _) in &sites {
        node.drained(manager, Duration::from_secs(60).saturating_sub(back.elapsed())).await;
    }
    tell(&format!(
        "outage: 300 incidents at headquarters {} after it came back",
        figures::time(back.elapsed())
    ));

    for ((node, manager, _), promised) in sites.iter().zip(&promised) {
        let agreed = store_and_headquarters(node.store(), manager, &harriet, promised, &["title", "status"]).await;
        assert_eq!(agreed.incidents, 149);
    }
    hub.audit().await;
    for node in &nodes {
        // What the program notes for other processes follows what it knows itself, a little later.
        wait_until("the command line to say that all is well", Duration::from_secs(10), async || {
            let status = node.status().await;
            assert_eq!((&status["store_code"], &status["quarantined"]), (&json!(node.store()), &json!(0)), "{status}");
            status["pending_changes"] == 0 && status["hub_reachable"] == true
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_made_on_both_sides_of_an_outage_merge_and_none_is_lost() {
    let scratch = Scratch::new("both-sides");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let made = manager.post("/api/v1/incidents", &json!({ "description": "a pallet fell" })).await.expect(201);
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    let harriet = hub.harriet().await;
    wait_until("the incident at headquarters", Duration::from_secs(20), async || {
        harriet.get(&path).await.status == 200
    })
    .await;

    node.link().go_down();
    let _ = manager.patch(&path, &json!({ "location": "ramp 1", "title": "from the store" })).await.expect(200);
    let _ = harriet
        .patch(&path, &json!({ "zone": "receiving", "title": "from headquarters" }))
        .await
        .expect(200);
    let _ = harriet.post(&format!("{path}/comments"), &json!({ "body": "which ramp?" })).await.expect(201);
    node.link().heal();
    hub.audit().await;

    let settled = Duration::from_secs(60);
    wait_until("both sites to show the same", settled, async || {
        let (here, there) = (manager.get(&path).await.json(), harriet.get(&path).await.json());
        here["version"] == there["version"] && here["comment_count"] == 1 && there["location"] == "ramp 1"
    })
    .await;
    let incident = manager.get(&path).await.expect(200);
    assert_eq!(incident["zone"], "receiving");
    assert_eq!(incident["location"], "ramp 1");
    // One title stands, the other one is in history at both sites, marked as lost.
    for client in [&manager, &harriet] {
        let history = client.get(&format!("{path}/history")).await.expect(200);
        let items = history["items"].as_array().unwrap();
        let titles: Vec<_> = items.iter().filter(|item| item["field"] == "title").collect();
        for title in ["from the store", "from headquarters"] {
            assert!(titles.iter().any(|item| item["to"] == title), "{title} is not in {history}");
        }
        assert_eq!(titles.iter().filter(|item| item["lost"] == true).count(), 1, "{history}");
    }
    hub.stop().await;
}
