//! SIGKILL at any moment: whatever was acknowledged is there afterwards, once, at both sides.

use aincident_tests::agree::store_and_headquarters;
use aincident_tests::load::{Patience, Pressure};
use aincident_tests::wait::let_run;
use aincident_tests::{Hub, Node, Rng, Scratch, tell};
use std::time::Duration;

const ROUNDS: u32 = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_or_a_hub_that_is_killed_again_and_again_keeps_every_promise() {
    let mut rng = Rng::announced("kill9");
    let scratch = Scratch::new("kill9");
    let mut hub = Hub::with_stores(&scratch, &["042"]).await;
    let mut node = Node::new(&scratch, &hub, "042", "node").await;
    node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "300");
    node.enroll(&hub.node_code("042").await).await.ok("enroll");
    node.start().await;
    let employee = node.employee().await;
    let pressure = Pressure::start(&employee, 8, Patience::Unavailable, &mut rng);

    let mut killed = [0, 0];
    for round in 0..ROUNDS {
        let_run(Duration::from_millis(rng.between(50, 700))).await;
        // The first two rounds make sure that each is hit at least once.
        let hit_node = if round < 2 { round == 0 } else { rng.chance(0.5) };
        if hit_node {
            node.kill();
            node.start().await;
            pressure.move_to(node.url());
            killed[0] += 1;
        } else {
            hub.kill();
            // The store does not wait for it.
            let before = pressure.acknowledged();
            let_run(Duration::from_millis(rng.between(20, 200))).await;
            hub.start().await;
            node.follow(&hub);
            assert!(pressure.acknowledged() >= before);
            killed[1] += 1;
        }
    }
    let_run(Duration::from_millis(300)).await;
    let promised = pressure.finish().await;
    tell(&format!(
        "kill9: node killed {} times, hub {} times, {} incidents acknowledged",
        killed[0],
        killed[1],
        promised.len()
    ));
    assert!(promised.len() > 50, "the load did nothing");

    let (manager, harriet) = (node.manager().await, hub.harriet().await);
    node.drained(&manager, Duration::from_secs(60)).await;
    store_and_headquarters("042", &manager, &harriet, &promised, &[]).await;
    hub.audit().await;
    let status = node.status().await;
    assert_eq!(status["quarantined"], 0, "{status}");
}
