//! Deciding between edits that met.

use crate::site::{Site, T0};
use serde_json::{Value, json};
use sync_protocol::batch::Push;
use sync_protocol::chain::Link;
use sync_protocol::message::Limits;
use sync_protocol::scope::Scope;

/// An incident of store 042 whose zone was changed at headquarters and, unknowing, at a node: answers its id.
async fn met(hub: &Site) -> String {
    let mia = hub.login("mia").await;
    let (path, incident) = hub.incident(&mia, json!({"description": "a puddle", "zone": "aisle"})).await;
    hub.patch(&mia, &path, &json!({"zone": "office"})).await.expect(200);
    let origin = hub.desk.ids().new_v7(T0);
    let body =
        json!({"at": T0 + 5000, "by": "kim", "id": incident["id"], "kind": "incident", "set": {"zone": "parking"}});
    let bodies = [body.to_string()];
    let push = Push::decode(&Push::encode(origin, 1, Link::start(origin), &bodies), &Limits::default()).unwrap();
    let scope = Scope::Store("042".to_owned());
    hub.desk.ledger().take_push(hub.desk.ids().new_v7(T0), scope, push, T0 + 5000).await.unwrap();
    incident["id"].as_str().unwrap().to_owned()
}

async fn open(hub: &Site, token: &str) -> Vec<Value> {
    hub.get(token, "/api/v1/reviews").await.expect(200)["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_review_is_settled_by_a_manager_of_its_store_or_headquarters_and_by_nobody_else() {
    let hub = Site::hub().await;
    let incident = met(&hub).await;
    let (mia, max, kim) = (hub.login("mia").await, hub.login("max").await, hub.login("kim").await);
    let items = open(&hub, &mia).await;
    assert_eq!(items.len(), 1);
    let review = &items[0];
    assert_eq!(review["id"], format!("{incident}:zone"));
    assert_eq!((&review["standing"]["value"], &review["standing"]["by"]), (&json!("parking"), &json!("kim")));
    assert_eq!((&review["lost"][0]["value"], &review["lost"][0]["by"]), (&json!("office"), &json!("mia")));
    assert_eq!(review["settled"], Value::Null);
    let path = format!("/api/v1/reviews/{incident}:zone/settle");
    let keep = json!({"keep": "lost"});
    hub.post(&kim, &path, &keep).await.problem(403);
    hub.post(&max, &path, &keep).await.problem(404);
    assert_eq!(open(&hub, &max).await.len(), 0);
    for other in [format!("{incident}:title"), "x".to_owned(), format!("{}:zone", hub.desk.ids().new_v7(T0))] {
        hub.post(&mia, &format!("/api/v1/reviews/{other}/settle"), &keep).await.problem(404);
    }
    for (body, field) in [
        (json!({}), "keep"),
        (json!({"keep": "both"}), "keep"),
        (json!({"keep": "lost", "value": "aisle"}), "keep"),
        (json!({"keep": "standing", "change": format!("{}:1", hub.desk.ids().new_v7(T0))}), "keep"),
        (json!({"keep": "lost", "change": "x"}), "change"),
        (json!({"keep": "lost", "change": format!("{}:1", hub.desk.ids().new_v7(T0))}), "change"),
        (json!({"value": "the moon"}), "zone"),
    ] {
        assert_eq!(hub.post(&mia, &path, &body).await.fields(), [field], "{body}");
    }
    let settled = hub.post(&mia, &path, &keep).await.expect(200);
    assert_eq!((&settled["settled"]["by"], &settled["settled"]["keep"]), (&json!("mia"), &json!("lost")));
    assert_eq!(hub.get(&mia, &format!("/api/v1/incidents/{incident}")).await.expect(200)["zone"], "office");
    assert_eq!(open(&hub, &mia).await.len(), 0);
    let list = hub.get(&mia, "/api/v1/reviews?settled=true").await.expect(200);
    assert_eq!((&list["items"][0]["id"], &list["items"][0]["settled"]["site"]), (&review["id"], &json!("hub")));
    assert_eq!(hub.get(&max, "/api/v1/reviews?settled=true").await.expect(200)["items"], json!([]));
    let detail = hub.post(&mia, &path, &keep).await.problem(409);
    assert!(detail["detail"].as_str().unwrap().contains("mia"), "{detail}");
    let history = hub.get(&mia, &format!("/api/v1/incidents/{incident}/history")).await.expect(200);
    let told: Vec<&Value> =
        history["items"].as_array().unwrap().iter().filter(|item| item["kind"] == "settled").collect();
    assert_eq!((told.len(), &told[0]["field"], &told[0]["to"]), (1, &json!("zone"), &json!("lost")));
}

#[tokio::test]
async fn another_value_or_none_may_stand_instead() {
    for (value, stands) in [(json!("stockroom"), json!("stockroom")), (Value::Null, Value::Null)] {
        let hub = Site::hub().await;
        let incident = met(&hub).await;
        let hana = hub.login("hana").await;
        let path = format!("/api/v1/reviews/{incident}:zone/settle");
        let settled = hub.post(&hana, &path, &json!({"value": value})).await.expect(200);
        assert_eq!((&settled["settled"]["by"], &settled["settled"]["keep"]), (&json!("hana"), &json!("value")));
        assert_eq!(hub.get(&hana, &format!("/api/v1/incidents/{incident}")).await.expect(200)["zone"], stands);
        assert_eq!(open(&hub, &hana).await.len(), 0);
    }
}
