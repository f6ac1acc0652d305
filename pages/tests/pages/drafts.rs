use crate::browser::{Browser, hub};
use crate::site::Site;
use serde_json::{Value, json};

const ID: &str = "019aa000-0000-7000-8000-0000000000d1";

async fn keep(site: &Site, token: &str, id: &str, body: &Value) -> crate::site::Answer {
    site.ask("PUT", &format!("/api/v1/drafts/{id}")).token(token).json(body).send().await
}

fn typed(description: &str) -> Value {
    json!({"username": "kim", "fields": [
        {"name": "description", "value": description},
        {"name": "category", "value": "hazard"},
        {"name": "occurred_at", "value": "half a ti"},
        {"name": "people.new1.name", "value": "Ana"},
        {"name": "people.new2.name", "value": "Bo"},
    ]})
}

#[tokio::test]
async fn what_somebody_types_is_gone_on_with_elsewhere_until_it_is_sent() {
    let hub = hub().await;
    let token = hub.login("kim").await;
    keep(&hub, &token, ID, &typed("A puddle <i>by</i> the")).await.expect(200);
    let kept = keep(&hub, &token, ID, &typed("A puddle <i>by</i> the freezers")).await.expect(200);
    assert_eq!((&kept["id"], &kept["changed_at"]), (&json!(ID), &json!("2026-11-20T00:00:00Z")));
    let mut phone = Browser::of(&hub, "kim").await;
    let list = phone.get("/drafts").await.is(200);
    assert!(list.says("A puddle &#60;i&#62;by&#60;/i&#62; the freezers") && list.says("Hazard"), "{}", list.text);
    let form = phone.get(&format!("/incidents/new?draft={ID}")).await.is(200);
    assert_eq!(form.field("draft"), ID);
    // Nobody complains about what is not finished yet.
    assert!(!form.says("role=\"alert\"") && form.says("half a ti"), "{}", form.text);
    assert!(form.says("by&#60;/i&#62; the freezers") && form.says("value=\"Ana\"") && form.says("value=\"Bo\""));
    assert_ne!(form.field("id"), ID);
    // It is no incident.
    assert_eq!(hub.get(&token, "/api/v1/incidents").await.expect(200)["items"], json!([]));
    let fields = [("id", form.field("id")), ("draft", ID.to_owned()), ("description", "A puddle".to_owned())];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert!(phone.post("/incidents/new", &fields).await.leads().contains("said=recorded"));
    assert!(phone.get("/drafts").await.is(200).says("You are in the middle of nothing."));
    phone.get(&format!("/incidents/new?draft={ID}")).await.is(404);
    // What was on its way does not bring it back.
    keep(&hub, &token, ID, &typed("late")).await.problem(410);
    assert_eq!(hub.get(&token, "/api/v1/drafts").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn a_draft_is_seen_by_its_owner_alone_and_never_taken_from_somebody_else() {
    let hub = hub().await;
    let (kim, mia) = (hub.login("kim").await, hub.login("mia").await);
    keep(&hub, &kim, ID, &typed("mine")).await.expect(200);
    hub.get(&mia, &format!("/api/v1/drafts/{ID}")).await.problem(404);
    assert_eq!(hub.get(&mia, "/api/v1/drafts").await.expect(200)["items"], json!([]));
    hub.ask("DELETE", &format!("/api/v1/drafts/{ID}")).token(&mia).send().await.expect(204);
    assert_eq!(hub.get(&kim, &format!("/api/v1/drafts/{ID}")).await.expect(200)["id"], json!(ID));
    // A page that kim left open, where mia is logged in by now.
    let problem = keep(&hub, &mia, ID, &typed("kim's")).await.problem(409);
    assert!(problem["type"].as_str().unwrap().ends_with("other-user"), "{problem}");
    let node = Site::node(&hub).await;
    let there = node.login("kim").await;
    assert_eq!(node.get(&there, "/api/v1/drafts").await.expect(200)["items"], json!([]));
}

#[tokio::test]
async fn drafts_are_few_small_and_forgotten_after_a_while() {
    let hub = hub().await;
    let token = hub.login("kim").await;
    let id = |number: u32| format!("019aa000-0000-7000-8000-0000000001{number:02}");
    for number in 0..20 {
        keep(&hub, &token, &id(number), &typed("x")).await.expect(200);
    }
    keep(&hub, &token, &id(20), &typed("x")).await.problem(409);
    keep(&hub, &token, &id(3), &typed("still this one")).await.expect(200);
    assert_eq!(keep(&hub, &token, &id(3), &typed(&"x".repeat(131_072))).await.fields(), ["fields"]);
    let mut browser = Browser::of(&hub, "kim").await;
    assert_eq!(browser.post(&format!("/drafts/{}/delete", id(4)), &[]).await.leads(), "/drafts");
    keep(&hub, &token, &id(20), &typed("x")).await.expect(200);
    hub.clock.advance(14 * 86_400_000 + 1);
    let token = hub.login("kim").await;
    assert_eq!(hub.get(&token, "/api/v1/drafts").await.expect(200)["items"], json!([]));
    hub.get(&token, &format!("/api/v1/drafts/{}", id(3))).await.problem(404);
    // What nobody is shown any more is not kept either.
    let ledger = hub.desk.ledger();
    assert_eq!(ledger.forget_drafts(hub.desk.now_ms() - 14 * 86_400_000).await.unwrap(), 21);
    keep(&hub, &token, &id(21), &typed("x")).await.expect(200);
    assert_eq!(ledger.forget_drafts(hub.desk.now_ms() - 14 * 86_400_000).await.unwrap(), 0);
}

#[test]
fn icons_are_as_large_as_the_manifest_says() {
    for (name, side) in [("icon-192.png", 192_u32), ("icon-512.png", 512), ("icon-maskable-512.png", 512)] {
        let bytes = pages::assets::find(name).unwrap().bytes;
        assert_eq!(&bytes[..8], b"\x89PNG\r\n\x1a\n", "{name}");
        assert_eq!((&bytes[16..20], &bytes[20..24]), (&side.to_be_bytes()[..], &side.to_be_bytes()[..]), "{name}");
        assert!(bytes.len() < 16_000, "{name}");
    }
}
