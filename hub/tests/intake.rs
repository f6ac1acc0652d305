//! What a node meets at the hub, over a real port: the sync protocol's answers and refusals.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod support;

use aincident_hub::fleet;
use desk::actor::Actor;
use desk::ledger::Standing;
use desk::ledger::sqlite::Check;
use desk::quarantine;
use serde_json::json;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use support::{Hub, NOW_MS, enrol, incident, new_record, pushed, send, until};
use sync_protocol::batch::{Page, Push, raw_body};
use sync_protocol::chain::Link;
use sync_protocol::checksum::{CHANGES, CHECKSUMS, MAX_RECORDS, MEND};
use sync_protocol::message::{Limits, Outcome, PROOF_HEADER, PushResult, path};
use uuid::Uuid;

#[tokio::test]
async fn a_code_enrols_one_node_once_and_nobody_learns_why_another_one_is_refused() {
    let hub = Hub::start().await;
    let code = hub.code("042").await;
    let typed = code.to_lowercase().replace('-', " ");
    let reply = enrol(hub.address, &typed, &[1, 2]).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let answer = reply.json();
    assert_eq!(
        (answer["store_code"].as_str(), answer["scopes"].clone()),
        (Some("042"), json!(["store/042", "company"]))
    );
    assert_eq!((answer["protocol"].clone(), answer["credential"].as_str().map(str::len)), (json!(2), Some(66)));

    let stale = hub.code("042").await;
    let used = enrol(hub.address, &code, &[1]).await;
    let unknown = enrol(hub.address, "AAAA-BBBB-CCCC", &[1]).await;
    hub.clock.advance(24 * 3_600_000);
    let old = enrol(hub.address, &stale, &[1]).await;
    for reply in [&used, &unknown, &old] {
        assert_eq!((reply.status, reply.code().as_str(), &reply.body), (403, "bad-code", &used.body));
    }
    let nodes = hub.desk.ledger().nodes(None).await.unwrap();
    assert_eq!(nodes.len(), 1);
    assert_eq!((nodes[0].name.as_str(), nodes[0].clock_offset_ms), ("till-1", 1500));
    hub.stop().await;
}

#[tokio::test]
async fn guessing_codes_is_slowed_down() {
    let hub = Hub::start().await;
    let good = hub.code("042").await;
    let mut slowed = None;
    for _ in 0..40 {
        let reply = enrol(hub.address, "AAAA-BBBB-CCCC", &[1]).await;
        if reply.status == 429 {
            slowed = Some(reply);
            break;
        }
    }
    let slowed = slowed.expect("wrong codes without end");
    assert_eq!(slowed.code(), "too-many-attempts");
    assert!(slowed.headers["retry-after"].parse::<u64>().unwrap() >= 1);
    assert_eq!(enrol(hub.address, &good, &[1]).await.status, 429);
    hub.stop().await;
}

#[tokio::test]
async fn without_a_common_version_nothing_is_used_up() {
    let hub = Hub::start().await;
    let code = hub.code("042").await;
    let reply = enrol(hub.address, &code, &[9]).await;
    assert_eq!((reply.status, reply.code().as_str()), (426, "protocol-version"));
    assert_eq!(enrol(hub.address, &code, &[9, 1]).await.status, 200);
    let node = hub.enrol("042").await;
    let mut hello = node.hello_body();
    hello["protocols"] = json!([7]);
    let reply = node.ask(path::HELLO, hello.to_string().as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (426, "protocol-version"));
    hub.stop().await;
}

#[tokio::test]
async fn who_cannot_say_who_they_are_gets_nothing() {
    let hub = Hub::start().await;
    let node = hub.enrol("042").await;
    let nonce = ("aincident-nonce", "0123456789abcdef0123456789abcdef".to_owned());
    let version = ("aincident-protocol", "1".to_owned());
    let bearer = |secret: &str| ("authorization", format!("Bearer {}.{secret}", node.id));
    let hello = node.hello_body().to_string();
    for headers in [
        vec![nonce.clone(), version.clone()],
        vec![nonce.clone(), version.clone(), bearer("wrong")],
        vec![nonce.clone(), version.clone(), ("authorization", format!("Bearer {}.{}", Uuid::nil(), node.secret))],
        vec![nonce.clone(), version.clone(), bearer(&node.secret), bearer("second")],
    ] {
        let reply = send(hub.address, "POST", path::HELLO, &headers, hello.as_bytes()).await;
        assert_eq!((reply.status, reply.code().as_str()), (401, "unknown-node"));
        assert!(!reply.headers.contains_key(PROOF_HEADER));
    }
    for (headers, sealed) in [
        (vec![version.clone(), bearer(&node.secret)], false),
        (vec![("aincident-nonce", "short".to_owned()), version, bearer(&node.secret)], false),
        (vec![nonce, bearer(&node.secret)], true),
    ] {
        let reply = send(hub.address, "POST", path::HELLO, &headers, hello.as_bytes()).await;
        assert_eq!((reply.status, reply.code().as_str()), (400, "malformed"));
        assert_eq!(reply.headers.contains_key(PROOF_HEADER), sealed);
    }
    hub.stop().await;
}

#[tokio::test]
async fn hello_tells_where_the_hub_stands_and_brings_a_new_secret() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    let mut copy = node.clone();
    let first = node.hello().await;
    assert_eq!((first.applied_seq, first.head, first.now_ms), (0, Link::start(node.origin), NOW_MS));
    node.record(&node.incidents(3)).await;
    // Two answers with a new secret are lost: the old one stays good.
    let lost = node.hello().await.credential.unwrap();
    let second = node.hello().await;
    assert_eq!((second.applied_seq, second.head), (3, node.head));
    node.secret = second.credential.unwrap();
    node.hello().await;

    // From the first use on, the old one is a copy's.
    copy.machine = "cd".repeat(32);
    let reply = copy.ask(path::HELLO, copy.hello_body().to_string().as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (401, "credential-superseded"));
    copy.secret = lost;
    let (reply, _) = copy.call(path::HELLO, copy.hello_body().to_string().as_bytes()).await;
    assert_eq!(reply.status, 401);
    hub.stop().await;
}

#[tokio::test]
async fn a_node_of_another_hub_is_told_so() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    node.hub_id = Uuid::from_u128(1);
    let reply = node.ask(path::HELLO, node.hello_body().to_string().as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (409, "wrong-hub"));
    hub.stop().await;
}

#[tokio::test]
async fn a_revoked_node_is_refused_at_once_also_when_another_process_revoked_it() {
    let hub = Hub::start().await;
    let node = hub.enrol("042").await;
    let page = node.pull(&BTreeMap::new(), 0).await;
    // It waits for news when it is revoked; news come.
    let waiting = {
        let (node, cursors) = (node.clone(), page.header.cursors);
        tokio::spawn(async move {
            let cursors = json!({"store/042": cursors[&"store/042".parse().unwrap()]});
            node.ask(path::PULL, &node.pull_body(cursors, 20_000)).await
        })
    };
    let beside = hub.beside().await;
    assert!(beside.ledger().revoke(node.id, "kim", None, NOW_MS).await.unwrap());
    let reply = node.ask(path::HELLO, node.hello_body().to_string().as_bytes()).await;
    assert_eq!((reply.status, reply.code().as_str()), (403, "node-revoked"));
    let (push, bodies) = (hub.enrol("042").await, node.incidents(1));
    push.push(1, Link::start(push.origin), &bodies).await;
    let reply = waiting.await.unwrap();
    assert_eq!((reply.status, reply.code().as_str()), (403, "node-revoked"));
    hub.stop().await;
}

#[tokio::test]
async fn a_push_is_taken_once_and_a_repeat_gets_its_answers_again() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    let mut bodies = node.incidents(2);
    bodies.push("not a change at all".to_owned());
    let first = node.push(1, node.head, &bodies).await;
    let PushResult::Accepted { applied_seq, head, answers, .. } = pushed(&first).result else {
        panic!("{}", first.text())
    };
    node.head = bodies.iter().fold(node.head, |link, body| link.extend(body.as_bytes()));
    assert_eq!((applied_seq, head), (3, node.head));
    assert_eq!((&answers[0].outcome, answers[0].received_ms), (&Outcome::Applied, NOW_MS));
    assert!(matches!(answers[2].outcome, Outcome::Quarantined { .. }), "{answers:?}");

    hub.clock.advance(5000);
    let again = pushed(&node.push(1, Link::start(node.origin), &bodies).await);
    let PushResult::Accepted { applied_seq: 3, answers: repeat, .. } = again.result else {
        panic!("{again:?}")
    };
    assert_eq!((&repeat[0].outcome, repeat[0].received_ms), (&Outcome::Duplicate, NOW_MS));
    assert_eq!(repeat[2], answers[2]);
    hub.stop().await;
}

#[tokio::test]
async fn a_node_makes_no_accounts_and_no_stores() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    let id = |n: u128| Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0000 + n);
    let evil = [
        new_record("account", id(1), &[("username", "evil"), ("role", "admin"), ("password_hash", "x")]),
        new_record("account", id(2), &[("username", "mole"), ("role", "employee"), ("store_code", "042")]),
        new_record("store", id(3), &[("code", "666"), ("name", "Hell")]),
    ];
    let answer = node.record(&evil).await;
    let PushResult::Accepted { answers, .. } = answer.result else {
        panic!("{answer:?}")
    };
    for answer in answers {
        assert!(matches!(&answer.outcome, Outcome::Quarantined { code, .. } if code == "not-yours"), "{answer:?}");
    }
    let ledger = hub.desk.ledger();
    assert!(ledger.account("evil").await.unwrap().is_none() && ledger.account("mole").await.unwrap().is_none());
    assert!(ledger.store("666").await.unwrap().is_none());
    assert_eq!(ledger.audit().await.unwrap().faults, Vec::<String>::new());
    hub.stop().await;
}

#[tokio::test]
async fn a_change_that_makes_the_hub_fail_is_set_aside_and_the_others_are_taken() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    let mut bodies = node.incidents(5);
    bodies[2] = incident("a poisonous one", Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0009));
    hub.poison("a poisonous one");
    let answer = node.record(&bodies).await;
    let PushResult::Accepted { applied_seq: 5, head, answers, .. } = answer.result else {
        panic!("{answer:?}")
    };
    assert_eq!(head, node.head);
    for answer in answers {
        match answer.seq {
            3 => {
                assert!(matches!(&answer.outcome, Outcome::Quarantined { code, .. } if code == "failed"), "{answer:?}")
            }
            _ => assert_eq!(answer.outcome, Outcome::Applied),
        }
    }
    let reader = hub.enrol("042").await;
    let page = reader.pull(&BTreeMap::new(), 0).await;
    assert_eq!(page.lines.iter().filter(|line| line.origin == node.origin).count(), 4);
    assert_eq!(hub.desk.ledger().audit().await.unwrap().faults, Vec::<String>::new());
    hub.stop().await;
}

#[tokio::test]
async fn what_meets_something_that_the_hubs_disk_has_damaged_waits_until_that_is_whole_and_is_blamed_for_nothing() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    let (met, start) = (Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0042), node.head);
    let first = [incident("a puddle", met)];
    node.record(&first).await;
    let rot = |from: &str, to: &str| {
        let sql = "UPDATE changes SET body = replace(body, ?1, ?2) WHERE seq = 1 AND instr(body, ?1) > 0";
        assert_eq!(hub.database().execute(sql, [from, to]).unwrap(), 1);
    };
    rot("a puddle", "a poodle");
    let edit = incident("a lake", met).replace("\"new\":true,", "");
    let answer = node.record(&[edit, node.incidents(1).remove(0)]).await;
    let PushResult::Accepted { applied_seq: 3, answers, .. } = answer.result else {
        panic!("{answer:?}")
    };
    let outcomes: Vec<&Outcome> = answers.iter().map(|answer| &answer.outcome).collect();
    assert_eq!(outcomes, [&Outcome::Deferred, &Outcome::Applied]);
    assert_eq!(hub.desk.ledger().go_on(NOW_MS).await.unwrap(), 0, "it is damaged still");
    // A change that is sent again cannot be compared with what is damaged: the node comes back later.
    let again = node.push(1, start, &first).await;
    assert_eq!((again.status, again.code().as_str()), (503, "busy"));
    assert!(again.headers["retry-after"].parse::<u64>().unwrap() >= 1);
    let open = async || quarantine::list(&hub.desk, &Actor::system("test"), false, None, 10).await.unwrap().items.len();
    assert_eq!(open().await, 0, "there is nothing that a person would have to decide");
    rot("a poodle", "a puddle");
    assert_eq!(hub.desk.ledger().go_on(NOW_MS).await.unwrap(), 1);
    assert!(matches!(pushed(&node.push(1, start, &first).await).result, PushResult::Accepted { .. }));
    let shown = hub.desk.ledger().incident(met).await.unwrap().unwrap().doc;
    assert!(shown.contains("a lake"), "{shown}");
    assert_eq!(hub.desk.ledger().audit().await.unwrap().faults, Vec::<String>::new());
    hub.stop().await;
}

#[tokio::test]
async fn a_push_that_makes_the_hub_panic_is_halved_until_the_one_change_is_found() {
    let pushes = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&pushes);
    let check = Check::new(move |body| {
        if body.contains("\"description\":\"incident ") {
            counted.fetch_add(1, Ordering::Relaxed);
        }
        assert!(!body.contains("planted"), "a planted panic");
    });
    let hub = Hub::start_with(check).await;
    let mut node = hub.enrol("042").await;
    let mut bodies = node.incidents(200);
    bodies[70] = incident("a planted one", Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0070));
    bodies[71] = incident("another planted one", Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0071));
    let answer = node.record(&bodies).await;
    let PushResult::Accepted { applied_seq: 200, head, answers, .. } = answer.result else {
        panic!("{answer:?}")
    };
    assert_eq!((head, answers.len()), (node.head, 200));
    for answer in &answers {
        let failed =
            matches!(&answer.outcome, Outcome::Quarantined { code, reason } if code == "failed" && !reason.is_empty());
        assert_eq!(failed, matches!(answer.seq, 71 | 72), "{answer:?}");
        assert_eq!(!failed, answer.outcome == Outcome::Applied, "{answer:?}");
    }
    // Halved, not tried one by one from the start: each change was looked at a few times at most.
    let looked_at = pushes.load(Ordering::Relaxed);
    assert!(looked_at < 200 * 5, "{looked_at}");
    // The process lives, takes the next push, and has what failed ready for a person.
    node.record(&node.incidents(1)).await;
    let items = quarantine::list(&hub.desk, &Actor::system("test"), false, None, 10).await.unwrap().items;
    assert_eq!(items.iter().map(|item| item.id.seq).collect::<Vec<_>>(), [72, 71]);
    let item = quarantine::retry(&hub.desk, &Actor::system("test"), items[0].id, None).await.unwrap();
    assert_eq!(item.standing, Standing::Applied);
    let nodes = fleet::nodes(&hub.desk, &Actor::system("test"), None).await.unwrap();
    assert_eq!(nodes[0].quarantined, 1, "whatever the node itself tells");
    assert_eq!(hub.desk.ledger().audit().await.unwrap().faults, Vec::<String>::new());
    hub.stop().await;
}

#[tokio::test]
async fn a_gap_and_a_fork_are_answers_and_apply_nothing() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    node.record(&node.incidents(2)).await;
    let far = pushed(&node.push(5, node.head, &node.incidents(1)).await);
    assert_eq!(far.result, PushResult::Gap { expected: 3 });
    let mut copy = node.clone();
    node.record(&node.incidents(2)).await;
    let other = copy.incidents(1);
    let forked = pushed(&copy.push(3, copy.head, &other).await);
    assert_eq!(forked.result, PushResult::Fork { agreed_seq: 2 });
    copy.secret.clone_from(&node.secret);
    assert_eq!(node.hello().await.applied_seq, 4);
    hub.stop().await;
}

#[tokio::test]
async fn another_nodes_stream_is_not_yours() {
    let hub = Hub::start().await;
    let mut node = hub.enrol("042").await;
    node.record(&node.incidents(1)).await;
    for store in ["042", "043"] {
        let mut other = hub.enrol(store).await;
        other.origin = node.origin;
        let push = Push::encode(node.origin, 2, node.head, &node.incidents(1));
        let reply = other.ask(path::PUSH, &push).await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "not-yours"));
        let reply = other.ask(path::HELLO, other.hello_body().to_string().as_bytes()).await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "not-yours"));
    }
    assert_eq!(node.hello().await.applied_seq, 1);
    hub.stop().await;
}

#[tokio::test]
async fn what_is_no_push_or_too_much_of_one_is_refused_whole() {
    let hub = Hub::start().await;
    let node = hub.enrol("042").await;
    let reply = node.ask(path::PUSH, b"not zstd").await;
    assert_eq!((reply.status, reply.code().as_str()), (400, "malformed"));
    let mut broken = Push::encode(node.origin, 1, node.head, &node.incidents(3));
    let last = broken.len() - 1;
    broken[last] ^= 0xff;
    assert_eq!(node.ask(path::PUSH, &broken).await.status, 400);
    let many: Vec<String> = (0..1001).map(|n| format!("{n}")).collect();
    let reply = node.ask(path::PUSH, &Push::encode(node.origin, 1, node.head, &many)).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "too-large"));
    let reply = node.ask(path::PULL, &[b' '; 70_000]).await;
    assert_eq!((reply.status, reply.code().as_str()), (413, "too-large"));
    assert_eq!(node.hello().await.applied_seq, 0);
    hub.stop().await;
}

#[tokio::test]
async fn a_node_pulls_its_store_and_the_company_and_nothing_else() {
    let hub = Hub::start().await;
    let mut theirs = hub.enrol("043").await;
    theirs.record(&theirs.incidents(2)).await;
    let mut colleague = hub.enrol("042").await;
    colleague.record(&colleague.incidents(2)).await;
    let node = hub.enrol("042").await;
    let page = node.pull(&BTreeMap::new(), 0).await;
    assert!(page.lines.iter().all(|line| line.scope.to_string() == "store/042"), "{page:?}");
    let pushed = page.lines.iter().filter(|line| line.origin == colleague.origin).count();
    assert_eq!(pushed, 2);
    assert_eq!(page.header.sites[&colleague.origin], "042");
    for foreign in [json!({"store/043": null}), json!({"hub": null}), json!({"store/042": null, "store/043": null})] {
        let reply = node.ask(path::PULL, &node.pull_body(foreign, 0)).await;
        assert_eq!((reply.status, reply.code().as_str()), (403, "not-yours"));
    }
    for cursor in ["nonsense".to_owned(), format!("{}.1", Uuid::from_u128(7)), format!("{}.999999", node.epoch)] {
        let reply = node.ask(path::PULL, &node.pull_body(json!({"store/042": cursor}), 0)).await;
        assert_eq!((reply.status, reply.code().as_str()), (409, "bad-cursor"));
    }
    hub.stop().await;
}

#[tokio::test]
async fn a_pull_that_waits_gets_news_within_a_second_and_sleeps_through_its_own() {
    let hub = Hub::start().await;
    let node = hub.enrol("042").await;
    let mut theirs = hub.enrol("043").await;
    let mut colleague = hub.enrol("042").await;
    let cursors = node.pull(&BTreeMap::new(), 0).await.header.cursors;
    let wait = |wait_ms| {
        let (node, cursors) = (node.clone(), cursors.clone());
        tokio::spawn(async move {
            let page = node.pull(&cursors, wait_ms).await;
            (page, Instant::now())
        })
    };
    // Neither another store's news nor its own wake it.
    let begun = Instant::now();
    let waiting = wait(500);
    theirs.record(&theirs.incidents(1)).await;
    node.clone().record(&node.incidents(1)).await;
    let (page, heard) = waiting.await.unwrap();
    assert!(page.lines.is_empty() && heard.duration_since(begun) >= Duration::from_millis(500));

    let waiting = wait(20_000);
    let told = Instant::now();
    colleague.record(&colleague.incidents(1)).await;
    let (page, heard) = waiting.await.unwrap();
    assert!(heard.duration_since(told) < Duration::from_secs(1));
    assert_eq!(page.lines.iter().map(|line| line.origin).collect::<Vec<_>>(), [colleague.origin]);

    // What another process writes wakes it too.
    let waiting = tokio::spawn(async move {
        let page = node.pull(&page.header.cursors, 20_000).await;
        (page, Instant::now())
    });
    let beside = hub.beside().await;
    let new = desk::accounts::NewAccount {
        username: "kim".to_owned(),
        display_name: None,
        role: desk::actor::Role::Employee,
        store_code: Some("042".to_owned()),
        password: "a good password".to_owned(),
    };
    desk::accounts::add(&beside, &Actor::system("test"), new).await.unwrap();
    let told = Instant::now();
    let (page, heard) = waiting.await.unwrap();
    assert!(heard.saturating_duration_since(told) < Duration::from_secs(1));
    assert_eq!(page.lines.len(), 1);
    hub.stop().await;
}

#[tokio::test]
async fn a_pull_without_news_ends_empty_in_time_and_at_shutdown() {
    let hub = Hub::start().await;
    let node = hub.enrol("042").await;
    let cursors = node.pull(&BTreeMap::new(), 0).await.header.cursors;
    let begun = Instant::now();
    let page = node.pull(&cursors, 200).await;
    assert!(page.lines.is_empty() && page.header.cursors == cursors && begun.elapsed() >= Duration::from_millis(200));
    // What a hello tells differs from what a pull tells, so the pull's call is written down at once.
    node.hello().await;
    let called_ms = hub.clock.advance(1000);
    let waiting = tokio::spawn(async move { node.pull(&cursors, 25_000).await });
    until("the pull", || async {
        hub.desk.ledger().nodes(None).await.unwrap()[0].last_contact_ms == Some(called_ms)
    })
    .await;
    let begun = Instant::now();
    hub.stop().await;
    assert!(waiting.await.unwrap().lines.is_empty());
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn the_fleet_list_knows_what_a_node_told() {
    let hub = Hub::start().await;
    let node = hub.enrol("042").await;
    hub.clock.advance(90_000);
    node.pull(&BTreeMap::new(), 0).await;
    until("the contact", || async {
        let nodes = hub.desk.ledger().nodes(None).await.unwrap();
        nodes[0].last_contact_ms == Some(NOW_MS + 90_000)
            && nodes[0].status.pending_changes == 3
            && nodes[0].clock_offset_ms == 7
    })
    .await;
    hub.stop().await;
}

#[tokio::test]
async fn one_incident_reaches_the_other_node_byte_for_byte() {
    let hub = Hub::start().await;
    let mut one = hub.enrol("042").await;
    let two = hub.enrol("042").await;
    let body = incident("Grüße ✓", Uuid::from_u128(0x0197_0000_0000_7000_8000_0000_0000_0001));
    one.record(std::slice::from_ref(&body)).await;
    let page = two.pull(&BTreeMap::new(), 0).await;
    assert!(page.lines.iter().any(|line| line.body.get() == body));
    hub.stop().await;
}

#[tokio::test]
async fn checksums_tell_a_node_of_its_own_scopes_only_and_mend_takes_nothing_that_is_not_missed() {
    let hub = Hub::start().await;
    let (mut node, mut other) = (hub.enrol("042").await, hub.enrol("043").await);
    let bodies = node.incidents(2);
    node.record(&bodies).await;
    let theirs = other.incidents(1);
    other.record(&theirs).await;
    let zero = json!({"records": 0, "sum": "0".repeat(32)});
    let ask = |origin: Uuid, scope: &str| json!({"origin": origin, "seq": 2, "cursors": {scope: null}, "sums": {scope: zero}});
    let refused = node.ask(CHECKSUMS, ask(node.origin, "store/043").to_string().as_bytes()).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "not-yours"));
    let refused = node.ask(CHECKSUMS, ask(other.origin, "store/042").to_string().as_bytes()).await;
    assert_eq!((refused.status, refused.code().as_str()), (403, "not-yours"));
    let mut many = ask(node.origin, "store/042");
    many["records"] = json!((0..=MAX_RECORDS).map(|n| Uuid::from_u128(n as u128)).collect::<Vec<_>>());
    let refused = node.ask(CHECKSUMS, many.to_string().as_bytes()).await;
    assert_eq!((refused.status, refused.code().as_str()), (400, "malformed"));

    // Its own changes stand behind its cursor and are nothing that it lacks; the store itself, made at headquarters, is.
    let answer = node.ask(CHECKSUMS, ask(node.origin, "store/042").to_string().as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let answer = answer.json()["scopes"]["store/042"].clone();
    assert_eq!((&answer["state"], &answer["hub_lacks"]), (&json!("behind"), &json!(0)), "{answer}");
    assert!(answer["node_lacks"].as_u64().unwrap() > 0, "{answer}");

    let wanted = |origin: Uuid| json!({"wanted": [format!("{origin}:1")]}).to_string();
    let page = |reply: support::Reply| Page::decode(&reply.body, &Limits::default()).unwrap();
    let own = page(node.ask(CHANGES, wanted(node.origin).as_bytes()).await);
    assert_eq!((own.lines.len(), own.lines[0].body.get()), (1, bodies[0].as_str()));
    assert!(page(node.ask(CHANGES, wanted(other.origin).as_bytes()).await).lines.is_empty(), "another store's");

    let mut altered = own.clone();
    altered.lines[0].body = raw_body(&bodies[0].replace("incident 1", "incident 9")).unwrap();
    altered.lines[0].seq = 7;
    for (given, outcome) in [(&own, "known"), (&altered, "refused")] {
        let answer = node.ask(MEND, &given.encode()).await;
        assert_eq!((answer.status, answer.json()["answers"][0]["outcome"].as_str()), (200, Some(outcome)));
    }
    let answer = other.ask(MEND, &own.encode()).await;
    assert_eq!(answer.json()["answers"][0]["outcome"], "refused", "of another store");
    hub.stop().await;
}
