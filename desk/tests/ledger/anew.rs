use crate::site::{T0, TestSite, store_042};
use chassis::ids::Ids;
use desk::ledger::{Beginning, Incidents as _, Replication as _, Site as _};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use sync_protocol::batch::Push;
use sync_protocol::chain::Link;
use sync_protocol::merge::Deletion;
use sync_protocol::message::{Limits, PushResult};
use sync_protocol::record::{COMMENT, STEP};
use uuid::Uuid;

/// Histories tried; each has up to 40 steps.
const HISTORIES: u64 = 24;

fn beginning(of: Uuid, agreed_seq: u64) -> Beginning {
    Beginning {
        of,
        agreed_seq,
        lost: 0,
        why: "this folder was restored from a backup".to_owned(),
        now_ms: T0 + 9_000_000,
    }
}

/// Every incident as people see it, and how many comments it has.
async fn shown(site: &TestSite, ids: &[Uuid]) -> BTreeMap<Uuid, (Value, bool, usize)> {
    let mut shown = BTreeMap::new();
    for id in ids {
        let Some(whole) = site.ledger.incident_whole(*id).await.unwrap() else {
            continue;
        };
        let doc = serde_json::from_str(&whole.row.doc).unwrap();
        shown.insert(*id, (doc, whole.row.deleted, whole.comments.len()));
    }
    shown
}

/// The same without the version, which follows from the names of the changes behind it.
async fn values(site: &TestSite, ids: &[Uuid]) -> BTreeMap<Uuid, (Value, bool, usize)> {
    let mut shown = shown(site, ids).await;
    for (doc, _, _) in shown.values_mut() {
        doc.as_object_mut().unwrap().remove("version").unwrap();
    }
    shown
}

async fn bodies(site: &TestSite, after: u64) -> Vec<Value> {
    let run = site.ledger.unpushed(Some(after), 1000, 1 << 24).await.unwrap();
    run.map_or_else(Vec::new, |run| run.bodies.iter().map(|body| serde_json::from_str(body).unwrap()).collect())
}

/// A body without what a new beginning may change.
fn kept(mut body: Value) -> Value {
    let members = body.as_object_mut().unwrap();
    members.remove("base");
    members.remove("hlc");
    if let Some(deleted) = members["set"].get_mut("deleted").filter(|deleted| !deleted.is_null()) {
        *deleted = json!("a deletion");
    }
    body
}

/// One step that somebody takes at the store or at headquarters.
async fn step(random: &Ids, hub: &TestSite, node: &TestSite, ids: &mut Vec<Uuid>, at_ms: i64) {
    let known = |n: u64| ids.get((n % ids.len().max(1) as u64) as usize).copied();
    let text = format!("at {at_ms}");
    match (random.random_u64() % 10, known(random.random_u64() >> 8)) {
        (0..3, _) | (_, None) => ids.push(node.incident("kim", at_ms, json!({"description": text})).await),
        (3 | 4, Some(id)) => node.edit("kim", at_ms, id, json!({"location": text})).await,
        (5, Some(id)) => drop(node.child("lee", at_ms, COMMENT, id, json!({"body": text})).await),
        (6, Some(id)) => {
            node.child("lee", at_ms, STEP, id, json!({"from": "submitted", "to": "in_review"})).await;
        }
        (7, Some(id)) => {
            let backlog = node.ledger.backlog().await.unwrap();
            let deletion = Deletion { saw: [(backlog.origin, backlog.seq)].into() };
            node.edit("kim", at_ms, id, json!({"deleted": serde_json::to_value(deletion).unwrap()})).await;
        }
        (8, _) => {
            node.push_to(hub, at_ms).await;
            node.pull_from(hub, at_ms).await;
        }
        (_, Some(id)) => {
            if hub.ledger.incident(id).await.unwrap().is_some() {
                hub.edit("pat", at_ms + 1, id, json!({"zone": "office", "title": text})).await;
            }
        }
    }
}

#[tokio::test]
async fn a_new_beginning_at_any_number_of_any_history_changes_nothing_that_people_see() {
    let first = std::env::var("AINCIDENT_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1000_u64);
    for seed in first..first + HISTORIES {
        println!("AINCIDENT_TEST_SEED={seed}");
        let random = Ids::seeded(seed);
        let hub = TestSite::hub().await;
        let node = TestSite::node(&hub, seed).await;
        let mut ids = Vec::new();
        for n in 0..random.random_u64() % 40 {
            step(&random, &hub, &node, &mut ids, T0 + 10 * n as i64).await;
        }
        let (before, here) = (node.ledger.backlog().await.unwrap(), values(&node, &ids).await);
        let agreed_seq = random.random_u64() % (before.seq + 2);
        let was = bodies(&node, agreed_seq).await;
        let foreign = node.ledger.audit().await.unwrap().changes - before.seq;

        let anew = node.ledger.begin_anew(beginning(before.origin, agreed_seq)).await.unwrap().unwrap();
        assert_eq!(node.ledger.begin_anew(beginning(before.origin, agreed_seq)).await.unwrap(), None, "once");
        let after = node.ledger.backlog().await.unwrap();
        assert_eq!((after.origin, after.seq, after.pending_changes), (anew.origin, was.len() as u64, was.len() as u64));
        assert_eq!(values(&node, &ids).await, here, "agreed on {agreed_seq} of {}", before.seq);
        let audit = node.ledger.audit().await.unwrap();
        assert_eq!(audit.faults, Vec::<String>::new());
        assert_eq!(audit.changes, before.seq + foreign, "nobody else's changes are touched");
        let now = bodies(&node, 0).await;
        assert!(now.iter().all(|body| body["hlc"].is_string()));
        assert_eq!(now.into_iter().map(kept).collect::<Vec<_>>(), was.into_iter().map(kept).collect::<Vec<_>>());

        // Headquarters cannot have agreed on more than it was sent.
        if agreed_seq > before.seq - before.pending_changes {
            continue;
        }
        node.push_to(&hub, T0 + 1_000_000).await;
        node.pull_from(&hub, T0 + 1_000_000).await;
        for site in [&node, &hub] {
            assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
        }
        assert_eq!(shown(&node, &ids).await, shown(&hub, &ids).await);
    }
}

#[tokio::test]
async fn what_headquarters_holds_of_a_forked_stream_comes_back_beside_what_was_recorded_again() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 50).await;
    let shared = node.incident("kim", T0, json!({"description": "before the backup"})).await;
    node.push_to(&hub, T0).await;
    // The folder's future, as headquarters has it: number 2 was recorded and pushed, then the folder went back.
    let lost_id = Uuid::from_u128(77);
    let origin = node.ledger.backlog().await.unwrap().origin;
    let prev = node.ledger.own_link(1).await.unwrap().unwrap();
    assert_eq!(node.ledger.own_link(2).await.unwrap(), None);
    let lost = format!(
        r#"{{"at":{T0},"by":"kim","id":"{lost_id}","kind":"incident","new":true,"set":{{"description":"lost","reference":"042-2026-000002"}}}}"#
    );
    let push = Push::decode(&Push::encode(origin, 2, prev, &[lost]), &Limits::default()).unwrap();
    let taken = hub.ledger.take_push(node.node_id, store_042(), push, T0 + 5).await.unwrap();
    assert!(matches!(taken, PushResult::Accepted { applied_seq: 2, .. }));
    let other = node.incident("lee", T0 + 9, json!({"description": "after the backup"})).await;
    node.edit("lee", T0 + 10, other, json!({"zone": "aisle"})).await;

    let empty =
        |seq, link| Push::decode(&Push::encode(origin, seq, link, &[] as &[String]), &Limits::default()).unwrap();
    for (last, same) in [(2, false), (1, true)] {
        let link: Link = node.ledger.own_link(last).await.unwrap().unwrap();
        let probed = hub.ledger.take_push(node.node_id, store_042(), empty(last + 1, link), T0).await.unwrap();
        assert_eq!(matches!(probed, PushResult::Accepted { .. }), same, "{last}: {probed:?}");
    }
    let anew = node.ledger.begin_anew(beginning(origin, 1)).await.unwrap().unwrap();
    assert_eq!((anew.agreed_seq, anew.recorded_again), (1, 2));
    node.push_to(&hub, T0 + 20).await;
    node.pull_from(&hub, T0 + 20).await;
    for id in [shared, lost_id, other] {
        let (here, there) = (node.ledger.incident(id).await.unwrap(), hub.ledger.incident(id).await.unwrap());
        assert_eq!(here.unwrap().doc, there.unwrap().doc);
    }
    let notice = node.ledger.link_state().await.unwrap().notice.unwrap();
    assert_eq!((notice.recorded_again, notice.came_back), (2, 1));
    for site in [&node, &hub] {
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0);
    }
}
