use crate::site::{T0, TestSite, fixed_id, store_042};
use chassis::sqlite::rusqlite::Connection;
use desk::ledger::{
    CaughtUp, HubProgram, Incidents as _, Photos as _, Refusals as _, RefusedRow, Replication as _, Versions as _,
};
use serde_json::json;
use sync_protocol::batch::Push;
use sync_protocol::change::{Change, ChangeId};
use sync_protocol::merge::RecordState;
use sync_protocol::message::{Limits, Outcome, PushResult};
use sync_protocol::record::{self, COMMENT, PHOTO, STEP};
use uuid::Uuid;

fn database(site: &TestSite) -> Connection {
    Connection::open(site.folder.0.join("ledger.sqlite")).unwrap()
}

/// Makes `site` what it would be had a program recorded all this that did not know `kinds`: no table shows their records,
/// and its note of what it knows lacks them.
fn forget_kinds(site: &TestSite, kinds: &[&str]) {
    let db = database(site);
    let mut knows = record::knowledge();
    knows.retain(|kind, _| !kinds.contains(&kind.as_str()));
    let knows = serde_json::to_string(&knows).unwrap();
    db.execute("INSERT OR REPLACE INTO site (name, value) VALUES ('knows', ?1)", [knows]).unwrap();
    for kind in kinds {
        let tables: &[&str] = match *kind {
            COMMENT => &["DELETE FROM comments", "UPDATE incidents SET comment_count = 0"],
            PHOTO => &["DELETE FROM pieces", "DELETE FROM photos", "UPDATE incidents SET photo_count = 0"],
            // What a step moved stayed where it was.
            STEP => &[],
            other => panic!("{other} has no tables here"),
        };
        for statement in tables {
            db.execute(statement, []).unwrap();
        }
    }
}

async fn faults(site: &TestSite) -> Vec<String> {
    site.ledger.audit().await.unwrap().faults
}

#[tokio::test]
async fn records_of_a_kind_that_was_unknown_are_shown_by_the_program_that_knows_it() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 40).await;
    assert_eq!(
        node.ledger.catch_up(T0).await.unwrap(),
        CaughtUp::default(),
        "a new folder has nothing to catch up with"
    );
    let id = node.incident("kim", T0, json!({"description": "a window"})).await;
    let digest = "ab".repeat(32);
    for n in 0..450 {
        node.child("kim", T0 + n, COMMENT, id, json!({"body": format!("said {n}")})).await;
    }
    let photo = json!({"sha256": digest, "size_bytes": 7, "media_type": "image/jpeg", "filename": "a.jpg"});
    let photo = node.child("kim", T0 + 500, PHOTO, id, photo).await;
    let whole = node.ledger.incident_whole(id).await.unwrap().unwrap();
    forget_kinds(&node, &[COMMENT, PHOTO]);
    assert!(!faults(&node).await.is_empty() && node.ledger.photo(photo).await.unwrap().is_none());

    let done = node.ledger.catch_up(T0 + 600).await.unwrap();
    assert_eq!(done, CaughtUp { records: 451, set_aside: 0 });
    let now = node.ledger.incident_whole(id).await.unwrap().unwrap();
    assert_eq!(serde_json::to_value(&now.comments).unwrap(), serde_json::to_value(&whole.comments).unwrap());
    assert_eq!((now.row.comment_count, now.row.photo_count), (450, 1));
    assert!(node.ledger.photo(photo).await.unwrap().is_some());
    assert_eq!(faults(&node).await, Vec::<String>::new());
    assert_eq!(node.ledger.catch_up(T0 + 700).await.unwrap(), CaughtUp::default(), "once is enough");
    node.push_to(&hub, T0 + 800).await;
    assert_eq!(hub.ledger.incident_whole(id).await.unwrap().unwrap().comments.len(), 450);
}

#[tokio::test]
async fn a_step_that_an_old_program_did_not_know_moves_its_incident_after_the_upgrade() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 41).await;
    let id = node.incident("kim", T0, json!({"description": "a window", "status": "submitted"})).await;
    node.child("lee", T0 + 5, STEP, id, json!({"from": "submitted", "to": "in_review"})).await;
    let db = database(&node);
    let before: String =
        db.query_row("SELECT state FROM records WHERE record_id = ?1", [id], |row| row.get(0)).unwrap();
    // An old program would have left the status alone.
    db.execute("UPDATE records SET state = replace(state, 'in_review', 'submitted') WHERE record_id = ?1", [id])
        .unwrap();
    assert!(before.contains("in_review"));
    forget_kinds(&node, &[STEP]);
    assert_eq!(node.ledger.catch_up(T0 + 9).await.unwrap().records, 1);
    assert_eq!(node.ledger.incident(id).await.unwrap().unwrap().status, "in_review");
    assert_eq!(faults(&node).await, Vec::<String>::new());
}

#[tokio::test]
async fn what_an_old_program_kept_unchecked_waits_in_quarantine_where_the_new_one_cannot_take_it() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 42).await;
    let id = node.incident("kim", T0, json!({"description": "a window"})).await;
    let good = node.child("kim", T0 + 2, COMMENT, id, json!({"body": "seen"})).await;
    node.push_to(&hub, T0 + 5).await;
    let (bad, origin) = (fixed_id("bad"), node.ids.new_v7(T0));
    let bodies = [
        format!(
            r#"{{"at":{T0},"by":"kim","id":"{bad}","kind":"comment","new":true,"set":{{"body":7,"incident_id":"{id}"}}}}"#
        ),
        format!(r#"{{"at":{T0},"by":"kim","id":"{bad}","kind":"comment","set":{{"body":"better"}}}}"#),
    ];
    let bytes = Push::encode(origin, 1, sync_protocol::chain::Link::start(origin), &bodies);
    let push = Push::decode(&bytes, &Limits::default()).unwrap();
    hub.ledger.take_push(node.node_id, store_042(), push, T0 + 6).await.unwrap();
    // A hub that does not know comments had taken both, whatever they hold.
    let changes = bodies.each_ref().map(|body| Change::from_body(body).unwrap());
    let numbered = (1..).zip(&changes).map(|(seq, change)| (ChangeId { origin, seq }, change.order(), change));
    let state = serde_json::to_string(&RecordState::of(numbered)).unwrap();
    let db = database(&hub);
    db.execute("DELETE FROM quarantine", []).unwrap();
    let parent: i64 =
        db.query_row("SELECT record_no FROM records WHERE record_id = ?1", [id], |row| row.get(0)).unwrap();
    let insert =
        "INSERT INTO records (record_id, kind, scope, parent_no, state) VALUES (?1, 'comment', 'store/042', ?2, ?3)";
    db.execute(insert, (bad, parent, state)).unwrap();
    drop(db);
    hub.ledger.catch_up(T0 + 7).await.unwrap();
    forget_kinds(&hub, &[COMMENT]);

    assert_eq!(hub.ledger.catch_up(T0 + 9).await.unwrap(), CaughtUp { records: 2, set_aside: 2 });
    let comments = hub.ledger.incident_whole(id).await.unwrap().unwrap().comments;
    assert_eq!(comments.iter().map(|comment| comment.id).collect::<Vec<_>>(), [good]);
    let reasons: Vec<String> = database(&hub)
        .prepare(
            "SELECT waits || ' ' || code || ': ' || reason FROM quarantine WHERE record_id = ?1 ORDER BY change_no",
        )
        .unwrap()
        .query_map([bad], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert!(reasons[0].starts_with("0 bad-value: body") && reasons[1].starts_with("1 waits"), "{reasons:?}");
    assert_eq!(faults(&hub).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_kind_and_fields_that_nobody_here_knows_pass_through_byte_for_byte() {
    let hub = TestSite::hub().await;
    let (sender, receiver) = (TestSite::node(&hub, 43).await, TestSite::node(&hub, 44).await);
    let (origin, id) = (sender.ids.new_v7(T0), fixed_id("weather"));
    // With white space, a member and a field of a later version.
    let weather = format!(
        r#"{{ "set":{{"rain":{{"mm":1e-7}}}},"at":{T0},  "by":"kim","id":"{id}","kind":"weather","new":true,"mood":[1, 2] }}"#
    );
    let weather = weather.trim().to_owned();
    let incident = fixed_id("later incident");
    let later = format!(
        r#"{{"at":{T0},"by":"kim","id":"{incident}","kind":"incident","new":true,"set":{{"description":"x","smell":"burnt"}}}}"#
    );
    let bodies = [weather, later];
    let bytes = Push::encode(origin, 1, sync_protocol::chain::Link::start(origin), &bodies);
    let push = Push::decode(&bytes, &Limits::default()).unwrap();
    let taken = hub.ledger.take_push(sender.node_id, store_042(), push, T0 + 5).await.unwrap();
    let PushResult::Accepted { answers, .. } = taken else {
        panic!("{taken:?}")
    };
    assert!(answers.iter().all(|answer| answer.outcome == Outcome::Applied), "{answers:?}");
    receiver.pull_from(&hub, T0 + 9).await;
    let kept: Vec<String> = database(&receiver)
        .prepare("SELECT c.body FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE o.origin = ?1 ORDER BY c.seq")
        .unwrap()
        .query_map([origin], |row| row.get(0))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(kept, bodies);
    let (here, there) = (
        receiver.ledger.incident(incident).await.unwrap().unwrap(),
        hub.ledger.incident(incident).await.unwrap().unwrap(),
    );
    assert_eq!((&here.doc, &here.version), (&there.doc, &there.version));
    assert!(Change::from_body(&kept[1]).unwrap().set.contains_key("smell"));
}

#[tokio::test]
async fn a_hub_that_learns_to_seal_is_pulled_from_the_beginning_once() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 45).await;
    assert_eq!(node.ledger.hub_program().await.unwrap().protocol, 1);
    let of = |protocol| HubProgram { protocol, newest: protocol, version: String::new() };
    assert!(!node.ledger.see_hub_program(of(1)).await.unwrap());
    hub.incident("pat", T0, json!({"description": "from headquarters"})).await;
    // As a hub of version 1 sends them.
    let mut page = node.page_of(&hub, T0).await;
    page.lines.iter_mut().for_each(|line| line.seal = None);
    node.ledger.apply_page(page, T0).await.unwrap();
    let unsealed = || -> i64 {
        let sql = "SELECT count(*) FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE o.mine = 0 AND c.seal IS NULL";
        database(&node).query_row(sql, [], |row| row.get(0)).unwrap()
    };
    assert!(unsealed() > 0);
    assert!(node.ledger.see_hub_program(of(2)).await.unwrap(), "everything is pulled again");
    assert!(node.ledger.cursors().await.unwrap().values().all(Option::is_none));
    node.pull_from(&hub, T0).await;
    assert_eq!(unsealed(), 0);
    assert!(!node.ledger.see_hub_program(HubProgram { newest: 3, ..of(2) }).await.unwrap(), "once");
    assert!(node.ledger.cursors().await.unwrap().values().all(Option::is_some));
}

#[tokio::test]
async fn refusals_are_counted_by_node_and_reason_and_made_up_names_push_nothing_out() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 46).await;
    let row = |node_id, code: &str, proven, at| RefusedRow {
        node_id,
        code: code.to_owned(),
        proven,
        agent: "aincident-node/0.1.0".to_owned(),
        count: 2,
        first_ms: at,
        last_ms: at,
        known_as: None,
    };
    for at in [T0, T0 + 5] {
        hub.ledger.note_refused(vec![row(node.node_id, "node-revoked", true, at)]).await.unwrap();
    }
    for batch in 0..10 {
        let made_up = (0..100).map(|n| row(Uuid::from_u128(batch * 100 + n), "unknown-node", false, T0 + 9));
        hub.ledger.note_refused(made_up.collect()).await.unwrap();
    }
    let kept = hub.ledger.refused().await.unwrap();
    assert_eq!(kept.iter().filter(|row| !row.proven).count(), 100);
    let revoked = kept.iter().find(|row| row.node_id == node.node_id).unwrap();
    assert_eq!((revoked.count, revoked.first_ms, revoked.last_ms), (4, T0, T0 + 5));
    assert_eq!(revoked.known_as, Some(("042".to_owned(), "till".to_owned())));
    assert_eq!(kept.len(), 101);
}
