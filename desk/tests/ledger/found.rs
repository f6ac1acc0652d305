//! What the simulator found, each by the smallest history that shows it. Those that belong to a subject are beside that.

use crate::site::{T0, TestSite, store_042};
use desk::ledger::{Beginning, Histories as _, Identity, Incidents as _, Replication as _, Site as _};
use serde_json::json;
use sync_protocol::batch::Push;
use sync_protocol::chain::Link;
use sync_protocol::message::{Limits, PushResult};
use sync_protocol::record::STEP;
use uuid::Uuid;

async fn epoch(hub: &TestSite) -> Uuid {
    match hub.ledger.identity().await.unwrap() {
        Identity::Hub { epoch, .. } => epoch,
        other => panic!("{other:?}"),
    }
}

async fn origin_of(node: &TestSite) -> Uuid {
    node.ledger.backlog().await.unwrap().origin
}

/// Fields that are put before people.
async fn reviewed(site: &TestSite) -> Vec<String> {
    site.ledger.reviews(None, 10).await.unwrap().into_iter().map(|review| review.field).collect()
}

#[tokio::test]
async fn a_node_that_is_enrolled_anew_has_to_offer_what_it_holds() {
    let hub = TestSite::hub().await;
    let mut node = TestSite::node(&hub, 90).await;
    let epoch = epoch(&hub).await;
    node.ledger.note_offered(epoch).await.unwrap();
    assert_eq!(node.ledger.offer_due().await.unwrap(), None);
    // The hub may have been put back to before it knew the node.
    node.enrol_anew(&hub).await;
    assert_eq!(node.ledger.offer_due().await.unwrap(), Some(epoch));
}

#[tokio::test]
async fn what_was_recorded_under_an_enrolment_that_the_hub_forgot_is_recorded_again_once() {
    let hub = TestSite::hub().await;
    let mut node = TestSite::node(&hub, 91).await;
    node.incident("kim", T0, json!({"description": "acknowledged"})).await;
    node.push_to(&hub, T0 + 10).await;
    let old = node.ledger.backlog().await.unwrap().origin;
    node.enrol_anew(&hub).await;
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 0);
    assert_eq!(node.ledger.record_again(old, 1).await.unwrap(), 1);
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 1);
    assert_eq!(node.ledger.record_again(old, 1).await.unwrap(), 0);
    assert_eq!(node.ledger.audit().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_hub_forgot_waits_again_whatever_it_once_acknowledged() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 92).await;
    for n in 0..4 {
        node.incident("kim", T0 + n, json!({"description": format!("number {n}")})).await;
    }
    node.push_to(&hub, T0 + 10).await;
    let origin = node.ledger.backlog().await.unwrap().origin;
    node.ledger.take_back_acks(origin, 1).await.unwrap();
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 3);
    // Never forward, and of no other stream.
    node.ledger.take_back_acks(origin, 3).await.unwrap();
    node.ledger.take_back_acks(Uuid::from_u128(7), 0).await.unwrap();
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 3);
    node.push_to(&hub, T0 + 20).await;
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 0);
}

#[tokio::test]
async fn a_review_ends_when_what_links_the_lost_value_to_the_standing_one_comes_late() {
    let hub = TestSite::hub().await;
    let (first, second, third) =
        (TestSite::node(&hub, 93).await, TestSite::node(&hub, 94).await, TestSite::node(&hub, 95).await);
    let id = first.incident("kim", T0, json!({"description": "a puddle", "location": "by the door"})).await;
    first.push_to(&hub, T0 + 5).await;
    second.pull_from(&hub, T0 + 6).await;
    second.edit("lee", T0 + 10, id, json!({"location": "in the office"})).await;
    // Whoever wrote the third had seen the second, which is under way still.
    let (link, origin) = (origin_of(&second).await, origin_of(&third).await);
    let body = format!(
        r#"{{"at":{},"base":{{"location":"{link}:1"}},"by":"pat","id":"{id}","kind":"incident","set":{{"location":"in the yard"}}}}"#,
        T0 + 20
    );
    let push = Push::decode(&Push::encode(origin, 1, Link::start(origin), &[body]), &Limits::default()).unwrap();
    let taken = hub.ledger.take_push(third.node_id, store_042(), push, T0 + 25).await.unwrap();
    assert!(matches!(taken, PushResult::Accepted { applied_seq: 1, .. }), "{taken:?}");
    first.pull_from(&hub, T0 + 26).await;
    for site in [&hub, &first] {
        assert_eq!(reviewed(site).await, ["location"], "nothing tells yet that the first value had been seen");
    }
    second.push_to(&hub, T0 + 30).await;
    first.pull_from(&hub, T0 + 31).await;
    for site in [&hub, &first] {
        assert_eq!(reviewed(site).await, Vec::<String>::new());
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_edit_that_goes_under_another_name_and_had_been_seen_under_the_old_one_is_put_before_people_at_both_sites() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 96).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle", "location": "by the door"})).await;
    node.edit("kim", T0 + 10, id, json!({"location": "in the office"})).await;
    node.push_to(&hub, T0 + 15).await;
    hub.edit("pat", T0 + 20, id, json!({"location": "in the yard"})).await;
    node.pull_from(&hub, T0 + 25).await;
    assert_eq!(reviewed(&node).await, Vec::<String>::new(), "headquarters had seen what it wrote over");
    // What the node recorded second has another name from now on; the edit at headquarters names the old one.
    let beginning = Beginning {
        of: origin_of(&node).await,
        agreed_seq: 1,
        lost: 0,
        why: "this folder was restored from a backup".to_owned(),
        now_ms: T0 + 30,
    };
    assert_eq!(node.ledger.begin_anew(beginning).await.unwrap().unwrap().recorded_again, 1);
    assert_eq!(reviewed(&node).await, ["location"], "before anything else of the record comes");
    node.push_to(&hub, T0 + 40).await;
    node.pull_from(&hub, T0 + 45).await;
    for site in [&hub, &node] {
        assert_eq!(reviewed(site).await, ["location"]);
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
}

#[tokio::test]
async fn what_was_in_quarantine_does_not_keep_the_rest_of_an_ended_stream_from_being_recorded_again() {
    let hub = TestSite::hub().await;
    let mut node = TestSite::node(&hub, 97).await;
    for n in 0..3 {
        node.incident("kim", T0 + n, json!({"description": format!("number {n}")})).await;
    }
    // The hub takes the first and the third into their records, so that they come back with its seal, and fails at the second.
    for seq in 1..=3 {
        let run = node.ledger.unpushed(None, 1, 1 << 20).await.unwrap().unwrap();
        let push = Push::encode(run.origin, run.first_seq, run.prev, &run.bodies);
        let push = Push::decode(&push, &Limits::default()).unwrap();
        let (ledger, from) = (&hub.ledger, node.node_id);
        let taken = if seq == 2 {
            ledger.keep_failed(from, store_042(), push, "it failed".to_owned(), T0 + 10).await.unwrap()
        } else {
            ledger.take_push(from, store_042(), push, T0 + 10).await.unwrap()
        };
        let PushResult::Accepted { applied_seq, answers, .. } = taken else {
            panic!("{taken:?}")
        };
        node.ledger.note_answers(run.origin, applied_seq, answers).await.unwrap();
    }
    let old = origin_of(&node).await;
    node.enrol_anew(&hub).await;
    node.pull_from(&hub, T0 + 20).await;
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 0);
    // A hub that was put back holds the first alone. It takes the third under the old stream only after the second, which nobody
    // can give back: both are recorded again.
    assert_eq!(node.ledger.record_again(old, 2).await.unwrap(), 2);
    assert_eq!(node.ledger.backlog().await.unwrap().pending_changes, 2);
    assert_eq!(node.ledger.record_again(old, 2).await.unwrap(), 0, "once");
    assert_eq!(node.ledger.audit().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_step_that_comes_after_the_deletion_of_its_incident_is_put_before_people_at_both_sites() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 98).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle"})).await;
    node.push_to(&hub, T0 + 5).await;
    let origin = origin_of(&node).await.to_string();
    hub.edit("pat", T0 + 10, id, json!({"deleted": {"saw": {origin: 1}}})).await;
    node.child("kim", T0 + 11, STEP, id, json!({"from": "submitted", "to": "in_review"})).await;
    node.push_to(&hub, T0 + 20).await;
    node.pull_from(&hub, T0 + 20).await;
    for site in [&hub, &node] {
        assert!(!site.ledger.incident(id).await.unwrap().unwrap().deleted, "nobody who deleted it had seen the step");
        assert_eq!(reviewed(site).await, ["deleted"]);
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
}
