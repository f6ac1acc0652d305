//! How often a node may ask, and how often an address may guess codes.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    reason = "a test says what went wrong by failing"
)]

mod support;

use chassis::http::{Limits, Rate};
use desk::ledger::sqlite::Check;
use support::{Hub, enrol, until};
use sync_protocol::message::path;

async fn hub(limits: Limits) -> Hub {
    Hub::start_within(Check::new(|_| ()), limits).await
}

#[tokio::test]
async fn a_node_that_asks_too_often_is_told_when_to_come_back_with_proof_and_others_are_not_held_back() {
    let hub = hub(Limits { node: Rate { per_s: 1, burst: 3 }, loopback: true, ..Limits::default() }).await;
    let (busy, other) = (hub.enrol("042").await, hub.enrol("043").await);
    let body = busy.hello_body().to_string().into_bytes();
    let mut refused = None;
    for _ in 0..10 {
        let reply = busy.ask(path::HELLO, &body).await;
        assert!(reply.headers["ratelimit-policy"].ends_with(r#""node";q=3;w=3"#), "{:?}", reply.headers);
        if reply.status == 429 {
            refused = Some(reply);
            break;
        }
    }
    let refused = refused.expect("as many as it likes");
    assert_eq!((refused.code().as_str(), refused.headers["retry-after"].as_str()), ("too-often", "1"));
    other.hello().await;
    until("its next request to be taken", || async { busy.ask(path::HELLO, &body).await.status == 200 }).await;
    hub.stop().await;
}

#[tokio::test]
async fn a_node_on_this_machine_is_not_counted() {
    let hub = hub(Limits { node: Rate { per_s: 1, burst: 1 }, ..Limits::default() }).await;
    let node = hub.enrol("042").await;
    for _ in 0..5 {
        node.hello().await;
    }
    hub.stop().await;
}

#[tokio::test]
async fn wrong_codes_of_one_address_wait_before_those_of_all_do() {
    let hub = hub(Limits { login_failures: 3, loopback: true, ..Limits::default() }).await;
    for _ in 0..3 {
        assert_eq!(enrol(hub.address, "AAAA-BBBB-CCCC", &[1]).await.code(), "bad-code");
    }
    let slowed = enrol(hub.address, "AAAA-BBBB-CCCC", &[1]).await;
    assert_eq!((slowed.status, slowed.code().as_str()), (429, "too-many-attempts"));
    assert_eq!(slowed.headers["retry-after"], "1");
    hub.stop().await;
}
