//! What a node makes of settings of a headquarters that is newer than it, or not well disposed.

use aincident_node::settings;
use serde_json::{Value, json};
use sync_protocol::message::path;

use crate::hub::FakeHub;
use crate::machine::{Node, until};

/// What the node last told of its settings.
fn told(hub: &FakeHub) -> Value {
    let asked: Vec<Vec<u8>> = hub
        .state()
        .log
        .iter()
        .filter(|asked| asked.path == path::HELLO)
        .map(|asked| asked.body.clone())
        .collect();
    let last: Value = asked.last().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    last["status"]["settings"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_applied_is_told_and_holds_nothing_else_back() {
    let hub = FakeHub::start().await;
    let node = Node::enrolled(&hub).await;
    node.start();
    until("the node said hello", async || hub.count(path::HELLO) > 0).await;
    hub.set_settings(json!({
        "drafts/keep_days": 3,
        "photos/max_kbit_s": {"$": "reboot"},
        "warp/factor": 9,
        "custom_fields/till": {"label": "Till", "type": "number"},
        "custom_fields/place": {"label": "Place", "type": "place"},
    }));
    until("the settings are here", async || {
        settings::holding(&node.desk).await.is_some_and(|holding| !holding.is_empty())
    })
    .await;
    let holding = settings::holding(&node.desk).await.unwrap();
    settings::apply(&node.desk, &holding, &["log_level"], None);
    assert_eq!(node.desk.ledger().backlog().await.unwrap().quarantined, 0);
    assert_eq!(holding.custom_fields().len(), 1);
    // At once, not with the next pull.
    until("headquarters heard of it", async || told(&hub)["version"] == holding.version()).await;
    let refused = told(&hub)["refused"].clone();
    let names: Vec<&String> = refused.as_object().unwrap().keys().collect();
    assert_eq!(names, ["custom_fields/place", "photos/max_kbit_s", "warp/factor"]);
    assert_eq!(told(&hub)["overridden"], json!(["log_level"]));
    node.end().await;
}
