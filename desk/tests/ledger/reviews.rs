//! Edits that met are put before people once, at both sites, until somebody decides.

use crate::site::{T0, TestSite};
use desk::ledger::{Incidents as _, Replication as _, Review, Site as _};
use serde_json::{Value, json};
use uuid::Uuid;

async fn sync(node: &TestSite, hub: &TestSite, now_ms: i64) {
    for _ in 0..2 {
        node.push_to(hub, now_ms).await;
        node.pull_from(hub, now_ms).await;
    }
}

/// An incident at both sites whose zone was changed at both at once: headquarters' `parking` lost against `office`.
async fn met(seed: u64) -> (TestSite, TestSite, Uuid) {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, seed).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle", "zone": "aisle"})).await;
    sync(&node, &hub, T0 + 5).await;
    hub.edit("pat", T0 + 10, id, json!({"zone": "parking"})).await;
    node.edit("kim", T0 + 11, id, json!({"zone": "office"})).await;
    sync(&node, &hub, T0 + 20).await;
    (hub, node, id)
}

async fn zone(site: &TestSite, id: Uuid) -> Value {
    let doc: Value = serde_json::from_str(&site.ledger.incident(id).await.unwrap().unwrap().doc).unwrap();
    doc["zone"].clone()
}

/// Decides about the zone as the desk would.
async fn decide(site: &TestSite, by: &str, at_ms: i64, id: Uuid, value: Option<&str>) {
    let review = only(site.ledger.reviews(None, 10).await.unwrap());
    let lost: Vec<String> = review.lost.iter().map(|said| said.change.to_string()).collect();
    let keep = if value.is_some() { "value" } else { "standing" };
    let mut fields = json!({"settled/zone": {"keep": keep, "lost": lost}});
    if let Some(value) = value {
        fields["zone"] = json!(value);
    }
    site.edit(by, at_ms, id, fields).await;
}

fn only(mut reviews: Vec<Review>) -> Review {
    assert_eq!(reviews.len(), 1, "{reviews:?}");
    reviews.remove(0)
}

#[tokio::test]
async fn a_review_shows_what_stands_and_what_was_lost_and_is_settled_at_both_sites() {
    let (hub, node, id) = met(30).await;
    for site in [&hub, &node] {
        let review = only(site.ledger.reviews(None, 10).await.unwrap());
        let said = |said: &desk::ledger::Said| (said.value.clone(), said.by.clone(), said.site.clone());
        assert_eq!(review.standing.as_ref().map(said), Some((json!("office"), "kim".into(), "042".into())));
        assert_eq!(review.lost.iter().map(said).collect::<Vec<_>>(), [(json!("parking"), "pat".into(), "hub".into())]);
        assert_eq!((review.is_settled, review.decided), (false, None));
    }
    decide(&node, "mia", T0 + 30, id, Some("parking")).await;
    sync(&node, &hub, T0 + 40).await;
    for site in [&hub, &node] {
        assert_eq!(zone(site, id).await, "parking");
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0);
        let settled = only(site.ledger.settled_reviews(None, 10).await.unwrap());
        let decided = settled.decided.unwrap();
        assert_eq!((decided.by.as_str(), decided.site.as_str(), settled.is_settled), ("mia", "042", true));
        assert_eq!(settled.lost.len(), 1, "what was lost is told still");
        let told: Vec<(String, Option<String>)> = site
            .ledger
            .history(id)
            .await
            .unwrap()
            .into_iter()
            .filter(|item| item.actor == "mia")
            .map(|item| (item.kind, item.field))
            .collect();
        assert_eq!(told, [("settled".into(), Some("zone".into())), ("edited".into(), Some("zone".into()))]);
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
}

#[tokio::test]
async fn keeping_what_stands_settles_it_too() {
    let (hub, node, id) = met(31).await;
    decide(&hub, "pat", T0 + 30, id, None).await;
    sync(&node, &hub, T0 + 40).await;
    for site in [&hub, &node] {
        assert_eq!(zone(site, id).await, "office");
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn ten_offline_edits_of_one_field_are_one_review_of_one_lost_value() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 32).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle", "location": "by the door"})).await;
    sync(&node, &hub, T0 + 5).await;
    for n in 0..10 {
        node.edit("kim", T0 + 10 + n, id, json!({"location": format!("edit {n}")})).await;
    }
    hub.edit("pat", T0 + 30, id, json!({"location": "headquarters"})).await;
    sync(&node, &hub, T0 + 40).await;
    for site in [&hub, &node] {
        let review = only(site.ledger.reviews(None, 10).await.unwrap());
        assert_eq!(review.lost.iter().map(|said| said.value.clone()).collect::<Vec<_>>(), [json!("edit 9")]);
    }
}

#[tokio::test]
async fn two_people_who_settle_it_differently_at_once_end_alike_and_nothing_is_put_before_people_again() {
    for (seed, in_store, at_hub, stands) in [
        (33, Some("stockroom"), Some("entrance"), "entrance"),
        (34, None, Some("entrance"), "entrance"),
        (35, Some("stockroom"), None, "stockroom"),
    ] {
        let (hub, node, id) = met(seed).await;
        decide(&node, "mia", T0 + 30, id, in_store).await;
        decide(&hub, "pat", T0 + 31, id, at_hub).await;
        sync(&node, &hub, T0 + 40).await;
        for site in [&hub, &node] {
            assert_eq!(zone(site, id).await, stands);
            assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0, "no review of a review");
            let settled = only(site.ledger.settled_reviews(None, 10).await.unwrap());
            assert_eq!(settled.decided.unwrap().by, "pat", "the later one is told first");
            assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
        }
        assert_eq!(
            node.ledger.incident(id).await.unwrap().unwrap().version,
            hub.ledger.incident(id).await.unwrap().unwrap().version
        );
    }
}

#[tokio::test]
async fn an_edit_that_did_not_know_of_the_decision_is_put_before_people_once() {
    let (hub, node, id) = met(36).await;
    decide(&hub, "pat", T0 + 30, id, Some("entrance")).await;
    node.edit("kim", T0 + 31, id, json!({"zone": "stockroom"})).await;
    sync(&node, &hub, T0 + 40).await;
    for site in [&hub, &node] {
        assert_eq!(zone(site, id).await, "stockroom");
        let review = only(site.ledger.reviews(None, 10).await.unwrap());
        assert_eq!(review.lost.iter().map(|said| said.value.clone()).collect::<Vec<_>>(), [json!("entrance")]);
    }
    decide(&node, "mia", T0 + 50, id, None).await;
    sync(&node, &hub, T0 + 60).await;
    for site in [&hub, &node] {
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0);
    }
}

#[tokio::test]
async fn an_incident_brought_back_after_it_was_edited_and_deleted_at_once_is_settled() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 37).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle"})).await;
    sync(&node, &hub, T0 + 5).await;
    let origin = node.ledger.backlog().await.unwrap().origin.to_string();
    hub.edit("pat", T0 + 30, id, json!({"deleted": {"saw": {origin: 1}}})).await;
    node.edit("kim", T0 + 20, id, json!({"zone": "aisle"})).await;
    sync(&node, &hub, T0 + 40).await;
    for site in [&hub, &node] {
        let review = only(site.ledger.reviews(None, 10).await.unwrap());
        assert_eq!((review.field.as_str(), review.standing.unwrap().value), ("deleted", json!(false)));
        assert_eq!((review.lost[0].value.clone(), review.lost[0].by.as_str()), (json!(true), "pat"));
    }
    node.edit("mia", T0 + 50, id, json!({"deleted": null, "settled/deleted": {"keep": "standing", "lost": []}}))
        .await;
    sync(&node, &hub, T0 + 60).await;
    for site in [&hub, &node] {
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0);
        assert_eq!(only(site.ledger.settled_reviews(None, 10).await.unwrap()).decided.unwrap().by, "mia");
        assert!(!site.ledger.incident(id).await.unwrap().unwrap().deleted);
    }
}
