//! What cannot be taken, and edits that met: shown with a reason at both sites, settled by a person at either, and then alike at
//! both. Nothing else waits for it.

use aincident_tests::agree::same;
use aincident_tests::http::Client;
use aincident_tests::plant::{self, ledger};
use aincident_tests::wait::{wait_for, wait_until};
use aincident_tests::{Hub, Node, Scratch};
use serde_json::{Value, json};
use std::time::Duration;
use sync_protocol::change::ChangeId;

const SOON: Duration = Duration::from_secs(60);

fn edit_of(incident: &str, base: Option<ChangeId>, field: &str, value: Value) -> String {
    let at = chassis::clock::SystemClock::shared().now_ms();
    let base = base.map_or_else(|| json!({}), |base| json!({ field: base }));
    json!({ "at": at, "base": base, "by": "employee-042", "id": incident, "kind": "incident", "set": { field: value } })
        .to_string()
}

async fn record(client: &Client, description: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": description })).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn items(client: &Client, path: &str) -> Vec<Value> {
    client.get(path).await.expect(200)["items"].as_array().unwrap().clone()
}

/// The change as `client` sees it in quarantine, once it does.
async fn seen(client: &Client, id: ChangeId) -> Value {
    wait_for(&format!("{id} to be in quarantine"), SOON, async || {
        items(client, "/api/v1/quarantine").await.into_iter().find(|item| item["id"] == id.to_string())
    })
    .await
}

async fn nothing_open(node: &Node, hub: &Hub, manager: &Client, harriet: &Client) {
    wait_until("nothing to be in quarantine at both sites", SOON, async || {
        let sync = manager.get("/api/v1/sync").await.expect(200);
        let nodes = harriet.get("/api/v1/nodes").await.expect(200);
        items(manager, "/api/v1/quarantine").await.is_empty()
            && items(harriet, "/api/v1/quarantine").await.is_empty()
            && sync["quarantined"] == 0
            && sync["pending_changes"] == 0
            && nodes["items"][0]["quarantined"] == 0
    })
    .await;
    assert_eq!(node.status().await["quarantined"], 0);
    hub.audit().await;
}

/// A hub and a node of store 042 whose pauses are short, with what they are asked with.
async fn sites(scratch: &Scratch) -> (Hub, Node, Client, Client) {
    let hub = Hub::with_stores(scratch, &["042", "117"]).await;
    let mut node = Node::new(scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "500");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    (hub, node, manager, harriet)
}

/// Stops the node, records `bodies` on it, and starts it again.
async fn planted(node: &mut Node, bodies: &[String]) -> (Vec<ChangeId>, Client) {
    node.stop().await;
    let ids = bodies.iter().map(|body| plant::change(node, body)).collect();
    node.start().await;
    (ids, node.manager().await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bad_change_shows_at_both_sites_holds_up_its_record_alone_and_is_corrected_in_the_store() {
    let scratch = Scratch::new("correct");
    let (hub, mut node, manager, harriet) = sites(&scratch).await;
    let incident = record(&manager, "a puddle").await;
    node.drained(&manager, SOON).await;
    let bad = edit_of(&incident, None, "severity", json!(9));
    let unknown = edit_of(&incident, None, "smell", json!("smoke"));
    let (ids, manager) = planted(&mut node, &[unknown, bad.clone()]).await;
    let path = format!("/api/v1/incidents/{incident}");

    let there = seen(&harriet, ids[1]).await;
    let here = seen(&manager, ids[1]).await;
    for item in [&there, &here] {
        assert_eq!((&item["code"], &item["state"], &item["body"]), (&json!("bad-value"), &json!("open"), &json!(bad)));
        assert!(item["reason"].as_str().unwrap().starts_with("severity: "), "{item}");
        assert_eq!(
            (&item["store_code"], &item["kind"], &item["record_id"]),
            (&json!("042"), &json!("incident"), &json!(incident))
        );
    }
    assert_eq!(items(&harriet, "/api/v1/quarantine").await.len(), 1, "a field that nobody knows is no reason");
    let other = hub.login("manager-117", aincident_tests::hub::PASSWORD).await;
    assert_eq!(items(&other, "/api/v1/quarantine").await.len(), 0);

    // A later edit of the record waits; another record does not.
    let _ = manager.patch(&path, &json!({ "title": "wet floor" })).await.expect(200);
    let apart = record(&manager, "another matter").await;
    wait_until("the other report to be at headquarters", SOON, async || {
        harriet.get(&format!("/api/v1/incidents/{apart}")).await.status == 200
    })
    .await;
    assert_eq!(harriet.get(&path).await.expect(200)["title"], "a puddle");
    wait_until("both sites to count what waits", SOON, async || {
        let (there, here) = (seen(&harriet, ids[1]).await, seen(&manager, ids[1]).await);
        let sync = manager.get("/api/v1/sync").await.expect(200);
        let nodes = harriet.get("/api/v1/nodes").await.expect(200);
        there["waiting"] == 1
            && here["waiting"] == 1
            && sync["quarantined"] == 2
            && nodes["items"][0]["quarantined"] == 2
    })
    .await;
    let list: Value = serde_json::from_str(&hub.run(&["quarantine", "list", "--json"]).await.ok("list")).unwrap();
    assert_eq!(list["items"][0]["id"], ids[1].to_string());
    let shown = node.run(&["quarantine", "show", &ids[1].to_string()]).await.ok("show");
    assert!(shown.contains("bad-value") && shown.contains(&bad), "{shown}");

    // Trying again changes nothing: it is as bad as before.
    let still = harriet
        .post(&format!("/api/v1/quarantine/{}/retry", ids[1]), &json!({ "reason": "just to see" }))
        .await
        .expect(200);
    assert_eq!(still["state"], "open");
    let edit = json!({ "set": { "severity": 4 }, "reason": "nine is too much" });
    let settled = manager.post(&format!("/api/v1/quarantine/{}/edit", ids[1]), &edit).await.expect(200);
    assert_eq!(settled["state"], "settled");
    wait_until("the correction and what waited to be at headquarters", SOON, async || {
        let there = harriet.get(&path).await.expect(200);
        there["severity"] == 4 && there["title"] == "wet floor"
    })
    .await;
    nothing_open(&node, &hub, &manager, &harriet).await;
    same(&incident, &manager.get(&path).await.expect(200), &harriet.get(&path).await.expect(200));
    for client in [&manager, &harriet] {
        let item = client.get(&format!("/api/v1/quarantine/{}", ids[1])).await.expect(200);
        let history: Vec<(&str, &str)> = item["history"]
            .as_array()
            .unwrap()
            .iter()
            .map(|word| (word["action"].as_str().unwrap(), word["by"].as_str().unwrap()))
            .collect();
        assert_eq!((&item["state"], history.len()), (&json!("settled"), 2), "{item}");
        assert!(history.contains(&("retry", "harriet")) && history.contains(&("edit", "manager-042")), "{history:?}");
        assert_eq!(item["body"], json!(bad), "it is kept as it came");
    }
    assert!(items(&harriet, "/api/v1/reviews").await.is_empty(), "nobody typed over anybody");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_read_or_is_too_large_is_discarded_by_command_while_a_site_serves_and_while_it_does_not() {
    let scratch = Scratch::new("discard");
    let (mut hub, mut node, manager, harriet) = sites(&scratch).await;
    let incident = record(&manager, "a puddle").await;
    node.drained(&manager, SOON).await;
    let large = edit_of(&incident, None, "note", json!("x".repeat(sync_protocol::change::MAX_BODY_BYTES)));
    let (ids, manager) = planted(&mut node, &["what is this".to_owned(), large]).await;
    for (id, code) in [(ids[0], "malformed"), (ids[1], "too-large")] {
        assert_eq!(seen(&harriet, id).await["code"], code);
        assert_eq!(seen(&manager, id).await["code"], code);
    }
    let _ = manager
        .patch(&format!("/api/v1/incidents/{incident}"), &json!({ "title": "wet floor" }))
        .await
        .expect(200);

    // At the store, while it serves.
    let first = ids[0].to_string();
    node.run(&["quarantine", "discard", &first]).await.refused(2, "no reason");
    let line = node.run(&["quarantine", "discard", &first, "--reason", " "]).await.refused(1, "a blank reason");
    assert!(line.contains("reason"), "{line}");
    let said = node.run(&["quarantine", "discard", &first, "--reason", "a broken disk"]).await.ok("discard");
    assert!(said.contains(&first), "{said}");
    wait_until("headquarters to hear of it", SOON, async || {
        harriet.get(&format!("/api/v1/quarantine/{first}")).await.expect(200)["state"] == "settled"
    })
    .await;
    let line = hub.run(&["quarantine", "discard", &first, "--reason", "too"]).await.refused(1, "a second time");
    assert!(line.contains("system:cli settled it"), "{line}");

    // At headquarters, while it does not.
    hub.stop().await;
    let second = ids[1].to_string();
    hub.run(&["quarantine", "discard", &second, "--reason", "nobody wrote so much"]).await.ok("discard");
    assert_eq!(hub.run(&["quarantine", "list"]).await.ok("list"), "nothing is in quarantine");
    hub.start().await;
    node.follow(&hub);
    let harriet = hub.harriet().await;
    nothing_open(&node, &hub, &manager, &harriet).await;
    for client in [&manager, &harriet] {
        let settled = items(client, "/api/v1/quarantine?settled=true").await;
        let mut told: Vec<(&str, &str)> = settled
            .iter()
            .map(|item| {
                let word = &item["history"][0];
                (word["site"].as_str().unwrap(), word["reason"].as_str().unwrap())
            })
            .collect();
        told.sort_unstable();
        assert_eq!(told, [("042", "a broken disk"), ("hub", "nobody wrote so much")]);
        let shown = client.get(&format!("/api/v1/incidents/{incident}")).await.expect(200);
        assert_eq!(shown["title"], "wet floor");
    }
    let line = hub
        .run(&["quarantine", "show", "00000000-0000-7000-8000-000000000000:1"])
        .await
        .refused(1, "no such change");
    assert!(!line.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_hub_failed_at_is_taken_by_itself_after_its_upgrade_and_the_store_hears_of_it() {
    let scratch = Scratch::new("upgrade");
    let (mut hub, node, manager, harriet) = sites(&scratch).await;
    // A hub with a bug.
    let bug = "CREATE TRIGGER bug BEFORE INSERT ON documents WHEN new.doc LIKE '%unlucky%' BEGIN SELECT RAISE(ABORT, 'bug'); END";
    ledger(hub.folder()).execute_batch(bug).unwrap();
    let incident = record(&manager, "an unlucky one").await;
    let _ = manager
        .patch(&format!("/api/v1/incidents/{incident}"), &json!({ "title": "wet floor" }))
        .await
        .expect(200);
    let _ = record(&manager, "a lucky one").await;
    let item = wait_for("the change to be in quarantine", SOON, async || {
        items(&manager, "/api/v1/quarantine").await.into_iter().next()
    })
    .await;
    assert_eq!(item["code"], "failed", "{item}");
    wait_until("the other one to be at headquarters", SOON, async || harriet.total().await == 1).await;
    hub.stop().await;
    // Another version, without it.
    let db = ledger(hub.folder());
    db.execute_batch("DROP TRIGGER bug").unwrap();
    db.execute("UPDATE site SET value = '0.0.0 0' WHERE name = 'quarantine_tried'", []).unwrap();
    drop(db);
    hub.start().await;
    node.follow(&hub);
    let harriet = hub.harriet().await;
    wait_until("headquarters to take it", SOON, async || harriet.total().await == 2).await;
    nothing_open(&node, &hub, &manager, &harriet).await;
    let path = format!("/api/v1/incidents/{incident}");
    same(&incident, &manager.get(&path).await.expect(200), &harriet.get(&path).await.expect(200));
    let told = manager.get(&format!("/api/v1/quarantine/{}", item["id"].as_str().unwrap())).await.expect(200);
    assert_eq!((&told["state"], &told["history"][0]["by"]), (&json!("applied"), &json!("system:upgrade")), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_that_met_are_settled_in_the_store_at_headquarters_and_by_both_at_once() {
    let scratch = Scratch::new("reviews");
    let (_hub, node, manager, harriet) = sites(&scratch).await;
    let incident = record(&manager, "a puddle").await;
    let path = format!("/api/v1/incidents/{incident}");
    node.drained(&manager, SOON).await;
    // Without knowing of each other: three fields at both sites, one of them ten times in the store.
    node.link().go_down();
    for n in 0..10 {
        let _ = manager.patch(&path, &json!({ "title": format!("title {n}") })).await.expect(200);
    }
    let _ = manager.patch(&path, &json!({ "location": "by the door", "zone": "aisle" })).await.expect(200);
    let _ = harriet
        .patch(&path, &json!({ "title": "headquarters", "location": "at the back", "zone": "office" }))
        .await
        .expect(200);
    node.link().heal();
    for client in [&manager, &harriet] {
        let reviews = wait_for("the reviews", SOON, async || {
            Some(items(client, "/api/v1/reviews").await).filter(|reviews| reviews.len() == 3)
        })
        .await;
        for review in reviews {
            assert_eq!(review["lost"].as_array().unwrap().len(), 1, "one branch is lost once: {review}");
            let edits = if review["field"] == "title" {
                json!("title 9")
            } else {
                review["lost"][0]["value"].clone()
            };
            assert_eq!(review["lost"][0]["value"], edits);
        }
    }
    let settle = async |client: &Client, field: &str, body: Value| {
        client.post(&format!("/api/v1/reviews/{incident}:{field}/settle"), &body).await.expect(200)
    };
    // In the store, at headquarters, and by both without knowing of each other.
    settle(&manager, "title", json!({ "keep": "lost" })).await;
    settle(&harriet, "location", json!({ "keep": "standing" })).await;
    let open = async |client: &Client| {
        let reviews = items(client, "/api/v1/reviews").await;
        reviews.iter().map(|review| review["field"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    for client in [&manager, &harriet] {
        wait_until("two reviews to be settled", SOON, async || open(client).await == ["zone"]).await;
        let shown = client.get(&path).await.expect(200);
        assert_eq!((&shown["title"], &shown["location"]), (&json!("title 9"), &json!("at the back")));
    }
    node.link().go_down();
    settle(&manager, "zone", json!({ "keep": "lost" })).await;
    settle(&harriet, "zone", json!({ "value": "stockroom" })).await;
    node.link().heal();
    node.drained(&manager, SOON).await;
    for client in [&manager, &harriet] {
        wait_until("both to stand alike", SOON, async || {
            client.get(&path).await.expect(200)["zone"] == "stockroom" && open(client).await.is_empty()
        })
        .await;
        let settled = items(client, "/api/v1/reviews?settled=true").await;
        let by = |field: &str| settled.iter().find(|review| review["field"] == field).unwrap()["settled"]["by"].clone();
        assert_eq!(
            (by("title"), by("location"), by("zone")),
            (json!("manager-042"), json!("harriet"), json!("harriet"))
        );
    }
    same(&incident, &manager.get(&path).await.expect(200), &harriet.get(&path).await.expect(200));
}
