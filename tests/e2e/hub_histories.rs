//! Headquarters' folder is replaced by an older one: what it has forgotten comes back from the stores, its own included.

use aincident_tests::agree::same;
use aincident_tests::compare::by_id;
use aincident_tests::http::Client;
use aincident_tests::{Hub, Node, Scratch, tell, wait_until};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};

const DEADLINE: Duration = Duration::from_secs(60);

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

async fn report(client: &Client, description: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": description })).await.expect(201);
    format!("/api/v1/incidents/{}", made["id"].as_str().unwrap())
}

/// Whether `here` shows of the store what `there` does, incident by incident.
async fn agree(here: &Client, there: &Client, store: &str) -> bool {
    let versions = |items: Vec<Value>| -> Vec<(String, String)> {
        by_id(items).into_iter().map(|(id, item)| (id, item["version"].to_string())).collect()
    };
    versions(here.list("").await) == versions(there.list(&format!("store={store}")).await)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hub_put_back_to_an_old_copy_gets_everything_back_from_its_stores() {
    let scratch = Scratch::new("hub-restored");
    let mut hub = Hub::with_stores(&scratch, &["042", "117"]).await;
    let mut first = Node::new(&scratch, &hub, "042", "first").await;
    let mut second = Node::new(&scratch, &hub, "042", "second").await;
    let mut other = Node::new(&scratch, &hub, "117", "other").await;
    for node in [&mut first, &mut second, &mut other] {
        node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
        node.enroll(&hub.node_code(node.store()).await).await.ok("enroll");
        node.start().await;
    }
    let (one, two, three) = (first.manager().await, second.manager().await, other.manager().await);
    let early = report(&one, "before the copy").await;
    for (node, client) in [(&first, &one), (&second, &two), (&other, &three)] {
        node.drained(client, DEADLINE).await;
    }

    hub.stop().await;
    let backup = scratch.join("backup");
    copy(hub.folder(), &backup);
    hub.start().await;
    for node in [&first, &second, &other] {
        node.follow(&hub);
    }

    // Everything below is forgotten: at the stores, at headquarters, and a credential.
    let harriet = hub.harriet().await;
    let mut paths = vec![early.clone()];
    for n in 0..20 {
        paths.push(report(if n % 2 == 0 { &one } else { &two }, &format!("after the copy {n}")).await);
    }
    let elsewhere = report(&three, "in the other store").await;
    for path in paths.iter().chain([&elsewhere]) {
        wait_until("the reports at headquarters", DEADLINE, async || harriet.get(path).await.status == 200).await;
    }
    let _ = harriet.patch(&early, &json!({ "title": "edited at headquarters" })).await.expect(200);
    let _ = harriet.patch(&paths[1], &json!({ "title": "edited there too" })).await.expect(200);
    let said = json!({ "body": "said at headquarters" });
    let _ = harriet.post(&format!("{}/comments", paths[1]), &said).await.expect(201);
    let _ = harriet.post(&format!("{elsewhere}/comments"), &said).await.expect(201);
    first.stop().await;
    first.start().await;
    let one = one.at(first.url());
    for (client, store) in [(&one, "042"), (&two, "042"), (&three, "117")] {
        wait_until("the sites to agree before", DEADLINE, async || agree(client, &harriet, store).await).await;
    }
    wait_until("headquarters' comment at the store", DEADLINE, async || {
        one.get(&paths[1]).await.json()["comments"][0]["body"] == "said at headquarters"
            && three.get(&elsewhere).await.json()["comments"][0]["body"] == "said at headquarters"
    })
    .await;

    hub.stop().await;
    std::fs::remove_dir_all(hub.folder()).unwrap();
    copy(&backup, hub.folder());
    // Recorded while headquarters is away.
    paths.push(report(&one, "in the outage").await);
    hub.start().await;
    let healed = Instant::now();
    for node in [&first, &second, &other] {
        node.follow(&hub);
    }
    let harriet = hub.harriet().await;
    let comments = async |path: &str| harriet.get(path).await.json()["comments"].as_array().map_or(0, Vec::len);
    wait_until("headquarters to have everything back", DEADLINE, async || {
        harriet.total().await == 23
            && harriet.get(&early).await.json()["title"] == "edited at headquarters"
            && harriet.get(&paths[1]).await.json()["title"] == "edited there too"
            && comments(&paths[1]).await == 1
            && comments(&elsewhere).await == 1
    })
    .await;
    for (client, store) in [(&one, "042"), (&two, "042"), (&three, "117")] {
        let left = DEADLINE.saturating_sub(healed.elapsed());
        wait_until("the sites to agree again", left, async || agree(client, &harriet, store).await).await;
    }
    tell(&format!("a restored hub has everything back after {:.1} s", healed.elapsed().as_secs_f64()));
    for path in &paths {
        let (here, also, there) = (one.get(path).await, two.get(path).await, harriet.get(path).await);
        same(path, &here.expect(200), &there.expect(200));
        same(path, &also.expect(200), &there.expect(200));
    }
    hub.audit().await;

    // It never uses numbers again that the stores hold: what is recorded there now arrives.
    let _ = harriet.patch(&early, &json!({ "location": "aisle 7" })).await.expect(200);
    for client in [&one, &two] {
        wait_until("an edit made since", DEADLINE, async || client.get(&early).await.json()["location"] == "aisle 7")
            .await;
    }
    hub.audit().await;
}
