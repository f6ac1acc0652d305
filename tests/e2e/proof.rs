//! Store and headquarters can tell whether they hold the same; what a disk does to either side's files is found, named, and healed
//! from the other side.

use aincident_tests::agree::same;
use aincident_tests::http::Client;
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::process::Ran;
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);

async fn pair(scratch: &Scratch) -> (Hub, Node) {
    pair_with(scratch, "false").await
}

async fn pair_with(scratch: &Scratch, scrub_paused: &str) -> (Hub, Node) {
    let mut hub = Hub::with_stores(scratch, &["042"]).await;
    hub.stop().await;
    hub.env("AINCIDENT_HUB_SCRUB_INTERVAL_S", "1");
    hub.env("AINCIDENT_HUB_SCRUB_KIB_S", "1048576");
    hub.env("AINCIDENT_HUB_SCRUB_PAUSED", scrub_paused);
    hub.start().await;
    let mut node = Node::new(scratch, &hub, "042", "node").await;
    for (name, value) in [
        ("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250"),
        ("AINCIDENT_NODE_VERIFY_INTERVAL_S", "1"),
        ("AINCIDENT_NODE_SCRUB_INTERVAL_S", "1"),
        ("AINCIDENT_NODE_SCRUB_KIB_S", "1048576"),
        ("AINCIDENT_NODE_SCRUB_PAUSED", scrub_paused),
    ] {
        node.env(name, value);
    }
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    (hub, node)
}

async fn report(client: &Client, description: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": description })).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

fn at(id: &str) -> String {
    format!("/api/v1/incidents/{id}")
}

/// Some work on both sides; answers the incident that all of it is about.
async fn work(manager: &Client, harriet: &Client) -> String {
    let id = report(manager, "a ladder fell").await;
    for n in 0..10 {
        report(manager, &format!("number {n}")).await;
    }
    let _ = manager.patch(&at(&id), &json!({ "zone": "stockroom" })).await.expect(200);
    let _ = manager.post(&format!("{}/comments", at(&id)), &json!({ "body": "nobody hurt" })).await.expect(201);
    wait_until("the report at headquarters", PATIENCE, async || {
        harriet.get(&at(&id)).await.json()["comments"].as_array().is_some_and(|all| all.len() == 1)
    })
    .await;
    let _ = harriet.patch(&at(&id), &json!({ "title": "a ladder" })).await.expect(200);
    wait_until("headquarters' edit at the store", PATIENCE, async || {
        manager.get(&at(&id)).await.json()["title"] == "a ladder"
    })
    .await;
    id
}

async fn verified(site: &impl std::ops::Deref<Target = aincident_tests::site::Site>) -> Value {
    wait_until(&format!("verify at {} to say equal", site.name()), PATIENCE, async || {
        site.run(&["verify"]).await.code == Some(0)
    })
    .await;
    let text = site.run(&["verify", "--json"]).await.stdout;
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn json_of(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}", ran.stdout))
}

/// What a failing disk does to the closed file.
fn rot(folder: &Path, sql: &str) {
    let db = Connection::open(folder.join("ledger.sqlite")).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "it has to hit something: {sql}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_work_both_sides_verify_equal_and_say_so_wherever_they_are_asked() {
    let scratch = Scratch::new("proof-equal");
    let (mut hub, node) = pair(&scratch).await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    work(&manager, &harriet).await;
    let here = verified(&node).await;
    assert_eq!(here["state"], "equal", "{here}");
    let records =
        here["scopes"].as_array().unwrap().iter().find(|one| one["scope"] == "store/042").unwrap()["records"].clone();
    // The hub tells of the node's last question, which may be from before the last change.
    wait_until("both to tell of as many records", PATIENCE, async || {
        let there = verified(&hub).await;
        there["scopes"]
            .as_array()
            .unwrap()
            .iter()
            .any(|one| one["scope"] == "store/042" && one["records"] == records)
    })
    .await;
    hub.run(&["verify", "--store", "042"]).await.ok("verify of one store");
    hub.run(&["verify", "--store", "999"]).await.refused(1, "verify of a store that is not there");
    wait_until("the store to say so", PATIENCE, async || {
        let sync = manager.get("/api/v1/sync").await.expect(200);
        sync["proof"]["state"] == "equal" && sync["proof"]["equal_at"].is_string()
    })
    .await;
    assert_eq!(node.status().await["proof"]["damaged"], 0);
    wait_until("the fleet list to say so", PATIENCE, async || {
        let fleet = harriet.get("/api/v1/nodes").await.expect(200);
        fleet["items"][0]["proof"]["state"] == "equal"
    })
    .await;

    hub.stop().await;
    let line = node.run(&["verify"]).await.refused(1, "verify without headquarters");
    assert!(line.contains("headquarters cannot be asked"), "{line}");
    report(&manager, "not at headquarters yet").await;
    hub.run(&["verify"]).await.ok("the hub's verify while it does not serve");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_that_were_altered_are_found_located_and_healed_on_both_sides() {
    let scratch = Scratch::new("proof-rows");
    let (mut hub, mut node) = pair(&scratch).await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let id = work(&manager, &harriet).await;
    verified(&node).await;
    let before = manager.get(&at(&id)).await.expect(200);

    for sql in [
        "UPDATE records SET state = replace(state, 'stockroom', 'office')",
        "UPDATE documents SET doc = replace(doc, 'ladder fell', 'letter fell')",
        "UPDATE changes SET body = replace(body, 'stockroom', 'somewhere')",
        "DELETE FROM changes WHERE body LIKE '%a ladder\"%'",
        "DELETE FROM changes WHERE body LIKE '%nobody hurt%'",
    ] {
        node.stop().await;
        rot(node.folder(), sql);
        let ran = node.run(&["verify", "--json"]).await;
        assert_eq!(ran.code, Some(1), "{sql}: {}{}", ran.stdout, ran.stderr);
        let told = json_of(&ran);
        assert_eq!(told["state"], "different", "{sql}: {told}");
        if sql.contains("records") {
            assert!(ran.stdout.contains(&id), "{sql}: it names the record: {told}");
        } else {
            assert!(!told["faults"].as_array().unwrap().is_empty(), "{sql}: {told}");
        }
        let mended = node.status().await["proof"]["mended"].as_u64().unwrap();
        node.start().await;
        wait_until("it to be mended", PATIENCE, async || {
            let proof = node.status().await["proof"].clone();
            proof["mended"].as_u64().unwrap() > mended && proof["damaged"] == 0
        })
        .await;
        verified(&node).await;
        let log = node.daemon().log_tail(400);
        assert!(log.contains("whole again") || log.contains("fetched from headquarters"), "{sql}: {log}");
        same(
            &id,
            &manager.at(node.url()).get(&at(&id)).await.expect(200),
            &harriet.get(&at(&id)).await.expect(200),
        );
    }
    let manager = manager.at(node.url());
    assert_eq!(manager.get(&at(&id)).await.expect(200)["version"], before["version"]);
    let doctor = node.run(&["doctor"]).await.ok("doctor");
    assert!(doctor.contains("whole again"), "{doctor}");

    for sql in [
        "UPDATE records SET state = replace(state, 'stockroom', 'office')",
        "UPDATE changes SET body = replace(body, 'stockroom', 'somewhere')",
        "DELETE FROM changes WHERE body LIKE '%ladder fell%'",
        "DELETE FROM changes WHERE body LIKE '%a ladder\"%'",
    ] {
        hub.stop().await;
        rot(hub.folder(), sql);
        let line = hub.run(&["verify"]).await.refused(1, sql);
        assert!(line.contains("different"), "{sql}: {line}");
        hub.start().await;
        node.follow(&hub);
        wait_until("the hub to be whole again", PATIENCE, async || hub.run(&["audit", "verify"]).await.code == Some(0))
            .await;
        verified(&hub).await;
        verified(&node).await;
    }
    let harriet = harriet.at(hub.url());
    same(&id, &manager.get(&at(&id)).await.expect(200), &harriet.get(&at(&id)).await.expect(200));
    let doctor = hub.run(&["doctor"]).await.ok("doctor");
    assert!(doctor.contains("whole again"), "{doctor}");
}

/// Where a content of a site is.
fn content(site: &aincident_tests::site::Site, sha256: &str) -> PathBuf {
    site.folder().join("blobs").join(&sha256[..2]).join(sha256)
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let at = bytes.len() / 2;
    bytes[at] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// The contents of a photo as a closed ledger names them: thumbnail, display image, original.
fn contents_of(folder: &Path) -> Vec<String> {
    let db = Connection::open(folder.join("ledger.sqlite")).unwrap();
    let mut statement = db.prepare("SELECT sha256 FROM pieces ORDER BY lane").unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flipped_byte_in_a_photo_is_found_by_the_scrub_and_healed_from_the_other_side() {
    let mut rng = Rng::announced("proof-photos");
    let scratch = Scratch::new("proof-photos");
    let (hub, node) = pair(&scratch).await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let id = report(&manager, "a broken door").await;
    let bytes = noisy_jpeg(&mut rng, 900, 600);
    let _ = add_photo(&manager, &id, "door.jpg", bytes.clone()).await.expect(201);
    wait_until("the photo at headquarters", PATIENCE, async || {
        manager.get(&at(&id)).await.json()["photos"][0]["at_hub"] == "verified"
            && manager.get(&at(&id)).await.json()["photos"][0]["state"] == "ready"
    })
    .await;
    let photo = manager.get(&at(&id)).await.json()["photos"][0]["id"].as_str().unwrap().to_owned();
    let contents = contents_of(node.folder());
    assert_eq!(contents.len(), 3);
    wait_until("all three at headquarters", PATIENCE, async || {
        contents.iter().all(|sha256| content(&hub, sha256).exists())
    })
    .await;

    for sha256 in &contents {
        for (name, folder) in [("node", node.folder()), ("hub", hub.folder())] {
            let path = folder.join("blobs").join(&sha256[..2]).join(sha256);
            let right = std::fs::read(&path).unwrap();
            flip(&path);
            wait_until(&format!("{sha256} to be whole again at the {name}"), PATIENCE, async || {
                std::fs::read(&path).is_ok_and(|now| now == right)
            })
            .await;
            let aside = std::fs::read_dir(folder.join("blobs").join("damaged")).unwrap();
            let aside: Vec<String> = aside.map(|one| one.unwrap().file_name().to_string_lossy().into_owned()).collect();
            assert!(
                aside.iter().any(|one| one.starts_with(sha256.as_str())),
                "{name}: what was there is kept: {aside:?}"
            );
        }
    }
    for client in [&manager, &harriet] {
        let answer = client.get(&format!("/api/v1/photos/{photo}/original")).await;
        assert!(answer.status == 200 && answer.body == bytes);
    }
    for site in [&*node, &*hub] {
        wait_until("doctor to find nothing wrong any more", PATIENCE, async || {
            let ran = site.run(&["doctor", "--full"]).await;
            ran.code == Some(0) && ran.stdout.contains("3 things were found damaged and are whole again")
        })
        .await;
    }

    // One that nobody else has is named.
    let path = content(&node, &contents[0]);
    std::fs::remove_file(content(&hub, &contents[0])).unwrap();
    flip(&path);
    wait_until("both to name what they cannot heal", PATIENCE, async || {
        let here = node.run(&["doctor"]).await;
        let there = hub.run(&["doctor"]).await;
        here.code == Some(1)
            && here.stdout.contains(&contents[0])
            && there.code == Some(1)
            && there.stdout.contains(&contents[0])
    })
    .await;
}

/// What a record's row and its document say, in a closed ledger.
fn kept(folder: &Path, id: &str) -> (String, String, String) {
    let db = Connection::open(folder.join("ledger.sqlite")).unwrap();
    let id = id.replace('-', "");
    let sql = format!(
        "SELECT r.state, d.doc, d.version FROM records r JOIN documents d ON d.incident_no = r.record_no WHERE r.record_id = x'{id}'"
    );
    db.query_row(&sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))).unwrap()
}

/// Makes a closed ledger forget a change so well that all its tables are what its other changes say.
fn forget(folder: &Path, id: &str, (state, doc, version): &(String, String, String), change: &str) {
    let db = Connection::open(folder.join("ledger.sqlite")).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    let id = id.replace('-', "");
    let number = format!("(SELECT record_no FROM records WHERE record_id = x'{id}')");
    let forgotten = db.execute(&format!("DELETE FROM changes WHERE body LIKE '{change}'"), []).unwrap();
    assert_eq!(forgotten, 1, "{change}");
    db.execute(&format!("UPDATE documents SET doc = ?1, version = ?2 WHERE incident_no = {number}"), [doc, version])
        .unwrap();
    let sql = format!("UPDATE records SET state = ?1, sum_a = NULL, sum_b = NULL WHERE record_id = x'{id}'");
    db.execute(&sql, [state]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_side_can_see_by_itself_is_found_by_comparing_and_healed_without_any_scrub() {
    let mut rng = Rng::announced("proof-compared");
    let scratch = Scratch::new("proof-compared");
    let (mut hub, mut node) = pair_with(&scratch, "true").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let id = report(&manager, "a ladder fell").await;
    let _ = manager.patch(&at(&id), &json!({ "zone": "stockroom" })).await.expect(200);
    wait_until("the report at headquarters", PATIENCE, async || {
        harriet.get(&at(&id)).await.json()["zone"] == "stockroom"
    })
    .await;
    verified(&node).await;
    node.stop().await;
    let before = kept(node.folder(), &id);
    node.start().await;
    let manager = manager.at(node.url());
    let _ = harriet.patch(&at(&id), &json!({ "title": "a ladder" })).await.expect(200);
    wait_until("headquarters' edit at the store", PATIENCE, async || {
        manager.get(&at(&id)).await.json()["title"] == "a ladder"
    })
    .await;
    verified(&node).await;

    // The store forgets headquarters' edit.
    node.stop().await;
    let whole = kept(node.folder(), &id);
    forget(node.folder(), &id, &before, "%\"title\":\"a ladder\"%");
    let told = json_of(&node.run(&["verify", "--json"]).await);
    assert_eq!(told["state"], "different", "{told}");
    assert!(told["scopes"].to_string().contains(&id), "it names the record: {told}");
    node.start().await;
    let manager = manager.at(node.url());
    wait_until("headquarters' edit to be back", PATIENCE, async || {
        manager.get(&at(&id)).await.json()["title"] == "a ladder"
    })
    .await;
    verified(&node).await;
    assert!(node.status().await["proof"]["mended"].as_u64().unwrap() > 0);
    node.stop().await;
    assert_eq!(kept(node.folder(), &id), whole, "what was recorded is there again, to the byte");
    node.start().await;
    let manager = manager.at(node.url());

    // And headquarters the store's.
    hub.stop().await;
    let before = kept(hub.folder(), &id);
    hub.start().await;
    node.follow(&hub);
    let harriet = harriet.at(hub.url());
    let _ = manager.patch(&at(&id), &json!({ "location": "aisle 7" })).await.expect(200);
    wait_until("the store's edit at headquarters", PATIENCE, async || {
        harriet.get(&at(&id)).await.json()["location"] == "aisle 7"
    })
    .await;
    verified(&node).await;
    hub.stop().await;
    let whole = kept(hub.folder(), &id);
    forget(hub.folder(), &id, &before, "%aisle 7%");
    hub.start().await;
    node.follow(&hub);
    let harriet = harriet.at(hub.url());
    wait_until("the store's edit to be back at headquarters", PATIENCE, async || {
        harriet.get(&at(&id)).await.json()["location"] == "aisle 7"
    })
    .await;
    hub.audit().await;
    verified(&hub).await;
    verified(&node).await;
    same(&id, &manager.get(&at(&id)).await.expect(200), &harriet.get(&at(&id)).await.expect(200));
    hub.stop().await;
    assert_eq!(kept(hub.folder(), &id), whole, "what was recorded is there again, to the byte");
    hub.start().await;
    node.follow(&hub);
    let status = node.status().await;
    assert!(status["proof"]["scrubbed_at"].is_null(), "the scrub was paused: {status}");

    // A content that is damaged is never shown as it is.
    let bytes = noisy_jpeg(&mut rng, 1600, 1200);
    let _ = add_photo(&manager, &id, "ladder.jpg", bytes.clone()).await.expect(201);
    wait_until("the photo at headquarters", PATIENCE, async || {
        let photo = manager.get(&at(&id)).await.json()["photos"][0].clone();
        photo["at_hub"] == "verified" && photo["state"] == "ready"
    })
    .await;
    let photo = manager.get(&at(&id)).await.json()["photos"][0]["id"].as_str().unwrap().to_owned();
    let contents = contents_of(node.folder());
    wait_until("all of it at headquarters", PATIENCE, async || {
        contents.iter().all(|sha256| content(&hub, sha256).exists())
    })
    .await;
    for (sha256, variant) in contents.iter().zip(["thumbnail", "display", "original"]) {
        let path = format!("/api/v1/photos/{photo}/{variant}");
        let right = std::fs::read(content(&node, sha256)).unwrap();
        flip(&content(&node, sha256));
        wait_until(&format!("the right {variant}, and nothing else"), PATIENCE, async || {
            match manager.try_send(manager.request("GET", &path)).await {
                Ok(answer) if answer.status == 200 => {
                    assert!(answer.body == right, "{variant}: a wrong answer");
                    true
                }
                Ok(answer) => {
                    assert_eq!(answer.status, 202, "{variant}");
                    false
                }
                // Cut off before its end, so nobody takes it for the whole.
                Err(_) => false,
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_content_that_headquarters_has_forgotten_without_knowing_it_is_sent_again() {
    let mut rng = Rng::announced("proof-forgotten");
    let scratch = Scratch::new("proof-forgotten");
    let (mut hub, node) = pair_with(&scratch, "true").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let id = report(&manager, "with a photo").await;
    let photo = noisy_jpeg(&mut rng, 320, 240);
    let added = add_photo(&manager, &id, "a.jpg", photo.clone()).await.expect(201);
    let original = format!("/api/v1/photos/{}/original", added["items"][0]["id"].as_str().unwrap());
    let sha256 = added["items"][0]["sha256"].as_str().unwrap().to_owned();
    let verified = async |client: &Client| client.get(&at(&id)).await.json()["photos"][0]["at_hub"] == "verified";
    wait_until("the photo verified in the store", PATIENCE, async || verified(&manager).await).await;

    // As after a copy of the folder from before the content came: nothing tells of it, not even a record.
    hub.stop().await;
    let db = Connection::open(hub.folder().join("ledger.sqlite")).unwrap();
    db.execute("DELETE FROM blobs WHERE sha256 = ?1", [&sha256]).unwrap();
    db.execute("UPDATE pieces SET at_hub = 0 WHERE sha256 = ?1", [&sha256]).unwrap();
    drop(db);
    std::fs::remove_file(hub.folder().join("blobs").join(&sha256[..2]).join(&sha256)).unwrap();
    hub.start().await;
    node.follow(&hub);
    let harriet = harriet.at(hub.url());
    wait_until("the original at headquarters again", PATIENCE, async || harriet.get(&original).await.status == 200)
        .await;
    assert!(harriet.get(&original).await.body == photo);
    wait_until("the store to know", PATIENCE, async || verified(&manager).await).await;
    hub.audit().await;
}
