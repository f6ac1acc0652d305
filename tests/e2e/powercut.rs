//! Power cuts: a node writes on a disk of its own, the disk stops dead, and after a remount everything that was
//! acknowledged is there. SIGKILL cannot show this: the page cache survives it.

use crate::machine::{Disk, has_root};
use aincident_tests::agree::store_and_headquarters;
use aincident_tests::compare::by_id;
use aincident_tests::load::{Patience, Pressure, Promised};
use aincident_tests::wait::let_run;
use aincident_tests::{Hub, Node, Rng, Scratch, tell};
use std::time::Duration;

const CUTS: u32 = 30;
/// Cuts of the control arm: with `synchronous=OFF` nearly every one of them loses something.
const CONTROL_CUTS: u32 = 4;
/// How long the load runs before a cut, in milliseconds.
const LOAD_MS: (u64, u64) = (300, 1000);

struct Bench {
    hub: Hub,
    node: Node,
    disk: Disk,
    rng: Rng,
}

impl Bench {
    async fn new(scratch: &Scratch, rng: Rng) -> Self {
        let hub = Hub::with_stores(scratch, &["042"]).await;
        let disk = Disk::ext4(scratch, 256).await;
        let mut node = Node::over(disk.path().join("node"), scratch, &hub, "042", "node").await;
        node.env("AINCIDENT_NODE_LINK_MAX_BACKOFF_MS", "300");
        node.enroll(&hub.node_code("042").await).await.ok("enroll");
        node.start().await;
        Self { hub, node, disk, rng }
    }

    /// Runs a load on the running node, cuts the power in the middle of it, brings everything back; answers what was
    /// acknowledged, and how much of that is not there any more.
    async fn cut(&mut self) -> (Promised, usize) {
        let employee = self.node.employee().await;
        let pressure = Pressure::start(&employee, 8, Patience::AnyFault, &mut self.rng);
        let_run(Duration::from_millis(self.rng.between(LOAD_MS.0, LOAD_MS.1))).await;
        // A program that lost its power promises nothing any more; one whose file system was only shut down still runs for a
        // moment, and an fsync that is under way then may say that all is well though its journal was just given up (seen on
        // Linux 6 with nothing but a file and a loop: 12 of 39,288, all after the cut began, none before).
        let promised = pressure.promised();
        self.disk.cut_power().await;
        self.node.kill();
        drop(pressure.finish().await);
        self.disk.unmount().await;
        self.disk.mount().await;
        self.node.start().await;
        let there = by_id(self.node.manager().await.list("").await);
        let lost = promised.keys().filter(|id| !there.contains_key(*id)).count();
        (promised, lost)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thirty_power_cuts_lose_nothing_that_was_acknowledged() {
    if !has_root("thirty power cuts").await {
        return;
    }
    let scratch = Scratch::new("powercut");
    let mut bench = Bench::new(&scratch, Rng::announced("powercut")).await;
    let mut promised = Promised::new();
    for cut in 1..=CUTS {
        let (mut more, lost) = bench.cut().await;
        assert_eq!(lost, 0, "cut {cut} lost {lost} of {} acknowledged", more.len());
        promised.append(&mut more);
    }
    tell(&format!("powercut: {CUTS} cuts, {} incidents acknowledged, none lost", promised.len()));
    assert!(promised.len() > CUTS as usize, "the load did nothing");
    let (manager, harriet) = (bench.node.manager().await, bench.hub.harriet().await);
    bench.node.drained(&manager, Duration::from_secs(60)).await;
    store_and_headquarters("042", &manager, &harriet, &promised, &[]).await;
    bench.hub.audit().await;
    bench.node.stop().await;
    bench.disk.unmount().await;
    let check = bench.disk.check().await;
    assert_eq!(check.code, Some(0), "the file system itself is damaged: {}", check.stdout);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_fsync_the_same_power_cuts_do_lose_what_was_acknowledged() {
    if !has_root("the control arm of the power cuts").await {
        return;
    }
    let scratch = Scratch::new("powercut-control");
    let mut bench = Bench::new(&scratch, Rng::announced("powercut control")).await;
    bench.node.stop().await;
    bench.node.env("AINCIDENT_NODE_TEST_SYNCHRONOUS_OFF", "1");
    // Headquarters must not help it out.
    bench.node.link().go_down();
    bench.node.start().await;
    let (mut promised, mut lost) = (0, 0);
    for _ in 0..CONTROL_CUTS {
        let (more, gone) = bench.cut().await;
        promised += more.len();
        lost += gone;
    }
    bench.node.stop().await;
    tell(&format!(
        "powercut control: {CONTROL_CUTS} cuts without fsync lost {lost} of {promised} acknowledged"
    ));
    assert!(lost > 0, "nothing was lost without fsync: the cuts of the other test prove nothing");
    bench.disk.unmount().await;
}
