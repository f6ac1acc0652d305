//! What the simulator found, each by the smallest history that shows it. Those that belong to a subject are beside that.

use crate::site::{T0, TestSite};
use desk::ledger::{Histories as _, Identity, Replication as _, Site as _};
use serde_json::json;
use uuid::Uuid;

async fn epoch(hub: &TestSite) -> Uuid {
    match hub.ledger.identity().await.unwrap() {
        Identity::Hub { epoch, .. } => epoch,
        other => panic!("{other:?}"),
    }
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
