//! A person's data is erased at every site, the one that was offline included, and no file of any data folder holds it afterwards.

use aincident_tests::http::Client;
use aincident_tests::hub::PASSWORD;
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
/// In no other text of these tests, so that it can be looked for in raw files.
const NAME: &str = "Zebulon Quartermain";
const CONTACT: &str = "quartermain.z@example.test";

/// Files below `folder` that hold `bytes`.
fn holding(folder: &Path, bytes: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    // A running site removes files meanwhile: one that is gone holds nothing.
    let Some(entries) = there(std::fs::read_dir(folder)) else {
        return found;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(holding(&path, bytes));
        } else if there(std::fs::read(&path)).unwrap_or_default().windows(bytes.len()).any(|window| window == bytes) {
            found.push(path.display().to_string());
        }
    }
    found
}

fn there<T>(result: std::io::Result<T>) -> Option<T> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        result => Some(result.unwrap()),
    }
}

fn assert_nowhere(folder: &Path, photo: &[u8]) {
    for text in [NAME, CONTACT, &NAME.to_lowercase(), "quartermain", "Quartermain"] {
        assert_eq!(holding(folder, text.as_bytes()), Vec::<String>::new(), "{text}");
    }
    // Some of the middle of the picture; its beginning is like that of others.
    assert_eq!(holding(folder, &photo[photo.len() / 2..photo.len() / 2 + 64]), Vec::<String>::new(), "the photo");
}

async fn audit(site: &Hub) -> Value {
    let text = site.run(&["audit", "verify", "--json"]).await.ok("audit verify");
    serde_json::from_str(&text).unwrap()
}

async fn order(hub: &Client) -> Value {
    hub.get("/api/v1/erasures").await.expect(200)["items"][0].clone()
}

fn state_of<'a>(order: &'a Value, name: &str) -> &'a str {
    let site = order["sites"].as_array().unwrap().iter().find(|site| site["node_id"] == name);
    site.unwrap_or_else(|| panic!("no {name} in {order}"))["state"].as_str().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_and_a_photo_are_in_no_file_of_any_site_once_every_site_has_confirmed() {
    let mut rng = Rng::announced("erasure");
    let scratch = Scratch::new("erasure");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut one = Node::enrolled(&scratch, &hub, "042").await;
    let mut two = Node::new(&scratch, &hub, "042", "second").await;
    two.enroll(&hub.node_code("042").await).await.ok("enroll");
    two.start().await;
    let (mia, kim, harriet) = (one.manager().await, two.manager().await, hub.harriet().await);
    let body = json!({
        "description": "left without paying", "category": "theft", "severity": 4,
        "people": [{"name": NAME, "contact": CONTACT, "statement": "Quartermain was never there", "roles": ["suspect"]}],
    });
    let made = mia.post("/api/v1/incidents", &body).await.expect(201);
    let path = format!("/api/v1/incidents/{}", made["id"].as_str().unwrap());
    let person = made["people"][0]["id"].clone();
    let photo = noisy_jpeg(&mut rng, 600, 400);
    let _ = add_photo(&mia, made["id"].as_str().unwrap(), "quartermain.jpg", photo.clone()).await.expect(201);
    let edit = json!({"people": [{"id": person, "name": NAME, "vehicle": "Quartermain's van", "roles": ["suspect"]}]});
    let _ = mia.patch(&path, &edit).await.expect(200);
    wait_until("everything at headquarters and at the second node", PATIENCE, async || {
        let here = kim.get(&path).await;
        let there = harriet.get(&path).await;
        here.status == 200
            && here.json()["people"][0]["vehicle"].is_string()
            && there.status == 200
            && there.json()["photos"][0]["at_hub"] == "verified"
            && there.json()["photos"][0]["state"] == "ready"
    })
    .await;
    // Everything that may keep it is made to: lists, searches, counts, reports, exports.
    for client in [&mia, &kim, &harriet] {
        for asked in ["incidents?q=quartermain", "incidents?person=Quarter", "stats", "incidents/export?format=json"] {
            let _ = client.get(&format!("/api/v1/{asked}")).await.expect(200);
        }
        let _ = client.get(&format!("{path}/report.pdf")).await.expect(200);
    }
    assert_ne!(
        holding(one.folder(), NAME.as_bytes()),
        Vec::<String>::new(),
        "the search through raw files finds it before"
    );
    let ids: Vec<Value> =
        [one.status().await, two.status().await].iter().map(|status| status["node_id"].clone()).collect();
    let (one_id, two_id) = (ids[0].as_str().unwrap(), ids[1].as_str().unwrap());

    // A hold blocks it.
    let _ = harriet.post(&format!("{path}/hold"), &json!({"reason": "case 17"})).await.expect(200);
    let request = json!({"incident_id": made["id"], "person_id": person, "all_photos": true, "reason": "asked for it"});
    let refused = harriet.post("/api/v1/erasures", &request).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("harriet holds"), "{refused}");
    let _ = harriet.post(&format!("{path}/release"), &json!({})).await.expect(200);

    // The second node is off when it is ordered, and somebody has edited there without knowing.
    two.link().go_down();
    let late = json!({"people": [{"id": person, "name": NAME, "contact": "late quartermain", "roles": ["suspect"]}]});
    let _ = kim.patch(&path, &late).await.expect(200);
    two.stop().await;
    let _ = harriet.post("/api/v1/erasures", &request).await.expect(201);
    wait_until("headquarters and the first node to confirm", PATIENCE, async || {
        let order = order(&harriet).await;
        order["sites"][0]["state"] == "confirmed" && state_of(&order, one_id) == "confirmed"
    })
    .await;
    let pending = order(&harriet).await;
    assert_eq!((state_of(&pending, two_id), &pending["complete"]), ("pending", &json!(false)));
    assert_nowhere(hub.folder(), &photo);
    assert_nowhere(one.folder(), &photo);

    two.link().heal();
    two.start().await;
    let kim = kim.at(two.url());
    wait_until("the second node to confirm", PATIENCE, async || order(&harriet).await["complete"] == true).await;
    wait_until("both to show the same", PATIENCE, async || {
        let (here, there, at_two) = (
            mia.get(&path).await.expect(200),
            harriet.get(&path).await.expect(200),
            kim.get(&path).await.expect(200),
        );
        here["version"] == there["version"] && at_two["version"] == there["version"]
    })
    .await;
    for client in [&mia, &kim, &harriet] {
        let shown = client.get(&path).await.expect(200);
        assert_eq!(shown["people"], json!([{"id": person, "roles": ["suspect"]}]));
        assert_eq!(
            (&shown["photos"], &shown["category"], &shown["severity"]),
            (&json!([]), &json!("theft"), &json!(4))
        );
        let found = client.get("/api/v1/incidents?q=quartermain").await.expect(200);
        assert_eq!(found["items"], json!([]));
        let stats = client.get("/api/v1/stats").await.expect(200);
        assert_eq!(stats["by_category"], json!([{"category": "theft", "count": 1}]));
    }
    // As they stand, and after everybody has gone home.
    for folder in [hub.folder(), one.folder(), two.folder()] {
        assert_nowhere(folder, &photo);
    }
    let audit = audit(&hub).await;
    assert!(audit["erased"].as_u64().unwrap() >= 4 && audit["faults"] == json!([]), "{audit}");
    one.stop().await;
    two.stop().await;
    hub.stop().await;
    for folder in [hub.folder(), one.folder(), two.folder()] {
        assert_nowhere(folder, &photo);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_comes_back_from_a_backup_erases_again_and_a_revoked_one_stays_pending_by_name() {
    let scratch = Scratch::new("erasure-restored");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let (mia, harriet) = (node.manager().await, hub.harriet().await);
    let body = json!({"description": "x", "people": [{"name": NAME, "contact": CONTACT}]});
    let made = mia.post("/api/v1/incidents", &body).await.expect(201);
    node.drained(&mia, PATIENCE).await;
    let backup = scratch.join("backup.tar");
    node.run(&["backup", "--to", backup.to_str().unwrap()]).await.ok("backup");
    let id = made["id"].as_str().unwrap();
    let person = made["people"][0]["id"].as_str().unwrap();
    let said = hub
        .run(&["erase", "--incident", id, "--person", person, "--reason", "asked for it"])
        .await
        .ok("erase");
    assert!(said.starts_with("ordered "), "{said}");
    wait_until("the node to confirm", PATIENCE, async || order(&harriet).await["complete"] == true).await;
    node.stop().await;
    node.run(&["restore", "--from", backup.to_str().unwrap(), "--replace"]).await.ok("restore");
    node.start().await;
    let mia = mia.at(node.url());
    wait_until("the name to be gone again", PATIENCE, async || {
        let shown = mia.get(&format!("/api/v1/incidents/{id}")).await;
        shown.status == 200 && shown.json()["people"][0]["name"].is_null()
    })
    .await;
    wait_until("the node to confirm anew", PATIENCE, async || {
        let order = order(&harriet).await;
        order["complete"] == true
    })
    .await;
    let listed = hub.run(&["erasures"]).await.ok("erasures");
    assert!(listed.contains("confirmed") && !listed.contains("pending"), "{listed}");

    // A backup that was made after it had confirmed: headquarters cannot know, and is told again.
    let confirmed_at = order(&harriet).await["sites"][1]["confirmed_at"].clone();
    let backup = scratch.join("later.tar");
    node.run(&["backup", "--to", backup.to_str().unwrap()]).await.ok("backup");
    // A start takes another secret, and what comes down was asked for with it.
    node.stop().await;
    node.start().await;
    let mia = mia.at(node.url());
    let path = format!("/api/v1/incidents/{id}");
    let _ = harriet.post(&format!("{path}/comments"), &json!({"body": "seen"})).await.expect(201);
    wait_until("the comment to come down", PATIENCE, async || mia.get(&path).await.json()["comment_count"] == 1).await;
    node.stop().await;
    node.run(&["restore", "--from", backup.to_str().unwrap(), "--replace"]).await.ok("restore");
    node.start().await;
    let mia = mia.at(node.url());
    wait_until("the node to confirm once more", PATIENCE, async || {
        let order = order(&harriet).await;
        order["complete"] == true && order["sites"][1]["confirmed_at"] != confirmed_at
    })
    .await;

    // One that may not call any more cannot confirm, and is named.
    hub.user_add("bea", "admin", None, PASSWORD).await;
    let bea = hub.login("bea", PASSWORD).await;
    let body = json!({"description": "y", "people": [{"name": NAME}]});
    let made = mia.post("/api/v1/incidents", &body).await.expect(201);
    node.drained(&mia, PATIENCE).await;
    let node_id = node.status().await["node_id"].clone();
    let _ = bea.delete(&format!("/api/v1/nodes/{}", node_id.as_str().unwrap())).await.expect(204);
    let request = json!({"incident_id": made["id"], "person_id": made["people"][0]["id"], "reason": "asked for it"});
    let _ = bea.post("/api/v1/erasures", &request).await.expect(201);
    wait_until("headquarters to confirm", PATIENCE, async || order(&bea).await["sites"][0]["state"] == "confirmed")
        .await;
    let order = order(&bea).await;
    assert_eq!(
        (state_of(&order, node_id.as_str().unwrap()), &order["sites"][1]["revoked"]),
        ("pending", &json!(true))
    );
    let _ = audit(&hub).await;
}
