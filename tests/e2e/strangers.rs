//! Something else answers where the hub was: a hub that was wiped, another hub, a network's login page; and a database that lies
//! in another node's folder. The store works on, nothing is sent to a stranger, everybody can read why, and nothing is lost.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::http::Client;
use aincident_tests::load::Promised;
use aincident_tests::{Hub, Node, Scratch, wait_until};
use axum::Router;
use axum::response::Html;
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;

const PATIENCE: Duration = Duration::from_secs(90);

async fn record(client: &Client, text: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": text })).await.expect(201);
    format!("/api/v1/incidents/{}", made["id"].as_str().unwrap())
}

fn site_value(folder: &Path, name: &str) -> String {
    let db = rusqlite::Connection::open(folder.join("ledger.sqlite")).unwrap();
    db.query_row("SELECT value FROM site WHERE name = ?1", [name], |row| row.get(0)).unwrap()
}

/// Waits until the node says `words`, in its API, its command and its log.
async fn says(node: &Node, client: &Client, words: &str) -> Value {
    wait_until(&format!("the node to say {words:?}"), PATIENCE, async || {
        let sync = client.get("/api/v1/sync").await.expect(200);
        sync["last_error"].as_str().is_some_and(|error| error.contains(words))
    })
    .await;
    // The command reads what the program keeps in its ledger, once a second at most.
    wait_until(&format!("status to say {words:?}"), PATIENCE, async || {
        node.status().await["last_error"].as_str().is_some_and(|error| error.contains(words))
    })
    .await;
    assert!(node.daemon().log_tail(500).contains(words), "the log does not say {words:?}");
    client.get("/api/v1/sync").await.expect(200)
}

/// Waits until the hub's list of those it refused names the node for `code`.
async fn refused(hub: &Hub, client: &Client, node_id: &Value, code: &str) -> Value {
    wait_until(&format!("{code} in the hub's list"), PATIENCE, async || {
        let list = client.get("/api/v1/nodes/refused").await.expect(200);
        list["items"]
            .as_array()
            .unwrap()
            .iter()
            .any(|row| row["node_id"] == *node_id && row["code"] == code)
    })
    .await;
    let text = hub.run(&["node", "refused", "--json"]).await.ok("node refused");
    let list: Value = serde_json::from_str(&text).unwrap();
    let row = list["items"]
        .as_array()
        .unwrap()
        .iter()
        .find(|row| row["node_id"] == *node_id && row["code"] == code);
    let table = hub.run(&["node", "refused"]).await.ok("node refused");
    assert!(table.contains(code), "{table}");
    row.unwrap().clone()
}

async fn a_store(scratch: &Scratch, hub: &Hub) -> (Node, Client) {
    let mut node = Node::new(scratch, hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    (node, manager)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wiped_hub_gets_nothing_until_somebody_enrols_the_node_there() {
    let scratch = Scratch::new("wiped");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let (mut node, manager) = a_store(&scratch, &hub).await;
    let before = record(&manager, "before").await;
    node.drained(&manager, PATIENCE).await;
    let (own, epoch) = (site_value(node.folder(), "enrolment"), site_value(hub.folder(), "epoch"));
    hub.stop().await;
    let aside = scratch.join("aside");
    std::fs::rename(hub.folder(), &aside).unwrap();

    // The same address, the same people, and no memory.
    drop(hub);
    let mut wiped = Hub::with_stores(&scratch, &["042"]).await;
    node.follow(&wiped);
    let during = record(&manager, "while it was wiped").await;
    let sync = says(&node, &manager, "does not know this node").await;
    assert!(sync["pending_changes"].as_u64().is_some_and(|n| n > 0) && sync["hub_reachable"] == false, "{sync}");
    assert!(sync["last_error"].as_str().unwrap().contains("nothing is sent to it"), "{sync}");
    let harriet = wiped.harriet().await;
    assert_eq!(harriet.total().await, 0);
    let row = refused(&wiped, &harriet, &sync["node_id"], "unknown-node").await;
    assert!(row["count"].as_u64().is_some_and(|n| n > 0) && row["proven"] == false, "{row}");
    assert!(row["reason"].as_str().is_some_and(|why| why.contains("no such node was enrolled")), "{row}");
    assert!(row["agent"].as_str().is_some_and(|agent| agent.starts_with("aincident-node/")), "{row}");
    assert!(row["last_at"].is_string() && row["store_code"].is_null(), "{row}");
    assert_eq!(site_value(node.folder(), "enrolment"), own, "it adopted the other hub");
    assert_eq!(manager.total().await, 2);
    assert_eq!(manager.at(wiped.url()).get("/api/v1/nodes/refused").await.status, 401);

    // The old folder comes back: as if nothing had been.
    wiped.stop().await;
    std::fs::remove_dir_all(wiped.folder()).unwrap();
    std::fs::rename(&aside, wiped.folder()).unwrap();
    wiped.start().await;
    node.follow(&wiped);
    node.drained(&manager, PATIENCE).await;
    let harriet = wiped.harriet().await;
    for path in [&before, &during] {
        let _ = harriet.get(path).await.expect(200);
    }
    assert_eq!(site_value(wiped.folder(), "epoch"), epoch, "nothing was restored");

    // Or it does not, and somebody decides: the store goes to the new hub with what that one never saw.
    wiped.stop().await;
    std::fs::remove_dir_all(wiped.folder()).unwrap();
    drop(wiped);
    let fresh = Hub::with_stores(&scratch, &["042"]).await;
    node.follow(&fresh);
    let after = record(&manager, "before it was enrolled there").await;
    node.stop().await;
    let code = fresh.node_code("042").await;
    node.run(&["enroll", "--hub", node.link().url(), "--code", &code, "--replace"])
        .await
        .ok("enroll --replace");
    node.start().await;
    let manager = node.manager().await;
    node.drained(&manager, PATIENCE).await;
    let _ = fresh.harriet().await.get(&after).await.expect(200);
    fresh.audit().await;
}

/// Makes the hub, which does not run, another one.
fn rename(hub: &Hub, hub_id: &str) {
    let db = rusqlite::Connection::open(hub.folder().join("ledger.sqlite")).unwrap();
    db.execute("UPDATE site SET value = ?1 WHERE name = 'hub_id'", [hub_id]).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_hub_at_the_same_address_stops_the_node_and_is_never_adopted() {
    let scratch = Scratch::new("exchanged");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let (mut node, manager) = a_store(&scratch, &hub).await;
    record(&manager, "before").await;
    node.drained(&manager, PATIENCE).await;
    hub.stop().await;
    // It knows the node's secret, as a copy of headquarters made for a trial would, and is another one.
    let hub_id = site_value(hub.folder(), "hub_id");
    rename(&hub, "019aa2b3-c000-7000-8000-0000000000f7");
    hub.start().await;
    node.follow(&hub);
    let during = record(&manager, "meanwhile").await;
    let sync = says(&node, &manager, "another hub answers at this address").await;
    assert!(sync["state"].as_str().is_some_and(|state| state.starts_with("held up")), "{sync}");
    assert!(sync["pending_changes"].as_u64().is_some_and(|n| n > 0), "{sync}");
    let harriet = hub.harriet().await;
    assert_eq!(harriet.total().await, 1);
    let row = refused(&hub, &harriet, &sync["node_id"], "wrong-hub").await;
    assert_eq!((row["proven"].as_bool(), row["store_code"].as_str()), (Some(true), Some("042")), "{row}");
    // A restart does not change its mind.
    node.stop().await;
    node.start().await;
    let manager = manager.at(node.url());
    says(&node, &manager, "another hub answers at this address").await;
    assert_eq!(harriet.total().await, 1);

    hub.stop().await;
    rename(&hub, &hub_id);
    hub.start().await;
    node.follow(&hub);
    node.stop().await;
    node.start().await;
    let manager = manager.at(node.url());
    node.drained(&manager, PATIENCE).await;
    let _ = hub.harriet().await.get(&during).await.expect(200);
}

/// Answers 200 and a page to whatever is asked, as hotels do.
async fn portal() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let router = Router::new().fallback(async || Html("<html><title>Welcome</title>Accept our terms to go on</html>"));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_captive_portal_that_says_200_to_everything_is_not_believed() {
    let scratch = Scratch::new("portal");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let (node, manager) = a_store(&scratch, &hub).await;
    record(&manager, "before").await;
    node.drained(&manager, PATIENCE).await;
    node.link().lead_to(portal().await);
    node.link().cut();
    let during = record(&manager, "behind the portal").await;
    let sync = says(&node, &manager, "login page").await;
    assert!(sync["hub_reachable"] == false && sync["pending_changes"].as_u64().is_some_and(|n| n > 0), "{sync}");
    assert!(sync["state"].as_str().is_some_and(|state| state.contains("cannot be reached")), "{sync}");
    let late = Node::new(&scratch, &hub, "042", "late").await;
    late.link().lead_to(portal().await);
    let code = hub.node_code("042").await;
    let line = late.enroll(&code).await.refused(1, "a portal");
    assert!(line.contains("login page"), "{line}");
    late.follow(&hub);
    late.enroll(&code).await.ok("the code is still good");
    node.follow(&hub);
    node.link().cut();
    node.drained(&manager, PATIENCE).await;
    let _ = hub.harriet().await.get(&during).await.expect(200);
    assert_eq!(manager.get("/api/v1/sync").await.expect(200)["last_error"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn databases_that_changed_places_between_two_nodes_are_found_out_and_nothing_is_lost() {
    let scratch = Scratch::new("swapped");
    let mut hub = Hub::with_stores(&scratch, &["042", "117"]).await;
    let mut nodes = Vec::new();
    for store in ["042", "117"] {
        let mut node = Node::new(&scratch, &hub, store, &format!("node-{store}")).await;
        node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
        node.enroll(&hub.node_code(store).await).await.ok("enroll");
        node.start().await;
        nodes.push(node);
    }
    let mut paths = Vec::new();
    for node in &nodes {
        let manager = node.manager().await;
        paths.push((node.store().to_owned(), record(&manager, "sent").await));
        node.drained(&manager, PATIENCE).await;
    }
    hub.stop().await;
    for node in &nodes {
        paths.push((node.store().to_owned(), record(&node.manager().await, "not sent yet").await));
    }
    for node in &mut nodes {
        node.stop().await;
    }
    // Somebody copies the wrong file back.
    for file in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
        let places = [nodes[0].folder().join(file), nodes[1].folder().join(file)];
        let aside = scratch.join(file);
        let there = places.each_ref().map(|place| place.exists());
        for (from, to) in [(&places[0], &aside), (&places[1], &places[0]), (&aside, &places[1])] {
            if from.exists() {
                std::fs::rename(from, to).unwrap();
            }
        }
        assert!(there[0] == there[1] || file != "ledger.sqlite");
    }
    hub.start().await;
    for node in &mut nodes {
        node.start().await;
        node.follow(&hub);
    }
    let harriet = hub.harriet().await;
    // Each folder is now the other store's; its people log in there.
    for (node, store) in nodes.iter().zip(["117", "042"]) {
        let manager = node.login(&format!("manager-{store}"), aincident_tests::hub::PASSWORD).await;
        let _ = record(&manager, "since").await;
        node.drained(&manager, PATIENCE).await;
        let sync = manager.get("/api/v1/sync").await.expect(200);
        assert_eq!(sync["store_code"], store);
        assert!(sync["notice"].as_str().is_some_and(|notice| notice.contains("exchanged")), "{sync}");
        assert!(node.daemon().log_tail(500).contains("exchanged"), "the log does not say it");
        wait_until("both sites to agree", PATIENCE, async || {
            manager.total().await == 3 && harriet.list(&format!("store={store}")).await.len() == 3
        })
        .await;
        store_and_headquarters(store, &manager, &harriet, &Promised::default(), &[]).await;
    }
    for (store, path) in &paths {
        assert_eq!(harriet.get(path).await.expect(200)["store_code"], store.as_str());
    }
    hub.audit().await;
}
