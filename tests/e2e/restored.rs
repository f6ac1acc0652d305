//! A node whose folder came back from a backup, and one that was copied: each is found out, nothing that anybody recorded is lost,
//! and nobody in the store has to do anything about it.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::http::Client;
use aincident_tests::load::Promised;
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

async fn record(client: &Client, text: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": text })).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_restored_from_a_backup_records_at_once_and_gets_back_what_it_lost() {
    let scratch = Scratch::new("restored");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let mut all = vec![record(&manager, "before the backup").await];
    node.drained(&manager, PATIENCE).await;
    node.stop().await;
    copy(node.folder(), &scratch.join("backup"));

    // Days go by: new secrets, new incidents, an edit at headquarters.
    node.start().await;
    let manager = manager.at(node.url());
    for n in 0..5 {
        all.push(record(&manager, &format!("after the backup {n}")).await);
    }
    node.drained(&manager, PATIENCE).await;
    let harriet = hub.harriet().await;
    let path = format!("/api/v1/incidents/{}", all[0]);
    let _ = harriet.patch(&path, &json!({ "title": "seen at headquarters" })).await.expect(200);
    node.stop().await;

    // The disk dies. What is restored is old; the hub is away, and the store records at once.
    std::fs::remove_dir_all(node.folder()).unwrap();
    copy(&scratch.join("backup"), node.folder());
    hub.stop().await;
    node.start().await;
    let manager = manager.at(node.url());
    for n in 0..3 {
        all.push(record(&manager, &format!("after the restore {n}")).await);
    }
    let _ = manager.patch(&path, &json!({ "location": "aisle 4" })).await.expect(200);
    hub.start().await;
    node.follow(&hub);
    let harriet = harriet.at(hub.url());
    wait_until("the node to have everything back and sent", PATIENCE, async || {
        let sync = manager.get("/api/v1/sync").await.expect(200);
        sync["pending_changes"] == 0 && manager.total().await == 9 && harriet.total().await == 9
    })
    .await;
    wait_until("both edits at both sites", PATIENCE, async || {
        let (here, there) = (manager.get(&path).await.expect(200), harriet.get(&path).await.expect(200));
        here["title"] == "seen at headquarters" && there["location"] == "aisle 4" && here["version"] == there["version"]
    })
    .await;
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    for id in &all {
        let _ = harriet.get(&format!("/api/v1/incidents/{id}")).await.expect(200);
    }
    // Said in words, on both sides.
    let sync = manager.get("/api/v1/sync").await.expect(200);
    assert!(sync["notice"].as_str().is_some_and(|notice| notice.contains("restored")), "{sync}");
    assert!(sync["last_error"].is_null(), "{sync}");
    let admin = hub.login("bea", &administrator(&hub).await).await;
    let fleet = admin.get("/api/v1/nodes").await.expect(200);
    assert!(fleet["items"][0]["restored_at"].is_string(), "{fleet}");
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_put_back_by_itself_forgets_no_photo_whose_file_is_still_there() {
    let mut rng = Rng::announced("files");
    let scratch = Scratch::new("files");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    // The original stays in the store until somebody asks for it.
    node.env("AINCIDENT_NODE_PHOTOS_ORIGINALS", "on-demand");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let id = record(&manager, "before").await;
    node.drained(&manager, PATIENCE).await;
    node.stop().await;
    let (database, kept) = (node.folder().join("ledger.sqlite"), scratch.join("kept.sqlite"));
    std::fs::copy(&database, &kept).unwrap();

    node.start().await;
    let manager = node.manager().await;
    let photo = noisy_jpeg(&mut rng, 640, 480);
    let added = add_photo(&manager, &id, "a.jpg", photo.clone()).await.expect(201);
    let path = format!("/api/v1/photos/{}", added["items"][0]["id"].as_str().unwrap());
    let (thumbnail, original) = (format!("{path}/thumbnail"), format!("{path}/original"));
    wait_until("its small picture at headquarters", PATIENCE, async || harriet.get(&thumbnail).await.status == 200)
        .await;
    assert_ne!(harriet.get(&original).await.status, 200);
    node.stop().await;
    for log in ["ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let _ = std::fs::remove_file(node.folder().join(log));
    }
    std::fs::copy(&kept, &database).unwrap();

    node.start().await;
    let manager = node.manager().await;
    wait_until("the photo in the store again", PATIENCE, async || manager.get(&path).await.status == 200).await;
    wait_until("the original at headquarters", PATIENCE, async || harriet.get(&original).await.status == 200).await;
    assert!(harriet.get(&original).await.body == photo && manager.get(&original).await.body == photo);
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
}

async fn administrator(hub: &Hub) -> String {
    let password = "a password for a test";
    hub.user_add("bea", "admin", None, password).await;
    password.to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_of_a_disk_is_refused_and_told_so_and_what_it_recorded_goes_along_when_it_is_enrolled() {
    let scratch = Scratch::new("copied");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let manager = node.manager().await;
    let _ = record(&manager, "at the first PC").await;
    node.drained(&manager, PATIENCE).await;
    node.stop().await;
    copy(node.folder(), &scratch.join("copy"));
    node.start().await;
    let manager = manager.at(node.url());
    wait_until("the first PC to sync again", PATIENCE, async || node.status().await["hub_reachable"] == true).await;
    let _ = record(&manager, "at the first PC again").await;
    node.drained(&manager, PATIENCE).await;

    let mut second = Node::over(scratch.join("copy"), &scratch, &hub, "042", "copy").await;
    second.start().await;
    let there = manager.at(second.url());
    let only_there = record(&there, "at the second PC").await;
    wait_until("the copy to be told that it is one", PATIENCE, async || {
        let sync = there.get("/api/v1/sync").await.expect(200);
        sync["last_error"].as_str().is_some_and(|error| error.contains("copy"))
    })
    .await;
    assert_eq!(hub.harriet().await.total().await, 2, "nothing came under an identity used twice");
    let sync = manager.get("/api/v1/sync").await.expect(200);
    assert!(sync["last_error"].is_null(), "the first PC does not notice: {sync}");

    // One that was copied while the PC served holds the secret in use, and is told the same.
    copy(node.folder(), &scratch.join("live"));
    let mut live = Node::over(scratch.join("live"), &scratch, &hub, "042", "live").await;
    live.start().await;
    let elsewhere = manager.at(live.url());
    wait_until("the copy of a PC that serves to be told that it is one", PATIENCE, async || {
        let sync = elsewhere.get("/api/v1/sync").await.expect(200);
        sync["last_error"].as_str().is_some_and(|error| error.contains("copy"))
    })
    .await;
    // However often it asks.
    let _ = record(&manager, "at the first PC, beside its copies").await;
    node.drained(&manager, PATIENCE).await;

    // A person makes it a node of its own; what only it recorded goes along.
    let code = hub.node_code("042").await;
    second
        .run(&["enroll", "--hub", second.link().url(), "--code", &code, "--replace"])
        .await
        .ok("enroll");
    let harriet = hub.harriet().await;
    wait_until("its report at headquarters and at the first PC", PATIENCE, async || {
        let path = format!("/api/v1/incidents/{only_there}");
        harriet.get(&path).await.status == 200 && manager.get(&path).await.status == 200 && there.total().await == 4
    })
    .await;
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    store_and_headquarters("042", &there, &harriet, &Promised::default(), &[]).await;
    let sync = manager.get("/api/v1/sync").await.expect(200);
    assert!(sync["last_error"].is_null(), "the first PC does not notice: {sync}");
    live.stop().await;
    hub.audit().await;
}
