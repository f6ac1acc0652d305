//! Bad input and a full disk: a clear answer, nothing lost, and the service as well as before.

use crate::machine::{Disk, has_root};
use aincident_tests::http::{Answer, Client};
use aincident_tests::load::{self, new_id, post_all};
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

/// How long things may take that are tried again now and then.
const PATIENCE: Duration = Duration::from_secs(90);

/// Posts `body` as it is.
async fn raw(client: &Client, body: impl Into<Vec<u8>>, media: &str) -> Answer {
    let request = client.request("POST", "/api/v1/incidents").header("content-type", media);
    client.send(request.body(body.into())).await
}

fn names(problem: &Value, field: &str) -> bool {
    problem["errors"].as_array().is_some_and(|errors| {
        errors.iter().any(|error| {
            error["field"].as_str().is_some_and(|name| name.contains(field)) && error["message"].is_string()
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_requests_get_a_clear_answer_and_harm_nothing() {
    let scratch = Scratch::new("refusals");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let kept = manager.post("/api/v1/incidents", &json!({ "description": "kept" })).await;
    let etag = kept.header("etag").unwrap().to_owned();
    let kept = kept.expect(201);
    let path = format!("/api/v1/incidents/{}", kept["id"].as_str().unwrap());

    // What is not even JSON.
    let deep = "[".repeat(100_000);
    for body in ["", "{", "[1,2", "\u{feff}{}", "nonsense", "{\"description\":\"x\"} trailing", &deep] {
        let _ = raw(&manager, body, "application/json").await.problem(400);
    }
    let _ = raw(&manager, b"{\"description\":\"\xff\xfe\"}".to_vec(), "application/json").await.problem(400);
    for body in ["[]", "\"text\"", "null", "17"] {
        let answer = raw(&manager, body, "application/json").await;
        assert!(answer.status == 400 || answer.status == 422, "{body}: {}", answer.status);
    }
    let _ = raw(&manager, "{\"description\":\"x\"}", "text/plain").await.problem(415);
    let large = json!({ "description": "x", "custom": { "note": "y".repeat(300 * 1024) } });
    let _ = manager.post("/api/v1/incidents", &large).await.problem(413);

    // What is JSON and cannot be taken; the field is named.
    let person = json!({ "name": "x", "roles": ["witness"] });
    let cases = [
        (json!({}), "description"),
        (json!({ "description": "" }), "description"),
        (json!({ "description": "   " }), "description"),
        (json!({ "description": 7 }), "description"),
        (json!({ "description": "x".repeat(20_001) }), "description"),
        (json!({ "description": "x", "colour": "red" }), "colour"),
        (json!({ "description": "x", "people": [{ "name": "x", "religion": "y" }] }), "religion"),
        (json!({ "description": "x", "severity": 0 }), "severity"),
        (json!({ "description": "x", "severity": 6 }), "severity"),
        (json!({ "description": "x", "severity": "high" }), "severity"),
        (json!({ "description": "x", "severity": 2.5 }), "severity"),
        (json!({ "description": "x", "category": "boredom" }), "category"),
        (json!({ "description": "x", "zone": "moon" }), "zone"),
        (json!({ "description": "x", "status": "closed" }), "status"),
        (json!({ "description": "x", "occurred_at": "yesterday" }), "occurred_at"),
        (json!({ "description": "x", "occurred_at": "2026-02-30T10:00:00Z" }), "occurred_at"),
        (
            json!({ "description": "x", "occurred_at": "2026-01-02T10:00:00Z", "occurred_to": "2026-01-01T10:00:00Z" }),
            "occurred_to",
        ),
        (json!({ "description": "x", "tags": (0..21).map(|n| n.to_string()).collect::<Vec<_>>() }), "tags"),
        (json!({ "description": "x", "people": vec![person; 51] }), "people"),
        (json!({ "description": "x", "items": vec![json!({ "description": "y" }); 201] }), "items"),
        (json!({ "description": "x", "loss": { "amount_minor": -1 } }), "loss"),
        (json!({ "description": "x", "loss": { "currency": "dollars" } }), "loss"),
        (json!({ "description": "x", "id": "17" }), "id"),
        (json!({ "description": "x", "version": "17" }), "version"),
        (json!({ "description": "x", "reported_by": "somebody else" }), "reported_by"),
        (json!({ "description": "x", "assigned_to": "nobody-at-all" }), "assigned_to"),
        (json!({ "description": "x", "duplicate_of": new_id() }), "duplicate_of"),
    ];
    for (body, field) in cases {
        let problem = manager.post("/api/v1/incidents", &body).await.problem(422);
        assert!(names(&problem, field), "{field} is not named in {problem}");
    }
    for (patch, field) in [(json!({ "description": null }), "description"), (json!({ "status": "void" }), "reason")] {
        let problem = manager.patch(&path, &patch).await.problem(422);
        assert!(names(&problem, field), "{field} is not named in {problem}");
    }
    for query in [
        "limit=0",
        "limit=201",
        "limit=many",
        "severity_min=9",
        "from=yesterday",
        "status=lost",
        "category=boredom",
    ] {
        let _ = manager.get(&format!("/api/v1/incidents?{query}")).await.problem(422);
    }
    for cursor in ["x", "AAAA", "%00", "eyJhIjoxfQ", &"z".repeat(2000)] {
        let answer = manager.get(&format!("/api/v1/incidents?cursor={cursor}")).await;
        assert!(answer.status == 400 || answer.status == 422, "{cursor}: {}", answer.status);
    }

    // What is not there, not so, or no longer so.
    let _ = manager.get(&format!("/api/v1/incidents/{}", new_id())).await.problem(404);
    assert!((400..500).contains(&manager.get("/api/v1/incidents/seventeen").await.status));
    assert_eq!(manager.get("/api/v1/nothing-here").await.status, 404);
    assert_eq!(manager.send(manager.request("PUT", &path)).await.status, 405);
    let _ = manager.patch(&path, &json!({ "title": "newer" })).await.expect(200);
    let stale = manager.request("PATCH", &path).header("if-match", etag).json(&json!({ "title": "stale" }));
    let _ = manager.send(stale).await.problem(412);

    // All of it harmed nothing.
    assert_eq!(manager.total().await, 1);
    assert_eq!(manager.get("/readyz").await.status, 200);
    assert_eq!(manager.get(&path).await.expect(200)["title"], "newer");
    node.drained(&manager, Duration::from_secs(30)).await;
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_repeated_records_nothing_twice() {
    let scratch = Scratch::new("repeats");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let keyed = async |key: &str, body: &Value| {
        let request = manager.request("POST", "/api/v1/incidents").header("idempotency-key", key);
        manager.send(request.json(body)).await
    };
    let body = json!({ "description": "once" });
    let first = keyed("a", &body).await;
    let (place, id) = (first.header("location").unwrap().to_owned(), first.expect(201)["id"].clone());
    let again = keyed("a", &body).await;
    assert_eq!((again.header("location").unwrap(), &again.expect(201)["id"]), (place.as_str(), &id));
    let _ = manager.patch(&place, &json!({ "title": "edited since" })).await.expect(200);
    assert_eq!(keyed("a", &body).await.expect(201)["id"], id);
    let _ = keyed("a", &json!({ "description": "something else" })).await.problem(409);

    let own = json!({ "id": new_id(), "description": "with an id of its own" });
    for _ in 0..3 {
        assert_eq!(manager.post("/api/v1/incidents", &own).await.expect(201)["id"], own["id"]);
    }
    let _ = manager
        .post("/api/v1/incidents", &json!({ "id": own["id"], "description": "another" }))
        .await
        .problem(409);
    // Thirty-two at once are one, too.
    let body = json!({ "id": new_id(), "description": "all at once" });
    let posts = (0..32).map(|_| manager.post("/api/v1/incidents", &body));
    for answer in futures::future::join_all(posts).await {
        assert_eq!(answer.expect(201)["id"], body["id"]);
    }
    assert_eq!(manager.total().await, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_disk_that_fills_up_takes_no_photos_first_and_reports_to_the_last_and_loses_nothing() {
    if !has_root("the full disk").await {
        return;
    }
    let scratch = Scratch::new("full");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut disk = Disk::memory(&scratch, 64).await;
    let mut node = Node::over(disk.path().join("node"), &scratch, &hub, "042", "node").await;
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    let mut rng = Rng::announced("full disk");
    let bodies = (0..20).map(|_| load::incident(&mut rng, 5)).collect();
    let mut acknowledged = post_all(std::slice::from_ref(&manager), bodies).await;
    let illustrated = acknowledged.keys().next().unwrap().clone();
    let before = add_photo(&manager, &illustrated, "before.jpg", noisy_jpeg(&mut rng, 120, 90)).await;
    assert_eq!(before.status, 201);
    let room = async || manager.get("/api/v1/sync").await.expect(200)["disk"].clone();
    let whole = room().await;
    assert_eq!(whole["state"], "plenty", "{whole}");
    let reserve_bytes = whole["reserve_bytes"].as_u64().unwrap();
    assert!(reserve_bytes > 3_000_000 && reserve_bytes <= (64 << 20) / 20, "{whole}");
    // Photos and their pictures are at headquarters: what follows is about the disk alone.
    wait_until("nothing to wait for headquarters", PATIENCE, async || {
        let sync = manager.get("/api/v1/sync").await.expect(200);
        sync["pending_changes"] == 0 && sync["pending_blobs"] == 0 && sync["disk"]["state"] == "plenty"
    })
    .await;

    // Below the floor: no photos, in none of the ways in which they come; reports as ever.
    let filler = disk.path().join("filler");
    let now = room().await;
    let left = now["floor_bytes"].as_u64().unwrap() * 3 / 4;
    let taken = now["free_bytes"].as_u64().unwrap() - left;
    std::fs::write(&filler, vec![7; taken as usize]).unwrap();
    wait_until("the node to say that there is little room", PATIENCE, async || room().await["state"] == "low").await;
    let photo = noisy_jpeg(&mut rng, 100, 75);
    let refused = add_photo(&manager, &illustrated, "after.jpg", photo.clone()).await.problem(507);
    assert!(refused["type"].as_str().unwrap().ends_with(":disk-low"), "{refused}");
    assert!(refused["detail"].as_str().unwrap().contains("reports still are"), "{refused}");
    let upload = manager.request("POST", "/api/v1/uploads").header("tus-resumable", "1.0.0");
    let upload = upload.header("upload-length", photo.len());
    let _ = manager.send(upload).await.problem(507);
    for _ in 0..5 {
        let body = load::incident(&mut rng, 5);
        let _ = manager.post("/api/v1/incidents", &body).await.expect(201);
        acknowledged.insert(body["id"].as_str().unwrap().to_owned(), body);
    }
    let ready = manager.get("/readyz").await.expect(200);
    assert!(ready["notes"]["disk"].as_str().unwrap().contains("photos"), "{ready}");
    assert!(node.status().await["disk"]["state"] == "low");
    let harriet = hub.harriet().await;
    wait_until("headquarters to hear of it", PATIENCE, async || {
        let nodes = harriet.get("/api/v1/nodes").await.expect(200);
        nodes["items"][0]["alarms"].as_array().unwrap().contains(&json!({ "alarm": "disk", "number": 1 }))
    })
    .await;

    // Not a block left, and none comes back: reports are written in what is kept for them.
    let fill = || {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(&filler).unwrap();
        while std::io::Write::write_all(&mut file, &[7; 4096]).is_ok() {}
    };
    for _ in 0..36 {
        fill();
        let body = load::incident(&mut rng, 5);
        let _ = manager.post("/api/v1/incidents", &body).await.expect(201);
        acknowledged.insert(body["id"].as_str().unwrap().to_owned(), body);
    }
    assert_eq!(room().await["state"], "reserve");
    let mut refused = 0;
    for _ in 0..5000 {
        fill();
        let body = load::incident(&mut rng, 5);
        let answer = manager.post("/api/v1/incidents", &body).await;
        match answer.status {
            201 => drop(acknowledged.insert(body["id"].as_str().unwrap().to_owned(), body)),
            503 | 507 => {
                let _ = answer.problem(answer.status);
                refused += 1;
            }
            _ => drop(answer.expect(507)),
        }
        if refused >= 10 {
            break;
        }
    }
    assert!(refused >= 10, "the disk was never full");
    // Reading goes on, and the process lives.
    assert_eq!(manager.get("/healthz").await.status, 200);
    assert!(manager.total().await >= acknowledged.len() as u64);

    std::fs::remove_file(&filler).unwrap();
    wait_until("the node to take reports again", PATIENCE, async || {
        let body = load::incident(&mut rng, 5);
        let taken = manager.post("/api/v1/incidents", &body).await.status == 201;
        if taken {
            acknowledged.insert(body["id"].as_str().unwrap().to_owned(), body);
        }
        taken
    })
    .await;
    wait_until("the reserve to be whole again", PATIENCE, async || {
        let now = room().await;
        now["state"] == "plenty" && now["reserve_bytes"] == reserve_bytes
    })
    .await;
    assert_eq!(add_photo(&manager, &illustrated, "after.jpg", photo).await.status, 201);
    wait_until("both photos to be at headquarters, with their pictures", PATIENCE, async || {
        let sync = manager.get("/api/v1/sync").await.expect(200);
        let path = format!("/api/v1/incidents/{illustrated}");
        let (here, there) = (manager.get(&path).await.expect(200), harriet.get(&path).await.expect(200));
        let are_made = here["photos"].as_array().unwrap().iter().all(|photo| photo["state"] == "ready");
        let number = here["photos"].as_array().unwrap().len();
        sync["pending_changes"] == 0
            && sync["pending_blobs"] == 0
            && are_made
            && number == 2
            && here["version"] == there["version"]
    })
    .await;
    aincident_tests::agree::store_and_headquarters("042", &manager, &harriet, &acknowledged, &[]).await;
    hub.audit().await;
    node.stop().await;
    disk.unmount().await;
}
