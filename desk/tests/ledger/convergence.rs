use crate::site::{T0, TestSite};
use desk::ledger::{Incidents as _, Replication as _, Site as _};
use serde_json::{Value, json};
use sync_protocol::record::{COMMENT, STEP};

#[tokio::test]
async fn what_a_node_records_is_on_the_hub_once_and_field_for_field() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 7).await;
    let mut ids = Vec::new();
    for n in 0..10 {
        ids.push(node.incident("kim", T0 + n, json!({"description": format!("number {n}"), "tags": ["a"]})).await);
    }
    node.child("kim", T0 + 20, COMMENT, ids[3], json!({"body": "seen on camera"})).await;
    node.child("lee", T0 + 30, STEP, ids[4], json!({"from": "submitted", "to": "in_review"})).await;
    node.push_to(&hub, T0 + 100).await;
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 0);
    for id in ids {
        let here = node.ledger.incident_whole(id).await.unwrap().unwrap();
        let (here, here_comments) = (here.row, here.comments);
        let there = hub.ledger.incident_whole(id).await.unwrap().unwrap();
        let (there, there_comments) = (there.row, there.comments);
        assert_eq!(here.doc, there.doc);
        assert_eq!(here.version, there.version);
        assert_eq!(here.received_ms, Some(T0 + 100));
        assert_eq!(here.received_ms, there.received_ms);
        assert_eq!(serde_json::to_value(here_comments).unwrap(), serde_json::to_value(there_comments).unwrap());
    }
    assert_eq!(hub.ledger.stats(Default::default()).await.unwrap().total, 10);
}

#[tokio::test]
async fn concurrent_edits_of_one_field_end_alike_and_ask_for_a_decision_at_both_sites() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 8).await;
    let id = node.incident("kim", T0, json!({"description": "a window", "location": "left"})).await;
    node.push_to(&hub, T0 + 10).await;
    node.pull_from(&hub, T0 + 10).await;
    // Ten offline edits in the store are one branch; headquarters edits the same field in between.
    for n in 0..10 {
        node.edit("kim", T0 + 20 + n, id, json!({"location": format!("store {n}")})).await;
    }
    hub.edit("pat", T0 + 25, id, json!({"location": "headquarters", "zone": "entrance"})).await;
    node.push_to(&hub, T0 + 50).await;
    node.pull_from(&hub, T0 + 50).await;

    let here = node.ledger.incident(id).await.unwrap().unwrap();
    let there = hub.ledger.incident(id).await.unwrap().unwrap();
    assert_eq!(here.doc, there.doc);
    let doc: Value = serde_json::from_str(&here.doc).unwrap();
    assert_eq!((doc["location"].as_str(), doc["zone"].as_str()), (Some("store 9"), Some("entrance")));
    for site in [&node, &hub] {
        let reviews = site.ledger.reviews(None, 10).await.unwrap();
        assert_eq!(reviews.len(), 1);
        assert_eq!(reviews[0].field, "location");
        let lost: Vec<Value> = site
            .ledger
            .history(id)
            .await
            .unwrap()
            .into_iter()
            .filter(|item| item.lost)
            .map(|item| item.to)
            .collect();
        assert_eq!(lost, [json!("headquarters")]);
    }
}

#[tokio::test]
async fn a_delete_never_silently_beats_an_edit_it_had_not_seen() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 9).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle"})).await;
    node.push_to(&hub, T0 + 10).await;
    node.pull_from(&hub, T0 + 10).await;
    let seen = serde_json::to_value(sync_protocol::merge::Deletion {
        saw: [(node.ledger.backlog().await.unwrap().origin, 1)].into(),
    })
    .unwrap();
    hub.edit("pat", T0 + 30, id, json!({"deleted": seen})).await;
    assert!(hub.ledger.incident(id).await.unwrap().unwrap().deleted);
    node.edit("kim", T0 + 20, id, json!({"zone": "aisle"})).await;
    node.push_to(&hub, T0 + 50).await;
    node.pull_from(&hub, T0 + 50).await;
    for site in [&node, &hub] {
        assert!(!site.ledger.incident(id).await.unwrap().unwrap().deleted, "the edit keeps it alive");
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap()[0].field, "deleted");
    }
}

#[tokio::test]
async fn a_page_applied_twice_changes_nothing() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 10).await;
    hub.incident("pat", T0, json!({"description": "from headquarters"})).await;
    let page = node.page_of(&hub, T0).await;
    let again = node.page_of(&hub, T0).await;
    assert!(node.ledger.apply_page(page, T0).await.unwrap().new > 0);
    assert_eq!(node.ledger.apply_page(again, T0).await.unwrap().new, 0);
    node.pull_from(&hub, T0).await;
    assert_eq!(node.ledger.stats(Default::default()).await.unwrap().total, 1);
}

#[tokio::test]
async fn a_clock_years_ahead_does_not_win_and_both_sites_agree_on_that() {
    const YEAR_2031: i64 = 1_924_992_000_000;
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 11).await;
    let id = node.incident("kim", YEAR_2031, json!({"description": "a clock", "zone": "office"})).await;
    node.push_to(&hub, T0).await;
    hub.edit("pat", T0 + 3_600_000, id, json!({"zone": "parking"})).await;
    node.pull_from(&hub, T0 + 3_600_000).await;
    for site in [&node, &hub] {
        let doc: Value = serde_json::from_str(&site.ledger.incident(id).await.unwrap().unwrap().doc).unwrap();
        assert_eq!(doc["zone"], "parking");
        assert_eq!(doc["recorded_at"], "2031-01-01T00:00:00Z", "the store's own word is kept beside it");
        assert_eq!(doc["clock_off"], true, "and marked");
        let history = site.ledger.history(id).await.unwrap();
        assert_eq!(history.iter().map(|line| line.clock_off).collect::<Vec<_>>(), [true, false]);
    }
}

#[tokio::test]
async fn a_clock_that_was_set_right_does_not_go_on_winning() {
    const YEAR_2031: i64 = 1_924_992_000_000;
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 13).await;
    let id = node.incident("kim", YEAR_2031, json!({"description": "a clock", "zone": "office"})).await;
    node.edit("kim", YEAR_2031 + 60_000, id, json!({"zone": "aisle"})).await;
    node.push_to(&hub, T0).await;
    node.pull_from(&hub, T0).await;
    // A day later the store's clock is right, and headquarters edits after the store.
    let day = 86_400_000;
    node.edit("kim", T0 + day, id, json!({"zone": "checkout", "title": "theirs"})).await;
    hub.edit("pat", T0 + day + 1000, id, json!({"zone": "parking"})).await;
    node.push_to(&hub, T0 + day + 2000).await;
    node.pull_from(&hub, T0 + day + 2000).await;
    for site in [&node, &hub] {
        let doc: Value = serde_json::from_str(&site.ledger.incident(id).await.unwrap().unwrap().doc).unwrap();
        assert_eq!((doc["zone"].as_str(), doc["title"].as_str()), (Some("parking"), Some("theirs")));
        assert!(site.ledger.history(id).await.unwrap().iter().any(|line| !line.clock_off));
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_hub_whose_clock_was_years_ahead_does_not_go_on_winning_against_who_saw_its_edits() {
    const YEAR_2031: i64 = 1_924_992_000_000;
    let hub = TestSite::hub().await;
    let (node, other) = (TestSite::node(&hub, 15).await, TestSite::node(&hub, 16).await);
    let id = node.incident("kim", T0, json!({"description": "a clock"})).await;
    node.push_to(&hub, T0 + 5).await;
    hub.edit("pat", YEAR_2031, id, json!({"zone": "office"})).await;
    // Its clock is set right; the store edits what it has seen, twice, and a store in 2033 gains nothing by it.
    node.pull_from(&hub, T0 + 50).await;
    node.edit("kim", T0 + 60, id, json!({"zone": "aisle"})).await;
    node.edit("kim", T0 + 70, id, json!({"zone": "checkout"})).await;
    node.push_to(&hub, T0 + 80).await;
    other.pull_from(&hub, T0 + 90).await;
    other.edit("lee", YEAR_2031 + 63_072_000_000, id, json!({"title": "from 2033"})).await;
    other.push_to(&hub, T0 + 100).await;
    hub.edit("pat", T0 + 110, id, json!({"title": "headquarters'"})).await;
    for site in [&node, &other] {
        site.pull_from(&hub, T0 + 120).await;
    }
    for site in [&node, &other, &hub] {
        let doc: Value = serde_json::from_str(&site.ledger.incident(id).await.unwrap().unwrap().doc).unwrap();
        assert_eq!((doc["zone"].as_str(), doc["title"].as_str()), (Some("checkout"), Some("headquarters'")));
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
}

#[tokio::test]
async fn a_clock_of_1970_records_is_marked_and_loses_nothing() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 14).await;
    node.pull_from(&hub, T0).await;
    let id = node.incident("kim", 90_000, json!({"description": "a dead battery", "zone": "office"})).await;
    node.edit("kim", 91_000, id, json!({"zone": "aisle"})).await;
    node.push_to(&hub, T0 + 5).await;
    for site in [&node, &hub] {
        let row = site.ledger.incident(id).await.unwrap().unwrap();
        let doc: Value = serde_json::from_str(&row.doc).unwrap();
        assert_eq!((doc["zone"].as_str(), doc["recorded_at"].as_str()), (Some("aisle"), Some("1970-01-01T00:01:30Z")));
        assert_eq!((doc["clock_off"].as_bool(), row.received_ms), (Some(true), Some(T0 + 5)));
    }
}

#[tokio::test]
async fn a_node_enrolled_anew_carries_over_what_the_hub_never_acknowledged() {
    let hub = TestSite::hub().await;
    let mut node = TestSite::node(&hub, 12).await;
    let first = node.incident("kim", T0, json!({"description": "acknowledged"})).await;
    node.push_to(&hub, T0 + 10).await;
    let second = node.incident("kim", T0 + 20, json!({"description": "not yet", "zone": "office"})).await;
    node.edit("kim", T0 + 30, first, json!({"zone": "aisle"})).await;
    node.edit("lee", T0 + 40, second, json!({"zone": "parking"})).await;
    node.child("lee", T0 + 50, STEP, second, json!({"from": "submitted", "to": "closed"})).await;
    node.enrol_anew(&hub).await;
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 4);
    node.push_to(&hub, T0 + 100).await;
    node.pull_from(&hub, T0 + 100).await;
    for id in [first, second] {
        let here = node.ledger.incident(id).await.unwrap().unwrap();
        assert_eq!(here.doc, hub.ledger.incident(id).await.unwrap().unwrap().doc);
    }
    assert_eq!(hub.ledger.incident(second).await.unwrap().unwrap().status, "closed");
    for site in [&node, &hub] {
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0, "nobody typed over anybody");
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
}
