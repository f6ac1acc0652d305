//! Erasure beside what finds and mends what the disk has lost: what was erased comes back from nobody.

use crate::proof::{compared, in_step, named, outcomes, rot, scopes, scrub};
use crate::site::{T0, TestSite, set, store_042};
use chassis::sqlite::rusqlite::Connection;
use desk::ledger::{
    Draft, Erasures as _, Identity, Incidents as _, Proof as _, Quarantine as _, QuarantineQuery, Replication as _,
    Site as _,
};
use serde_json::json;
use sync_protocol::batch::raw_body;
use sync_protocol::change::ChangeId;
use sync_protocol::checksum::Compared;
use sync_protocol::erasure::PHOTO_FIELDS;
use sync_protocol::message::Given;
use sync_protocol::record::{ERASURE, PHOTO};
use uuid::Uuid;

const NAME: &str = "Zebulon Quartermain";

/// A hub, a node, and an incident of the node's with somebody in it, known to both.
async fn pair(seed: u64) -> (TestSite, TestSite, Uuid, String) {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, seed).await;
    let person = format!("people/{}", Uuid::from_u128(0x70));
    let set = json!({"description": "a ladder fell", &person: {"name": NAME, "roles": ["victim"]}});
    let id = node.incident("kim", T0, set).await;
    for n in 1..5 {
        node.incident("kim", T0 + n, json!({"description": format!("number {n}")})).await;
    }
    in_step(&node, &hub, T0 + 100).await;
    (hub, node, id, person)
}

async fn order(hub: &TestSite, at_ms: i64, record: Uuid, field: &str) {
    let what = set(json!({"incident": record, "reason": "asked for it", format!("what/{record}"): [field]}));
    let id = hub.ids.new_v7(at_ms);
    let draft = Draft { kind: ERASURE, id, scope: store_042(), new: true, set: what, number_year: None };
    hub.record("harriet", at_ms, draft).await;
}

/// Rows of the site's tables that hold the name; the text indexes are wiped later.
fn holding(site: &TestSite) -> Vec<String> {
    let db = Connection::open(site.folder.0.join("ledger.sqlite")).unwrap();
    let places = [
        ("changes", "body"),
        ("records", "state"),
        ("documents", "doc"),
        ("incidents", "people"),
        ("forks", "body"),
        ("damage", "aside"),
        ("quarantine", "reason"),
    ];
    let mut found = Vec::new();
    for (table, column) in places {
        let sql = format!("SELECT count(*) FROM {table} WHERE lower(CAST({column} AS TEXT)) LIKE '%quartermain%'");
        let count: i64 = db.query_row(&sql, [], |row| row.get(0)).unwrap();
        if count > 0 {
            found.push(format!("{table}.{column}"));
        }
    }
    found
}

fn first_of(site: &TestSite) -> ChangeId {
    let db = Connection::open(site.folder.0.join("ledger.sqlite")).unwrap();
    let sql = "SELECT o.origin FROM origins o WHERE o.scope = 'store/042' AND o.site = '042' LIMIT 1";
    ChangeId { origin: db.query_row(sql, [], |row| row.get(0)).unwrap(), seq: 1 }
}

async fn assert_well(node: &TestSite, hub: &TestSite) {
    for site in [node, hub] {
        assert_eq!(holding(site), Vec::<String>::new());
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
        assert_eq!(scrub(site, T0 + 900_000).await.found, Vec::new());
        assert_eq!(site.ledger.damage_count().await.unwrap().open, 0);
        let (kept, right) = (site.ledger.sums(store_042(), false).await, site.ledger.sums(store_042(), true).await);
        assert_eq!(kept.unwrap(), right.unwrap());
    }
    assert_eq!(compared(node, hub).await[&store_042()], (Compared::Equal, 0, 0));
}

#[tokio::test]
async fn while_one_site_has_carried_an_order_out_and_the_other_has_not_nothing_is_damaged_and_nothing_comes_back() {
    let (hub, node, id, person) = pair(70).await;
    order(&hub, T0 + 200, id, &person).await;
    assert_eq!(holding(&hub), Vec::<String>::new());
    assert_ne!(holding(&node), Vec::<String>::new());
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Behind, 1, 0));
    for site in [&node, &hub] {
        assert_eq!(scrub(site, T0 + 300).await.found, Vec::new());
    }
    // Each has the same changes as far as the other can tell, and takes none in place of its own.
    let (there, here) = (
        hub.ledger.changes_of(scopes(), vec![id], 100).await.unwrap(),
        node.ledger.changes_of(scopes(), vec![id], 100).await.unwrap(),
    );
    assert_eq!(there, here);
    let (whole, left) = (named(&node, vec![first_of(&node)]).await, named(&hub, vec![first_of(&hub)]).await);
    assert!(whole.lines[0].body.get().contains(NAME) && !left.lines[0].body.get().contains(NAME));
    assert_eq!(outcomes(&hub.ledger.take_mended(scopes(), whole, T0 + 400).await.unwrap()), [&Given::Known]);
    assert_eq!(outcomes(&node.ledger.take_mended(scopes(), left, T0 + 400).await.unwrap()), [&Given::Known]);
    assert_eq!(holding(&hub), Vec::<String>::new());
    in_step(&node, &hub, T0 + 500).await;
    assert_well(&node, &hub).await;
}

#[tokio::test]
async fn what_is_left_of_an_erased_change_comes_back_without_what_was_erased_also_from_who_still_has_it() {
    for (sql, what) in [
        (
            "UPDATE changes SET body = substr(body, 1, 40) || 'X' || substr(body, 42) WHERE seq = 1 AND body LIKE '%erased%'",
            "flipped",
        ),
        ("DELETE FROM changes WHERE seq = 1 AND body LIKE '%erased%'", "lost"),
    ] {
        let (hub, node, id, person) = pair(71).await;
        let first = first_of(&node);
        let whole = named(&node, vec![first]).await;
        order(&hub, T0 + 200, id, &person).await;
        if what == "lost" {
            rot(&hub, "DELETE FROM erased_changes");
        }
        rot(&hub, sql);
        assert_eq!(scrub(&hub, T0 + 300).await.found.len(), 1, "{what}");
        assert_eq!(hub.ledger.changes_wanted(scopes(), 10).await.unwrap(), [first], "{what}");
        let answers = hub.ledger.take_mended(scopes(), whole, T0 + 400).await.unwrap();
        assert_eq!(outcomes(&answers), [&Given::Taken], "{what}");
        assert_eq!(holding(&hub), Vec::<String>::new(), "{what}");
        in_step(&node, &hub, T0 + 500).await;
        assert_well(&node, &hub).await;
    }
}

#[tokio::test]
async fn nothing_of_a_damaged_change_or_of_what_was_set_aside_of_it_stays_when_it_is_erased() {
    for at_hub in [false, true] {
        let (hub, node, id, person) = pair(72).await;
        let site = if at_hub { &hub } else { &node };
        let sql =
            "UPDATE changes SET body = replace(body, 'ladder', 'lxdder') WHERE seq = 1 AND body LIKE '%Quartermain%'";
        rot(site, sql);
        assert_eq!(scrub(site, T0 + 150).await.found.len(), 1);
        assert!(holding(site).contains(&"damage.aside".to_owned()), "it was set aside as it was found");
        order(&hub, T0 + 200, id, &person).await;
        node.pull_from(&hub, T0 + 300).await;
        for site in [&node, &hub] {
            assert_eq!(holding(site), Vec::<String>::new(), "at the hub: {at_hub}");
            let doc = site.ledger.incident(id).await.unwrap().unwrap().doc;
            assert!(doc.contains("a ladder fell") && !doc.contains(NAME), "{doc}");
        }
        let there = if at_hub { &node } else { &hub };
        let wanted = site.ledger.changes_wanted(scopes(), 10).await.unwrap();
        assert_eq!(wanted, [first_of(&node)]);
        let answers = site.ledger.take_mended(scopes(), named(there, wanted).await, T0 + 400).await.unwrap();
        assert_eq!(outcomes(&answers), [&Given::Taken], "at the hub: {at_hub}");
        in_step(&node, &hub, T0 + 500).await;
        assert_well(&node, &hub).await;
    }
}

#[tokio::test]
async fn what_headquarters_says_is_left_is_all_that_is_taken_back_there() {
    let (hub, node, id, person) = pair(73).await;
    order(&hub, T0 + 200, id, &person).await;
    assert!(hub.ledger.unlisted(10).await.unwrap().is_none(), "the order itself tells it");
    in_step(&node, &hub, T0 + 300).await;
    let page = named(&node, vec![first_of(&node)]).await;
    rot(
        &hub,
        "UPDATE changes SET body = replace(body, 'ladder', 'lxdder') WHERE seq = 1 AND body LIKE '%erased%'",
    );
    scrub(&hub, T0 + 400).await;
    let mut forged = page.clone();
    forged.lines[0].body = raw_body(&page.lines[0].body.get().replace("a ladder fell", "nothing fell")).unwrap();
    let answers = hub.ledger.take_mended(scopes(), forged, T0 + 500).await.unwrap();
    assert!(
        matches!(outcomes(&answers)[..], [Given::Refused { .. }]),
        "the chain does not tell what is left: {answers:?}"
    );
    let answers = hub.ledger.take_mended(scopes(), page, T0 + 500).await.unwrap();
    assert_eq!(outcomes(&answers), [&Given::Taken]);
    assert_well(&node, &hub).await;
}

/// `site` says that the site `who` has carried the one order out, and removed so many contents for it.
async fn say_done(site: &TestSite, who: Uuid, contents: u64, at_ms: i64) {
    let order = site.ledger.erasures(None, None, 10).await.unwrap().remove(0);
    let done = json!({"at": "2026-11-20T00:00:00Z", "changes": 1, "contents": contents});
    let set = set(json!({format!("done/{}", who.hyphenated()): done}));
    let draft = Draft {
        kind: ERASURE,
        id: order.id,
        scope: store_042(),
        new: false,
        set,
        number_year: None,
    };
    site.record("system:erasures", at_ms, draft).await;
}

/// Who says that the one order is done, and the codes of what is in quarantine.
async fn said_at(site: &TestSite) -> (Vec<Uuid>, Vec<String>) {
    let order = site.ledger.erasures(None, None, 10).await.unwrap().remove(0);
    let open = site.ledger.quarantine(QuarantineQuery { limit: 10, ..QuarantineQuery::default() }).await.unwrap();
    (order.done.into_keys().collect(), open.into_iter().map(|one| one.code).collect())
}

#[tokio::test]
async fn what_a_site_says_that_it_has_erased_goes_on_under_the_name_it_has_when_that_is_sent() {
    let (hub, mut node, id, person) = pair(81).await;
    order(&hub, T0 + 200, id, &person).await;
    in_step(&node, &hub, T0 + 300).await;
    let before = node.node_id;
    say_done(&node, before, 0, T0 + 400).await;
    node.enrol_anew(&hub).await;
    in_step(&node, &hub, T0 + 500).await;
    assert_ne!(node.node_id, before);
    for site in [&hub, &node] {
        assert_eq!(said_at(site).await, (vec![node.node_id], vec![]));
    }
}

#[tokio::test]
async fn whoever_has_no_say_in_an_order_keeps_nobody_else_from_saying_that_it_is_done() {
    let (hub, node, id, person) = pair(82).await;
    let other = TestSite::node(&hub, 83).await;
    order(&hub, T0 + 200, id, &person).await;
    in_step(&node, &hub, T0 + 300).await;
    in_step(&other, &hub, T0 + 300).await;
    say_done(&other, node.node_id, 0, T0 + 400).await;
    other.push_to(&hub, T0 + 410).await;
    assert_eq!(said_at(&hub).await, (vec![], vec!["not-yours".to_owned()]));
    say_done(&node, node.node_id, 0, T0 + 420).await;
    node.push_to(&hub, T0 + 430).await;
    assert_eq!(said_at(&hub).await, (vec![node.node_id], vec!["not-yours".to_owned()]));
}

#[tokio::test]
async fn a_site_that_came_back_from_a_backup_carries_every_order_out_again_and_says_so() {
    let (hub, node, id, person) = pair(79).await;
    order(&hub, T0 + 200, id, &person).await;
    in_step(&node, &hub, T0 + 300).await;
    let undone = async || node.ledger.erasures_undone(10).await.unwrap().len();
    assert_eq!(undone().await, 1);
    let own = match node.ledger.identity().await.unwrap() {
        Identity::Node(enrolment) => enrolment.node_id,
        other => panic!("{other:?}"),
    };
    let said = async |at_ms: i64| say_done(&node, own, 0, at_ms).await;
    said(T0 + 400).await;
    assert_eq!(undone().await, 0);
    // What is in the backup is that it was done; headquarters believes that no more.
    node.ledger.erase_again().await.unwrap();
    assert_eq!(undone().await, 1);
    in_step(&node, &hub, T0 + 500).await;
    assert_eq!(undone().await, 1, "its own word from before does not come back as an answer");
    said(T0 + 600).await;
    assert_eq!(undone().await, 0);
    in_step(&node, &hub, T0 + 700).await;
    assert_well(&node, &hub).await;
}

#[tokio::test]
async fn rows_of_the_tables_of_orders_that_are_lost_or_altered_are_found_by_the_audit_and_made_again_by_the_scrub() {
    for sql in [
        "DELETE FROM erased_fields",
        "UPDATE erased_fields SET field = 'title'",
        "DELETE FROM erased_changes",
        "UPDATE erasures SET scope = 'store/117'",
        "UPDATE erasures SET incident_id = zeroblob(16)",
        "DELETE FROM erased_fields; DELETE FROM erased_changes; DELETE FROM erasures",
    ] {
        let (hub, node, id, person) = pair(80).await;
        order(&hub, T0 + 200, id, &person).await;
        in_step(&node, &hub, T0 + 300).await;
        for site in [&hub, &node] {
            let before = format!("{:?}", site.ledger.erasures(None, None, 10).await.unwrap());
            sql.split(';').for_each(|sql| rot(site, sql));
            assert_ne!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new(), "{sql}");
            let found = scrub(site, T0 + 400).await;
            assert!(!found.mended.is_empty(), "{sql}");
            assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new(), "{sql}");
            assert_eq!(format!("{:?}", site.ledger.erasures(None, None, 10).await.unwrap()), before, "{sql}");
        }
        in_step(&node, &hub, T0 + 600).await;
        assert_well(&node, &hub).await;
    }
}

#[tokio::test]
async fn contents_that_a_site_said_it_removed_and_cannot_tell_any_more_are_found_by_the_audit_and_said_anew() {
    let (hub, node, id, _) = pair(84).await;
    let content = json!({
        "sha256": "ab".repeat(32), "size_bytes": 7, "media_type": "image/jpeg", "filename": "a.jpg",
        "thumbnail/sha256": "cd".repeat(32), "thumbnail/size_bytes": 5, "state": "ready",
    });
    let photo = node.child("kim", T0 + 150, PHOTO, id, content).await;
    in_step(&node, &hub, T0 + 160).await;
    let what = json!({"incident": id, "reason": "asked for it", format!("what/{photo}"): PHOTO_FIELDS});
    let draft = Draft {
        kind: ERASURE,
        id: hub.ids.new_v7(T0 + 200),
        scope: store_042(),
        new: true,
        set: set(what),
        number_year: None,
    };
    hub.record("harriet", T0 + 200, draft).await;
    in_step(&node, &hub, T0 + 300).await;
    let undone = async || {
        node.ledger
            .erasures_undone(10)
            .await
            .unwrap()
            .iter()
            .map(|order| order.contents)
            .collect::<Vec<_>>()
    };
    assert_eq!(undone().await, vec![2_u64], "the original and the thumbnail");
    say_done(&node, node.node_id, 2, T0 + 400).await;
    assert_eq!(undone().await, Vec::<u64>::new());
    for (sql, found) in [
        ("DELETE FROM erased_contents WHERE sha256 LIKE 'ab%'", vec![]),
        ("DELETE FROM erased_contents", vec![1]),
    ] {
        assert_eq!(node.ledger.audit().await.unwrap().faults, Vec::<String>::new());
        rot(&node, sql);
        assert_ne!(node.ledger.audit().await.unwrap().faults, Vec::<String>::new(), "{sql}");
        assert!(!scrub(&node, T0 + 500).await.mended.is_empty(), "{sql}");
        assert_eq!(
            undone().await,
            found,
            "what its changes name comes back; of the rest it answers for what it can tell: {sql}"
        );
    }
    say_done(&node, node.node_id, 1, T0 + 600).await;
    in_step(&node, &hub, T0 + 700).await;
    for site in [&node, &hub] {
        assert_eq!(site.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    }
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Equal, 0, 0));
}
