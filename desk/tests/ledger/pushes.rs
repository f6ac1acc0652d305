use crate::proof::rot;
use crate::site::{T0, TestSite, store_042};
use desk::ledger::{Incidents as _, Replication as _};
use serde_json::json;
use sync_protocol::batch::Push;
use sync_protocol::chain::Link;
use sync_protocol::message::{Limits, Outcome, PushResult};
use uuid::Uuid;

fn push(origin: Uuid, first_seq: u64, prev: Link, bodies: &[String]) -> Push {
    Push::decode(&Push::encode(origin, first_seq, prev, bodies), &Limits::default()).unwrap()
}

/// The whole stream of a node with three incidents.
async fn three(node: &TestSite) -> (Uuid, Vec<String>) {
    for n in 0..3 {
        node.incident("kim", T0 + n, json!({"description": format!("number {n}")})).await;
    }
    let run = node.ledger.unpushed(None, 100, 1 << 20).await.unwrap().unwrap();
    (run.origin, run.bodies)
}

#[tokio::test]
async fn a_repeated_push_gets_the_same_answers_as_the_first_time() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 20).await;
    let (origin, bodies) = three(&node).await;
    let first = hub
        .ledger
        .take_push(node.node_id, store_042(), push(origin, 1, Link::start(origin), &bodies), T0 + 5)
        .await
        .unwrap();
    let PushResult::Accepted { applied_seq: 3, head, .. } = first else {
        panic!("{first:?}")
    };
    let again = hub
        .ledger
        .take_push(node.node_id, store_042(), push(origin, 1, Link::start(origin), &bodies), T0 + 99)
        .await
        .unwrap();
    let PushResult::Accepted { applied_seq: 3, head: head_again, answers, .. } = again else {
        panic!("{again:?}")
    };
    assert_eq!(head, head_again);
    assert!(answers.iter().all(|answer| answer.outcome == Outcome::Duplicate && answer.received_ms == T0 + 5));
    assert_eq!(hub.ledger.stats(Default::default()).await.unwrap().total, 3);
}

#[tokio::test]
async fn a_gap_is_told_and_nothing_is_applied() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 21).await;
    let (origin, bodies) = three(&node).await;
    let link = Link::start(origin).extend(bodies[0].as_bytes());
    let result = hub
        .ledger
        .take_push(node.node_id, store_042(), push(origin, 2, link, &bodies[1..]), T0)
        .await
        .unwrap();
    assert_eq!(result, PushResult::Gap { expected: 1 });
    assert_eq!(hub.ledger.stats(Default::default()).await.unwrap().total, 0);
}

#[tokio::test]
async fn what_a_disk_has_done_to_a_change_is_not_taken_for_another_history() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 27).await;
    let (origin, bodies) = three(&node).await;
    let after =
        |count: usize| bodies[..count].iter().fold(Link::start(origin), |link, body| link.extend(body.as_bytes()));
    let pushed = async |first: usize| {
        let push = push(origin, first as u64 + 1, after(first), &bodies[first..]);
        hub.ledger.take_push(node.node_id, store_042(), push, T0).await
    };
    assert!(matches!(pushed(0).await, Ok(PushResult::Accepted { .. })));
    rot(&hub, "UPDATE changes SET body = replace(body, 'number 1', 'number 8')");
    for first in [0, 1, 2] {
        let refused = pushed(first).await.unwrap_err().to_string();
        assert!(refused.contains("is damaged"), "{first}: {refused}");
    }
    rot(&hub, "UPDATE changes SET body = replace(body, 'number 8', 'number 1')");
    for first in [0, 1, 2] {
        assert!(matches!(pushed(first).await, Ok(PushResult::Accepted { .. })), "{first}");
    }
}

#[tokio::test]
async fn another_history_under_the_same_numbers_is_a_fork_and_is_kept_aside() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 22).await;
    let (origin, bodies) = three(&node).await;
    hub.ledger
        .take_push(node.node_id, store_042(), push(origin, 1, Link::start(origin), &bodies), T0)
        .await
        .unwrap();
    let mut other = bodies.clone();
    other[1] = other[1].replace("number 1", "number X");
    let overlapping = hub
        .ledger
        .take_push(node.node_id, store_042(), push(origin, 1, Link::start(origin), &other), T0)
        .await
        .unwrap();
    assert_eq!(overlapping, PushResult::Fork { agreed_seq: 1 });
    let forged = other.iter().fold(Link::start(origin), |link, body| link.extend(body.as_bytes()));
    let behind = hub
        .ledger
        .take_push(node.node_id, store_042(), push(origin, 4, forged, &bodies[..1]), T0)
        .await
        .unwrap();
    assert!(matches!(behind, PushResult::Fork { .. }), "{behind:?}");
    assert_eq!(hub.ledger.stats(Default::default()).await.unwrap().total, 3);
}

#[tokio::test]
async fn a_bad_change_is_kept_with_its_reason_and_only_its_own_record_waits() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 23).await;
    let origin = node.ids.new_v7(T0);
    let (bad, good) = (node.ids.new_v7(T0), node.ids.new_v7(T0));
    let bodies = vec![
        format!(
            r#"{{"at":{T0},"by":"kim","id":"{bad}","kind":"incident","new":true,"set":{{"description":"x","severity":9}}}}"#
        ),
        format!(r#"{{"at":{T0},"by":"kim","id":"{bad}","kind":"incident","set":{{"zone":"aisle"}}}}"#),
        "this is no change at all".to_owned(),
        format!(
            r#"{{"at":{T0},"by":"kim","hue":7,"id":"{good}","kind":"incident","new":true,"set":{{"description":"fine","smell":"smoke"}}}}"#
        ),
        format!(
            r#"{{"at":{T0},"by":"kim","id":"{}","kind":"weather","new":true,"set":{{"sky":"grey"}}}}"#,
            node.ids.new_v7(T0)
        ),
    ];
    let result = hub
        .ledger
        .take_push(node.node_id, store_042(), push(origin, 1, Link::start(origin), &bodies), T0)
        .await
        .unwrap();
    let PushResult::Accepted { applied_seq: 5, answers, .. } = result else {
        panic!("{result:?}")
    };
    let told: Vec<&str> = answers
        .iter()
        .map(|answer| match &answer.outcome {
            Outcome::Quarantined { code, .. } => code.as_str(),
            Outcome::Deferred => "deferred",
            Outcome::Applied => "applied",
            Outcome::Merged | Outcome::Duplicate => "other",
        })
        .collect();
    assert_eq!(told, ["bad-value", "deferred", "malformed", "applied", "applied"]);
    assert_eq!(hub.ledger.stats(Default::default()).await.unwrap().total, 1);

    // Fields and kinds that nobody here knows reach another node byte for byte.
    let other = TestSite::node(&hub, 24).await;
    other.pull_from(&hub, T0).await;
    let page: Vec<String> = {
        let fresh = TestSite::node(&hub, 25).await;
        let mut all = Vec::new();
        loop {
            let page = fresh.page_of(&hub, T0).await;
            all.extend(page.lines.iter().map(|line| line.body.get().to_owned()));
            let more = page.header.more;
            fresh.ledger.apply_page(page, T0).await.unwrap();
            if !more {
                break all;
            }
        }
    };
    assert!(page.contains(&bodies[3]) && page.contains(&bodies[4]));
    assert!(!page.contains(&bodies[0]), "what is in quarantine is not handed on");
    let audit = hub.ledger.audit().await.unwrap();
    assert_eq!(audit.faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_stream_of_another_node_is_refused() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 26).await;
    let (origin, bodies) = three(&node).await;
    hub.ledger
        .take_push(node.node_id, store_042(), push(origin, 1, Link::start(origin), &bodies), T0)
        .await
        .unwrap();
    let thief = Uuid::from_u128(5);
    assert!(
        hub.ledger
            .take_push(thief, store_042(), push(origin, 1, Link::start(origin), &bodies), T0)
            .await
            .is_err()
    );
}
