//! Programs of different age at the two ends, both ways round: everything arrives, what one of them does not know passes
//! through byte for byte and is shown once it is upgraded, and both say which one is the older.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::http::Client;
use aincident_tests::hub::PASSWORD;
use aincident_tests::load::{Promised, new_id};
use aincident_tests::old::{OldHub, OldNode};
use aincident_tests::pictures::{add_photo, noisy_jpeg};
use aincident_tests::{Hub, Node, Rng, Scratch, wait_until};
use serde_json::{Value, json};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(90);
/// 2026-11-20T00:00:00Z.
const AT: i64 = 1_795_132_800_000;

async fn fleet(hub: &Hub) -> Value {
    let text = hub.run(&["node", "list", "--json"]).await.ok("node list");
    serde_json::from_str(&text).unwrap()
}

fn of(fleet: &Value, node_id: &str) -> Value {
    fleet["items"].as_array().unwrap().iter().find(|node| node["node_id"] == node_id).unwrap().clone()
}

/// A number out of a folder's database.
fn count(folder: &Path, sql: &str) -> i64 {
    rusqlite::Connection::open(folder.join("ledger.sqlite"))
        .unwrap()
        .query_row(sql, [], |row| row.get(0))
        .unwrap()
}

fn bodies_of(folder: &Path, origin: &str) -> Vec<String> {
    let db = rusqlite::Connection::open(folder.join("ledger.sqlite")).unwrap();
    let origin: String = origin.replace('-', "").to_uppercase();
    let mut statement = db
        .prepare(
            "SELECT c.body FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE hex(o.origin) = ?1 ORDER BY c.seq",
        )
        .unwrap();
    statement.query_map([origin], |row| row.get(0)).unwrap().collect::<Result<_, _>>().unwrap()
}

async fn record(client: &Client, text: &str) -> String {
    let made = client.post("/api/v1/incidents", &json!({ "description": text })).await.expect(201);
    format!("/api/v1/incidents/{}", made["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_version_1_and_todays_hub_lose_nothing_in_either_direction() {
    let scratch = Scratch::new("old-node");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let mut old = OldNode::enrol(hub.url(), &hub.node_code("042").await).await;
    old.hello().await;

    // What it records: a report, a correction, a comment, a kind and members that nobody here knows, and nonsense.
    let (incident, comment, weather) = (new_id(), new_id(), new_id());
    let origin = old.origin.clone();
    let bodies = [
        format!(
            r#"{{"at":{AT},"by":"employee-042","id":"{incident}","kind":"incident","new":true,"set":{{"description":"from an old till","reference":"042-2026-000900-K7","severity":2,"smell":"burnt"}}}}"#
        ),
        format!(
            r#"{{"at":{},"base":{{"severity":"{origin}:1"}},"by":"employee-042","id":"{incident}","kind":"incident","set":{{"severity":4}}}}"#,
            AT + 1
        ),
        format!(
            r#"{{"at":{AT},"by":"employee-042","id":"{comment}","kind":"comment","new":true,"set":{{"body":"said there","incident_id":"{incident}"}}}}"#
        ),
        format!(
            r#"{{ "kind":"weather", "at":{AT},"by":"employee-042","id":"{weather}","mood":[1, 2],"new":true,"set":{{"rain":{{"mm":1e-7}}}} }}"#
        ),
        r#"{"at":"yesterday"}"#.to_owned(),
    ];
    let answer = old.push(&bodies).await;
    let outcomes: Vec<&str> =
        answer["answers"].as_array().unwrap().iter().map(|line| line["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, ["applied", "applied", "applied", "applied", "quarantined"]);
    let again = old.push_from(0, &bodies).await;
    assert_eq!(again["answers"][0]["outcome"], "duplicate", "{again}");

    let path = format!("/api/v1/incidents/{incident}");
    wait_until("the old node's report in the store's other node", PATIENCE, async || {
        manager.get(&path).await.json()["comments"][0]["body"] == "said there"
    })
    .await;
    assert_eq!(harriet.get(&path).await.expect(200)["severity"], 4);
    // Byte for byte, at the hub and behind it.
    assert_eq!(bodies_of(hub.folder(), &origin), bodies);
    wait_until("all of it behind the hub", PATIENCE, async || bodies_of(node.folder(), &origin).len() == 4).await;
    assert_eq!(bodies_of(node.folder(), &origin), bodies[..4]);

    // Down: what others did to it, and what they recorded.
    let _ = harriet.patch(&path, &json!({ "title": "seen at headquarters" })).await.expect(200);
    let theirs = record(&manager, "from a new till").await;
    node.drained(&manager, PATIENCE).await;
    let pulled = old.pull().await;
    let all: Vec<Value> = pulled.iter().map(|line| serde_json::from_str(&line.body).unwrap()).collect();
    assert!(
        all.iter()
            .any(|change| change["id"] == incident && change["set"]["title"] == "seen at headquarters")
    );
    let theirs = theirs.rsplit('/').next().unwrap();
    assert!(all.iter().any(|change| change["id"] == theirs));
    assert!(all.iter().any(|change| change["kind"] == "account"), "it can log its people in");
    assert!(pulled.iter().all(|line| line.origin != origin), "its own were not wanted");

    // Who is older is said, what version 1 does not have is refused, and a branch is kept and listed.
    let listed = fleet(&hub).await;
    let (here, there) = (of(&listed, &old.node_id), of(&listed, node.status().await["node_id"].as_str().unwrap()));
    assert_eq!((here["newest_protocol"].as_u64(), there["newest_protocol"].as_u64()), (Some(1), Some(2)));
    assert!(here["versions"].as_str().is_some_and(|text| text.contains("older than the hub's")), "{here}");
    assert!(there["versions"].is_null(), "{there}");
    let table = hub.run(&["node", "list"]).await.ok("node list");
    assert!(table.contains("older than the hub's"), "{table}");
    let (status, body) = old.call("/sync/v1/offer", "application/json", br#"{"origins":{}}"#.to_vec()).await;
    assert!(status == 426 && String::from_utf8_lossy(&body).contains("protocol-version"));
    let branch = [bodies[0].replace("old till", "copied till")];
    let forked = old.push_from(0, &branch).await;
    assert_eq!((forked["result"].as_str(), forked["agreed_seq"].as_u64()), (Some("fork"), Some(0)));
    let forks = harriet.get("/api/v1/forks").await.expect(200);
    let fork = &forks["items"][0];
    assert_eq!((fork["node_id"].as_str(), fork["store_code"].as_str()), (Some(old.node_id.as_str()), Some("042")));
    assert_eq!((fork["first_seq"].as_u64(), fork["last_seq"].as_u64()), (Some(1), Some(1)));
    assert!(fork["since"].is_string() && fork["origin"] == origin, "{fork}");
    // What is in it is for administrators; that there is one is an alarm.
    let branch_path = format!("/api/v1/forks/{}", fork["no"]);
    assert_eq!(harriet.get(&branch_path).await.status, 403);
    let ada = hub.login("ada", PASSWORD).await;
    let kept = ada.get(&branch_path).await.expect(200);
    let sent: Value = serde_json::from_str(&branch[0]).unwrap();
    assert!(kept["no"] == fork["no"] && kept["changes"] == json!([sent]), "{kept}");
    assert_eq!(ada.get("/api/v1/forks/9999").await.status, 404);
    let forked = of(&fleet(&hub).await, &old.node_id);
    assert!(
        forked["alarms"].as_array().unwrap().contains(&json!({ "alarm": "forked", "number": 1 })),
        "{forked}"
    );
    assert!(harriet.get("/api/v1/forks?store=117").await.expect(200)["items"].as_array().unwrap().is_empty());
    assert_eq!(manager.at(hub.url()).get("/api/v1/forks").await.status, 401);

    // A node of a version to come is answered in ours; one that speaks none of them is refused and listed.
    (old.header, old.protocols) = (3, vec![3, 2]);
    assert_eq!(old.hello().await["protocol"], 2);
    let newer = of(&fleet(&hub).await, &old.node_id);
    assert!(newer["versions"].as_str().is_some_and(|text| text.contains("newer than the hub's")), "{newer}");
    old.protocols = vec![9];
    let request = old.hello_request().to_string().into_bytes();
    assert_eq!(old.call("/sync/v1/hello", "application/json", request).await.0, 426);
    wait_until("the refusal in the list", PATIENCE, async || {
        let refused = harriet.get("/api/v1/nodes/refused").await.expect(200);
        refused["items"].as_array().unwrap().iter().any(|row| {
            row["node_id"] == old.node_id && row["code"] == "protocol-version" && row["agent"] == "old-node/0.0.9"
        })
    })
    .await;
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn todays_node_and_a_hub_of_version_1_lose_nothing_and_an_upgrade_brings_the_rest() {
    let scratch = Scratch::new("old-hub");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let old = OldHub::before(hub.daemon().port()).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.link().lead_to(old.port());
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let up = record(&manager, "from the store").await;
    node.drained(&manager, PATIENCE).await;
    let _ = harriet.patch(&up, &json!({ "title": "from headquarters" })).await.expect(200);
    // By somebody whom the store knows, too.
    let theirs = hub.login("manager-042", PASSWORD).await;
    let down = theirs.post("/api/v1/incidents", &json!({ "description": "there", "store_code": "042" })).await;
    let down = format!("/api/v1/incidents/{}", down.expect(201)["id"].as_str().unwrap());
    wait_until("headquarters' edits in the store", PATIENCE, async || {
        manager.get(&up).await.json()["title"] == "from headquarters" && manager.get(&down).await.status == 200
    })
    .await;
    let photo = noisy_jpeg(&mut Rng::announced("old-hub"), 640, 480);
    let _ = add_photo(&manager, up.rsplit('/').next().unwrap(), "a.jpg", photo).await.expect(201);
    wait_until("the photo at headquarters", PATIENCE, async || {
        let photo = manager.get(&up).await.json()["photos"][0].clone();
        photo["at_hub"] == "verified" && photo["state"] == "ready"
    })
    .await;
    let sync = manager.get("/api/v1/sync").await.expect(200);
    assert_eq!((sync["protocol"].as_u64(), sync["hub_version"].is_null()), (Some(1), true), "{sync}");
    assert!(
        sync["versions"].as_str().is_some_and(|text| text.contains("headquarters' program is older")),
        "{sync}"
    );
    assert!(sync["last_error"].is_null() && sync["hub_reachable"] == true, "{sync}");
    let text = node.run(&["status"]).await.ok("status");
    assert!(text.contains("headquarters' program is older"), "{text}");
    assert_eq!(old.asked("/sync/v1/offer") + old.asked("/sync/v1/give"), 0);
    assert!(old.asked("/sync/v1/push") > 0 && old.asked("/sync/v1/pull") > 0 && old.asked("/sync/v1/blobs/have") > 0);
    let unsealed = "SELECT count(*) FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE o.mine = 0 AND c.seal IS NULL";
    assert!(count(node.folder(), unsealed) > 0, "version 1 sends no seals");

    // A restart beside it changes nothing; recorded while the upgrade is under way.
    node.link().go_down();
    let between = record(&manager, "during the upgrade").await;
    node.link().heal();
    node.follow(&hub);
    node.drained(&manager, PATIENCE).await;
    wait_until("the node to speak version 2", PATIENCE, async || {
        let sync = manager.get("/api/v1/sync").await.expect(200);
        sync["protocol"] == 2 && sync["versions"].is_null() && sync["hub_version"].is_string()
    })
    .await;
    wait_until("everything of others to carry the hub's seal", PATIENCE, async || {
        count(node.folder(), unsealed) == 0
    })
    .await;
    assert_eq!(harriet.get(&between).await.expect(200)["description"], "during the upgrade");
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn programs_without_a_version_in_common_say_so_and_the_store_works_on() {
    let scratch = Scratch::new("apart");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let other = OldHub::before(hub.daemon().port()).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "250");
    node.link().lead_to(other.port());
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let manager = node.manager().await;
    other.grow_apart();
    node.link().cut();
    let kept = record(&manager, "meanwhile").await;
    wait_until("the node to say that no version is in common", PATIENCE, async || {
        let sync = manager.get("/api/v1/sync").await.expect(200);
        sync["versions"].as_str().is_some_and(|text| text.contains("nothing is sent"))
    })
    .await;
    let sync = manager.get("/api/v1/sync").await.expect(200);
    assert!(
        sync["state"].as_str().is_some_and(|state| state.contains("no protocol version in common")),
        "{sync}"
    );
    assert!(sync["pending_changes"].as_u64().is_some_and(|n| n > 0), "{sync}");
    let late = Node::new(&scratch, &hub, "042", "late").await;
    late.link().lead_to(other.port());
    let line = late.enroll(&hub.node_code("042").await).await.refused(1, "no version in common");
    assert!(line.contains("protocol version"), "{line}");
    // The upgrade, and a start: all is well.
    node.follow(&hub);
    node.stop().await;
    node.start().await;
    let manager = manager.at(node.url());
    node.drained(&manager, PATIENCE).await;
    let _ = hub.harriet().await.get(&kept).await.expect(200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_older_program_kept_without_knowing_it_is_shown_after_the_upgrade_at_both_sites() {
    let scratch = Scratch::new("taken-in");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    let path = record(&manager, "with a comment").await;
    let _ = manager.post(&format!("{path}/comments"), &json!({ "body": "said" })).await.expect(201);
    wait_until("the comment at headquarters", PATIENCE, async || {
        harriet.get(&path).await.json()["comments"][0]["body"] == "said"
    })
    .await;
    node.stop().await;
    hub.stop().await;
    // As if both programs had been of a time before there were comments: kept, and in no table.
    for site in [&*hub, &*node] {
        let db = rusqlite::Connection::open(site.folder().join("ledger.sqlite")).unwrap();
        let knows: String = db.query_row("SELECT value FROM site WHERE name = 'knows'", [], |row| row.get(0)).unwrap();
        let mut knows: Value = serde_json::from_str(&knows).unwrap();
        assert!(knows.as_object_mut().unwrap().remove("comment").is_some());
        db.execute("UPDATE site SET value = ?1 WHERE name = 'knows'", [knows.to_string()]).unwrap();
        db.execute_batch("DELETE FROM comments; UPDATE incidents SET comment_count = 0").unwrap();
    }
    hub.start().await;
    node.follow(&hub);
    node.start().await;
    let (manager, harriet) = (manager.at(node.url()), harriet.at(hub.url()));
    for client in [&manager, &harriet] {
        let whole = client.get(&path).await.expect(200);
        assert_eq!(whole["comments"][0]["body"], "said", "{whole}");
        assert_eq!(client.list("q=said").await.len(), 1, "and it is found");
    }
    store_and_headquarters("042", &manager, &harriet, &Promised::default(), &[]).await;
    hub.audit().await;
}
