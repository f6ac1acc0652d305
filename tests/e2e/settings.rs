//! What headquarters sets reaches every node, is applied while it runs, and headquarters hears what became of it.

use aincident_tests::http::Client;
use aincident_tests::hub::PASSWORD;
use aincident_tests::old::OldNode;
use aincident_tests::{Hub, Node, Scratch, wait_until};
use serde_json::{Value, json};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

/// The only node of the store, as headquarters sees it.
async fn seen(ada: &Client, store: &str) -> Value {
    ada.get(&format!("/api/v1/nodes?store={store}")).await.expect(200)["items"][0]["settings"].clone()
}

/// Waits until the node of the store has said that it applied `version`, and answers what it said.
async fn acknowledged(ada: &Client, store: &str, version: &Value) -> Value {
    wait_until("the node's word on its settings", PATIENCE, async || {
        let seen = seen(ada, store).await;
        seen["version"] == *version && seen["applied_version"] == *version
    })
    .await;
    seen(ada, store).await
}

fn debugs(node: &Node) -> usize {
    node.daemon().log_tail(usize::MAX).matches("DEBUG").count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_headquarters_sets_is_applied_by_the_node_that_runs_and_acknowledged() {
    let scratch = Scratch::new("settings");
    let hub = Hub::with_stores(&scratch, &["042", "007"]).await;
    let ada = hub.login("ada", PASSWORD).await;
    let mut node = Node::enrolled(&scratch, &hub, "042").await;
    let other = Node::enrolled(&scratch, &hub, "007").await;
    let manager = node.manager().await;
    let nothing = ada.get("/api/v1/settings").await.expect(200);
    assert_eq!((&nothing["settings"], &nothing["store_code"]), (&json!({}), &Value::Null));
    assert_eq!(acknowledged(&ada, "042", &nothing["version"]).await["state"], "applied");
    assert_eq!(debugs(&node), 0);

    // The company's reach both stores, and 042's own go before them.
    let company = json!({"log_level": "debug", "photos": {"max_kbit_s": 512, "originals": "22:00-06:00"}});
    let set = ada.patch("/api/v1/settings", &company).await.expect(200);
    assert_eq!(set["settings"], company);
    let own = ada.patch("/api/v1/settings/stores/042", &json!({"photos": {"max_kbit_s": 64}})).await.expect(200);
    assert_eq!(own["sources"]["photos.max_kbit_s"], "store");
    assert_eq!(own["sources"]["log_level"], "company");
    assert_eq!(acknowledged(&ada, "042", &own["version"]).await["state"], "applied");
    assert_eq!(acknowledged(&ada, "007", &set["version"]).await["state"], "applied");
    wait_until("lines of the new level", PATIENCE, async || {
        let _ = manager.get("/api/v1/me").await.expect(200);
        debugs(&node) > 0
    })
    .await;
    let here = manager.get("/api/v1/settings").await.expect(200);
    assert_eq!(here["version"], own["version"]);
    assert_eq!((&here["settings"]["photos"]["max_kbit_s"], &here["store_code"]), (&json!(64), &json!("042")));
    let applied = |node: &Node| {
        let log = node.daemon().log_tail(usize::MAX);
        log.lines()
            .filter(|line| line.contains("settings of headquarters' were applied"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert!(
        applied(&node).iter().any(|line| line.contains("photos.max_kbit_s") || line.contains("log")),
        "{:?}",
        applied(&node)
    );

    // What cannot be is refused before anybody hears of it, and by whom it must not be set.
    let problem = ada.patch("/api/v1/settings", &json!({"photos": {"max_kbit_s": -1}, "command": "reboot"})).await;
    let errors: Vec<Value> = problem.problem(422)["errors"].as_array().unwrap().clone();
    let named: Vec<&str> = errors.iter().filter_map(|error| error["field"].as_str()).collect();
    assert_eq!(named, ["command", "photos.max_kbit_s"]);
    let harriet = hub.harriet().await;
    let _ = harriet.patch("/api/v1/settings", &company).await.problem(403);
    let _ = manager.patch("/api/v1/settings", &company).await.problem(405);
    let _ = ada.patch("/api/v1/settings/stores/999", &company).await.problem(404);

    // Each change is an act, with what it was before and what it is now.
    let acts = ada.get("/api/v1/acts?act=settings_changed").await.expect(200);
    let items = acts["items"].as_array().unwrap();
    assert_eq!(items.len(), 2);
    assert_eq!((&items[0]["subject"], &items[0]["by"]), (&json!("store/042"), &json!("ada")));
    let quiet = ada
        .patch("/api/v1/settings", &json!({"log_level": "warn", "photos": {"originals": null}}))
        .await
        .expect(200);
    let acts = ada.get("/api/v1/acts?act=settings_changed").await.expect(200);
    let changed = &acts["items"][0]["details"]["changed"];
    assert_eq!(changed["log_level"], json!({"before": "debug", "after": "warn"}));
    assert_eq!(changed["photos/originals"], json!({"before": "22:00-06:00", "after": null}));
    let _ = acknowledged(&ada, "007", &quiet["version"]).await;

    // What the machine's own configuration says goes first there, and the node says so. It holds through a restart.
    node.stop().await;
    node.env("AINCIDENT_NODE_LOG", "info");
    node.env("AINCIDENT_NODE_PHOTOS_MAX_KBIT_S", "100");
    let set = ada
        .patch("/api/v1/settings/stores/042", &json!({"link": {"max_backoff_ms": 5000}}))
        .await
        .expect(200);
    assert_eq!(seen(&ada, "042").await["state"], "waiting");
    node.start().await;
    let told = acknowledged(&ada, "042", &set["version"]).await;
    assert_eq!(told["state"], "applied");
    assert_eq!(told["overridden"], json!(["photos.max_kbit_s", "log_level"]));
    let here = node.manager().await.get("/api/v1/settings").await.expect(200);
    assert_eq!(here["sources"]["log_level"], "here");
    assert_eq!(here["sources"]["link.max_backoff_ms"], "store");
    drop(other);
    let _ = hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_version_1_passes_settings_by_and_no_node_makes_any() {
    let scratch = Scratch::new("settings-old");
    let hub = Hub::with_stores(&scratch, &["042"]).await;
    let ada = hub.login("ada", PASSWORD).await;
    let mut old = OldNode::enrol(hub.url(), &hub.node_code("042").await).await;
    old.hello().await;
    let set = ada.patch("/api/v1/settings", &json!({"log_level": "debug"})).await.expect(200);
    let pulled = old.pull().await;
    let kinds: Vec<Value> = pulled
        .iter()
        .map(|line| serde_json::from_str::<Value>(&line.body).unwrap()["kind"].clone())
        .collect();
    assert!(kinds.contains(&json!("settings")), "{kinds:?}");
    let told = seen(&ada, "042").await;
    assert_eq!((&told["state"], &told["version"]), (&json!("unknown"), &set["version"]));
    let body = r#"{"at":1795132800000,"by":"employee-042","id":"019aa2b3-c000-7000-8000-0000000000f0","kind":"settings","new":true,"set":{"log_level":"trace"}}"#;
    let answer = old.push(&[body.to_owned()]).await;
    assert_eq!(answer["answers"][0]["code"], "not-yours", "{answer}");
    let held = ada.get("/api/v1/settings/stores/042").await.expect(200);
    assert_eq!(held["settings"], json!({"log_level": "debug"}));
    let _ = hub.audit().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settings_are_made_at_the_prompt_while_the_hub_serves_and_while_it_does_not() {
    let scratch = Scratch::new("settings-prompt");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let set = hub
        .run(&["settings", "set", "--store", "042", "photos.max_kbit_s=64", "drafts.keep_days=3", "--json"])
        .await;
    let set: Value = serde_json::from_str(&set.ok("settings set")).unwrap();
    assert_eq!(set["settings"], json!({"photos": {"max_kbit_s": 64}, "drafts": {"keep_days": 3}}));
    hub.stop().await;
    let unset = hub.run(&["settings", "unset", "--store", "042", "drafts.keep_days"]).await.ok("settings unset");
    assert!(unset.contains("photos.max_kbit_s = 64  (store)") && !unset.contains("keep_days"), "{unset}");
    let wrong = hub.run(&["settings", "set", "photos.max_kbit_s=lots", "command=reboot"]).await;
    assert_eq!(wrong.code, Some(1), "{wrong:?}");
    assert!(
        wrong.stderr.contains("command: there is no such field") && wrong.stderr.contains("photos.max_kbit_s"),
        "{wrong:?}"
    );
    let none = hub.run(&["settings", "show", "--store", "999"]).await;
    assert!(none.stderr.contains("there is no store 999"), "{none:?}");
    let shown = hub.run(&["settings", "show"]).await.ok("settings show");
    assert!(shown.contains("nothing is set"), "{shown}");
}
