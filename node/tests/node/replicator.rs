//! The replicator against a hub that misbehaves on request.

use std::time::Duration;

use aincident_node::replicator::board::Part;
use desk::ledger::{LinkState, SharedLedger};
use sync_protocol::batch::Push;
use sync_protocol::message::{Limits, path, refusal};
use uuid::Uuid;

use crate::hub::{FakeHub, Mood, SECRET, State};
use crate::machine::{Node, enrolment, until};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_recorded_goes_up_and_what_headquarters_adds_comes_down() {
    let hub = FakeHub::start().await;
    let node = Node::enrolled(&hub).await;
    for n in 0..40 {
        node.record(&format!("before the start {n}")).await;
    }
    node.start();
    until("the backlog is empty", async || node.pending().await == 0).await;
    hub.add_account("ann");
    until("the account is here", async || node.has_account("ann").await).await;
    node.record("after the start").await;
    until("the last one is there", async || hub.state().held.len() == 41 && node.pending().await == 0).await;
    until("the account is counted", async || node.pulled().await == 1).await;
    let live = node.board.now();
    assert!(live.hub_reachable && live.troubles.is_empty(), "{live:?}");
    let mut nonces: Vec<String> = hub.state().log.iter().map(|asked| asked.nonce.clone()).collect();
    let all = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), all, "no nonce was used twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_page_or_an_answer_without_a_proof_is_no_hub() {
    for mood in [Mood::Portal, Mood::Unproven, Mood::Forged] {
        let hub = FakeHub::start().await;
        hub.everywhere(mood.clone());
        hub.add_account("ann");
        let node = Node::enrolled(&hub).await;
        node.record("one").await;
        node.start();
        until("it was tried", async || hub.count(path::HELLO) >= 4).await;
        let live = node.board.now();
        assert_eq!((node.pending().await, live.hub_reachable, live.last_contact_ms), (1, false, None), "{mood:?}");
        assert_eq!((hub.count(path::PUSH), hub.count(path::PULL)), (0, 0), "nothing but hello is tried");
        assert!(live.to_kept().last_error.is_some_and(|words| words.contains("not this node's hub")));
        hub.everywhere(Mood::Honest);
        until("all is well", async || node.pending().await == 0 && node.has_account("ann").await).await;
        until("the trouble is over", async || node.board.now().troubles.is_empty()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_portal_that_comes_later_acknowledges_nothing() {
    let hub = FakeHub::start().await;
    let node = Node::enrolled(&hub).await;
    node.start();
    until("it is online", async || node.board.now().hub_reachable).await;
    hub.everywhere(Mood::Portal);
    node.record("one").await;
    until("it noticed", async || !node.board.now().hub_reachable).await;
    assert_eq!((node.pending().await, hub.state().held.len()), (1, 0));
    hub.everywhere(Mood::Honest);
    until("it is sent", async || node.pending().await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_lost_on_the_way_is_the_normal_case() {
    let hub = FakeHub::start().await;
    let node = Node::enrolled(&hub).await;
    node.record("one").await;
    node.record("two").await;
    hub.once(path::PUSH, [Mood::Lost, Mood::Lost]);
    node.start();
    until("it is acknowledged", async || node.pending().await == 0).await;
    assert_eq!(hub.state().held.len(), 2, "nothing is there twice");
    assert!(hub.count(path::PUSH) >= 3);
}

/// A node that has recorded and sent so many changes, and its hub.
async fn in_step(changes: usize) -> (FakeHub, Node) {
    let hub = FakeHub::start().await;
    let node = Node::enrolled(&hub).await;
    for n in 0..changes {
        node.record(&format!("{n}")).await;
    }
    node.start();
    until("all is there", async || node.pending().await == 0).await;
    (hub, node)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_forgot_changes_gets_them_again() {
    let (hub, node) = in_step(5).await;
    // While it serves: the node learns from the gap.
    hub.state().held.truncate(2);
    node.record("six").await;
    until("all is there again", async || node.pending().await == 0 && hub.state().held.len() == 6).await;
    // While the node is off: it learns from hello.
    node.end().await;
    hub.state().held.truncate(1);
    node.start();
    until("all is there once more", async || hub.state().held.len() == 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_forgot_while_the_line_was_cut_gets_all_again_though_nothing_new_is_recorded() {
    let (hub, node) = in_step(4).await;
    hub.everywhere(Mood::Portal);
    until("the line is cut", async || !node.board.now().hub_reachable).await;
    hub.state().held.truncate(1);
    hub.everywhere(Mood::Honest);
    until("all is there again", async || hub.state().held.len() == 4).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_hub_that_forgot_says_of_changes_sent_again_is_heard_though_its_first_answer_is_lost() {
    let (hub, node) = in_step(4).await;
    node.end().await;
    hub.state().held.truncate(1);
    hub.once(path::PUSH, [Mood::Lost]);
    let before = hub.count(path::PUSH);
    node.start();
    // It holds them all after the first push, but what became of them nobody has heard.
    until("the answers", async || hub.count(path::PUSH) >= before + 2 && node.pending().await == 0).await;
    let firsts: Vec<u64> = hub
        .state()
        .log
        .iter()
        .filter(|asked| asked.path == path::PUSH)
        .skip(before)
        .map(|asked| Push::decode(&asked.body, &Limits::default()).unwrap().header.first_seq)
        .collect();
    assert_eq!(firsts[..2], [2, 2], "{firsts:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_after_is_obeyed() {
    let hub = FakeHub::start().await;
    hub.once(path::HELLO, [Mood::Refuse(503, "busy", Some(1))]);
    let node = Node::enrolled(&hub).await;
    node.record("one").await;
    node.start();
    until("it is sent", async || node.pending().await == 0).await;
    let asked: Vec<_> = hub.state().log.iter().map(|asked| asked.at).collect();
    assert!(asked[1] - asked[0] >= Duration::from_millis(990), "{:?}", asked[1] - asked[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_too_much_for_the_hub_is_made_smaller() {
    let hub = FakeHub::start().await;
    let node = Node::enrolled(&hub).await;
    for n in 0..8 {
        node.record(&format!("{n} {}", "x".repeat(1000))).await;
    }
    hub.once(path::PUSH, [Mood::Refuse(413, "too-large", None), Mood::Refuse(500, "internal", None)]);
    node.start();
    until("all is there", async || node.pending().await == 0).await;
    let sizes: Vec<usize> = hub
        .state()
        .log
        .iter()
        .filter(|asked| asked.path == path::PUSH)
        .map(|asked| asked.body.len())
        .collect();
    assert!(sizes[1] < sizes[0] && sizes[2] < sizes[1], "{sizes:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_credential_is_kept_before_it_is_used() {
    let hub = FakeHub::start().await;
    hub.state().rotates = true;
    let node = Node::enrolled(&hub).await;
    node.record("one").await;
    node.start();
    until("it is sent", async || node.pending().await == 0).await;
    let secret = node.desk.ledger().credential().await.unwrap().unwrap();
    assert_ne!(secret, SECRET);
    assert_eq!(Some(&secret), hub.state().secrets.last());
    let after: Vec<String> = hub.state().log.iter().skip(1).map(|asked| asked.secret.clone()).collect();
    assert!(after.iter().all(|used| *used == secret), "only the first hello used the old one");
    node.end().await;
    node.start();
    node.record("two").await;
    until("it is sent with what was kept", async || node.pending().await == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_hub_gets_nothing() {
    let hub = FakeHub::start().await;
    hub.always(path::HELLO, Mood::OtherHub);
    let node = Node::enrolled(&hub).await;
    node.record("one").await;
    node.start();
    until("it is stopped", async || node.board.now().troubles.contains_key(&Part::Stop)).await;
    node.record("two").await;
    assert_eq!((hub.count(path::PUSH), hub.count(path::PULL), node.pending().await), (0, 0, 2));
    assert!(node.board.now().to_kept().last_error.unwrap().contains("another hub"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_does_not_know_the_node_is_named_as_that() {
    let hub = FakeHub::start().await;
    hub.state().secrets = vec!["of another node, so that this one's is unknown".into()];
    let node = Node::enrolled(&hub).await;
    node.record("one").await;
    node.start();
    let told =
        async || node.board.now().to_kept().last_error.is_some_and(|words| words.contains("does not know this node"));
    until("it is told", told).await;
    assert_eq!((hub.count(path::PUSH), node.pending().await, node.board.now().hub_reachable), (0, 1, false));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_node_keeps_recording_and_stops_syncing() {
    let hub = FakeHub::start().await;
    let node = Node::enrolled(&hub).await;
    node.start();
    until("it is online", async || node.board.now().hub_reachable).await;
    hub.everywhere(Mood::Refuse(403, refusal::REVOKED, None));
    until("it is stopped", async || node.board.now().troubles.contains_key(&Part::Stop)).await;
    node.record("one").await;
    assert_eq!(node.pending().await, 1);
    assert!(node.board.now().to_kept().last_error.unwrap().contains("revoked"));
    assert_eq!(hub.state().held.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_node_is_told_that_it_is_one() {
    let hub = FakeHub::start().await;
    hub.state().secrets.push("a newer one, which the other machine uses already".into());
    hub.state().used = 1;
    let node = Node::enrolled(&hub).await;
    node.start();
    until("it is stopped", async || node.board.now().troubles.contains_key(&Part::Stop)).await;
    assert!(node.board.now().to_kept().last_error.unwrap().contains("copy"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fork_makes_the_node_go_on_under_a_new_stream_by_itself() {
    let hub = FakeHub::start().await;
    hub.once(path::PUSH, [Mood::Fork]);
    let node = Node::enrolled(&hub).await;
    node.record("one").await;
    let ended = node.desk.ledger().backlog().await.unwrap().origin;
    node.start();
    until("it is sent all the same", async || node.pending().await == 0).await;
    node.record("two").await;
    until("so is the next one", async || node.pending().await == 0 && hub.state().held.len() == 2).await;
    assert_ne!(hub.state().origin, ended);
    let notice = node.desk.ledger().link_state().await.unwrap().notice.unwrap();
    assert_eq!((notice.origin, notice.agreed_seq, notice.recorded_again), (ended, 0, 1));
    assert!(!node.board.now().troubles.contains_key(&Part::Fork));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_restored_from_a_backup_is_pulled_from_the_beginning() {
    let hub = FakeHub::start().await;
    hub.add_account("ann");
    let node = Node::enrolled(&hub).await;
    node.start();
    until("the account is here", async || node.has_account("ann").await).await;
    hub.state().epoch = Uuid::from_u128(77);
    hub.add_account("bob");
    until("the next one is here too", async || node.has_account("bob").await).await;
    until("it is counted", async || node.pulled().await >= 2).await;
    assert_eq!(node.pulled().await, 2, "the first one came twice and counts once");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_direction_waits_for_the_other() {
    let hub = FakeHub::start().await;
    hub.always(path::PULL, Mood::Hang);
    let node = Node::enrolled(&hub).await;
    node.record("one").await;
    node.start();
    until("it is sent", async || node.pending().await == 0).await;

    let hub = FakeHub::start().await;
    hub.always(path::PUSH, Mood::Hang);
    let node = Node::enrolled(&hub).await;
    node.record("one").await;
    node.start();
    until("it is on its way", async || hub.count(path::PUSH) == 1).await;
    hub.add_account("ann");
    until("the account is here", async || node.has_account("ann").await).await;
    assert_eq!(node.pending().await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backlog_that_stands_still_is_an_alarm_and_begins_anew() {
    let hub = FakeHub::start().await;
    hub.once(path::PUSH, [Mood::Hang]);
    let node = Node::enrolled_with(&hub, Duration::from_millis(240)).await;
    node.record("one").await;
    hub.once(path::HELLO, [Mood::Honest, Mood::Portal]);
    node.start();
    until("the alarm is raised", async || node.board.now().troubles.contains_key(&Part::Stall)).await;
    until("it is sent all the same", async || node.pending().await == 0).await;
    until("the alarm is over", async || node.board.now().troubles.is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_enrolment_by_another_process_is_noticed() {
    let hub = FakeHub::start().await;
    hub.add_account("ann");
    let node = Node::unenrolled().await;
    node.start();
    let other = node.other_ledger();
    other.become_node(enrolment(&hub), SECRET.to_owned(), node.desk.ids().new_v7(0)).await.unwrap();
    until("it syncs", async || node.has_account("ann").await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_link_stands_is_kept_for_when_nothing_runs() {
    let hub = FakeHub::start().await;
    hub.state().now_ms = 0;
    let node = Node::enrolled(&hub).await;
    node.start();
    let ledger: SharedLedger = node.desk.ledger().clone();
    let kept = async || -> LinkState { ledger.link_state().await.unwrap() };
    until("contact is kept", async || {
        kept().await.hub_reachable && kept().await.clock_offset_ms > 1_000_000_000_000
    })
    .await;
    hub.everywhere(Mood::Portal);
    until("its loss is kept", async || !kept().await.hub_reachable && kept().await.last_error.is_some()).await;
    assert!(kept().await.next_try_ms.is_some());
    assert_eq!(State::limits().wait_ms, 300, "a pull waits no longer than a test has patience");
}
