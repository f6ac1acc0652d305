use crate::site::{T0, TestSite, store_042};
use chassis::ids::Ids;
use chassis::sqlite::rusqlite::{Connection, params};
use desk::ledger::{
    DamageKind, Identity, Incidents as _, Proof as _, Replication as _, ScrubPart, ScrubStep, Site as _, total,
};
use futures::FutureExt as _;
use serde_json::json;
use std::collections::BTreeMap;
use sync_protocol::batch::{Page, raw_body};
use sync_protocol::change::ChangeId;
use sync_protocol::checksum::{BUCKETS, ChecksumsRequest, Compared, bucket_of};
use sync_protocol::message::Given;
use sync_protocol::scope::Scope;
use uuid::Uuid;

/// A seed that repeats a failed run: printed, or `AINCIDENT_TEST_SEED`.
fn seed(test: &str) -> u64 {
    let seed = std::env::var("AINCIDENT_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = seed.unwrap_or_else(|| Ids::system().random_u64() >> 1);
    #[allow(clippy::print_stdout, reason = "whoever sees the test fail needs it")]
    {
        println!("{test}: AINCIDENT_TEST_SEED={seed}");
    }
    seed
}

pub fn scopes() -> Vec<Scope> {
    vec![store_042(), Scope::Company]
}

/// What the replicator of `node` would ask.
async fn question(node: &TestSite) -> ChecksumsRequest {
    let holding = node.ledger.holding(false).await.unwrap().unwrap();
    ChecksumsRequest {
        origin: holding.origin,
        seq: holding.seq,
        cursors: holding.cursors.clone(),
        sums: holding.buckets.iter().map(|(scope, buckets)| (scope.clone(), total(buckets))).collect(),
        buckets: BTreeMap::new(),
        records: Vec::new(),
        damaged: 0,
        mended: 0,
    }
}

pub async fn compared(node: &TestSite, hub: &TestSite) -> BTreeMap<Scope, (Compared, u64, u64)> {
    let answers = hub.ledger.compare(scopes(), question(node).await).await.unwrap();
    answers.into_iter().map(|(scope, a)| (scope, (a.state, a.node_lacks, a.hub_lacks))).collect()
}

pub async fn in_step(node: &TestSite, hub: &TestSite, now_ms: i64) {
    node.push_to(hub, now_ms).await;
    node.pull_from(hub, now_ms).await;
}

/// One whole round of the scrub over the database.
pub async fn scrub(site: &TestSite, now_ms: i64) -> ScrubStep {
    let mut all = ScrubStep::default();
    for part in [ScrubPart::Tables, ScrubPart::Changes, ScrubPart::Records] {
        let mut position = String::new();
        loop {
            let step = site.ledger.scrub(part, position, now_ms).await.unwrap();
            all.found.extend(step.found);
            all.mended.extend(step.mended);
            match step.position {
                Some(next) => position = next,
                None => break,
            }
        }
    }
    all
}

/// What a failing disk does: beside the ledger, and without its triggers having a say in sums.
pub fn rot(site: &TestSite, sql: &str) {
    let db = Connection::open(site.folder.0.join("ledger.sqlite")).unwrap();
    db.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    db.pragma_update(None, "foreign_keys", false).unwrap();
    assert!(db.execute(sql, []).unwrap() > 0, "it has to hit something: {sql}");
}

async fn pair(node_seed: u64) -> (TestSite, TestSite, Uuid) {
    let hub = TestSite::hub().await;
    let node = TestSite::node(&hub, node_seed).await;
    let id = node.incident("kim", T0, json!({"description": "a ladder fell", "tags": ["ladder"]})).await;
    for n in 1..20 {
        node.incident("kim", T0 + n, json!({"description": format!("number {n}")})).await;
    }
    node.edit("kim", T0 + 30, id, json!({"zone": "stockroom"})).await;
    node.child("kim", T0 + 31, "comment", id, json!({"body": "nobody hurt"})).await;
    node.child("lee", T0 + 32, "step", id, json!({"from": "submitted", "to": "closed"})).await;
    in_step(&node, &hub, T0 + 100).await;
    hub.edit("pat", T0 + 200, id, json!({"title": "a ladder"})).await;
    in_step(&node, &hub, T0 + 300).await;
    (hub, node, id)
}

#[tokio::test]
async fn sums_kept_with_every_change_are_those_of_the_records_and_replicas_agree_after_any_history() {
    let seed = seed("proof");
    let random = Ids::seeded(seed);
    let below = |end: usize| (random.random_u64() % end as u64) as usize;
    for round in 0..4_u64 {
        let hub = TestSite::hub().await;
        let nodes = [TestSite::node(&hub, 40 + round * 2).await, TestSite::node(&hub, 41 + round * 2).await];
        let mut known: Vec<Uuid> = Vec::new();
        let mut now = T0;
        for _ in 0..60 {
            now += 1 + (below(3) as i64) * 1000;
            let site = match below(3) {
                0 => &hub,
                n => &nodes[n - 1],
            };
            let id = (!known.is_empty()).then(|| known[below(known.len().max(1))]);
            let here = match id {
                Some(id) => site.ledger.incident(id).await.unwrap().map(|_| id),
                None => None,
            };
            match (below(8), here) {
                (0 | 1, _) | (2..=5, None) => {
                    known.push(site.incident("kim", now, json!({"description": format!("at {now}")})).await);
                }
                (2 | 3, Some(id)) => site.edit("kim", now, id, json!({"title": format!("at {now}")})).await,
                (4, Some(id)) => {
                    site.child("lee", now, "comment", id, json!({"body": "said"})).await;
                }
                (5, Some(id)) => {
                    site.child("lee", now, "step", id, json!({"from": "submitted", "to": "in_review"})).await;
                }
                (_, _) => in_step(&nodes[below(2)], &hub, now).await,
            }
            for site in [&hub, &nodes[0], &nodes[1]] {
                let (kept, right) = (
                    site.ledger.sums(store_042(), false).await.unwrap(),
                    site.ledger.sums(store_042(), true).await.unwrap(),
                );
                assert_eq!(kept, right, "seed {seed}, round {round}");
            }
        }
        for node in [&nodes[0], &nodes[1], &nodes[0]] {
            in_step(node, &hub, now + 10).await;
        }
        for node in &nodes {
            let all = compared(node, &hub).await;
            assert_eq!(all[&store_042()], (Compared::Equal, 0, 0), "seed {seed}, round {round}");
            assert_eq!(all[&Scope::Company], (Compared::Equal, 0, 0), "seed {seed}, round {round}");
        }
    }
}

#[tokio::test]
async fn sides_that_do_not_know_the_same_changes_are_not_compared_and_say_by_how_many() {
    let (hub, node, id) = pair(50).await;
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Equal, 0, 0));
    node.edit("kim", T0 + 400, id, json!({"zone": "office"})).await;
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Behind, 0, 1));
    hub.edit("pat", T0 + 401, id, json!({"title": "another"})).await;
    hub.edit("pat", T0 + 402, id, json!({"title": "and another"})).await;
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Behind, 2, 1));
    node.push_to(&hub, T0 + 500).await;
    // What came back of its own is nothing that it lacks.
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Behind, 2, 0));
    node.pull_from(&hub, T0 + 500).await;
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Equal, 0, 0));
    let of_others = hub.ledger.compare(vec![Scope::Company], question(&node).await).await.unwrap();
    assert_eq!(
        of_others.keys().collect::<Vec<_>>(),
        [&Scope::Company],
        "a scope that is not the node's has no answer"
    );
}

#[tokio::test]
async fn a_record_that_differs_is_found_in_its_bucket() {
    let (hub, node, id) = pair(51).await;
    rot(&node, "UPDATE records SET state = replace(state, 'stockroom', 'office')");
    let holding = node.ledger.holding(true).await.unwrap().unwrap();
    let mut request = question(&node).await;
    request.sums = holding.buckets.iter().map(|(scope, buckets)| (scope.clone(), total(buckets))).collect();
    let answer = hub.ledger.compare(scopes(), request).await.unwrap().remove(&store_042()).unwrap();
    assert_eq!((answer.state, answer.buckets.len()), (Compared::Different, BUCKETS));
    let ours = &holding.buckets[&store_042()];
    let differ: Vec<u8> = (0..=255).filter(|at| ours[usize::from(*at)] != answer.buckets[usize::from(*at)]).collect();
    assert_eq!(differ, [bucket_of(id)]);
    let (here, _) = node.ledger.items(store_042(), differ.clone(), 100, true).await.unwrap();
    let (there, more) = hub.ledger.items(store_042(), differ, 100, false).await.unwrap();
    let different: Vec<Uuid> = here.iter().zip(&there).filter(|(a, b)| a != b).map(|(a, _)| a.id).collect();
    assert!(here.len() == there.len() && !more);
    assert_eq!(different, [id]);
}

#[tokio::test]
async fn whatever_a_disk_does_to_tables_is_set_aside_and_put_together_again_from_the_changes() {
    for sql in [
        "UPDATE records SET state = replace(state, 'stockroom', 'office')",
        "UPDATE records SET state = 'x' WHERE kind = 'incident'",
        "UPDATE documents SET doc = replace(doc, 'ladder', 'letter') WHERE doc LIKE '%ladder%'",
        "UPDATE incidents SET status = 'void' WHERE status = 'closed'",
        "UPDATE comments SET body = 'nobody knows'",
        "DELETE FROM documents",
        "DELETE FROM comments",
        "DELETE FROM incidents WHERE status = 'closed'",
        "DELETE FROM records WHERE kind = 'comment'",
        "DELETE FROM records WHERE kind = 'incident'",
        "UPDATE records SET sum_a = sum_a + 1 WHERE kind = 'comment'",
        "UPDATE checksums SET sum_a = sum_a + 1",
        "UPDATE changes SET record_id = x'00112233445566778899aabbccddeeff' WHERE seq = 3",
    ] {
        let (hub, node, _) = pair(52).await;
        rot(&node, sql);
        let step = scrub(&node, T0 + 1000).await;
        assert!(step.found.is_empty() && !step.mended.is_empty() || sql.contains("record_id"), "{sql}: {step:?}");
        assert_eq!(node.ledger.audit().await.unwrap().faults, Vec::<String>::new(), "{sql}");
        assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Equal, 0, 0), "{sql}");
        assert_eq!(scrub(&node, T0 + 2000).await, ScrubStep::default(), "{sql}: nothing is left to do");
        assert_eq!(node.ledger.damage_count().await.unwrap().open, 0, "{sql}");
    }
}

#[tokio::test]
async fn what_was_there_is_kept() {
    let (_hub, node, id) = pair(53).await;
    rot(&node, "UPDATE documents SET doc = replace(doc, 'ladder', 'letter') WHERE doc LIKE '%ladder%'");
    scrub(&node, T0 + 1000).await;
    let list = node.ledger.damage(10).await.unwrap();
    assert_eq!((list.len(), list[0].kind, list[0].name.as_str()), (1, DamageKind::Record, id.to_string().as_str()));
    assert_eq!(list[0].mended_ms, Some(T0 + 1000));
    let db = Connection::open(node.folder.0.join("ledger.sqlite")).unwrap();
    let aside: String = db.query_row("SELECT aside FROM damage", [], |row| row.get(0)).unwrap();
    assert!(aside.contains("a letter"), "{aside}");
}

/// What `from` gives of `wanted`, as it would travel.
pub async fn named(from: &TestSite, wanted: Vec<ChangeId>) -> Page {
    let page = from.ledger.changes_named(scopes(), wanted, 1 << 20, T0).await.unwrap();
    Page::decode(&page.encode(), &sync_protocol::message::Limits::default()).unwrap()
}

pub fn outcomes(lines: &[sync_protocol::message::GivenLine]) -> Vec<&Given> {
    lines.iter().map(|line| &line.outcome).collect()
}

#[tokio::test]
async fn a_damaged_change_makes_nothing_goes_nowhere_and_comes_back_from_the_other_side() {
    for (site, sql) in [
        ("node", "UPDATE changes SET body = replace(body, 'stockroom', 'somewhere')"),
        ("node", "UPDATE changes SET body = CAST(x'7bff7d' AS TEXT) WHERE body LIKE '%stockroom%'"),
        ("node", "UPDATE changes SET hlc = hlc + 65536000 WHERE body LIKE '%stockroom%'"),
        (
            "node",
            "UPDATE changes SET body = replace(body, 'a ladder\"', 'a letter\"') WHERE body LIKE '%title%'",
        ),
        ("node", "DELETE FROM changes WHERE body LIKE '%stockroom%'"),
        ("node", "DELETE FROM changes WHERE body LIKE '%title%'"),
        ("hub", "UPDATE changes SET body = replace(body, 'stockroom', 'somewhere')"),
        ("hub", "UPDATE changes SET hlc = hlc + 65536000 WHERE body LIKE '%stockroom%'"),
        (
            "hub",
            "UPDATE changes SET body = replace(body, 'a ladder\"', 'a letter\"') WHERE body LIKE '%title%'",
        ),
        ("hub", "DELETE FROM changes WHERE body LIKE '%stockroom%'"),
        ("hub", "DELETE FROM changes WHERE body LIKE '%ladder fell%'"),
        ("hub", "DELETE FROM changes WHERE body LIKE '%title%'"),
    ] {
        let (hub, node, id) = pair(54).await;
        let before = hub.ledger.incident(id).await.unwrap().unwrap().doc;
        let (here, there) = if site == "node" { (&node, &hub) } else { (&hub, &node) };
        rot(here, sql);
        let step = scrub(here, T0 + 1000).await;
        assert!(!step.found.is_empty(), "{site}: {sql}");
        assert!(step.mended.is_empty(), "{site}: {sql}: put together from less than all: {step:?}");
        // Nothing is made of it, and what is shown is still what was recorded.
        assert_eq!(here.ledger.incident(id).await.unwrap().unwrap().doc, before, "{site}: {sql}");
        if !sql.starts_with("DELETE") {
            assert!(here.ledger.history(id).await.is_err(), "{site}: {sql}");
            assert!(here.ledger.suspicion().now_or_never().is_some(), "{site}: {sql}: the scrub is told");
            assert!(here.ledger.suspicion().now_or_never().is_none(), "{site}: {sql}: once");
        }
        let wanted = here.ledger.changes_wanted(scopes(), 10).await.unwrap();
        assert_eq!(wanted.len(), 1, "{site}: {sql}");
        assert!(here.ledger.changes_wanted(vec![Scope::Company], 10).await.unwrap().is_empty());
        assert!(named(here, wanted.clone()).await.lines.is_empty(), "{site}: {sql}: a damaged one goes nowhere");

        let right = named(there, wanted).await;
        assert_eq!(right.lines.len(), 1, "{site}: {sql}");
        let mut forged = right.clone();
        forged.lines[0].body = raw_body(&right.lines[0].body.get().replacen("\"at\":1", "\"at\":2", 1)).unwrap();
        // Nobody but the hub makes seals, and never the same for something else.
        forged.lines[0].seal = None;
        let of_another = here.ledger.take_mended(vec![Scope::Company], right.clone(), T0 + 1500).await.unwrap();
        assert!(matches!(outcomes(&of_another)[..], [Given::Refused { later: false, .. }]), "{site}: {sql}");
        let is_gone_of_others = site == "node" && sql.contains("title") && sql.starts_with("DELETE");
        if !is_gone_of_others {
            let answers = here.ledger.take_mended(scopes(), forged, T0 + 1500).await.unwrap();
            assert!(matches!(outcomes(&answers)[..], [Given::Refused { .. }]), "{site}: {sql}: {answers:?}");
        }
        let answers = here.ledger.take_mended(scopes(), right.clone(), T0 + 1500).await.unwrap();
        assert_eq!(outcomes(&answers), [&Given::Taken], "{site}: {sql}");
        let answers = here.ledger.take_mended(scopes(), right, T0 + 1500).await.unwrap();
        assert_eq!(outcomes(&answers), [&Given::Known], "{site}: {sql}");

        assert_eq!(here.ledger.incident(id).await.unwrap().unwrap().doc, before, "{site}: {sql}");
        assert!(here.ledger.history(id).await.is_ok());
        assert_eq!(here.ledger.audit().await.unwrap().faults, Vec::<String>::new(), "{site}: {sql}");
        assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Equal, 0, 0), "{site}: {sql}");
        assert_eq!(here.ledger.damage_count().await.unwrap().open, 0, "{site}: {sql}");
        assert_eq!(scrub(here, T0 + 2000).await.found, Vec::new(), "{site}: {sql}");
        // A new node gets everything, once.
        let fresh = TestSite::node(&hub, 55).await;
        fresh.pull_from(&hub, T0 + 3000).await;
        assert_eq!(compared(&fresh, &hub).await[&store_042()], (Compared::Equal, 0, 0), "{site}: {sql}");
    }
}

#[tokio::test]
async fn several_lost_changes_of_one_stream_are_proven_together() {
    let (hub, node, _) = pair(56).await;
    rot(
        &hub,
        "DELETE FROM changes WHERE origin_no = (SELECT origin_no FROM origins WHERE node_id IS NOT NULL) AND seq IN (2, 3, 9)",
    );
    scrub(&hub, T0 + 1000).await;
    let wanted = hub.ledger.changes_wanted(scopes(), 10).await.unwrap();
    assert_eq!(wanted.iter().map(|id| id.seq).collect::<Vec<_>>(), [2, 3, 9]);
    let page = named(&node, wanted).await;
    let two = Page { header: page.header.clone(), lines: page.lines[..2].to_vec() };
    let answers = hub.ledger.take_mended(scopes(), two, T0 + 1500).await.unwrap();
    assert!(
        outcomes(&answers).iter().all(|one| matches!(one, Given::Refused { later: true, .. })),
        "{answers:?}"
    );
    let answers = hub.ledger.take_mended(scopes(), page, T0 + 1500).await.unwrap();
    assert_eq!(outcomes(&answers), [&Given::Taken; 3]);
    assert_eq!(hub.ledger.audit().await.unwrap().faults, Vec::<String>::new());
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Equal, 0, 0));
}

#[tokio::test]
async fn records_and_changes_from_before_there_were_sums_get_theirs() {
    let (hub, node, _) = pair(57).await;
    rot(&node, "UPDATE records SET bucket = NULL, sum_a = NULL, sum_b = NULL");
    rot(&node, "UPDATE changes SET digest = NULL");
    assert!(node.ledger.holding(false).await.unwrap().unwrap().unsummed);
    while node.ledger.sum_up(7).await.unwrap() > 0 {}
    assert!(!node.ledger.holding(false).await.unwrap().unwrap().unsummed);
    assert_eq!(compared(&node, &hub).await[&store_042()], (Compared::Equal, 0, 0));
    let db = Connection::open(node.folder.0.join("ledger.sqlite")).unwrap();
    let left: i64 = db
        .query_row("SELECT count(*) FROM changes WHERE digest IS NULL", params![], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 0);
    assert!(matches!(node.ledger.identity().await.unwrap(), Identity::Node(_)));
}
