//! Who may do what, from where: codes that work once, nodes that are revoked, other people's stores.

use aincident_tests::hub::PASSWORD;
use aincident_tests::old::OldNode;
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::wait::wait_until;
use aincident_tests::{Hub, Node, Rng, Scratch};
use serde_json::{Value, json};
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enrolment_code_works_once_and_a_second_enrolment_has_to_be_wanted() {
    let scratch = Scratch::new("codes");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let first = Node::new(&scratch, &hub, "042", "first").await;
    let second = Node::new(&scratch, &hub, "042", "second").await;
    let code = hub.node_code("042").await;
    first.enroll("AAAA-BBBB-CCCC").await.refused(1, "a code that never was");
    first.enroll(&code).await.ok("enroll");
    second.enroll(&code).await.refused(1, "a code for the second time");
    let line = first.enroll(&hub.node_code("042").await).await.refused(1, "a second enrolment");
    assert!(line.contains("--replace"), "{line}");
    hub.run(&["node", "code", "--store", "999"]).await.refused(1, "a code for no store");
    let ran = first.run(&["enroll", "--hub", "http://127.0.0.1:1", "--code", "x", "--replace"]).await;
    ran.refused(1, "a hub that is not there");
    // A failed replacement leaves the enrolment as it was.
    assert_eq!(first.status().await["store_code"], "042");
    // Nothing serves that folder: it says so, and a look is no contact.
    let contact = async || {
        let listed: Value = serde_json::from_str(&hub.run(&["node", "list", "--json"]).await.ok("node list")).unwrap();
        listed["items"][0]["last_contact_at"].clone()
    };
    let before = contact().await;
    let state = first.status().await["state"].as_str().unwrap().to_owned();
    assert!(state.starts_with("no program serves this folder"), "{state}");
    assert_eq!(contact().await, before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_of_another_store_is_not_used_up_on_a_folder_that_holds_records() {
    let scratch = Scratch::new("other-store");
    let hub = Hub::with_stores(&scratch, &["042", "117"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "here" })).await.expect(201);
    node.drained(&manager, Duration::from_secs(30)).await;
    node.stop().await;
    let code = hub.node_code("117").await;
    let words = ["enroll", "--hub", node.link().url(), "--code", &code, "--replace"];
    let line = node.run(&words).await.refused(1, "another store's code");
    assert!(line.contains("not of store 042"), "{line}");
    assert_eq!(node.status().await["store_code"], "042");
    assert_eq!(hub.run(&["node", "list"]).await.ok("node list").matches("117").count(), 0, "nobody has that node");
    let fresh = Node::new(&scratch, &hub, "117", "fresh").await;
    fresh.enroll(&code).await.ok("the code is still good");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_node_sends_nothing_more_and_keeps_what_it_records() {
    let scratch = Scratch::new("revoked");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "before" })).await.expect(201);
    node.drained(&manager, Duration::from_secs(30)).await;

    let id = node.status().await["node_id"].as_str().unwrap().to_owned();
    assert!(hub.run(&["node", "list"]).await.ok("node list").contains(&id));
    hub.run(&["node", "revoke", &id]).await.ok("node revoke");
    let _ = manager.post("/api/v1/incidents", &json!({ "description": "after" })).await.expect(201);
    wait_until("the node to hear that it is revoked", Duration::from_secs(30), async || {
        let status = node.status().await.to_string();
        status.contains("revoked")
    })
    .await;
    assert_eq!(harriet.total().await, 1);
    assert_eq!(manager.total().await, 2);
    let pending = manager.get("/api/v1/sync").await.expect(200)["pending_changes"].as_u64().unwrap();
    assert!(pending >= 1);
    hub.run(&["node", "revoke", "00000000-0000-7000-8000-000000000000"])
        .await
        .refused(1, "no such node");
    hub.audit().await;

    // A person drains it: with a code of its store it is let in again, and what it kept goes along.
    node.stop().await;
    let code = hub.node_code("042").await;
    let words = ["enroll", "--hub", node.link().url(), "--code", &code, "--replace"];
    node.run(&words).await.ok("enroll --replace");
    node.start().await;
    let manager = node.manager().await;
    node.drained(&manager, Duration::from_secs(30)).await;
    assert_eq!((harriet.total().await, manager.total().await), (2, 2));
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_digest_opens_nothing_to_a_node_of_another_store() {
    let mut rng = Rng::announced("probing");
    let scratch = Scratch::new("probing");
    let hub = Hub::with_stores(&scratch, &["042", "117"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let made = manager.post("/api/v1/incidents", &json!({ "description": "with a photo" })).await.expect(201);
    let photo = noisy_jpeg(&mut rng, 320, 240);
    let added = add_photo(&manager, made["id"].as_str().unwrap(), "a.jpg", photo.clone()).await.expect(201);
    let sha256 = added["items"][0]["sha256"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    wait_until("the photo at headquarters", Duration::from_secs(30), async || {
        harriet.get(&path).await.json()["photos"][0]["at_hub"] == "verified"
    })
    .await;

    let mut own = OldNode::enrol(hub.url(), &hub.node_code("042").await).await;
    let mut other = OldNode::enrol(hub.url(), &hub.node_code("117").await).await;
    for (old, state, status) in [(&mut own, "here", 200), (&mut other, "unknown", 404)] {
        old.hello().await;
        let (answered, told) = old
            .call("/sync/v1/blobs/have", "application/json", json!({ "sha256": [sha256] }).to_string().into())
            .await;
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((answered, told["items"][0]["state"].as_str()), (200, Some(state)), "{told}");
        let (answered, bytes) = old.get(&format!("/sync/v1/blobs/{sha256}")).await;
        assert!(answered == status && (bytes == photo) == (status == 200), "{answered}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_role_does_what_it_may_and_no_store_sees_another_one() {
    let scratch = Scratch::new("roles");
    let hub = Hub::with_stores(&scratch, &["042", "117"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, employee, harriet) = (node.manager().await, node.employee().await, hub.harriet().await);
    let made = employee.post("/api/v1/incidents", &json!({ "description": "mine" })).await.expect(201);
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    wait_until("the incident at headquarters", Duration::from_secs(30), async || {
        harriet.get(&path).await.status == 200
    })
    .await;

    // An employee edits the own report until it is in review, and never closes, deletes or exports.
    let _ = employee.patch(&path, &json!({ "title": "my title" })).await.expect(200);
    let _ = employee.patch(&path, &json!({ "status": "closed" })).await.problem(403);
    let _ = employee.patch(&path, &json!({ "assigned_to": "manager-042" })).await.problem(403);
    let _ = employee.delete(&path).await.problem(403);
    let _ = employee.get("/api/v1/incidents?deleted=true").await.problem(403);
    let _ = manager.patch(&path, &json!({ "status": "in_review" })).await.expect(200);
    let _ = employee.patch(&path, &json!({ "title": "too late" })).await.problem(403);

    // Another store's people do not learn that it exists, at the hub neither.
    let stranger = hub.login("manager-117", PASSWORD).await;
    for answer in [
        stranger.get(&path).await,
        stranger.get(&format!("{path}/history")).await,
        stranger.patch(&path, &json!({ "title": "x" })).await,
        stranger.delete(&path).await,
        stranger.post(&format!("{path}/comments"), &json!({ "body": "x" })).await,
    ] {
        let _ = answer.problem(404);
    }
    assert_eq!(stranger.total().await, 0);
    assert!(stranger.list("store=042").await.is_empty());
    let _ = stranger
        .post("/api/v1/incidents", &json!({ "description": "x", "store_code": "042" }))
        .await
        .problem(422);
    // And do not get into the other store's machine; headquarters' people do not either.
    for username in ["manager-117", "harriet", "ada"] {
        let body = json!({ "username": username, "password": PASSWORD });
        let _ = node.client().post("/api/v1/login", &body).await.problem(401);
    }
    // Only headquarters' administrators administer.
    for client in [&harriet, &stranger] {
        let _ = client.post("/api/v1/stores", &json!({ "code": "555", "name": "Pirate" })).await.problem(403);
    }
    // Nothing without a login, nothing with a made-up one.
    for path in [path.as_str(), "/api/v1/incidents", "/api/v1/me", "/api/v1/stats", "/api/v1/users", "/api/v1/sync"] {
        let _ = node.client().get(path).await.problem(401);
        let forged = node.client().request("GET", path).bearer_auth("forged");
        let _ = node.client().send(forged).await.problem(401);
    }
    for path in ["/sync/v1/hello", "/sync/v1/push", "/sync/v1/pull"] {
        let answer = hub.client().post(path, &json!({})).await;
        assert!((400..500).contains(&answer.status), "{path}: {}", answer.status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_passwords_becomes_slow_and_the_right_one_is_not_told_apart() {
    let scratch = Scratch::new("guessing");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    for username in ["employee-042", "nobody-at-all"] {
        let guess = json!({ "username": username, "password": "guess" });
        for _ in 0..5 {
            let _ = node.client().post("/api/v1/login", &guess).await.problem(401);
        }
        let slow = node.client().post("/api/v1/login", &guess).await;
        let _ = slow.problem(429);
        assert!(slow.header("retry-after").and_then(|text| text.parse::<u64>().ok()).is_some_and(|s| s > 0));
    }
    // The others are not locked out with it.
    let _ = node.manager().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_login_survives_a_restart_and_ends_with_a_logout() {
    let scratch = Scratch::new("sessions");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    node.stop().await;
    node.start().await;
    let manager = manager.at(node.url());
    let _ = manager.get("/api/v1/me").await.expect(200);
    assert_eq!(manager.post("/api/v1/logout", &json!(null)).await.status, 204);
    let _ = manager.get("/api/v1/me").await.problem(401);
}
