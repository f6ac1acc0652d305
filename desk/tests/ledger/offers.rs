use crate::site::{T0, TestSite, store_042};
use chassis::sqlite::rusqlite::Connection;
use desk::ledger::{Histories as _, Identity, Incidents as _, PageQuery, PageResult, Replication as _, Site as _};
use serde_json::json;
use std::collections::{BTreeMap, BTreeSet};
use sync_protocol::batch::{Page, Push, raw_body};
use sync_protocol::message::{Given, Limits, Outcome, PushResult};
use sync_protocol::scope::Scope;
use uuid::Uuid;

async fn epoch(hub: &TestSite) -> Uuid {
    let Identity::Hub { epoch, .. } = hub.ledger.identity().await.unwrap() else {
        panic!("no hub")
    };
    epoch
}

async fn page(hub: &TestSite, cursor: Option<String>) -> PageResult {
    let query = PageQuery {
        cursors: BTreeMap::from([(store_042(), cursor)]),
        skip: BTreeSet::new(),
        limit: 100,
        max_bytes: 1 << 20,
        now_ms: T0,
    };
    hub.ledger.page(query).await.unwrap()
}

fn lines(result: PageResult) -> Page {
    let PageResult::Page(page) = result else {
        panic!("{result:?}")
    };
    page
}

async fn push_all(node: &TestSite, hub: &TestSite) -> PushResult {
    let run = node.ledger.unpushed(None, 100, 1 << 20).await.unwrap().unwrap();
    let push = Push::decode(&Push::encode(run.origin, run.first_seq, run.prev, &run.bodies), &Limits::default());
    hub.ledger.take_push(node.node_id, store_042(), push.unwrap(), T0 + 5).await.unwrap()
}

/// A hub that has forgotten all that `page` tells: the same key and identity, as a restored copy has.
async fn forgetful(hub: &TestSite) -> TestSite {
    let copy = TestSite::hub().await;
    let (from, to) = (hub.folder.0.join("ledger.sqlite"), copy.folder.0.join("ledger.sqlite"));
    let key: String = Connection::open(from)
        .unwrap()
        .query_row("SELECT value FROM site WHERE name = 'hub_key'", [], |row| row.get(0))
        .unwrap();
    let db = Connection::open(to).unwrap();
    db.execute("UPDATE site SET value = ?1 WHERE name = 'hub_key'", [key]).unwrap();
    copy
}

#[tokio::test]
async fn a_hub_takes_back_what_carries_its_seal_once_and_nothing_else() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 30).await;
    for n in 0..3 {
        node.incident("kim", T0 + n, json!({"description": format!("number {n}")})).await;
    }
    push_all(&node, &hub).await;
    let mut sent = lines(page(&hub, None).await);
    // The hub that forgot still has what it had recorded itself at the time of the copy.
    sent.lines.retain(|line| line.scope == store_042());
    let given: Vec<_> = sent.lines.iter().filter(|line| sent.header.sites[&line.origin] != "hub").cloned().collect();
    assert_eq!(given.len(), 3);

    let copy = forgetful(&hub).await;
    let scopes = vec![store_042(), Scope::Company];
    let of = |lines: Vec<_>| Page { header: sent.header.clone(), lines };
    let mut altered = given[0].clone();
    altered.body = raw_body(&altered.body.get().replace("number 0", "number 9")).unwrap();
    let mut later = given[0].clone();
    later.received_ms += 1;
    let mut unsealed = given[0].clone();
    unsealed.seal = None;
    for forged in [altered, later, unsealed] {
        let answers = copy.ledger.take_given(scopes.clone(), of(vec![forged]), T0 + 9).await.unwrap();
        assert!(matches!(answers[0].outcome, Given::Refused { later: false, .. }), "{answers:?}");
    }
    let stranger = copy.ledger.take_given(vec![Scope::Company], of(given.clone()), T0 + 9).await.unwrap();
    assert!(
        stranger.iter().all(|line| matches!(line.outcome, Given::Refused { later: false, .. })),
        "{stranger:?}"
    );
    let gap = copy.ledger.take_given(scopes.clone(), of(given[1..].to_vec()), T0 + 9).await.unwrap();
    assert!(gap.iter().all(|line| matches!(line.outcome, Given::Refused { later: true, .. })), "{gap:?}");
    assert_eq!(copy.ledger.stats(Default::default()).await.unwrap().total, 0);

    for expected in [Given::Taken, Given::Known] {
        let answers = copy.ledger.take_given(scopes.clone(), of(given.clone()), T0 + 9).await.unwrap();
        assert!(answers.iter().all(|line| line.outcome == expected), "{answers:?}");
    }
    assert_eq!(copy.ledger.stats(Default::default()).await.unwrap().total, 3);
    assert_eq!(copy.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    let again = lines(page(&copy, None).await);
    let back: Vec<_> = again.lines.into_iter().filter(|line| again.header.sites[&line.origin] != "hub").collect();
    assert_eq!(back, given, "the same lines, seals and times included");
}

#[tokio::test]
async fn a_cursor_of_the_hubs_own_that_it_does_not_remember_gives_a_restore_away_and_a_made_up_one_does_not() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 31).await;
    let copy = forgetful(&hub).await;
    node.incident("kim", T0, json!({"description": "forgotten"})).await;
    push_all(&node, &hub).await;
    let cursor = lines(page(&hub, None).await).header.cursors[&store_042()].clone();
    assert!(lines(page(&hub, Some(cursor.clone())).await).lines.is_empty());
    let epoch = epoch(&copy).await;
    assert!(cursor.starts_with(&epoch.to_string()), "copies share their epoch");
    assert!(matches!(page(&copy, Some(cursor.clone())).await, PageResult::Forgotten { epoch: e } if e == epoch));
    let made_up = cursor.replacen(".2.", ".7.", 1);
    assert_ne!(made_up, cursor);
    for bad in [made_up.as_str(), "", "x", &format!("{epoch}.1"), &format!("{epoch}.1.00000000{}", "0".repeat(32))] {
        assert!(matches!(page(&copy, Some(bad.to_owned())).await, PageResult::BadCursor), "{bad}");
    }
}

#[tokio::test]
async fn a_new_epoch_begins_once_and_ends_the_hubs_own_streams() {
    let hub = TestSite::hub().await;
    let first = epoch(&hub).await;
    hub.ledger.mark_restored().await.unwrap();
    let second = hub.ledger.begin_epoch(first, "a test".to_owned(), T0).await.unwrap();
    assert_ne!(first, second);
    assert_eq!(hub.ledger.begin_epoch(first, "late".to_owned(), T0).await.unwrap(), second);
    assert!(!hub.ledger.is_restored().await.unwrap());
    let told = hub.ledger.epochs(10).await.unwrap();
    assert_eq!((told.len(), told[0].epoch, told[0].reason.as_str()), (1, second, "a test"));
    let before = lines(page(&hub, None).await);
    hub.incident("harriet", T0, json!({"description": "under a new stream"})).await;
    let after = lines(page(&hub, None).await);
    let fresh = &after.lines[before.lines.len()];
    assert!(fresh.seq == 1 && before.lines.iter().all(|line| line.origin != fresh.origin), "{fresh:?}");
}

#[tokio::test]
async fn what_a_backup_holds_is_told_with_every_push_and_never_more_than_is_held() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 32).await;
    node.incident("kim", T0, json!({"description": "one"})).await;
    push_all(&node, &hub).await;
    let origin = node.ledger.backlog().await.unwrap().origin;
    hub.ledger.note_durable([(origin, 99)].into()).await.unwrap();
    hub.ledger.note_durable([(origin, 0)].into()).await.unwrap();
    node.incident("kim", T0 + 1, json!({"description": "two"})).await;
    let answer = push_all(&node, &hub).await;
    let PushResult::Accepted { applied_seq: 2, durable_seq: 1, receipt: Some(receipt), .. } = answer else {
        panic!("{answer:?}")
    };
    assert!(hub.ledger.hub_key().await.unwrap().gave(origin, &receipt));
    node.ledger.keep_receipt(origin, receipt).await.unwrap();
    assert_eq!(node.ledger.receipt(origin).await.unwrap(), Some(receipt));
}

/// Found by the simulator: the store's edit was in quarantine because its incident had been forgotten, and the incident was not
/// taken back because of what was in quarantine.
#[tokio::test]
async fn a_record_of_the_hubs_own_that_was_edited_before_it_came_back_does_not_wait_behind_that_edit() {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, 44).await;
    let id = hub.incident("pat", T0, json!({"description": "seen from headquarters"})).await;
    hub.edit("pat", T0 + 1, id, json!({"title": "a window"})).await;
    node.pull_from(&hub, T0 + 2).await;
    node.edit("kim", T0 + 3, id, json!({"location": "aisle 4"})).await;
    node.child("kim", T0 + 4, "comment", id, json!({"body": "on camera"})).await;

    let restored = forgetful(&hub).await;
    let PushResult::Accepted { answers, .. } = push_all(&node, &restored).await else {
        panic!("not taken")
    };
    assert!(answers.iter().all(|answer| !matches!(answer.outcome, Outcome::Applied)), "{answers:?}");
    let held = node.ledger.held_of_others(None, 100).await.unwrap();
    let wanted = restored.ledger.lacking(vec![store_042(), Scope::Company], held).await.unwrap();
    let giving = node.ledger.to_give(wanted, 0, 100, 1 << 20).await.unwrap().unwrap();
    let answers = restored.ledger.take_given(vec![store_042()], giving.page, T0 + 6).await.unwrap();
    let own = answers.iter().filter(|line| line.seq > 0).map(|line| &line.outcome);
    assert!(own.clone().all(|outcome| matches!(outcome, Given::Taken | Given::Known)), "{answers:?}");

    let (here, there) =
        (node.ledger.incident_whole(id).await.unwrap(), restored.ledger.incident_whole(id).await.unwrap());
    let (here, there) = (here.unwrap(), there.expect("it is back"));
    assert_eq!(here.row.doc, there.row.doc);
    assert_eq!((here.comments.len(), there.comments.len()), (1, 1));
    // What was in quarantine is told to others now.
    let all = lines(page(&restored, None).await).lines.len();
    assert!(all >= 4, "{all} lines");
}

#[tokio::test]
async fn a_change_that_a_hub_which_forgot_it_placed_anew_moves_at_every_node_and_can_be_given_back_from_there() {
    let hub = TestSite::hub().await;
    let (author, other) = (TestSite::node(&hub, 33).await, TestSite::node(&hub, 34).await);
    // The hub's clock is an hour behind: what comes is placed 5 minutes after it.
    let id = author.incident("kim", T0 + 3_600_000, json!({"description": "a puddle"})).await;
    author.push_to(&hub, T0).await;
    other.pull_from(&hub, T0).await;
    let origin = author.ledger.backlog().await.unwrap().origin;
    let stands = |site: &TestSite| {
        let sql = "SELECT c.hlc, c.received_ms FROM changes c JOIN origins o ON o.origin_no = c.origin_no WHERE o.origin = ?1";
        let db = Connection::open(site.folder.0.join("ledger.sqlite")).unwrap();
        db.query_row(sql, [origin], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap()
    };
    let before = stands(&hub);
    assert_eq!(stands(&other), before);

    // It was put back, and its author is the first to call.
    let copy = forgetful(&hub).await;
    author.ledger.take_back_acks(origin, 0).await.unwrap();
    author.push_to(&copy, T0 + 60_000).await;
    let after = stands(&copy);
    assert!(after.0 > before.0 && after.1 > before.1, "{before:?} {after:?}");
    let db = Connection::open(other.folder.0.join("ledger.sqlite")).unwrap();
    db.execute("UPDATE cursors SET cursor = ''", []).unwrap();
    other.pull_from(&copy, T0 + 60_000).await;
    for site in [&author, &other] {
        assert_eq!(stands(site), after);
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
        let (here, there) = (site.ledger.incident(id).await.unwrap(), copy.ledger.incident(id).await.unwrap());
        assert_eq!(here.unwrap().doc, there.unwrap().doc);
    }

    // Once more, and the author's PC is gone.
    let again = forgetful(&copy).await;
    let giving = other.ledger.to_give(BTreeMap::from([(origin, 1)]), 0, 10, 1 << 20).await.unwrap().unwrap();
    let scopes = vec![store_042(), Scope::Company];
    let answers = again.ledger.take_given(scopes, giving.page, T0 + 120_000).await.unwrap();
    assert!(answers.iter().all(|line| line.outcome == Given::Taken), "{answers:?}");
    assert_eq!(stands(&again), after);
}
