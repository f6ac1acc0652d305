//! New hardware for a store: the new PC gets everything, through crashes on the way; the old one, which was away, is emptied.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::http::Client;
use aincident_tests::load::Promised;
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use serde_json::json;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(120);
/// Enough for several pages.
const INCIDENTS: u64 = 400;

async fn record(client: &Client, text: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": text })).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_hardware_gets_everything_though_it_is_killed_on_the_way_and_the_old_pc_is_emptied() {
    let mut rng = Rng::announced("replace");
    let scratch = Scratch::new("replace");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut old = Node::enrolled(&scratch, &hub, "042").await;
    let mia = old.manager().await;
    for n in 0..INCIDENTS {
        let _ = record(&mia, &format!("before {n}")).await;
    }
    old.drained(&mia, PATIENCE).await;
    // The old PC is away, and goes on recording.
    old.link().go_down();
    let mut only_there = Vec::new();
    for n in 0..20 {
        only_there.push(record(&mia, &format!("while it was away {n}")).await);
    }
    let photo = noisy_jpeg(&mut rng, 640, 480);
    let _ = add_photo(&mia, &only_there[0], "a.jpg", photo.clone()).await.expect(201);

    let old_id = old.status().await["node_id"].as_str().unwrap().to_owned();
    let code = hub.run(&["node", "replace", &old_id]).await.ok("node replace");
    let mut new = Node::new(&scratch, &hub, "042", "new-pc").await;
    // Nothing may be lost on the way, whatever happens to it.
    new.enroll(&code).await.ok("enroll");
    for _ in 0..3 {
        new.start().await;
        let _ = new.manager().await.total().await;
        new.kill();
    }
    new.start().await;
    let (kim, harriet) = (new.manager().await, hub.harriet().await);
    wait_until("the new PC to have everything of headquarters", PATIENCE, async || kim.total().await == INCIDENTS)
        .await;
    store_and_headquarters("042", &kim, &harriet, &Promised::default(), &[]).await;
    assert_eq!(
        new.run(&["enroll", "--hub", new.link().url(), "--code", &code]).await.code,
        Some(1),
        "a code is good once"
    );
    let again = hub.run(&["node", "replace", &old_id]).await;
    assert!(again.code == Some(1) && again.stderr.contains("replaced already"), "{again:?}");

    // The old one is back: what it holds goes first, and it is told.
    old.link().heal();
    wait_until("the old PC's reports at headquarters and at the new one", PATIENCE, async || {
        harriet.total().await == INCIDENTS + 20 && kim.total().await == INCIDENTS + 20
    })
    .await;
    wait_until("its photo at headquarters", PATIENCE, async || {
        let shown = harriet.get(&format!("/api/v1/incidents/{}", only_there[0])).await.expect(200);
        shown["photos"][0]["at_hub"] == "verified" && shown["photos"][0]["state"] == "ready"
    })
    .await;
    wait_until("the old PC to say that it was emptied", PATIENCE, async || {
        let sync = mia.get("/api/v1/sync").await.expect(200);
        let said = sync["state"].as_str().unwrap();
        said.contains("was replaced by") && said.contains("records still here were sent") && sync["pending_blobs"] == 0
    })
    .await;
    // There to be read, not to be written.
    assert_eq!(mia.total().await, INCIDENTS + 20);
    let refused = mia.post("/api/v1/incidents", &json!({"description": "too late"})).await.problem(409);
    assert!(refused["detail"].as_str().unwrap().contains("was replaced by"), "{refused}");
    let _ = record(&kim, "at the new PC").await;
    wait_until("the new PC's report at headquarters", PATIENCE, async || harriet.total().await == INCIDENTS + 21).await;
    let _ = harriet
        .post("/api/v1/incidents", &json!({"description": "of headquarters", "store_code": "042"}))
        .await
        .expect(201);
    wait_until("headquarters' report at the new PC", PATIENCE, async || kim.total().await == INCIDENTS + 22).await;
    assert_eq!(mia.total().await, INCIDENTS + 20, "the old one gets nothing more");

    let of_old = async || {
        let fleet = harriet.get("/api/v1/nodes?store=042").await.expect(200);
        fleet["items"]
            .as_array()
            .unwrap()
            .iter()
            .find(|item| item["node_id"] == old_id.as_str())
            .unwrap()
            .clone()
    };
    wait_until("the fleet list to show that it is empty", PATIENCE, async || {
        of_old().await["backlog"]["blobs"] == 0
    })
    .await;
    let item = of_old().await;
    let new_id = new.status().await["node_id"].clone();
    assert!(item["retired_at"].is_string() && item["replaced_by"] == new_id, "{item}");
    // Twenty incidents, the photo and what its picture became.
    // The old one will never be equal again, and that is nobody's trouble.
    wait_until("headquarters to find its stores equal", PATIENCE, async || {
        hub.run(&["verify", "--store", "042"]).await.code == Some(0)
    })
    .await;
    assert!(item["drained_changes"].as_u64().unwrap() >= 21 && item["backlog"]["changes"] == 0, "{item}");
    let listed = hub.run(&["node", "list"]).await.ok("node list");
    assert!(listed.lines().any(|line| line.starts_with(&old_id) && line.contains("replaced")), "{listed}");
    hub.audit().await;

    // It survives a restart without a line, too.
    old.link().go_down();
    old.stop().await;
    old.start().await;
    let mia = mia.at(old.url());
    let sync = mia.get("/api/v1/sync").await.expect(200);
    assert!(sync["replaced"].as_str().is_some_and(|said| said.contains("was replaced by")), "{sync}");
    let _ = mia.post("/api/v1/incidents", &json!({"description": "too late"})).await.problem(409);
}
