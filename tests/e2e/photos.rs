//! Photos cross a bad line whole: small ones first, no byte twice, and back down where they are asked for.

use aincident_tests::http::Client;
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::wait::let_run;
use aincident_tests::{Hub, Node, Rng, Scratch, Weather, tell, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

async fn incident(client: &Client, text: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": text })).await.expect(201);
    made["id"].as_str().unwrap().to_owned()
}

async fn photos_of(client: &Client, incident: &str) -> Vec<Value> {
    let answer = client.get(&format!("/api/v1/incidents/{incident}")).await;
    answer.json()["photos"].as_array().cloned().unwrap_or_default()
}

fn path(photo: &Value, variant: &str) -> String {
    format!("/api/v1/photos/{}/{variant}", photo["id"].as_str().unwrap())
}

async fn all_verified(client: &Client, incidents: &[String]) -> bool {
    for incident in incidents {
        let photos = photos_of(client, incident).await;
        if photos.is_empty() || photos.iter().any(|photo| photo["at_hub"] != "verified") {
            return false;
        }
    }
    true
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn photos_arrive_whole_over_a_line_that_is_cut_and_through_crashes_and_no_byte_goes_twice() {
    let mut rng = Rng::announced("photos");
    let scratch = Scratch::new("photos");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "200");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    hub.stop().await;
    let kim = node.employee().await;
    let mut incidents = Vec::new();
    let mut originals = Vec::new();
    for n in 0..5 {
        let id = incident(&kim, &format!("photo {n}")).await;
        let bytes = noisy_jpeg(&mut rng, 2000, 1500);
        let added = add_photo(&kim, &id, "a.jpg", bytes.clone()).await.expect(201);
        assert_eq!(added["items"][0]["at_hub"], "waiting");
        incidents.push(id);
        originals.push(bytes);
    }
    wait_until("thumbnails at the node", PATIENCE, async || {
        let sync = kim.get("/api/v1/sync").await.expect(200);
        sync["pending_blobs"] == 15
    })
    .await;
    let total = kim.get("/api/v1/sync").await.expect(200)["pending_blob_bytes"].as_u64().unwrap();

    hub.start().await;
    node.follow(&hub);
    node.link().set(Weather { kbps: 20_000, latency: Duration::from_millis(1), ..Weather::default() });
    let harriet = hub.harriet().await;
    wait_until("a thumbnail at headquarters", PATIENCE, async || {
        let photos = photos_of(&harriet, &incidents[0]).await;
        match photos.first() {
            Some(photo) => harriet.get(&path(photo, "thumbnail")).await.status == 200,
            None => false,
        }
    })
    .await;
    // Its original is not there yet, and headquarters says so.
    let waiting = harriet.get(&path(&photos_of(&harriet, &incidents[4]).await[0], "original")).await;
    let before = node.link().traffic().up;
    for _ in 0..10 {
        let_run(Duration::from_millis(rng.between(100, 300))).await;
        node.link().cut();
    }
    wait_until("all photos at headquarters", PATIENCE, async || all_verified(&harriet, &incidents).await).await;
    wait_until("the node to know it", PATIENCE, async || all_verified(&kim, &incidents).await).await;
    let up = node.link().traffic().up;
    tell(&format!(
        "photos: {total} bytes of contents took {up} bytes up, {:.1} % more, ten cuts included ({before} before the first)",
        (up as f64 / total as f64 - 1.0) * 100.0
    ));
    assert!(waiting.status == 202 || before > total / 2, "{}", waiting.status);
    assert!((up as f64) < total as f64 * 1.05, "{up} bytes for {total}");
    for (id, bytes) in incidents.iter().zip(&originals) {
        let photo = &photos_of(&harriet, id).await[0];
        assert!(harriet.get(&path(photo, "original")).await.body == *bytes);
        let (here, there) = (kim.get(&path(photo, "display")).await, harriet.get(&path(photo, "display")).await);
        assert!(here.status == 200 && here.body == there.body);
    }

    // Killed in the middle, one and the other.
    let id = incident(&kim, "killed").await;
    let bytes = noisy_jpeg(&mut rng, 4000, 3000);
    node.link().set(Weather { kbps: 3_000, latency: Duration::from_millis(5), ..Weather::default() });
    let kept = node.link().traffic().up;
    let _ = add_photo(&kim, &id, "b.jpg", bytes.clone()).await.expect(201);
    let mut kim = kim;
    for round in 0..4 {
        // Some hundred kilobytes later it is in the middle of it again.
        let enough = node.link().traffic().up + rng.between(400_000, 900_000);
        wait_until("the photo to move", PATIENCE, async || node.link().traffic().up >= enough).await;
        if round % 2 == 0 {
            node.kill();
            node.start().await;
            kim = kim.at(node.url());
        } else {
            hub.kill();
            hub.start().await;
            node.follow(&hub);
        }
    }
    let harriet = harriet.at(hub.url());
    wait_until("the photo at headquarters", PATIENCE, async || {
        all_verified(&harriet, std::slice::from_ref(&id)).await && all_verified(&kim, std::slice::from_ref(&id)).await
    })
    .await;
    wait_until("what is shown of it", PATIENCE, async || {
        let photo = &photos_of(&harriet, &id).await[0];
        let display = harriet.get(&path(photo, "display")).await;
        display.status == 200 && harriet.get(&path(photo, "thumbnail")).await.status == 200
    })
    .await;
    let photo = &photos_of(&harriet, &id).await[0];
    assert!(harriet.get(&path(photo, "original")).await.body == bytes);
    let up = node.link().traffic().up - kept;
    let mut whole = bytes.len() as u64;
    for variant in ["display", "thumbnail"] {
        whole += harriet.get(&path(photo, variant)).await.body.len() as u64;
    }
    let more = (up as f64 / whole as f64 - 1.0) * 100.0;
    tell(&format!(
        "photos: {whole} bytes of contents took {up} bytes up, {more:.1} % more, four kills included"
    ));
    assert!(more < 5.0, "{up} bytes for {whole}");
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_photo_of_headquarters_and_those_of_a_replaced_node_come_down() {
    let mut rng = Rng::announced("photos-down");
    let scratch = Scratch::new("photos-down");
    let hub = Hub::with_stores(&scratch, &["042", "117"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let id = incident(&manager, "a broken door").await;
    let store_photo = noisy_jpeg(&mut rng, 800, 600);
    let _ = add_photo(&manager, &id, "door.jpg", store_photo.clone()).await.expect(201);
    wait_until("the incident at headquarters", PATIENCE, async || {
        all_verified(&harriet, std::slice::from_ref(&id)).await
    })
    .await;
    let hub_photo = noisy_jpeg(&mut rng, 900, 600);
    let _ = add_photo(&harriet, &id, "camera.jpg", hub_photo.clone()).await.expect(201);
    wait_until("its thumbnail at the store", PATIENCE, async || {
        let photos = photos_of(&manager, &id).await;
        photos.len() == 2 && manager.get(&path(&photos[1], "thumbnail")).await.status == 200
    })
    .await;
    // The original comes when somebody asks.
    let photo = photos_of(&manager, &id).await[1].clone();
    let first = manager.get(&path(&photo, "original")).await;
    assert!(first.status == 202 && first.header("retry-after").is_some(), "{}", first.status);
    wait_until("the original at the store", PATIENCE, async || {
        let answer = manager.get(&path(&photo, "original")).await;
        answer.status == 200 && answer.body == hub_photo
    })
    .await;

    // New hardware: pictures come back by themselves.
    let mut second = Node::new(&scratch, &hub, "042", "second").await;
    second.enroll(&hub.node_code("042").await).await.ok("enroll");
    second.start().await;
    let manager = second.manager().await;
    wait_until("both thumbnails at the new node", PATIENCE, async || {
        let photos = photos_of(&manager, &id).await;
        let mut here = photos.len() == 2;
        for photo in &photos {
            here &= manager.get(&path(photo, "thumbnail")).await.status == 200;
            here &= manager.get(&path(photo, "display")).await.status == 200;
        }
        here
    })
    .await;
    wait_until("the first original at the new node", PATIENCE, async || {
        let photos = photos_of(&manager, &id).await;
        let answer = manager.get(&path(&photos[0], "original")).await;
        answer.status == 200 && answer.body == store_photo
    })
    .await;

    // Another store's node has no business with them, whatever digest it names.
    let other = Node::enrolled(&scratch, &hub, "117").await;
    let manager = other.manager().await;
    assert_eq!(manager.get(&path(&photo, "thumbnail")).await.status, 404);
    drop(node);
}
