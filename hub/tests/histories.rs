//! What a hub finds out when somebody's history is not what it was: a node's, its own, or a change on its disk.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod support;

use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use support::{Hub, NOW_MS, Node};
use sync_protocol::chain::Link;
use sync_protocol::message::{HelloAnswer, path};
use uuid::Uuid;

#[tokio::test]
async fn a_node_that_comes_with_an_old_secret_was_restored_once_it_uses_the_one_it_gets() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    let old = node.clone();
    node.secret = node.hello().await.credential.unwrap();
    node.record(&node.incidents(1)).await;
    let id = node.id;
    let restored_at = async || hub.desk.ledger().node(id).await.unwrap().unwrap().restored_ms;

    // A request from before that took long: nobody has the answer, and the node goes on.
    hub.clock.advance(60_000);
    old.hello().await;
    let late = old.hello().await.credential.unwrap();
    node.record(&node.incidents(1)).await;
    assert_eq!(restored_at().await, None);

    // What was lost by that was given out and not used: no backup has it.
    let given = node.hello().await.credential.unwrap();
    old.hello().await;
    node.secret = given;
    node.secret = node.hello().await.credential.unwrap();
    node.record(&node.incidents(1)).await;
    assert_eq!(restored_at().await, None);

    // A backup that was put back. It is told, so that it says again what it did before the backup was made.
    let mut back = old;
    back.secret = late;
    let told = async |node: &Node, protocols: Value| -> HelloAnswer {
        let mut body = node.hello_body();
        body["protocols"] = protocols;
        let reply = node.ask(path::HELLO, body.to_string().as_bytes()).await;
        serde_json::from_slice(&reply.body).unwrap()
    };
    assert!(!told(&back, json!([1])).await.returned, "version 1 had no such member");
    let answer = told(&back, json!([1, 2])).await;
    assert!(answer.returned);
    back.secret = answer.credential.unwrap();
    assert!(!told(&back, json!([1, 2])).await.returned);
    assert_eq!(restored_at().await, Some(NOW_MS + 60_000));
    hub.stop().await;
}

#[tokio::test]
async fn a_folder_with_the_secret_in_use_calls_from_elsewhere_and_is_a_copy_until_its_node_is_gone() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    node.secret = node.hello().await.credential.unwrap();
    node.record(&node.incidents(1)).await;
    let mut elsewhere = node.clone();
    elsewhere.machine = "cd".repeat(32);
    let call = async |node: &Node| node.ask(path::HELLO, node.hello_body().to_string().as_bytes()).await.status;
    // Between two requests of the node nobody is on its line.
    hub.clock.advance(30_000);
    assert_eq!((call(&elsewhere).await, call(&node).await), (401, 200));
    // The disk was moved, or the folder.
    hub.clock.advance(36_000);
    assert_eq!(call(&elsewhere).await, 200);
    hub.stop().await;
}

#[tokio::test]
async fn a_pull_that_meets_a_damaged_change_waits_until_it_is_mended_and_the_answer_is_proven() {
    let hub = Hub::start().await;
    let (mut one, two) = (hub.enrol("042").await, hub.enrol("042").await);
    one.record(&one.incidents(1)).await;
    let flip = |from: &str, to: &str| {
        let sql = "UPDATE changes SET body = replace(body, ?1, ?2) WHERE body LIKE '%incident 1%' OR body LIKE '%incident X%'";
        assert_eq!(hub.database().execute(sql, [from, to]).unwrap(), 1);
    };
    flip("incident 1", "incident X");
    // What comes before it goes.
    let before = two.pull(&BTreeMap::new(), 0).await.header.cursors;
    let reply = two.ask(path::PULL, &two.pull_body(json!(before), 0)).await;
    assert_eq!((reply.status, reply.code().as_str()), (503, "busy"), "{}", reply.text());
    assert!(
        reply
            .headers
            .get("retry-after")
            .is_some_and(|text| text.parse::<u64>().is_ok_and(|seconds| seconds > 0))
    );
    // One bad change never stops a stream on its way up.
    one.record(&one.incidents(1)).await;
    flip("incident X", "incident 1");
    let page = two.pull(&before, 0).await;
    assert_eq!(page.lines.iter().filter(|line| line.body.get().contains("incident 1")).count(), 1);
    hub.stop().await;
}

#[tokio::test]
async fn a_hub_put_back_to_before_an_epoch_of_its_own_finds_out_by_a_receipt_of_that_epoch() {
    let hub = Hub::start().await;
    let node = hub.enrol("042").await;
    let key = hub.desk.ledger().hub_key().await.unwrap();
    let receipt = key.receipt(Uuid::from_u128(7), node.origin, 1, Link::start(node.origin));
    let hello = async || -> HelloAnswer {
        let mut body = node.hello_body();
        body["protocols"] = json!([1, 2]);
        body["acked"] = serde_json::to_value(receipt).unwrap();
        let reply = node.ask(path::HELLO, body.to_string().as_bytes()).await;
        serde_json::from_slice(&reply.body).unwrap()
    };
    let first = hello().await.epoch;
    assert_ne!(first, node.epoch);
    // Once: from then on it remembers that there was such an epoch.
    assert_eq!(hello().await.epoch, first);
    hub.stop().await;
}

#[tokio::test]
async fn what_a_hub_does_by_itself_waits_for_the_first_node_where_there_is_one() {
    let hub = Hub::start().await;
    hub.intake.first_call(Duration::from_secs(600)).await;
    let node = hub.enrol("042").await;
    let intake = hub.intake.clone();
    let mut waiting = std::pin::pin!(intake.first_call(Duration::from_secs(600)));
    assert!(tokio::time::timeout(Duration::from_millis(100), &mut waiting).await.is_err(), "nobody has called");
    node.hello().await;
    waiting.await;
    hub.stop().await;
}
