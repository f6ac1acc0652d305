//! People decide about changes in quarantine: the same at every site, whoever decides, in whatever order it is heard of.

use crate::site::{T0, TestSite, set, store_042};
use chassis::sqlite::rusqlite::Connection;
use desk::Refusal;
use desk::ledger::{
    Accounts as _, Incidents as _, Proof as _, Quarantine as _, QuarantineQuery, Quarantined, Replication as _,
    Settling, Site as _, Standing, Verdict, Versions as _,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use sync_protocol::batch::{Page, Push};
use sync_protocol::chain::Link;
use sync_protocol::change::{ChangeId, MAX_BODY_BYTES};
use sync_protocol::message::{Limits, Outcome, PageHeader, PageLine, PushResult};
use sync_protocol::record::{COMMENT, INCIDENT, STEP};
use sync_protocol::scope::Scope;
use uuid::Uuid;

async fn push(
    node: &TestSite,
    hub: &TestSite,
    first_seq: u64,
    prev: Link,
    bodies: &[String],
    now_ms: i64,
) -> PushResult {
    let origin = node.ledger.backlog().await.unwrap().origin;
    let push = Push::decode(&Push::encode(origin, first_seq, prev, bodies), &Limits::default()).unwrap();
    hub.ledger.take_push(node.node_id, store_042(), push, now_ms).await.unwrap()
}

/// Pushes what waits, the first change as one that made the hub fail.
async fn push_failing(node: &TestSite, hub: &TestSite, now_ms: i64) {
    let run = node.ledger.unpushed(None, 1, 1 << 20).await.unwrap().unwrap();
    let push =
        Push::decode(&Push::encode(run.origin, run.first_seq, run.prev, &run.bodies), &Limits::default()).unwrap();
    let failed = hub.ledger.keep_failed(node.node_id, store_042(), push, "it failed".to_owned(), now_ms);
    let PushResult::Accepted { applied_seq, answers, .. } = failed.await.unwrap() else {
        panic!("not accepted")
    };
    node.ledger.note_answers(run.origin, applied_seq, answers).await.unwrap();
    node.push_to(hub, now_ms).await;
}

/// What the replicator does until nothing is left to do: push, pull, and ask what became of what was not taken.
async fn sync(node: &TestSite, hub: &TestSite, now_ms: i64) {
    node.push_to(hub, now_ms).await;
    node.pull_from(hub, now_ms).await;
    let mut after = 0;
    while let Some(run) = node.ledger.unsettled(after, 100, 1 << 20).await.unwrap() {
        after = run.first_seq + run.bodies.len() as u64 - 1;
        match push(node, hub, run.first_seq, run.prev, &run.bodies, now_ms).await {
            PushResult::Accepted { answers, .. } => {
                node.ledger.note_answers(run.origin, after, answers).await.unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
}

async fn open(site: &TestSite) -> Vec<Quarantined> {
    site.ledger.quarantine(QuarantineQuery { limit: 100, ..QuarantineQuery::default() }).await.unwrap()
}

async fn settle(
    site: &TestSite,
    by: &str,
    at_ms: i64,
    id: ChangeId,
    verdict: Verdict,
) -> Result<Quarantined, desk::Error> {
    let judgement = Box::new(move |_: &Quarantined| Ok(verdict));
    site.ledger.settle(Settling { id, by: by.to_owned(), when: at_ms.into(), judgement }).await
}

fn discard() -> Verdict {
    Verdict::Discard { reason: "nobody knows what it is".to_owned() }
}

fn retry() -> Verdict {
    Verdict::Retry { reason: None }
}

/// Both hold the same incidents, have the same open and settled, and their tables are what their changes say.
async fn alike(node: &TestSite, hub: &TestSite, incidents: &[Uuid]) {
    for id in incidents {
        let (here, there) = (node.ledger.incident(*id).await.unwrap(), hub.ledger.incident(*id).await.unwrap());
        assert_eq!(here.as_ref().map(|row| &row.doc), there.as_ref().map(|row| &row.doc), "{id}");
        assert_eq!(here.map(|row| row.comment_count), there.map(|row| row.comment_count), "{id}");
    }
    let ids = |items: Vec<Quarantined>| items.into_iter().map(|item| (item.id, item.code)).collect::<BTreeMap<_, _>>();
    assert_eq!(ids(open(node).await), ids(open(hub).await));
    for site in [node, hub] {
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
}

fn words(item: &Quarantined) -> Vec<(&str, &str, &str)> {
    item.words.iter().map(|word| (word.action.as_str(), word.by.as_str(), word.site.as_str())).collect()
}

#[tokio::test]
async fn a_change_tried_again_at_headquarters_takes_what_waited_along_and_the_store_hears_of_it() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 60).await;
    let other = TestSite::node(&hub, 61).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle"})).await;
    node.edit("kim", T0 + 1, id, json!({"zone": "aisle"})).await;
    node.child("lee", T0 + 2, COMMENT, id, json!({"body": "mopped"})).await;
    let apart = node.incident("kim", T0 + 3, json!({"description": "another matter"})).await;
    push_failing(&node, &hub, T0 + 10).await;
    assert!(hub.ledger.incident(id).await.unwrap().is_none());
    assert!(hub.ledger.incident(apart).await.unwrap().is_some(), "only its record waits");
    let items = open(&hub).await;
    assert_eq!(items.len(), 1, "what waits is counted, not listed");
    assert_eq!((items[0].code.as_str(), items[0].waiting, items[0].record_id), ("failed", 2, Some(id)));
    let at_node = open(&node).await;
    assert_eq!((at_node[0].id, at_node[0].waiting, at_node[0].code.as_str()), (items[0].id, 2, "failed"));
    assert_eq!(node.ledger.backlog().await.unwrap().quarantined, 3);
    assert_eq!(hub.ledger.backlog().await.unwrap().quarantined, 3);

    let item = settle(&hub, "pat", T0 + 20, items[0].id, retry()).await.unwrap();
    assert_eq!((item.standing, words(&item)), (Standing::Applied, vec![("retry", "pat", "hub")]));
    assert!(matches!(
        settle(&hub, "pat", T0 + 21, items[0].id, retry()).await,
        Err(desk::Error::Refused(Refusal::Conflict(_)))
    ));
    sync(&node, &hub, T0 + 30).await;
    sync(&other, &hub, T0 + 30).await;
    assert_eq!(open(&hub).await.len(), 0);
    for site in [&node, &other] {
        alike(site, &hub, &[id, apart]).await;
        assert_eq!(site.ledger.backlog().await.unwrap().quarantined, 0);
    }
    let told = node.ledger.quarantined(items[0].id).await.unwrap().unwrap();
    assert_eq!((told.standing, words(&told)), (Standing::Applied, vec![("retry", "pat", "hub")]));
}

#[tokio::test]
async fn a_retry_asked_for_in_the_store_is_done_where_the_change_is_in_quarantine() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 62).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle"})).await;
    push_failing(&node, &hub, T0 + 10).await;
    let change = open(&node).await[0].id;
    let item = settle(&node, "mia", T0 + 20, change, retry()).await.unwrap();
    assert_eq!(item.standing, Standing::Open, "headquarters has not heard of it");
    sync(&node, &hub, T0 + 30).await;
    alike(&node, &hub, &[id]).await;
    let told = hub.ledger.quarantined(change).await.unwrap().unwrap();
    assert_eq!((told.standing, words(&told)), (Standing::Applied, vec![("retry", "mia", "042")]));
    assert_eq!(node.ledger.backlog().await.unwrap().quarantined, 0);
}

#[tokio::test]
async fn what_a_store_decides_against_leaves_its_record_at_both_sites_and_what_waited_goes_on() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 63).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle", "zone": "aisle"})).await;
    node.push_to(&hub, T0 + 5).await;
    node.edit("kim", T0 + 10, id, json!({"zone": "office", "location": "by the door"})).await;
    node.edit("kim", T0 + 11, id, json!({"title": "wet"})).await;
    push_failing(&node, &hub, T0 + 20).await;
    let change = open(&node).await[0].id;
    let item = settle(&node, "mia", T0 + 30, change, discard()).await.unwrap();
    assert_eq!(item.standing, Standing::Settled);
    let doc: Value = serde_json::from_str(&node.ledger.incident(id).await.unwrap().unwrap().doc).unwrap();
    assert_eq!((&doc["zone"], &doc["location"], &doc["title"]), (&json!("aisle"), &Value::Null, &json!("wet")));
    sync(&node, &hub, T0 + 40).await;
    alike(&node, &hub, &[id]).await;
    for site in [&node, &hub] {
        let told = site.ledger.quarantined(change).await.unwrap().unwrap();
        assert_eq!((told.standing, words(&told)), (Standing::Settled, vec![("discard", "mia", "042")]));
        assert!(told.body.contains("by the door"), "it is kept as it came");
        assert_eq!(site.ledger.backlog().await.unwrap().quarantined, 0);
        let query = QuarantineQuery { settled: true, limit: 10, ..QuarantineQuery::default() };
        assert_eq!(site.ledger.quarantine(query).await.unwrap().len(), 1);
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0);
    }
    // It is said of it once.
    let again = settle(&hub, "pat", T0 + 50, change, discard()).await;
    let Err(desk::Error::Refused(Refusal::Conflict(why))) = again else {
        panic!("{again:?}")
    };
    assert!(why.contains("mia"), "{why}");
}

#[tokio::test]
async fn a_decision_that_came_before_a_site_knew_of_any_is_carried_out_by_the_program_that_does() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 64).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle", "zone": "aisle"})).await;
    node.push_to(&hub, T0 + 5).await;
    node.edit("kim", T0 + 10, id, json!({"zone": "office"})).await;
    node.edit("kim", T0 + 11, id, json!({"title": "wet"})).await;
    push_failing(&node, &hub, T0 + 20).await;
    let change = open(&node).await[0].id;
    settle(&hub, "pat", T0 + 30, change, discard()).await.unwrap();
    sync(&node, &hub, T0 + 40).await;
    alike(&node, &hub, &[id]).await;
    // As a program left it that kept the decision without knowing what it was.
    let db = Connection::open(node.folder.0.join("ledger.sqlite")).unwrap();
    for sql in ["DELETE FROM settlements", "DELETE FROM quarantine", "DELETE FROM site WHERE name = 'knows'"] {
        db.execute(sql, []).unwrap();
    }
    node.ledger.mend_records(vec![store_042()], vec![id], T0 + 50).await.unwrap();
    let doc: Value = serde_json::from_str(&node.ledger.incident(id).await.unwrap().unwrap().doc).unwrap();
    assert_eq!(doc["zone"], "office");

    node.ledger.catch_up(T0 + 60).await.unwrap();
    alike(&node, &hub, &[id]).await;
    let told = node.ledger.quarantined(change).await.unwrap().unwrap();
    assert_eq!((told.standing, words(&told)), (Standing::Settled, vec![("discard", "pat", "hub")]));
}

#[tokio::test]
async fn a_report_that_is_decided_against_takes_with_it_nothing_that_others_said_of_it() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 64).await;
    let id = node.incident("kim", T0, json!({"description": "a prank"})).await;
    node.child("lee", T0 + 1, COMMENT, id, json!({"body": "not funny"})).await;
    node.child("mia", T0 + 2, STEP, id, json!({"from": "submitted", "to": "closed"})).await;
    push_failing(&node, &hub, T0 + 10).await;
    let change = open(&hub).await[0].id;
    settle(&hub, "pat", T0 + 20, change, discard()).await.unwrap();
    sync(&node, &hub, T0 + 30).await;
    for site in [&node, &hub] {
        assert!(site.ledger.incident(id).await.unwrap().is_none());
        let codes: Vec<String> = open(site).await.into_iter().map(|item| item.code).collect();
        assert_eq!(codes, ["no-record", "no-record"], "each waits for a decision of its own");
    }
    alike(&node, &hub, &[id]).await;
    for item in open(&node).await {
        settle(&node, "mia", T0 + 40, item.id, discard()).await.unwrap();
    }
    sync(&node, &hub, T0 + 50).await;
    assert_eq!((open(&node).await.len(), open(&hub).await.len()), (0, 0));
    alike(&node, &hub, &[id]).await;
    for site in [&node, &hub] {
        assert_eq!(site.ledger.backlog().await.unwrap().quarantined, 0);
        assert_eq!(site.ledger.stats(Default::default()).await.unwrap().total, 0);
    }
}

#[tokio::test]
async fn a_correction_stands_in_for_the_change_at_both_sites() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 65).await;
    let id = node.incident("kim", T0, json!({"description": "a pudle", "zone": "aisle"})).await;
    node.edit("kim", T0 + 1, id, json!({"title": "wet"})).await;
    node.child("lee", T0 + 2, COMMENT, id, json!({"body": "mopped"})).await;
    push_failing(&node, &hub, T0 + 10).await;
    for (editor, name) in [(&hub, "pat"), (&node, "mia")] {
        let Some(item) = open(editor).await.into_iter().next() else {
            continue;
        };
        let verdict = Verdict::Edit {
            reason: "spelling".to_owned(),
            kind: INCIDENT,
            record: id,
            set: set(json!({"description": "a puddle"})),
        };
        let item = settle(editor, name, T0 + 20, item.id, verdict).await.unwrap();
        assert_eq!(item.standing, Standing::Settled);
        let instead = item.words.last().unwrap().instead.unwrap();
        let stood_in = editor.ledger.quarantined(instead).await.unwrap().unwrap();
        assert_eq!((stood_in.by.as_deref(), stood_in.standing), (Some(name), Standing::Applied));
        sync(&node, &hub, T0 + 30).await;
    }
    alike(&node, &hub, &[id]).await;
    for site in [&node, &hub] {
        let row = site.ledger.incident(id).await.unwrap().unwrap();
        let doc: Value = serde_json::from_str(&row.doc).unwrap();
        assert_eq!(
            (&doc["description"], &doc["zone"], &doc["title"], row.comment_count),
            (&json!("a puddle"), &Value::Null, &json!("wet"), 1)
        );
        assert_eq!(site.ledger.backlog().await.unwrap().quarantined, 0);
        assert_eq!(site.ledger.reviews(None, 10).await.unwrap().len(), 0, "nobody typed over anybody");
    }
}

#[tokio::test]
async fn two_people_who_settle_one_change_at_once_end_with_the_same_at_both_sites() {
    // What each does without knowing of the other; `None`: nothing.
    type Deed = fn(Uuid) -> Verdict;
    let edit: Deed = |record| Verdict::Edit {
        reason: "spelling".to_owned(),
        kind: INCIDENT,
        record,
        set: BTreeMap::from([("zone".to_owned(), json!("parking"))]),
    };
    let other: Deed = |record| Verdict::Edit {
        reason: "where".to_owned(),
        kind: INCIDENT,
        record,
        set: BTreeMap::from([("zone".to_owned(), json!("entrance"))]),
    };
    let cases: [(Deed, Deed, &str); 4] = [
        (|_| discard(), |_| retry(), "aisle"),
        (|_| discard(), edit, "parking"),
        (edit, |_| retry(), "parking"),
        // Two corrections are two edits that met.
        (edit, other, "entrance"),
    ];
    for (seed, (in_store, at_hub, zone)) in (70..).zip(cases) {
        let hub = TestSite::hub().await;
        let node = TestSite::node(&hub, seed).await;
        let third = TestSite::node(&hub, seed + 100).await;
        let id = node.incident("kim", T0, json!({"description": "a puddle", "zone": "aisle"})).await;
        node.push_to(&hub, T0 + 5).await;
        node.edit("kim", T0 + 10, id, json!({"zone": "office"})).await;
        push_failing(&node, &hub, T0 + 20).await;
        let change = open(&hub).await[0].id;
        settle(&node, "mia", T0 + 30, change, in_store(id)).await.unwrap();
        settle(&hub, "pat", T0 + 31, change, at_hub(id)).await.unwrap();
        // The third hears of headquarters first, the store of itself.
        third.pull_from(&hub, T0 + 35).await;
        for _ in 0..2 {
            sync(&node, &hub, T0 + 40).await;
        }
        sync(&third, &hub, T0 + 40).await;
        for site in [&node, &third] {
            alike(site, &hub, &[id]).await;
            let doc: Value = serde_json::from_str(&site.ledger.incident(id).await.unwrap().unwrap().doc).unwrap();
            assert_eq!(doc["zone"], zone, "case {seed}");
            assert_eq!(site.ledger.backlog().await.unwrap().quarantined, 0, "case {seed}");
        }
        for site in [&node, &hub] {
            let told = site.ledger.quarantined(change).await.unwrap().unwrap();
            assert_eq!((told.standing, told.words.len()), (Standing::Settled, 2), "case {seed}");
        }
        let reviews = [&node, &third, &hub].map(|site| site.ledger.reviews(None, 10));
        for reviews in reviews {
            assert_eq!(reviews.await.unwrap().len(), usize::from(zone == "entrance"), "case {seed}");
        }
    }
}

/// A page that only a newer program could have made.
fn page_from_the_future(hub: Uuid, epoch: Uuid, origin: Uuid, scope: &Scope, bodies: &[String]) -> Page {
    let line = |(seq, body): (u64, &String)| PageLine {
        origin,
        seq,
        scope: scope.clone(),
        received_ms: T0,
        hlc: None,
        seal: None,
        body: serde_json::value::RawValue::from_string(body.clone()).unwrap(),
    };
    let header = PageHeader {
        hub_id: hub,
        epoch,
        now_ms: T0,
        count: bodies.len() as u32,
        cursors: BTreeMap::new(),
        more: false,
        sites: BTreeMap::from([(origin, "hub".to_owned())]),
    };
    Page { header, lines: (1..).zip(bodies).map(line).collect() }
}

#[tokio::test]
async fn what_only_a_node_cannot_take_is_tried_again_there_and_never_decided_against() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 80).await;
    let desk::ledger::Identity::Hub { hub_id, epoch } = hub.ledger.identity().await.unwrap() else {
        panic!("no hub")
    };
    let (origin, id) = (hub.ids.new_v7(T0), hub.ids.new_v7(T0));
    let bodies = [
        format!(
            r#"{{"at":{T0},"by":"pat","id":"{id}","kind":"incident","new":true,"set":{{"description":"x","severity":17}}}}"#
        ),
        format!(r#"{{"at":{T0},"by":"pat","id":"{id}","kind":"incident","set":{{"zone":"aisle"}}}}"#),
    ];
    let page = page_from_the_future(hub_id, epoch, origin, &store_042(), &bodies);
    assert_eq!(node.ledger.apply_page(page, T0).await.unwrap().quarantined, 2);
    let items = open(&node).await;
    assert_eq!((items.len(), items[0].code.as_str(), items[0].waiting), (1, "bad-value", 1));
    let refused = settle(&node, "mia", T0 + 1, items[0].id, discard()).await;
    assert!(matches!(refused, Err(desk::Error::Refused(Refusal::Conflict(_)))), "{refused:?}");
    let item = settle(&node, "mia", T0 + 1, items[0].id, retry()).await.unwrap();
    assert_eq!((item.standing, words(&item)), (Standing::Open, vec![("retry", "mia", "042")]));
    assert_eq!(node.ledger.backlog().await.unwrap().quarantined, 2);
    // That somebody tried is told at headquarters.
    node.push_to(&hub, T0 + 2).await;
    assert_eq!(hub.ledger.backlog().await.unwrap().quarantined, 0);
}

#[tokio::test]
async fn each_version_tries_what_is_in_quarantine_once() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 81).await;
    for n in 0..3 {
        node.incident("kim", T0 + n, json!({"description": format!("number {n}")})).await;
        push_failing(&node, &hub, T0 + 10 + n).await;
    }
    let untried = |version: &str| hub.ledger.next_untried(version.to_owned());
    let again = |no: i64, version: &str, at_ms: i64| {
        hub.ledger.try_again(no, "system:upgrade".into(), format!("version {version}"), at_ms.into())
    };
    // The one that is tried first ends the process: it is not tried for ever.
    let first = untried("2").await.unwrap().unwrap();
    let second = untried("2").await.unwrap().unwrap();
    assert!(second > first);
    assert!(again(second, "2", T0 + 20).await.unwrap());
    let third = untried("2").await.unwrap().unwrap();
    assert!(third > second);
    assert_eq!(untried("2").await.unwrap(), None);
    assert_eq!(untried("2").await.unwrap(), None);
    assert_eq!(untried("3").await.unwrap(), Some(first));
    assert!(again(first, "3", T0 + 30).await.unwrap());
    assert!(!again(first, "3", T0 + 30).await.unwrap());
    let items = open(&hub).await;
    assert_eq!((items.len(), items[0].no), (1, third));
    sync(&node, &hub, T0 + 40).await;
    assert_eq!(node.ledger.backlog().await.unwrap().quarantined, 1);
    let told = node.ledger.quarantined(ChangeId { seq: 1, ..items[0].id }).await.unwrap().unwrap();
    assert_eq!(words(&told), [("retry", "system:upgrade", "hub")]);
}

#[tokio::test]
async fn nobody_settles_what_is_another_stores_or_what_headquarters_recorded() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 82).await;
    let by_hub = hub.incident("pat", T0, json!({"description": "from headquarters", "zone": "aisle"})).await;
    hub.edit("pat", T0 + 1, by_hub, json!({"zone": "office"})).await;
    node.pull_from(&hub, T0 + 2).await;
    let fresh = TestSite::node(&hub, 87).await;
    let mut of_hub = None;
    while of_hub.is_none() {
        let page = fresh.page_of(&hub, T0).await;
        let found = page.lines.iter().find(|line| line.body.get().contains("office"));
        of_hub = found.map(|line| ChangeId { origin: line.origin, seq: line.seq });
        assert!(of_hub.is_some() || page.header.more);
        fresh.ledger.apply_page(page, T0).await.unwrap();
    }
    let of_hub = of_hub.unwrap();
    let instead = |about: ChangeId, kind: &str, record: Uuid, set: Value| {
        json!({"at": T0, "by": "mia", "id": record, "instead_of": about, "kind": kind, "new": false, "set": set})
            .to_string()
    };
    let settlement = |about: ChangeId| {
        json!({"at": T0, "by": "mia", "id": sync_protocol::record::settlement_of(about), "kind": "settlement", "new": true,
            "set": {"change": about, "decided": {"action": "discard", "reason": "no"}}})
        .to_string()
    };
    let bodies = [
        settlement(of_hub),
        instead(of_hub, "incident", by_hub, json!({"zone": "parking"})),
        settlement(ChangeId { origin: Uuid::from_u128(77), seq: 3 }),
    ];
    let origin = node.ledger.backlog().await.unwrap().origin;
    let PushResult::Accepted { answers, .. } = push(&node, &hub, 1, Link::start(origin), &bodies, T0 + 5).await else {
        panic!("not accepted")
    };
    let codes: Vec<&str> = answers
        .iter()
        .map(|answer| match &answer.outcome {
            Outcome::Quarantined { code, .. } => code.as_str(),
            Outcome::Applied => "applied",
            _ => "other",
        })
        .collect();
    assert_eq!(codes, ["not-yours", "not-yours", "applied"]);
    let doc: Value = serde_json::from_str(&hub.ledger.incident(by_hub).await.unwrap().unwrap().doc).unwrap();
    assert_eq!(doc["zone"], "office");
    assert_eq!(hub.ledger.audit().await.unwrap().faults, Vec::<String>::new());
}

#[tokio::test]
async fn a_decision_that_arrives_before_its_change_keeps_it_out() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 83).await;
    let other = TestSite::node(&hub, 84).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle"})).await;
    let origin = node.ledger.backlog().await.unwrap().origin;
    let about = ChangeId { origin, seq: 1 };
    let body = json!({"at": T0, "by": "mia", "id": sync_protocol::record::settlement_of(about), "kind": "settlement", "new": true,
        "set": {"change": about, "decided": {"action": "discard", "reason": "no"}}})
    .to_string();
    let before = other.ledger.backlog().await.unwrap().origin;
    let result = push(&other, &hub, 1, Link::start(before), &[body], T0 + 1).await;
    assert!(matches!(result, PushResult::Accepted { .. }), "{result:?}");
    sync(&node, &hub, T0 + 2).await;
    assert!(hub.ledger.incident(id).await.unwrap().is_none());
    assert!(node.ledger.incident(id).await.unwrap().is_none());
    alike(&node, &hub, &[id]).await;
    assert_eq!(hub.ledger.quarantined(about).await.unwrap().unwrap().standing, Standing::Settled);
}

#[tokio::test]
async fn what_cannot_be_read_is_kept_with_its_reason_and_a_correction_says_what_it_was() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 85).await;
    let id = node.ids.new_v7(T0);
    let origin = node.ledger.backlog().await.unwrap().origin;
    let large = format!(
        r#"{{"at":{T0},"by":"kim","id":"{id}","kind":"incident","new":true,"set":{{"description":"{}"}}}}"#,
        "x".repeat(MAX_BODY_BYTES)
    );
    let endless = format!(
        r#"{{"at":{T0},"by":"kim","id":"{}","kind":"incident","new":true,"set":{{"description":"x","{}":1,"severity":"{}"}}}}"#,
        node.ids.new_v7(T0),
        "people/".repeat(200),
        "y".repeat(900)
    );
    let bodies = ["what is this".to_owned(), large, endless];
    let PushResult::Accepted { answers, .. } = push(&node, &hub, 1, Link::start(origin), &bodies, T0 + 5).await else {
        panic!("not accepted")
    };
    let told: Vec<(&str, usize)> = answers
        .iter()
        .map(|answer| match &answer.outcome {
            Outcome::Quarantined { code, reason } => (code.as_str(), reason.chars().count()),
            _ => ("other", 0),
        })
        .collect();
    assert_eq!(told.iter().map(|(code, _)| *code).collect::<Vec<_>>(), ["malformed", "too-large", "bad-value"]);
    assert!(told.iter().all(|(_, length)| *length <= 500), "{told:?}");
    let items = open(&hub).await;
    assert_eq!(items.iter().map(|item| item.id.seq).collect::<Vec<_>>(), [3, 2, 1]);
    let verdict = Verdict::Edit {
        reason: "asked kim".to_owned(),
        kind: INCIDENT,
        record: id,
        set: set(json!({"description": "shorter"})),
    };
    settle(&hub, "pat", T0 + 10, items[1].id, verdict).await.unwrap();
    settle(&hub, "pat", T0 + 11, items[2].id, discard()).await.unwrap();
    assert!(hub.ledger.incident(id).await.unwrap().is_some());
    assert_eq!(open(&hub).await.len(), 1);
    assert_eq!(hub.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    // A push that is repeated hears that there is nothing left to settle of them.
    let PushResult::Accepted { answers, .. } = push(&node, &hub, 1, Link::start(origin), &bodies, T0 + 20).await else {
        panic!("not accepted")
    };
    let outcomes: Vec<bool> = answers.iter().map(|answer| answer.outcome == Outcome::Duplicate).collect();
    assert_eq!(outcomes, [true, true, false]);
    assert_eq!(hub.ledger.stores(None).await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_node_that_begins_anew_keeps_what_it_settled() {
    let hub = TestSite::hub().await;
    let mut node = TestSite::node(&hub, 86).await;
    let id = node.incident("kim", T0, json!({"description": "a puddle", "zone": "aisle"})).await;
    node.push_to(&hub, T0 + 5).await;
    node.edit("kim", T0 + 10, id, json!({"zone": "office"})).await;
    push_failing(&node, &hub, T0 + 20).await;
    let change = open(&node).await[0].id;
    settle(&node, "mia", T0 + 30, change, discard()).await.unwrap();
    // The decision was never acknowledged: it goes along under the new stream.
    node.enrol_anew(&hub).await;
    sync(&node, &hub, T0 + 40).await;
    alike(&node, &hub, &[id]).await;
    for site in [&node, &hub] {
        assert_eq!(site.ledger.quarantined(change).await.unwrap().unwrap().standing, Standing::Settled);
        assert_eq!(site.ledger.backlog().await.unwrap().quarantined, 0);
    }
}

#[test]
fn a_ledger_of_before_there_were_settlements_knows_whose_children_wait() {
    let db = Connection::open_in_memory().unwrap();
    let (before, after) = desk::ledger::sqlite::MIGRATIONS.split_at(11);
    for (_, sql) in before {
        db.execute_batch(sql).unwrap();
    }
    let incident = Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001);
    let bodies = [
        json!({"id": Uuid::from_u128(2), "kind": "comment", "set": {"incident_id": incident, "body": "x"}}).to_string(),
        json!({"id": incident, "kind": "incident", "set": {"incident_id": incident}}).to_string(),
        json!({"id": Uuid::from_u128(3), "kind": "comment", "set": {"incident_id": "nonsense"}}).to_string(),
        json!({"id": Uuid::from_u128(4), "kind": "comment", "set": {}}).to_string(),
        "{not JSON".to_owned(),
    ];
    db.execute_batch(
        "INSERT INTO origins (origin_no, origin, scope, site, mine, seq, head) VALUES (1, x'00', 'store/042', '042', 0, 5, x'00')",
    )
    .unwrap();
    for (no, body) in (1_i64..).zip(&bodies) {
        let sql = "INSERT INTO changes (change_no, origin_no, seq, hlc, body) VALUES (?1, 1, ?1, 0, ?2)";
        db.execute(sql, (no, body)).unwrap();
        let sql = "INSERT INTO quarantine (change_no, waits, code, reason, since_ms) VALUES (?1, 1, 'waits', '', 0)";
        db.execute(sql, [no]).unwrap();
    }
    for (_, sql) in after {
        db.execute_batch(sql).unwrap();
    }
    let mut statement = db.prepare("SELECT parent_id, settled FROM quarantine ORDER BY change_no").unwrap();
    let rows: Vec<(Option<Uuid>, bool)> = statement
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap();
    assert_eq!(rows, [(Some(incident), false), (None, false), (None, false), (None, false), (None, false)]);
}
