use crate::browser::{Browser, hub};
use crate::site::{Site, T0};
use serde_json::json;
use sync_protocol::batch::Push;
use sync_protocol::chain::Link;
use sync_protocol::message::Limits;
use sync_protocol::scope::Scope;

/// An incident of store 042 whose location was changed at headquarters and, unknowing, at a node: answers its id.
async fn met(hub: &Site) -> String {
    let mia = hub.login("mia").await;
    let (path, incident) = hub.incident(&mia, json!({"description": "a puddle", "location": "aisle 1"})).await;
    hub.patch(&mia, &path, &json!({"location": "<b>office</b>"})).await.expect(200);
    let origin = hub.desk.ids().new_v7(T0);
    let body =
        json!({"at": T0 + 5000, "by": "kim", "id": incident["id"], "kind": "incident", "set": {"location": "parking"}});
    let bodies = [body.to_string()];
    let push = Push::decode(&Push::encode(origin, 1, Link::start(origin), &bodies), &Limits::default()).unwrap();
    let scope = Scope::Store("042".to_owned());
    hub.desk.ledger().take_push(hub.desk.ids().new_v7(T0), scope, push, T0 + 5000).await.unwrap();
    incident["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn both_sides_are_beside_each_other_and_one_is_chosen() {
    let hub = hub().await;
    let id = met(&hub).await;
    let mut mia = Browser::of(&hub, "mia").await;
    assert!(mia.get(&format!("/incidents/{id}")).await.is(200).says("was edited by two people"));
    let page = mia.get("/reviews").await.is(200);
    assert!(page.says("parking") && page.says("&#60;b&#62;office") && page.says("value=\"standing\""));
    let change = page.text.split("name=\"keep\" value=\"").nth(2).unwrap().split('"').next().unwrap().to_owned();
    let path = format!("/reviews/{id}/location");
    assert!(mia.post(&path, &[]).await.is(422).says("Choose which value shall stand."));
    assert_eq!(mia.post(&path, &[("keep", &change)]).await.leads(), format!("/incidents/{id}?said=settled"));
    let now = hub.get(&hub.login("mia").await, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!(now["location"], "<b>office</b>");
    assert!(mia.get("/reviews").await.is(200).says("Nothing to decide"));
    assert!(mia.get("/reviews?settled=true").await.is(200).says("the value that was lost"));
    assert!(mia.post(&path, &[("keep", "standing")]).await.is(422).says("role=\"alert\""));
}

#[tokio::test]
async fn another_text_may_be_written_instead_and_only_a_stores_own_manager_decides() {
    let hub = hub().await;
    let id = met(&hub).await;
    let path = format!("/reviews/{id}/location");
    Browser::of(&hub, "kim").await.get("/reviews").await.is(403);
    Browser::of(&hub, "kim").await.post(&path, &[("keep", "standing")]).await.is(403);
    Browser::of(&hub, "max").await.post(&path, &[("keep", "standing")]).await.is(404);
    Browser::of(&hub, "max").await.get(&format!("/reviews?incident={id}")).await.is(404);
    assert!(Browser::of(&hub, "max").await.get("/reviews").await.is(200).says("Nothing to decide"));
    let mut hana = Browser::of(&hub, "hana").await;
    hana.post(&path, &[("keep", "value"), ("value", "parking, by the office")]).await.leads();
    let now = hub.get(&hub.login("hana").await, &format!("/api/v1/incidents/{id}")).await.expect(200);
    assert_eq!(now["location"], "parking, by the office");
}
